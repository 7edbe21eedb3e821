"""Both wires for the tests of this folder: connections, recorded times, and a table with a column of every type."""

import datetime
import decimal
import json
import os
import pathlib
import time
import uuid

import psycopg
import pymysql

CACHE = pathlib.Path(os.environ.get("FLASHGATE_TEST_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "flashgate")
Decimal, datetime_ = decimal.Decimal, datetime.datetime
UTC = datetime.timezone.utc


def mysql(server, database=None, **more):
    host, port = server.mysql
    settings = {"user": "root", "password": "", "ssl_disabled": True, "autocommit": True, "connect_timeout": 20, "read_timeout": 120, **more}
    return pymysql.connect(host=host, port=port, database=database, **settings)


def postgres(server, database="", **more):
    host, port = server.postgres
    settings = {"user": "root", "dbname": database, "connect_timeout": 20, "sslmode": "disable", "autocommit": True, **more}
    return psycopg.connect(host=host, port=port, **settings)


def rows(connection, statement, args=None):
    """All rows of one statement, on either wire, as tuples."""
    with connection.cursor() as cursor:
        cursor.execute(statement, args)
        return [tuple(row) for row in cursor.fetchall()]


def run(connection, *statements):
    """Runs statements; the last one's count of rows."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.rowcount


def now(connection):
    """A time after everything that was answered before and before everything that is sent after, as text."""
    time.sleep(0.003)
    ((moment,),) = rows(connection, "SELECT CAST(NOW(6) AS CHAR)" if isinstance(connection, pymysql.Connection) else "SELECT CAST(LOCALTIMESTAMP AS TEXT)")
    time.sleep(0.003)
    return moment


MYSQL_COLUMNS = {
    "id": "BIGINT NOT NULL",
    "flag": "BOOLEAN",
    "tiny": "TINYINT",
    "utiny": "TINYINT UNSIGNED",
    "small": "SMALLINT",
    "usmall": "SMALLINT UNSIGNED",
    "medium": "MEDIUMINT",
    "plain": "INT",
    "uplain": "INT UNSIGNED",
    "big": "BIGINT",
    "ubig": "BIGINT UNSIGNED",
    "price": "DECIMAL(20,4)",
    "wide": "DECIMAL(38,10)",
    "single": "FLOAT",
    "precise": "DOUBLE",
    "code": "CHAR(4)",
    "name": "VARCHAR(100)",
    "note": "TEXT",
    "raw": "VARBINARY(64)",
    "lump": "BLOB",
    "day": "DATE",
    "clock": "TIME(6)",
    "moment": "DATETIME(6)",
    "seconds": "DATETIME",
    "instant": "TIMESTAMP(6)",
    "yr": "YEAR",
    "doc": "JSON",
    "color": "ENUM('red','green')",
    "ident": "UUID",
}
MYSQL_TABLE = "CREATE TABLE kinds (" + ", ".join(f"{name} {ty}" for name, ty in MYSQL_COLUMNS.items()) + ", PRIMARY KEY (id)) ENGINE='OSS'"
MYSQL_ROWS = [
    dict(
        id=1, flag=1, tiny=-128, utiny=255, small=-32768, usmall=65535, medium=-8388608, plain=-2147483648, uplain=4294967295, big=-(2**63),
        ubig=2**64 - 1, price=Decimal("1234567890123456.7891"), wide=Decimal("-1234567890123456789012345678.0123456789"), single=1.5, precise=-2.5e-300,
        code="äöü€", name="Łódź 東京 🚆 'quoted' \"double\" \\back\\", note="line 1\nline 2\ttab\0zero", raw=bytes(range(64)), lump=b"\x00\xff'\\\x1a\r\n",
        day=datetime.date(2024, 2, 29), clock=datetime.timedelta(hours=23, minutes=59, seconds=59, microseconds=999999),
        moment=datetime_(2022, 7, 5, 11, 11, 11, 123456), seconds=datetime_(1999, 12, 31, 23, 59, 59), instant=datetime_(2022, 7, 5, 11, 11, 11, 654321),
        yr=2024, doc='{"a": [1, 2.5, null, "ü"]}', color="green", ident="123e4567-e89b-12d3-a456-426614174000",
    ),
    dict(
        id=2, flag=0, tiny=127, utiny=0, small=32767, usmall=0, medium=8388607, plain=2147483647, uplain=0, big=2**63 - 1, ubig=0,
        price=Decimal("-0.0001"), wide=Decimal("0.0000000000"), single=-0.25, precise=1.7976931348623157e308, code="", name="", note="", raw=b"", lump=b"",
        day=datetime.date(1970, 1, 1), clock=datetime.timedelta(0), moment=datetime_(1000, 1, 1), seconds=datetime_(9999, 12, 31, 23, 59, 59),
        instant=datetime_(1970, 1, 2), yr=1901, doc="[]", color="red", ident="00000000-0000-0000-0000-000000000000",
    ),
    dict.fromkeys(MYSQL_COLUMNS) | {"id": 3},
]

POSTGRES_COLUMNS = {
    "id": "BIGINT NOT NULL",
    "flag": "BOOLEAN",
    "small": "SMALLINT",
    "plain": "INTEGER",
    "big": "BIGINT",
    "price": "NUMERIC(20,4)",
    "wide": "NUMERIC(38,10)",
    "single": "REAL",
    "precise": "DOUBLE PRECISION",
    "code": "CHAR(4)",
    "name": "VARCHAR(100)",
    "note": "TEXT",
    "raw": "BYTEA",
    "day": "DATE",
    "clock": "TIME",
    "moment": "TIMESTAMP",
    "instant": "TIMESTAMPTZ",
    "doc": "JSON",
    "ident": "UUID",
}
POSTGRES_TABLE = "CREATE TABLE kinds (" + ", ".join(f"{name} {ty}" for name, ty in POSTGRES_COLUMNS.items()) + ", PRIMARY KEY (id)) WITH (engine='OSS')"
POSTGRES_ROWS = [
    dict(
        id=1, flag=True, small=-32768, plain=-2147483648, big=-(2**63), price=Decimal("1234567890123456.7891"),
        wide=Decimal("-1234567890123456789012345678.0123456789"), single=1.5, precise=-2.5e-300, code="äöü€", name="Łódź 東京 🚆 'quoted' \"double\" \\back\\",
        note="line 1\nline 2\ttab", raw=bytes(range(256)), day=datetime.date(2024, 2, 29), clock=datetime.time(23, 59, 59, 999999),
        moment=datetime_(2022, 7, 5, 11, 11, 11, 123456), instant=datetime_(2022, 7, 5, 11, 11, 11, 654321, UTC), doc='{"a": [1, 2.5, null, "ü"]}',
        ident=uuid.UUID("123e4567-e89b-12d3-a456-426614174000"),
    ),
    dict(
        id=2, flag=False, small=32767, plain=2147483647, big=2**63 - 1, price=Decimal("-0.0001"), wide=Decimal("0.0000000000"), single=-0.25,
        precise=1.7976931348623157e308, code="    ", name="", note="", raw=b"", day=datetime.date(1970, 1, 1), clock=datetime.time(0),
        moment=datetime_(1000, 1, 1), instant=datetime_(9999, 12, 30, 23, 59, 59, 999999, UTC), doc="[]", ident=uuid.UUID(int=0),
    ),
    dict.fromkeys(POSTGRES_COLUMNS) | {"id": 3},
]


def plain(row):
    """A row in one form, whatever a client makes of JSON, UUIDs and byte strings."""
    out = {}
    for name, value in row.items():
        if isinstance(value, (memoryview, bytearray)):
            value = bytes(value)
        if name == "doc" and isinstance(value, (str, bytes)):
            value = json.loads(value)
        if name == "ident" and value is not None:
            value = str(value)
        if name == "flag" and value is not None:
            value = bool(value)
        if name == "color" and isinstance(value, bytes):
            value = value.decode()
        if name == "instant" and value is not None and value.tzinfo is not None:
            value = value.astimezone(UTC)
        if name == "code" and isinstance(value, str):
            value = value.rstrip(" ")
        out[name] = value
    return out


def assert_rows(got, want):
    """Rows (dicts) are the same, with the first difference named."""
    got, want = [plain(row) for row in got], [plain(row) for row in want]
    assert len(got) == len(want)
    for ours, theirs in zip(got, want):
        differ = {name: (ours.get(name), value) for name, value in theirs.items() if ours.get(name) != value}
        assert not differ, f"row {theirs['id']}: (got, want) {differ}"
        assert ours.keys() == theirs.keys()
