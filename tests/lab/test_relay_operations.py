"""What an operator relies on: peers that die are noticed, a stop lets transactions end, the configuration is read again under load,
load balancers are believed where they are trusted, and what is measured is true."""

import contextlib
import json
import os
import pathlib
import selectors
import signal
import socket
import struct
import threading
import time

import psycopg
import pymysql
import pytest

from conftest import Flashgate, eventually, free_port
from relay import mysql as my
from relay import postgres as pg
from relay.wire import Stream
from test_relay_faults import ENDLESS, PATIENCE, WIRES, asks, base, connect, login, rows
from upstreams import PASSWORDS, Forwarder, MariaDb, certificates, gated, home, need, upstream
from wires import run

TCP_REPAIR = 19
CLIENT = "192.0.2.7"


def vanish(stream):
    """Closes a socket as a power cut does: the other side hears nothing of it."""
    stream.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    stream.close()


def gauge(running, line):
    """The value of a metric, with its labels as they are rendered; None: it is not there."""
    for found in running.get("/metrics")[1].splitlines():
        if found.startswith(line + " "):
            return float(found.rsplit(" ", 1)[1])
    return None


def connections(running, wire):
    return gauge(running, f'flashgate_connections{{protocol="{wire}"}}') or 0


def fails(code, statement):
    with pytest.raises((pymysql.Error, psycopg.Error)) as caught:
        statement()
    error = caught.value
    assert (error.args[0] if isinstance(error, pymysql.Error) else error.sqlstate) == code, error


# --- dead peers ------------------------------------------------------------------------------------------------------------


def timers(*ports):
    """What the kernel waits for on the connections that a server at these ports has accepted or that go there: {(local, remote): (timer, seconds)}."""
    out = {}
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote = (int(words[n].split(":")[1], 16) for n in (1, 2))
        if words[3] == "01" and (local in ports or remote in ports):
            kind, when = words[5].split(":")
            out[local, remote] = (int(kind), int(when, 16) / os.sysconf("SC_CLK_TCK"))
    return out


KEEPALIVE = 2


@WIRES
def test_the_kernel_asks_both_legs_whether_they_live(wire):
    server = base(wire)
    for setting, asked in (("90s", True), ("off", False)):
        with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_KEEPALIVE": setting}) as running:
            before = set(timers(server.port))
            with connect(running, wire) as c:
                rows(c, "SELECT 1")
                ours = getattr(running, wire)[1]

                def legs():
                    out = [timer for (local, _), timer in timers(ours).items() if local == ours]
                    return out + [timer for (local, remote), timer in timers(server.port).items() if remote == server.port and (local, remote) not in before]

                # Until the last bytes are acknowledged another timer runs.
                assert eventually(lambda: len(legs()) >= 2 and all(kind != 1 for kind, _ in legs()))
                keepalive = [seconds for kind, seconds in legs() if kind == KEEPALIVE and 60 < seconds <= 90]
                assert len(keepalive) == (2 if asked else 0), legs()


@WIRES
def test_a_client_whose_machine_died_gives_its_place_back(wire):
    server = base(wire)
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_KEEPALIVE": "1s"}) as running:
        kept = server.sessions()
        alive = connect(running, wire)
        dead = login(running, wire)
        assert connections(running, wire) == 2 and len(server.sessions() - kept) == 2
        vanish(dead.stream.socket)
        assert eventually(lambda: connections(running, wire) == 1, timeout=20), "a dead client keeps its place"
        assert eventually(lambda: len(server.sessions() - kept) == 1)
        time.sleep(3)
        assert rows(alive, "SELECT 1") == [(1,)], "a client that lives and is silent is kept"
        alive.close()


