"""Real PostgreSQL clients through Flashgate in front of PostgreSQL: hot statements as they are, and cold ones on the same connection."""

import asyncio
import contextlib
import io
import os
import socket
import struct
import subprocess
import threading
import time

import psycopg
import pytest

from conftest import eventually
from relay import postgres as wire
from test_concurrency import fails
from upstreams import FORWARD, PASSWORDS, certificates, gated, need, upstream
from wires import now, rows, run

COLD = "CREATE TABLE cold1 (id INT, name VARCHAR(20)) WITH (engine='OSS')"


@pytest.fixture(scope="module")
def base():
    return upstream("postgres")


@pytest.fixture(scope="module")
def gate(base):
    """Flashgate in front of PostgreSQL, with a cold table `cold1` of two rows in `hot`, that was empty at `gate.before` and had one row at `gate.then`."""
    with gated(postgres=base) as running:
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
def table(base):
    """A hot table of this test."""
    base.sql("DROP TABLE IF EXISTS h", "CREATE TABLE h (id INT PRIMARY KEY, name VARCHAR(50))", "INSERT INTO h VALUES (1, 'eins'), (2, 'zwei')", dbname="hot")
    return "h"


def connect(gate, dbname="hot", **more):
    host, port = gate.postgres
    return psycopg.connect(
        **{"host": host, "port": port, "user": "root", "dbname": dbname, "connect_timeout": 20, "sslmode": "disable", "autocommit": True, **more}
    )


# --- hot and cold on one connection ------------------------------------------------------------------------------------------


def test_hot_and_cold_statements_take_turns_on_one_connection(gate, table):
    with connect(gate) as c:
        pid = c.info.backend_pid
        for _ in range(3):
            assert rows(c, "SELECT id, name FROM cold1 ORDER BY id") == [(1, "one"), (2, "two")]
            assert rows(c, "SELECT id, name FROM h ORDER BY id") == [(1, "eins"), (2, "zwei")]
            assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{gate.then}'") == [(1,)]
            assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{gate.before}'") == []
            assert rows(c, "SELECT pg_backend_pid()") == [(pid,)]


def test_an_error_of_either_leaves_the_connection_usable(gate, table):
    with connect(gate) as c:
        fails("42P01", rows, c, "SELECT * FROM absent")
        fails("42703", rows, c, "SELECT absent FROM cold1")
        fails("42703", rows, c, "SELECT absent FROM h")
        fails("22023", rows, c, "SELECT * FROM cold1 AS OF TIMESTAMP '2199-01-01 00:00:00'")
        assert rows(c, "SELECT count(*) FROM cold1") == [(2,)] and rows(c, "SELECT count(*) FROM h") == [(2,)]


def test_a_cold_table_is_read_inside_an_open_transaction_of_the_upstream(gate, base, table):
    with connect(gate, autocommit=False) as c:
        run(c, "INSERT INTO h VALUES (3, 'drei')")
        assert rows(c, "SELECT count(*) FROM cold1") == [(2,)]
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        assert rows(c, f"SELECT count(*) FROM cold1 AS OF TIMESTAMP '{gate.then}'") == [(1,)]
        assert rows(c, "SELECT count(*) FROM h") == [(3,)]
        assert base.sql("SELECT count(*) FROM h", dbname="hot") == [(2,)]
        c.rollback()
        assert rows(c, "SELECT count(*) FROM h") == [(2,)]


@pytest.mark.parametrize("change", ["INSERT INTO cold1 VALUES (9, 'x')", "DELETE FROM cold1", "UPDATE cold1 SET name = 'x'"])
def test_a_change_of_a_cold_table_inside_an_upstream_transaction_is_refused_with_advice(gate, table, change):
    with connect(gate) as c:
        run(c, "BEGIN", "INSERT INTO h VALUES (3, 'drei')")
        with pytest.raises(psycopg.Error) as caught:
            run(c, change)
        said = f"{caught.value} {caught.value.diag.message_hint}".lower()
        assert any(word in said for word in ("commit", "rollback")), said
        # An error fails the transaction, as any of the database's own would.
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        fails("25P02", rows, c, "SELECT count(*) FROM h")
        run(c, "ROLLBACK")
        assert rows(c, "SELECT count(*) FROM h") == [(2,)] and rows(c, "SELECT count(*) FROM cold1") == [(2,)]


