"""What a name without a schema means may change within one text: by a search_path, a temporary table, a function that does either. In front of
real PostgreSQL, a text over a cold table gives what PostgreSQL gives where the table is an ordinary one. The cold tables have stand-ins, so that
a name that goes the wrong way is read as empty and not as an error."""

import contextlib
import struct

import psycopg
import pytest

from relay import postgres as wire
from upstreams import FORWARD, gated, need
from wires import run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")

HOT = [
    "CREATE SCHEMA s",
    "CREATE SCHEMA e",
    "CREATE TABLE s.log (id INT, name TEXT)",
    "INSERT INTO s.log VALUES (1, 'hot')",
    "CREATE FUNCTION to_s() RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 's, public', false) $$",
]
TABLES = ["log", "sole"]


class Raw:
    """A client that writes messages by hand. Answers are shown with what of them must be alike: rows, tags, SQLSTATEs, positions, settings."""

    def __init__(self, address, dbname):
        self.session = wire.Session(address, wire.Script(wire.Login([("user", "root"), ("database", dbname)]), []), False)
        self.session._login(self.session.script.login)

    def close(self):
        self.session.stream.close()

    def query(self, text):
        return self((b"Q", text.encode() + b"\0"))

    def prepared(self, text):
        return self((b"P", b"\0" + text.encode() + b"\0\0\0"), (b"B", bytes(8)), (b"E", bytes(5)), (b"S", b""))

    def __call__(self, *messages):
        before = len(self.session.heard)
        self.session._step(wire.Step(list(messages)))
        return [self.shown(one.data) for one in self.session.heard[before:]]

    @staticmethod
    def shown(data):
        kind, body = data[:1].decode(), data[1:]
        if kind in "EN":
            fields = {chr(field[0]): field[1:].decode() for field in body.split(b"\0") if field}
            return f"{kind} {fields['C']} {fields.get('P', '')}"
        if kind == "T":
            return f"T {struct.unpack('>h', body[:2])[0]}"
        return f"{kind} {body!r}"