class Switch:
    """A forwarder of one thread, so that its sockets can vanish without a word."""

    def __init__(self, target):
        self.target, self.peers, self.selector, self.die = target, {}, selectors.DefaultSelector(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.text = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.selector.register(self.listener, selectors.EVENT_READ)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while not self.die.is_set():
            for key, _ in self.selector.select(0.05):
                if key.fileobj is self.listener:
                    pair = (self.listener.accept()[0], socket.create_connection(self.target))
                    for own, other in (pair, pair[::-1]):
                        self.peers[own] = other
                        self.selector.register(own, selectors.EVENT_READ)
                    continue
                data = key.fileobj.recv(65536)
                if data:
                    self.peers[key.fileobj].sendall(data)
                else:
                    self.selector.unregister(key.fileobj)
        self.listener.close()
        for own in self.peers:
            vanish(own)


@WIRES
def test_an_upstream_whose_machine_died_ends_its_clients(wire):
    server = base(wire)
    between = Switch((server.host, server.port))
    with gated(**{server.protocol: between.text}, env={"FLASHGATE_LIMITS_KEEPALIVE": "1s"}) as running:
        session = login(running, wire, 20)
        between.die.set()
        started = time.monotonic()
        session.stream.rest()
        assert time.monotonic() - started < 15
        assert eventually(lambda: connections(running, wire) == 0)


@WIRES
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_client_that_reads_nothing_is_ended_and_a_slow_one_is_not(wire, tls):
    server = base(wire)
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_WRITE_TIMEOUT": "2s"}, self_signed=tls) as running:
        kept = server.sessions()
        stuck, slow = login(running, wire), login(running, wire)
        for session in (stuck, slow):
            session.stream.send(asks(wire, ENDLESS[wire]))
        started, ended = time.monotonic(), None
        while time.monotonic() - started < 12:
            slow.stream.exactly(1 << 20)
            time.sleep(0.2)
            if ended is None and connections(running, wire) == 1:
                ended = time.monotonic() - started
        assert ended is not None and ended > 1.5, f"a client that reads nothing was ended after {ended}"
        assert connections(running, wire) == 1 and len(server.sessions() - kept) == 1
        assert "takes nothing of what is sent to it" in running.log()
        slow.stream.close()
        stuck.stream.close()


@WIRES
def test_a_client_that_reads_nothing_of_a_cold_answer_is_ended(wire):
    server = base(wire)
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_WRITE_TIMEOUT": "2s"}) as running:
        with connect(running, wire) as c, c.cursor() as cursor:
            cursor.execute("CREATE TABLE unread (id INT) ENGINE='OSS'" if wire == "mysql" else "CREATE TABLE unread (id INT) WITH (engine = 'OSS')")
            cursor.execute("INSERT INTO unread VALUES " + ", ".join(f"({n})" for n in range(200)))
        session = login(running, wire)
        session.stream.send(asks(wire, "SELECT REPEAT('x', 5000) FROM unread a, unread b"))
        session.stream.exactly(1000)
        assert eventually(lambda: connections(running, wire) == 0, timeout=15), "it keeps its place for ever"
        session.stream.close()


@WIRES
def test_an_upstream_that_goes_while_its_client_reads_nothing_frees_the_place(wire):
    server = base(wire)
    between = Forwarder((server.host, server.port))
    with gated(**{server.protocol: between.text}, env={"FLASHGATE_LIMITS_WRITE_TIMEOUT": "2s"}) as running:
        session = login(running, wire)
        session.stream.send(asks(wire, ENDLESS[wire]))
        session.stream.exactly(1000)
        time.sleep(1)
        between.cut_all()
        assert eventually(lambda: connections(running, wire) == 0, timeout=15)
        session.stream.close()
    between.close()


@WIRES
def test_a_slow_reader_gets_all_that_an_upstream_said_before_it_went(wire):
    """What was read of it is delivered, however slowly it is taken."""
    server = base(wire)
    size = 3_000_000
    between = Forwarder((server.host, server.port), hard=False)
    with gated(**{server.protocol: between.text}) as running:
        session = login(running, wire)
        session.stream.send(asks(wire, ENDLESS[wire]))
        first = len(session.stream.exactly(size))
        # Nobody reads while it goes.
        between.cut_all()
        time.sleep(3)
        rest = len(session.stream.rest())
        assert first == size and rest > 0
    between.close()


# --- the end of Flashgate ------------------------------------------------------------------------------------------------


def table(server, wire, name):
    create = f"CREATE TABLE {name} (id INT)"
    if wire == "mysql":
        server.sql(f"DROP TABLE IF EXISTS hot.{name}", create.replace(name, f"hot.{name}"))
        return lambda: [row[0] for row in server.sql(f"SELECT id FROM hot.{name} ORDER BY id")]
    server.sql(f"DROP TABLE IF EXISTS {name}", create, dbname="hot")
    return lambda: [row[0] for row in server.sql(f"SELECT id FROM {name} ORDER BY id", dbname="hot")]


def goodbye(wire):
    return b"\xff\x1d\x04#08S01Server shutdown in progress" if wire == "mysql" else b"C57P01\0"


@WIRES
def test_a_stop_lets_transactions_end_and_tells_the_others(wire, tmp_path):
    server = base(wire)
    kept = table(server, wire, "drained")
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_DRAIN_DEADLINE": "60s"}) as running:
        idle, open_ = login(running, wire), login(running, wire)
        c = connect(running, wire, autocommit=False)
        with c.cursor() as cursor:
            cursor.execute("INSERT INTO drained VALUES (1)")
            open_.stream.send(asks(wire, "BEGIN"))
            running.process.send_signal(signal.SIGTERM)
            assert goodbye(wire) in idle.stream.rest(), "an idle client is told at once, in the database's words"
            with pytest.raises(OSError):
                socket.create_connection(getattr(running, wire), timeout=5).close()
            assert running.get("/health")[0] == 200 and running.get("/ready") == (503, "draining\n")
            for n in range(2, 5):
                time.sleep(0.3)
                cursor.execute(f"INSERT INTO drained VALUES ({n})")
            assert kept() == [], "nothing is committed yet"
            c.commit()
            assert kept() == [1, 2, 3, 4], "the transaction has ended as its client wished"
            open_.stream.send(asks(wire, "ROLLBACK"))
            assert goodbye(wire) in open_.stream.rest()
        assert running.process.wait(30) == 0
        with pytest.raises((pymysql.Error, psycopg.Error)):
            rows(c, "SELECT 1")
        # `gated` wants a server that lives at the end.
        running.process.poll = lambda: None


@WIRES
def test_a_stop_waits_for_a_transaction_up_to_the_deadline_only(wire):
    server = base(wire)
    kept = table(server, wire, "undrained")
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_DRAIN_DEADLINE": "2s"}) as running:
        c = connect(running, wire, autocommit=False)
        with c.cursor() as cursor:
            cursor.execute("INSERT INTO undrained VALUES (1)")
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        assert 1.5 < time.monotonic() - started < 20
        assert kept() == [], "what was not committed is not there"
        assert "did not end before the drain deadline" in running.log()
        running.process.poll = lambda: None


@pytest.fixture(scope="module")
def cold():
    """Flashgate in front of MariaDB with a stall between, and a cold table `cold1` of two rows."""
    server = upstream("mariadb")
    between = Forwarder((server.host, server.port))
    with gated(mysql=between.text) as running:
        with connect(running, "mysql") as c:
            for text in ("CREATE TABLE cold1 (id INT) ENGINE='OSS'", "INSERT INTO cold1 VALUES (1), (2)"):
                rows(c, text)
        running.between = between
        yield running
    between.close()


@pytest.mark.parametrize("text", ["SHOW TABLES", "SELECT id FROM cold1", "SELECT id, @v FROM cold1", "SELECT id FROM cold1; SELECT 1"])
def test_a_client_that_vanishes_while_the_upstream_is_asked_for_it_is_noticed(cold, text):
    assert eventually(lambda: connections(cold, "mysql") == 0)
    capabilities = my.PLUGIN_AUTH | my.LONG_PASSWORD | my.TRANSACTIONS | my.DEPRECATE_EOF | my.MULTI_STATEMENTS
    session = my.Session(cold.mysql, my.Script(my.Login(database="hot", capabilities=capabilities), [], kind="mysql"), False, PATIENCE)
    session._login(session.script.login)
    cold.between.stall.set()
    try:
        session.stream.send(asks("mysql", text))
        time.sleep(0.5)
        assert connections(cold, "mysql") == 1
        session.stream.close()
        assert eventually(lambda: connections(cold, "mysql") == 0, timeout=10), "it waits for the upstream"
    finally:
        cold.between.stall.clear()


def test_what_a_client_sends_while_the_upstream_is_asked_is_not_lost(cold):
    with connect(cold, "mysql") as c:
        for text in ("SHOW TABLES", "SELECT id FROM cold1", "SELECT id, @v FROM cold1"):
            stream = c._sock
            cold.between.stall.set()
            stream.sendall(asks("mysql", text))
            time.sleep(0.3)
            stream.sendall(asks("mysql", "SELECT 'behind it'"))
            time.sleep(0.3)
            cold.between.stall.clear()
            got = b""
            stream.settimeout(PATIENCE)
            while b"behind it\x05" not in got and b"behind it\x07" not in got and got.count(b"behind it") < 2:
                got += stream.recv(65536)


# --- the configuration, read again ---------------------------------------------------------------------------------------


def write(path, **sections):
    """A configuration file; names of sections have a dot as two underscores."""
    lines = []
    for name, values in sections.items():
        lines += [f"[{name.replace('__', '.')}]"] + [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")


class Reloaded:
    """Flashgate with a configuration file, and its clients."""

    def __init__(self, directory, **sections):
        self.file = pathlib.Path(directory) / "flashgate.toml"
        write(self.file, **sections)
        self.running = Flashgate(directory, args=["--config", self.file])

    def reload(self, says="the configuration was read again", **sections):
        """Writes the file anew, and waits until the log says so."""
        if sections:
            write(self.file, **sections)
        before = self.running.log().count(says)
        self.running.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: self.running.log().count(says) > before), self.running.log()[-3000:]

    def config(self, connection):
        return {key: value for key, value, _ in rows(connection, "SHOW FLASHGATE CONFIG")}


@contextlib.contextmanager
def reloaded(directory, **sections):
    one = Reloaded(directory, **sections)
    try:
        yield one
        assert one.running.stop() == 0
        assert "panicked" not in one.running.log()
    finally:
        one.running.kill()


def test_what_can_change_does_without_dropping_a_connection(tmp_path):
    server = upstream("mariadb")
    mysql = {"address": server.address}
    with reloaded(tmp_path, upstream__mysql=mysql) as one:
        running = one.running
        old = connect(running, "mysql", autocommit=False)
        with old.cursor() as cursor:
            cursor.execute("SET @mine = 4711")
            cursor.execute("CREATE TEMPORARY TABLE kept (id INT)")
            cursor.execute("INSERT INTO kept VALUES (1)")
        with connect(running, "mysql") as c:
            rows(c, "CREATE TABLE listed (id INT) ENGINE='OSS'")
            assert ("listed",) in rows(c, "SHOW TABLES")
        one.reload(
            upstream={"list_cold_tables": False},
            upstream__mysql=mysql,
            limits={"connections": 3, "idle_timeout": "1s", "message_bytes": "1MiB"},
            log={"level": "debug"},
            purge={"backup_oss_period_days": 7},
        )
        assert rows(old, "SELECT @mine, COUNT(*) FROM kept") == [(4711, 1)], "an open connection and its transaction go on"
        time.sleep(2.5)
        assert rows(old, "SELECT @mine") == [(4711,)], "it keeps the idle limit that it came with"
        with connect(running, "mysql") as c:
            config = one.config(c)
            want = {
                "limits.connections": "3",
                "limits.idle_timeout": '"1s"',
                "limits.message_bytes": '"1MiB"',
                "log.level": '"debug"',
                "upstream.list_cold_tables": "false",
                "purge.backup_oss_period_days": "7",
            }
            assert {key: config[key] for key in want} == want
            assert ("listed",) not in rows(c, "SHOW TABLES")
            more = connect(running, "mysql")
            fails(1040, lambda: connect(running, "mysql"))
            time.sleep(3)
            # It was told 4031 unasked, which its driver does not read.
            fails(2013, lambda: rows(more, "SELECT 1"))
        assert " DEBUG " in running.log(), "the level changes at once"
        changed = [line for line in running.log().splitlines() if "the configuration was read again" in line][-1]
        assert "limits.connections" in changed and "upstream.mysql.address" not in changed
        one.reload(upstream__mysql=mysql, limits={"connections": 5})
        several = [connect(running, "mysql") for _ in range(4)]
        assert [rows(c, "SELECT 1") for c in several] == [[(1,)]] * 4, "a higher limit counts at once"


def test_a_wrong_file_changes_nothing_and_the_log_names_the_key(tmp_path):
    server = upstream("mariadb")
    mysql = {"address": server.address}
    refused = "the configuration was not taken over"
    with reloaded(tmp_path, upstream__mysql=mysql, limits={"connections": 50}) as one:
        c = connect(one.running, "mysql")
        for key, sections in [
            ("limits.connections", {"limits": {"connections": 0}}),
            ("limits.conections", {"limits": {"conections": 7}}),
            ("keepalive", {"limits": {"connections": 9, "keepalive": "soon"}}),
            ("upstream.mysql.ca", {"limits": {"connections": 9}, "upstream__mysql": {**mysql, "tls": "verify-full"}}),
            ("upstream.mysql.address", {"limits": {"connections": 9}, "upstream__mysql": {"address": "db:port"}}),
            ("/nowhere/cert.pem", {"limits": {"connections": 9}, "tls": {"cert": "/nowhere/cert.pem", "key": "/nowhere/key.pem"}}),
            ("proxy_protocol", {"listen": {"proxy_protocol": "10.0.0.0/99"}}),
        ]:
            one.reload(refused, **{"upstream__mysql": mysql, **sections})
            line = [line for line in one.running.log().splitlines() if refused in line][-1]
            # A wrong value of the file is shown with its line, which follows.
            assert key in one.running.log()[one.running.log().rindex(line) :], line
            assert one.config(c)["limits.connections"] == "50"
        one.file.unlink()
        one.reload(refused)
        with connect(one.running, "mysql") as again:
            assert one.config(again)["limits.connections"] == "50"
            assert rows(c, "SELECT 1") == rows(again, "SELECT 1") == [(1,)]


def test_what_takes_a_restart_is_named_and_stays(tmp_path):
    server = upstream("mariadb")
    mysql = {"address": server.address}
    with reloaded(tmp_path, upstream__mysql=mysql) as one:
        with connect(one.running, "mysql") as c:
            before = one.config(c)
        # The listeners and the directory are flags here, which win over the file: these are not.
        one.reload(upstream__mysql=mysql, limits={"engine_memory": "64MiB", "idle_timeout": "9h"}, gms={"refresh_interval": "3s"}, log={"format": "json"})
        later = [line for line in one.running.log().splitlines() if "takes effect at the next start" in line]
        assert [any(key in line and "WARN" in line for line in later) for key in ("limits.engine_memory", "gms.refresh_interval", "log.format")] == [True] * 3
        assert len(later) == 3
        with connect(one.running, "mysql") as c:
            assert {k: v for k, v in one.config(c).items() if v != before[k]} == {"limits.idle_timeout": '"9h"'}


def test_another_upstream_is_for_new_connections_and_a_cancel_finds_the_old_one(tmp_path):
    first, second = upstream("postgres"), upstream("postgres17")
    with reloaded(tmp_path, upstream__postgres={"address": first.address}) as one:
        old = connect(one.running, "postgres")
        one.reload(upstream__postgres={"address": second.address})
        with connect(one.running, "postgres") as new:
            assert rows(old, "SHOW server_version")[0][0].startswith("15")
            assert rows(new, "SHOW server_version")[0][0].startswith("17")
        caught = []

        def sleeper():
            try:
                rows(old, "SELECT pg_sleep(60)")
            except psycopg.Error as error:
                caught.append(error.sqlstate)

        thread = threading.Thread(target=sleeper)
        thread.start()
        time.sleep(0.5)
        old.cancel()
        thread.join(PATIENCE)
        assert caught == ["57014"]
        # And none at all: Flashgate answers by itself.
        one.reload(log={"level": "info"})
        with pytest.raises(psycopg.Error):
            connect(one.running, "postgres")
        assert rows(old, "SELECT 1") == [(1,)]
        one.reload(upstream__postgres={"address": second.address})
        with connect(one.running, "postgres") as new:
            assert rows(new, "SHOW server_version")[0][0].startswith("17")


def test_tls_can_be_turned_on_and_off_for_new_connections(tmp_path):
    server = upstream("postgres")
    postgres = {"address": server.address}
    with reloaded(tmp_path, upstream__postgres=postgres) as one:
        plain = connect(one.running, "postgres")
        one.reload(upstream__postgres=postgres, tls={"self_signed": True, "required": True})
        fails(None, lambda: connect(one.running, "postgres"))
        with connect(one.running, "postgres", sslmode="require") as c:
            assert c.pgconn.ssl_in_use and rows(c, "SELECT 1") == [(1,)]
            one.reload(upstream__postgres=postgres)
            assert rows(c, "SELECT 1") == rows(plain, "SELECT 1") == [(1,)]
        with connect(one.running, "postgres", sslmode="prefer") as c:
            assert not c.pgconn.ssl_in_use


# --- load balancers ------------------------------------------------------------------------------------------------------


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client=CLIENT, port=4711):
    return f"PROXY TCP4 {client} 198.51.100.1 {port} 3306\r\n".encode()


