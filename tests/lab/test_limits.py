"""What has an end: idle clients, message sizes, a stopping server, memory. And what an operator watches it with: /ready, /metrics, logs,
certificates."""

import concurrent.futures
import hashlib
import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import psycopg
import pymysql
import pytest

from conftest import ROOT, eventually
from test_commands import EXECUTE, LONG_DATA, MAX_PAYLOAD, PING, QUERY, Raw, Refused, add, blob, refused, size_prefix, text
from test_concurrency import WIRES, fails
from test_protocol_state import RawPostgres, fields, kinds
from wires import mysql, postgres, rows, run


def opened(server, wire, database=None, **more):
    return mysql(server, database, **more) if wire == "mysql" else postgres(server, database or "postgres", **more)


def raw(server, wire, database="postgres"):
    return Raw(server, database=database) if wire == "mysql" else RawPostgres(server, database)


def farewell(client):
    """What an unasked error says, (code or SQLSTATE, sentence), and that the connection ends behind it."""
    client.stream.settimeout(30)
    if isinstance(client, Raw):
        packet = client.packet()
        assert packet[0] == 0xFF and client.sequence == 0
        error = Refused(packet)
        said = (error.code, error.message)
    else:
        kind, body = client.message()
        parts = fields(body)
        assert kind == b"E" and parts["S"] == "FATAL"
        said = (parts["C"], parts["M"])
    assert client.stream.recv(1) == b"", "the connection ends"
    return said


# --- silence -----------------------------------------------------------------------------------------------------------------------


SILENCE = {
    "mysql": (4031, "The client was disconnected by the server because of inactivity"),
    "postgres": ("57P05", "terminating connection due to idle-session timeout"),
}


@WIRES
def test_a_silent_client_is_told_and_disconnected_one_that_speaks_or_waits_is_not(start, wire):
    server = start(env={"FLASHGATE_LIMITS_IDLE_TIMEOUT": "2s"})
    with mysql(server) as c:
        run(c, "CREATE TABLE postgres.t (id INT)")
    silent, waiting, open_, busy = (raw(server, wire) for _ in range(4))
    began = time.monotonic()
    open_.query("BEGIN")
    open_.query("INSERT INTO t VALUES (1)")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        nap = pool.submit(waiting.query, "SELECT SLEEP(3)" if wire == "mysql" else "SELECT pg_sleep(3)")
        ends = [pool.submit(lambda client: (farewell(client), time.monotonic() - began), client) for client in (silent, open_)]
        while time.monotonic() - began < 3:
            busy.query("SELECT 1")
            time.sleep(0.4)
        for end in ends:
            said, after = end.result()
            assert said == SILENCE[wire]
            assert 1.9 < after < 8
        assert nap.result()
        assert time.monotonic() - began > 2.9, "a running statement is not silence"
    waiting.query("SELECT 1")
    assert rows(mysql(server, "postgres"), "SELECT * FROM t") == [], "what an idle transaction had written is rolled back"


def test_a_limit_of_half_seconds_is_kept_to(start):
    server = start(env={"FLASHGATE_LIMITS_IDLE_TIMEOUT": "1900ms"})
    client, began = Raw(server), time.monotonic()
    assert farewell(client) == SILENCE["mysql"]
    assert 1.8 < time.monotonic() - began < 8


def test_wait_timeout_counts_where_it_is_shorter_than_the_servers_limit(start):
    server = start(env={"FLASHGATE_LIMITS_IDLE_TIMEOUT": "5s"})
    shorter, longer = Raw(server), Raw(server)
    shorter.query("SET wait_timeout = 1")
    assert shorter.one("SELECT @@wait_timeout") == "1"
    longer.query("SET wait_timeout = 3600")
    began = time.monotonic()
    assert farewell(shorter) == SILENCE["mysql"]
    assert 0.8 < time.monotonic() - began < 4.5
    assert farewell(longer) == SILENCE["mysql"]
    assert 4.8 < time.monotonic() - began < 15


def test_without_a_limit_wait_timeout_still_counts_and_a_reset_takes_it_back(start):
    server = start(env={"FLASHGATE_LIMITS_IDLE_TIMEOUT": "off"})
    client, again, postgres_ = Raw(server), Raw(server), RawPostgres(server)
    client.query("SET wait_timeout = 1")
    again.query("SET SESSION wait_timeout = 1")
    again.done(0x1F)
    assert again.one("SELECT @@wait_timeout") != "1"
    began = time.monotonic()
    assert farewell(client) == SILENCE["mysql"]
    assert 0.8 < time.monotonic() - began < 8
    time.sleep(0.5)
    assert again.one("SELECT 1") == "1" and kinds(postgres_.query("SELECT 1")) == "TDCZ"


# --- the end of the server ---------------------------------------------------------------------------------------------------------------


def sleep(wire, seconds):
    return f"SELECT SLEEP({seconds})" if wire == "mysql" else f"SELECT pg_sleep({seconds})"


def draining(server):
    server.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: server.get("/ready") == (503, "draining\n"), timeout=10), server.log()


