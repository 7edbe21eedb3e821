"""Hot and cold tables in one statement, in front of real MariaDB, MySQL and PostgreSQL: cold rows into hot tables, and joins of both."""

import contextlib
import decimal
import random
import threading
import time

import mysql.connector
import psycopg
import pymysql
import pytest

from conftest import eventually
from test_concurrency import fails
from upstreams import FORWARD, Forwarder, gated, need, private, resident
from wires import MYSQL_COLUMNS, MYSQL_ROWS, POSTGRES_COLUMNS, POSTGRES_ROWS, assert_rows, now, rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")

MULTI_STATEMENTS = 1 << 16
KINDS = ["mariadb", "mysql", "postgres17"]
DUPLICATE = {"mysql": 1062, "postgres": "23505"}
REFUSED = {"mysql": 1235, "postgres": "0A000"}


class Side:
    """One upstream with Flashgate in front of it. The cold table `orders` (id, item, amount) had three rows at `then` and has one now;
    `digits` has 0 to 9."""

    def __init__(self, kind, base, running):
        self.kind, self.base, self.gate = kind, base, running
        self.wire = base.protocol
        self.cold = " ENGINE='OSS'" if self.wire == "mysql" else " WITH (engine='OSS')"

    def connect(self, user="root", database="hot", **more):
        host, port = getattr(self.gate, self.wire)
        if self.wire == "mysql":
            settings = {"ssl_disabled": True, "autocommit": True, "connect_timeout": 20, "read_timeout": 120, "charset": "utf8mb4"}
            return pymysql.connect(host=host, port=port, user=user, database=database, **{**settings, **more})
        settings = {"sslmode": "disable", "autocommit": True, "connect_timeout": 20}
        return psycopg.connect(host=host, port=port, user=user, dbname=database, **{**settings, **more})

    def direct(self, **more):
        return self.base.connect(**({"database": "hot"} if self.wire == "mysql" else {"dbname": "hot"}), **more)

    def hot(self, *statements):
        """Statements straight to the database behind."""
        with contextlib.closing(self.direct()) as c, c.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def fails(self, codes, call, *args):
        return fails(codes[self.wire], call, *args)


@pytest.fixture(scope="module", params=KINDS)
def side(request):
    base = need(request.param, request)
    with gated(**{base.protocol: base}) as running:
        made = Side(request.param, base, running)
        with contextlib.closing(made.connect()) as c:
            run(c, "CREATE TABLE orders (id INT, item VARCHAR(40), amount DECIMAL(10,2))" + made.cold)
            run(c, "INSERT INTO orders VALUES (1, 'lamp', 34.90), (2, 'chair', 189.00), (3, 'bell', 11.50)")
            made.then = now(c)
            run(c, "DELETE FROM orders WHERE id <> 1")
            run(c, "CREATE TABLE digits (d INT)" + made.cold, "INSERT INTO digits VALUES " + ", ".join(f"({d})" for d in range(10)))
        yield made


@pytest.fixture
def c(side):
    """A connection through Flashgate, and the hot table `live` with row 1 only."""
    side.hot(
        "DROP TABLE IF EXISTS live",
        "CREATE TABLE live (id INT PRIMARY KEY, item VARCHAR(40), amount DECIMAL(10,2))",
        "INSERT INTO live VALUES (1, 'lamp', 34.90)",
    )
    with contextlib.closing(side.connect()) as connection:
        yield connection


def many(side):
    side.hot("DROP TABLE IF EXISTS many", "CREATE TABLE many (id INT PRIMARY KEY, pad VARCHAR(300))")


def prepared(side):
    """A client that prepares at the server, with MySQL."""
    host, port = side.gate.mysql
    settings = {"user": "root", "database": "hot", "ssl_disabled": True, "autocommit": True}
    return contextlib.closing(mysql.connector.connect(host=host, port=port, **settings))


def definitions(columns):
    return ", ".join(f"{name} {ty}" for name, ty in columns.items())


ALL = "SELECT id, item, amount FROM live ORDER BY id"
LOST = [(2, "chair", decimal.Decimal("189.00")), (3, "bell", decimal.Decimal("11.50"))]
LAMP = (1, "lamp", decimal.Decimal("34.90"))


def undo(side):
    return f"INSERT INTO live SELECT * FROM orders WHERE id > 1 AS OF TIMESTAMP '{side.then}'"


def thousands(count):
    """Numbers from 0 on, by a query over cold tables only."""
    places = len(str(count - 1))
    tables = ", ".join(f"digits AS d{n}" for n in range(places))
    number = " + ".join(f"d{n}.d * {10**n}" for n in range(places))
    return f"SELECT {number} AS n FROM {tables} WHERE {number} < {count}"


# --- undo into the live table ------------------------------------------------------------------------------------------------


def test_what_was_deleted_comes_back_from_the_past(side, c):
    assert run(c, undo(side)) == 2
    assert rows(c, ALL) == [LAMP, *LOST] == side.hot(ALL)


def test_a_rollback_takes_it_back_and_others_see_it_only_once_it_is_committed(side, c):
    run(c, "BEGIN", "DELETE FROM live WHERE id = 1", undo(side))
    assert rows(c, ALL) == LOST and side.hot(ALL) == [LAMP]
    run(c, "ROLLBACK")
    assert rows(c, ALL) == [LAMP]
    run(c, "BEGIN", undo(side), "COMMIT")
    assert side.hot(ALL) == [LAMP, *LOST]


def test_the_transaction_goes_on_as_it_was(side, c):
    """Locks, savepoints and the snapshot are those of the client's own transaction."""
    run(c, "BEGIN", "INSERT INTO live VALUES (9, 'nine', 9)", "SAVEPOINT a", undo(side))
    assert [row[0] for row in rows(c, ALL)] == [1, 2, 3, 9]
    run(c, "ROLLBACK TO SAVEPOINT a")
    assert [row[0] for row in rows(c, ALL)] == [1, 9]
    run(c, "COMMIT")
    assert [row[0] for row in side.hot(ALL)] == [1, 9]


def test_a_statement_alone_is_all_or_nothing_though_it_goes_up_in_many_pieces(side, c):
    many(side)
    side.hot("INSERT INTO many VALUES (15000, 'here first')")
    insert = f"INSERT INTO many SELECT n, CONCAT(REPEAT('x', 150), n) FROM ({thousands(20000)}) AS t ORDER BY n"
    error = side.fails(DUPLICATE, run, c, insert)
    assert "15000" in str(error)
    assert side.hot("SELECT id, pad FROM many") == [(15000, "here first")]
    assert side.wire == "mysql" or c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert run(c, insert.replace("ORDER BY n", "WHERE n <> 15000")) == 19999
    assert side.hot("SELECT COUNT(*), SUM(id), COUNT(DISTINCT pad) FROM many") == [(20000, sum(range(20000)), 20000)]


def test_an_error_within_a_transaction_leaves_what_an_error_of_the_database_leaves(side, c):
    many(side)
    side.hot("INSERT INTO many VALUES (15000, 'here first')")
    insert = f"INSERT INTO many SELECT n, REPEAT('x', 150) FROM ({thousands(20000)}) AS t ORDER BY n"
    run(c, "BEGIN", "INSERT INTO live VALUES (9, 'nine', 9)")
    side.fails(DUPLICATE, run, c, insert)
    if side.wire == "postgres":
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        fails("25P02", run, c, "SELECT 1")
        run(c, "ROLLBACK")
        assert side.hot("SELECT COUNT(*) FROM many") == [(1,)] and side.hot(ALL) == [LAMP]
        return
    # The statement is undone, the transaction is not.
    assert rows(c, "SELECT COUNT(*) FROM many") == [(1,)] and [row[0] for row in rows(c, ALL)] == [1, 9]
    run(c, "COMMIT")
    assert side.hot("SELECT COUNT(*) FROM many") == [(1,)] and [row[0] for row in side.hot(ALL)] == [1, 9]


def test_columns_may_be_named_and_others_get_their_defaults(side, c):
    auto = "INT AUTO_INCREMENT PRIMARY KEY" if side.wire == "mysql" else "INT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    side.hot("DROP TABLE IF EXISTS log", f"CREATE TABLE log (no {auto}, what VARCHAR(40), state VARCHAR(10) DEFAULT 'new')")
    assert run(c, f"INSERT INTO log (what) SELECT item FROM orders AS OF TIMESTAMP '{side.then}' ORDER BY id") == 3
    assert side.hot("SELECT no, what, state FROM log ORDER BY no") == [(1, "lamp", "new"), (2, "chair", "new"), (3, "bell", "new")]
    if side.wire == "mysql":
        with c.cursor() as cursor:
            cursor.execute(f"INSERT INTO log (what) SELECT item FROM orders AS OF TIMESTAMP '{side.then}' ORDER BY id")
            assert cursor.lastrowid == 4
        assert rows(c, "SELECT LAST_INSERT_ID()") == [(4,)]
    wrong = {"mysql": 1136, "postgres": "42601"}
    side.fails(wrong, run, c, "INSERT INTO log (what) SELECT id, item FROM orders")