def v2(client=CLIENT, port=4711, command=1, tlvs=b""):
    body = socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", port, 3306) + tlvs
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack(">H", len(body)) + body


def v6(client="2001:db8::7", port=4711):
    body = socket.inet_pton(socket.AF_INET6, client) + bytes(16) + struct.pack(">HH", port, 3306)
    return SIGNATURE + b"\x21\x21" + struct.pack(">H", len(body)) + body


def proxied(running, wire, header, pieces=False, patience=PATIENCE):
    """A raw session that is logged in behind a header."""
    session = _Behind(running, wire, header, pieces, patience)
    return session.session


class _Behind:
    def __init__(self, running, wire, header, pieces, patience):
        address = getattr(running, wire)
        if wire == "mysql":
            capabilities = my.PLUGIN_AUTH | my.LONG_PASSWORD | my.TRANSACTIONS
            script = my.Script(my.Login(database="hot", capabilities=capabilities), [], kind="mysql")
            self.session = my.Session(address, script, False, patience)
        else:
            self.session = pg.Session(address, pg.Script(pg.Login([("user", "root"), ("database", "hot")]), []), False, patience)
        for at in range(len(header)) if pieces else [None]:
            self.session.stream.send(header if at is None else header[at : at + 1])
            time.sleep(0.002 if pieces else 0)
        self.session._login(self.session.script.login)