def test_a_cold_error_inside_a_transaction_fails_it_and_a_savepoint_brings_it_back(gate, table):
    with connect(gate) as c:
        run(c, "BEGIN", "INSERT INTO h VALUES (3, 'drei')", "SAVEPOINT a")
        fails("42703", rows, c, "SELECT absent FROM cold1")
        fails("25P02", rows, c, "SELECT 1")
        fails("25P02", rows, c, "SELECT count(*) FROM cold1")
        run(c, "ROLLBACK TO a")
        assert rows(c, "SELECT count(*) FROM cold1") == [(2,)]
        run(c, "COMMIT")
        assert rows(c, "SELECT count(*) FROM h") == [(3,)]


def test_a_multi_statement_answers_in_order_whoever_answers(gate, table):
    with connect(gate) as c, c.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT id FROM cold1 ORDER BY id; SELECT name FROM h ORDER BY id; SELECT count(*) FROM cold1; SELECT 'end'")
        got = [cursor.fetchall()]
        while cursor.nextset():
            got.append(cursor.fetchall())
        assert got == [[(1,)], [(1,), (2,)], [("eins",), ("zwei",)], [(2,)], [("end",)]]


@pytest.mark.parametrize("bad", ["SELECT absent FROM cold1", "SELECT * FROM absent"])
def test_a_multi_statement_is_one_transaction_and_its_error_takes_it_back(gate, table, bad):
    with connect(gate) as c:
        with pytest.raises(psycopg.Error):
            run(c, f"DELETE FROM h; SELECT id FROM cold1; {bad}; SELECT 'not reached'")
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert rows(c, "SELECT count(*) FROM h") == [(2,)]


def test_names_belong_to_the_database_of_the_connection(gate, base):
    """`twin` is cold in one database and hot in the other."""
    base.sql("DROP TABLE IF EXISTS twin", "CREATE TABLE twin (id INT)", "INSERT INTO twin VALUES (77)", dbname="other")
    with connect(gate) as c, connect(gate, "other") as o:
        run(c, "CREATE TABLE IF NOT EXISTS twin (id INT) WITH (engine='OSS')", "DELETE FROM twin", "INSERT INTO twin VALUES (11)")
        for _ in range(2):
            assert rows(c, "SELECT id FROM twin") == [(11,)] and rows(o, "SELECT id FROM twin") == [(77,)]
            assert rows(c, "SELECT id FROM public.twin") == [(11,)] and rows(o, 'SELECT id FROM "twin"') == [(77,)]


def test_a_name_of_another_schema_or_of_a_with_clause_is_not_the_cold_table(gate, base):
    base.sql(
        "CREATE SCHEMA IF NOT EXISTS elsewhere",
        "DROP TABLE IF EXISTS elsewhere.cold1",
        "CREATE TABLE elsewhere.cold1 (id INT)",
        "INSERT INTO elsewhere.cold1 VALUES (5)",
        dbname="hot",
    )
    with connect(gate) as c:
        assert rows(c, "SELECT id FROM elsewhere.cold1") == [(5,)]
        assert rows(c, "WITH cold1 AS (SELECT 8 AS id) SELECT id FROM cold1") == [(8,)]
        assert rows(c, "SELECT 'cold1', $$ FROM cold1 $$, id AS cold1 FROM elsewhere.cold1") == [("cold1", " FROM cold1 ", 5)]
        run(c, "SET search_path = elsewhere")
        assert rows(c, "SELECT id FROM cold1") == [(5,)]
        run(c, "RESET search_path")
        assert rows(c, "SELECT count(*) FROM cold1") == [(2,)]


