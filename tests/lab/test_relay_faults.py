"""What goes wrong between client, Flashgate and upstream: databases that die, networks that cut, clients that vanish or read slowly,
bytes that mean nothing. Nothing hangs, the server lives, and other sessions notice nothing."""

import contextlib
import random
import resource
import signal
import socket
import struct
import threading
import time

import psycopg
import pymysql
import pytest

from conftest import eventually, free_port
from relay import mysql as my
from relay import postgres as pg
from relay.wire import Hangs, Stream
from upstreams import FORWARD, Forwarder, gate, gated, private, resident, upstream

# What a hang is: much longer than anything here takes.
PATIENCE = 15
WIRES = pytest.mark.parametrize("wire", ["mysql", "postgres"])


def base(wire):
    return upstream("mariadb" if wire == "mysql" else "postgres")


def connect(running, wire, **more):
    if wire == "mysql":
        host, port = running.mysql
        return pymysql.connect(**{"host": host, "port": port, "user": "root", "database": "hot", "ssl_disabled": True, "autocommit": True, "connect_timeout": PATIENCE, "read_timeout": PATIENCE, **more})
    host, port = running.postgres
    return psycopg.connect(**{"host": host, "port": port, "user": "root", "dbname": "hot", "sslmode": "disable", "autocommit": True, "connect_timeout": PATIENCE, **more})


def rows(c, text):
    with c.cursor() as cursor:
        cursor.execute(text)
        return [tuple(row) for row in cursor.fetchall()]


def memory(running):
    """Flashgate's resident memory; nothing of the forwarder that stands for it is measured."""
    return resident(running.process) if running.process else 0


def login(running, wire, patience=PATIENCE):
    """A raw session that is logged in."""
    if wire == "mysql":
        capabilities = my.PLUGIN_AUTH | my.LONG_PASSWORD | my.TRANSACTIONS | my.DEPRECATE_EOF | my.LOCAL_FILES
        session = my.Session(running.mysql, my.Script(my.Login(database="hot", capabilities=capabilities), [], kind="mysql"), False, patience)
    else:
        session = pg.Session(running.postgres, pg.Script(pg.Login([("user", "root"), ("database", "hot")]), []), False, patience)
    session._login(session.script.login)
    return session


def asks(wire, text):
    return my.framed(b"\x03" + text.encode()) if wire == "mysql" else pg.message(b"Q", text.encode() + b"\0")


LARGE = {
    "mysql": "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_3000", "postgres": "SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) AS i",
}
ENDLESS = {
    "mysql": "SELECT seq, REPEAT('x', 10000) FROM seq_1_to_100000", "postgres": "SELECT i, repeat('x', 10000) FROM generate_series(1, 100000) AS i",
}


class Witness:
    """Another session that must notice nothing: it runs a statement again and again, and remembers the slowest and every error."""

    def __init__(self, running, wire):
        self.connection, self.errors, self.count, self.slowest, self._stop = connect(running, wire), [], 0, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self._stop.wait(0.01):
            started = time.monotonic()
            try:
                assert rows(self.connection, "SELECT 41 + 1") == [(42,)]
            except Exception as error:
                self.errors.append(repr(error))
                return
            self.count += 1
            self.slowest = max(self.slowest, time.monotonic() - started)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive() and self.errors == []
        assert self.count > 0 and self.slowest < PATIENCE
        self.connection.close()


def gone(server, before):
    """Whether no sessions are left in the upstream but those that were there."""
    return eventually(lambda: not (server.sessions() - before), timeout=20)


# --- the upstream goes -------------------------------------------------------------------------------------------------------


@WIRES
@pytest.mark.parametrize("hard", [False, True], ids=["FIN", "RST"])
def test_an_upstream_cut_at_any_byte_of_a_response_ends_that_session_and_no_other(wire, hard):
    server = base(wire)
    rnd = random.Random(4711)
    # How much a whole session takes: then every cut is before its end.
    counted = Forwarder((server.host, server.port))
    points = sorted({*range(1, 130, 9), *(rnd.randrange(130, 200_000) for _ in range(25))})
    counted.close()
    between = Forwarder((server.host, server.port), hard=hard)
    with gated(**{server.protocol: between.text}) as running, Witness(running, wire):
        for point in points:
            between.cut_after = point
            stream = Stream(getattr(running, wire), PATIENCE)
            ended = threading.Event()
            got = bytearray()
            try:
                speak(stream, wire, got)
            except (EOFError, ConnectionError):
                ended.set()
            except Hangs as error:
                raise AssertionError(f"cut after {point} bytes: {error}") from None
            finally:
                stream.close()
            assert ended.is_set(), f"cut after {point} bytes, the client got a whole answer"
    between.close()


