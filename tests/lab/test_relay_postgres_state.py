"""What a connection in front of PostgreSQL keeps in two places must look like one: names of prepared statements, transactions,
pipelines, search paths."""

import socket
import struct
import time

import pytest

from relay import postgres as wire
from test_relay_postgres import COLD, connect
from upstreams import gated, upstream
from wires import now, rows, run

HOT = ["DROP TABLE IF EXISTS h", "CREATE TABLE h (id INT PRIMARY KEY, name VARCHAR(50))", "INSERT INTO h VALUES (1, 'eins'), (2, 'zwei')"]


@pytest.fixture(scope="module")
def base():
    return upstream("postgres")


@pytest.fixture(scope="module")
def gate(base):
    with gated(postgres=base) as running:
        c = connect(running)
        run(c, COLD)
        running.before = now(c)
        run(c, "INSERT INTO cold1 VALUES (1, 'one')")
        running.then = now(c)
        run(c, "INSERT INTO cold1 VALUES (2, 'two')", "CREATE TABLE written (id INT) WITH (engine='OSS')")
        yield running


@pytest.fixture
def hot(base):
    base.sql(*HOT, dbname="hot")


class Raw:
    """A client that writes messages by hand; answers are their kinds, an error its SQLSTATE, a tag and a status their text."""

    def __init__(self, gate):
        self.session = wire.Session(gate.postgres, wire.Script(wire.Login([("user", "root"), ("database", "hot")]), []), False)
        self.session._login(self.session.script.login)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.stream.close()

    def __call__(self, *messages):
        before = len(self.session.heard)
        self.session._step(wire.Step(list(messages)))
        return " ".join(self.shown(one) for one in self.session.heard[before:] if one.label not in "SN")

    def query(self, text):
        return self((b"Q", text.encode() + b"\0"))

    @staticmethod
    def shown(one):
        kind, body = one.data[:1], one.data[1:]
        if kind == b"E":
            return "E" + next(field[1:] for field in body.split(b"\0") if field.startswith(b"C")).decode()
        if kind == b"C":
            return f"C({body.rstrip(bytes(1)).decode()})"
        if kind == b"Z":
            return "Z" + body.decode()
        if kind == b"D":
            fields, rest = [], body[2:]
            while rest:
                size = struct.unpack(">i", rest[:4])[0]
                fields.append(rest[4 : 4 + max(size, 0)].decode())
                rest = rest[4 + max(size, 0) :]
            return f"D({','.join(fields)})"
        return kind.decode()


@pytest.fixture
def raw(gate, hot):
    with Raw(gate) as made:
        yield made


def parse(text, name=""):
    return (b"P", f"{name}\0{text}\0".encode() + b"\0\0")


def bind(name="", *values, portal=""):
    body = f"{portal}\0{name}\0".encode() + b"\0\0" + struct.pack(">h", len(values))
    return (b"B", body + b"".join(struct.pack(">i", len(v)) + v.encode() for v in values) + b"\0\0")


def close(name):
    return (b"C", b"S" + name.encode() + b"\0")


EXECUTE, DESCRIBE, SYNC, FLUSH = (b"E", b"\0\0\0\0\0"), (b"D", b"P\0"), (b"S", b""), (b"H", b"")
COLD_ROW, HOT_ROW = "SELECT name FROM cold1 WHERE id = 1", "SELECT name FROM h WHERE id = 1"


# --- what is wrong is told when the database tells it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, code", [("SELECT absent FROM cold1", "42703"), ("SELECT absent(1) FROM cold1", "42883"), ("SELECT 1 + FROM cold1", "42601")]
)
def test_what_cannot_be_planned_is_told_at_parse(raw, text, code):
    assert raw(parse(text), FLUSH) == f"E{code}"
    assert raw(bind(), EXECUTE, SYNC) == "ZI"
    assert raw(parse(text.replace("cold1", "h")), FLUSH) == f"E{code}", "as the database does"
    assert raw(SYNC) == "ZI"


def test_a_statement_is_described_as_it_is_when_described(raw, gate):
    with connect(gate) as c:
        run(c, "CREATE TABLE shape (id INT) WITH (engine='OSS')")
        assert raw(parse("SELECT * FROM shape", "shape"), SYNC) == "1 ZI"
        run(c, "ALTER TABLE shape ADD COLUMN more INT")
        before = len(raw.session.heard)
        assert raw((b"D", b"Sshape\0"), SYNC) == "t T ZI"
        assert raw.session.heard[before + 1].data[1:3] == b"\0\x02"
        run(c, "DROP TABLE shape")