@pytest.fixture(scope="module", params=["mysql", "postgres"])
def balanced(request):
    """Flashgate that awaits a header from this machine."""
    wire = request.param
    server = base(wire)
    env = {"FLASHGATE_LISTEN_PROXY_PROTOCOL": "203.0.113.0/24, 127.0.0.1", "FLASHGATE_LIMITS_LOGIN_TIMEOUT": "2s", "FLASHGATE_LOG_LEVEL": "debug"}
    with gated(**{server.protocol: server}, env=env) as running:
        running.wire = wire
        yield running


def peers(running):
    """The addresses in SHOW FLASHGATE SESSIONS, asked for behind a header of our own."""
    session = proxied(running, running.wire, v1("192.0.2.250"))
    session.stream.send(asks(running.wire, "SHOW FLASHGATE SESSIONS"))
    time.sleep(0.5)
    with contextlib.suppress(TimeoutError):
        session.stream.socket.settimeout(1)
        got = session.stream.socket.recv(1 << 20)
    session.stream.close()
    return got


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "by bytes"])
@pytest.mark.parametrize(
    "header, shown",
    [
        (v1(), CLIENT),
        (v1("192.0.2.99", 1), "192.0.2.99"),
        (b"PROXY TCP6 2001:db8::8 ::1 4711 3306\r\n", "2001:db8::8"),
        (v2(), CLIENT),
        (v2(tlvs=b"\x04\0\x03abc" + b"\xea\0\x20" + b"x" * 32), CLIENT),
        (v6(), "2001:db8::7"),
        (v2(command=0), "127.0.0.1"),
        (SIGNATURE + b"\x20\0\0\0", "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (SIGNATURE + b"\x21\x31\0\xd8" + bytes(216), "127.0.0.1"),
    ],
    ids=["v1", "v1 other", "v1 IPv6", "v2", "v2 TLVs", "v2 IPv6", "v2 LOCAL", "v2 LOCAL empty", "v1 UNKNOWN", "v2 UNIX"],
)
def test_a_trusted_load_balancer_says_who_the_client_is(balanced, header, shown, pieces):
    session = proxied(balanced, balanced.wire, header, pieces)
    assert shown.encode() in peers(balanced)
    session.stream.close()
    if shown == CLIENT:
        assert f"client={CLIENT}:4711" in balanced.log(), "and so does the log"


@pytest.mark.parametrize(
    "header, why",
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n", "two addresses and two ports"),
        (b"PROXY TCP4 192.0.2.777 198.51.100.1 1 1\r\n", "address or a port"),
        (b"PROXY TCP4 " + b"1" * 200, "does not end"),
        (SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), "version"),
        (SIGNATURE + b"\x2f\x11\0\x0c" + bytes(12), "command"),
        (SIGNATURE + b"\x21\x11\0\x04" + bytes(4), "too short"),
        (SIGNATURE + b"\x21\x11\xff\xff", "too long"),
        (pg.startup([("user", "root")]), "does not begin"),
        (b"PROXY TCP4 192.0.2", "in time"),
        (SIGNATURE + b"\x21\x11\0\x0c" + bytes(5), "in time"),
        (b"", "in time"),
    ],
)
def test_a_wrong_missing_or_slow_header_is_refused(balanced, header, why):
    before = balanced.log().count(why)
    stream = Stream(getattr(balanced, balanced.wire), PATIENCE)
    stream.send(header)
    said = stream.rest()
    assert (b"\x13\x04" if balanced.wire == "mysql" else b"C08P01\0") in said and b"Bad handshake" in said
    assert eventually(lambda: balanced.log().count(why) > before)
    assert eventually(lambda: connections(balanced, balanced.wire) == 0)