def test_time_zones_of_the_upstream_session_read_times_of_cold_tables(gate):
    import datetime

    then = datetime.datetime.fromisoformat(gate.then)
    with connect(gate) as c:
        run(c, "SET TIME ZONE 'Asia/Tokyo'")
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{then + datetime.timedelta(hours=9)}'") == [(1,)]
        run(c, "SET TIME ZONE 'UTC'")
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{then}'") == [(1,)]
        run(c, "BEGIN", "SET LOCAL TIME ZONE 'Asia/Tokyo'")
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{then + datetime.timedelta(hours=9)}'") == [(1,)]
        run(c, "ROLLBACK")
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{then}'") == [(1,)]
    with connect(gate, options="-c TimeZone=Asia/Tokyo") as c:
        assert rows(c, f"SELECT id FROM cold1 AS OF TIMESTAMP '{then + datetime.timedelta(hours=9)}'") == [(1,)]


# --- the extended protocol -----------------------------------------------------------------------------------------------------


def test_prepared_statements_of_both_kinds_live_side_by_side(gate, table):
    with connect(gate, prepare_threshold=0) as c:
        for _ in range(3):
            assert c.execute("SELECT name FROM cold1 WHERE id = %s", (1,)).fetchall() == [("one",)]
            assert c.execute("SELECT name FROM h WHERE id = %s", (1,)).fetchall() == [("eins",)]
            assert c.execute("SELECT name FROM cold1 WHERE id = %s", (2,), binary=True).fetchall() == [("two",)]
            assert c.execute("SELECT count(*) FROM cold1 AS OF TIMESTAMP %s", (gate.then,)).fetchall() == [(1,)]
        c.execute("DEALLOCATE ALL")
        assert c.execute("SELECT name FROM h WHERE id = %s", (2,), prepare=False).fetchall() == [("zwei",)]


def test_a_pipeline_of_both_kinds_answers_in_order(gate, table):
    with connect(gate) as c:
        with c.pipeline():
            cursors = [
                c.execute(text)
                for text in ("SELECT 'a'", "SELECT count(*) FROM cold1", "SELECT 'b'", "SELECT name FROM cold1 WHERE id = 2", "SELECT name FROM h WHERE id = 2")
                * 5
            ]
        assert [cursor.fetchone()[0] for cursor in cursors] == ["a", 2, "b", "two", "zwei"] * 5


@pytest.mark.parametrize("bad", ["SELECT 1 + FROM cold1", "SELECT * FROM absent"], ids=["cold", "hot"])
@pytest.mark.parametrize("after", ["SELECT count(*) FROM cold1", "SELECT 1"], ids=["then-cold", "then-hot"])
def test_after_an_error_a_pipeline_is_skipped_up_to_its_sync(gate, table, bad, after):
    session = wire.Session(gate.postgres, wire.Script(wire.Login([("user", "root"), ("database", "hot")]), []), False)
    session._login(session.script.login)
    before = len(session.heard)
    messages = []
    for text in ("INSERT INTO h VALUES (50, 'x')", bad, after, "INSERT INTO h VALUES (51, 'y')"):
        messages += [(b"P", b"\0" + text.encode() + b"\0\0\0"), (b"B", b"\0\0\0\0\0\0\0\0"), (b"E", b"\0\0\0\0\0")]
    session._step(wire.Step([*messages, (b"S", b"")]))
    heard = session.heard[before:]
    assert [one.label for one in heard] == ["1", "2", "C", "E", "Z"], heard
    assert heard[-1].data == b"ZI"
    session._step(wire.Step([(b"Q", b"SELECT count(*) FROM h\0")]))
    # The implicit transaction took the first INSERT back.
    assert any(one.data.endswith(b"\0\0\0\x012") for one in session.heard)
    session.stream.close()


