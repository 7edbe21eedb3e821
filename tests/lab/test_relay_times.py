"""Times and time limits of statements over cold tables in front of each database: where a time comes from a variable of the upstream's
session, where a table's history begins, and what ends a statement that takes too long."""

import time

import pytest

from relay import mysql as wire
from test_concurrency import fails
from test_relay_mysql import Raw
from test_relay_transactions import SIDES, Side
from upstreams import gated, upstream
from wires import now, rows, run

TOO_OLD = {True: 8055, False: "72000"}
TOO_NEW = {True: 1412, False: "40001"}
TIMEOUT = {True: 3024, False: "57014"}


@pytest.fixture(scope="module", params=SIDES)
def side(request):
    """A cold table `c` that was made after `early`, was empty at `then` and has one row."""
    base = upstream(request.param)
    with gated(**{"postgres" if request.param == "postgres" else "mysql": base}) as gate:
        side = Side(request.param, gate)
        side.base = base
        side.engine = "ENGINE='OSS'" if side.mysql else "WITH (engine='OSS')"
        with side.connect() as c:
            side.early = now(c)
            run(c, f"CREATE TABLE c (id INT) {side.engine}")
            side.then = now(c)
            run(c, "INSERT INTO c VALUES (1)")
        yield side


@pytest.fixture
def c(side):
    with side.connect() as connection:
        yield connection


def only(side, *names):
    if side.name not in names:
        pytest.skip(f"not of {side.name}")


# --- times in variables --------------------------------------------------------------------------------------------------------


def test_a_time_in_a_user_variable_is_read_when_the_statement_runs(side, c):
    only(side, "mariadb", "mysql")
    of = "SELECT COUNT(*) FROM c WHERE id > 0 AS OF TIMESTAMP @t"
    for set_, count in ((f"SET @t = '{side.then}'", 0), ("SET @t = NOW(6)", 1), (f"SELECT '{side.then}' INTO @t", 0)):
        run(c, set_)
        time.sleep(0.003)
        for text in (of, of.replace("TIMESTAMP ", ""), "SELECT COUNT(*) FROM c AS OF TIMESTAMP @`t` AS was", f"{of} LIMIT 5"):
            assert rows(c, text) == [(count,)], (set_, text)
    run(c, f"SET @t = '{side.early}'")
    fails(8055, rows, c, of)
    run(c, "SET @t = NULL")
    assert "@t is NULL" in str(fails(1210, rows, c, of))
    run(c, "SET @n = 6950043395293184000")
    fails(8055, rows, c, "SELECT * FROM c WHERE id > 0 AS OF TSO @n")


def test_statements_of_every_kind_take_a_user_variable_as_their_time(side, c):
    only(side, "mariadb", "mysql")
    run(c, f"SET @t = '{side.then}'")
    run(c, f"CREATE TABLE made {side.engine} AS SELECT id FROM c WHERE id > 0 AS OF TIMESTAMP @t")
    assert run(c, "INSERT INTO made SELECT id FROM c WHERE id > 0 AS OF TIMESTAMP @t") == 0
    run(c, "INSERT INTO made VALUES (1)")
    assert run(c, "DELETE FROM made WHERE id IN (SELECT id FROM c AS OF TIMESTAMP @t)") == 0
    assert run(c, "UPDATE made SET id = 2 WHERE id NOT IN (SELECT id FROM c AS OF TIMESTAMP @t)") == 1
    # Into a hot table, and beside one.
    assert run(c, "INSERT INTO h SELECT id + 100 FROM c WHERE id > 0 AS OF TIMESTAMP @t") == 0
    assert rows(c, "SELECT h.id, c.id FROM h LEFT JOIN c ON c.id = h.id WHERE h.id = 1 AS OF TIMESTAMP @t") == [(1, None)]
    run(c, "START TRANSACTION READ ONLY AS OF TIMESTAMP @t")
    assert rows(c, "SELECT COUNT(*) FROM c") == [(0,)]
    run(c, "COMMIT", "SET flashback_read_time = @t")
    assert rows(c, "SELECT COUNT(*) FROM c") == [(0,)]
    run(c, "SET flashback_read_time = DEFAULT")
    assert rows(c, "SHOW FILES FROM c AS OF TIMESTAMP @t") == []
    assert any("statement clause" in str(row) for row in rows(c, "EXPLAIN SELECT * FROM c WHERE id > 0 AS OF TIMESTAMP @t"))
    rows(c, "ALTER FILESTORAGE OSS AS OF TIMESTAMP @t PREVIEW")
    rows(c, "ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP @t PREVIEW")
    assert rows(c, "ALTER TABLE made PURGE BEFORE TIMESTAMP @t PREVIEW")
    run(c, "PREPARE s FROM 'SELECT COUNT(*) FROM c WHERE id > 0 AS OF TIMESTAMP @t'")
    assert rows(c, "EXECUTE s") == [(0,)]
    run(c, "SET @t = NOW(6)")
    assert rows(c, "EXECUTE s") == [(1,)]
    run(c, "DROP TABLE made")