def test_what_stands_behind_the_rows_goes_with_every_piece(side, c):
    source = f"SELECT id, 'again', amount + 1 FROM orders AS OF TIMESTAMP '{side.then}'"
    if side.wire == "mysql":
        assert run(c, f"INSERT IGNORE INTO live {source}") == 2
        # SHOW WARNINGS tells of the upstream's.
        assert rows(c, f"SELECT COUNT(*) FROM live") == [(3,)]
        run(c, f"INSERT IGNORE INTO live {source}")
        assert [(level, code) for level, code, _ in rows(c, "SHOW WARNINGS")] == [("Warning", 1062)] * 3
        run(c, f"INSERT INTO live {source} ON DUPLICATE KEY UPDATE item = 'o''up\\\\', amount = VALUES(amount)")
        assert [row[1] for row in rows(c, ALL)] == ["o'up\\"] * 3
        assert run(c, f"REPLACE INTO live {source}") == 6
        assert rows(c, ALL) == [(i, "again", amount + 1) for i, _, amount in [LAMP, *LOST]]
    else:
        assert run(c, f"INSERT INTO live {source} ON CONFLICT DO NOTHING") == 2
        assert run(c, f"INSERT INTO live {source} ON CONFLICT (id) DO UPDATE SET item = 'o''up\\', amount = excluded.amount") == 3
        assert rows(c, ALL) == [(i, "o'up\\", amount + 1) for i, _, amount in [LAMP, *LOST]]
        side.fails(REFUSED, run, c, f"INSERT INTO live {source} RETURNING id")


def test_errors_are_the_upstreams_own(side, c):
    check = "ALTER TABLE live ADD CONSTRAINT positive CHECK (amount < 100)"
    side.hot(check)
    error = side.fails({"mariadb": {"mysql": 4025}, "mysql": {"mysql": 3819}}.get(side.kind, {"postgres": "23514"}), run, c, undo(side))
    with contextlib.closing(side.direct()) as direct, pytest.raises((pymysql.Error, psycopg.Error)) as own:
        run(direct, "INSERT INTO live VALUES (2, 'chair', 189.00)")
    if side.wire == "mysql":
        assert error.args == own.value.args
    else:
        ours, theirs = error.diag, own.value.diag
        for field in ("message_primary", "message_detail", "constraint_name", "table_name", "schema_name", "sqlstate", "severity"):
            assert getattr(ours, field) == getattr(theirs, field), field
    assert side.hot(ALL) == [LAMP]
    side.fails({"mysql": 1146, "postgres": "42P01"}, run, c, "INSERT INTO absent SELECT * FROM orders")
    assert rows(c, "SELECT 1") == [(1,)]


def test_a_read_only_transaction_of_the_upstream_stays_one(side, c):
    run(c, "START TRANSACTION READ ONLY")
    side.fails({"mysql": 1792, "postgres": "25006"}, run, c, undo(side))
    run(c, "ROLLBACK")
    assert side.hot(ALL) == [LAMP]


def test_a_deadlock_is_told_and_leaves_nothing(side, c):
    """The other transaction holds what this one wants, and wants what this one holds."""
    with contextlib.closing(side.direct()) as other:
        run(other, "BEGIN", "INSERT INTO live VALUES (3, 'mine', 1)")
        # MySQL ends the one that has done less.
        run(other, "INSERT INTO live VALUES " + ", ".join(f"({n}, 'more', 1)" for n in range(1000, 1200)))
        run(c, "BEGIN", "INSERT INTO live VALUES (77, 'held', 1)")
        outcome = []

        def insert():
            try:
                outcome.append(run(c, undo(side)))
            except (pymysql.Error, psycopg.Error) as error:
                outcome.append(error)

        thread = threading.Thread(target=insert)
        thread.start()
        time.sleep(0.7)
        try:
            run(other, "INSERT INTO live VALUES (77, 'wanted', 1)")
            run(other, "ROLLBACK")
        except (pymysql.Error, psycopg.Error):
            run(other, "ROLLBACK")
        thread.join(30)
        assert outcome, "the insert hangs"
        if isinstance(outcome[0], Exception):
            code = outcome[0].args[0] if side.wire == "mysql" else outcome[0].sqlstate
            assert code in (1213, "40P01"), outcome
            if side.wire == "mysql":
                # The transaction is over, and nothing but this statement has told so.
                run(c, "INSERT INTO digits SELECT 10 FROM digits WHERE d < 0")
            run(c, "ROLLBACK")
            assert side.hot(ALL) == [LAMP]
        else:
            run(c, "COMMIT")
            assert [row[0] for row in side.hot(ALL)] == [1, 2, 3, 77]


@pytest.mark.parametrize("completion", ["CHAIN", "RELEASE"])
@pytest.mark.parametrize("side", ["mariadb", "mysql"], indirect=True)
def test_what_follows_a_transaction_of_the_clients_follows_none_of_ours(side, c, completion):
    run(c, f"SET completion_type = '{completion}'", undo(side), "INSERT INTO live VALUES (9, 'nine', 9)")
    assert [row[0] for row in side.hot(ALL)] == [1, 2, 3, 9]
    assert fails(1062, run, c, undo(side))
    run(c, "INSERT INTO live VALUES (10, 'ten', 10)")
    assert [row[0] for row in side.hot(ALL)] == [1, 2, 3, 9, 10]


