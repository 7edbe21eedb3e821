"""Texts of several statements, and the names of prepared statements and cursors in them: what a database answers over its own tables
is answered over cold ones, embedded and in front of that database."""

import contextlib

import psycopg
import pymysql
import pytest
from psycopg import pq

from upstreams import gated, need, upstream

ROWS = "INSERT INTO items VALUES (1, 'one'), (2, 'it''s'), (3, 'a b')"
TABLES = ["CREATE TABLE items (id INT, name VARCHAR(20)){}", "CREATE TABLE written (id INT){}", ROWS]
HOT = ["CREATE TABLE h (id INT, name VARCHAR(20))", "INSERT INTO h VALUES (1, 'eins'), (2, 'zwei')"]


# --- PostgreSQL ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres():
    return upstream("postgres")


class Postgres:
    """A client of simple queries. An answer is what each statement of the text was answered with."""

    def __init__(self, address, database):
        host, port = address
        self.connection = pq.PGconn.connect(f"host={host} port={port} user=root dbname={database} sslmode=disable".encode())
        assert self.connection.status == pq.ConnStatus.OK, self.connection.error_message

    def __call__(self, text):
        self.connection.send_query(text.encode())
        return self.answers()

    def run(self, text):
        """By the extended protocol, as drivers do."""
        self.connection.send_query_params(text.encode(), None)
        return self.answers()

    def answers(self):
        answers = []
        while (result := self.connection.get_result()) is not None:
            answers.append(self.shown(result))
        return answers

    @staticmethod
    def shown(result):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            return "E" + result.error_field(pq.DiagnosticField.SQLSTATE).decode()
        if result.status == pq.ExecStatus.TUPLES_OK:
            cells = lambda row: tuple((value := result.get_value(row, column)) and value.decode() for column in range(result.nfields))
            return [cells(row) for row in range(result.ntuples)]
        return (result.command_status or b"").decode()


@pytest.fixture(scope="module", params=["embedded", "front"])
def cold(request, postgres, tmp_path_factory):
    """Makes clients of Flashgate; `items` and `written` are cold, `h` is hot in front of a database."""
    if request.param == "front":
        with gated(postgres=postgres) as gate:
            postgres.sql("DROP DATABASE IF EXISTS cold_texts", "CREATE DATABASE cold_texts")
            postgres.sql(*HOT, dbname="cold_texts")
            prepared = Postgres(gate.postgres, "cold_texts")
            for text in TABLES:
                assert prepared(text.format(" WITH (engine='OSS')"))[0][0] != "E", text
            yield lambda: Postgres(gate.postgres, "cold_texts")
        return
    server = request.getfixturevalue("server")
    Postgres(server.postgres, "root")("CREATE DATABASE cold_texts")
    prepared = Postgres(server.postgres, "cold_texts")
    for text in [*TABLES, *HOT]:
        assert prepared(text.format(""))[0][0] != "E", text
    yield lambda: Postgres(server.postgres, "cold_texts")


@pytest.fixture(scope="module")
def database(postgres):
    """Makes clients of the database itself."""
    postgres.sql("DROP DATABASE IF EXISTS hot_texts", "CREATE DATABASE hot_texts")
    postgres.sql(*[text.format("") for text in TABLES], *HOT, dbname="hot_texts")
    return lambda: Postgres((postgres.host, postgres.port), "hot_texts")


DECLARE = "DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id"
HOLD = "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY id"
FETCH = "FETCH 1 IN c"

