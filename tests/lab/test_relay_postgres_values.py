"""Values of cold tables in front of PostgreSQL mean what those of its own tables mean, also where the session's zone, which is
the upstream's, decides: each query is asked of a hot and of a cold table with the same rows."""

import pytest

from test_relay_postgres import connect
from upstreams import gated, upstream
from wires import run

COLUMNS = "id INT, d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, n NUMERIC(30, 10), j {json}"
ROWS = """
    (1, '1500-01-01', '1500-01-01 10:00:00.5', '2021-10-31 00:30:30+00', 935095530171.2869, '{"a": 1, "b": 2}'),
    (2, '2500-01-01', '2500-01-01', '2021-10-31 01:30:30+00', 0.1, '{"b":2,"a":1.0}'),
    (3, NULL, '9998-12-31 23:59:59.999999', NULL, NULL, NULL),
    (4, '2021-01-01', '2021-01-01 00:00:00', '2021-01-01 00:00:00+00', 123456789012345678.9, '[1]')
"""
ZONES = ["'UTC'", "'Asia/Kolkata'", "'Europe/Paris'", "'+05:30'", "'+05'", "-3.5", "'UTC+3'"]
QUERIES = [
    "SELECT id, coalesce(d, ts), greatest(d, tz), coalesce(ts, tz), coalesce(d, tz) FROM {t} ORDER BY id",
    "SELECT id, CASE WHEN id = 1 THEN ts ELSE tz END, ARRAY[ts, tz], nullif(ts, tz) FROM {t} ORDER BY id",
    "SELECT ts FROM {t} UNION ALL SELECT tz FROM {t} UNION ALL SELECT d FROM {t} ORDER BY 1",
    "SELECT ts FROM {t} INTERSECT SELECT tz FROM {t} ORDER BY 1",
    "SELECT id FROM {t} WHERE ts IN (SELECT tz FROM {t}) OR d = tz OR ts = tz ORDER BY id",
    "SELECT a.id, b.id FROM {t} a JOIN {t} b ON a.ts = b.tz ORDER BY 1, 2",
    "SELECT id, date_trunc('hour', tz), date_trunc('day', tz), tz + interval '1 minute', tz + interval '1 day' FROM {t} ORDER BY id",
    "SELECT id, to_char(tz, 'HH24:MI OF'), extract(timezone_hour FROM tz), extract(epoch FROM tz) FROM {t} ORDER BY id",
    "SELECT id, tz AT TIME ZONE '+05:30', ts AT TIME ZONE '+05:30', '2021-10-31 02:30'::timestamptz FROM {t} ORDER BY id",
    "SELECT id, n::float8, n + 0::float8, -(ts - d), floor(id) / 2 FROM {t} ORDER BY id",
    "SELECT count(*) FROM {t} GROUP BY j ORDER BY j",
    "SELECT id FROM {t} WHERE j = '{{\"b\": 2, \"a\": 1}}' ORDER BY id",
    "SELECT id, (id, d) IS NOT NULL, concat(id = 1, id) FROM {t} ORDER BY id",
]


@pytest.fixture(scope="module")
def base():
    return upstream("postgres")


@pytest.fixture(scope="module")
def client(base):
    drop = "DROP TABLE IF EXISTS hot_values"
    base.sql(drop, f"CREATE TABLE hot_values ({COLUMNS.format(json='JSONB')})", f"INSERT INTO hot_values VALUES {ROWS}", dbname="hot")
    with gated(postgres=base) as running, connect(running) as c:
        run(c, f"CREATE TABLE cold_values ({COLUMNS.format(json='JSONB')}) WITH (engine='OSS')", f"INSERT INTO cold_values VALUES {ROWS}")
        yield c
    base.sql(drop, dbname="hot")


def shown(c, query, **more):
    """Rows as the server wrote them."""
    with c.cursor() as cursor:
        result = cursor.execute(query, **more).pgresult
        return [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]


@pytest.mark.parametrize("zone", ZONES)
def test_cold_values_mean_what_hot_ones_do_in_the_zone_of_the_upstream(client, zone):
    run(client, f"SET TIME ZONE {zone}")
    for query in QUERIES:
        # Not prepared: PostgreSQL reads a constant in the zone in which its statement is prepared, and psycopg prepares what it has sent often.
        cold, hot = (shown(client, query.format(t=t), prepare=False) for t in ("cold_values", "hot_values"))
        assert cold == hot, query


@pytest.mark.parametrize("zone", ZONES)
def test_prepared_statements_over_cold_values_follow_the_zone_too(client, zone):
    run(client, f"SET TIME ZONE {zone}")
    for query in QUERIES[:6]:
        cold, hot = (shown(client, query.format(t=t), prepare=True) for t in ("cold_values", "hot_values"))
        assert cold == hot, query
