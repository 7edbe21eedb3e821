"""Whose is a statement, in front of real MariaDB, MySQL and PostgreSQL: hot ones whose words are names of cold tables are the
database's, long ones cost little, and a cold table takes a hot one's name only when it is asked to."""

import contextlib

import psycopg
import pymysql
import pytest

from test_concurrency import fails
from upstreams import FORWARD, gated, need
from wires import rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")

KINDS = ["mariadb", "mysql", "postgres17"]
MULTI_STATEMENTS = 1 << 16
EXISTS = {"mysql": 1050, "postgres": "42P07"}
REFUSED = {"mysql": 1235, "postgres": "0A000"}


class Side:
    """One database with Flashgate in front of it, and cold tables `orders`, `log` and `status` of one row each."""

    def __init__(self, kind, base, running):
        self.kind, self.base, self.gate, self.wire = kind, base, running, base.protocol
        self.cold = " ENGINE='OSS'" if self.wire == "mysql" else " WITH (engine='OSS')"

    def connect(self, **more):
        host, port = getattr(self.gate, self.wire)
        if self.wire == "mysql":
            settings = {"ssl_disabled": True, "autocommit": True, "charset": "utf8mb4", "client_flag": MULTI_STATEMENTS, "database": "owned"}
            return pymysql.connect(host=host, port=port, user="root", **{**settings, **more})
        return psycopg.connect(host=host, port=port, user="root", dbname="owned", sslmode="disable", autocommit=True, **more)

    def direct(self):
        return self.base.connect(**({"database": "owned"} if self.wire == "mysql" else {"dbname": "owned"}))

    def hot(self, *statements):
        """Statements straight to the database behind."""
        with contextlib.closing(self.direct()) as c:
            run(c, *statements)

    def fails(self, codes, call, *args):
        return fails(codes[self.wire], call, *args)


@pytest.fixture(scope="module", params=KINDS)
def side(request):
    base = need(request.param, request)
    with contextlib.closing(base.connect()) as c:
        run(c, "DROP DATABASE IF EXISTS owned", "CREATE DATABASE owned")
    with gated(**{base.protocol: base}) as running:
        made = Side(request.param, base, running)
        with contextlib.closing(made.connect()) as c:
            for name in ("orders", "log", "status"):
                run(c, f"CREATE TABLE {name} (a INT){made.cold}", f"INSERT INTO {name} VALUES (7)")
        yield made


@pytest.fixture
def c(side):
    """A connection through Flashgate, and the hot table `hot` with one row."""
    text = "VARCHAR(20)" if side.wire == "mysql" else "TEXT"
    side.hot(
        "DROP TABLE IF EXISTS hot",
        f"CREATE TABLE hot (a INT, status {text}, log TIMESTAMP, orders INT)",
        "INSERT INTO hot VALUES (1, 'sst', '2022-07-05 11:11:11', 3)",
    )
    with contextlib.closing(side.connect()) as connection:
        yield connection


HOT = {
    "both": [
        ("SELECT trim(BOTH 's' FROM status) FROM hot", [("t",)]),
        ("SELECT extract(DAY FROM log), substring(status FROM 2 FOR 1), orders FROM hot", [(5, "s", 3)]),
        ("WITH orders AS (SELECT 4 AS n) SELECT n FROM orders", [(4,)]),
        ("WITH RECURSIVE log AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM log WHERE n < 2) SELECT max(n) FROM log", [(2,)]),
        ("SELECT orders.a FROM hot AS orders JOIN hot AS log ON orders.a = log.a", [(1,)]),
    ],
    "mysql": [
        ("SELECT @orders, IF(1, 'x', 'y') FROM hot", [(None, "x")]),
    ],
    "postgres": [
        ("SELECT status IS DISTINCT FROM 'x', orders IS NOT DISTINCT FROM 3 FROM hot", [(True, True)]),
        (
            "WITH RECURSIVE orders(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM orders WHERE n < 2) "
            "SEARCH DEPTH FIRST BY n SET s SELECT n FROM orders ORDER BY n",
            [(1,), (2,)],
        ),
        ("SELECT overlay(status PLACING 'x' FROM 1 FOR 1), $$ FROM orders $$ FROM hot", [("xst", " FROM orders ")]),
    ],
}


def test_hot_queries_whose_words_are_names_of_cold_tables_are_the_databases(side, c):
    for text, want in HOT["both"] + HOT[side.wire]:
        assert rows(c, text) == want, text