NAMES = [
    ["PREPARE p AS INSERT INTO written VALUES (7); EXECUTE p; DEALLOCATE p", "EXECUTE p"],
    ["PREPARE p AS INSERT INTO written VALUES ($1); EXECUTE p(8); EXECUTE p(9)", "EXECUTE p(10)"],
    ["PREPARE p AS SELECT id FROM items WHERE id=1;EXECUTE p;DEALLOCATE p"],
    ["DEALLOCATE ALL;PREPARE p AS SELECT name FROM items WHERE id=2;EXECUTE p", "EXECUTE p"],
    ["PREPARE p AS SELECT id FROM items", "DEALLOCATE ALL;PREPARE p AS SELECT name FROM items WHERE id=2;EXECUTE p", "EXECUTE p"],
    ["PREPARE p AS SELECT id FROM h WHERE id=1;DEALLOCATE p;PREPARE p AS SELECT name FROM items WHERE id=1;EXECUTE p"],
    ["PREPARE p AS SELECT id FROM items WHERE id=1;DEALLOCATE p;PREPARE p AS SELECT name FROM h WHERE id=1;EXECUTE p", "EXECUTE p"],
    ["PREPARE p AS SELECT id FROM items WHERE id=1", "DEALLOCATE p;PREPARE p AS SELECT name FROM h WHERE id=1;EXECUTE p", "EXECUTE p"],
    ["PREPARE p AS SELECT id FROM h WHERE id=1", "EXECUTE p;DEALLOCATE p;PREPARE p AS SELECT name FROM items WHERE id=1;EXECUTE p"],
    ["PREPARE p AS SELECT id FROM items WHERE id=1;PREPARE p AS SELECT 1", "EXECUTE p"],
    ["PREPARE p AS SELECT id FROM items WHERE id=1;DEALLOCATE p;EXECUTE p", "EXECUTE p"],
    ["PREPARE p AS SELECT id FROM items WHERE id=1; SELECT 1/0", "EXECUTE p", "DEALLOCATE p; SELECT 1/0", "EXECUTE p"],
    ["PREPARE p AS SELECT absent FROM items; EXECUTE p", "EXECUTE p", "PREPARE p AS SELECT 5; EXECUTE p"],
    ["BEGIN; PREPARE p AS SELECT id FROM items WHERE id=3; EXECUTE p; ROLLBACK; EXECUTE p"],
    ["PREPARE p AS INSERT INTO written VALUES (1); EXECUTE p; SELECT absent FROM items", "EXECUTE p"],
    ["PREPARE \"P\" AS SELECT id FROM items WHERE id=3; PREPARE P AS SELECT id FROM h WHERE id=1; EXECUTE \"P\"; EXECUTE p"],
    ["SELECT 1; PREPARE p AS SELECT count(*) FROM items; EXECUTE p; SELECT name FROM h WHERE id=2; DEALLOCATE p"],
]
CURSORS = [
    [f"BEGIN;{DECLARE};{FETCH}", FETCH, "COMMIT", FETCH],
    [f"BEGIN;{DECLARE};MOVE 1 IN c;{FETCH};CLOSE c;COMMIT", FETCH],
    [f"{DECLARE};FETCH 2 IN c", FETCH],
    [DECLARE, FETCH],
    [f"BEGIN;{DECLARE};CLOSE ALL;{FETCH}", "ROLLBACK"],
    [f"BEGIN;{DECLARE};CLOSE c;DECLARE c CURSOR FOR SELECT name FROM h ORDER BY id;{FETCH};COMMIT"],
    [f"BEGIN;DECLARE c CURSOR FOR SELECT name FROM h ORDER BY id;{FETCH};CLOSE c;{DECLARE};{FETCH};COMMIT"],
    ["BEGIN", HOLD, "ROLLBACK", FETCH],
    ["BEGIN", HOLD, "SELECT 1/0", "COMMIT", FETCH],
    ["BEGIN", HOLD, FETCH, "COMMIT", FETCH, "BEGIN", FETCH, "ROLLBACK", FETCH, "CLOSE c", FETCH],
    [HOLD, FETCH, "BEGIN", "ROLLBACK", FETCH, "CLOSE ALL", FETCH],
    ["BEGIN", "SAVEPOINT s", HOLD, "ROLLBACK TO s", "COMMIT", FETCH],
    ["BEGIN", "SAVEPOINT s", DECLARE, "ROLLBACK TO s", FETCH, "ROLLBACK"],
    ["BEGIN", DECLARE, "SAVEPOINT s", FETCH, "ROLLBACK TO s", FETCH, "ROLLBACK"],
    ["BEGIN", "SAVEPOINT s", DECLARE, "RELEASE s", FETCH, "COMMIT"],
    ["BEGIN", "SAVEPOINT a", "SAVEPOINT b", DECLARE, "RELEASE b", FETCH, "ROLLBACK TO a", FETCH, "ROLLBACK"],
    ["BEGIN", "SAVEPOINT a", DECLARE, "SAVEPOINT a", FETCH, "ROLLBACK TO a", FETCH, "RELEASE a", "ROLLBACK TO a", FETCH, "ROLLBACK"],
    ["BEGIN", DECLARE, "SAVEPOINT s", "CLOSE c", "ROLLBACK TO s", FETCH, "ROLLBACK"],
    ["BEGIN", DECLARE, "SAVEPOINT s", "SELECT 1/0", FETCH, "ROLLBACK TO s", FETCH, "ROLLBACK"],
    ["BEGIN", DECLARE, DECLARE, "ROLLBACK", FETCH],
    ["BEGIN", "DECLARE c CURSOR FOR SELECT 1/(2-id) FROM items ORDER BY id", "SAVEPOINT s", "FETCH ALL IN c", "ROLLBACK TO s", FETCH, "ROLLBACK"],
    ["BEGIN", 'DECLARE "C" CURSOR FOR SELECT id FROM items', FETCH, "ROLLBACK", "BEGIN", "DECLARE C CURSOR FOR SELECT id FROM items ORDER BY id", FETCH, "END"],
    ["BEGIN", HOLD, "ROLLBACK", "DECLARE c CURSOR WITH HOLD FOR SELECT name FROM h ORDER BY id", FETCH, "CLOSE c"],
    ["BEGIN", "SAVEPOINT s", DECLARE, "ROLLBACK TO s", "DECLARE c CURSOR FOR SELECT name FROM h ORDER BY id", FETCH, "CLOSE c", FETCH, "ROLLBACK"],
    [f"BEGIN;SAVEPOINT s;{DECLARE};{FETCH};ROLLBACK TO s;{FETCH}", "ROLLBACK"],
    [f"{HOLD};SELECT 1/0", FETCH],
    [f"{HOLD};SELECT 1", FETCH, "CLOSE c"],
    ["DECLARE c CURSOR WITH HOLD FOR SELECT absent FROM items", FETCH, HOLD, FETCH, "CLOSE c"],
]
STRINGS = [
    [r"SET standard_conforming_strings = off; SELECT 'it\'s', name FROM items WHERE id = 1"],
    ["SET standard_conforming_strings = off", r"SELECT 'it\'s', name FROM items WHERE id = 1", r"SELECT count(*) FROM items WHERE name = 'it\'s'"],
    ["SET standard_conforming_strings = off", r"SELECT 'a\\b\tc\x41\u0042\'', E'it\'s', $$a\'b$$, name FROM items WHERE id = 1"],
    ["SET standard_conforming_strings = off", r"SELECT U&'a', name FROM items", r"SELECT 'a\'; SELECT id FROM items'"],
    ["SET standard_conforming_strings = off", r"SELECT 'it\'s', id FROM items WHERE id = 1; SET standard_conforming_strings = on; SELECT 'it\'s'", r"SELECT 'a\', id FROM items WHERE id = 1"],
    [r"SELECT 'a\', id FROM items WHERE id = 1", r"SELECT E'it\'s', id FROM items WHERE id = 1", r"SELECT U&'d\0061t\+000061', id FROM items WHERE id = 1"],
    ["BEGIN; SET LOCAL standard_conforming_strings = off", r"SELECT 'it\'s', id FROM items WHERE id = 1", "ROLLBACK", r"SELECT 'a\', id FROM items WHERE id = 1"],
    ["SET standard_conforming_strings = off", r"PREPARE p AS SELECT 'it\'s', name FROM items WHERE id = $1; EXECUTE p(1); DEALLOCATE p"],
]
WRITTEN = "SELECT id FROM written ORDER BY id"


