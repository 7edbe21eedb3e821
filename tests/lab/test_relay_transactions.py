"""What a transaction of the upstream means to the cold tables that are read in it: one time for all of them where the database
reads at one time, each statement's own where it does not."""

import threading
import time

import pymysql
import pytest

from test_relay_mysql import connect as mysql_connect
from test_relay_postgres import connect as postgres_connect
from upstreams import gated, upstream
from wires import now, rows, run

SIDES = ["mariadb", "mysql", "postgres"]
REPEATABLE = ["REPEATABLE READ", "SERIALIZABLE"]
EACH = ["READ COMMITTED", "READ UNCOMMITTED"]


class Side:
    """Flashgate in front of one database, with a cold table `c` and a hot one `h` of one row each; `then` is before both."""

    def __init__(self, name, gate):
        self.name, self.gate, self.mysql = name, gate, name != "postgres"
        run(self.connect(), "DROP TABLE IF EXISTS h", "CREATE TABLE h (id INT PRIMARY KEY)", "INSERT INTO h VALUES (1)")

    def connect(self, **more):
        return mysql_connect(self.gate, **more) if self.mysql else postgres_connect(self.gate, **more)

    def begin(self, c, level):
        """Opens a transaction of that isolation by the client's own means."""
        if self.mysql:
            run(c, f"SET SESSION TRANSACTION ISOLATION LEVEL {level}", "BEGIN")
        else:
            run(c, f"BEGIN ISOLATION LEVEL {level}")

    def grow(self, hot=True):
        """One more row in each, by somebody else."""
        with self.connect() as other:
            run(other, f"INSERT INTO c VALUES ({self.count(other) + 1})")
            if hot:
                run(other, "INSERT INTO h SELECT MAX(id) + 1 FROM h")

    @staticmethod
    def count(c, table="c"):
        return rows(c, f"SELECT COUNT(*) FROM {table}")[0][0]


@pytest.fixture(scope="module", params=SIDES)
def shared(request):
    base = upstream(request.param)
    with gated(**{"postgres" if request.param == "postgres" else "mysql": base}) as gate:
        yield Side(request.param, gate)


@pytest.fixture
def side(shared):
    engine = "ENGINE='OSS'" if shared.mysql else "WITH (engine='OSS')"
    with shared.connect() as c:
        run(c, f"CREATE TABLE c (id INT) {engine}")
        shared.then = now(c)
        run(c, "INSERT INTO c VALUES (1)", "DELETE FROM h WHERE id > 1")
        yield shared
        run(c, "DROP TABLE c")


@pytest.mark.parametrize("level", REPEATABLE)
def test_a_transaction_that_reads_at_one_time_reads_cold_tables_at_one_time(side, level):
    with side.connect() as c:
        side.begin(c, level)
        assert (side.count(c, "h"), side.count(c)) == (1, 1)
        # What a serializable transaction of InnoDB has read is locked until it ends.
        hot = not (side.mysql and level == "SERIALIZABLE")
        side.grow(hot)
        assert (side.count(c, "h"), side.count(c)) == (1, 1)
        assert rows(c, "SELECT c.id, h.id FROM c JOIN h ON h.id = c.id") == [(1, 1)]
        assert rows(c, f"SELECT COUNT(*) FROM c AS OF TIMESTAMP '{side.then}'") == [(0,)]
        assert side.count(c) == 1
        run(c, "COMMIT")
        assert (side.count(c, "h"), side.count(c)) == (2 if hot else 1, 2)


@pytest.mark.parametrize("level", EACH)
def test_each_statement_reads_at_its_own_moment_where_the_database_does_so(side, level):
    with side.connect() as c:
        side.begin(c, level)
        assert (side.count(c, "h"), side.count(c)) == (1, 1)
        side.grow()
        assert (side.count(c, "h"), side.count(c)) == (2, 2)
        run(c, "ROLLBACK")


def test_the_time_is_that_of_the_first_read_and_not_of_begin(side):
    with side.connect() as c:
        side.begin(c, "REPEATABLE READ")
        side.grow()
        assert side.count(c) == 2
        side.grow()
        assert side.count(c) == 2
        run(c, "ROLLBACK")


def test_the_next_transaction_reads_anew_however_the_one_before_it_ended(side):
    ends = ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "COMMIT; BEGIN"]
    # What is a warning to PostgreSQL ends the transaction in MySQL.
    ends += ["BEGIN", "/* anew */ start transaction", "START TRANSACTION WITH CONSISTENT SNAPSHOT"] if side.mysql else []
    with side.connect(**({"client_flag": 1 << 16} if side.mysql else {})) as c:
        if not side.mysql:
            run(c, "SET default_transaction_isolation = 'repeatable read'")
        side.begin(c, "REPEATABLE READ")
        for n, end in enumerate(ends):
            assert side.count(c) == n + 1, end
            side.grow()
            assert side.count(c) == n + 1, end
            with c.cursor() as cursor:
                cursor.execute(end)
                while cursor.nextset():
                    pass
            assert side.count(c) == n + 2, end
        run(c, "COMMIT")


def test_a_savepoint_changes_nothing_of_it(side):
    with side.connect() as c:
        side.begin(c, "REPEATABLE READ")
        run(c, "SAVEPOINT s")
        assert side.count(c) == 1
        side.grow()
        run(c, "ROLLBACK TO SAVEPOINT s")
        assert side.count(c) == 1
        run(c, "RELEASE SAVEPOINT s")
        assert side.count(c) == 1
        run(c, "ROLLBACK")