# --- one set of names ------------------------------------------------------------------------------------------------------------

FREE = {"hot": HOT_ROW, "cold": COLD_ROW}


@pytest.mark.parametrize("first", FREE)
@pytest.mark.parametrize("second", FREE)
@pytest.mark.parametrize("by", ["parse", "text"])
@pytest.mark.parametrize("again", ["parse", "text"])
def test_a_name_is_taken_whoever_has_it(raw, first, second, by, again):
    def prepare(how, text):
        return raw(parse(text, "s1"), SYNC) if how == "parse" else raw.query(f"PREPARE s1 AS {text}")

    done = {"parse": "1 ZI", "text": "C(PREPARE) ZI"}
    assert prepare(by, FREE[first]) == done[by]
    assert prepare(again, FREE[second]) == "E42P05 ZI"
    row = "D(one)" if first == "cold" else "D(eins)"
    assert raw(bind("s1"), EXECUTE, SYNC) == f"2 {row} C(SELECT 1) ZI"
    assert raw.query("EXECUTE s1") == f"T {row} C(SELECT 1) ZI"
    # Given back, it is anybody's.
    assert raw(close("s1"), SYNC) == "3 ZI"
    assert prepare(again, FREE[second]) == done[again]
    assert raw.query("DEALLOCATE s1") == "C(DEALLOCATE) ZI"
    assert raw.query("DEALLOCATE s1") == "E26000 ZI"
    assert prepare(by, FREE[first]) == done[by]


@pytest.mark.parametrize("clears", ["DEALLOCATE ALL", "DISCARD ALL", "deallocate all; select 1", "DEALLOCATE s1; DEALLOCATE s2"])
@pytest.mark.parametrize("by", ["query", "execute"])
def test_clearing_names_clears_those_of_both(raw, clears, by):
    raw(parse(COLD_ROW, "s1"), parse(HOT_ROW, "s2"), SYNC)
    if by == "execute":
        if ";" in clears:
            clears = "DEALLOCATE ALL"
        assert raw(parse(clears), bind(), FLUSH) == "1 2", "nothing is cleared yet"
        assert raw(SYNC) == "ZI" and raw(bind("s1"), EXECUTE, SYNC) == "2 D(one) C(SELECT 1) ZI"
        assert "C(D" in raw(parse(clears), bind(), EXECUTE, SYNC)
    else:
        assert raw.query(clears).startswith("C(D")
    for name in ("s1", "s2"):
        assert raw(bind(name), EXECUTE, SYNC) == "E26000 ZI"
    told = raw(parse(HOT_ROW, "s1"), parse(COLD_ROW, "s2"), bind("s1"), EXECUTE, bind("s2"), EXECUTE, SYNC)
    assert told == "1 1 2 D(eins) C(SELECT 1) 2 D(one) C(SELECT 1) ZI"


def test_what_the_database_refuses_to_clear_stays(raw):
    raw(parse(COLD_ROW, "s1"), SYNC)
    assert raw.query("BEGIN") == "C(BEGIN) ZT"
    assert raw.query("DISCARD ALL") == "E25001 ZE"
    assert raw.query("ROLLBACK") == "C(ROLLBACK) ZI"
    assert raw(bind("s1"), EXECUTE, SYNC) == "2 D(one) C(SELECT 1) ZI"
    assert raw.query("DEALLOCATE s1; SELECT 1/0").startswith("C(DEALLOCATE) ")
    assert raw(bind("s1"), EXECUTE, SYNC) == "E26000 ZI", "a name does not come back with a rollback"


def test_a_close_that_is_passed_over_closes_nothing(raw):
    raw(parse(COLD_ROW, "s1"), SYNC)
    assert raw(parse("SELECT * FROM absent"), close("s1"), SYNC) == "E42P01 ZI"
    assert raw(bind("s1"), EXECUTE, SYNC) == "2 D(one) C(SELECT 1) ZI"


def test_a_prepare_that_fails_takes_no_name(raw):
    assert raw(parse("SELECT absent FROM cold1", "s1"), SYNC) == "E42703 ZI"
    assert raw(parse(HOT_ROW, "s1"), SYNC) == "1 ZI"