def test_moments_are_the_same_where_the_upstreams_clock_changes_in_summer(monkeypatch):
    """Of a zone that has only an abbreviation no more is known here than today's offset."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    base = private("mariadb", "summer")
    july, january = 1657015200, 1641376800
    with gated(mysql=base) as running:
        side = Side("mariadb", base, running)
        side.hot("CREATE TABLE hot_t (id INT, t TIMESTAMP(6) NULL)", f"INSERT INTO hot_t VALUES (1, FROM_UNIXTIME({july})), (2, FROM_UNIXTIME({january}))")
        with contextlib.closing(side.connect()) as c:
            run(c, "CREATE TABLE cold_t (id INT, t TIMESTAMP(6))" + side.cold, "SET time_zone = '+00:00'")
            run(c, "INSERT INTO cold_t VALUES (1, '2022-07-05 10:00:00'), (2, '2022-01-05 10:00:00')", "SET time_zone = SYSTEM")
            assert rows(c, "SELECT @@system_time_zone") in ([("CET",)], [("CEST",)])
            assert rows(c, "SELECT h.id FROM cold_t AS c JOIN hot_t AS h ON h.t = c.t ORDER BY 1") == [(1,), (2,)]
            assert rows(c, "SELECT h.id, c.id FROM cold_t AS c JOIN hot_t AS h ON h.t >= c.t ORDER BY 1, 2") == [(1, 1), (1, 2), (2, 2)]
            assert run(c, "INSERT INTO hot_t SELECT id + 10, t FROM cold_t") == 2
        found = side.hot("SELECT id, CAST(UNIX_TIMESTAMP(t) AS SIGNED) FROM hot_t ORDER BY id")
        assert found == [(1, july), (2, january), (11, july), (12, january)]


# --- prepared, and as a part of more -----------------------------------------------------------------------------------------


def test_prepared_with_parameters(side, c):
    if side.wire == "postgres":
        for prepare in (True, False):
            insert = f"INSERT INTO live SELECT id, item, %s FROM orders WHERE id > %s AS OF TIMESTAMP '{side.then}'"
            assert c.execute(insert, (7, 1), prepare=prepare).rowcount == 2
            assert [row[2] for row in side.hot(ALL)] == [LAMP[2], 7, 7]
            assert run(c, "DELETE FROM live WHERE id > 1") == 2
        suffix = "INSERT INTO live SELECT * FROM orders AS OF %s ON CONFLICT (id) DO UPDATE SET item = %s"
        assert c.execute(suffix, (side.then, "o'u\\")).rowcount == 3
        assert side.hot(ALL)[0][1] == "o'u\\"
        return
    with prepared(side) as p:
        with p.cursor(prepared=True) as cursor:
            for least, count in ((1, 2), (2, 1), (0, 3)):
                run(c, "DELETE FROM live")
                insert = "INSERT INTO live SELECT id, ?, amount FROM orders WHERE id > ? AS OF TIMESTAMP ?"
                cursor.execute(insert, (f"it's {least}", least, side.then))
                assert cursor.rowcount == count
                assert {row[1] for row in side.hot(ALL)} == {f"it's {least}"}
            cursor.execute("INSERT INTO live SELECT * FROM orders AS OF TIMESTAMP ? ON DUPLICATE KEY UPDATE item = ?", (side.then, "o'u\\"))
            assert {row[1] for row in side.hot(ALL)} == {"o'u\\"}
    insert = f"INSERT INTO live SELECT * FROM orders WHERE id > ? AS OF TIMESTAMP ''{side.then}''"
    run(c, "DELETE FROM live", f"PREPARE p FROM '{insert}'", "SET @least = 2")
    assert run(c, "EXECUTE p USING @least") == 1 and [row[0] for row in side.hot(ALL)] == [3]


def test_within_a_text_of_several_statements(side):
    side.hot("DROP TABLE IF EXISTS live", "CREATE TABLE live (id INT PRIMARY KEY, item VARCHAR(40), amount DECIMAL(10,2))")
    more = {"client_flag": pymysql.constants.CLIENT.MULTI_STATEMENTS} if side.wire == "mysql" else {}
    with contextlib.closing(side.connect(**more)) as c, c.cursor() as cursor:
        cursor.execute(f"INSERT INTO live VALUES (1, 'lamp', 34.90); {undo(side)}; SELECT COUNT(*) FROM live; SELECT COUNT(*) FROM orders")
        got = []
        while True:
            got.append(cursor.fetchall() if cursor.description else cursor.rowcount)
            if not cursor.nextset():
                break
        assert [g if isinstance(g, int) else tuple(g[0]) for g in got] == [1, 2, (3,), (1,)]
        if side.wire == "postgres":
            # One text is one transaction, also when all of it is answered here.
            run(c, "DELETE FROM live WHERE id > 1")
            for text in (f"{undo(side)}; {undo(side)}", f"{undo(side)}; SELECT absent FROM orders", f"{undo(side)}; SELECT 1/0"):
                with pytest.raises(psycopg.Error):
                    run(c, text)
                assert [row[0] for row in side.hot(ALL)] == [1]


def test_within_a_pipeline_it_is_a_part_of_its_transaction(side, c):
    if side.wire == "mysql":
        # A pipeline of MySQL's has no transaction of its own: that of autocommit = 0 is the nearest.
        run(c, "SET autocommit = 0", undo(side))
        assert side.hot(ALL) == [LAMP]
        run(c, "ROLLBACK")
        assert rows(c, ALL) == [LAMP]
        run(c, undo(side), "COMMIT")
        assert side.hot(ALL) == [LAMP, *LOST]
        return
    with c.pipeline():
        c.execute("INSERT INTO live VALUES (8, 'eight', 8)")
        c.execute(undo(side))
        c.execute("INSERT INTO live VALUES (9, 'nine', 9)")
    assert [row[0] for row in side.hot(ALL)] == [1, 2, 3, 8, 9]
    with pytest.raises(psycopg.Error), c.pipeline() as pipeline:
        c.execute("DELETE FROM live")
        c.execute(undo(side))
        c.execute(undo(side))
        pipeline.sync()
    assert [row[0] for row in side.hot(ALL)] == [1, 2, 3, 8, 9]
    assert rows(c, "SELECT COUNT(*) FROM live") == [(5,)]


# --- values ------------------------------------------------------------------------------------------------------------------


def test_every_type_arrives_as_if_it_had_been_inserted_there(side, c):
    columns, data = (MYSQL_COLUMNS, MYSQL_ROWS) if side.wire == "mysql" else (POSTGRES_COLUMNS, POSTGRES_ROWS)
    hot = {name: "CHAR(36)" if ty == "UUID" and side.wire == "mysql" else ty for name, ty in columns.items()}
    defined = ", ".join(f"{name} {ty}" + ("" if "NOT NULL" in ty or side.wire == "postgres" else " NULL") for name, ty in hot.items())
    charset = " DEFAULT CHARSET=utf8mb4" if side.wire == "mysql" else ""
    for which in ("hot", "direct"):
        side.hot(f"DROP TABLE IF EXISTS kinds_{which}", f"CREATE TABLE kinds_{which} ({defined}){charset}")
    run(c, f"CREATE TABLE IF NOT EXISTS kinds ({definitions(columns)})" + side.cold, "DELETE FROM kinds")
    if side.wire == "mysql":
        run(c, "SET time_zone = '+00:00'")
    places = ", ".join(["%s"] * len(columns))
    with contextlib.closing(side.direct(**({"charset": "utf8mb4"} if side.wire == "mysql" else {}))) as direct:
        for connection, table in ((c, "kinds"), (direct, "kinds_direct")):
            with connection.cursor() as cursor:
                if side.wire == "mysql" and table == "kinds_direct":
                    cursor.execute("SET time_zone = '+00:00'")
                cursor.executemany(f"INSERT INTO {table} VALUES ({places})", [tuple(row[name] for name in columns) for row in data])
        run(c, "INSERT INTO kinds_hot SELECT * FROM kinds")
        names = list(columns)
        got, want = (rows(direct, f"SELECT * FROM {table} ORDER BY id") for table in ("kinds_hot", "kinds_direct"))
        assert_rows([dict(zip(names, row)) for row in got], [dict(zip(names, row)) for row in want])
        assert len(got) == 3


ATTACKS = [
    "it's", '"', "\\", "\\'", "'; DROP TABLE live; --",
    "' OR '1'='1", "\\\\'", "a\\", "*/ x", "-- x", "%s ? $1 :x", "{}", "`", "\r\n\t", "\x1a",
    "\U0001f600 \u6771\u4eac", "\u8aa0\\'", "\u00bf'", "\u00bf\\", "x" * 5000 + "'", "", " ", "NULL", "$$", "E'\\'", "\u200b", "0x41",
]


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "gbk", "sjis", "latin1"])
def test_no_value_ends_its_literal(side, c, mode):
    values = ATTACKS if side.wire == "postgres" else [*ATTACKS, "a\0b", "\0"]
    blob = "BLOB" if side.wire == "mysql" else "BYTEA"
    run(c, f"CREATE TABLE IF NOT EXISTS sly (id INT, v TEXT, b {blob})" + side.cold, "DELETE FROM sly")
    with c.cursor() as cursor:
        cursor.executemany("INSERT INTO sly VALUES (%s, %s, %s)", [(i, v, v.encode()) for i, v in enumerate(values)])
    text = "LONGTEXT CHARACTER SET utf8mb4, b LONGBLOB" if side.wire == "mysql" else "TEXT, b BYTEA"
    side.hot("DROP TABLE IF EXISTS sly_hot", f"CREATE TABLE sly_hot (id INT PRIMARY KEY, v {text})")
    if side.wire == "postgres":
        run(c, f"SET standard_conforming_strings = {'off' if mode == 'NO_BACKSLASH_ESCAPES' else 'on'}")
        if mode == "ANSI_QUOTES":
            run(c, "SET DateStyle = 'German'", "SET bytea_output = 'escape'")
    elif mode in ("gbk", "sjis", "latin1"):
        run(c, f"SET NAMES {mode}")
    else:
        run(c, f"SET sql_mode = '{mode}'")
    assert run(c, "INSERT INTO sly_hot SELECT * FROM sly") == len(values)
    with contextlib.closing(side.direct(**({"charset": "utf8mb4"} if side.wire == "mysql" else {}))) as direct:
        got = rows(direct, "SELECT v, b FROM sly_hot ORDER BY id")
    assert got == [(v, v.encode()) for v in values]


def test_a_value_that_the_upstream_has_no_form_for_is_an_error(side, c):
    if side.wire == "postgres":
        # Made by a client that may.
        with contextlib.closing(side.connect()) as other:
            run(other, "CREATE TABLE IF NOT EXISTS nul (v BYTEA)" + side.cold, "DELETE FROM nul", "INSERT INTO nul VALUES ('\\x00')")
        side.hot("DROP TABLE IF EXISTS nul_hot", "CREATE TABLE nul_hot (v BYTEA)")
        assert run(c, "INSERT INTO nul_hot SELECT v FROM nul") == 1
        return
    run(c, "CREATE TABLE IF NOT EXISTS twice (t TIMESTAMP(6))" + side.cold, "DELETE FROM twice", "SET time_zone = '+00:00'")
    run(c, "INSERT INTO twice VALUES ('2022-10-30 00:30:00'), ('2022-10-30 01:30:00.5')")
    side.hot("DROP TABLE IF EXISTS twice_hot", "CREATE TABLE twice_hot (t TIMESTAMP(6) NULL)")
    run(c, "SET time_zone = '+05:30'")
    assert run(c, "INSERT INTO twice_hot SELECT * FROM twice") == 2
    assert side.hot("SELECT CAST(UNIX_TIMESTAMP(t) AS CHAR) FROM twice_hot ORDER BY t") == [("1667089800.000000",), ("1667093400.500000",)]


# --- rights ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ann(side, c):
    """A user that may read `live` but not change it, and has no rights on cold tables."""
    if side.wire == "mysql":
        side.hot("DROP USER IF EXISTS ann@'%'", "CREATE USER ann@'%' IDENTIFIED BY ''", "GRANT SELECT ON hot.* TO ann@'%'")
    else:
        with contextlib.suppress(psycopg.Error):
            side.hot("CREATE ROLE ann LOGIN")
        # Logins other than root's want a password there; SET ROLE does as well.
        side.hot("REVOKE ALL ON live FROM ann", "GRANT SELECT ON live TO ann")
    connection = side.connect("ann") if side.wire == "mysql" else side.connect()
    with contextlib.closing(connection):
        if side.wire == "postgres":
            run(connection, "SET ROLE ann")
        yield connection
    run(c, "REVOKE ALL ON COLD TABLE *.* FROM ann", "REVOKE ALL ON COLD TABLE orders FROM ann")
    if side.wire == "mysql":
        side.hot("DROP USER ann@'%'")


def test_both_sides_rights_are_asked(side, c, ann):
    denied = {"mysql": 1142, "postgres": "42501"}
    side.fails(denied, run, ann, undo(side))
    run(c, "GRANT SELECT ON COLD TABLE orders TO ann")
    error = side.fails(denied, run, ann, undo(side))
    assert "live" in str(error) and "GRANT" not in str(error)
    side.hot("GRANT INSERT ON live TO ann" if side.wire == "postgres" else "GRANT INSERT ON hot.live TO ann@'%'")
    assert run(ann, undo(side)) == 2
    assert side.hot(ALL) == [LAMP, *LOST]
    run(c, "REVOKE SELECT ON COLD TABLE orders FROM ann", "DELETE FROM live WHERE id > 1")
    side.fails(denied, run, ann, undo(side))
    assert side.hot(ALL) == [LAMP]


# --- a table made of cold rows -----------------------------------------------------------------------------------------------


def test_create_table_as_makes_a_hot_table_of_cold_rows(side, c):
    side.hot("DROP TABLE IF EXISTS made")
    run(c, f"CREATE TABLE made AS SELECT id, item AS what, amount, amount * 2 AS twice FROM orders AS OF TIMESTAMP '{side.then}'")
    assert side.hot("SELECT id, what, amount, twice FROM made ORDER BY id") == [(i, item, a, a * 2) for i, item, a in [LAMP, *LOST]]
    side.fails({"mysql": 1050, "postgres": "42P07"}, run, c, "CREATE TABLE made AS SELECT * FROM orders")
    run(c, "CREATE TABLE IF NOT EXISTS made AS SELECT * FROM orders")
    assert side.hot("SELECT COUNT(*) FROM made") == [(3,)]
    side.hot("DROP TABLE made")
    options = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='a''b'" if side.wire == "mysql" else ""
    run(c, f"CREATE TEMPORARY TABLE made{options} AS SELECT * FROM orders")
    assert rows(c, "SELECT * FROM made") == [LAMP]
    side.fails({"mysql": 1146, "postgres": "42P01"}, side.hot, "SELECT * FROM made")
    run(c, "DROP TABLE made")


def test_a_table_that_cannot_be_filled_is_not_made(side, c):
    side.hot("DROP TABLE IF EXISTS made")
    with pytest.raises((pymysql.Error, psycopg.Error)):
        broken = "CAST(1 / (id - 1) AS CHAR)" if side.wire == "postgres" else "CAST('x' AS DATE)"
        run(c, f"CREATE TABLE made AS SELECT id, {broken} AS x FROM orders WHERE absent = 1")
    side.fails({"mysql": 1146, "postgres": "42P01"}, side.hot, "SELECT * FROM made")
    if side.wire == "postgres":
        with pytest.raises(psycopg.Error):
            run(c, "CREATE TABLE made AS SELECT 1 / (id - 1) AS x FROM orders")
        side.fails({"postgres": "42P01"}, side.hot, "SELECT * FROM made")
        run(c, "BEGIN", f"CREATE TABLE made AS SELECT * FROM orders AS OF TIMESTAMP '{side.then}'")
        assert rows(c, "SELECT COUNT(*) FROM made") == [(3,)]
        run(c, "ROLLBACK")
        side.fails({"postgres": "42P01"}, side.hot, "SELECT * FROM made")


# --- size and faults ---------------------------------------------------------------------------------------------------------


def test_two_hundred_thousand_rows_go_up_in_bounded_memory(side, c):
    many(side)
    run(c, f"INSERT INTO many SELECT n, REPEAT('y', 10) FROM ({thousands(1000)}) AS t", "DELETE FROM many")
    before, peak, done = resident(side.gate.process), [0], threading.Event()

    def watch():
        while not done.wait(0.05):
            peak[0] = max(peak[0], resident(side.gate.process))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        assert run(c, f"INSERT INTO many SELECT n, REPEAT('x', 250) FROM ({thousands(200000)}) AS t") == 200000
    finally:
        done.set()
        thread.join()
    assert side.hot("SELECT COUNT(*), MIN(id), MAX(id) FROM many") == [(200000, 0, 199999)]
    # The rows are 50 MB, and more as text.
    assert peak[0] - before < 60 << 20, f"{before >> 20} MiB before, {peak[0] >> 20} MiB at most"
    side.hot("DROP TABLE many")


def test_one_row_larger_than_a_piece_goes_up_and_one_too_large_is_refused(side, c):
    blob = "LONGBLOB" if side.wire == "mysql" else "BYTEA"
    run(c, "CREATE TABLE IF NOT EXISTS fat (id INT, b " + blob + ")" + side.cold, "DELETE FROM fat")
    side.hot("DROP TABLE IF EXISTS fat_hot", f"CREATE TABLE fat_hot (id INT, b {blob})")
    with c.cursor() as cursor:
        cursor.execute("INSERT INTO fat VALUES (1, %s)", (b"\x00'" * (1 << 20),))
    assert run(c, "INSERT INTO fat_hot SELECT * FROM fat") == 1
    length = "LENGTH(b)" if side.wire == "mysql" else "octet_length(b)"
    assert side.hot(f"SELECT {length} FROM fat_hot") == [(2 << 20,)]
    if side.wire == "mysql":
        # Sent more than it takes, the server would close the connection.
        ((limit,),) = side.hot("SELECT @@GLOBAL.max_allowed_packet")
        side.hot(f"SET GLOBAL max_allowed_packet = {3 << 20}")
        try:
            with contextlib.closing(side.connect()) as small:
                fails(1153, run, small, "INSERT INTO fat_hot SELECT * FROM fat")
                assert rows(small, "SELECT COUNT(*) FROM fat_hot") == [(1,)]
        finally:
            side.hot(f"SET GLOBAL max_allowed_packet = {limit}")


def test_a_client_that_leaves_in_the_middle_leaves_nothing(side, c):
    many(side)
    leaver = side.connect()
    insert = f"INSERT INTO many SELECT n, REPEAT('x', 250) FROM ({thousands(300000)}) AS t"

    def go():
        with contextlib.suppress(Exception):
            run(leaver, insert)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    time.sleep(1.0)
    import socket

    sock = leaver._sock if side.wire == "mysql" else socket.socket(fileno=leaver.fileno())
    sock.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    assert eventually(lambda: side.hot("SELECT COUNT(*) FROM many") == [(0,)] and len(side.base.sessions()) <= 2, timeout=30)
    if side.wire == "postgres":
        sock.detach()
    assert rows(c, "SELECT COUNT(*) FROM orders") == [(1,)]


def test_a_kill_in_the_middle_leaves_nothing_and_the_connection_lives(side, c):
    many(side)
    insert = f"INSERT INTO many SELECT n, REPEAT('x', 250) FROM ({thousands(300000)}) AS t"
    outcome = []

    def go():
        try:
            outcome.append(run(c, insert))
        except (pymysql.Error, psycopg.Error) as error:
            outcome.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    time.sleep(1.0)
    if side.wire == "mysql":
        with contextlib.closing(side.connect()) as other:
            run(other, f"KILL QUERY {c.thread_id()}")
    else:
        c.cancel()
    thread.join(60)
    code = outcome[0].args[0] if side.wire == "mysql" else outcome[0].sqlstate
    assert code in (1317, "57014"), outcome
    assert rows(c, "SELECT COUNT(*) FROM many") == [(0,)] and rows(c, "SELECT COUNT(*) FROM orders") == [(1,)]


def begun(c, call, *args):
    """A call in a thread of its own; what comes of it."""
    outcome = []

    def go():
        try:
            outcome.append(call(c, *args))
        except (pymysql.Error, psycopg.Error) as error:
            outcome.append(error.sqlstate if isinstance(error, psycopg.Error) else error.args[0])

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread, outcome


def stop(side, c, user="root"):
    if side.wire == "mysql":
        with contextlib.closing(side.connect(user)) as other:
            run(other, f"KILL QUERY {c.thread_id()}")
    else:
        c.cancel_safe(timeout=10)


def waits_for(side, text):
    """Does the upstream do something of this text?"""
    if side.wire == "mysql":
        return side.hot(f"SELECT id FROM information_schema.processlist WHERE info LIKE '%{text}%' AND id <> CONNECTION_ID()")
    return side.hot(f"SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%' AND pid <> pg_backend_pid()")


@pytest.mark.parametrize("opened", [False, True])
def test_a_kill_reaches_what_the_upstream_does_for_a_statement_of_ours(side, c, opened):
    killed = {"mysql": 1317, "postgres": "57014"}[side.wire]
    if opened:
        run(c, "BEGIN", "INSERT INTO live VALUES (7, 'mine', 1)")
    # An INSERT that waits for somebody else's row.
    with contextlib.closing(side.direct(autocommit=False)) as holder, holder.cursor() as cursor:
        cursor.execute("INSERT INTO live VALUES (3, 'held', 1)")
        thread, outcome = begun(c, run, undo(side))
        assert eventually(lambda: waits_for(side, "INSERT INTO live"))
        began = time.monotonic()
        stop(side, c)
        thread.join(30)
        assert outcome == [killed] and time.monotonic() - began < 15, outcome
        holder.rollback()
    if opened and side.wire == "mysql":
        # What was there before the statement is there still, and nothing of the statement.
        assert rows(c, ALL) == [LAMP, (7, "mine", 1)]
    if opened:
        run(c, "ROLLBACK")
    assert rows(c, ALL) == [LAMP] and rows(c, "SELECT COUNT(*) FROM orders") == [(1,)]
    # Rows that take their time. In MySQL a SLEEP that is killed ends without an error, unless another row is to come.
    slow = "SLEEP(0.02) AS s FROM live, information_schema.collations AS a, information_schema.collations AS b"
    if side.wire == "postgres":
        slow = "CAST(pg_sleep(40) AS TEXT) AS s FROM live"
    side.hot("DROP VIEW IF EXISTS slow", f"CREATE VIEW slow AS SELECT live.id, {slow}")
    thread, outcome = begun(c, rows, "SELECT s.s FROM slow AS s JOIN orders AS o ON o.id = s.id")
    assert eventually(lambda: waits_for(side, "FROM slow"))
    began = time.monotonic()
    stop(side, c)
    thread.join(30)
    assert outcome == [killed] and time.monotonic() - began < 15, outcome
    assert rows(c, ALL) == [LAMP] and rows(c, "SELECT COUNT(*) FROM orders") == [(1,)]
    side.hot("DROP VIEW slow")


def test_an_upstream_that_cannot_tell_the_state_of_a_session_is_quoted(side, c):
    count = "SELECT COUNT(*) FROM orders"
    if side.wire == "postgres":
        run(c, "BEGIN")
        fails("22012", rows, c, "SELECT 1 / 0")
        fails("25P02", rows, c, count)
        run(c, "ROLLBACK")
    else:
        run(c, "XA START 'told'", "XA END 'told'")
        # XAER_RMFAIL: between the end of the work and its preparation MySQL's sessions answer nothing else; MariaDB's do.
        fails(1399, rows, c, count) if side.kind == "mysql" else rows(c, count)
        run(c, "XA ROLLBACK 'told'")
    assert rows(c, count) == [(1,)]


def test_a_limit_of_the_client_s_own_results_cuts_nothing_of_what_a_statement_of_ours_needs(side, c):
    if side.wire == "postgres":
        # It has no such setting.
        return
    side.hot("DROP TABLE IF EXISTS several", "CREATE TABLE several (id INT)", "INSERT INTO several VALUES (1), (1), (2), (3)")
    joined = "SELECT COUNT(*) FROM several AS s LEFT JOIN orders AS o ON o.id = s.id"
    for limit in (1, 0):
        run(c, "SET @wanted = 4", f"SET sql_select_limit = {limit}")
        fresh = side.connect()
        run(fresh, "SET @wanted = 4", f"SET sql_select_limit = {limit}")
        for connection in (c, fresh):
            assert rows(connection, joined) == [(4,)]
            assert rows(connection, "SELECT COUNT(*) + @wanted FROM orders") == [(5,)]
        fresh.close()
    run(c, "SET sql_select_limit = DEFAULT")
    side.hot("DROP TABLE several")


def test_only_who_may_at_the_upstream_kills_a_statement_of_ours(side, ann):
    if side.wire != "mysql":
        # There the key of a cancel request says who may.
        return
    slow = "SELECT SUM(t0.d * t39.d) FROM " + ", ".join(f"digits t{number}" for number in range(40))
    with contextlib.closing(side.connect()) as victim, contextlib.closing(side.connect()) as other:
        number = victim.thread_id()
        running = lambda: [row for row in rows(other, "SHOW FLASHGATE SESSIONS") if number in row and "SELECT" in row]
        thread, outcome = begun(victim, rows, slow)
        assert eventually(running)
        fails(1095, run, ann, f"KILL QUERY {number}")
        fails(1095, run, ann, f"KILL {number}")
        time.sleep(0.5)
        assert running() and thread.is_alive() and not outcome
        run(other, f"KILL QUERY {number}")
        thread.join(30)
        assert outcome == [1317]
        # Within a longer text.
        for text in ("KILL QUERY {}; SELECT COUNT(*) FROM orders; SELECT 2", "KILL QUERY {}; SELECT COUNT(*) FROM orders"):
            thread, outcome = begun(victim, rows, slow)
            assert eventually(running)
            with contextlib.closing(side.connect(client_flag=MULTI_STATEMENTS)) as several:
                with several.cursor() as cursor:
                    cursor.execute(text.format(number))
                    assert cursor.nextset() and cursor.fetchall() == ((1,),)
                assert rows(several, "SELECT 7") == [(7,)]
            thread.join(30)
            assert outcome == [1317]
        # The whole connection.
        thread, outcome = begun(victim, rows, slow)
        assert eventually(running)
        run(other, f"KILL {number}")
        thread.join(30)
        assert len(outcome) == 1 and outcome[0] in (1317, 2013, 2006, 1927), outcome
        fails(1094, run, other, f"KILL {number}")


def test_an_error_of_a_hot_table_s_rows_is_told_and_the_session_goes_on(side, c):
    # One that comes with the rows, not before them.
    wrong = "(SELECT 1 UNION SELECT live.id + 1)" if side.wire == "mysql" else "1 / (id - 1)"
    side.hot("DROP VIEW IF EXISTS wrong", f"CREATE VIEW wrong AS SELECT id, {wrong} AS w FROM live")
    for _ in range(3):
        for again in (False, True):
            with pytest.raises((pymysql.Error, psycopg.Error)):
                if again and side.wire == "postgres":
                    c.execute("SELECT w.w FROM wrong AS w JOIN orders AS o ON o.id = w.id", prepare=True)
                else:
                    rows(c, "SELECT w.w FROM wrong AS w JOIN orders AS o ON o.id = w.id")
            assert rows(c, ALL) == [LAMP] and rows(c, "SELECT COUNT(*) FROM orders") == [(1,)]
            assert rows(c, "SELECT l.id FROM live AS l JOIN orders AS o ON o.id = l.id") == [(1,)]
    side.hot("DROP VIEW wrong")


@pytest.mark.parametrize("opened", [False, True])
def test_an_upstream_that_goes_in_the_middle_takes_everything_with_it(side, c, opened):
    many(side)
    between = Forwarder((side.base.host, side.base.port))
    try:
        with gated(**{side.wire: between.text}) as running:
            other = Side(side.kind, side.base, running)
            with contextlib.closing(other.connect()) as maker:
                run(maker, "CREATE TABLE digits (d INT)" + side.cold, "INSERT INTO digits VALUES " + ", ".join(f"({d})" for d in range(10)))
            with contextlib.closing(other.connect()) as lost:
                outcome = []

                def go():
                    try:
                        if opened:
                            run(lost, "BEGIN", "INSERT INTO many VALUES (-1, 'first')")
                        outcome.append(run(lost, f"INSERT INTO many SELECT n, REPEAT('x', 250) FROM ({thousands(300000)}) AS t"))
                    except (pymysql.Error, psycopg.Error) as error:
                        outcome.append(error)

                thread = threading.Thread(target=go)
                thread.start()
                time.sleep(1.0)
                between.cut_all()
                thread.join(30)
                assert outcome and isinstance(outcome[0], Exception), outcome
            assert eventually(lambda: side.hot("SELECT COUNT(*) FROM many") == [(0,)], timeout=20)
            with contextlib.closing(other.connect()) as again:
                assert run(again, "INSERT INTO many SELECT d, 'y' FROM digits") == 10
    finally:
        between.close()


# --- both in one query -------------------------------------------------------------------------------------------------------

SEED = 20240611
QUERIES = [
    "SELECT h.id, h.k, c.name FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k",
    "SELECT h.id, c.id FROM hot_t AS h LEFT JOIN cold_t AS c ON c.id = h.k AND c.n > 50",
    "SELECT c.id, h.id FROM cold_t AS c LEFT JOIN hot_t AS h ON c.id = h.k AND h.amount < 500 WHERE c.n < 70",
    "SELECT COUNT(*) FROM hot_t AS h, cold_t AS c WHERE h.k = c.id",
    "SELECT COUNT(*) FROM hot_t AS h, cold_t AS c WHERE h.k < c.id AND c.id < 20",
    "SELECT id FROM cold_t WHERE id IN (SELECT k FROM hot_t WHERE amount > 100)",
    "SELECT id FROM cold_t AS c WHERE NOT EXISTS (SELECT 1 FROM hot_t AS h WHERE h.k = c.id)",
    "SELECT id FROM hot_t WHERE k NOT IN (SELECT id FROM cold_t WHERE n < 30)",
    "SELECT name FROM cold_t UNION SELECT name FROM hot_t",
    "SELECT id, name FROM cold_t WHERE id < 10 UNION ALL SELECT id, name FROM hot_t WHERE id < 10",
    "SELECT c.name, COUNT(*) AS m, SUM(h.amount) AS t FROM cold_t AS c JOIN hot_t AS h ON h.k = c.id GROUP BY c.name HAVING COUNT(*) > 1",
    "SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE h.day = c.day",
    "SELECT h.id, c.id FROM hot_t AS h JOIN cold_t AS c ON c.name = h.name WHERE h.id < 40",
    "SELECT h.id, c.n FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k ORDER BY h.id LIMIT 7",
    "SELECT id, (SELECT MAX(n) FROM cold_t) AS top FROM hot_t WHERE id BETWEEN 5 AND 9",
    "SELECT id, (SELECT COUNT(*) FROM hot_t WHERE name IS NULL) AS nameless FROM cold_t WHERE id IN (1, 2, 3)",
    "WITH w AS (SELECT k, SUM(amount) AS s FROM hot_t GROUP BY k) SELECT c.id, w.s FROM cold_t AS c JOIN w ON w.k = c.id WHERE c.n > 10",
    "SELECT a.id, b.id, c.id FROM hot_t AS a JOIN hot_t AS b ON b.k = a.k AND b.id > a.id JOIN cold_t AS c ON c.id = a.k WHERE a.id < 60",
    "SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE h.amount >= 250.50 AND h.day >= '2022-01-10' AND c.n > 5",
    "SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE h.name = 'Ann' OR h.name IS NULL",
    "SELECT h.id FROM hot_t h JOIN cold_t c ON c.id = h.k WHERE h.stamp > '2022-01-05 12:00:00' AND h.stamp <= '2022-01-25 00:00:00.5'",
    "SELECT * FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE h.id = 17",
    # Few keys on the cold side, which the hot one is asked for.
    "SELECT h.id, c.name FROM cold_t AS c JOIN hot_t AS h ON c.id = h.k WHERE c.n < 20",
    "SELECT h.id, c.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k AND c.day = h.day",
    "SELECT h.id, c.id FROM hot_t AS h JOIN cold_t AS c ON c.day = h.day WHERE c.id < 9",
    "SELECT h.id, c.id FROM hot_t AS h JOIN cold_t AS c ON c.n = h.amount OR c.id = h.k WHERE c.id < 9",
    "SELECT h.id, c.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.amount",
    "SELECT h.id, c.id FROM hot_t AS h RIGHT JOIN cold_t AS c ON c.id = h.k AND h.amount > 900",
    "SELECT h.id, c.id FROM cold_t AS c RIGHT JOIN hot_t AS h ON c.id = h.k AND c.n > 90",
    "SELECT id FROM hot_t WHERE k IN (SELECT id FROM cold_t WHERE n < 10)",
    "SELECT id FROM hot_t AS h WHERE EXISTS (SELECT 1 FROM cold_t AS c WHERE c.id = h.k AND c.n < h.amount AND c.n > 80)",
    "SELECT id FROM hot_t AS h WHERE NOT EXISTS (SELECT 1 FROM cold_t AS c WHERE c.id = h.k)",
    "SELECT id FROM cold_t WHERE id NOT IN (SELECT k FROM hot_t WHERE k IS NOT NULL)",
    "SELECT COUNT(*) FROM cold_t WHERE id NOT IN (SELECT k FROM hot_t)",
    "SELECT COUNT(*) FROM cold_t AS c JOIN hot_t AS h ON c.id = h.k WHERE c.n > 1000",
    "SELECT c.id, h.id FROM cold_t AS c LEFT JOIN hot_t AS h ON c.id = h.k WHERE c.n > 95 OR c.id = 0",
    "SELECT id, (SELECT COUNT(*) FROM hot_t AS h WHERE h.k = c.id) AS m FROM cold_t AS c WHERE n < 30",
    "SELECT h.id, c.top FROM (SELECT MAX(id) AS top FROM cold_t GROUP BY name) AS c JOIN hot_t AS h ON h.k = c.top",
    "SELECT h.id, c.id FROM (SELECT id FROM cold_t WHERE n < 9 UNION ALL SELECT id FROM cold_t WHERE n > 90) AS c JOIN hot_t AS h ON h.k = c.id",
    "SELECT h.id FROM (SELECT id, k FROM hot_t ORDER BY id LIMIT 50) AS h JOIN cold_t AS c ON c.id = h.k",
    "SELECT a.id, c.id, b.id FROM hot_t AS a JOIN cold_t AS c ON c.id = a.k JOIN hot_t AS b ON b.id = c.n WHERE a.id < 30",
    "SELECT a.id, b.id FROM hot_t AS a JOIN hot_t AS b ON b.k = a.k WHERE a.id IN (SELECT id FROM cold_t WHERE n < 20)",
    "SELECT h.id, c.id FROM (SELECT id, k + 1 AS k FROM hot_t) AS h JOIN cold_t AS c ON c.id = h.k WHERE c.n < 10",
    # An aggregate without groups gives a row even of no rows.
    "SELECT id FROM hot_t AS h WHERE EXISTS (SELECT COUNT(*) FROM cold_t AS c WHERE c.id = h.k)",
    "SELECT id FROM cold_t AS c WHERE 0 IN (SELECT COUNT(*) FROM hot_t AS h WHERE h.k = c.id)",
    "SELECT id FROM cold_t AS c WHERE EXISTS (SELECT 1 FROM hot_t AS h WHERE h.k = c.id HAVING COUNT(*) = 0)",
    "SELECT id, (SELECT 7 FROM hot_t AS h WHERE h.k = c.id HAVING COUNT(*) = 0) AS v FROM cold_t AS c",
    # Values of which one is taken have one type.
    "SELECT h.id, CASE WHEN c.n > 50 THEN c.n ELSE h.amount END * 2 AS v FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k",
    "SELECT SUM(CASE WHEN c.n > 50 THEN c.n ELSE h.amount END) AS v FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k",
    "SELECT id, x * 1.5 AS v FROM (SELECT id, n AS x FROM cold_t WHERE id < 5 UNION ALL SELECT id + 200, amount FROM hot_t WHERE id < 5) AS q",
    # Set operations that count.
    "SELECT n FROM cold_t EXCEPT ALL SELECT k FROM hot_t",
    "SELECT n FROM cold_t INTERSECT ALL SELECT k FROM hot_t",
    # Merged columns come first.
    "SELECT * FROM hot_t JOIN cold_t USING (id) WHERE id < 9",
    "SELECT * FROM cold_t RIGHT JOIN hot_t USING (name, id) WHERE id < 30",
    "SELECT * FROM hot_t NATURAL LEFT JOIN cold_t WHERE id < 20",
    "SELECT id, SUM(n) OVER (w ORDER BY id) AS s FROM cold_t JOIN hot_t USING (id) WINDOW w AS (PARTITION BY cold_t.day)",
    "SELECT c.id, h.n FROM cold_t AS c JOIN (SELECT k, COUNT(*) AS n FROM hot_t GROUP BY k) AS h ON h.k = c.id WHERE c.n < 30",
    # Subqueries whose value is needed before the keys are known.
    "SELECT h.id, c.id FROM cold_t AS c JOIN hot_t AS h ON h.k = c.id WHERE c.n > (SELECT AVG(n) FROM cold_t)",
    "SELECT h.id, c.id FROM cold_t AS c JOIN hot_t AS h ON h.k = c.id WHERE c.n < (SELECT AVG(amount) / 20 FROM hot_t WHERE k < 50)",
    "SELECT h.id, c.m FROM (SELECT id, n - (SELECT MIN(n) FROM cold_t) AS m FROM cold_t WHERE n < 20) AS c JOIN hot_t AS h ON h.k = c.id",
    "SELECT h.id FROM cold_t AS c JOIN hot_t AS h ON h.k = c.id WHERE c.n > (SELECT MAX(n) - 9 FROM cold_t WHERE id < (SELECT AVG(id) FROM hot_t))",
    "SELECT h.id FROM cold_t AS c JOIN hot_t AS h ON h.k = c.id WHERE c.id = (SELECT MIN(x.k) FROM hot_t AS x JOIN cold_t AS y ON y.id = x.k WHERE y.n > 50)",
    "SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE c.n > 50 UNION ALL SELECT id FROM cold_t WHERE n > (SELECT AVG(n) FROM cold_t)",
    # A join within the left side of one that is not by equality.
    "SELECT t.id, x.id FROM (SELECT h.id, c.n FROM cold_t AS c JOIN hot_t AS h ON h.k = c.id WHERE c.n < 20) AS t JOIN cold_t AS x ON x.n < t.n - 15",
    "WITH RECURSIVE r AS (SELECT id, k, 0 AS depth FROM hot_t WHERE id = 17 UNION ALL "
    "SELECT h.id, h.k, r.depth + 1 FROM r JOIN cold_t AS c ON c.id = r.k JOIN hot_t AS h ON h.id = c.n WHERE r.depth < 5) SELECT * FROM r",
]


@pytest.fixture(scope="module")
def twins(side):
    """`hot_t` is hot; `cold_t` is cold, and hot in the database behind under the name of `cold_twin`."""
    columns = "id INT, name VARCHAR(20), n INT, day DATE"
    stamp = "DATETIME(6)" if side.wire == "mysql" else "TIMESTAMP"
    hot = f"id INT PRIMARY KEY, k INT, name VARCHAR(20), amount DECIMAL(10,2), day DATE, stamp {stamp}"
    # Texts are compared by their bytes here.
    collation = " DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin" if side.wire == "mysql" else ""
    chance = random.Random(SEED)
    names = ["Ann", "Bob", "Łódź", "O'Neil", "x\\y", None]

    def text(value):
        return "NULL" if value is None else ("'" + str(value).replace("'", "''") + "'")

    def day():
        return f"2022-01-{chance.randint(1, 28):02}"

    cold_rows = [f"({i}, {text(chance.choice(names))}, {chance.randint(0, 99)}, {text(day())})" for i in range(100)]
    hot_rows = [
        f"({i}, {chance.choice(['NULL', chance.randint(0, 120)])}, {text(chance.choice(names))}, {chance.randint(0, 100000) / 100}, "
        f"{text(day())}, "
        f"{text(day() + f' {chance.randint(0, 23):02}:00:00.500000')})"
        for i in range(400)
    ]
    side.hot("DROP TABLE IF EXISTS hot_t", "DROP TABLE IF EXISTS cold_twin")
    side.hot(f"CREATE TABLE hot_t ({hot}){collation}", f"CREATE TABLE cold_twin ({columns}){collation}")
    with contextlib.closing(side.direct(**({"charset": "utf8mb4"} if side.wire == "mysql" else {}))) as direct:
        run(direct, f"INSERT INTO hot_t VALUES {', '.join(hot_rows)}", f"INSERT INTO cold_twin VALUES {', '.join(cold_rows)}")
    with contextlib.closing(side.connect()) as c:
        run(c, f"CREATE TABLE cold_t ({columns})" + side.cold, f"INSERT INTO cold_t VALUES {', '.join(cold_rows)}")
    return side


def in_order(found):
    return sorted(found, key=repr)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_over_both_gives_what_the_database_gives_with_all_in_it(twins, c, query):
    with contextlib.closing(twins.direct(**({"charset": "utf8mb4"} if twins.wire == "mysql" else {}))) as direct:
        want = rows(direct, query.replace("cold_t", "cold_twin"))
    got = rows(c, query)
    assert in_order(got) == in_order(want), SEED
    assert want, "a query without rows proves nothing"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT COUNT(*) AS n FROM cold_t UNION ALL SELECT COUNT(*) FROM hot_t UNION ALL SELECT 1",
        "SELECT n FROM (SELECT MAX(id) AS n FROM cold_t UNION ALL SELECT MAX(id) FROM hot_t UNION ALL SELECT 5) AS q LIMIT 2",
    ],
)
def test_the_branches_of_a_union_come_in_the_order_in_which_they_are_written(twins, c, query):
    with contextlib.closing(twins.direct()) as direct:
        assert rows(c, query) == rows(direct, query.replace("cold_t", "cold_twin"))


def test_long_keys_are_no_condition_that_the_upstream_does_not_take(side, c):
    """A server closes the connection over a statement that is longer than its max_allowed_packet, and the transaction is gone."""
    keys, length = 600, 1200
    run(c, "DROP TABLE IF EXISTS lengthy", "CREATE TABLE lengthy (id INT, url TEXT)" + side.cold)
    with c.cursor() as cursor:
        cursor.executemany("INSERT INTO lengthy VALUES (%s, %s)", [(i, f"{i:05}" + "u" * length) for i in range(keys)])
    hot = ", ".join(f"({i}, CONCAT('{i:05}', REPEAT('u', {length})))" for i in range(0, keys, 7))
    side.hot("DROP TABLE IF EXISTS lengthy_hot", "CREATE TABLE lengthy_hot (id INT, url TEXT)", f"INSERT INTO lengthy_hot VALUES {hot}")
    usual = side.hot("SELECT @@max_allowed_packet")[0][0] if side.wire == "mysql" else None
    try:
        if usual:
            side.hot(f"SET GLOBAL max_allowed_packet = {1 << 20}")
        with contextlib.closing(side.connect()) as fresh:
            run(fresh, "BEGIN", "INSERT INTO live VALUES (70, 'mine', 1)")
            for few in (False, True):
                joined = "FROM lengthy AS c JOIN lengthy_hot AS h ON h.url = c.url" + (" WHERE c.id < 9" if few else "")
                found = sorted(rows(fresh, f"SELECT h.id {joined}"))
                assert found == [(i,) for i in range(0, 9 if few else keys, 7)]
                asked = [str(row) for row in rows(fresh, f"EXPLAIN ANALYZE SELECT h.id {joined}") if "HotScan" in str(row)]
                assert len(asked) == 1 and (" IN (" in asked[0]) is few, asked[0][:200]
            assert rows(fresh, "SELECT id FROM live WHERE id = 70") == [(70,)], "the transaction is as it was"
            run(fresh, "ROLLBACK")
    finally:
        if usual:
            side.hot(f"SET GLOBAL max_allowed_packet = {usual}")
    run(c, "DROP TABLE lengthy")
    side.hot("DROP TABLE lengthy_hot")


def test_a_prepared_limit_decides_whether_an_aggregate_gives_its_row(twins, c):
    query = "SELECT id FROM cold_t AS c WHERE EXISTS (SELECT COUNT(*) FROM hot_t AS h WHERE h.k = c.id + {0} LIMIT {0})"
    for limit, count in ((0, 0), (1, 100)):
        if twins.wire == "postgres":
            assert len(c.execute(query.replace("{0}", "%s"), (limit, limit), prepare=True).fetchall()) == count
            continue
        with prepared(twins) as p, p.cursor(prepared=True) as cursor:
            cursor.execute(query.replace("{0}", "?"), (limit, limit))
            assert len(cursor.fetchall()) == count


def test_prepared_queries_over_both(twins, c):
    query = "SELECT h.id, c.name FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE h.amount > {0} AND c.n < {0} ORDER BY h.id"
    if twins.wire == "postgres":
        for amount, n in ((100, 50), (900.5, 10)):
            want = twins.hot(query.replace("cold_t", "cold_twin").replace("{0}", str(amount), 1).replace("{0}", str(n)))
            for prepare, binary in ((True, False), (False, True)):
                assert c.execute(query.replace("{0}", "%s"), (amount, n), prepare=prepare, binary=binary).fetchall() == want
        return
    with prepared(twins) as p:
        with p.cursor(prepared=True) as cursor:
            for amount, n in ((100, 50), (900, 10)):
                cursor.execute(query.replace("{0}", "?"), (amount, n))
                got = cursor.fetchall()
                assert got == rows(c, query.replace("cold_t", "cold_twin").replace("{0}", str(amount), 1).replace("{0}", str(n)))


def test_the_upstream_is_asked_for_no_more_than_is_needed(twins, c):
    wanted = "h.amount > 10.5 AND h.id IN (1, 2, 3, 4) AND h.name = 'Ann'"
    lines = rows(c, f"EXPLAIN SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE {wanted}")
    text = "\n".join(" ".join(str(cell) for cell in line) for line in lines)
    (sent,) = [line for line in text.splitlines() if "upstream" in line and "SELECT" in line and "HotScan" not in line]
    assert "amount" in sent.split("WHERE")[1] and "IN (1, 2, 3, 4)" in sent and "name" in sent.split("WHERE")[1], sent
    assert "day" not in sent and "stamp" not in sent, sent
    assert "ColdScan" in text and "HotScan" in text
    # A plan asks for no rows.
    if twins.wire == "mysql":
        before = dict(rows(c, "SHOW SESSION STATUS LIKE 'Com_select'"))["Com_select"]
        rows(c, "EXPLAIN SELECT COUNT(*) FROM hot_t JOIN cold_t ON cold_t.id = hot_t.k")
        after = dict(rows(c, "SHOW SESSION STATUS LIKE 'Com_select'"))["Com_select"]
        assert int(after) - int(before) <= 2


def asked(c, query):
    """What the upstream was asked for by a query that ran, and how many rows came of each hot table."""
    lines = [" ".join(str(cell) for cell in line) for line in rows(c, f"EXPLAIN ANALYZE {query}")]
    # MySQL has a column for the kind of a line, PostgreSQL a text in front of it.
    sent = [line.split("upstream", 1)[1].lstrip(": ") for line in lines if "upstream" in line and "HotScan" not in line]
    return sent, "\n".join(lines)


def test_a_join_with_few_rows_asks_for_their_partners_only(twins, c):
    by_key = "SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k WHERE c.id IN (3, 5)"
    for query in (
        by_key,
        "SELECT h.id FROM cold_t AS c LEFT JOIN hot_t AS h ON c.id = h.k WHERE c.id IN (3, 5)",
        "SELECT id FROM hot_t WHERE k IN (SELECT id FROM cold_t WHERE id > 2 AND id < 6 AND id <> 4)",
        "SELECT id FROM cold_t AS c WHERE id IN (3, 5) AND NOT EXISTS (SELECT 1 FROM hot_t AS h WHERE h.k = c.id)",
    ):
        (sent,), _ = asked(c, query)
        assert "IN (3, 5)" in sent, (query, sent)
    (sent,), _ = asked(c, "SELECT h.id FROM hot_t AS h JOIN cold_t AS c ON c.id = h.k AND c.day = h.day WHERE c.id IN (3, 5) AND h.amount > 1")
    assert "IN (3, 5)" in sent and "IN (DATE '2022-01-" in sent and "amount" in sent, sent
    # Where a row without a partner counts, all of them are needed.
    for query in ("SELECT h.id FROM hot_t AS h LEFT JOIN cold_t AS c ON c.id = h.k AND c.id IN (3, 5)",
                  "SELECT id FROM hot_t AS h WHERE NOT EXISTS (SELECT 1 FROM cold_t AS c WHERE c.id = h.k AND c.id IN (3, 5))"):
        (sent,), _ = asked(c, query)
        assert "WHERE" not in sent, (query, sent)
    # A hot table narrows another.
    sent, _ = asked(c, "SELECT b.id FROM hot_t AS a JOIN hot_t AS b ON b.id = a.k JOIN cold_t AS c ON c.id = b.id WHERE a.id = 17")
    (k,) = twins.hot("SELECT k FROM hot_t WHERE id = 17")[0]
    assert len(sent) == 2 and any(f"IN ({k})" in one for one in sent), sent


def test_nothing_is_asked_for_where_nothing_can_match(twins, c):
    query = "SELECT COUNT(*) FROM cold_t AS c JOIN hot_t AS h ON c.id = h.k WHERE c.n > 1000"
    assert rows(c, query) == [(0,)]
    if twins.wire == "mysql":
        count = lambda: int(dict(rows(c, "SHOW SESSION STATUS LIKE 'Handler_read_rnd_next'"))["Handler_read_rnd_next"])
        before = count()
        rows(c, query.replace("> 1000", ">= 0"))
        with_rows = count() - before
        before = count()
        rows(c, query)
        # The table's rows are not looked at.
        assert with_rows - (count() - before) > 300


def test_many_keys_narrow_by_their_range_and_very_many_not_at_all(side, c):
    side.hot("DROP TABLE IF EXISTS wide_range", "CREATE TABLE wide_range (id INT PRIMARY KEY, pad VARCHAR(20))")
    run(c, f"INSERT INTO wide_range SELECT n, 'x' FROM ({thousands(20000)}) AS t")
    run(c, "CREATE TABLE spread (id INT)" + side.cold, f"INSERT INTO spread SELECT n + 5000 FROM ({thousands(3000)}) AS t")
    query = "SELECT COUNT(*), MIN(w.id), MAX(w.id) FROM spread AS s JOIN wide_range AS w ON w.id = s.id"
    (sent,), _ = asked(c, query)
    assert ">= 5000" in sent and "<= 7999" in sent, sent
    assert rows(c, query) == [(3000, 5000, 7999)]
    # What was read before it was too much is not lost, nor there twice.
    run(c, f"INSERT INTO spread SELECT n + 100000 FROM ({thousands(200000)}) AS t")
    (sent,), plan = asked(c, query)
    assert "WHERE" not in sent and "and the rest" in plan, (sent, plan)
    assert rows(c, query) == [(3000, 5000, 7999)]
    assert rows(c, "SELECT COUNT(*), SUM(s.id) FROM spread AS s LEFT JOIN wide_range AS w ON w.id = s.id") == [
        (203000, sum(range(5000, 8000)) + sum(range(100000, 300000)))]
    assert rows(c, "SELECT COUNT(*) FROM spread AS s JOIN wide_range AS w ON w.id = s.id LIMIT 1") == [(3000,)]
    run(c, "DROP TABLE spread")
    side.hot("DROP TABLE wide_range")


def test_keys_that_the_hot_column_cannot_hold_match_nothing(side, c):
    kind = "VARCHAR(20) CHARACTER SET latin1" if side.wire == "mysql" else "VARCHAR(20)"
    side.hot("DROP TABLE IF EXISTS narrow", f"CREATE TABLE narrow (id SMALLINT, name {kind}, flag BOOLEAN)", "INSERT INTO narrow VALUES (1, 'one', TRUE)")
    run(c, "CREATE TABLE odd (id BIGINT, name VARCHAR(20))" + side.cold)
    run(c, "INSERT INTO odd VALUES (1, 'one'), (9000000000000000000, 'Łódź'), (-70000, ''), (NULL, NULL)")
    assert rows(c, "SELECT n.id FROM odd AS o JOIN narrow AS n ON n.id = o.id") == [(1,)]
    assert rows(c, "SELECT n.id FROM odd AS o JOIN narrow AS n ON n.name = o.name") == [(1,)]
    assert rows(c, "SELECT o.id FROM odd AS o LEFT JOIN narrow AS n ON n.id = o.id AND n.name = o.name WHERE n.id IS NULL AND o.id < 0") == [(-70000,)]
    run(c, "DROP TABLE odd")
    side.hot("DROP TABLE narrow")


def test_the_clients_own_transaction_is_what_is_read(side, c):
    joined = "SELECT o.id FROM orders AS o LEFT JOIN live AS l ON l.id = o.id WHERE l.id IS NULL ORDER BY o.id"
    joined += f" AS OF TIMESTAMP '{side.then}'"
    assert rows(c, joined) == [(2,), (3,)]
    run(c, "BEGIN", "INSERT INTO live VALUES (2, 'mine', 1)")
    assert rows(c, joined) == [(3,)]
    with contextlib.closing(side.connect()) as other:
        assert rows(other, joined) == [(2,), (3,)]
    run(c, "ROLLBACK")
    assert rows(c, joined) == [(2,), (3,)]


def test_only_what_is_missing_is_inserted(side, c):
    side.hot("INSERT INTO live VALUES (3, 'kept', 1)")
    missing = "INSERT INTO live SELECT o.* FROM orders AS o LEFT JOIN live AS l ON l.id = o.id WHERE l.id IS NULL"
    missing += f" AS OF TIMESTAMP '{side.then}'"
    assert run(c, missing) == 1
    assert rows(c, ALL) == [LAMP, LOST[0], (3, "kept", 1)]
    assert run(c, missing) == 0
    run(c, "BEGIN", "DELETE FROM live")
    assert run(c, missing) == 3
    run(c, "ROLLBACK")
    assert side.hot(ALL) == [LAMP, LOST[0], (3, "kept", 1)]


def test_rows_of_hot_tables_go_into_cold_ones_outside_of_a_transaction(side, c):
    run(c, "CREATE TABLE IF NOT EXISTS attic (id INT, item VARCHAR(40), amount DECIMAL(10,2))" + side.cold, "DELETE FROM attic")
    assert run(c, "INSERT INTO attic SELECT * FROM live") == 1
    assert rows(c, "SELECT * FROM attic") == [LAMP]
    with c.cursor() as cursor:
        cursor.execute("INSERT INTO attic SELECT id + %s, item, amount FROM live", (10,))
    assert rows(c, "SELECT id FROM attic ORDER BY id") == [(1,), (11,)]
    run(c, "CREATE TABLE attic2" + side.cold + " AS SELECT l.id, l.item FROM live AS l JOIN attic AS a ON a.id = l.id")
    assert rows(c, "SELECT * FROM attic2") == [(1, "lamp")]
    run(c, "DROP TABLE attic2", "BEGIN", "DELETE FROM live")
    error = side.fails({"mysql": 1290, "postgres": "55000"}, run, c, "INSERT INTO attic SELECT * FROM live")
    assert "COMMIT" in str(error)
    run(c, "ROLLBACK")
    assert side.hot(ALL) == [LAMP]


def test_what_cannot_be_done_says_what_can(side, c):
    for statement in (
        "UPDATE live SET amount = 0 WHERE id IN (SELECT id FROM orders)",
        "DELETE FROM live WHERE id IN (SELECT id FROM orders)",
        "UPDATE orders SET amount = 0 WHERE id IN (SELECT id FROM live)",
        "DELETE FROM orders WHERE id IN (SELECT id FROM live)",
    ):
        error = side.fails(REFUSED, run, c, statement)
        hint = error.diag.message_hint if side.wire == "postgres" else str(error)
        assert "INSERT the rows of the cold table into a hot table first" in hint, error
    past = f"SELECT * FROM orders JOIN live AS OF TIMESTAMP '{side.then}' ON live.id = orders.id"
    side.fails({"mysql": 1290, "postgres": "55000"}, rows, c, past)
    side.fails(REFUSED, rows, c, "SELECT * FROM orders JOIN live ON live.id = orders.id FOR UPDATE")
    side.fails(REFUSED, run, c, "CREATE VIEW both_of_them AS SELECT live.id FROM orders JOIN live ON live.id = orders.id")
    side.fails({"mysql": 1054, "postgres": "42703"}, rows, c, "SELECT live.absent FROM orders JOIN live ON live.id = orders.id")
    side.fails({"mysql": 1146, "postgres": "42P01"}, rows, c, "SELECT * FROM orders JOIN absent ON absent.id = orders.id")
    assert rows(c, "SELECT orders.id FROM orders JOIN live ON live.id = orders.id") == [(1,)]


def test_a_hot_table_needs_the_users_own_rights(side, c, ann):
    query = "SELECT live.id FROM orders JOIN live ON live.id = orders.id"
    denied = {"mysql": 1142, "postgres": "42501"}
    side.fails(denied, rows, ann, query)
    run(c, "GRANT SELECT ON COLD TABLE orders TO ann")
    assert rows(ann, query) == [(1,)]
    side.hot("DROP TABLE IF EXISTS secret", "CREATE TABLE secret (id INT)", "INSERT INTO secret VALUES (1)")
    if side.wire == "mysql":
        side.hot("REVOKE SELECT ON hot.* FROM ann@'%'", "GRANT SELECT ON hot.live TO ann@'%'")
        # Rights on a database are looked at when it comes into use.
        run(ann, "USE hot")
    error = side.fails(denied, rows, ann, query.replace("live", "secret"))
    assert "secret" in str(error)
    assert side.wire == "mysql" or "GRANT" not in str(error)


def test_every_type_of_a_hot_table_is_read(side, c):
    columns, data = (MYSQL_COLUMNS, MYSQL_ROWS) if side.wire == "mysql" else (POSTGRES_COLUMNS, POSTGRES_ROWS)
    hot = {name: "CHAR(36)" if ty == "UUID" and side.wire == "mysql" else ty for name, ty in columns.items()}
    defined = ", ".join(f"{name} {ty}" + ("" if "NOT NULL" in ty or side.wire == "postgres" else " NULL") for name, ty in hot.items())
    charset = " DEFAULT CHARSET=utf8mb4" if side.wire == "mysql" else ""
    side.hot("DROP TABLE IF EXISTS kinds_read", f"CREATE TABLE kinds_read ({defined}){charset}")
    run(c, "CREATE TABLE IF NOT EXISTS three (id BIGINT)" + side.cold, "DELETE FROM three", "INSERT INTO three VALUES (1), (2), (3)")
    with contextlib.closing(side.direct(**({"charset": "utf8mb4"} if side.wire == "mysql" else {}))) as direct:
        with direct.cursor() as cursor:
            if side.wire == "mysql":
                cursor.execute("SET time_zone = '+00:00'")
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO kinds_read VALUES ({places})", [tuple(row[name] for name in columns) for row in data])
        query = "SELECT k.* FROM kinds_read AS k JOIN {} AS t ON t.id = k.id ORDER BY k.id"
        if side.wire == "mysql":
            # Whatever the client's own character set can hold.
            run(c, "SET time_zone = '+00:00'")
        got = rows(c, query.format("three"))
        want = rows(direct, "SELECT * FROM kinds_read ORDER BY id")
        names = list(columns)
        assert_rows([dict(zip(names, row)) for row in got], [dict(zip(names, row)) for row in want])
        # And on to a cold table.
        run(c, f"CREATE TABLE IF NOT EXISTS kinds_cold ({definitions(columns)})" + side.cold, "DELETE FROM kinds_cold")
        assert run(c, "INSERT INTO kinds_cold SELECT k.* FROM kinds_read AS k JOIN three AS t ON t.id = k.id") == 3
        got = rows(c, "SELECT * FROM kinds_cold ORDER BY id")
        assert_rows([dict(zip(names, row)) for row in got], [dict(zip(names, row)) for row in want])


def test_a_hot_table_that_does_not_fit_in_memory_goes_to_disk_as_far_as_it_may(side):
    side.hot("DROP TABLE IF EXISTS wide", "CREATE TABLE wide (id INT, pad TEXT)")
    if side.wire == "postgres":
        side.hot("INSERT INTO wide SELECT n, repeat('x', 1000) FROM generate_series(1, 65536) AS n")
    else:
        side.hot("INSERT INTO wide SELECT 1, REPEAT('x', 1000)", *["INSERT INTO wide SELECT id, pad FROM wide"] * 16)
    query = "SELECT COUNT(*), MAX(wide.pad) FROM wide LEFT JOIN one ON one.id = wide.id"
    for spill, answers in (("1GiB", True), ("8MiB", False)):
        env = {"FLASHGATE_LIMITS_ENGINE_MEMORY": "32MiB", "FLASHGATE_LIMITS_SPILL_BYTES": spill}
        with gated(**{side.wire: side.base}, env=env) as running:
            small = Side(side.kind, side.base, running)
            with contextlib.closing(small.connect()) as c:
                run(c, "CREATE TABLE one (id INT)" + side.cold, "INSERT INTO one VALUES (1)")
                for _ in range(2):
                    if answers:
                        assert rows(c, query) == [(65536, "x" * 1000)]
                    else:
                        small.fails({"mysql": 1041, "postgres": "53200"}, rows, c, query)
                # What is not needed is not fetched.
                assert rows(c, "SELECT COUNT(*) > 0 FROM wide JOIN one ON one.id = wide.id WHERE wide.id = 1")[0][0]
                assert rows(c, "SELECT id FROM one") == [(1,)]
    side.hot("DROP TABLE wide")