@pytest.mark.parametrize("texts", NAMES + CURSORS + STRINGS, ids=lambda texts: " | ".join(texts)[:60])
def test_a_text_over_cold_tables_is_answered_as_the_database_answers(cold, database, texts):
    answers = []
    for make in (database, cold):
        client = make()
        answers.append([*((text, client(text)) for text in texts), client(WRITTEN)])
        client("ROLLBACK")
        client("DELETE FROM written")
        client.connection.finish()
    assert answers[1] == answers[0]


@pytest.mark.parametrize("texts", [texts for texts in CURSORS if not any(";" in text for text in texts)], ids=lambda texts: " | ".join(texts)[:60])
def test_cursors_of_the_extended_protocol_end_with_what_ends_them_at_the_database(cold, database, texts):
    answers = []
    for make in (database, cold):
        client = make()
        answers.append([(text, client.run(text)) for text in texts])
        client.connection.finish()
    assert answers[1] == answers[0]


@pytest.mark.parametrize("rest", ["SELECT name FROM h", "DEALLOCATE absent", "SELECT * FROM absent"])
def test_a_text_that_would_change_cold_tables_in_a_transaction_of_the_database_is_refused(cold, request, rest):
    if request.node.callspec.params["cold"] == "embedded":
        pytest.skip("there is one transaction")
    client = cold()
    assert client(f"PREPARE p AS INSERT INTO written VALUES (1); EXECUTE p; {rest}") == ["PREPARE", "E55000"]
    assert client(WRITTEN) == [[]]


