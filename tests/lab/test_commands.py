"""MySQL's commands as bytes, and what a session keeps or loses: drivers show little of either."""

import socket
import ssl
import struct

import pytest
from pymysql._auth import scramble_caching_sha2, scramble_native_password

from conftest import command, eventually
from wires import mysql, rows, run

QUIT, INIT_DB, QUERY, FIELD_LIST, STATISTICS, PROCESS_KILL, PING, CHANGE_USER = 0x01, 0x02, 0x03, 0x04, 0x09, 0x0C, 0x0E, 0x11
PREPARE, EXECUTE, LONG_DATA, CLOSE, RESET, SET_OPTION, FETCH, RESET_CONNECTION = 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1F

CONNECT_WITH_DB, PROTOCOL_41, TLS, TRANSACTIONS, SECURE, MULTI_STATEMENTS, MULTI_RESULTS = 1 << 3, 1 << 9, 1 << 11, 1 << 13, 1 << 15, 1 << 16, 1 << 17
PLUGIN_AUTH, LENENC_AUTH, SESSION_TRACK, DEPRECATE_EOF = 1 << 19, 1 << 21, 1 << 23, 1 << 24
CAPABILITIES = 1 | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE | MULTI_RESULTS | PLUGIN_AUTH | LENENC_AUTH
NATIVE, CACHING_SHA2 = b"mysql_native_password", b"caching_sha2_password"
STATE_CHANGED = 0x4000
MAX_PAYLOAD = 0xFFFFFF


def lenenc(data, at=0):
    """(number, where it ends)."""
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def text(data, at=0):
    """(a string with its length before it, where it ends); None for NULL."""
    if data[at] == 0xFB:
        return None, at + 1
    size, at = lenenc(data, at)
    return data[at : at + size], at + size


def values(data, count):
    """The values of a row in the text format."""
    out, at = [], 0
    for _ in range(count):
        value, at = text(data, at)
        out.append(value)
    assert at == len(data)
    return tuple(out)


class Refused(Exception):
    """An ERR packet."""

    def __init__(self, packet):
        self.code, self.state = struct.unpack_from("<H", packet, 1)[0], packet[4:9].decode()
        self.message = packet[9:].decode()
        super().__init__(self.code, self.state, self.message)


class Done:
    """An OK packet."""

    def __init__(self, packet):
        assert packet[0] in (0x00, 0xFE), packet[:20]
        self.affected, at = lenenc(packet, 1)
        self.last_insert_id, at = lenenc(packet, at)
        self.status, self.warnings = struct.unpack_from("<HH", packet, at)
        at += 4
        self.info = b""
        if at < len(packet):
            self.info, at = text(packet, at)
        self.changes = []
        if self.status & STATE_CHANGED:
            tracked, at = text(packet, at)
            entry = 0
            while entry < len(tracked):
                kind = tracked[entry]
                data, entry = text(tracked, entry + 1)
                parts, inner = [], 0
                while inner < len(data):
                    part, inner = text(data, inner)
                    parts.append(part.decode())
                self.changes.append((kind, *parts))
        assert at == len(packet)


