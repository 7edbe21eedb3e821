"""A query of ours is planned while the upstream is still asked how the session stands. What the answer changes must count, whatever
was planned; and where nothing has changed the plan must be used, or all of this would be for nothing."""

import mysql.connector
import pytest

from conftest import eventually
from test_concurrency import fails
from test_limits import metrics
from test_relay_mysql import connect as mysql_connect
from test_relay_postgres import connect as postgres_connect
from test_relay_transactions import SIDES
from upstreams import gated, upstream
from wires import now, rows, run

# Another table of that name, in a schema of its own.
ELSEWHERE = [
    "DROP SCHEMA IF EXISTS elsewhere CASCADE",
    "CREATE SCHEMA elsewhere",
    "CREATE TABLE elsewhere.c (id INT)",
    "INSERT INTO elsewhere.c VALUES (99)",
]


class Side:
    """Flashgate in front of one database, with cold table `c` of one row."""

    def __init__(self, name, gate):
        self.name, self.gate, self.mysql = name, gate, name != "postgres"
        self.engine = "ENGINE='OSS'" if self.mysql else "WITH (engine='OSS')"

    def connect(self, **more):
        # Nothing is prepared unasked: every statement is then one question at most.
        return mysql_connect(self.gate, **more) if self.mysql else postgres_connect(self.gate, **{"prepare_threshold": None, **more})

    def plans(self, outcome):
        label = frozenset({"protocol": "mysql" if self.mysql else "postgres", "outcome": outcome}.items())
        return metrics(self.gate).get(("flashgate_plans_ahead_total", label), 0)


@pytest.fixture(scope="module", params=SIDES)
def shared(request):
    base = upstream(request.param)
    with gated(**{"postgres" if request.param == "postgres" else "mysql": base}) as gate:
        yield Side(request.param, gate)


@pytest.fixture
def side(shared):
    with shared.connect() as c:
        run(c, f"CREATE TABLE c (id INT, name VARCHAR(20), at {'TIMESTAMP' if shared.mysql else 'TIMESTAMPTZ'} NULL) {shared.engine}")
        run(c, "INSERT INTO c VALUES (1, 'one', '2022-07-05 12:00:00')")
        yield shared
        run(c, "DROP TABLE c")


def test_a_plan_is_used_where_nothing_has_changed(side):
    with side.connect() as c:
        assert rows(c, "SELECT name FROM c") == [("one",)]
        used, dropped = side.plans("used"), side.plans("dropped")
        for _ in range(5):
            run(c, "SELECT 1")
            assert rows(c, "SELECT name FROM c") == [("one",)]
        assert (side.plans("used") - used, side.plans("dropped") - dropped) == (5, 0)


def test_what_others_have_changed_meanwhile_is_seen(side):
    with side.connect() as c, side.connect() as other:
        assert rows(c, "SELECT * FROM c")[0][:2] == (1, "one")
        for n in range(2, 5):
            run(other, f"INSERT INTO c (id, name) VALUES ({n}, 'more')")
            run(c, "SELECT 1")
            assert rows(c, "SELECT COUNT(*) FROM c") == [(n,)]
        run(other, "ALTER TABLE c ADD COLUMN extra INT")
        run(c, "SELECT 1")
        assert len(rows(c, "SELECT * FROM c WHERE id = 1")[0]) == 4
        run(other, "DROP TABLE c", f"CREATE TABLE c (id INT) {side.engine}")
        run(c, "SELECT 1")
        assert rows(c, "SELECT * FROM c") == []


def test_the_sessions_zone_counts(side):
    shown = "SELECT CAST(at AS CHAR(19)) FROM c"
    zone = {True: "SET time_zone = '{}'", False: "SET TIME ZONE '{}'"}[side.mysql]
    with side.connect() as c:
        for name, hour in (("+00:00", 12), ("+02:00", 14), ("-03:00", 9), ("+00:00", 12)):
            # PostgreSQL's own offsets go the other way round: a name is clear.
            run(c, zone.format(name if side.mysql else {"+00:00": "UTC", "+02:00": "Africa/Johannesburg", "-03:00": "America/Sao_Paulo"}[name]))
            ((text,),) = rows(c, shown)
            assert text[:19].endswith(f"{hour:02}:00:00"), (name, text)