def test_definitions_of_the_database_may_use_names_of_cold_tables_inside(side, c):
    if side.wire == "mysql":
        run(
            c,
            "DROP PROCEDURE IF EXISTS p",
            "CREATE PROCEDURE p(OUT found INT) BEGIN DECLARE orders INT; SELECT count(*) INTO orders FROM hot; SET found = orders; END",
            "CREATE TRIGGER t BEFORE INSERT ON hot FOR EACH ROW BEGIN DECLARE orders INT; SELECT count(*) INTO orders FROM hot; SET NEW.orders = orders; END",
            "CALL p(@found)",
            "INSERT INTO hot (a) VALUES (2)",
        )
        assert rows(c, "SELECT @found, orders FROM hot WHERE a = 2") == [(1, 1)]
        run(c, "CREATE VIEW mv AS SELECT extract(DAY FROM log) AS day, trim(LEADING 's' FROM status) AS t FROM hot")
        assert rows(c, "SELECT t FROM mv ORDER BY day LIMIT 1") == [(None,)]
        run(c, "DROP VIEW mv", "DROP PROCEDURE p")
        return
    run(
        c,
        "CREATE FUNCTION f() RETURNS TABLE (orders int) LANGUAGE sql AS $$ SELECT 5 $$",
        "CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $$ DECLARE orders int; BEGIN SELECT count(*) INTO orders FROM hot; RETURN orders; END $$",
        "CREATE FUNCTION h() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM hot; SELECT count(orders) FROM hot; END",
        "CREATE POLICY p ON hot USING (orders IS NOT DISTINCT FROM orders)",
        "CREATE MATERIALIZED VIEW mv AS SELECT extract(DAY FROM log) AS d FROM hot",
        "DO $$ DECLARE log int; BEGIN SELECT count(*) INTO log FROM hot; END $$",
    )
    assert rows(c, "SELECT orders, g(), h(), d FROM f(), mv") == [(5, 1, 1, 5)]
    run(c, "DROP MATERIALIZED VIEW mv", "DROP FUNCTION f", "DROP FUNCTION g", "DROP FUNCTION h")


def test_an_alias_before_using_is_no_cold_table(side, c):
    if side.wire == "postgres":
        pytest.skip("PostgreSQL has no such form")
    assert run(c, "DELETE FROM orders USING hot AS orders WHERE orders.a = 1") == 1
    assert (rows(c, "SELECT count(*) FROM hot"), rows(c, "SELECT count(*) FROM orders")) == ([(0,)], [(1,)])


def test_a_statement_that_reads_a_cold_table_is_never_the_databases(side, c):
    """None of these is understood here; each has an error of ours, or says that the table is unknown."""
    texts = {
        "mysql": ["SELECT a FROM orders PROCEDURE ANALYSE(1, 2) FROM", "CHECKSUM TABLE orders QUICK EXTENDED", "SELECT FROM FROM orders"],
        "postgres": ["MERGE INTO hot USING orders ON hot.a = orders.a WHEN MATCHED THEN DELETE", "CREATE STATISTICS s ON a, b FROM orders"],
    }
    for text in texts[side.wire]:
        with pytest.raises((pymysql.err.Error, psycopg.Error)):
            run(c, text)
    assert rows(c, "SELECT count(*) FROM hot") == [(1,)]


def test_a_hot_table_earlier_in_the_search_path_is_meant_by_every_statement(side, c):
    if side.wire == "mysql":
        pytest.skip("MySQL has no search path")
    run(c, "DROP SCHEMA IF EXISTS s CASCADE", "CREATE SCHEMA s", "CREATE TABLE s.orders (a int, b int)", "SET search_path = s, public")
    run(
        c,
        "BEGIN; LOCK TABLE orders IN SHARE MODE; COMMIT",
        "MERGE INTO orders USING hot ON orders.a = hot.a WHEN NOT MATCHED THEN INSERT VALUES (hot.a, 2)",
        "ALTER TABLE orders OWNER TO current_user",
        "REINDEX TABLE orders",
        "CREATE STATISTICS st ON a, b FROM orders",
        "VACUUM orders",
        "CLUSTER VERBOSE",
    )
    assert rows(c, "SELECT a, b FROM orders") == [(1, 2)]
    run(c, "SET search_path = public")
    assert rows(c, "SELECT a FROM orders") == [(7,)]
    side.fails(REFUSED, run, c, "REINDEX TABLE orders")
    run(c, "DROP SCHEMA s CASCADE")