def test_names_of_the_protocol_are_exact_and_those_of_sql_fold(raw):
    assert raw(parse(COLD_ROW, "S_1"), parse(HOT_ROW, "s_1"), SYNC) == "1 1 ZI"
    assert raw.query("EXECUTE s_1") == "T D(eins) C(SELECT 1) ZI" and raw.query("EXECUTE S_1") == "T D(eins) C(SELECT 1) ZI"
    assert raw.query('EXECUTE "S_1"') == "T D(one) C(SELECT 1) ZI"
    assert raw.query('DEALLOCATE "S_1"') == "C(DEALLOCATE) ZI" and raw(bind("S_1"), SYNC) == "E26000 ZI"


def test_a_textual_prepare_through_the_extended_protocol_takes_its_name(raw):
    assert raw(parse(f"PREPARE s1 AS {COLD_ROW}"), bind(), EXECUTE, SYNC) == "1 2 C(PREPARE) ZI"
    assert raw(parse(HOT_ROW, "s1"), SYNC) == "E42P05 ZI"
    assert raw(parse(f"PREPARE s1 AS {COLD_ROW}"), bind(), EXECUTE, SYNC) == "1 2 E42P05 ZI"
    assert raw.query("EXECUTE s1") == "T D(one) C(SELECT 1) ZI"


# --- what is prepared is not yet done ----------------------------------------------------------------------------------------------


def test_a_rollback_that_is_only_prepared_ends_nothing(raw, gate):
    raw.query(f"START TRANSACTION READ ONLY AS OF TIMESTAMP '{gate.then}'")
    assert raw(parse("ROLLBACK", "end"), SYNC) == "1 ZT"
    assert raw.query("SELECT count(*) FROM cold1") == "T D(1) C(SELECT 1) ZT"
    assert raw(parse("SELECT * FROM absent"), bind("end"), EXECUTE, SYNC) == "E42P01 ZE"
    assert raw(bind("end"), EXECUTE, SYNC) == "2 C(ROLLBACK) ZI"
    assert raw.query("SELECT count(*) FROM cold1") == "T D(2) C(SELECT 1) ZI"


def test_a_commit_in_a_pipeline_ends_the_time_of_its_transaction(raw, gate):
    count = [parse("SELECT count(*) FROM cold1"), bind(), EXECUTE]
    begin = [parse("START TRANSACTION READ ONLY AS OF TIMESTAMP $1"), bind("", gate.then), EXECUTE]
    end = [parse("COMMIT"), bind(), EXECUTE]
    told = "1 2 D({}) C(SELECT 1)"
    assert raw(*begin, *count, *end, *count, SYNC) == f"1 2 C(START TRANSACTION) {told.format(1)} 1 2 C(COMMIT) {told.format(2)} ZI"


def test_the_time_of_a_transaction_may_be_a_parameter(raw, gate):
    text = "START TRANSACTION READ ONLY AS OF TIMESTAMP $1"
    assert raw(parse(text, "past"), (b"D", b"Spast\0"), SYNC) == "1 t n ZI"
    for then, count in ((gate.then, 1), (gate.before, 0)):
        assert raw(bind("past", then), DESCRIBE, EXECUTE, SYNC) == "2 n C(START TRANSACTION) ZT"
        assert raw.query("SELECT count(*) FROM cold1") == f"T D({count}) C(SELECT 1) ZT"
        assert raw.query("INSERT INTO h VALUES (9, 'x')") == "E25006 ZE"
        assert raw.query("ROLLBACK") == "C(ROLLBACK) ZI"
    assert raw(bind("past", "2199-01-01"), EXECUTE, SYNC) == "2 E22023 ZI"
    assert raw(bind("past", "no time"), EXECUTE, SYNC).endswith(("E22007 ZI", "E22023 ZI"))
    assert raw.query("SELECT count(*) FROM cold1") == "T D(2) C(SELECT 1) ZI"


def test_psycopg_binds_the_time_of_a_transaction(gate, hot):
    with connect(gate) as c:
        for prepare in (False, True, True):
            c.execute("START TRANSACTION READ ONLY AS OF TIMESTAMP %s", (gate.then,), prepare=prepare)
            assert rows(c, "SELECT count(*) FROM cold1") == [(1,)] and rows(c, "SELECT count(*) FROM h") == [(2,)]
            run(c, "COMMIT")


# --- pipelines ----------------------------------------------------------------------------------------------------------------------