def test_the_database_and_the_mode_count(side):
    if not side.mysql:
        return the_search_path_counts(side)
    side_db = "foresight_other"
    with side.connect() as c:
        run(c, f"CREATE DATABASE IF NOT EXISTS {side_db}", f"CREATE TABLE {side_db}.c (id INT) ENGINE='OSS'", f"INSERT INTO {side_db}.c VALUES (99)")
        for _ in range(3):
            assert rows(c, "SELECT id FROM c") == [(1,)]
            run(c, f"USE {side_db}")
            assert rows(c, "SELECT id FROM c") == [(99,)]
            run(c, "USE hot")
        run(c, f"DROP TABLE {side_db}.c")
        for _ in range(3):
            run(c, "SET sql_mode = ''")
            assert rows(c, 'SELECT "name" FROM c') == [("name",)]
            run(c, "SET sql_mode = 'ANSI_QUOTES'")
            assert rows(c, 'SELECT "name" FROM c') == [("one",)]
            run(c, "SET sql_mode = 'PIPES_AS_CONCAT'")
            assert rows(c, "SELECT name || 'x' FROM c") == [("onex",)]
        run(c, "SET sql_mode = ''")
        assert rows(c, "SELECT name || 'x' FROM c") == [(0,)]


def the_search_path_counts(side):
    with side.connect() as c, side.connect() as other:
        run(other, *ELSEWHERE)
        for _ in range(3):
            assert rows(c, "SELECT id FROM c") == [(1,)]
            run(c, "SET search_path = elsewhere, public")
            assert rows(c, "SELECT id FROM c") == [(99,)]
            run(c, "SET search_path = elsewhere")
            assert rows(c, "SELECT id FROM c") == [(99,)]
            run(c, "RESET search_path")
        run(c, "CREATE TEMP TABLE c (id INT)")
        assert rows(c, "SELECT id FROM c") == []
        run(c, "DROP TABLE pg_temp.c")
        assert rows(c, "SELECT id FROM c") == [(1,)]
        run(other, "DROP SCHEMA elsewhere CASCADE")


def test_who_the_client_is_counts(side):
    if side.mysql:
        # A user of MySQL changes with a new login only, which ends the session of ours.
        with side.connect() as c:
            assert rows(c, "SELECT id FROM c") == [(1,)]
            upstream(side.name).sql("CREATE USER IF NOT EXISTS nobody_here@'%'", "GRANT SELECT ON hot.* TO nobody_here@'%'")
        with side.connect(user="nobody_here") as c:
            for _ in range(2):
                run(c, "SELECT 1")
                fails(1142, rows, c, "SELECT id FROM c")
        return
    with side.connect() as c:
        run(c, "DROP ROLE IF EXISTS nobody_here", "CREATE ROLE nobody_here")
        for _ in range(3):
            assert rows(c, "SELECT id FROM c") == [(1,)]
            run(c, "SET ROLE nobody_here")
            fails("42501", rows, c, "SELECT id FROM c")
            run(c, "RESET ROLE")
        run(c, "DROP ROLE nobody_here")


def test_a_transaction_and_a_session_in_the_past_count(side):
    with side.connect() as c, side.connect() as other:
        then = now(c)
        run(other, "INSERT INTO c (id) VALUES (2)")
        run(c, "SELECT 1")
        assert rows(c, "SELECT COUNT(*) FROM c") == [(2,)]
        for _ in range(2):
            run(c, "START TRANSACTION" if side.mysql else "BEGIN ISOLATION LEVEL REPEATABLE READ")
            run(c, "SELECT 1")
            (before,) = rows(c, "SELECT COUNT(*) FROM c")[0]
            run(other, "INSERT INTO c (id) VALUES (3)")
            run(c, "SELECT 1")
            assert rows(c, "SELECT COUNT(*) FROM c") == [(before,)]
            run(c, "COMMIT")
            assert rows(c, "SELECT COUNT(*) FROM c") == [(before + 1,)]
        run(c, f"SET flashback_read_time = '{then}'", "SELECT 1")
        assert rows(c, "SELECT COUNT(*) FROM c") == [(1,)]
        run(c, "SELECT 1")
        assert rows(c, "SELECT COUNT(*) FROM c") == [(1,)]
        run(c, "SET flashback_read_time = DEFAULT", "SELECT 1")
        assert rows(c, "SELECT COUNT(*) FROM c") == [(4,)]