class Raw:
    """A MySQL client that sends and reads packets as they are."""

    def __init__(self, server, user="root", password="", database="", more=0, plugin=NATIVE, tls=False):
        self.stream = socket.create_connection(server.mysql, timeout=60)
        self.capabilities = CAPABILITIES | more
        greeting = self.packet()
        at = greeting.index(0, 1) + 1
        (self.id,) = struct.unpack_from("<I", greeting, at)
        # 8 bytes of the challenge, then 12 more behind 19 bytes of other things.
        self.salt = greeting[at + 4 : at + 12] + greeting[at + 31 : at + 43]
        head = struct.pack("<IIB23x", self.capabilities | (TLS if tls else 0), 1 << 30, 45)
        if tls:
            self.reply(head)
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.stream = context.wrap_socket(self.stream)
        answer = self.scramble(plugin, password, self.salt)
        self.reply(head + user.encode() + b"\0" + bytes([len(answer)]) + answer + database.encode() + b"\0" + plugin + b"\0")
        self.entered = self.authenticated(password, plugin)

    @staticmethod
    def scramble(plugin, password, salt):
        return (scramble_native_password if plugin == NATIVE else scramble_caching_sha2)(password.encode(), salt)

    def authenticated(self, password, plugin):
        """Answers whatever the server asks, up to its OK."""
        while True:
            packet = self.answer()
            if packet[0] == 0x00:
                return Done(packet)
            if packet[0] == 0xFE:
                end = packet.index(0, 1)
                plugin, self.salt = packet[1:end], packet[end + 1 : end + 21]
                self.reply(self.scramble(plugin, password, self.salt))
            elif packet == b"\x01\x04":
                self.reply(password.encode() + b"\0")
            else:
                assert packet == b"\x01\x03", packet

    def exactly(self, size):
        data = bytearray(size)
        view, at = memoryview(data), 0
        while at < size:
            read = self.stream.recv_into(view[at:])
            if not read:
                raise EOFError(f"{at} of {size} bytes")
            at += read
        return bytes(data)

    def pieces(self):
        """The payloads of one packet's parts, as they came."""
        out = []
        while True:
            head = self.exactly(4)
            self.sequence = head[3]
            out.append(self.exactly(int.from_bytes(head[:3], "little")))
            if len(out[-1]) < MAX_PAYLOAD:
                return out

    def packet(self):
        return b"".join(self.pieces())

    def answer(self):
        packet = self.packet()
        if packet[0] == 0xFF:
            raise Refused(packet)
        return packet

    def reply(self, payload):
        """The packet that follows the one that was read last."""
        for start in range(0, len(payload) + 1, MAX_PAYLOAD):
            piece = payload[start : start + MAX_PAYLOAD]
            self.sequence = (self.sequence + 1) % 256
            self.stream.sendall(len(piece).to_bytes(3, "little") + bytes([self.sequence]) + piece)

    def send(self, code, payload=b""):
        self.sequence = -1
        self.reply(bytes([code]) + payload)

    def ask(self, code, payload=b""):
        self.send(code, payload)
        return self.answer()

    def done(self, code, payload=b""):
        return Done(self.ask(code, payload))

    def definitions(self, count):
        columns = [self.answer() for _ in range(count)]
        if count and not self.capabilities & DEPRECATE_EOF:
            assert self.answer()[0] == 0xFE
        return columns

    def result(self, packet):
        """(columns, packets of rows, the packet that ends them)."""
        count, end = lenenc(packet)
        assert end == len(packet)
        columns, out = self.definitions(count), []
        while True:
            packet = self.answer()
            if packet[0] == 0xFE and len(packet) < MAX_PAYLOAD:
                return columns, out, packet
            out.append(packet)

    def query(self, statement):
        """The rows of a query as bytes, or what its OK says."""
        packet = self.ask(QUERY, statement if isinstance(statement, bytes) else statement.encode())
        if packet[0] == 0x00:
            return Done(packet)
        columns, out, _ = self.result(packet)
        return [values(row, len(columns)) for row in out]

    def one(self, statement):
        ((value,),) = self.query(statement)
        return value if value is None else value.decode()

    def prepare(self, statement):
        """(id, number of parameters)."""
        packet = self.ask(PREPARE, statement.encode())
        assert packet[0] == 0x00 and packet[9] == 0
        statement_id, columns, params = struct.unpack_from("<IHH", packet, 1)
        self.definitions(params)
        self.definitions(columns)
        return statement_id, params

    def execute(self, statement, params=b""):
        """The rows of a prepared query, each with its NULL bits cut off, or what its OK says."""
        packet = self.ask(EXECUTE, struct.pack("<IBI", statement, 0, 1) + params)
        if packet[0] == 0x00:
            return Done(packet)
        columns, out, _ = self.result(packet)
        return [row[1 + (len(columns) + 9) // 8 :] for row in out]

    def change_user(self, user, password, database="", plugin=NATIVE):
        answer = self.scramble(plugin, password, self.salt)
        body = user.encode() + b"\0" + bytes([len(answer)]) + answer + database.encode() + b"\0" + struct.pack("<H", 45) + plugin + b"\0"
        self.send(CHANGE_USER, body)
        return self.authenticated(password, plugin)

    def ended(self):
        """Has the server closed the connection?"""
        try:
            self.stream.settimeout(20)
            return self.stream.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def size_prefix(size):
    if size < 0xFB:
        return bytes([size])
    lead, width = (0xFC, 2) if size < 1 << 16 else (0xFD, 3) if size < 1 << 24 else (0xFE, 8)
    return bytes([lead]) + size.to_bytes(width, "little")


def blob(size):
    """What stands before the value of a single string parameter: no NULL, types follow, VAR_STRING, the size (None: sent as long data)."""
    return b"\x00\x01\xfd\x00" + (b"" if size is None else size_prefix(size))


def refused(code, call, *args):
    with pytest.raises(Refused) as caught:
        call(*args)
    assert caught.value.code == code, caught.value
    return caught.value


def add(data, name, password):
    done = command("user", "add", name, "--password-stdin", "--data-dir", data, stdin=password + "\n")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def peopled(tmp_path_factory):
    """A server with TLS and the users ann, bob and root."""
    from conftest import Flashgate

    directory = tmp_path_factory.mktemp("peopled")
    for name, password in (("ann", "ann's own"), ("bob", "bob's own"), ("root", "root's own")):
        add(directory / "data", name, password)
    server = Flashgate(directory, env={"FLASHGATE_TLS_SELF_SIGNED": "true"})
    with mysql(server, user="ann", password="ann's own") as c:
        run(c, "CREATE DATABASE d", "CREATE DATABASE e", "CREATE TABLE d.t (id INT NOT NULL)")
    yield server
    assert server.stop() == 0, server.log()
    assert "panicked" not in server.log()


@pytest.fixture(scope="module")
def database(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE d", "CREATE DATABASE e", "CREATE TABLE d.t (id INT NOT NULL)")
    return server


def soil(raw, table):
    """Leaves something of every kind of state behind; the id of a prepared statement."""
    raw.query("SET @mine = 5")
    raw.query("SET time_zone = '+05:00'")
    raw.query("SET max_execution_time = 12345")
    raw.query("SET flashback_read_time = '2022-07-05 11:11:11'")
    raw.query("PREPARE by_text FROM 'SELECT 1'")
    statement, _ = raw.prepare("SELECT 17")
    assert raw.execute(statement) == [struct.pack("<q", 17)]
    assert raw.one("SELECT @@flashback_read_time").startswith("2022-07-05 11:11:11")
    raw.query("SET flashback_read_time = DEFAULT")
    raw.query("BEGIN")
    raw.query(f"INSERT INTO {table} VALUES (1)")
    assert raw.one(f"SELECT COUNT(*) FROM {table}") == "1"
    return statement


def is_clean(raw, table, statement):
    assert raw.one("SELECT @mine") is None
    assert raw.one("SELECT @@time_zone") == "SYSTEM"
    assert raw.one("SELECT @@max_execution_time") == "0"
    assert raw.one("SELECT @@autocommit") == "1"
    refused(1243, raw.query, "EXECUTE by_text")
    refused(1243, raw.execute, statement)
    assert raw.one(f"SELECT COUNT(*) FROM {table}") == "0", "the open transaction was rolled back"
    done = raw.done(PING)
    assert done.status & 1 == 0, "no transaction is open"


# --- CHANGE_USER and RESET_CONNECTION ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tls", "plugin"), [(False, NATIVE), (False, CACHING_SHA2), (True, CACHING_SHA2), (True, NATIVE)])
def test_change_user_with_a_wrong_password_is_1045_and_the_end(peopled, tls, plugin):
    raw = Raw(peopled, "ann", "ann's own", "d", plugin=plugin, tls=tls)
    error = refused(1045, raw.change_user, "bob", "ann's own", "d", plugin)
    assert (error.state, error.message.split("@")[0]) == ("28000", "Access denied for user 'bob'")
    assert raw.ended()
    for user, password in (("nobody", "ann's own"), ("bob", ""), ("root", "")):
        raw = Raw(peopled, "ann", "ann's own", "d", plugin=plugin, tls=tls)
        refused(1045, raw.change_user, user, password, "d", plugin)
        assert raw.ended()


@pytest.mark.parametrize(("tls", "plugin"), [(False, NATIVE), (False, CACHING_SHA2), (True, CACHING_SHA2), (True, NATIVE)])
def test_change_user_with_the_right_password_is_another_user_with_a_fresh_session(peopled, tls, plugin):
    with Raw(peopled, "ann", "ann's own", "d", plugin=plugin, tls=tls) as raw:
        assert raw.one("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)") == "ann"
        statement = soil(raw, "d.t")
        connection = raw.one("SELECT CONNECTION_ID()")
        raw.change_user("bob", "bob's own", "e", plugin)
        assert raw.one("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)") == "bob"
        assert raw.one("SELECT SUBSTRING_INDEX(USER(), '@', 1)") == "bob"
        assert raw.one("SELECT DATABASE()") == "e"
        assert raw.one("SELECT CONNECTION_ID()") == connection
        is_clean(raw, "d.t", statement)
        raw.change_user("ann", "ann's own", "", plugin)
        assert raw.one("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)") == "ann"
        assert raw.query("SELECT DATABASE()") == [(None,)]


def test_change_user_to_an_unknown_database_is_1049_and_the_end(peopled):
    raw = Raw(peopled, "ann", "ann's own", "d")
    refused(1049, raw.change_user, "bob", "bob's own", "nowhere")
    assert raw.ended()


def test_who_changed_the_user_has_the_rights_of_the_new_one_only(peopled):
    with Raw(peopled, "ann", "ann's own") as victim, Raw(peopled, "ann", "ann's own") as raw:
        raw.change_user("bob", "bob's own")
        refused(1142, raw.done, PROCESS_KILL, struct.pack("<I", victim.id))
        assert victim.one("SELECT 1") == "1"
        raw.change_user("ann", "ann's own")
        raw.done(PROCESS_KILL, struct.pack("<I", victim.id))
        assert victim.ended()


def test_reset_connection_forgets_all_but_user_and_database(database):
    with Raw(database, database="d") as raw:
        run(mysql(database), "CREATE TABLE e.reset_me (id INT)")
        raw.done(INIT_DB, b"e")
        statement = soil(raw, "reset_me")
        connection = raw.one("SELECT CONNECTION_ID()")
        done = raw.done(RESET_CONNECTION)
        assert (done.affected, done.warnings, done.status) == (0, 0, 2)
        assert raw.one("SELECT DATABASE()") == "e"
        assert raw.one("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)") == "root"
        assert raw.one("SELECT CONNECTION_ID()") == connection
        is_clean(raw, "reset_me", statement)
        raw.query("INSERT INTO reset_me VALUES (3)")
        assert rows(mysql(database, "e"), "SELECT id FROM reset_me") == [(3,)]


def test_reset_connection_ends_a_session_in_the_past_and_a_read_only_one(database):
    with Raw(database, database="d") as raw:
        raw.query("CREATE TABLE later (id INT)")
        raw.query("INSERT INTO later VALUES (4)")
        raw.query("SET transaction_read_only = 1")
        raw.query("SET flashback_read_time = '2022-07-05 11:11:11'")
        raw.query("SET autocommit = 0")
        raw.done(RESET_CONNECTION)
        assert raw.query("SELECT @@flashback_read_time, @@transaction_read_only, @@autocommit")[0][1:] == (b"0", b"1")
        assert raw.query("INSERT INTO later VALUES (5)").status == 2
        assert rows(mysql(database, "d"), "SELECT id FROM later ORDER BY id") == [(4,), (5,)]


def test_reset_connection_takes_back_the_character_set_of_results(database):
    with Raw(database, database="d") as raw:
        assert raw.query("SELECT 'ä'".encode()) == [("ä".encode(),)]
        raw.query("SET NAMES latin1")
        assert raw.query(b"SELECT '\xe4'") == [(b"\xe4",)]
        raw.done(RESET_CONNECTION)
        assert raw.one("SELECT @@character_set_results") == "utf8mb4"
        assert raw.query("SELECT 'ä'".encode()) == [("ä".encode(),)]


# --- the small commands ------------------------------------------------------------------------------------------------------


def column(packet):
    """(database, table, name, type, flags, default) of a column definition."""
    parts, at = [], 0
    for _ in range(6):
        part, at = text(packet, at)
        parts.append(part.decode())
    assert parts[0] == "def" and packet[at] == 12
    _, _, kind, flags, _ = struct.unpack_from("<HIBHB", packet, at + 1)
    default = text(packet, at + 13)[0] if at + 13 < len(packet) else "none"
    return parts[1], parts[2], parts[4], kind, flags & 1, default


@pytest.mark.parametrize("more", [0, DEPRECATE_EOF], ids=["eof", "ok"])
def test_field_list_gives_the_columns_like_its_pattern(database, more):
    with Raw(database, database="d", more=more) as raw:
        raw.query(f"CREATE TABLE fields{more} (id BIGINT NOT NULL, title VARCHAR(20), Titled DATE, total DOUBLE)")

        def listed(pattern):
            raw.send(FIELD_LIST, f"fields{more}\0{pattern}".encode())
            out = []
            while True:
                packet = raw.answer()
                if packet[0] == 0xFE:
                    return out
                out.append(column(packet))

        want = [("id", 8, 1), ("title", 0xFD, 0), ("Titled", 10, 0), ("total", 5, 0)]
        assert [(name, kind, not_null) for _, _, name, kind, not_null, _ in listed("")] == want
        assert [entry[5] for entry in listed("")] == [None] * 4, "each has a default behind it, here NULL"
        assert [entry[2] for entry in listed("%")] == ["id", "title", "Titled", "total"]
        assert [entry[2] for entry in listed("T_tle%")] == ["title", "Titled"]
        assert [entry[2] for entry in listed("id\0")] == ["id"]
        assert listed("nothing") == []
        refused(1146, raw.ask, FIELD_LIST, b"nowhere\0")
        refused(1146, raw.ask, FIELD_LIST, b"`t` WHERE 1\0")
        assert refused(1835, raw.ask, FIELD_LIST, b"no end").state == "HY000"
        assert raw.one("SELECT 1") == "1"


def test_statistics_is_one_line_with_the_counts_of_now(start):
    server = start()

    def line(raw):
        words = raw.ask(STATISTICS).decode().split()
        assert words[0::2] == ["Uptime:", "Threads:", "Questions:"]
        return [int(word) for word in words[1::2]]

    with Raw(server) as raw:
        before = line(raw)
        for _ in range(3):
            raw.query("DO 1")
        with Raw(server) as second:
            second.query("DO 1")
            after = line(raw)
        assert (before[1:], after[1:]) == ([1, 0], [2, 4])
        assert after[0] >= before[0]


def test_process_kill_ends_ones_own_and_no_others_unless_one_is_root(peopled):
    def kill(raw, victim):
        return raw.done(PROCESS_KILL, struct.pack("<I", victim.id))

    ann, bob, root = (Raw(peopled, name, f"{name}'s own") for name in ("ann", "bob", "root"))
    error = refused(1142, kill, ann, bob)
    assert str(bob.id) in error.message
    assert bob.one("SELECT 5") == "5"
    second = Raw(peopled, "ann", "ann's own")
    assert second.id != ann.id and ann.one("SELECT CONNECTION_ID()") == str(ann.id)
    kill(ann, second)
    assert second.ended()
    kill(root, bob)
    assert bob.ended()
    assert eventually(lambda: str(bob.id).encode() not in [row[0] for row in root.query("SHOW PROCESSLIST")])
    assert str(bob.id) in refused(1094, kill, root, bob).message
    assert refused(1835, ann.ask, PROCESS_KILL, b"\x01").state == "HY000"
    assert ann.one("SELECT 1") == "1"
    ann.close()
    root.close()


def test_set_option_switches_several_statements_on_and_off(database):
    with Raw(database) as raw:
        refused(1064, raw.query, "SELECT 1; SELECT 2")
        assert raw.ask(SET_OPTION, b"\x00\x00")[0] == 0xFE
        assert raw.query("SELECT 1; SELECT 2") == [(b"1",)]
        _, second, _ = raw.result(raw.answer())
        assert [values(row, 1) for row in second] == [(b"2",)]
        assert raw.ask(SET_OPTION, b"\x01\x00")[0] == 0xFE
        refused(1064, raw.query, "SELECT 1; SELECT 2")
        refused(1835, raw.ask, SET_OPTION, b"\x02\x00")
        refused(1835, raw.ask, SET_OPTION, b"\x00")
        assert raw.one("SELECT 3") == "3"
    with Raw(database, more=MULTI_STATEMENTS) as raw:
        assert raw.query("SELECT 1; SELECT 2") == [(b"1",)]
        raw.result(raw.answer())
        raw.ask(SET_OPTION, b"\x01\x00")
        refused(1064, raw.query, "SELECT 1; SELECT 2")


def test_pieces_of_long_data_are_joined_and_forgotten_by_execute_and_by_reset(database):
    with Raw(database) as raw:
        statement, params = raw.prepare("SELECT CONCAT('<', ?, '>')")
        assert params == 1

        def piece(data, parameter=0, number=statement):
            raw.send(LONG_DATA, struct.pack("<IH", number, parameter) + data)

        # No piece has an answer: the next packet is that of EXECUTE.
        piece(b"one ")
        piece("zwölf".encode()[:3])
        piece("zwölf".encode()[3:])
        assert raw.execute(statement, blob(None)) == [b"\x0c<one zw\xc3\xb6lf>"]
        assert raw.execute(statement, blob(3) + b"two") == [b"\x05<two>"], "the pieces were used up"
        piece(b"gone")
        assert raw.done(RESET, struct.pack("<I", statement)).affected == 0
        assert raw.execute(statement, blob(5) + b"three") == [b"\x07<three>"]
        piece(b"")
        assert raw.execute(statement, blob(None)) == [b"\x02<>"], "a piece of no bytes makes an empty value"
        piece(b"x", parameter=1)
        refused(1210, raw.execute, statement, blob(1) + b"x")
        assert raw.execute(statement, blob(1) + b"y") == [b"\x03<y>"], "the fault is told once"
        piece(b"x", number=99)
        assert raw.one("SELECT 1") == "1"
        refused(1243, raw.ask, RESET, struct.pack("<I", 99))
        refused(1835, raw.ask, RESET, b"\x01")


def test_fetch_finds_no_cursor_and_close_has_no_answer(database):
    with Raw(database) as raw:
        statement, _ = raw.prepare("SELECT 1 UNION ALL SELECT 2 ORDER BY 1")
        # A read-only cursor was asked for: all rows come at once, and no flag promises one.
        packet = raw.ask(EXECUTE, struct.pack("<IBI", statement, 1, 1))
        _, sent, end = raw.result(packet)
        assert [row[2:] for row in sent] == [struct.pack("<q", 1), struct.pack("<q", 2)]
        assert struct.unpack_from("<HH", end, 1)[1] & 0x00C0 == 0
        assert str(statement) in refused(1421, raw.ask, FETCH, struct.pack("<II", statement, 10)).message
        refused(1243, raw.ask, FETCH, struct.pack("<II", 99, 10))
        raw.send(CLOSE, struct.pack("<I", statement))
        raw.send(CLOSE, struct.pack("<I", 99))
        refused(1243, raw.execute, statement)
        refused(1243, raw.ask, FETCH, struct.pack("<II", statement, 10))
        assert raw.one("SELECT 1") == "1"


@pytest.mark.parametrize("code", [0x00, 0x05, 0x06, 0x07, 0x08, 0x0A, 0x0B, 0x0D, 0x0F, 0x10, 0x12, 0x13, 0x14, 0x15, 0x1D, 0x1E, 0x20, 0x7F, 0xFF])
def test_an_unknown_command_is_1047_and_the_connection_goes_on(database, code):
    with Raw(database) as raw:
        error = refused(1047, raw.ask, code, b"whatever")
        assert (error.state, error.message) == ("08S01", f"Unknown command 0x{code:02x}")
        assert raw.done(PING).affected == 0


def test_an_empty_packet_is_an_error_and_the_connection_goes_on(database):
    with Raw(database) as raw:
        raw.sequence = -1
        raw.reply(b"")
        refused(1835, raw.answer)
        assert raw.one("SELECT 1") == "1"


def test_a_packet_out_of_order_is_1156_and_the_end(database):
    with Raw(database) as raw:
        raw.sequence = 4
        raw.reply(b"\x0e")
        refused(1156, raw.answer)
        assert raw.ended()


def test_quit_ends_the_connection_without_a_word(database):
    with Raw(database) as raw:
        raw.send(QUIT)
        assert raw.ended()


# --- warnings ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def warned(database):
    """A client in a database with a table."""
    with mysql(database) as c:
        run(c, "CREATE DATABASE w", "CREATE TABLE w.t (id INT, x INT)", "CREATE VIEW w.v AS SELECT 1 AS one")
    with Raw(database, database="w") as raw:
        yield raw


KEYS = "keys are kept as documentation; they are not enforced"
NOTHING = "keys of cold tables are documentation: this changes nothing"


@pytest.mark.parametrize(("statement", "want"), [
    ("CREATE TABLE pk (id INT PRIMARY KEY)", [(1105, KEYS)]),
    ("CREATE TABLE uq (id INT, UNIQUE u (id), KEY k (id))", [(1105, KEYS)]),
    ("CREATE TABLE fk (id INT, FOREIGN KEY (id) REFERENCES t (id))", [(1105, "foreign keys are not enforced")]),
    ("CREATE TABLE ck (id INT, CHECK (id > 0))", [(1105, "CHECK constraints are not enforced")]),
    ("CREATE TABLE four (id INT, x INT, KEY k (x), FOREIGN KEY (x) REFERENCES t (id), CHECK (x > 0))",
     [(1105, "foreign keys are not enforced"), (1105, "CHECK constraints are not enforced"), (1105, KEYS)]),
    ("CREATE TABLE pp (id INT) PARTITION BY HASH(id)", [(1105, "PARTITION BY has no effect: a cold table is not partitioned")]),
    ("CREATE INDEX i ON t (x)", [(1105, NOTHING)]),
    ("ALTER TABLE t ADD KEY z (x)", [(1105, NOTHING)]),
    ("REPLACE INTO t VALUES (1, 1)", [(1105, "keys of cold tables are documentation: REPLACE inserts like INSERT")]),
    ("LOCK TABLES t READ", [(1105, "cold tables are not locked: each statement reads one snapshot")]),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
     [(1105, "SERIALIZABLE is run as snapshot isolation: write conflicts on files are found, write skew is not")]),
    ("CREATE TABLE IF NOT EXISTS t (id INT)", [(1050, "Table 't' already exists")]),
    ("DROP TABLE IF EXISTS none, nil", [(1051, "Unknown table 'none'"), (1051, "Unknown table 'nil'")]),
    ("DROP VIEW IF EXISTS none", [(1051, "Unknown table 'none'")]),
    ("CREATE DATABASE IF NOT EXISTS w", [(1007, "Can't create database 'w'; database exists")]),
    ("DROP DATABASE IF EXISTS none", [(1008, "Can't drop database 'none'; database doesn't exist")]),
    ("SELECT x INTO @x FROM t WHERE id = 99", [(1329, "No data - zero rows fetched, selected, or processed")]),
    ("CREATE TABLE plain (id INT NOT NULL)", []),
    ("INSERT INTO t VALUES (2, 2)", []),
])
def test_a_statement_counts_its_warnings_and_show_warnings_lists_them(warned, statement, want):
    assert warned.query(statement).warnings == len(want)
    listed = [(row[0], int(row[1]), row[2].decode()) for row in warned.query("SHOW WARNINGS")]
    assert [row[1:] for row in listed] == want
    assert {row[0] for row in listed} <= {b"Warning", b"Note"}
    assert warned.one("SHOW COUNT(*) WARNINGS") == str(len(want)), "SHOW WARNINGS does not clear them"
    assert warned.one("SHOW COUNT(*) ERRORS") == "0" and warned.query("SHOW ERRORS") == []
    assert warned.query("SHOW WARNINGS LIMIT 1") == warned.query("SHOW WARNINGS")[:1]
    assert warned.query("DO 1").warnings == 0
    assert warned.query("SHOW WARNINGS") == [], "the next statement clears them"


def test_an_error_is_listed_until_the_next_statement(warned):
    error = refused(1146, warned.query, "SELECT * FROM nowhere")
    want = [(b"Error", b"1146", error.message.encode())]
    assert warned.query("SHOW WARNINGS") == want and warned.query("SHOW ERRORS") == want
    assert warned.one("SHOW COUNT(*) ERRORS") == "1"
    warned.query("DO 1")
    assert warned.query("SHOW ERRORS") == []


def test_a_syntax_error_takes_the_place_of_what_was_listed(warned):
    refused(1146, warned.query, "SELECT * FROM nowhere")
    refused(1064, warned.query, "SELEC")
    assert [row[1] for row in warned.query("SHOW ERRORS")] == [b"1064"]


def test_the_counts_are_variables_as_well(warned):
    warned.query("DROP TABLE IF EXISTS none, nil")
    assert warned.one("SELECT @@warning_count") == "2"
    refused(1146, warned.query, "SELECT * FROM nowhere")
    assert warned.one("SELECT @@error_count") == "1"


@pytest.mark.parametrize("more", [0, DEPRECATE_EOF], ids=["eof", "ok"])
def test_a_prepared_statement_counts_its_warnings_too(database, warned, more):
    with Raw(database, database="w", more=more) as raw:
        statement, _ = raw.prepare("REPLACE INTO t VALUES (3, 3)")
        assert raw.execute(statement).warnings == 1
        assert [row[1] for row in raw.query("SHOW WARNINGS")] == [b"1105"]
        # A result without warnings ends without them, whatever the statement before had.
        _, _, end = raw.result(raw.ask(QUERY, b"SELECT 1"))
        assert (Done(end).warnings if more else struct.unpack_from("<H", end, 1)[0]) == 0


def test_pymysql_sees_the_count_and_shows_the_warnings(database, warned):
    with mysql(database, "w") as c, c.cursor() as cursor:
        cursor.execute("REPLACE INTO t VALUES (4, 4)")
        assert cursor.warning_count == 1
        assert [row[1] for row in c.show_warnings()] == [1105]
        cursor.execute("SELECT 1")
        assert cursor.warning_count == 0