def test_words_of_transactions_within_statements_end_none(side):
    with side.connect() as c:
        side.begin(c, "REPEATABLE READ")
        assert side.count(c) == 1
        side.grow()
        assert rows(c, "SELECT 'x; BEGIN; COMMIT AND CHAIN' /* ; ROLLBACK */") == [("x; BEGIN; COMMIT AND CHAIN",)]
        assert side.count(c) == 1
        run(c, "ROLLBACK")


def test_a_transaction_of_the_past_ends_with_what_ends_it_at_the_upstream(side):
    ends = ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN"] + (["BEGIN"] if side.mysql else [])
    with side.connect() as c:
        for end in ends:
            run(c, f"START TRANSACTION READ ONLY AS OF TIMESTAMP '{side.then}'")
            assert side.count(c) == 0
            assert side.count(c, "h") == 1 and side.count(c) == 0
            run(c, end)
            assert side.count(c) == 1, end
            run(c, "ROLLBACK")


def test_without_autocommit_a_transaction_lasts_to_its_commit(side):
    with side.connect(autocommit=False) as c:
        if side.mysql:
            run(c, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        else:
            run(c, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        c.commit()
        for n in (1, 2):
            assert side.count(c, "h") == n and side.count(c) == n
            side.grow()
            assert side.count(c, "h") == n and side.count(c) == n
            c.commit()


# --- ends that are harder to see -------------------------------------------------------------------------------------------


def results(c, text):
    """The first row of each result of a text of several statements."""
    found = []
    with c.cursor() as cursor:
        cursor.execute(text)
        while True:
            if cursor.description:
                found.append(cursor.fetchone())
            if not cursor.nextset():
                return found


def several(side, **more):
    return side.connect(**more, **({"client_flag": 1 << 16} if side.mysql else {}))


def test_a_transaction_that_ends_within_a_text_ends_there(side):
    count = "SELECT COUNT(*) FROM c"
    begin = "BEGIN" if side.mysql else "BEGIN ISOLATION LEVEL REPEATABLE READ"
    with several(side) as c:
        for n, end in enumerate([f"COMMIT; {begin}", "COMMIT AND CHAIN", f"ROLLBACK; {begin}"]):
            side.begin(c, "REPEATABLE READ")
            assert side.count(c) == n + 1
            side.grow()
            assert results(c, f"{count}; {end}; {count}") == [(n + 1,), (n + 2,)], end
            assert side.count(c) == n + 2, end
            run(c, "ROLLBACK")


def test_a_text_that_begins_with_the_end_reads_anew(side):
    begin = "BEGIN" if side.mysql else "BEGIN ISOLATION LEVEL REPEATABLE READ"
    with several(side) as c:
        side.begin(c, "REPEATABLE READ")
        assert side.count(c) == 1
        side.grow()
        assert results(c, f"COMMIT; {begin}; SELECT COUNT(*) FROM c") == [(2,)]
        side.grow()
        assert side.count(c) == 2
        run(c, "ROLLBACK")


def test_the_past_of_a_new_connection_ends_too(side):
    with side.connect() as c:
        run(c, f"START TRANSACTION READ ONLY AS OF TIMESTAMP '{side.then}'", "START TRANSACTION" if side.mysql else "COMMIT AND CHAIN")
        assert side.count(c) == 1
        run(c, "ROLLBACK")


# PostgreSQL keeps a failed transaction open until its client ends it.
@pytest.mark.parametrize("shared", ["mariadb", "mysql"], indirect=True)
def test_a_deadlock_ends_the_transaction_that_it_rolls_back(side):
    with side.connect(autocommit=False) as c, side.connect(autocommit=False) as other:
        run(c, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "INSERT INTO h VALUES (2)", "COMMIT")
        # The one that has changed less is rolled back.
        run(other, *(f"INSERT INTO h VALUES ({number})" for number in range(100, 160)), "UPDATE h SET id = 20 WHERE id = 2")
        run(c, "UPDATE h SET id = 10 WHERE id = 1")
        assert side.count(c) == 1
        with side.connect() as third:
            run(third, "INSERT INTO c VALUES (2)")
        waits = threading.Thread(target=lambda: run(other, "UPDATE h SET id = 11 WHERE id = 1"))
        waits.start()
        with pytest.raises(pymysql.err.OperationalError) as raised:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                run(c, "UPDATE h SET id = 21 WHERE id = 2")
        assert raised.value.args[0] == 1213
        waits.join()
        run(other, "ROLLBACK")
        run(c, "UPDATE h SET id = 1 WHERE id = 1")
        assert side.count(c) == 2
        run(c, "ROLLBACK", "DELETE FROM h WHERE id > 1", "COMMIT")


@pytest.mark.parametrize("shared", ["mariadb", "mysql"], indirect=True)
def test_a_table_made_of_a_cold_one_commits_and_the_next_transaction_reads_anew(side):
    with side.connect(autocommit=False) as c:
        run(c, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "DROP TABLE IF EXISTS made")
        assert side.count(c, "h") == 1 and side.count(c) == 1
        run(c, "CREATE TABLE made AS SELECT * FROM c")
        side.grow()
        assert side.count(c, "made") == 1 and side.count(c) == 2
        run(c, "ROLLBACK", "DROP TABLE made")