STOPPING = {"mysql": (1053, "Server shutdown in progress"), "postgres": ("57P01", "terminating connection due to administrator command")}


def is_running(server):
    """Waits until a SLEEP is being run."""
    with mysql(server) as c:
        assert eventually(lambda: [row for row in rows(c, "SHOW PROCESSLIST") if row[4] == "Query" and row[0] != c.thread_id()])


@WIRES
def test_a_stopping_server_ends_running_statements_well_and_takes_no_new_clients(start, wire):
    server = start()
    busy, idle = raw(server, wire), raw(server, wire)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(busy.query, sleep(wire, 2))
        is_running(server)
        assert server.get("/ready") == (200, "ready\n")
        draining(server)
        assert farewell(idle) == STOPPING[wire]
        for address in (server.mysql, server.postgres):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
        assert server.get("/health") == (200, "ok\n") and "flashgate_connections{" in server.get("/metrics")[1]
        assert not answer.done(), "all of this while the statement ran"
        got = answer.result()
    assert got == [(b"0",)] if wire == "mysql" else kinds(got) == "TDCZ"
    assert farewell(busy) == STOPPING[wire]
    assert server.process.wait(20) == 0
    assert "stopped drained=true" in server.log() and "cutting" not in server.log()


@WIRES
def test_an_open_transaction_may_commit_while_the_server_stops(start, wire):
    server = start()
    with mysql(server) as c:
        run(c, "CREATE TABLE postgres.t (id INT)")
    client = raw(server, wire)
    client.query("BEGIN")
    client.query("INSERT INTO t VALUES (1)")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    client.query("INSERT INTO t VALUES (2)")
    client.query("COMMIT")
    assert farewell(client) == STOPPING[wire]
    assert server.process.wait(20) == 0
    again = start(directory=server.directory)
    assert rows(mysql(again, "postgres"), "SELECT id FROM t ORDER BY id") == [(1,), (2,)]


@WIRES
def test_at_the_deadline_a_statement_is_cut_and_its_transaction_rolled_back(start, wire):
    server = start(env={"FLASHGATE_LIMITS_DRAIN_DEADLINE": "1s"})
    with mysql(server) as c:
        run(c, "CREATE TABLE postgres.t (id INT)")
    client = raw(server, wire)
    client.query("INSERT INTO t VALUES (1)")
    client.query("BEGIN")
    client.query("INSERT INTO t VALUES (2)")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.query, sleep(wire, 30))
        is_running(server)
        began = time.monotonic()
        assert server.stop(timeout=25) == 0, server.log()
        assert 0.9 < time.monotonic() - began < 9
        with pytest.raises((EOFError, ConnectionResetError)):
            answer.result()
    assert "cutting the connections that are left" in server.log() and "stopped drained=false" in server.log()
    again = start(directory=server.directory)
    assert rows(mysql(again, "postgres"), "SELECT id FROM t") == [(1,)]


# --- message size --------------------------------------------------------------------------------------------------------------------------


SIZE = 64 << 10


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    from conftest import Flashgate

    running = Flashgate(tmp_path_factory.mktemp("small"), env={"FLASHGATE_LIMITS_MESSAGE_BYTES": "64KiB"})
    with mysql(running) as c:
        run(c, "CREATE DATABASE m", "CREATE TABLE m.t (id INT, note MEDIUMTEXT)")
    yield running
    assert running.stop() == 0, running.log()


def padded(size, statement="SELECT 7 AS n /*%s*/"):
    """A statement of `size` bytes."""
    return statement % ("x" * (size - len(statement) + 2))


def test_a_mysql_statement_may_be_as_large_as_the_limit_and_no_larger(small):
    with mysql(small, "m") as other, Raw(small, database="m") as client:
        assert client.one("SELECT @@max_allowed_packet") == str(SIZE)
        assert client.query(padded(SIZE - 1)) == [(b"7",)], "with the byte of its command it fills the limit"
        error = refused(1153, client.query, padded(SIZE))
        assert error.state == "08S01" and "max_allowed_packet" in error.message and str(SIZE) in error.message
        assert client.ended()
        assert rows(other, "SELECT 1") == [(1,)], "others go on"


def test_a_postgres_message_may_be_as_large_as_the_limit_and_no_larger(small):
    with postgres(small, "m") as other, RawPostgres(small, "m") as client:
        assert kinds(client.query(padded(SIZE - 1))) == "TDCZ"
        client.send((b"Q", padded(SIZE).encode() + b"\0"))
        code, sentence = farewell(client)
        assert code == "54000" and str(SIZE) in sentence
        assert rows(other, "SELECT 1") == [(1,)], "others go on"