def test_a_long_statement_is_hot_or_cold_by_what_it_names(side, c):
    values = ", ".join(f"({n}, 'insert into orders select from log')" for n in range(5000))
    assert run(c, f"INSERT INTO hot (orders, status) SELECT a, 'x' FROM (SELECT 1 AS a) AS log /* {'x' * 20_000} */") == 1
    text = "VARCHAR(60)" if side.wire == "mysql" else "TEXT"
    side.hot("DROP TABLE IF EXISTS wide", f"CREATE TABLE wide (orders INT, files {text})")
    assert run(c, f"INSERT INTO wide (orders, files) VALUES {values}") == 5000
    # At the end of a long text a cold table is read, whoever gets the rows.
    assert run(c, f"INSERT INTO wide (orders, files) SELECT a, '{'from log ' * 4000}' FROM orders WHERE a = 8") == 0
    assert run(c, f"INSERT INTO wide (orders, files) SELECT a, 'x' FROM orders /* {'y' * 20_000} */") == 1
    assert rows(c, "SELECT orders FROM wide WHERE files = 'x'") == [(7,)]
    side.hot("DROP TABLE wide")


def test_a_long_text_of_many_statements_finds_the_cold_one(side, c):
    hot = "INSERT INTO hot (orders) VALUES (1);"
    # A text is one transaction to PostgreSQL, in which no cold table is changed.
    cold = "INSERT INTO log VALUES (8); DELETE FROM log WHERE a = 8;" if side.wire == "mysql" else "SELECT a FROM log;"
    found = 0
    with c.cursor() as cursor:
        cursor.execute(hot * 1000 + cold + hot * 1000)
        while True:
            found += len(cursor.fetchall()) if cursor.description else 0
            if not cursor.nextset():
                break
    assert found == (0 if side.wire == "mysql" else 1)
    assert (rows(c, "SELECT count(*) FROM hot"), rows(c, "SELECT count(*) FROM log")) == ([(2001,)], [(1,)])


# --- names that both have ----------------------------------------------------------------------------------------------------


@pytest.fixture
def taken(side, c):
    """The hot tables `h1` and view `h2`, and the cold table `mine`."""
    side.hot("DROP VIEW IF EXISTS h2", "DROP TABLE IF EXISTS h1", "CREATE TABLE h1 (a INT)", "INSERT INTO h1 VALUES (1)", "CREATE VIEW h2 AS SELECT a FROM h1")
    run(c, f"CREATE TABLE mine (a INT){side.cold}", "INSERT INTO mine VALUES (9)")
    yield c
    run(c, "DROP TABLE IF EXISTS mine")


def test_a_cold_table_does_not_take_a_hot_ones_name_unasked(side, taken):
    c = taken
    cold = side.cold
    like = f"CREATE TABLE h1 LIKE mine {cold}" if side.wire == "mysql" else f"CREATE TABLE h1 (LIKE mine){cold}"
    rename = "RENAME TABLE mine TO h1" if side.wire == "mysql" else "ALTER TABLE mine RENAME TO h1"
    for text in [
        f"CREATE TABLE h1 (a INT){cold}",
        f"CREATE TABLE h2 (a INT){cold}",
        f"CREATE TABLE h1{cold} AS SELECT a FROM mine",
        like,
        rename,
        "ALTER TABLE mine RENAME TO h2",
        "CREATE VIEW h1 AS SELECT a FROM mine",
    ]:
        side.fails(EXISTS, run, c, text)
    run(c, "DROP TABLE mine")
    side.fails(EXISTS, run, c, "FLASHBACK TABLE mine TO BEFORE DROP RENAME TO h1")
    side.hot("CREATE TABLE mine (a INT)")
    side.fails(EXISTS, run, c, "FLASHBACK TABLE mine TO BEFORE DROP")
    side.hot("DROP TABLE mine")
    run(c, "FLASHBACK TABLE mine TO BEFORE DROP")
    assert (rows(c, "SELECT a FROM h1"), rows(c, "SELECT a FROM h2"), rows(c, "SELECT a FROM mine")) == ([(1,)], [(1,)], [(9,)])