def test_a_health_check_that_closes_is_no_news(balanced):
    before = balanced.log().count(" WARN ")
    for _ in range(5):
        Stream(getattr(balanced, balanced.wire), PATIENCE).close()
    assert eventually(lambda: connections(balanced, balanced.wire) == 0)
    assert balanced.log().count(" WARN ") == before


@WIRES
@pytest.mark.parametrize("trusted", ["off", "203.0.113.0/24"])
@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_nobody_else_is_believed(wire, trusted, header):
    server = base(wire)
    with gated(**{server.protocol: server}, env={"FLASHGATE_LISTEN_PROXY_PROTOCOL": trusted}) as running:
        stream = Stream(getattr(running, wire), PATIENCE)
        stream.send(header + (my.framed(b"x" * 40, 1) if wire == "mysql" else pg.startup([("user", "root"), ("database", "hot")])))
        said = stream.rest()
        assert b"\0\0\0\x02\0\0\0" not in said and b"R\0\0\0\x08\0\0\0\0" not in said, "nobody is logged in"
        stream.close()
        with connect(running, wire) as c:
            assert rows(c, "SELECT 1") == [(1,)], "others need no header"
            assert CLIENT not in str(rows(c, "SHOW FLASHGATE SESSIONS"))


class Proxied(MariaDb):
    """MariaDB that believes PROXY headers from this machine."""

    def command(self):
        return [*super().command(), "--proxy-protocol-networks=127.0.0.1"]