def test_explain_of_a_prepared_statement_explains_what_it_reads(cold):
    client = cold()
    [_, plan] = client("PREPARE p AS SELECT id FROM items WHERE id = $1; EXPLAIN EXECUTE p(1)")
    assert any("items" in line for (line,) in plan)
    assert any("items" in line for (line,) in client("EXPLAIN EXECUTE p(1)")[0])
    assert client("EXPLAIN EXECUTE absent") == ["E26000"]


def test_a_statement_of_the_upstream_never_shows_what_stands_for_one_of_ours(postgres):
    """A FETCH or EXECUTE that was prepared before its name was given to a cold table, and CREATE TABLE AS EXECUTE."""
    with gated(postgres=postgres) as gate:
        postgres.sql("DROP DATABASE IF EXISTS stand", "CREATE DATABASE stand")
        client = Postgres(gate.postgres, "stand")
        client("CREATE TABLE kept (id INT) WITH (engine='OSS')")
        client("INSERT INTO kept VALUES (1)")
        for name, text in ((b"f", b"FETCH 1 IN c"), (b"e", b"EXECUTE p")):
            assert client.connection.prepare(name, text).status == pq.ExecStatus.COMMAND_OK
        client("PREPARE p AS SELECT id FROM kept")
        client("BEGIN")
        client("DECLARE c CURSOR FOR SELECT id FROM kept")
        for name in (b"e", b"f"):
            client("SAVEPOINT s")
            result = client.connection.exec_prepared(name, None)
            assert result.status == pq.ExecStatus.FATAL_ERROR
            client("ROLLBACK TO s")
        client("ROLLBACK")
        [answer] = client("CREATE TABLE made AS EXECUTE p")
        assert answer.startswith("E")


# --- MySQL -----------------------------------------------------------------------------------------------------------------


class MySql:
    def __init__(self, address, database):
        host, port = address
        self.connection = pymysql.connect(host=host, port=port, user="root", database=database, ssl_disabled=True, autocommit=True, client_flag=1 << 16)

    def __call__(self, text):
        answers = []
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(text)
                while True:
                    answers.append(list(cursor.fetchall()) if cursor.description else cursor.rowcount)
                    if not cursor.nextset():
                        return answers
            except pymysql.Error as error:
                return [*answers, f"E{error.args[0]}"]