@pytest.fixture(scope="module", params=["postgres", "postgres17", "postgres18"])
def sides(request):
    """Connections to a database with the tables in it, and through Flashgate to one where they are cold."""
    base = need(request.param, request)
    for name in ("named", "named_directly"):
        base.sql(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    base.sql(*HOT, dbname="named")
    base.sql(*HOT, *(f"CREATE TABLE {t} (id INT, name TEXT)" for t in TABLES), *(f"INSERT INTO {t} VALUES (1, 'cold {t}')" for t in TABLES), dbname="named_directly")
    with gated(postgres=base) as running:
        host, port = running.postgres
        with psycopg.connect(host=host, port=port, user="root", dbname="named", sslmode="disable", autocommit=True) as c:
            for t in TABLES:
                run(c, f"CREATE TABLE {t} (id INT, name TEXT) WITH (engine='OSS')", f"INSERT INTO {t} VALUES (1, 'cold {t}')", f"CREATE STANDIN FOR COLD TABLE {t}")

        @contextlib.contextmanager
        def connect():
            with contextlib.closing(Raw((base.host, base.port), "named_directly")) as direct, contextlib.closing(Raw((host, port), "named")) as through:
                yield direct, through

        yield connect


TO_S, TO_E, READ = "SET search_path = s, public", "SET search_path = e, public", "SELECT name FROM log"
TEXTS = [
    [f"{TO_S}; {READ}", READ],
    [f"{TO_E}; {READ}", READ],
    [f"{TO_S}; SELECT name FROM sole; {READ}; SELECT name FROM sole"],
    [f"{READ}; {TO_S}; {READ}; {TO_E}; {READ}"],
    ["SET search_path = s; SELECT name FROM log; SELECT name FROM public.log", "SELECT name FROM sole"],
    [f"SELECT set_config('search_path', 's, public', false); {READ}", READ],
    [f"SELECT set_config('search_path', 'e, public', true); {READ}", READ],
    [f"SELECT set_config('search_path', 's, public', true); {READ}", READ],
    [f"SELECT to_s(); {READ}"],
    [f"DO $$ BEGIN PERFORM to_s(); END $$; {READ}"],
    ["CREATE TEMP TABLE log (id INT, name TEXT); INSERT INTO log VALUES (5, 'temporary'); SELECT * FROM log; DROP TABLE log; SELECT * FROM log", READ],
    ["CREATE TEMP TABLE log (id INT, name TEXT)", f"{READ}; DROP TABLE log; {READ}"],
    ["CREATE TEMP TABLE log (id INT, name TEXT)", f"DROP TABLE log /* the one that hid the other */; {READ}"],
    ["CREATE TEMP TABLE log (id INT, name TEXT)", f"BEGIN; {READ}; DROP TABLE log; {READ}; ROLLBACK; {READ}"],
    [f"BEGIN; CREATE TEMP TABLE log ON COMMIT DROP AS SELECT 'temporary' AS name; {READ}; COMMIT; {READ}"],
    [f"{TO_S}; RESET search_path; {READ}"],
    [f"{TO_S}; RESET ALL; {READ}"],
    [TO_S, f"RESET search_path; {READ}"],
    [TO_S, f"{READ}; SET search_path = public; {READ}; {TO_S}; {READ}"],
    [f"BEGIN; SET LOCAL search_path = s, public; {READ}; ROLLBACK; {READ}"],
    [f"BEGIN; SET LOCAL search_path = s, public; {READ}; COMMIT; {READ}"],
    [f"BEGIN; SAVEPOINT a; SET search_path = s, public; {READ}; ROLLBACK TO a; {READ}; COMMIT"],
    ["BEGIN", f"SET LOCAL search_path = s, public; {READ}", READ, "COMMIT", READ],
    # A text is a transaction, also where it is sent on in parts.
    [f"SET LOCAL search_path = s, public; {READ}", READ],
    [f"SET LOCAL search_path = e, public; {READ}; {READ}", READ],
    [f"BEGIN; SELECT 1; COMMIT; SET LOCAL search_path = s, public; {READ}; {READ}", READ],
    [f"SET LOCAL search_path = s, public; BEGIN; {READ}; COMMIT; {READ}", READ],
    [f"{TO_S}; {READ}; SELECT 1 / 0", READ],
    [f"{TO_S}; UPDATE log SET name = 'changed'; SELECT name FROM sole WHERE 1 / (id - 1) = 0", f"{TO_S}; {READ}"],
    [f"{TO_S}; UPDATE log SET name = 'hot'; {READ}; VACUUM"],
    # Prepared statements and cursors.
    [f"{TO_S}; PREPARE p AS {READ}; EXECUTE p; EXPLAIN (COSTS OFF) EXECUTE p; DEALLOCATE p", "EXECUTE p"],
    [f"{TO_S}; PREPARE p AS {READ}", "EXECUTE p", "DEALLOCATE p", "EXECUTE p"],
    [f"{TO_E}; PREPARE p AS {READ}; EXECUTE p", "EXECUTE p", "DEALLOCATE p"],
    [f"{TO_S}; DECLARE c CURSOR FOR {READ}; FETCH 1 FROM c; MOVE 1 IN c; CLOSE c"],
    [f"{TO_E}; DECLARE c CURSOR FOR {READ}; FETCH 1 FROM c; CLOSE c"],
    [f"BEGIN; {TO_S}; DECLARE c CURSOR FOR {READ}; FETCH 1 FROM c", "FETCH ALL FROM c", "CLOSE c", "ROLLBACK"],
    [f"BEGIN; {TO_E}; DECLARE c CURSOR FOR {READ}; FETCH 1 FROM c", "FETCH ALL FROM c", "CLOSE c", "ROLLBACK"],
    # Errors stand where they stand in the whole text.
    [f"SELECT 'ä'; {TO_S}; SELECT name, absent FROM log"],
    [f"{TO_S}; {READ}; SELECT absent FROM pg_class"],
    [f"BEGIN; {TO_S}; {READ}; SELECT absent FROM log; {READ}", READ, "ROLLBACK", READ],
    # What is not read here.
    [f"{TO_S}; REINDEX TABLE log; LOCK TABLE log IN SHARE MODE; CREATE STATISTICS s.st ON id, name FROM log; DROP STATISTICS s.st"],
    [f"{TO_S}; COPY log TO STDOUT; COPY log (id) TO STDOUT (FORMAT csv)"],
    # Settings are told once.
    [f"SET TimeZone = 'Asia/Tokyo'; {TO_S}; {READ}; SET TimeZone = 'Europe/Paris'; {READ}"],
    [f"SET TimeZone = 'Asia/Tokyo'; {TO_S}; {READ}; RESET TimeZone; {READ}"],
    # Tables of both.
    [f"{TO_S}; SELECT log.name, sole.name FROM log JOIN sole USING (id)"],
    [f"{TO_S}; INSERT INTO log SELECT 2, name FROM sole; SELECT name FROM log ORDER BY id; DELETE FROM log WHERE id = 2"],
]


@pytest.mark.parametrize("texts", TEXTS, ids=lambda texts: " | ".join(texts)[:70])
def test_a_name_means_what_it_means_when_its_statement_runs(sides, texts):
    with sides() as (direct, through):
        for text in texts:
            assert through.query(text) == direct.query(text), text


@pytest.mark.parametrize("first", [TO_S, TO_E, "SELECT to_s()", "CREATE TEMP TABLE log (name TEXT)", "SET search_path = s"])
def test_a_statement_prepared_after_the_change_means_the_same(sides, first):
    with sides() as (direct, through):
        for text in (first, READ, "SELECT name FROM public.log"):
            assert through.prepared(text) == direct.prepared(text), text
        several = f"{first}; {READ}"
        assert through.prepared(several) == direct.prepared(several)


def test_a_cold_table_that_cannot_be_told_is_not_guessed(sides):
    """REINDEX is not done to a cold table: that is told when it is its turn, and what stands before it is undone."""
    with sides() as (_, through):
        answers = through.query(f"UPDATE s.log SET name = 'lost'; {TO_E}; REINDEX TABLE log")
        assert [answer[:7] for answer in answers if answer[0] in "EZ"] == ["E 0A000", "Z b'I'"]
        assert through.query("SELECT name FROM s.log")[1] == repr_of(b"\x00\x01\x00\x00\x00\x03hot")


def repr_of(row):
    return f"D {row!r}"


def test_a_cold_table_of_another_schema_is_never_read_as_its_empty_stand_in(sides):
    """The search path finds cold tables in public only: a name that means one elsewhere is an error that says what to write."""
    with sides() as (_, through):
        row = lambda text: "D " + repr(b"\0\x01\0\0\0" + bytes([len(text)]) + text.encode())
        through.query("DROP TABLE IF EXISTS e.away")
        for text in ("CREATE TABLE e.away (name TEXT) WITH (engine='OSS')", "INSERT INTO e.away VALUES ('far')", "CREATE STANDIN FOR COLD TABLE e.away"):
            assert through.query(text)[-1] == "Z b'I'" and "E" not in [answer[0] for answer in through.query("SELECT 1")], text
        try:
            read, refused = "SELECT name FROM away", "E 0A000 "
            assert through.query("SELECT name FROM e.away")[1] == row("far")
            for path in ("SET search_path = e", "SET search_path = e, public", 'SET search_path = absent, "e", s'):
                through.query(path)
                assert refused in through.query(read) and refused in through.prepared(read), path
                through.query("RESET search_path")
                assert refused in through.query(f"{path}; {read}"), path
            # Whatever else the name means is read.
            through.query("SET search_path = e, public")
            through.query("CREATE TEMP TABLE away AS SELECT 'temporary' AS name")
            assert through.query(read)[1] == row("temporary")
            through.query("DROP TABLE pg_temp.away")
            through.query("CREATE TABLE s.away AS SELECT 'of s' AS name")
            assert through.query(f"SET search_path = s, e; {read}")[2] == row("of s")
            through.query("RESET search_path")
            assert "E 42P01 18" in through.query(read)
        finally:
            for text in ("RESET search_path", "DROP TABLE IF EXISTS s.away", "DROP STANDIN FOR COLD TABLE e.away", "DROP TABLE e.away"):
                through.query(text)
