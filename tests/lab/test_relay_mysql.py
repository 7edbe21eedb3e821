"""Real MySQL clients through Flashgate in front of MariaDB and MySQL: hot statements as they are, and cold ones on the same connection."""

import datetime
import os
import socket
import ssl
import subprocess
import threading
import time

import pymysql
import pytest

from conftest import eventually
from relay import mysql as wire
from test_concurrency import fails
from upstreams import FORWARD, PASSWORDS, certificates, gated, need, upstream
from wires import now, rows, run

COLD = "CREATE TABLE cold1 (id INT, name VARCHAR(20)) ENGINE='OSS'"


@pytest.fixture(scope="module")
def maria():
    return upstream("mariadb")


@pytest.fixture(scope="module")
def gate(maria):
    """Flashgate in front of MariaDB, with a cold table `cold1` of two rows in `hot`, that was empty at `gate.before` and had one row at `gate.then`."""
    with gated(mysql=maria) as running:
        if FORWARD:
            # Only what is the database's can be tested then.
            yield running
            return
        c = connect(running)
        run(c, COLD)
        running.before = now(c)
        run(c, "INSERT INTO cold1 VALUES (1, 'one')")
        running.then = now(c)
        run(c, "INSERT INTO cold1 VALUES (2, 'two')")
        yield running


@pytest.fixture
def table(maria):
    """A hot table of this test."""
    maria.sql("DROP TABLE IF EXISTS hot.h", "CREATE TABLE hot.h (id INT PRIMARY KEY, name VARCHAR(50))", "INSERT INTO hot.h VALUES (1, 'eins'), (2, 'zwei')")
    return "h"


def connect(gate, database="hot", **more):
    host, port = gate.mysql
    return pymysql.connect(
        **{
            "host": host,
            "port": port,
            "user": "root",
            "database": database,
            "ssl_disabled": True,
            "autocommit": True,
            "connect_timeout": 20,
            "read_timeout": 60,
            **more,
        }
    )


# --- hot and cold on one connection ------------------------------------------------------------------------------------------


def test_hot_and_cold_statements_take_turns_on_one_connection(gate, table):
    with connect(gate) as c:
        for _ in range(3):
            assert rows(c, "SELECT id, name FROM cold1 ORDER BY id") == [(1, "one"), (2, "two")]
            assert rows(c, "SELECT id, name FROM h ORDER BY id") == [(1, "eins"), (2, "zwei")]
            assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{gate.then}'") == [(1,)]
            assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{gate.before}'") == []
            assert rows(c, "SELECT VERSION(), CONNECTION_ID()")[0][1] == c.thread_id()


def test_an_error_of_either_leaves_the_connection_usable(gate, table):
    with connect(gate) as c:
        fails(1146, rows, c, "SELECT * FROM absent")
        fails(1054, rows, c, "SELECT absent FROM cold1")
        fails(1054, rows, c, "SELECT absent FROM h")
        fails(1210, rows, c, "SELECT * FROM cold1 AS OF TIMESTAMP '2199-01-01 00:00:00'")
        assert rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)] and rows(c, "SELECT COUNT(*) FROM h") == [(2,)]


def test_a_cold_table_is_read_inside_an_open_transaction_of_the_upstream(gate, maria, table):
    with connect(gate, autocommit=False) as c:
        run(c, "INSERT INTO h VALUES (3, 'drei')")
        assert rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]
        assert rows(c, f"SELECT COUNT(*) FROM cold1 AS OF TIMESTAMP '{gate.then}'") == [(1,)]
        assert rows(c, "SELECT COUNT(*) FROM h") == [(3,)]
        assert maria.sql("SELECT COUNT(*) FROM hot.h") == ((2,),)
        c.rollback()
        assert rows(c, "SELECT COUNT(*) FROM h") == [(2,)]


@pytest.mark.parametrize("begin", ["BEGIN", "START TRANSACTION", "SET autocommit = 0"])
@pytest.mark.parametrize("change", ["INSERT INTO cold1 VALUES (9, 'x')", "DELETE FROM cold1", "UPDATE cold1 SET name = 'x'"])
def test_a_change_of_a_cold_table_inside_an_upstream_transaction_is_refused_with_advice(gate, table, begin, change):
    with connect(gate) as c:
        run(c, begin, "INSERT INTO h VALUES (3, 'drei')")
        with pytest.raises(pymysql.Error) as caught:
            run(c, change)
        assert any(word in str(caught.value).lower() for word in ("commit", "rollback")), caught.value
        assert rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]
        # The transaction lives: what to do with it is the client's to say.
        assert rows(c, "SELECT COUNT(*) FROM h") == [(3,)]
        run(c, "ROLLBACK")
        assert rows(c, "SELECT COUNT(*) FROM h") == [(2,)]