def test_a_prepared_statement_reads_its_time_from_the_variable_at_each_execution(side):
    only(side, "mariadb", "mysql")
    session = Raw(side.gate.mysql)
    number = session.prepare("SELECT id FROM c WHERE id > 0 AS OF TIMESTAMP @t")
    counts = []
    for value in (f"'{side.then}'", "NOW(6)", f"'{side.then}'"):
        session._step(wire.Step([wire.Command(f"\x03SET @t = {value}".encode())]))
        time.sleep(0.003)
        packets = session.execute(number)
        # A row of the binary protocol begins with a zero and its map of NULLs.
        counts.append(sum(packet[:1] == b"\0" and len(packet) == 6 for packet in packets))
    assert counts == [0, 1, 0]
    session.stream.close()


def test_a_setting_of_the_upstream_is_refused_as_a_time_and_a_parameter_taken(side, c):
    only(side, "postgres")
    run(c, f"SET my.past = '{side.then}'")
    fails("0A000", rows, c, "SELECT * FROM c AS OF TIMESTAMP current_setting('my.past')::timestamptz")
    with side.connect() as prepared:
        for at, count in ((side.then, 0), (now(c), 1)):
            for prepare in (False, True):
                assert prepared.execute("SELECT COUNT(*) FROM c WHERE id > 0 AS OF TIMESTAMP %s::timestamp", (at,), prepare=prepare).fetchall() == [(count,)]


# --- where a history begins ----------------------------------------------------------------------------------------------------


def test_a_time_before_a_table_was_made_is_an_error_that_names_the_moment(side, c):
    for text in (f"SELECT * FROM c AS OF TIMESTAMP '{side.early}'", f"SELECT h.id FROM h LEFT JOIN c ON c.id = h.id WHERE h.id = 1 AS OF TIMESTAMP '{side.early}'"):
        assert "begins at" in str(fails(TOO_OLD[side.mysql], rows, c, text))
    assert rows(c, f"SELECT * FROM c AS OF TIMESTAMP '{side.then}'") == []


def test_a_transaction_that_reads_at_one_time_does_not_read_a_table_made_since_as_empty(side, c):
    with side.connect() as other:
        for level, error in (("REPEATABLE READ", True), ("READ COMMITTED", False)):
            side.begin(c, level)
            assert rows(c, "SELECT COUNT(*) FROM c") == [(1,)]
            run(other, f"CREATE TABLE since (id INT) {side.engine}", "INSERT INTO since VALUES (1)")
            if error:
                fails(TOO_NEW[side.mysql], rows, c, "SELECT * FROM since")
            else:
                assert rows(c, "SELECT * FROM since") == [(1,)]
            run(c, "ROLLBACK")
            assert rows(c, "SELECT * FROM since") == [(1,)]
            run(other, "DROP TABLE since")


# --- time limits ---------------------------------------------------------------------------------------------------------------


def slow(side, hint=""):
    return f"SELECT {hint} {'SLEEP' if side.mysql else 'pg_sleep'}(30) FROM c"


def stopped(side, call, *args):
    began = time.monotonic()
    fails(TIMEOUT[side.mysql], call, *args)
    assert time.monotonic() - began < 20