@pytest.fixture(scope="module", params=["embedded", "mariadb", "mysql"])
def sides(request):
    """Clients of a database itself, and of Flashgate: embedded, or in front of it."""
    base = need("mariadb" if request.param == "embedded" else request.param, request)
    base.sql("DROP DATABASE IF EXISTS hot_texts", "DROP DATABASE IF EXISTS cold_texts", "CREATE DATABASE hot_texts", "CREATE DATABASE cold_texts")
    direct = lambda: MySql((base.host, base.port), "hot_texts")
    for text in [*TABLES, *HOT]:
        direct()(text.format(""))
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            server = request.getfixturevalue("server")
            MySql(server.mysql, None)("CREATE DATABASE more_texts")
            engine = ""
        else:
            server = stack.enter_context(gated(mysql=base))
            for text in HOT:
                MySql((base.host, base.port), "cold_texts")(text)
            engine = " ENGINE='OSS'"
        through = lambda: MySql(server.mysql, "cold_texts" if engine else "more_texts")
        for text in TABLES if engine else [*TABLES, *HOT]:
            answer = through()(text.format(engine))
            assert not str(answer[-1]).startswith("E"), (text, answer)
        yield request.param, direct, through


PREPARED = [
    ["SET @q = 'SELECT name FROM items WHERE id = 1'", "PREPARE s FROM @q", "EXECUTE s", "DEALLOCATE PREPARE s", "EXECUTE s"],
    ["SET @q = 'SELECT name FROM items WHERE id = ?', @a = 2", "PREPARE s FROM @q", "EXECUTE s USING @a", "SET @a = 1", "EXECUTE s USING @a"],
    ["SET @q = 'INSERT INTO written VALUES (?), (5)', @a = 4; PREPARE s FROM @q; EXECUTE s USING @a; DEALLOCATE PREPARE s"],
    ["SET @q = 'SELECT name FROM items WHERE id = 1'; PREPARE s FROM @q; EXECUTE s; DEALLOCATE PREPARE s; SELECT name FROM h WHERE id = 1"],
    ["SET @q = 'SELECT name FROM h WHERE id = 1'; PREPARE s FROM @q; EXECUTE s; DEALLOCATE PREPARE s", "EXECUTE s"],
    ["PREPARE s FROM 'SELECT name FROM items WHERE id = 1'; EXECUTE s; PREPARE s FROM 'SELECT name FROM h WHERE id = 1'; EXECUTE s", "EXECUTE s"],
    ["PREPARE s FROM 'SELECT name FROM items WHERE id = 1'", "PREPARE s FROM 'SELECT name FROM h WHERE id = 2'; EXECUTE s; DEALLOCATE PREPARE s; EXECUTE s"],
    ["PREPARE s FROM 'SELECT id FROM h'", "SET @q = 'SELECT name FROM items WHERE id = 1'", "PREPARE s FROM @q", "EXECUTE s", "DROP PREPARE s", "EXECUTE s"],
    ["SET @q = 'SELECT name FROM items WHERE id = @i', @i = 3", "PREPARE s FROM @q", "EXECUTE s", "SET @i = 2", "EXECUTE s"],
    ["SET @q = 'SELECT name INTO @got FROM items WHERE id = 3'", "PREPARE s FROM @q", "EXECUTE s", "SELECT @got"],
    ["PREPARE s FROM @absent", "SET @q = 'SELEC 1 FROM items'", "PREPARE s FROM @q", "EXECUTE s"],
    ["SET @`my q` = 'SELECT name FROM items WHERE id = 1'; PREPARE s FROM @`my q`; EXECUTE s"],
    ["SET @q = 'SELECT name FROM items WHERE id = 1'; PREPARE s FROM @q; EXECUTE s; EXECUTE absent; EXECUTE s"],
]
IMMEDIATE = [
    ["EXECUTE IMMEDIATE 'SELECT name FROM items WHERE id = 1'"],
    ["EXECUTE IMMEDIATE 'SELECT name FROM items WHERE id = ?' USING 2", "SET @a = 3", "EXECUTE IMMEDIATE 'SELECT name FROM items WHERE id = ?' USING @a"],
    ["SET @q = 'SELECT name FROM items WHERE id > ? ORDER BY id', @a = 1", "EXECUTE IMMEDIATE @q USING @a"],
    ["SET @t = 'items'", "EXECUTE IMMEDIATE CONCAT('SELECT name FROM ', @t, ' WHERE id = 1')", "PREPARE s FROM CONCAT('SELECT id FROM ', @t, ' WHERE id = 2')", "EXECUTE s"],
    ["EXECUTE IMMEDIATE 'INSERT INTO written VALUES (?)' USING 8; EXECUTE IMMEDIATE 'SELECT id FROM written'; EXECUTE IMMEDIATE 'SELECT name FROM h WHERE id = 1'"],
    ["EXECUTE IMMEDIATE 'SELECT name INTO @got FROM items WHERE id = 3'", "SELECT @got"],
    ["EXECUTE IMMEDIATE NULL"],
]
VARIABLES = [
    ["SET @v = 2", "SELECT name FROM items WHERE name = \"it's\" AND id = @v"],
    ["SET @v = 2, @w = 'it''s'", "SELECT id FROM items WHERE 'don''t @x' <> '' AND name = @w /* isn't @y */ AND id = @v -- can't"],
    ["SET @v = 1", r"SELECT id FROM items WHERE 'it\'s @x' <> '' AND id = @v", "SELECT id FROM items WHERE `id` = @v AND \"@x ''\" <> ''"],
    ["SET @`a b` = 1, @'c d' = 2, @x.y$z = 3", "SELECT id FROM items WHERE id IN (@`a b`, @'c d', @\"c d\", @x.y$z) ORDER BY id"],
    ["SET @v = 1, sql_mode = 'NO_BACKSLASH_ESCAPES'", r"SELECT id FROM items WHERE 'a\' <> '' AND id = @v AND 'b' <> ''"],
    ["SET @v = 1, sql_mode = 'ANSI_QUOTES'", "SELECT \"id\" AS \"it's\" FROM items WHERE id = @v"],
    ["SET @v = 3", "SELECT @v, @@sql_mode = 'x', id FROM items WHERE id = @v # it's\n"],
]
MODES = [
    [r"SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT 'a\', name FROM items WHERE id = 1; SELECT 'b\'"],
    [r"SET sql_mode = 'NO_BACKSLASH_ESCAPES'", r"SELECT 'a\', id FROM items WHERE id = 1; SET sql_mode = ''; SELECT 'it\'s', name FROM items WHERE id = 1"],
    ["SET sql_mode = 'ANSI_QUOTES'; SELECT \"id\" FROM items WHERE id = 1; SET sql_mode = ''; SELECT \"id\" FROM items WHERE id = 1; SELECT \"it\" FROM h WHERE id = 1"],
    ["SELECT id FROM items WHERE id = 1; SELECT 'abc"],
]


@pytest.mark.parametrize("texts", PREPARED + IMMEDIATE + VARIABLES + MODES, ids=lambda texts: " | ".join(texts)[:60])
def test_a_text_over_cold_tables_is_answered_as_mysql_answers(sides, texts):
    kind, direct, through = sides
    if texts in IMMEDIATE and kind == "mysql":
        pytest.skip("MariaDB's")
    answers = []
    for make in (direct, through):
        client = make()
        answers.append([*((text, client(text)) for text in texts), client(WRITTEN)])
        client("DELETE FROM written")
        client.connection.close()
    assert answers[1] == answers[0]


def test_hot_texts_are_answered_by_the_database_alone(sides):
    kind, direct, through = sides
    if kind == "embedded":
        pytest.skip("all tables are cold")
    text = "SET @q = 'SELECT name FROM h'; PREPARE s FROM @q; CREATE TEMPORARY TABLE z AS SELECT 1 AS one; EXECUTE s; SELECT ROW_COUNT(); CHECKSUM TABLE z"
    told = [client(text)[:4] for client in (direct(), through())]
    assert told[0] == told[1]