def test_an_implicit_commit_ends_the_transaction_that_refused(gate, table):
    with connect(gate) as c:
        run(c, "BEGIN", "INSERT INTO h VALUES (3, 'drei')", "CREATE TABLE IF NOT EXISTS h2 (id INT)")
        run(c, "CREATE TABLE IF NOT EXISTS cold2 (id INT) ENGINE='OSS'", "INSERT INTO cold2 VALUES (1)", "DELETE FROM cold2")
        assert rows(c, "SELECT COUNT(*) FROM h") == [(3,)]


def test_multi_statements_answer_in_order_whoever_answers(gate, table):
    from pymysql.constants import CLIENT

    with connect(gate, client_flag=CLIENT.MULTI_STATEMENTS) as c, c.cursor() as cursor:
        cursor.execute(
            "SELECT 1; SELECT id FROM cold1 ORDER BY id; SELECT name FROM h ORDER BY id; SELECT COUNT(*) FROM cold1; UPDATE h SET name = 'x' WHERE id = 1; SELECT 'end'"
        )
        got = [tuple(cursor.fetchall())]
        while cursor.nextset():
            got.append(tuple(cursor.fetchall()))
        assert got == [((1,),), ((1,), (2,)), (("eins",), ("zwei",)), ((2,),), (), (("end",),)]
        # What follows an error is not run, whose ever it is.
        for text, code in (("SELECT 1; SELECT absent FROM cold1; DELETE FROM h", 1054), ("SELECT 1; SELECT * FROM absent; DELETE FROM cold1", 1146)):
            cursor.execute(text)
            with pytest.raises(pymysql.Error) as caught:
                while cursor.nextset():
                    pass
            assert caught.value.args[0] == code
        assert rows(c, "SELECT COUNT(*) FROM h") == [(2,)] and rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]


def results(connection, text):
    """All results of a text of several statements, up to the error that ends it."""
    with connection.cursor() as cursor:
        cursor.execute(text)
        got = [tuple(cursor.fetchall())]
        while cursor.nextset():
            got.append(tuple(cursor.fetchall()))
        return got


def test_a_statement_of_a_text_sees_what_those_before_it_have_set(gate, maria, table):
    from pymysql.constants import CLIENT

    maria.sql("CREATE TABLE IF NOT EXISTS other.cold1 (id INT)", "DELETE FROM other.cold1", "INSERT INTO other.cold1 VALUES (77)")
    try:
        with connect(gate, client_flag=CLIENT.MULTI_STATEMENTS) as c:
            assert results(c, "SET @low = 1; SELECT id FROM cold1 WHERE id > @low; SELECT @low + 1") == [(), ((2,),), ((2,),)]
            assert results(c, "SELECT COUNT(*) INTO @n FROM cold1; SELECT @n + id FROM h ORDER BY id") == [(), ((3,), (4,))]
            # The name is cold here, hot there.
            assert results(c, "USE other; SELECT id FROM cold1; USE hot; SELECT MAX(id) FROM cold1") == [(), ((77,),), (), ((2,),)]
            run(c, "USE other")
            assert results(c, "USE hot; SELECT MAX(id) FROM cold1") == [(), ((2,),)]
            ((offset,),) = rows(c, "SELECT TIME_TO_SEC(TIMEDIFF(NOW(), UTC_TIMESTAMP()))")
            moved = datetime.datetime.fromisoformat(gate.then) + datetime.timedelta(hours=5, seconds=-int(offset))
            assert results(c, f"SET time_zone = '+05:00'; SELECT id FROM cold1 AS OF TIMESTAMP '{moved}'") == [(), ((1,),)]
            assert results(c, "INSERT INTO h VALUES (3, 'x'); SELECT ROW_COUNT(); SELECT COUNT(*) FROM cold1") == [(), ((1,),), ((2,),)]
            # Within a transaction that the text has opened, a change of a cold table is refused.
            with pytest.raises(pymysql.Error) as caught:
                results(c, "BEGIN; DELETE FROM h; DELETE FROM cold1; COMMIT")
            assert "COMMIT or ROLLBACK" in str(caught.value)
            run(c, "ROLLBACK")
            assert rows(c, "SELECT COUNT(*) FROM h") == [(3,)] and rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]
    finally:
        maria.sql("DROP TABLE other.cold1")