@pytest.fixture(scope="module")
def believing():
    server = Proxied(home() / "proxied", certificates())
    yield server
    server.kill()


@pytest.mark.parametrize("tls", ["disabled", "required"])
def test_the_upstream_is_told_who_the_client_is(believing, tls):
    env = {"FLASHGATE_UPSTREAM_MYSQL_PROXY_PROTOCOL": "true", "FLASHGATE_LISTEN_PROXY_PROTOCOL": "127.0.0.1"}
    with gated(mysql=believing, tls=tls, env=env) as running:
        for client, header in ((CLIENT, v2()), ("2001:db8::7", v6()), ("127.0.0.1", b"PROXY UNKNOWN\r\n")):
            stream = socket.create_connection(running.mysql)
            stream.sendall(header)
            c = pymysql.connect(user="native", password=PASSWORDS["native"], defer_connect=True, ssl_disabled=True, autocommit=True)
            c.connect(stream)
            assert rows(c, "SELECT SUBSTRING_INDEX(USER(), '@', -1)") == [(client,)]
            assert rows(c, "SHOW FLASHGATE SESSIONS")[0][4] == client
            c.close()
    # Without it the database sees Flashgate.
    with gated(mysql=believing, tls=tls) as running, connect(running, "mysql", user="native", password=PASSWORDS["native"]) as c:
        assert rows(c, "SELECT SUBSTRING_INDEX(USER(), '@', -1)") == [("127.0.0.1",)]