def test_prepared_parameters_of_mysql_end_at_the_limit(small):
    with Raw(small, database="m") as client:
        statement, _ = client.prepare("INSERT INTO t VALUES (1, ?)")
        whole = SIZE - len(blob(SIZE - 1)) - 10
        assert client.execute(statement, blob(whole) + b"a" * whole).affected == 1
        refused(1153, client.execute, statement, blob(whole + 1) + b"a" * (whole + 1))
        assert client.ended()
    with Raw(small, database="m") as client:
        statement, _ = client.prepare("SELECT LENGTH(?)")

        def pieces(*sizes):
            for size in sizes:
                client.send(LONG_DATA, struct.pack("<IH", statement, 0) + b"a" * size)
            return client.execute(statement, blob(None))

        assert pieces(SIZE // 2, SIZE // 2) == [struct.pack("<q", SIZE)]
        error = refused(1105, pieces, SIZE // 2, SIZE // 2, 1)
        assert "max_allowed_packet" in error.message
        assert pieces(3, 4) == [struct.pack("<q", 7)], "the connection and the statement go on"


def test_prepared_parameters_of_postgres_end_at_the_limit(small):
    with postgres(small, "m") as c:
        fits = "a" * (SIZE - 100)
        assert rows(c, "SELECT length(%s)", (fits,)) == [(SIZE - 100,)]
        c.execute("INSERT INTO t VALUES (2, %s)", (fits,))
        error = fails("54000", c.execute, "INSERT INTO t VALUES (3, %s)", ("a" * SIZE,))
        assert error.diag.severity == "FATAL" and c.closed
    assert rows(postgres(small, "m"), "SELECT id, length(note) FROM t WHERE id > 1") == [(2, SIZE - 100)]


def test_a_copy_message_ends_at_the_limit_and_a_copy_of_many_does_not(small):
    line = b"9\t" + b"c" * 1000 + b"\n"
    with postgres(small, "m") as c:
        with c.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            for _ in range(10):
                copy.write(line * 20)
        assert rows(c, "SELECT count(*) FROM t WHERE id = 9") == [(200,)]
    with RawPostgres(small, "m") as client:
        client.send((b"Q", b"COPY t FROM STDIN\0"))
        assert client.message()[0] == b"G"
        exact = b"10\t" + b"d" * (SIZE - 4) + b"\n"
        client.send((b"d", exact), (b"c", b""))
        assert kinds(client.until_ready()) == "CZ"
        client.send((b"Q", b"COPY t FROM STDIN\0"))
        assert client.message()[0] == b"G"
        client.send((b"d", b"11\tx\n"), (b"d", exact + b"\n"))
        assert farewell(client)[0] == "54000"
    assert rows(mysql(small, "m"), "SELECT id, LENGTH(note) FROM t WHERE id IN (10, 11)") == [(10, SIZE - 4)], "nothing of the second COPY is there"


def test_a_file_of_load_data_may_be_larger_than_a_message(small, tmp_path):
    file = tmp_path / "rows.tsv"
    file.write_text("".join(f"12\t{'e' * 1000}\n" for _ in range(300)))
    with mysql(small, "m", local_infile=True) as c:
        assert run(c, f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE t") == 300
        assert rows(c, "SELECT COUNT(*), SUM(LENGTH(note)) FROM t WHERE id = 12") == [(300, 300_000)]


@WIRES
def test_a_result_may_be_larger_than_a_message(small, wire):
    with opened(small, wire, "m") as c:
        run(c, f"INSERT INTO t VALUES (20, '{'r' * 60_000}')")
        ((got,),) = rows(c, "SELECT CONCAT(note, note, note) FROM t WHERE id = 20 LIMIT 1")
        assert got == "r" * 180_000


# --- around 16 MiB: where MySQL's packets are cut --------------------------------------------------------------------------------------------


BOUNDARY = [MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1]
PARTS = {MAX_PAYLOAD - 1: [MAX_PAYLOAD - 1], MAX_PAYLOAD: [MAX_PAYLOAD, 0], MAX_PAYLOAD + 1: [MAX_PAYLOAD, 1]}


@pytest.fixture(scope="module")
def large(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE large", "CREATE TABLE large.t (id INT NOT NULL, note LONGTEXT)")
    return server


@pytest.mark.parametrize("size", BOUNDARY)
def test_a_statement_of_exactly_this_many_bytes_is_read_whole(large, size):
    with Raw(large, database="large") as client:
        head, tail = "SELECT LENGTH('", "') AS n"
        value = size - 1 - len(head) - len(tail)
        assert client.query(head + "s" * value + tail) == [(str(value).encode(),)]
        assert client.one("SELECT 1") == "1", "nothing of it is left in the stream"


@pytest.mark.parametrize("size", BOUNDARY)
def test_a_prepared_parameter_in_a_packet_of_exactly_this_many_bytes_is_read_whole(large, size):
    with Raw(large, database="large") as client:
        statement, _ = client.prepare("SELECT LENGTH(?)")
        # The command, its 9 bytes, the NULL bits and types, and the prefix of a value of less than 2^24 bytes.
        value = size - 1 - 9 - len(blob(None)) - 4
        packet = struct.pack("<IBI", statement, 0, 1) + blob(value) + b"p" * value
        assert len(packet) + 1 == size
        client.send(EXECUTE, packet)
        columns, sent, _ = client.result(client.answer())
        assert (len(columns), [row[2:] for row in sent]) == (1, [struct.pack("<q", value)])
        assert client.done(PING).affected == 0


@pytest.mark.parametrize("size", BOUNDARY)
def test_long_data_in_a_packet_of_exactly_this_many_bytes_is_read_whole(large, size):
    with Raw(large, database="large") as client:
        statement, _ = client.prepare("SELECT LENGTH(?)")
        client.send(LONG_DATA, struct.pack("<IH", statement, 0) + b"l" * (size - 7))
        assert client.execute(statement, blob(None)) == [struct.pack("<q", size - 7)]


@pytest.mark.parametrize("size", BOUNDARY)
@pytest.mark.parametrize("prepared", [False, True], ids=["text", "binary"])
def test_a_row_of_exactly_this_many_bytes_is_sent_whole(large, size, prepared):
    with Raw(large, database="large") as client:
        # A prefix of 4 bytes before the value; a binary row begins with a zero and its NULL bits.
        value = size - 4 - (2 if prepared else 0)
        assert len(size_prefix(value)) == 4
        statement = f"SELECT CONCAT(REPEAT('r', {value - 1}), 'z') AS v UNION ALL SELECT 'next' ORDER BY 1 DESC"
        if prepared:
            number, _ = client.prepare(statement)
            first = client.ask(EXECUTE, struct.pack("<IBI", number, 0, 1))
        else:
            first = client.ask(QUERY, statement.encode())
        client.definitions(first[0])
        pieces = client.pieces()
        assert [len(piece) for piece in pieces] == PARTS[size], "an exact multiple has an empty packet behind it"
        row = b"".join(pieces)
        got, end = text(row, 2 if prepared else 0)
        assert end == len(row) and got == b"r" * (value - 1) + b"z"
        assert client.packet()[2 if prepared else 0 :] == b"\x04next"
        assert client.packet()[0] == 0xFE
        assert client.one("SELECT 1") == "1"


def test_a_stored_value_at_the_boundary_comes_back_on_both_wires(large):
    with Raw(large, database="large") as client:
        for number, size in enumerate(BOUNDARY):
            statement, _ = client.prepare(f"INSERT INTO t VALUES ({number}, ?)")
            assert client.execute(statement, blob(size) + b"v" * size).affected == 1
        for number, size in enumerate(BOUNDARY):
            assert client.query(f"SELECT note FROM t WHERE id = {number}") == [(b"v" * size,)]
    with postgres(large, "large") as c:
        for number, size in enumerate(BOUNDARY):
            assert rows(c, "SELECT note FROM t WHERE id = %s", (number,)) == [("v" * size,)]


# --- logs -------------------------------------------------------------------------------------------------------------------------------


def provoke(server, marks, password):
    """Statements that carry a new mark each wherever a client can put one."""
    count = 0

    def mark():
        nonlocal count
        count += 1
        marks.append(f"Secret{count:02d}Marker")
        return marks[-1]

    def tried(call, *args):
        try:
            return call(*args)
        except (pymysql.err.Error, psycopg.Error, Refused):
            return None

    root = {"user": "root", "password": password}
    m, p = mysql(server, **root), postgres(server, "postgres", **root)
    run(m, "CREATE DATABASE logs", "USE logs", "CREATE TABLE t (id INT NOT NULL, note VARCHAR(200), day DATE)")
    p.execute("CREATE TABLE t (id INT NOT NULL, note VARCHAR(200), day DATE)")
    wrong = [
        "INSERT INTO t VALUES ('%s', 'x', NULL)", "INSERT INTO t VALUES (1, 'x', '%s')", "SELECT * FROM t WHERE note = '%s",
        "SELECT CAST('%s' AS DATE) + nothing", "SELECT * FROM nowhere WHERE x = '%s'", "INSERT INTO t VALUES (NULL, '%s', NULL)",
        "SELECT * FROM t AS OF TIMESTAMP '%s'", "SET no_such = '%s'",
        "CREATE FILESTORAGE S3 WITH ('ACCESS_KEY_SECRET' = '%s')", "SELECT '%s' /* unclosed", "FETCH '%s'",
    ]
    right = [
        "INSERT INTO t VALUES (1, '%s', NULL)", "SELECT '%s'", "SELECT * FROM t WHERE note = '%s' OR note LIKE '%s|'", "UPDATE t SET note = '%s' WHERE id = 1",
        "DELETE FROM t WHERE note = '%s'", "SELECT 1 /* %s */", "INSERT INTO t SELECT id + 1, CONCAT(note, '%s'), day FROM t",
        "EXPLAIN SELECT * FROM t WHERE note > '%s'", "SELECT note, count(*) FROM t WHERE note <> '%s' GROUP BY note ORDER BY note",
    ]
    for connection in (m, p):
        for statement in right + wrong:
            tried(run, connection, statement.replace("%s", mark()).replace("|", "%"))
    for connection, database in ((m, "logs"), (p, "postgres")):
        for statement in ("INSERT INTO t VALUES (%s, %s, NULL)", "SELECT * FROM t WHERE id = %s AND note = %s"):
            tried(rows, connection, statement, (1, mark()))
    tried(rows, p, "SELECT %s::date", (mark(),))
    with Raw(server, "root", password, "logs") as raw_:
        statement, _ = raw_.prepare("SELECT note FROM t WHERE note = ?")
        value = mark().encode()
        raw_.execute(statement, blob(len(value)) + value)
        raw_.send(LONG_DATA, struct.pack("<IH", statement, 0) + mark().encode())
        raw_.execute(statement, blob(None))
        tried(raw_.query, f"SELECT '{mark()}' FROM".encode() + b"\xff\xfe")
    for line in (f"1\t{mark()}\t\\N\n", f"{mark()}\tx\t\\N\n", f"2\tx\t{mark()}\n"):
        def copied(line=line):
            with p.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
                copy.write(line)
        tried(copied)
    with p.cursor() as cursor, cursor.copy(f"COPY (SELECT '{mark()}') TO STDOUT") as copy:
        assert b"".join(bytes(part) for part in copy)
    file = server.directory / "load.tsv"
    with mysql(server, "logs", local_infile=True, **root) as loading:
        for line in (f"7\t{mark()}\t\\N\n", f"{mark()}\tx\t\\N\n"):
            file.write_text(line)
            tried(run, loading, f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE t")
    with pytest.raises(pymysql.err.OperationalError):
        mysql(server, user="root", password=mark())
    with pytest.raises(psycopg.OperationalError):
        postgres(server, "postgres", user="root", password=mark())
    slow = mysql(server, "logs", **root)
    run(slow, "SET max_execution_time = 100")
    fails(3024, rows, slow, f"SELECT SLEEP(20), '{mark()}'")
    # The client goes away in the middle of a statement.
    gone = mysql(server, "logs", **root)
    gone._execute_command(3, f"SELECT SLEEP(1), '{mark()}'".encode())
    gone._force_close()
    assert count > 50


@pytest.mark.parametrize(
    ("format_", "level"), [("text", "debug"), ("text", "trace"), ("text", "info,flashgate=trace"), ("json", "trace"), ("json", "info,flashgate=trace")]
)
def test_no_literal_parameter_row_or_password_is_in_the_logs_at_any_level(start, tmp_path, format_, level):
    password, marks = "Quince7Marmalade", []
    directory = tmp_path / "logs"
    add(directory / "data", "root", password)
    server = start(env={"FLASHGATE_LOG_LEVEL": level, "FLASHGATE_LOG_FORMAT": format_}, directory=directory)
    provoke(server, marks, password)
    assert server.stop() == 0
    log = server.log()
    lines = log.splitlines()
    if format_ == "json":
        lines = [json.loads(line) for line in lines]
        assert {"DEBUG", "INFO"} <= {line["level"] for line in lines}
        assert [line for line in lines if line.get("message") == "mysql client logged in"]
    else:
        assert " DEBUG " in log and "mysql client logged in" in log
    shown = {word for word in [*marks, password] if word in log}
    first = [line for line in log.splitlines() if any(word in line for word in shown)][:3]
    assert not shown, first


# --- /ready and /metrics ------------------------------------------------------------------------------------------------------------------


def documented():
    """Metric name -> labels, from the table of the manual."""
    table = (ROOT / "docs" / "operations.md").read_text().split("| metric | labels | meaning |", 1)[1].split("\n\n", 1)[0]
    return {name: set(filter(None, labels.replace(" ", "").split(","))) for name, labels in re.findall(r"^\| `(flashgate_\w+)` \|([\w, ]*)\|", table, re.M)}


def metrics(server):
    """{(name, frozenset of (label, value)): number}"""
    status, body = server.get("/metrics")
    assert status == 200
    out = {}
    for line in body.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            out[name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels or ""))] = float(value)
    return out


def count(found, name, **labels):
    return found.get((name, frozenset(labels.items())), 0)


def test_every_documented_metric_is_there_with_its_labels_and_no_other(start):
    server = start(env={"FLASHGATE_LIMITS_CONNECTIONS": "2", "FLASHGATE_PURGE_SWEEP_INTERVAL": "200ms", "FLASHGATE_PURGE_GARBAGE_DELAY": "300ms"})
    want = documented()
    assert len(want) == 17 and want["flashgate_statements_total"] == {"protocol", "kind", "outcome"}
    m, p = mysql(server, "postgres"), postgres(server, "postgres")
    fails(1040, mysql, server)
    run(m, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", "DROP TABLE t", "PURGE RECYCLEBIN")
    assert eventually(lambda: count(metrics(server), "flashgate_garbage_swept_total") > 0, timeout=10)
    for _ in range(2):
        # Described, then run.
        p.execute("SELECT 1", prepare=True)
    found = {}
    for name, labels in metrics(server):
        base = re.sub(r"_(bucket|sum|count)$", "", name) if "_seconds" in name else name
        found.setdefault(base, set()).update(key for key, _ in labels if key != "le")
    # A panic is the one thing that no client can bring about; what is relayed is counted in front of an upstream only.
    relayed = {
        "flashgate_routed_total": {"protocol", "route"},
        "flashgate_relayed_bytes_total": {"protocol", "direction"},
        "flashgate_upstream_connects_total": {"protocol", "outcome"},
    }
    assert found | relayed | {"flashgate_panics_total": {"place"}} == want


def test_metrics_count_what_happened(start):
    server = start(env={"FLASHGATE_LIMITS_CONNECTIONS": "3"})
    before = metrics(server)
    m, p = mysql(server, "postgres"), postgres(server, "postgres")
    run(m, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
    fails(1146, run, m, "INSERT INTO nowhere VALUES (1)")
    for _ in range(3):
        rows(m, "SELECT id FROM t")
        rows(p, "SELECT id FROM t")
    fails("42P01", rows, p, "SELECT * FROM nowhere")
    with pytest.raises(pymysql.err.OperationalError):
        mysql(server, password="wrong")
    # The place of the one that was turned away is free again.
    assert eventually(lambda: count(metrics(server), "flashgate_connections", protocol="mysql") == 1)
    third = mysql(server)
    fails(1040, mysql, server)
    with pytest.raises(psycopg.OperationalError, match="Too many"):
        postgres(server)
    after = metrics(server)
    assert not any(name.startswith("flashgate_statements") for name, _ in before)

    def grown(name, **labels):
        return count(after, name, **labels) - count(before, name, **labels)

    for want, name, labels in (
        (2, "flashgate_connections", {"protocol": "mysql"}),
        (1, "flashgate_connections", {"protocol": "postgres"}),
        (3, "flashgate_connections_total", {"protocol": "mysql"}),
        (1, "flashgate_connections_total", {"protocol": "postgres"}),
        (1, "flashgate_connections_refused_total", {"protocol": "mysql"}),
        (1, "flashgate_connections_refused_total", {"protocol": "postgres"}),
        (2, "flashgate_logins_total", {"protocol": "mysql", "outcome": "ok"}),
        (1, "flashgate_logins_total", {"protocol": "mysql", "outcome": "error"}),
        (1, "flashgate_logins_total", {"protocol": "postgres", "outcome": "ok"}),
        (1, "flashgate_statements_total", {"protocol": "mysql", "kind": "CREATE TABLE", "outcome": "ok"}),
        (2, "flashgate_statements_total", {"protocol": "mysql", "kind": "INSERT", "outcome": "ok"}),
        (1, "flashgate_statements_total", {"protocol": "mysql", "kind": "INSERT", "outcome": "error"}),
        (3, "flashgate_statements_total", {"protocol": "mysql", "kind": "SELECT", "outcome": "ok"}),
        (3, "flashgate_statements_total", {"protocol": "postgres", "kind": "SELECT", "outcome": "ok"}),
        (1, "flashgate_statements_total", {"protocol": "postgres", "kind": "SELECT", "outcome": "error"}),
        (3, "flashgate_statement_seconds_count", {"protocol": "mysql", "kind": "SELECT"}),
        (4, "flashgate_statement_seconds_count", {"protocol": "postgres", "kind": "SELECT"}),
        (4, "flashgate_statement_seconds_bucket", {"protocol": "postgres", "kind": "SELECT", "le": "+Inf"}),
    ):
        assert grown(name, **labels) == want, (name, labels)
    for direction in ("write", "read"):
        for name in ("flashgate_store_bytes_total", "flashgate_store_operations_total"):
            assert grown(name, engine="OSS", direction=direction) > 0, (name, direction)
    totals = [count(after, f"flashgate_store_{what}_total", engine="OSS", direction=way) for what in ("bytes", "operations") for way in ("read", "write")]
    assert [(row[0], *map(int, row[4:8])) for row in rows(m, "SHOW FILESTORAGE")] == [("OSS", *totals)], "the same numbers"
    third.close()
    p.close()
    assert eventually(lambda: count(metrics(server), "flashgate_connections", protocol="mysql") == 1)
    assert eventually(lambda: count(metrics(server), "flashgate_connections", protocol="postgres") == 0)
    assert count(metrics(server), "flashgate_connections_total", protocol="mysql") == 3


def test_ready_says_when_the_metadata_cannot_be_read_and_when_it_can_again(start):
    # Nothing of the server's own may write while the files hold noise.
    server = start(env={"FLASHGATE_GMS_REFRESH_INTERVAL": "1h", "FLASHGATE_PURGE_SWEEP_INTERVAL": "1h"})
    assert server.get("/ready") == (200, "ready\n")
    files = [file for file in (server.directory / "data").glob("gms.db*") if file.stat().st_size]
    whole = {file: file.read_bytes() for file in files}

    def write(what):
        for file in files:
            with open(file, "r+b") as stream:
                stream.write(what(file))

    write(lambda file: b"\xaa" * len(whole[file]))
    status, body = server.get("/ready")
    health = server.get("/health")
    write(lambda file: whole[file])
    assert (status, body.split(":")[0]) == (503, "metadata"), body
    assert health == (200, "ok\n")
    assert eventually(lambda: server.get("/ready") == (200, "ready\n")), server.get("/ready")


# --- certificates --------------------------------------------------------------------------------------------------------------------------


def certificate(directory, name):
    """A self-signed pair for localhost; the certificate's bytes."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, capture_output=True,
    )
    return ssl.PEM_cert_to_DER_cert((directory / "cert.pem").read_text())


def insecure(alpn=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


def direct(server, alpn="postgresql"):
    return insecure(alpn).wrap_socket(socket.create_connection(server.postgres, timeout=30))


def shown(server, wire):
    """The certificate that a new client is shown."""
    if wire == "mysql":
        with Raw(server, tls=True) as client:
            return client.stream.getpeercert(True)
    with direct(server) as stream:
        return stream.getpeercert(True)


def test_sighup_reads_the_certificate_again_and_a_wrong_one_changes_nothing(start, tmp_path):
    first = certificate(tmp_path, "first")
    server = start(env={"FLASHGATE_TLS_CERT": str(tmp_path / "cert.pem"), "FLASHGATE_TLS_KEY": str(tmp_path / "key.pem")})
    assert [shown(server, wire) for wire in ("mysql", "postgres")] == [first, first]
    open_, open_too = Raw(server, tls=True), RawPostgres(server, stream=direct(server))
    second = certificate(tmp_path, "second")
    assert second != first
    assert shown(server, "mysql") == first, "not before the signal"
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "the certificate was read again" in server.log())
    assert [shown(server, wire) for wire in ("mysql", "postgres")] == [second, second]
    assert open_.one("SELECT 1") == "1" and kinds(open_too.query("SELECT 1")) == "TDCZ", "open connections go on"
    (tmp_path / "cert.pem").write_text("not a certificate")
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "the certificate was not read" in server.log())
    assert [shown(server, wire) for wire in ("mysql", "postgres")] == [second, second]
    third = certificate(tmp_path, "third")
    # A key that is not that of the certificate is as wrong.
    key = (tmp_path / "key.pem").read_text()
    certificate(tmp_path, "fourth")
    (tmp_path / "key.pem").write_text(key)
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: server.log().count("the certificate was not read") == 2)
    assert shown(server, "postgres") == second
    (tmp_path / "cert.pem").write_text(ssl.DER_cert_to_PEM_cert(third))
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: server.log().count("the certificate was read again") == 2)
    assert shown(server, "mysql") == third


def test_sighup_without_tls_does_nothing(start):
    server = start()
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert server.process.poll() is None and rows(mysql(server), "SELECT 1") == [(1,)]


def test_a_postgres_client_may_begin_with_tls_at_once(start):
    server = start(env={"FLASHGATE_TLS_SELF_SIGNED": "true", "FLASHGATE_TLS_REQUIRED": "true"})
    with postgres(server, "postgres", sslmode="require", sslnegotiation="direct") as c:
        assert c.pgconn.ssl_in_use and rows(c, "SELECT 1") == [(1,)]
    with RawPostgres(server, stream=direct(server)) as client:
        assert client.stream.selected_alpn_protocol() == "postgresql"
        assert kinds(client.query("SELECT 1")) == "TDCZ"
    # Without the protocol's name it could be a client that means another server.
    with direct(server, None) as stream:
        code = fields(stream.recv(4096)[5:])
        assert (code["S"], code["C"]) == ("FATAL", "08P01") and "ALPN" in code["M"]
    with pytest.raises(ssl.SSLError):
        direct(server, "h2")
    with socket.create_connection(server.postgres, timeout=30) as stream:
        # Within a direct connection there is no second encryption to ask for; on a plain one the request is answered.
        stream.sendall(struct.pack(">II", 8, 80877103))
        assert stream.recv(1) == b"S"


def test_without_tls_a_direct_beginning_is_the_end_and_others_go_on(start):
    server = start()
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        direct(server)
    with pytest.raises(psycopg.OperationalError):
        postgres(server, "postgres", sslmode="require", sslnegotiation="direct")
    assert rows(postgres(server, "postgres"), "SELECT 1") == [(1,)]


# --- memory of the query engine ---------------------------------------------------------------------------------------------------------------


MANY = 200_000
PAD = 120


class SpillWatch:
    """The largest amount of spilled bytes while this lives."""

    def __init__(self, directory):
        self.directory, self.largest, self.end = directory, 0, threading.Event()

    def spilled(self):
        total = 0
        for path in self.directory.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                pass
        return total

    def watch(self):
        while not self.end.wait(0.005):
            self.largest = max(self.largest, self.spilled())

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


@pytest.fixture(scope="module")
def tight(tmp_path_factory):
    """A server with 32 MiB for its queries, and a table that is larger."""
    from conftest import Flashgate

    running = Flashgate(tmp_path_factory.mktemp("tight"), env={"FLASHGATE_LIMITS_ENGINE_MEMORY": "32MiB"})
    with postgres(running, "postgres") as c:
        run(c, "CREATE TABLE t (id BIGINT NOT NULL, k TEXT, pad TEXT)")
        run(c, f"INSERT INTO t SELECT value, md5(CAST(value AS TEXT)), repeat('p', {PAD}) FROM generate_series(1, {MANY})")
    yield running
    assert running.stop() == 0, running.log()
    assert "panicked" not in running.log()
    assert not list((running.directory / "data" / "spill").rglob("*"))


def copied(connection, query):
    """The lines of a result."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
        return b"".join(bytes(part) for part in copy).decode().splitlines()


@pytest.fixture(scope="module")
def sorted_keys():
    return sorted((hashlib.md5(str(number).encode()).hexdigest(), number) for number in range(1, MANY + 1))


def test_a_sort_larger_than_the_engines_memory_spills_and_is_right(tight, sorted_keys):
    with postgres(tight, "postgres") as c, SpillWatch(tight.directory / "data" / "spill") as spill:
        lines = copied(c, "SELECT k, id, pad FROM t ORDER BY k, id")
        assert spill.largest > 1 << 20, "it was spilled"
        assert len(lines) == MANY
        pad = "p" * PAD
        assert all(line == f"{key}\t{number}\t{pad}" for line, (key, number) in zip(lines, sorted_keys))
        assert eventually(lambda: spill.spilled() == 0, timeout=5), "nothing is left of it"


def test_an_aggregation_larger_than_the_engines_memory_spills_and_is_right(tight, sorted_keys):
    with postgres(tight, "postgres") as c, SpillWatch(tight.directory / "data" / "spill") as spill:
        lines = copied(c, "SELECT k, min(id), count(*), max(pad) FROM t GROUP BY k")
        assert spill.largest > 1 << 20, "it was spilled"
        pad = "p" * PAD
        assert sorted(lines) == [f"{key}\t{number}\t1\t{pad}" for key, number in sorted_keys]
        assert eventually(lambda: spill.spilled() == 0, timeout=5), "nothing is left of it"


def test_a_sort_whose_client_goes_away_leaves_nothing_behind(tight):
    spill = SpillWatch(tight.directory / "data" / "spill")
    client = Raw(tight, database="postgres")
    client.send(QUERY, b"SELECT k, id, pad FROM t ORDER BY pad, k")
    assert eventually(lambda: spill.spilled() > 0, timeout=20, pause=0.005)
    client.close()
    assert eventually(lambda: spill.spilled() == 0, timeout=20)


@WIRES
def test_what_cannot_spill_is_an_error_and_others_go_on(tight, wire):
    code = {"mysql": 1041, "postgres": "53200"}[wire]
    heavy = "SELECT LENGTH(GROUP_CONCAT(CONCAT(pad, pad))) FROM t" if wire == "mysql" else "SELECT length(string_agg(pad || pad, ',')) FROM t"
    done = threading.Event()

    def goes_on():
        with opened(tight, wire, "postgres") as c:
            count = 0
            while not done.is_set():
                assert rows(c, "SELECT COUNT(*) FROM t WHERE id <= 100") == [(100,)]
                count += 1
            return count

    with concurrent.futures.ThreadPoolExecutor(1) as pool, opened(tight, wire, "postgres") as c:
        other = pool.submit(goes_on)
        try:
            for _ in range(3):
                error = fails(code, rows, c, heavy)
                said = str(error) + str(getattr(getattr(error, "diag", None), "message_hint", ""))
                assert "memory" in said and "limits.engine_memory" in said
                assert rows(c, "SELECT COUNT(*) FROM t") == [(MANY,)], "the connection goes on"
        finally:
            done.set()
        assert other.result() > 0


@WIRES
def test_a_sort_with_a_large_limit_spills_as_one_without(tight, wire):
    with opened(tight, wire, "postgres") as c:
        assert len(rows(c, f"SELECT k, id, pad FROM t ORDER BY k, id LIMIT {MANY - 1}")) == MANY - 1


@WIRES
def test_more_spilled_data_than_allowed_is_an_error_with_a_sentence(start, wire):
    server = start(env={"FLASHGATE_LIMITS_ENGINE_MEMORY": "32MiB", "FLASHGATE_LIMITS_SPILL_BYTES": "1MiB"})
    with postgres(server, "postgres") as c:
        run(c, "CREATE TABLE t (id BIGINT NOT NULL, pad TEXT)", "INSERT INTO t SELECT value, repeat('p', 300) FROM generate_series(1, 150000)")
    with opened(server, wire, "postgres") as c:
        error = fails({"mysql": 1041, "postgres": "53200"}[wire], rows, c, "SELECT id, pad FROM t ORDER BY pad, id DESC")
        assert "datafusion" not in str(error)
        assert rows(c, "SELECT COUNT(*) FROM t") == [(150_000,)]
    spill = SpillWatch(server.directory / "data" / "spill")
    assert eventually(lambda: spill.spilled() == 0, timeout=5)