def test_names_of_textual_statements_are_one_set(gate, table):
    with connect(gate) as c:
        run(c, "PREPARE s FROM 'SELECT id + 100 FROM h ORDER BY id'")
        assert rows(c, "EXECUTE s") == [(101,), (102,)]
        run(c, "PREPARE s FROM 'SELECT id FROM cold1 WHERE id > @low'", "SET @low = 1")
        # What the text within reads is the upstream's to tell.
        assert rows(c, "EXECUTE s") == [(2,)]
        run(c, "SET @low = 0")
        assert rows(c, "EXECUTE s") == [(1,), (2,)]
        run(c, "DEALLOCATE PREPARE s")
        # The one of the upstream went when ours took its name.
        fails(1243, rows, c, "EXECUTE s")
        run(c, "PREPARE s FROM 'SELECT id FROM cold1'", "PREPARE s FROM 'SELECT 5'")
        assert rows(c, "EXECUTE s") == [(5,)]


def test_without_multi_statements_nothing_runs_twice(gate, table):
    with connect(gate, client_flag=0) as c:
        fails(1064, run, c, "SELECT * FROM cold1; DELETE FROM h")
        assert rows(c, "SELECT COUNT(*) FROM h") == [(2,)]


def test_names_belong_to_the_database_that_is_in_use(gate, maria):
    """`twin` is cold in one database and hot in the other."""
    maria.sql("CREATE TABLE IF NOT EXISTS other.twin (id INT)", "DELETE FROM other.twin", "INSERT INTO other.twin VALUES (77)")
    with connect(gate) as c:
        run(c, "CREATE TABLE IF NOT EXISTS twin (id INT) ENGINE='OSS'", "DELETE FROM twin", "INSERT INTO twin VALUES (11)")
        for _ in range(2):
            run(c, "USE hot")
            assert rows(c, "SELECT id FROM twin") == [(11,)] and rows(c, "SELECT id FROM other.twin") == [(77,)]
            run(c, "USE other")
            assert rows(c, "SELECT id FROM twin") == [(77,)] and rows(c, "SELECT id FROM hot.twin") == [(11,)]
            c.select_db("hot")
            assert rows(c, "SELECT id FROM twin") == [(11,)]
            c.select_db("other")
            assert rows(c, "SELECT id FROM `twin`") == [(77,)]
        fails(1049, run, c, "USE absent")
        assert rows(c, "SELECT id FROM twin") == [(77,)]


def test_a_transaction_stays_open_while_the_database_in_use_changes(gate, table):
    with connect(gate) as c:
        run(c, "BEGIN", "DELETE FROM h", "USE other", "USE hot")
        assert rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]
        run(c, "ROLLBACK")
        assert rows(c, "SELECT COUNT(*) FROM h") == [(2,)]


def test_time_zones_of_the_upstream_session_read_times_of_cold_tables(gate):
    then = datetime.datetime.fromisoformat(gate.then)
    with connect(gate) as c:
        ((zone, offset),) = rows(c, "SELECT @@time_zone, TIME_TO_SEC(TIMEDIFF(NOW(), UTC_TIMESTAMP()))")
        assert zone and then
        run(c, "SET time_zone = '+05:30'")
        moved = then + datetime.timedelta(hours=5, minutes=30) - datetime.timedelta(seconds=int(offset))
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{moved}'") == [(1,)]
        run(c, "SET time_zone = '+00:00'")
        moved = then - datetime.timedelta(seconds=int(offset))
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{moved}'") == [(1,)]