def test_a_pipeline_changes_cold_tables_or_hot_ones_but_never_half_of_both(raw, base):
    def count():
        return raw.query("SELECT count(*) FROM written"), base.sql("SELECT count(*) FROM h", dbname="hot")[0][0]

    cold, hot = [parse("INSERT INTO written VALUES (1)"), bind(), EXECUTE], [parse("INSERT INTO h VALUES (7, 'x')"), bind(), EXECUTE]
    none = count()
    assert raw(*cold, *hot, SYNC) == "1 2 C(INSERT 0 1) 1 2 E55000 ZI"
    assert count() == none
    assert raw(*hot, *cold, SYNC) == "1 2 C(INSERT 0 1) 1 2 E55000 ZI"
    assert count() == none
    assert raw(*cold, *cold, SYNC) == "1 2 C(INSERT 0 1) 1 2 C(INSERT 0 1) ZI"
    assert raw(*cold, SYNC, *hot, SYNC) == "1 2 C(INSERT 0 1) ZI 1 2 C(INSERT 0 1) ZI"
    assert count() == ("T D(3) C(SELECT 1) ZI", none[1] + 1)
    # Reading is as free as ever.
    read = [parse(COLD_ROW), bind(), EXECUTE]
    base.sql("DELETE FROM h WHERE id = 7", dbname="hot")
    assert raw(*read, *hot, *read, SYNC) == "1 2 D(one) C(SELECT 1) 1 2 C(INSERT 0 1) 1 2 D(one) C(SELECT 1) ZI"
    raw.query("DELETE FROM written")


# --- search paths -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def schemas(base):
    made = ["DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA IF EXISTS root CASCADE", "CREATE SCHEMA a"]
    made += ["CREATE TABLE a.cold1 (id INT, name TEXT)", "INSERT INTO a.cold1 VALUES (1, 'hot')"]
    base.sql(*made, dbname="hot")
    yield
    base.sql("DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA IF EXISTS root CASCADE", dbname="hot")


@pytest.mark.parametrize(
    "path, name",
    [("a, public", "hot"), ("public, a", "one"), ("a", "hot"), ("absent, public", "one")]
    + [('"$user", public', "one"), ("a, absent", "hot"), ("public", "one")],
)
def test_the_first_schema_of_the_search_path_that_has_a_table_wins(gate, raw, schemas, path, name):
    raw.query(f"SET search_path = {path}")
    for spelled in ("cold1", "COLD1", '"cold1"'):
        assert raw.query(f"SELECT name FROM {spelled} WHERE id = 1") == f"T D({name}) C(SELECT 1) ZI"
        assert raw(parse(f"SELECT name FROM {spelled} WHERE id = $1::int"), bind("", "1"), EXECUTE, SYNC) == f"1 2 D({name}) C(SELECT 1) ZI"
    assert raw.query("SELECT name FROM public.cold1 WHERE id = 1") == "T D(one) C(SELECT 1) ZI"
    assert raw.query("SELECT name FROM a.cold1 WHERE id = 1") == "T D(hot) C(SELECT 1) ZI"


def test_a_temporary_table_or_one_of_the_users_schema_hides_a_cold_one(gate, base, raw, schemas):
    assert raw.query(COLD_ROW) == "T D(one) C(SELECT 1) ZI"
    raw.query("CREATE TEMP TABLE cold1 AS SELECT 1 AS id, 'temporary' AS name")
    assert raw.query(COLD_ROW) == "T D(temporary) C(SELECT 1) ZI"
    raw.query("DROP TABLE pg_temp.cold1")
    assert raw.query(COLD_ROW) == "T D(one) C(SELECT 1) ZI"
    raw.query("CREATE SCHEMA root")
    raw.query("CREATE TABLE root.cold1 AS SELECT 1 AS id, 'of root' AS name")
    assert raw.query(COLD_ROW) == "T D(of root) C(SELECT 1) ZI"
    raw.query("BEGIN")
    raw.query("DROP SCHEMA root CASCADE")
    assert raw.query(COLD_ROW) == "T D(one) C(SELECT 1) ZT"
    raw.query("ROLLBACK")
    assert raw.query(COLD_ROW) == "T D(of root) C(SELECT 1) ZI"


# --- a client that has nothing more to say ------------------------------------------------------------------------------------------


def test_a_client_that_closes_its_side_still_gets_its_answer(gate, base):
    for address in ((base.host, base.port), gate.postgres):
        raw = Raw(type("Gate", (), {"postgres": address}))
        raw.session.stream.send(wire.message(b"Q", b"SELECT pg_sleep(2.5), 'done'\0"))
        raw.session.stream.socket.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        assert b"done" in raw.session.stream.rest()
        assert time.monotonic() - began > 2
        raw.session.stream.close()