def speak(stream, wire, got):
    """Logs in and asks for much, as a client that reads whatever comes; ends with EOFError."""
    if wire == "mysql":
        head = stream.exactly(4)
        greeting = stream.exactly(int.from_bytes(head[:3], "little"))
        if greeting[:1] == b"\xff":
            stream.exactly(1)
        capabilities = my.PROTOCOL_41 | my.SECURE_CONNECTION | my.PLUGIN_AUTH | my.LONG_PASSWORD | my.CONNECT_WITH_DB
        body = struct.pack("<IIB23x", capabilities, 1 << 24, 45) + b"root\0\0hot\0mysql_native_password\0"
        stream.send(my.framed(body, 1))
        head = stream.exactly(4)
        if stream.exactly(int.from_bytes(head[:3], "little"))[:1] != b"\0":
            stream.exactly(1)
    else:
        stream.send(pg.startup([("user", "root"), ("database", "hot")]))
        kind = b""
        while kind != b"Z":
            head = stream.exactly(5)
            kind = head[:1]
            stream.exactly(struct.unpack(">I", head[1:])[0] - 4)
    stream.send(asks(wire, LARGE[wire]))
    while len(got) < 300_000:
        got += stream.exactly(1)[:1] + stream.exactly(999)


@WIRES
def test_an_upstream_that_is_killed_and_comes_back_is_used_again(wire):
    server = private("mariadb" if wire == "mysql" else "postgres", f"killed-{wire}")
    with gated(**{server.protocol: server}) as running:
        idle, busy, amid = connect(running, wire), connect(running, wire), login(running, wire)
        caught = []

        def sleeper():
            try:
                rows(busy, "SELECT SLEEP(60)" if wire == "mysql" else "SELECT pg_sleep(60)")
            except (pymysql.Error, psycopg.Error, OSError) as error:
                caught.append(error)

        thread = threading.Thread(target=sleeper)
        thread.start()
        amid.stream.send(asks(wire, ENDLESS[wire]))
        amid.stream.exactly(100_000)
        time.sleep(0.2)
        server.kill()
        thread.join(PATIENCE)
        assert not thread.is_alive() and caught, "a running statement hangs when its database dies"
        with contextlib.suppress(EOFError):
            amid.stream.rest()
        with pytest.raises((pymysql.Error, psycopg.Error)):
            rows(idle, "SELECT 1")
        # Down: an error that says so, soon.
        started = time.monotonic()
        with pytest.raises((pymysql.Error, psycopg.Error)) as refused:
            connect(running, wire)
        assert time.monotonic() - started < PATIENCE
        if not FORWARD:
            assert "upstream" in str(refused.value).lower() or "connect" in str(refused.value).lower()
        server.start()
        with connect(running, wire) as c:
            assert rows(c, "SELECT 1") == [(1,)]
        # An orderly restart: the database's own goodbye, or the end of the connection.
        c = connect(running, wire)
        server.restart()
        with pytest.raises((pymysql.Error, psycopg.Error)):
            rows(c, "SELECT 1")
        with connect(running, wire) as c:
            assert rows(c, "SELECT 1") == [(1,)]
    server.kill()


@WIRES
def test_an_upstream_that_never_was_is_an_error_and_cold_start_does_not_wait_for_it(wire):
    with gated(**{wire: f"127.0.0.1:{free_port()}"}) as running:
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises((pymysql.Error, psycopg.Error)):
                connect(running, wire)
            assert time.monotonic() - started < PATIENCE