def test_ansi_quotes_and_backslashes_are_the_sessions(gate, table):
    with connect(gate) as c:
        assert rows(c, 'SELECT "cold1", COUNT(*) FROM cold1') == [("cold1", 2)]
        run(c, "SET sql_mode = 'ANSI_QUOTES'")
        assert rows(c, 'SELECT "id" FROM "cold1" ORDER BY "id"') == [(1,), (2,)]
        assert rows(c, 'SELECT "id" FROM "h" ORDER BY "id"') == [(1,), (2,)]
        run(c, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
        assert rows(c, r"SELECT 'a\' AS x, id FROM cold1 WHERE id = 1") == [("a\\", 1)]
        run(c, "SET sql_mode = ''")
        assert rows(c, r"SELECT 'a\'b' AS x, id FROM cold1 WHERE id = 1") == [("a'b", 1)]


@pytest.mark.parametrize("charset, text", [("latin1", "Käse"), ("gbk", "東京誠"), ("utf8mb4", "Łódź 🚆"), ("big5", "功能")])
def test_character_sets_of_the_session_hold_for_cold_rows(gate, charset, text):
    """The second byte of some characters of GBK and Big5 is a backslash or a quote's neighbour."""
    with connect(gate, charset="utf8mb4") as c:
        run(c, f"CREATE TABLE IF NOT EXISTS cs_{charset} (name VARCHAR(20)) ENGINE='OSS'", f"DELETE FROM cs_{charset}")
    with connect(gate, charset=charset) as c:
        with c.cursor() as cursor:
            cursor.execute(f"INSERT INTO cs_{charset} VALUES ('{text}')")
        assert rows(c, f"SELECT name FROM cs_{charset} WHERE name = '{text}'") == [(text,)]
        assert rows(c, f"SELECT '{text}'") == [(text,)]
    with connect(gate, charset="utf8mb4") as c:
        assert rows(c, f"SELECT name FROM cs_{charset}") == [(text,)]


def test_a_byte_that_looks_like_a_quote_in_gbk_hides_nothing(gate):
    """0xBF5C is one character of GBK. Who reads bytes sees an escaped quote, and the string end elsewhere."""
    with connect(gate, charset="gbk") as c:
        c.query(b"SELECT '\xbf\x5c', id FROM cold1 WHERE id = 1 -- '")
        ((first, number),) = c._result.rows
        assert number == 1 and len(first) == 1


def test_show_tables_lists_hot_tables_and_then_cold_ones(gate, table):
    with connect(gate) as c:
        names = [row[0] for row in rows(c, "SHOW TABLES")]
        assert "h" in names and "cold1" in names and names.index("h") < names.index("cold1")
        assert rows(c, "SHOW CREATE TABLE cold1")[0][0] == "cold1" and "InnoDB" in rows(c, "SHOW CREATE TABLE h")[0][1]


# --- prepared statements -----------------------------------------------------------------------------------------------------


class Raw(wire.Session):
    """A wire session whose statements are prepared and run one by one."""

    def __init__(self, address, database="hot"):
        capabilities = wire.PLUGIN_AUTH | wire.LONG_PASSWORD | wire.TRANSACTIONS | wire.DEPRECATE_EOF | wire.MULTI_RESULTS | wire.PS_MULTI_RESULTS
        super().__init__(address, wire.Script(wire.Login(database=database, capabilities=capabilities), [], kind="mysql"), False)
        self._login(self.script.login)

    def prepare(self, text):
        self._step(wire.Step([wire.Command(bytes([wire.PREPARE]) + text.encode())]))
        assert self.statements[-1] is not None, self.heard[-1]
        return self.statements[-1]

    def execute(self, number, parameters=b"", flags=0):
        """The packets of the rows."""
        before = len(self.heard)
        self._step(wire.Step([wire.Command(bytes([wire.EXECUTE]) + number.to_bytes(4, "little") + bytes([flags]) + b"\x01\0\0\0" + parameters)]))
        return [one.data[4:] for one in self.heard[before:]]


def test_prepared_statements_of_both_kinds_live_side_by_side(gate, table):
    session = Raw(gate.mysql)
    made = []
    for _ in range(3):
        made.append((session.prepare("SELECT name FROM cold1 WHERE id = ?"), b"one"))
        made.append((session.prepare("SELECT name FROM h WHERE id = ?"), b"eins"))
    assert len({number for number, _ in made}) == len(made)
    one = b"\0\x01\x03\0" + (1).to_bytes(4, "little")
    for number, want in made + made[::-1]:
        packets = session.execute(number, one)
        assert any(packet[2:] == bytes([len(want)]) + want for packet in packets), packets
    # Closing one of either leaves the others.
    for number, _ in made[:2]:
        session._step(wire.Step([wire.Command(bytes([wire.STMT_CLOSE]) + number.to_bytes(4, "little"))]))
    assert session.execute(made[0][0], one)[0][:1] == b"\xff" and session.execute(made[1][0], one)[0][:1] == b"\xff"
    for number, want in made[2:]:
        assert any(packet[2:] == bytes([len(want)]) + want for packet in session.execute(number, one))
    session.stream.close()


def test_a_reset_connection_forgets_statements_of_both_kinds(gate, table):
    session = Raw(gate.mysql)
    cold, hot = session.prepare("SELECT id FROM cold1"), session.prepare("SELECT id FROM h")
    session._step(wire.Step([wire.Command(bytes([wire.RESET_CONNECTION]))]))
    assert session.execute(cold)[0][:1] == b"\xff" and session.execute(hot)[0][:1] == b"\xff"
    session.stream.close()


def test_pipelined_commands_of_both_kinds_answer_in_order(gate, table):
    session = Raw(gate.mysql)
    texts = [
        "SELECT 'a'",
        "SELECT COUNT(*) FROM cold1",
        "SELECT 'b'",
        "SELECT absent FROM cold1",
        "SELECT 'c'",
        "SELECT name FROM cold1 WHERE id = 2",
        "SELECT name FROM h WHERE id = 2",
    ]
    session._step(wire.Step([wire.Command(b"\x03" + text.encode()) for text in texts * 4]))
    said = b"|".join(one.data for one in session.heard)
    at = 0
    for want in (b"\x01a", b"\x012", b"\x01b", b"absent", b"\x01c", b"\x03two", b"\x04zwei") * 4:
        assert want in said[at:], want
        at = said.index(want, at) + 1
    session.stream.close()


# --- clients -----------------------------------------------------------------------------------------------------------------


def test_mysql_connector_runs_hot_and_cold_prepared_and_not(gate, table):
    import mysql.connector

    host, port = gate.mysql
    for pure in (True, False):
        c = mysql.connector.connect(host=host, port=port, user="root", database="hot", ssl_disabled=True, use_pure=pure, autocommit=True)
        for prepared in (False, True):
            cursor = c.cursor(prepared=prepared)
            for name, want in (("cold1", [(1, "one")]), ("h", [(1, "eins")]), ("cold1", [(1, "one")])):
                cursor.execute(f"SELECT id, name FROM {name} WHERE id = %s", (1,))
                assert cursor.fetchall() == want, (pure, prepared, name)
            cursor.close()
        c.cmd_reset_connection()
        c.database = "hot"
        cursor = c.cursor()
        cursor.execute("SELECT COUNT(*) FROM cold1")
        assert cursor.fetchall() == [(2,)]
        c.cmd_change_user("native", PASSWORDS["native"], "hot")
        cursor = c.cursor()
        cursor.execute("SELECT CURRENT_USER(), COUNT(*) FROM h")
        assert cursor.fetchall() == [("native@%", 2)]
        c.close()


def test_mysqlclient_runs_hot_and_cold(gate, table):
    import MySQLdb

    host, port = gate.mysql
    c = MySQLdb.connect(host=host, port=port, user="root", database="hot", autocommit=True, ssl_mode="DISABLED")
    cursor = c.cursor()
    for _ in range(2):
        cursor.execute("SELECT id, name FROM cold1 WHERE id < %s ORDER BY id", (5,))
        assert cursor.fetchall() == ((1, "one"), (2, "two"))
        cursor.execute("SELECT id, name FROM h WHERE id < %s ORDER BY id", (5,))
        assert cursor.fetchall() == ((1, "eins"), (2, "zwei"))
    c.close()


def test_the_mariadb_program_runs_a_file_of_both(gate, table):
    host, port = gate.mysql
    text = f"SELECT id FROM cold1 ORDER BY id; SELECT name FROM h ORDER BY id; SELECT id FROM cold1 AS OF TIMESTAMP '{gate.then}'; USE other; SELECT COUNT(*) FROM hot.cold1;"
    done = subprocess.run(
        ["mariadb", "--no-defaults", "--skip-ssl", f"--host={host}", f"--port={port}", "--user=root", "--batch", "--skip-column-names", "hot"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["1", "2", "eins", "zwei", "1", "2"]), done.stderr


def test_mariadb_dump_of_the_hot_tables_is_the_same_as_directly(gate, maria, table):
    dumps = []
    for host, port in (gate.mysql, (maria.host, maria.port)):
        words = [
            "mariadb-dump",
            "--no-defaults",
            "--skip-ssl",
            f"--host={host}",
            f"--port={port}",
            "--user=root",
            "--skip-dump-date",
            "--single-transaction",
            "hot",
            "h",
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        dumps.append("\n".join(line for line in done.stdout.splitlines() if not line.startswith("--")))
    assert dumps[0] == dumps[1] and "eins" in dumps[0]


def test_local_files_are_the_clients_and_never_the_proxys(gate, table, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("10,zehn\n11,elf\n")
    with connect(gate, local_infile=True) as c:
        run(c, f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE h FIELDS TERMINATED BY ','")
        assert rows(c, "SELECT name FROM h WHERE id = 11") == [("elf",)]
    # A client that refuses the request gets the error of that, and no row of a file that Flashgate could read.
    with connect(gate, local_infile=False) as c:
        with pytest.raises(pymysql.Error):
            run(c, f"LOAD DATA LOCAL INFILE '{path}' REPLACE INTO TABLE h FIELDS TERMINATED BY ',' SET name = 'leaked'")
    with connect(gate) as c:
        assert rows(c, "SELECT COUNT(*) FROM h WHERE name = 'leaked'") == [(0,)]


def test_change_user_takes_the_new_ones_identity(gate, table):
    with connect(gate) as c:
        assert rows(c, "SELECT CURRENT_USER()")[0][0].startswith("root@")
    session = Raw(gate.mysql)
    login = wire.Login("native", PASSWORDS["native"], "other")

    def payload(s):
        answer = login.auth(s.plugin, s.nonce)
        return bytes([wire.CHANGE_USER]) + b"native\0" + bytes([len(answer)]) + answer + b"other\0\x2d\0" + s.plugin + b"\0"

    session._step(wire.Step([wire.Command(payload, login=login)]))
    session._step(wire.Step([wire.Command(b"\x03SELECT CONCAT(CURRENT_USER(), DATABASE())")]))
    assert any(b"native@%other" in one.data for one in session.heard)
    session.stream.close()


# --- KILL --------------------------------------------------------------------------------------------------------------------


def test_kill_query_stops_an_upstream_statement_and_the_connection_lives(gate):
    with connect(gate) as c, connect(gate) as other:
        caught = []

        def sleeper():
            try:
                caught.append(rows(c, "SELECT SLEEP(30), 'kill me'"))
            except pymysql.Error as error:
                caught.append(error.args[0])

        thread = threading.Thread(target=sleeper, daemon=True)
        thread.start()
        started = time.monotonic()
        assert eventually(lambda: any(row[7] and "kill me" in row[7] and row[0] == c.thread_id() for row in rows(other, "SHOW FULL PROCESSLIST")))
        run(other, f"KILL QUERY {c.thread_id()}")
        thread.join(20)
        assert not thread.is_alive() and time.monotonic() - started < 20
        assert caught == [1317] or caught == [[(1, "kill me")]]
        assert rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]


def test_kill_ends_the_connection_and_what_it_runs(gate, maria):
    c = connect(gate)
    number = c.thread_id()
    with connect(gate) as other:
        run(other, f"KILL {number}")
    with pytest.raises(pymysql.Error):
        rows(c, "SELECT 1")
    assert eventually(lambda: number not in maria.sessions())


def test_kill_query_stops_a_cold_statement(gate):
    slow = "SELECT SUM(t0.id * t39.id) FROM " + ", ".join(f"cold1 t{number}" for number in range(40))
    with connect(gate) as c, connect(gate) as other:
        caught = []

        def runner():
            try:
                caught.append(rows(c, slow))
            except pymysql.Error as error:
                caught.append(error.args[0])

        thread = threading.Thread(target=runner, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.2)
            run(other, f"KILL QUERY {c.thread_id()}")
        thread.join(1)
        assert not thread.is_alive() and caught == [1317]
        assert rows(c, "SELECT COUNT(*) FROM cold1") == [(2,)]


# --- logins ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["native", "unicode", "ed"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_every_plugin_of_mariadb_logs_in(maria, user, tls):
    with gated(mysql=maria, self_signed=tls) as running:
        host, port = running.mysql
        words = [
            "mariadb",
            "--no-defaults",
            f"--host={host}",
            f"--port={port}",
            f"--user={user}",
            "--default-character-set=utf8mb4",
            "--batch",
            "--skip-column-names",
            "hot",
        ]
        words += ["--ssl", "--skip-ssl-verify-server-cert"] if tls else ["--skip-ssl"]
        for password, right in ((PASSWORDS[user], True), ("Wrong1Password", False), ("", False)):
            done = subprocess.run(
                [*words, "--execute=SELECT CURRENT_USER()"],
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "MYSQL_PWD": password},
                stdin=subprocess.DEVNULL,
            )
            assert (done.returncode == 0) == right, (password, done.stderr)
            assert (done.stdout.strip() == f"{user}@%") == right
            assert right or "1045" in done.stderr
        assert PASSWORDS[user] not in running.log() and "Wrong1Password" not in running.log()


@pytest.mark.parametrize("pure", [True, False], ids=["pure", "C"])
def test_caching_sha2_logs_in_fully_and_then_fast_over_tls(pure, request):
    import mysql.connector

    server = need("mysql", request)
    with gated(mysql=server, self_signed=True, tls="required") as running:
        host, port = running.mysql
        server.forget_password()
        for _ in range(3):
            c = mysql.connector.connect(host=host, port=port, user="caching", password=PASSWORDS["caching"], database="hot", use_pure=pure)
            cursor = c.cursor()
            cursor.execute("SELECT CURRENT_USER()")
            assert cursor.fetchall() == [("caching@%",)]
            cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
            assert cursor.fetchall()[0][1]
            c.close()
        with pytest.raises(mysql.connector.Error) as caught:
            mysql.connector.connect(host=host, port=port, user="caching", password="Wrong1Password", use_pure=pure)
        assert caught.value.errno == 1045
        assert PASSWORDS["caching"] not in running.log()


def test_caching_sha2_logs_in_fully_over_plain_legs_by_the_servers_key(request):
    server = need("mysql", request)
    with gated(mysql=server) as running:
        server.forget_password()
        for _ in range(2):
            with connect(running, user="caching", password=PASSWORDS["caching"]) as c:
                assert rows(c, "SELECT CURRENT_USER()") == [("caching@%",)]


class Recorder:
    """What a wire tapper between Flashgate and its upstream reads: every byte of that leg."""

    def __init__(self, target):
        self.target, self.listener, self.seen = target, socket.create_server(("127.0.0.1", 0)), bytearray()
        self.text = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            behind = socket.create_connection(self.target)
            for source, sink in ((client, behind), (behind, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for stream in (source, sink):
                stream.close()


def test_a_password_that_came_over_tls_never_goes_on_in_the_clear(request):
    """Full authentication sends the password as it is inside TLS: with a plain leg behind, it must be refused."""
    import mysql.connector

    server = need("mysql", request)
    recorder = Recorder((server.host, server.port))
    with gated(mysql=recorder.text, self_signed=True, tls="disabled") as running:
        host, port = running.mysql
        server.forget_password()
        refused = None
        try:
            mysql.connector.connect(host=host, port=port, user="caching", password=PASSWORDS["caching"], use_pure=True, connection_timeout=20).close()
        except mysql.connector.Error as error:
            refused = error
        assert len(recorder.seen) > 50 and PASSWORDS["caching"].encode() not in bytes(recorder.seen)
        assert refused is not None and PASSWORDS["caching"] not in str(refused)
        # It says what is wrong, not that the connection was lost.
        assert "unencrypted" in str(refused), refused
        assert PASSWORDS["caching"] not in running.log()


class Tricky:
    """An upstream that asks for passwords as they are: mysql_clear_password, and full authentication of caching_sha2."""

    def __init__(self, *questions):
        self.questions, self.listener, self.seen = questions, socket.create_server(("127.0.0.1", 0)), bytearray()
        self.text = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(10)
            capabilities = wire.PROTOCOL_41 | wire.SECURE_CONNECTION | wire.PLUGIN_AUTH | wire.LONG_PASSWORD | wire.CONNECT_WITH_DB | wire.PLUGIN_AUTH_LENENC
            greeting = b"\n9.7.0\0" + b"\7\0\0\0" + b"12345678\0" + (capabilities & 0xFFFF).to_bytes(2, "little") + b"\x2d\2\0"
            greeting += (capabilities >> 16).to_bytes(2, "little") + b"\x15" + bytes(10) + b"123456789012\0caching_sha2_password\0"
            try:
                client.sendall(wire.framed(greeting))
                self.seen += client.recv(4096)
                sequence = 2
                for question in self.questions:
                    client.sendall(wire.framed(question, sequence))
                    self.seen += client.recv(4096)
                    sequence += 2
                client.sendall(wire.framed(b"\xff\x15\x04#28000no", sequence))
            except OSError:
                pass
            client.close()


@pytest.mark.parametrize(
    "question", [b"\x01\x04", b"\xfemysql_clear_password\0", b"\xfecaching_sha2_password\012345678901234567890\0"], ids=["full", "clear", "switch"]
)
def test_a_plain_upstream_that_asks_for_the_password_of_a_tls_client_does_not_get_it(question):
    fake = Tricky(question, b"\x01\x04")
    with gated(mysql=fake.text, self_signed=True) as running:
        login = wire.Login("ann", "Quince7Marmalade", capabilities=wire.PLUGIN_AUTH | wire.LONG_PASSWORD)
        session = wire.Session(running.mysql, wire.Script(login, [], kind="mysql"), True, patience=10)
        original = login.auth
        # A client as unwary as can be: inside TLS it says its password to whoever asks.
        login.auth = lambda plugin, nonce: b"Quince7Marmalade\0" if plugin == b"mysql_clear_password" else original(plugin, nonce)
        heard = session.run()
        assert b"Quince7Marmalade" not in bytes(fake.seen)
        assert heard[-1].data[4:5] == b"\xff" or heard[-1].label == "closed"
        assert any(one.data[4:5] == b"\xff" for one in heard), "the client is told"


# --- TLS to the upstream -------------------------------------------------------------------------------------------------------


def cipher(c):
    return rows(c, "SHOW STATUS LIKE 'Ssl_cipher'")[0][1]


def try_login(running, **more):
    try:
        with connect(running, **more) as c:
            return cipher(c)
    except pymysql.Error as error:
        return error


@pytest.mark.parametrize(
    "mode, name, ca, works",
    [
        ("disabled", "127.0.0.1", "right", True),
        ("preferred", "127.0.0.1", "right", True),
        ("required", "127.0.0.1", "right", True),
        ("verify-ca", "127.0.0.1", "right", True),
        ("verify-ca", "127.0.0.1", "wrong", False),
        ("verify-full", "localhost", "right", True),
        ("verify-full", "127.0.0.1", "right", False),
        ("verify-full", "localhost", "wrong", False),
    ],
)
def test_tls_modes_to_the_upstream(maria, mode, name, ca, works):
    path = certificates().ca if ca == "right" else certificates().other_ca
    env = {"FLASHGATE_UPSTREAM_MYSQL_CA": str(path)} if mode.startswith("verify") else {}
    with gated(mysql=f"{name}:{maria.port}", tls=mode, env=env) as running:
        got = try_login(running)
        if not works:
            assert isinstance(got, pymysql.Error), "a certificate that is not right was taken"
            assert any(word in str(got).lower() for word in ("tls", "certificate", "ssl")), got
        else:
            assert not isinstance(got, Exception), got
            # The client's leg is plain: `preferred` follows it.
            assert bool(got) == (mode not in ("disabled", "preferred"))


def test_preferred_follows_the_clients_leg(maria):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with gated(mysql=maria, self_signed=True) as running:
        assert try_login(running) == ""
        assert try_login(running, ssl_disabled=False, ssl=context)
        # Who must come over TLS may, when both legs are.
        assert try_login(running, ssl_disabled=False, ssl=context, user="tlsonly", password=PASSWORDS["tlsonly"])
        assert isinstance(try_login(running, user="tlsonly", password=PASSWORDS["tlsonly"]), pymysql.Error)


def test_required_is_refused_by_an_upstream_without_tls(maria):
    fake = Tricky()
    with gated(mysql=fake.text, tls="required") as running:
        got = try_login(running)
        assert isinstance(got, pymysql.Error) and any(word in str(got).lower() for word in ("tls", "ssl")), got