def test_an_error_is_told_by_the_run_and_the_session_goes_on(side):
    with side.connect() as c:
        assert rows(c, "SELECT id FROM c") == [(1,)]
        for _ in range(2):
            run(c, "SELECT 1")
            fails(1054 if side.mysql else "42703", rows, c, "SELECT nowhere FROM c")
            run(c, "SELECT 1")
            if not side.mysql:
                fails("22012", rows, c, "SELECT id / 0 FROM c")
            assert rows(c, "SELECT id FROM c") == [(1,)]


def test_a_prepared_statement_is_planned_for_its_parameters(side):
    if side.mysql:
        host, port = side.gate.mysql
        with side.connect() as c:
            run(c, "INSERT INTO c (id, name) VALUES (2, 'two')")
        with mysql.connector.connect(host=host, port=port, user="root", database="hot", autocommit=True, ssl_disabled=True) as c:
            cursor, plain = c.cursor(prepared=True), c.cursor()
            used = side.plans("used")
            for n, name in [(1, "one"), (2, "two"), (2, "two"), (1, "one")]:
                plain.execute("SELECT 1")
                plain.fetchall()
                cursor.execute("SELECT name FROM c WHERE id = %s", (n,))
                assert cursor.fetchall() == [(name,)]
            assert side.plans("used") - used >= 3
        return
    with side.connect(prepare_threshold=5) as c, side.connect() as other:
        run(other, "INSERT INTO c (id, name) VALUES (2, 'two')")
        # Named: prepared once, planned for what is bound. Unnamed: described for Parse, each time.
        for prepare in (True, False):
            used = side.plans("used")
            for n, name in [(1, "one"), (2, "two"), (2, "two"), (1, "one")]:
                run(c, "SELECT 1")
                assert c.execute("SELECT name FROM c WHERE id = %s", (n,), prepare=prepare).fetchall() == [(name,)]
            assert side.plans("used") - used >= 3, prepare
        for n in range(3, 6):
            run(other, f"INSERT INTO c (id) VALUES ({n})")
            assert c.execute("SELECT COUNT(*) FROM c WHERE id > %s", (0,), prepare=True).fetchone() == (n,)


def test_a_name_that_has_become_the_upstreams_is_its_own_for_prepared_statements_too(side):
    if side.mysql:
        # There a name means the same for ever: the database's.
        return the_prepared_name_keeps_its_database(side)
    with side.connect(prepare_threshold=5) as c, side.connect() as other:
        run(other, *ELSEWHERE)
        prepared = "SELECT id FROM c"
        assert c.execute(prepared, prepare=True).fetchall() == [(1,)]
        assert c.execute(prepared, prepare=True).fetchall() == [(1,)]
        run(c, "SET search_path = elsewhere, public")
        # As text it is the upstream's now; what is prepared reads the same.
        assert c.execute("SELECT id FROM c", prepare=False).fetchall() == [(99,)]
        seen = [c.execute(prepared, prepare=True).fetchall() for _ in range(3)]
        run(c, "RESET search_path")
        assert c.execute("SELECT id FROM c", prepare=False).fetchall() == [(1,)]
        assert c.execute(prepared, prepare=True).fetchall() == [(1,)]
        assert seen == [[(99,)]] * 3, seen
        run(other, "DROP SCHEMA elsewhere CASCADE")


def the_prepared_name_keeps_its_database(side):
    with side.connect() as c:
        run(c, "PREPARE s FROM 'SELECT id FROM c'")
        for _ in range(2):
            run(c, "SELECT 1")
            assert rows(c, "EXECUTE s") == [(1,)]
        run(c, "DEALLOCATE PREPARE s")


def test_a_dropped_plan_is_counted(side):
    with side.connect() as c:
        assert rows(c, "SELECT CAST(at AS CHAR(19)) FROM c")
        dropped = side.plans("dropped")
        run(c, "SET time_zone = '+05:00'" if side.mysql else "SET TIME ZONE 'Asia/Tokyo'")
        assert rows(c, "SELECT CAST(at AS CHAR(19)) FROM c")
        assert eventually(lambda: side.plans("dropped") > dropped, timeout=5)