@WIRES
def test_an_upstream_that_takes_connections_and_says_nothing_is_given_up(wire):
    """Half open: the kernel accepts, nobody answers."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=50)
    name = f"FLASHGATE_UPSTREAM_{wire.upper()}_CONNECT_TIMEOUT"
    with gated(**{wire: "127.0.0.1:%d" % silent.getsockname()[1]}, env={name: "2s"}) as running:
        started = time.monotonic()
        stream = Stream(getattr(running, wire), PATIENCE)
        if wire == "postgres":
            stream.send(pg.startup([("user", "root"), ("database", "hot")]))
        with contextlib.suppress(EOFError):
            stream.rest()
        assert time.monotonic() - started < PATIENCE
    silent.close()


@WIRES
def test_a_stalled_upstream_holds_up_its_own_session_only(wire):
    server = base(wire)
    between = Forwarder((server.host, server.port))
    with gated(**{server.protocol: between.text}) as running:
        c = connect(running, wire)
        between.stall.set()
        got = []
        thread = threading.Thread(target=lambda: got.append(rows(c, "SELECT 'late'")))
        thread.start()
        time.sleep(1)
        assert got == []
        between.stall.clear()
        thread.join(PATIENCE)
        assert got == [[("late",)]]
        c.close()
    between.close()


@WIRES
def test_garbage_from_the_upstream_ends_the_session_only(wire):
    rnd = random.Random(8)
    answers = [b"", b"\0" * 50, b"\xff" * 50, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xff\xff\0" + b"x" * 100, b"R\x7f\xff\xff\xff", b"R\0\0\0\0", b"E\0\0\0\3", b"\1\0\0\0", b"\n"]
    answers += [bytes(rnd.randrange(256) for _ in range(rnd.randrange(1, 300))) for _ in range(40)]
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    given = iter(answers * 2)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), client:
                if wire == "postgres":
                    client.settimeout(5)
                    client.recv(1000)
                client.sendall(next(given, b""))
                client.shutdown(socket.SHUT_WR)
                client.settimeout(2)
                client.recv(100)

    threading.Thread(target=serve, daemon=True).start()
    with gated(**{wire: "127.0.0.1:%d" % listener.getsockname()[1]}) as running:
        for number in range(len(answers)):
            stream = Stream(getattr(running, wire), PATIENCE)
            stream.send(pg.startup([("user", "root"), ("database", "hot")]) if wire == "postgres" else my.framed(b"x" * 60, 1))
            stream.rest()
            stream.close()
        assert memory(running) < 1 << 30, "a length that somebody claims is not memory"
    listener.close()


@WIRES
def test_garbage_in_the_middle_of_a_session_ends_it_only(wire):
    """A database that goes mad after the login."""
    server = base(wire)
    mad = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    rnd = random.Random(15)

    def pump(source, sink, spoil):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(bytes(rnd.randrange(256) for _ in range(len(data))) if spoil and mad.is_set() else data)
            sink.shutdown(socket.SHUT_WR)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            behind = socket.create_connection((server.host, server.port))
            threading.Thread(target=pump, args=(client, behind, False), daemon=True).start()
            threading.Thread(target=pump, args=(behind, client, True), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with gated(**{server.protocol: "127.0.0.1:%d" % listener.getsockname()[1]}) as running:
        for _ in range(15):
            mad.clear()
            session = login(running, wire, 3)
            mad.set()
            session.stream.send(asks(wire, LARGE[wire].replace("3000", "100")))
            # Whatever comes: it is over when the client leaves.
            with contextlib.suppress(Exception):
                session.stream.exactly(2000)
            session.stream.close()
        mad.clear()
        with connect(running, wire) as c:
            assert rows(c, "SELECT 1") == [(1,)]
    listener.close()


# --- the client goes -----------------------------------------------------------------------------------------------------------


@WIRES
@pytest.mark.parametrize("hard", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("where", ["idle", "long query", "amid rows", "amid upload", "amid a packet", "in a transaction"])
def test_the_session_of_a_client_that_vanishes_ends_in_the_upstream(wire, hard, where):
    server = base(wire)
    before = server.sessions()
    database = {"dbname": "hot"} if wire == "postgres" else {}
    name = "upload" if wire == "postgres" else "hot.upload"
    server.sql(f"CREATE TABLE IF NOT EXISTS {name} (id INT, name VARCHAR(100))", **database)
    with gated(**{server.protocol: server}) as running, Witness(running, wire):
        kept = server.sessions()
        session = login(running, wire)
        if where == "long query":
            # PostgreSQL itself looks for a lost client only when it writes, unless it is told to look.
            if wire == "postgres":
                session._step(pg.Step([(b"Q", b"SET client_connection_check_interval = 500\0")]))
            session.stream.send(asks(wire, "SELECT SLEEP(6)" if wire == "mysql" else "SELECT pg_sleep(60)"))
        elif where == "amid rows":
            session.stream.send(asks(wire, ENDLESS[wire]))
            session.stream.exactly(50_000)
        elif where == "amid upload":
            if wire == "mysql":
                session.stream.send(asks(wire, "LOAD DATA LOCAL INFILE 'f' INTO TABLE upload FIELDS TERMINATED BY ','"))
                session.stream.exactly(5)
                session.stream.send(my.framed(b"1,part\n" * 500, 2))
            else:
                session._step(pg.Step([(b"Q", b"COPY upload FROM STDIN\0")]))
                session.stream.send(pg.message(b"d", b"1\tpart\n" * 500))
        elif where == "amid a packet":
            session.stream.send(asks(wire, "SELECT 1 /* " + "x" * 1000 + " */")[:500])
        elif where == "in a transaction":
            for text in ("BEGIN", "DELETE FROM upload"):
                session.stream.send(asks(wire, text))
                time.sleep(0.1)
        time.sleep(0.3)
        assert server.sessions() - kept, "there is a session to end"
        if hard:
            session.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.stream.close()
        assert gone(server, kept), "the upstream's session outlives its client"
        assert server.sql(f"SELECT COUNT(*) FROM {name}", **database)[0][0] == 0
    assert gone(server, before)


# --- slow, many, and mad clients -----------------------------------------------------------------------------------------------


@WIRES
def test_a_slow_reader_of_much_does_not_fill_the_memory(wire):
    """A gigabyte of rows for a client that reads next to nothing."""
    server = base(wire)
    with gated(**{server.protocol: server}) as running, Witness(running, wire):
        started = memory(running)
        sessions = [login(running, wire) for _ in range(4)]
        most = 0
        for session in sessions:
            session.stream.send(asks(wire, ENDLESS[wire]))
        for _ in range(40):
            for session in sessions:
                session.stream.exactly(1000)
            time.sleep(0.05)
            most = max(most, memory(running))
        for session in sessions:
            session.stream.close()
        assert most - started < 64 << 20, f"{(most - started) >> 20} MiB more for 4 slow readers"


@WIRES
def test_a_large_result_streams_through(wire):
    server = base(wire)
    with gated(**{server.protocol: server}) as running:
        with connect(running, wire) as c:
            rows(c, LARGE[wire])
            started, most, done = memory(running), [0], threading.Event()

            def watch():
                while not done.wait(0.01):
                    most[0] = max(most[0], memory(running))

            thread = threading.Thread(target=watch)
            thread.start()
            session = login(running, wire)
            session.stream.send(asks(wire, ENDLESS[wire].replace("100000", "30000")))
            got = 0
            while got < 290_000_000:
                session.stream.exactly(1_000_000)
                got += 1_000_000
            session.stream.close()
            done.set()
            thread.join()
            assert most[0] - started < 64 << 20, f"{(most[0] - started) >> 20} MiB more for 300 MB of rows"


@WIRES
def test_an_upload_streams_through(wire):
    """COPY and LOAD DATA of 200 MB: nothing of it is kept."""
    server = base(wire)
    with gated(**{server.protocol: server}) as running:
        started, most = memory(running), 0
        session = login(running, wire)
        piece = b"x" * 999 + b"\n"
        if wire == "mysql":
            session._step(my.Step([my.Command(b"\x03CREATE TEMPORARY TABLE sink (pad CHAR(1))")]))
            session._step(my.Step([my.Command(b"\x03SET sql_mode = ''")]))
            # Lines that do not start so are none: the database keeps nothing.
            session.stream.send(asks(wire, "LOAD DATA LOCAL INFILE 'f' INTO TABLE sink LINES STARTING BY 'never'"))
            head = session.stream.exactly(4)
            assert session.stream.exactly(head[0])[:1] == b"\xfb"
            for number in range(2000):
                session.stream.send(my.framed(piece * 100, 2 + number))
                most = max(most, memory(running)) if number % 50 == 0 else most
            session.stream.send(my.framed(b"", 2 + 2000))
            assert session._packet()[:1] == b"\0"
        else:
            session._step(pg.Step([(b"Q", b"CREATE TEMP TABLE sink (pad TEXT)\0")]))
            session._step(pg.Step([(b"Q", b"COPY sink FROM STDIN WHERE false\0")]))
            assert session.copying
            for number in range(2000):
                session.stream.send(pg.message(b"d", piece * 100))
                most = max(most, memory(running)) if number % 50 == 0 else most
            session._step(pg.Step([(b"c", b"")]))
            assert any(one.data == b"CCOPY 0\0" for one in session.heard)
        session.stream.close()
        assert most - started < 64 << 20, f"{(most - started) >> 20} MiB more for 200 MB of rows"


@WIRES
def test_many_idle_connections_cost_little_and_stay_usable(wire):
    server = base(wire)
    count = 1000 if wire == "mysql" else 250
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    before = server.sessions()
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_CONNECTIONS": "2000"}) as running:
        for _ in range(20):
            connect(running, wire).close()
        started = memory(running)
        sessions = [login(running, wire) for _ in range(count)]
        try:
            each = (memory(running) - started) / count
            assert each < 100 * 1024, f"{each / 1024:.0f} KiB for each idle connection"
            assert len(server.sessions() - before) >= count
            for session in sessions[:: max(1, count // 50)]:
                text = b"SELECT 'awake'"
                session._step(my.Step([my.Command(b"\x03" + text)]) if wire == "mysql" else pg.Step([(b"Q", text + b"\0")]))
                assert any(b"awake" in one.data[-20:] for one in session.heard[-3:])
        finally:
            for session in sessions:
                session.stream.close()
        assert gone(server, before)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@WIRES
def test_garbage_from_clients_harms_nobody(wire):
    server = base(wire)
    rnd = random.Random(16)
    before = server.sessions()
    with gated(**{server.protocol: server}) as running, Witness(running, wire):
        kept = server.sessions()
        for number in range(60):
            stream = Stream(getattr(running, wire), PATIENCE)
            kind = number % 6
            if kind == 0:
                stream.send(bytes(rnd.randrange(256) for _ in range(rnd.randrange(1, 2000))))
            elif kind == 1:
                stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            elif kind == 2:
                stream.send(b"\xff\xff\xff\1" + b"z" * 1000 if wire == "mysql" else b"\x7f\xff\xff\xff\0\3\0\0")
            elif kind == 3:
                stream.send(b"\0\0\0\1" if wire == "mysql" else struct.pack(">I", 4))
            elif kind == 4:
                stream.send(b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(500))
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()
        for number in range(30):
            session = login(running, wire)
            if wire == "mysql":
                session.stream.send(rnd.choice([
                    my.framed(bytes(rnd.randrange(256) for _ in range(rnd.randrange(1, 200)))), b"\xff\xff\xff\0" + b"\x03SELECT 1", b"\5\0\0\x07\x03SEL", my.framed(b""),
                    my.framed(b"\x17" + bytes(3)), my.framed(b"\x18"), my.framed(b"\x11" + b"x" * 40), my.framed(b"\x1c\1\0\0\0"),
                ]))
            else:
                session.stream.send(rnd.choice([
                    bytes(rnd.randrange(256) for _ in range(rnd.randrange(5, 200))), b"Q\x7f\xff\xff\xffSELECT", b"Q\0\0\0\3", b"Q\0\0\0\4", b"P\0\0\0\5\0", b"B" + struct.pack(">i", -1), b"d\0\0\0\5x",
                ]))
            time.sleep(0.005)
            session.stream.close()
        assert memory(running) < 1 << 30, "a length that somebody claims is not memory"
        assert gone(server, kept)
    assert gone(server, before)


@WIRES
def test_a_client_that_never_logs_in_holds_no_upstream_session_for_ever(wire):
    server = base(wire)
    with gated(**{server.protocol: server}) as running:
        kept = server.sessions()
        streams = [Stream(getattr(running, wire), PATIENCE) for _ in range(30)]
        if wire == "mysql":
            for stream in streams:
                stream.exactly(4)
        for stream in streams:
            stream.close()
        assert gone(server, kept)
        with connect(running, wire) as c:
            assert rows(c, "SELECT 1") == [(1,)]


# --- the end of Flashgate --------------------------------------------------------------------------------------------------------


@WIRES
def test_a_killed_flashgate_leaves_no_session_in_the_upstream(wire, tmp_path):
    server = base(wire)
    before = server.sessions()
    running = gate(tmp_path, **{server.protocol: server})
    sessions = [login(running, wire) for _ in range(5)]
    assert len(server.sessions() - before) >= 5
    running.kill()
    assert gone(server, before)
    for session in sessions:
        session.stream.close()


@WIRES
def test_a_stopping_flashgate_lets_a_statement_end_and_exits(wire, tmp_path):
    server = base(wire)
    before = server.sessions()
    running = gate(tmp_path, **{server.protocol: server})
    try:
        c, idle = connect(running, wire), connect(running, wire)
        got = []
        thread = threading.Thread(target=lambda: got.append(rows(c, "SELECT SLEEP(1), 'ended'" if wire == "mysql" else "SELECT 0, 'ended' FROM pg_sleep(1)")))
        thread.start()
        time.sleep(0.3)
        if not FORWARD:
            running.process.send_signal(signal.SIGTERM)
            # It exits though a client is idle.
            assert running.process.wait(30) == 0
        thread.join(PATIENCE)
        assert got == [[(0, "ended")]]
        idle.close()
        c.close()
        assert gone(server, before)
        assert "panicked" not in running.log()
    finally:
        running.kill()