# --- what is measured ----------------------------------------------------------------------------------------------------


@WIRES
def test_commands_bytes_and_sessions_are_measured(wire):
    server = base(wire)
    table(server, wire, "hot_measured")
    with gated(**{server.protocol: server}) as running:
        metric = lambda name, **labels: gauge(running, f"{name}{{" + ",".join(f'{k}="{v}"' for k, v in {"protocol": wire, **labels}.items()) + "}")
        seconds = lambda route: metric("flashgate_command_seconds_count", route=route)
        assert seconds("relayed") == 0 and metric("flashgate_upstream_connects_total", outcome="ok") in (None, 0)
        c = connect(running, wire)
        assert metric("flashgate_sessions", route="upstream") == 1
        assert metric("flashgate_upstream_connects_total", outcome="ok") == metric("flashgate_upstream_connect_seconds_count") == 1
        before, said, sent = seconds("relayed"), *(metric("flashgate_relayed_bytes_total", direction=d) or 0 for d in ("to_client", "to_upstream"))
        for n in range(10):
            # Each another one: psycopg prepares what is repeated, which is a command more.
            rows(c, f"SELECT {n}")
        assert seconds("relayed") == before + 10
        rows(c, "SELECT REPEAT('x', 1000000)")
        got = metric("flashgate_relayed_bytes_total", direction="to_client") - said
        assert 1_000_000 < got < 1_010_000
        rows(c, "SELECT LENGTH('" + "y" * 500_000 + "')")
        assert 500_000 < metric("flashgate_relayed_bytes_total", direction="to_upstream") - sent < 510_000
        # A statement that takes half a second is in no bucket below.
        bucket = lambda le: metric("flashgate_command_seconds_bucket", route="relayed", le=le)
        short, all_ = bucket("0.25"), bucket("5")
        rows(c, "SELECT SLEEP(0.5)" if wire == "mysql" else "SELECT pg_sleep(0.5)")
        assert (bucket("0.25"), bucket("5")) == (short, all_ + 1)
        local = seconds("local")
        for _ in range(3):
            rows(c, "SHOW FLASHGATE VERSION")
        # It is measured when the answer has been sent.
        assert eventually(lambda: seconds("local") == local + 3)
        run(c, "CREATE TABLE measured (id INT) " + ("ENGINE='OSS'" if wire == "mysql" else "WITH (engine = 'OSS')"))
        refused = seconds("refused")
        with pytest.raises((pymysql.Error, psycopg.Error)):
            run(c, "UPDATE hot_measured SET id = 1 WHERE id IN (SELECT id FROM measured)")
        assert eventually(lambda: seconds("refused") == refused + 1)
        # The client that runs a statement of ours has a session here, and is counted once.
        assert metric("flashgate_sessions", route="upstream") == 1 and metric("flashgate_sessions", route="local") in (None, 0)
        c.close()
        assert eventually(lambda: metric("flashgate_sessions", route="upstream") == 0)


