"""Queries drawn at random over hot and cold tables, in front of real servers, give what the database gives with all of the tables in it.

FLASHGATE_TEST_QUERIES is how many of them each server gets, FLASHGATE_TEST_SEED where the seeds begin: `make queries` takes fresh ones. A failure
prints the query. With fresh seeds it may be the database that is wrong: MariaDB 10.11 and MySQL 9.7 contradict each other about once in a thousand;
the same seed on the other servers tells.

Texts of several statements (PREPARE and EXECUTE, changes, transactions, cursors) are drawn as well, an eighth as many."""

import contextlib
import decimal
import os
import random
import re

import psycopg
import pymysql
import pytest

from relay.queries import COLUMNS, Chance, table
from test_relay_hot_and_cold import KINDS, MULTI_STATEMENTS, REFUSED, Side
from upstreams import FORWARD, gated, need
from wires import rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")

QUERIES = int(os.environ.get("FLASHGATE_TEST_QUERIES") or 400)
SEED = os.environ.get("FLASHGATE_TEST_SEED") or "2"
ROWS = {"t1": 60, "t2": 25, "c1": 40, "c2": 12}
# What mixes changes of cold tables with the upstream's transaction is refused as such.
REFUSED_TEXTS = {"mysql": {1235, 1290}, "postgres": {"0A000", "55000"}}


@contextlib.contextmanager
def connections(side):
    """One through Flashgate, one to the database itself, in a zone that has summer time."""
    more = {"charset": "utf8mb4", "client_flag": MULTI_STATEMENTS} if side.wire == "mysql" else {"prepare_threshold": None}
    with contextlib.closing(side.connect(**more)) as c, contextlib.closing(side.direct(**more)) as direct:
        if side.wire == "postgres":
            run(c, "SET TIME ZONE 'America/New_York'")
            run(direct, "SET TIME ZONE 'America/New_York'")
        yield c, direct


def directly(text):
    """The same over the hot twins of cold tables."""
    return re.sub(r"\b(c1|c2|d1)\b", r"\1_twin", text)


def chance(side, seed):
    return Chance(random.Random(seed), side.wire, mariadb=side.kind == "mariadb")


@pytest.fixture(scope="module", params=KINDS)
def tables(request):
    """`t1` and `t2` are hot; `c1` and `c2` are cold, and hot in the database behind under the names `c1_twin` and `c2_twin`."""
    base = need(request.param, request)
    with gated(**{base.protocol: base}) as running:
        side = Side(request.param, base, running)
        # Texts are compared by their bytes in Flashgate.
        text, end = ("VARCHAR(20)", " DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin") if side.wire == "mysql" else ('VARCHAR(20) COLLATE "C"', "")
        drawn = random.Random(SEED)
        with connections(side) as (c, direct):
            for name, count in ROWS.items():
                values, cold = table(drawn, count, side.wire), name.startswith("c")
                twin, columns = directly(name), COLUMNS[side.wire]
                run(direct, f"DROP TABLE IF EXISTS {twin}", f"CREATE TABLE {twin} ({columns.format(text=text)}){end}", f"INSERT INTO {twin} VALUES {values}")
                if cold:
                    run(c, f"CREATE TABLE {name} ({columns.format(text='VARCHAR(20)')}){side.cold}", f"INSERT INTO {name} VALUES {values}")
            for name in ("w1", "w1_directly", "d1_twin"):
                run(direct, f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} (id INT, n INT)")
            run(c, f"CREATE TABLE d1 (id INT, n INT){side.cold}")
        yield side


def plain(answer):
    """PostgreSQL has more digits behind the point of small quotients."""
    return [tuple(round(value, 12) if isinstance(value, decimal.Decimal) else value for value in row) for row in answer]


def refused(side, error):
    return (error.args[0] if side.wire == "mysql" else error.sqlstate) == REFUSED[side.wire]


def test_generated_queries_give_what_the_database_gives(tables):
    wrong, refusals, with_rows = [], [], 0
    with connections(tables) as (c, direct):
        for number in range(QUERIES):
            query, ordered = chance(tables, f"{SEED}/{number}").query()
            want = rows(direct, directly(query))
            try:
                got = rows(c, query)
            except (pymysql.Error, psycopg.Error) as error:
                (refusals if refused(tables, error) else wrong).append(f"{number}: {query}\n  {error}")
                continue
            want, got = (answer if ordered else sorted(answer, key=repr) for answer in (plain(want), plain(got)))
            with_rows += bool(want)
            if got != want:
                wrong.append(f"{number}: {query}\n  directly {len(want)}: {str(want)[:400]}\n  through  {len(got)}: {str(got)[:400]}")
    assert not wrong, f"seed {SEED}, {len(wrong)} of {QUERIES}:\n" + "\n".join(wrong[:5])
    assert len(refusals) <= QUERIES // 100, "\n".join(refusals)
    assert with_rows > QUERIES / 2, "most queries should have rows"


def results(connection, text):
    """The rows of each statement of a text that gives any."""
    with connection.cursor() as cursor:
        cursor.execute(text)
        found = []
        while True:
            if cursor.description:
                found.append(plain(cursor.fetchall()))
            if not cursor.nextset():
                return found


def test_generated_texts_give_what_the_database_gives(tables):
    """Each is run by a connection that ran those before it. `w1` is one hot table directly and another one through Flashgate."""
    wrong, refusals, count = [], [], max(20, QUERIES // 8)
    with connections(tables) as (c, direct):
        for number in range(count):
            text = chance(tables, f"{SEED}/text/{number}").text()
            want = results(direct, directly(text).replace("w1", "w1_directly"))
            try:
                got = results(c, text)
                if got != want:
                    wrong.append(f"{number}: {text}\n  directly {str(want)[:400]}\n  through  {str(got)[:400]}")
            except (pymysql.Error, psycopg.Error) as error:
                code = error.args[0] if tables.wire == "mysql" else error.sqlstate
                (refusals if code in REFUSED_TEXTS[tables.wire] else wrong).append(f"{number}: {text}\n  {error}")
                run(c, "ROLLBACK", *([] if tables.wire == "mysql" else ["DEALLOCATE ALL"]))
            for connection, names in ((direct, ("w1_directly", "d1_twin")), (c, ("w1", "d1"))):
                run(connection, *(f"DELETE FROM {name}" for name in names))
    assert not wrong, f"seed {SEED}, {len(wrong)} of {count}:\n" + "\n".join(wrong[:5])
    assert len(refusals) <= count // 3, "\n".join(refusals)