def test_describe_and_row_limits_of_a_cold_portal(gate):
    session = wire.Session(gate.postgres, wire.Script(wire.Login([("user", "root"), ("database", "hot")]), []), False)
    session._login(session.script.login)
    before = len(session.heard)
    text = b"SELECT id, name FROM cold1 WHERE id > $1 ORDER BY id"
    session._step(wire.Step([(b"P", b"s\0" + text + b"\0\0\0"), (b"D", b"Ss\0"), (b"H", b"")]))
    assert [one.label for one in session.heard[before:]] == ["1", "t", "T"]
    session._step(wire.Step([(b"Q", b"BEGIN\0")]))
    before = len(session.heard)
    bind = b"p\0s\0\0\0\0\x01" + struct.pack(">i", 1) + b"0\0\0"
    session._step(
        wire.Step([(b"B", bind), (b"D", b"Pp\0"), (b"E", b"p\0" + struct.pack(">i", 1)), (b"E", b"p\0" + struct.pack(">i", 5)), (b"C", b"Pp\0"), (b"S", b"")])
    )
    assert [one.label for one in session.heard[before:]] == ["2", "T", "D", "s", "D", "C", "3", "Z"]
    assert session.heard[-1].data == b"ZT"
    session.stream.close()


def test_a_local_answer_tells_the_transaction_status_of_the_upstream(gate):
    with connect(gate) as c:
        assert rows(c, "SELECT count(*) FROM cold1") and c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        run(c, "BEGIN")
        assert rows(c, "SELECT count(*) FROM cold1") and c.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        run(c, "COMMIT")


# --- clients -----------------------------------------------------------------------------------------------------------------


def test_psycopg2_runs_hot_and_cold(gate, table):
    import psycopg2

    host, port = gate.postgres
    c = psycopg2.connect(host=host, port=port, user="root", dbname="hot", sslmode="disable")
    c.autocommit = True
    cursor = c.cursor()
    for _ in range(2):
        cursor.execute("SELECT id, name FROM cold1 WHERE id < %s ORDER BY id", (5,))
        assert cursor.fetchall() == [(1, "one"), (2, "two")]
        cursor.execute("SELECT id, name FROM h WHERE id < %s ORDER BY id", (5,))
        assert cursor.fetchall() == [(1, "eins"), (2, "zwei")]
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT * FROM h ORDER BY id) TO STDOUT", out)
    assert out.getvalue() == "1\teins\n2\tzwei\n"
    c.close()


def test_asyncpg_runs_hot_and_cold(gate, table):
    import asyncpg

    async def body():
        host, port = gate.postgres
        c = await asyncpg.connect(host=host, port=port, user="root", database="hot", ssl=False)
        for _ in range(2):
            assert [tuple(row) for row in await c.fetch("SELECT id, name FROM cold1 WHERE id < $1::int ORDER BY id", 5)] == [(1, "one"), (2, "two")]
            assert [tuple(row) for row in await c.fetch("SELECT id, name FROM h WHERE id < $1 ORDER BY id", 5)] == [(1, "eins"), (2, "zwei")]
        cold, hot = await c.prepare("SELECT name FROM cold1 WHERE id = $1::int"), await c.prepare("SELECT name FROM h WHERE id = $1")
        assert await hot.fetchval(1) == "eins" and await cold.fetchval(1) == "one" and await hot.fetchval(2) == "zwei" and await cold.fetchval(2) == "two"
        with contextlib.suppress(asyncpg.QueryCanceledError, asyncio.TimeoutError):
            await c.execute("SELECT pg_sleep(30)", timeout=0.5)
        assert await c.fetchval("SELECT count(*) FROM cold1") == 2
        await c.copy_records_to_table("h", records=[(10, "zehn"), (11, "elf")])
        assert await c.fetchval("SELECT count(*) FROM h") == 4
        await c.close()

    asyncio.run(asyncio.wait_for(body(), 60))


def test_pg8000_runs_hot_and_cold(gate, table):
    import pg8000.native

    host, port = gate.postgres
    c = pg8000.native.Connection("root", host=host, port=port, database="hot", ssl_context=False)
    for _ in range(2):
        assert c.run("SELECT id, name FROM cold1 WHERE id < CAST(:n AS INT) ORDER BY id", n=5) == [[1, "one"], [2, "two"]]
        assert c.run("SELECT id, name FROM h WHERE id < :n ORDER BY id", n=5) == [[1, "eins"], [2, "zwei"]]
    c.close()