def test_every_client_in_front_of_a_postgres_upstream_is_listed(tmp_path):
    server = upstream("postgres")
    with gated(postgres=server) as running:
        first, second = connect(running, "postgres"), connect(running, "postgres")
        pids = {rows(c, "SELECT pg_backend_pid()")[0][0] for c in (first, second)}
        for _ in range(2):
            # The second time the one that asks has a session of ours as well, and is still one line.
            listed = rows(second, "SHOW FLASHGATE SESSIONS")
            assert {row[0] for row in listed} == pids and len(listed) == 2
            assert {row[1:4] for row in listed} == {("postgres", "upstream", "root")}
            assert all(row[4].startswith("127.0.0.1:") for row in listed)
        assert [row[6] for row in listed if row[0] == rows(second, "SELECT pg_backend_pid()")[0][0]] == ["SHOW"]
        first.close()
        assert eventually(lambda: len(rows(second, "SHOW FLASHGATE SESSIONS")) == 1)


@WIRES
def test_ready_tells_of_an_upstream_that_is_away_and_health_does_not(wire):
    server = base(wire)
    port = free_port()
    with gated(**{wire: f"127.0.0.1:{port}"}) as running:
        status, why = running.get("/ready")
        assert status == 503 and why.startswith(f"upstream.{wire}: cannot connect to 127.0.0.1:{port}: "), why
        assert running.get("/health") == (200, "ok\n")
        failed = gauge(running, f'flashgate_upstream_connects_total{{protocol="{wire}",outcome="error"}}')
        for _ in range(20):
            running.get("/ready")
        asked = gauge(running, f'flashgate_upstream_connects_total{{protocol="{wire}",outcome="error"}}') - failed
        assert asked <= 3, f"it was asked {asked} times in a moment"
        # Something listens there now.
        listener = socket.create_server(("127.0.0.1", port))
        assert eventually(lambda: running.get("/ready")[0] == 200)
        listener.close()
        assert eventually(lambda: running.get("/ready")[0] == 503)
    with gated(**{server.protocol: server}) as running:
        assert running.get("/ready") == (200, "ready\n")


# --- whose comments are code ---------------------------------------------------------------------------------------------


COMMENTS = [
    ("SELECT id FROM cold1 /*!40101 WHERE id = 1 */", {"mariadb": [1], "mysql": [1]}),
    ("SELECT id FROM cold1 /*!50700 WHERE id = 1 */", {"mariadb": [1, 2], "mysql": [1]}),
    ("SELECT id FROM cold1 /*!80400 WHERE id = 1 */", {"mariadb": [1, 2], "mysql": [1]}),
    ("SELECT id FROM cold1 /*!99999 WHERE id = 1 */", {"mariadb": [1, 2], "mysql": [1, 2]}),
    ("SELECT id FROM cold1 /*!100100 WHERE id = 1 */", {"mariadb": [1], "mysql": [1, 2]}),
    ("SELECT id FROM cold1 /*M!100100 WHERE id = 1 */", {"mariadb": [1], "mysql": [1, 2]}),
    ("SELECT id FROM cold1 /*M! WHERE id = 1 */", {"mariadb": [1], "mysql": [1, 2]}),
    ("SELECT id FROM cold1 /*!50700 it's /* not */ all */", {"mariadb": [1, 2]}),
    ("SELECT 7 AS id /*!50700 FROM cold1 WHERE id = 1 */", {"mariadb": [7], "mysql": [7]}),
    ("SELECT 7 AS id /*M!100100 FROM cold1 */", {"mariadb": [7, 7], "mysql": [7]}),
    ("SELECT 7 AS id /*!100100 FROM cold1 */", {"mariadb": [7, 7], "mysql": [7]}),
    # What the upstream alone is asked shows what it makes of it.
    ("SELECT 1 /*!50700 + 1 */ /*M!100100 + 2 */ AS id", {"mariadb": [3], "mysql": [2]}),
]


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_comments_are_code_to_us_where_they_are_to_the_upstream(kind, request):
    server = need(kind, request)
    with gated(mysql=server) as running, connect(running, "mysql") as c:
        rows(c, "CREATE TABLE cold1 (id INT) ENGINE='OSS'")
        rows(c, "INSERT INTO cold1 VALUES (1), (2)")
        for text, want in COMMENTS:
            if kind in want:
                assert sorted(row[0] for row in rows(c, text)) == want[kind], text
                with c.cursor() as cursor:
                    cursor.execute(f"PREPARE s FROM '{text.replace(chr(39), chr(39) * 2)}'")
                    cursor.execute("EXECUTE s")
                    assert sorted(row[0] for row in cursor.fetchall()) == want[kind], text
