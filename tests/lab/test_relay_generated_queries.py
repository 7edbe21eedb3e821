"""Queries drawn at random over hot and cold tables, in front of real servers, give what the database gives with all of the tables in it.

FLASHGATE_TEST_QUERIES is how many of them each server gets, FLASHGATE_TEST_SEED where the seeds begin: `make queries` takes fresh ones. A failure
prints the query. With fresh seeds it may be the database that is wrong: MariaDB 10.11 and MySQL 9.7 contradict each other about once in a thousand;
the same seed on the other servers tells."""

import contextlib
import decimal
import os
import random

import psycopg
import pymysql
import pytest

from relay.queries import COLUMNS, Chance, table
from test_relay_hot_and_cold import KINDS, REFUSED, Side
from upstreams import FORWARD, gated, need
from wires import rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")

QUERIES = int(os.environ.get("FLASHGATE_TEST_QUERIES") or 400)
SEED = os.environ.get("FLASHGATE_TEST_SEED") or "2"
ROWS = {"t1": 60, "t2": 25, "c1": 40, "c2": 12}


def direct_connection(side):
    return contextlib.closing(side.direct(**({"charset": "utf8mb4"} if side.wire == "mysql" else {})))


@pytest.fixture(scope="module", params=KINDS)
def tables(request):
    """`t1` and `t2` are hot; `c1` and `c2` are cold, and hot in the database behind under the names `c1_twin` and `c2_twin`."""
    base = need(request.param, request)
    with gated(**{base.protocol: base}) as running:
        side = Side(request.param, base, running)
        # Texts are compared by their bytes in Flashgate.
        text, end = ("VARCHAR(20)", " DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin") if side.wire == "mysql" else ('VARCHAR(20) COLLATE "C"', "")
        stamp = "DATETIME(6)" if side.wire == "mysql" else "TIMESTAMP"
        chance = random.Random(SEED)
        with contextlib.closing(side.connect()) as c, direct_connection(side) as direct:
            for name, count in ROWS.items():
                values, cold = table(chance, count), name.startswith("c")
                twin = f"{name}_twin" if cold else name
                columns = COLUMNS.format(text=text, stamp=stamp)
                run(direct, f"DROP TABLE IF EXISTS {twin}", f"CREATE TABLE {twin} ({columns}){end}", f"INSERT INTO {twin} VALUES {values}")
                if cold:
                    columns = COLUMNS.format(text="VARCHAR(20)", stamp=stamp)
                    run(c, f"CREATE TABLE {name} ({columns}){side.cold}", f"INSERT INTO {name} VALUES {values}")
        yield side


def plain(answer):
    """PostgreSQL has more digits behind the point of small quotients."""
    return [tuple(round(value, 12) if isinstance(value, decimal.Decimal) else value for value in row) for row in answer]


def refused(side, error):
    return (error.args[0] if side.wire == "mysql" else error.sqlstate) == REFUSED[side.wire]


def test_generated_queries_give_what_the_database_gives(tables):
    wrong, refusals, with_rows = [], [], 0
    with contextlib.closing(tables.connect()) as c, direct_connection(tables) as direct:
        for number in range(QUERIES):
            query, ordered = Chance(random.Random(f"{SEED}/{number}"), tables.wire).query()
            want = rows(direct, query.replace(" c1 ", " c1_twin ").replace(" c2 ", " c2_twin "))
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