def test_if_not_exists_over_a_hot_table_makes_nothing_and_says_so(side, taken):
    c = taken
    run(c, f"CREATE TABLE IF NOT EXISTS h1 (b INT){side.cold}")
    if side.wire == "mysql":
        assert rows(c, "SHOW WARNINGS") == [("Note", 1050, "Table 'h1' already exists")]
    assert rows(c, "SELECT a FROM h1") == [(1,)]


def test_prepared_statements_take_no_name_either(side, taken):
    text = f"CREATE TABLE h1 (a INT){side.cold}"
    if side.wire == "mysql":
        run(taken, f"PREPARE p FROM '{text.replace(chr(39), chr(39) * 2)}'")
        side.fails(EXISTS, run, taken, "EXECUTE p")
    else:
        side.fails(EXISTS, lambda: taken.execute(text, prepare=True))
    assert rows(taken, "SELECT a FROM h1") == [(1,)]


def test_a_hot_table_is_hidden_when_that_is_asked_for(side, taken):
    c = taken
    run(c, f"CREATE OR SHADOW TABLE h1 (a INT){side.cold}", "INSERT INTO h1 VALUES (2)")
    assert rows(c, "SELECT a FROM h1") == [(2,)]
    run(c, "DROP TABLE h1")
    assert rows(c, "SELECT a FROM h1") == [(1,)]


def test_a_stand_in_is_no_hot_table(side, taken):
    c = taken
    run(c, "CREATE STANDIN FOR COLD TABLE mine", "DROP TABLE mine", f"CREATE TABLE mine (a INT){side.cold}", "DROP STANDIN FOR COLD TABLE mine")


def test_a_hot_table_is_not_renamed_under_a_cold_one(side, taken):
    if side.wire == "postgres":
        pytest.skip("the schema of the new name is the database's to know")
    side.fails(EXISTS, run, taken, "RENAME TABLE h1 TO orders")
    side.fails(EXISTS, run, taken, "ALTER TABLE h1 RENAME TO orders")
    assert rows(taken, "SELECT a FROM h1") == [(1,)]


def test_a_hot_view_is_hidden_and_a_view_hides_when_that_is_asked_for(side, taken):
    c = taken
    for name, kind in (("h1", "table"), ("h2", "view")):
        side.fails(EXISTS, run, c, f"CREATE VIEW {name} AS SELECT a FROM mine")
        run(c, f"CREATE OR SHADOW VIEW {name} AS SELECT a + 1 AS a FROM mine")
        assert rows(c, f"SELECT a FROM {name}") == [(10,)], kind
    assert [row[1:] for row in rows(c, "SHOW COLD STANDINS")] == [("h1", "hides hot"), ("h2", "hides hot")]
    run(c, "DROP VIEW h1", "DROP VIEW h2")
    assert (rows(c, "SELECT a FROM h1"), rows(c, "SELECT a FROM h2")) == ([(1,)], [(1,)])
    assert rows(c, "SHOW COLD STANDINS") == []


def test_a_hot_table_or_view_that_comes_later_under_a_cold_ones_name_is_told(side, taken):
    """It is made past Flashgate, or (PostgreSQL) by a new name whose schema only the database knows."""
    c = taken
    side.hot("CREATE VIEW mine AS SELECT 5 AS a")
    run(c, "CREATE STANDIN FOR COLD TABLE log")
    try:
        assert rows(c, "SELECT a FROM mine") == [(9,)]
        assert [row[1:] for row in rows(c, "SHOW COLD STANDINS")] == [("log", "current"), ("mine", "hides hot")]
        assert told(side, "mine") == 1
        if side.wire == "postgres":
            run(c, "ALTER TABLE h1 RENAME TO orders")
            notices = []
            c.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
            for _ in range(2):
                assert rows(c, "SELECT a FROM orders") == [(7,)]
            assert rows(c, "SELECT a FROM log") == [(7,)]
            want = 'the cold table "orders" hides a table or view of this name in the database behind Flashgate'
            assert (notices, told(side, "orders")) == ([("WARNING", want)], 1)
            side.hot("ALTER TABLE orders RENAME TO h1")
    finally:
        run(c, "DROP STANDIN FOR COLD TABLE log")
        side.hot("DROP VIEW mine")


def told(side, name):
    """How often the log has told of it."""
    return sum("which hides it" in line and f'"{name}"' in line.replace("=", '"').replace(" ", '"') for line in side.gate.log().splitlines())