def psql(gate, *words, user="root", password=None, text=None, **more):
    host, port = gate.postgres
    where = " ".join(f"{name}={value}" for name, value in {"host": host, "port": port, "user": user, "dbname": "hot", "sslmode": "disable", **more}.items())
    env = {**os.environ, "PSQLRC": "/dev/null", **({"PGPASSWORD": password} if password is not None else {})}
    return subprocess.run(
        ["psql", "-X", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", where, *words], input=text, capture_output=True, text=True, timeout=60, env=env
    )


def test_the_psql_program_runs_a_file_of_both(gate, table):
    done = psql(
        gate,
        text=f"SELECT id FROM cold1 ORDER BY id;\n\\d h\nSELECT name FROM h ORDER BY id;\nSELECT id FROM cold1 AS OF TIMESTAMP '{gate.then}';\n\\copy h to stdout\n",
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert lines[:2] == ["1", "2"] and "eins" in lines and "1\teins" in lines


def test_notices_and_notifications_come_through(gate):
    with connect(gate) as c, connect(gate) as other:
        said = []
        c.add_notice_handler(lambda one: said.append(one.message_primary))
        run(c, "DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
        assert said == ["heard"]
        run(c, "LISTEN canal")
        run(other, "NOTIFY canal, 'AS OF'")
        (note,) = c.notifies(timeout=20, stop_after=1)
        assert (note.payload, note.pid) == ("AS OF", other.info.backend_pid)
        # What comes unasked between two cold statements is not lost.
        run(c, "SELECT id FROM cold1")
        run(other, "NOTIFY canal, 'second'")
        run(c, "SELECT id FROM cold1")
        (note,) = c.notifies(timeout=20, stop_after=1)
        assert note.payload == "second"


def test_copy_goes_both_ways(gate, table):
    with connect(gate) as c, c.cursor() as cursor:
        with cursor.copy("COPY h FROM STDIN") as copy:
            for number in range(100, 5100):
                copy.write_row((number, f"row {number}"))
        with cursor.copy("COPY h TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 5002
        with pytest.raises(RuntimeError):
            with cursor.copy("COPY h FROM STDIN") as copy:
                copy.write_row((9999, "lost"))
                raise RuntimeError("changed my mind")
        assert rows(c, "SELECT count(*) FROM h") == [(5002,)] and rows(c, "SELECT count(*) FROM cold1") == [(2,)]


# --- cancel ------------------------------------------------------------------------------------------------------------------


def cancelled(c, statement):
    caught = []

    def runner():
        try:
            caught.append(rows(c, statement))
        except psycopg.Error as error:
            caught.append(error.sqlstate)

    thread = threading.Thread(target=runner, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.3)
        # Not cancel(): that one holds the interpreter while it waits.
        c.cancel_safe(timeout=10)
    thread.join(1)
    assert not thread.is_alive(), "not cancelled"
    return caught[0]


def test_a_cancel_request_stops_an_upstream_statement(gate):
    with connect(gate) as c:
        assert cancelled(c, "SELECT pg_sleep(40)") == "57014"
        assert rows(c, "SELECT count(*) FROM cold1") == [(2,)]


def test_a_cancel_request_stops_a_cold_statement(gate):
    with connect(gate) as c:
        assert cancelled(c, "SELECT sum(t0.id * t39.id) FROM " + ", ".join(f"cold1 t{number}" for number in range(40))) == "57014"
        time.sleep(0.5)
        assert rows(c, "SELECT count(*) FROM cold1") == [(2,)] and rows(c, "SELECT 1") == [(1,)]


@contextlib.contextmanager
def catalog_held(base):
    """Whoever asks what a name means waits."""
    with base.connect(dbname="hot", autocommit=False) as holder:
        holder.execute("LOCK TABLE pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE")
        yield
        holder.rollback()


@pytest.fixture(scope="module")
def waited_for(gate):
    with connect(gate) as c:
        run(c, COLD.replace("cold1", "waited_for"), "INSERT INTO waited_for VALUES (7, 'seven')")
        yield "SELECT id FROM waited_for"
        run(c, "DROP TABLE waited_for")


def test_a_cancel_request_stops_a_cold_statement_that_waits_for_the_upstreams_state(gate, base, waited_for):
    with connect(gate) as c:
        rows(c, "SELECT 1 FROM cold1")
        with catalog_held(base):
            assert cancelled(c, waited_for) == "57014"
        assert rows(c, waited_for) == [(7,)] and rows(c, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("how", ["simple", "prepared", "pipeline", "transaction", "transaction prepared"])
def test_a_time_limit_ends_the_wait_for_the_upstreams_state(gate, base, waited_for, how):
    with connect(gate) as c:
        rows(c, "SELECT 1 FROM cold1")
        run(c, "SET statement_timeout = 300")
        if "transaction" in how:
            run(c, "BEGIN")
        with catalog_held(base), pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            if how == "pipeline":
                with c.pipeline():
                    c.execute("SELECT %s::int", (1,))
                    c.execute(waited_for)
                    c.execute("SELECT %s::int", (2,))
            else:
                c.execute(waited_for, prepare="prepared" in how)
        if "transaction" in how:
            fails("25P02", rows, c, "SELECT 1")
            fails("25P02", rows, c, "SELECT 1 FROM cold1")
            run(c, "ROLLBACK")
        assert rows(c, waited_for) == [(7,)] and rows(c, "SELECT 1") == [(1,)]


def test_a_cancel_request_with_a_wrong_key_stops_nothing(gate):
    with connect(gate) as c:
        done = []
        thread = threading.Thread(target=lambda: done.append(rows(c, "SELECT pg_sleep(1)")), daemon=True)
        thread.start()
        for key in (b"\0\0\0\0", b"\xff" * 4, b"", b"x" * 300):
            with socket.create_connection(gate.postgres, timeout=10) as other:
                other.sendall(struct.pack(">III", 12 + len(key), wire.CANCEL_REQUEST, c.info.backend_pid) + key)
                other.settimeout(10)
                with contextlib.suppress(ConnectionResetError):
                    assert other.recv(100) == b""
        thread.join(20)
        assert done and done[0] is not None


# --- logins ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["scram", "md5user", "clear"])
def test_every_authentication_logs_in_over_plain_legs(base, user):
    with gated(postgres=base) as running:
        for password, right in ((PASSWORDS[user], True), ("Wrong1Password", False)):
            done = psql(running, "-c", "SELECT current_user", user=user, password=password)
            assert (done.returncode == 0) == right, done.stderr
            assert done.stdout.strip() == (user if right else "") and (right or "password authentication failed" in done.stderr)
        assert PASSWORDS[user] not in running.log() and "Wrong1Password" not in running.log()


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_scram_with_tls_on_both_legs_is_never_weakened_silently(base, binding):
    """The client's leg ends at Flashgate: binding to a channel cannot hold. Who requires it is refused, who forbids it comes in, and who
    prefers it comes in or learns why not."""
    with gated(postgres=base, self_signed=True, tls="required") as running:
        done = psql(
            running,
            "-c",
            "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            user="scram",
            password=PASSWORDS["scram"],
            sslmode="require",
            channel_binding=binding,
        )
        if binding == "disable":
            assert (done.returncode, done.stdout.strip()) == (0, "scram|t"), done.stderr
        elif binding == "require":
            assert done.returncode != 0 and "channel binding" in done.stderr.lower(), done.stderr
        else:
            assert done.returncode == 0 or "channel" in done.stderr.lower(), done.stderr


def test_scram_over_tls_with_a_plain_leg_behind_logs_in(base):
    with gated(postgres=base, self_signed=True, tls="disabled") as running:
        done = psql(running, "-c", "SELECT current_user", user="scram", password=PASSWORDS["scram"], sslmode="require")
        assert (done.returncode, done.stdout.strip()) == (0, "scram"), done.stderr


class Tricky:
    """An upstream that asks for the password as it is, and writes down what it gets."""

    def __init__(self):
        self.listener, self.seen = socket.create_server(("127.0.0.1", 0)), bytearray()
        self.text = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(10)
            with contextlib.suppress(OSError):
                while True:
                    data = client.recv(4096)
                    if not data:
                        break
                    self.seen += data
                    if data[4:8] in (struct.pack(">I", wire.SSL_REQUEST), struct.pack(">I", wire.GSS_REQUEST)):
                        client.sendall(b"N")
                    elif data[4:8] == struct.pack(">I", wire.PROTOCOL_3):
                        client.sendall(b"R\0\0\0\x08\0\0\0\x03")
                    else:
                        client.sendall(wire.message(b"E", b"SFATAL\0C28P01\0Mno\0\0"))
            client.close()


def far(address):
    """The same server under an address that is not known to be this machine's."""
    return f"0.0.0.0:{str(address).rsplit(':', 1)[1]}"


def test_a_plain_upstream_that_asks_for_the_password_of_a_tls_client_does_not_get_it():
    fake = Tricky()
    with gated(postgres=far(fake.text), self_signed=True) as running:
        done = psql(running, "-c", "SELECT 1", user="ann", password="Quince7Marmalade", sslmode="require")
        assert done.returncode != 0
        assert b"Quince7Marmalade" not in bytes(fake.seen)
        assert any(word in done.stderr.lower() for word in ("unencrypted", "tls", "plain")), done.stderr
        assert "Quince7Marmalade" not in running.log()


# --- TLS to the upstream -------------------------------------------------------------------------------------------------------


def secured(running, **more):
    try:
        with connect(running, **more) as c:
            return rows(c, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]
    except psycopg.Error as error:
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
def test_tls_modes_to_the_upstream(base, mode, name, ca, works):
    path = certificates().ca if ca == "right" else certificates().other_ca
    env = {"FLASHGATE_UPSTREAM_POSTGRES_CA": str(path)} if mode.startswith("verify") else {}
    with gated(postgres=f"{name}:{base.port}", tls=mode, env=env) as running:
        got = secured(running)
        if not works:
            assert isinstance(got, psycopg.Error), "a certificate that is not right was taken"
            assert any(word in str(got).lower() for word in ("tls", "certificate")), got
        else:
            assert got == (mode not in ("disabled", "preferred"))


def test_preferred_is_tls_where_it_is_offered_and_plain_within_the_machine(base):
    with gated(postgres=base, self_signed=True) as running:
        assert secured(running) is False and secured(running, sslmode="require") is False
    with gated(postgres=far(f"{base.host}:{base.port}"), self_signed=True) as running:
        assert secured(running) is True and secured(running, sslmode="require", channel_binding="disable") is True
        assert secured(running, user="tlsonly", password=PASSWORDS["tlsonly"], sslmode="require", channel_binding="disable") is True
        assert secured(running, user="tlsonly", password=PASSWORDS["tlsonly"]) is True


def test_required_is_refused_by_an_upstream_without_tls(request):
    server = need("postgres18", request)
    assert not server.tls
    with gated(postgres=server, tls="required") as running:
        got = secured(running)
        assert isinstance(got, psycopg.Error) and any(word in str(got).lower() for word in ("tls", "ssl")), got


@pytest.mark.parametrize("kind", ["postgres17", "postgres18"])
def test_newer_servers_run_hot_and_cold(kind, request):
    server = need(kind, request)
    with gated(postgres=server) as running, connect(running) as c:
        run(c, COLD, "INSERT INTO cold1 VALUES (1, 'one')", "CREATE TABLE IF NOT EXISTS h3 (id INT)")
        assert rows(c, "SELECT id FROM cold1") == [(1,)] and rows(c, "SELECT count(*) FROM h3") == [(0,)]
        assert rows(c, "SHOW server_version")[0][0].startswith(kind[-2:])
        c.close()


def test_an_unclosed_session_ends_in_the_upstream_with_its_client(gate, base):
    c = connect(gate)
    pid = c.info.backend_pid
    assert pid in base.sessions()
    c.close()
    assert eventually(lambda: pid not in base.sessions())