def test_the_limit_of_the_upstreams_session_ends_a_cold_statement(side, c):
    limit = {"mariadb": "SET max_statement_time = 0.2", "mysql": "SET max_execution_time = 200", "postgres": "SET statement_timeout = 200"}[side.name]
    run(c, limit)
    stopped(side, rows, c, slow(side))
    if side.mysql:
        run(c, f"PREPARE s FROM '{slow(side)}'")
        stopped(side, rows, c, "EXECUTE s")
    else:
        stopped(side, lambda: c.execute(slow(side), prepare=True))
    run(c, limit.split("=")[0] + "= 0")
    assert rows(c, "SELECT COUNT(*) FROM c") == [(1,)]


def test_the_limit_that_a_role_begins_with_holds(side):
    only(side, "mariadb", "postgres")
    if side.name == "mariadb":
        side.base.sql("SET GLOBAL max_statement_time = 0.2")
    else:
        with side.base.connect(dbname="hot") as admin:
            admin.execute("ALTER DATABASE hot SET statement_timeout = 200")
    try:
        with side.connect() as c:
            stopped(side, rows, c, slow(side))
    finally:
        if side.name == "mariadb":
            side.base.sql("SET GLOBAL max_statement_time = 0")
        else:
            with side.base.connect(dbname="hot") as admin:
                admin.execute("ALTER DATABASE hot RESET statement_timeout")


def test_set_local_limits_the_statements_of_its_transaction(side, c):
    only(side, "postgres")
    run(c, "BEGIN", "SET LOCAL statement_timeout = 200")
    stopped(side, rows, c, slow(side))
    run(c, "ROLLBACK", "BEGIN", "SET LOCAL statement_timeout = 200", f"DECLARE k CURSOR FOR {slow(side)}")
    stopped(side, rows, c, "FETCH ALL IN k")
    run(c, "ROLLBACK")
    assert rows(c, "SELECT COUNT(*) FROM c") == [(1,)]


def test_a_hint_limits_its_query(side, c):
    only(side, "mariadb", "mysql")
    stopped(side, rows, c, slow(side, "/*+ MAX_EXECUTION_TIME(200) */"))
    session = Raw(side.gate.mysql)
    number = session.prepare(slow(side, "/*+ MAX_EXECUTION_TIME(200) */"))
    assert session.execute(number)[-1][:3] == b"\xff" + (3024).to_bytes(2, "little")
    session.stream.close()


def test_set_statement_holds_for_its_statement(side, c):
    only(side, "mariadb")
    stopped(side, rows, c, f"SET STATEMENT max_statement_time=0.2 FOR {slow(side)}")
    run(c, f"PREPARE s FROM 'SET STATEMENT max_statement_time=0.2 FOR {slow(side)}'")
    stopped(side, rows, c, "EXECUTE s")
    zone = "SELECT CAST(FROM_UNIXTIME(0) AS CHAR) FROM c"
    (before,) = rows(c, zone)
    assert rows(c, f"SET STATEMENT time_zone='+05:00' FOR {zone}") == [("1970-01-01 05:00:00",)]
    assert rows(c, zone) == [before] and rows(c, f"SET STATEMENT time_zone='+05:00' FOR {zone.replace('FROM c', 'FROM h')}") == [("1970-01-01 05:00:00",)]
    # What only the upstream knows is its own for hot tables, and refused for cold ones.
    assert rows(c, "SET STATEMENT optimizer_use_condition_selectivity=1 FOR SELECT COUNT(*) FROM h") == [(1,)]
    fails(1235, rows, c, "SET STATEMENT optimizer_use_condition_selectivity=1 FOR SELECT COUNT(*) FROM c")
    fails(1235, rows, c, "SET STATEMENT sql_mode='' FOR SELECT COUNT(*) FROM c")
    fails(1235, rows, c, "SET STATEMENT time_zone='+05:00' FOR SELECT h.id FROM h JOIN c ON c.id = h.id")
    assert rows(c, "SET STATEMENT max_statement_time=60 FOR SELECT h.id FROM h JOIN c ON c.id = h.id") == [(1,)]
