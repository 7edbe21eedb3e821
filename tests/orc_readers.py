"""Other readers read what Flashgate writes: Apache ORC's C++ reader (pyarrow) and, when installed, its Java reader (pyspark).

    cargo run --example write_orc -- DIR && python tests/orc_readers.py DIR

Exits 0 when every value of every file is what examples/write_orc.rs put there.
"""

import datetime as dt
import importlib.util
import os
import sys
from decimal import Decimal

import pyarrow as pa
from pyarrow import orc

EPOCH = dt.datetime(1970, 1, 1)
UTC_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def expected(rows):
    """What examples/write_orc.rs writes, column by column."""

    def column(value):
        return [None if i % 5 == 4 else value(i) for i in range(rows)]

    micro = lambda us: dt.timedelta(microseconds=us)
    return [
        column(lambda i: i % 2 == 0),
        column(lambda i: i % 256 - 128),
        column(lambda i: 65535 - i % 65536),
        column(lambda i: -(2**31) + i),
        column(lambda i: 2**63 - 1 - i * i),
        column(lambda i: Decimal(2**64 - 1 - i)),
        column(lambda i: i / 4.0),
        column(lambda i: -i / 8.0),
        column(lambda i: Decimal(i * 25 - 100).scaleb(-2)),
        column(lambda i: Decimal(10**38 - 1 - i)),
        column(lambda i: f"k{i % 3}"),
        column(lambda i: "" if i % 7 == 0 else f"ü{i}"),
        column(lambda i: bytes([i % 256, 0, 255])),
        column(lambda i: dt.date(1970, 1, 1) + dt.timedelta(days=i * 1000 - 2000) if i * 1000 - 2000 < 2_900_000 else ...),
        column(lambda i: i),
        column(lambda i: EPOCH + micro(-1_250_000 + i * 250_000)),
        column(lambda i: UTC_EPOCH + micro(1_656_990_671_123_456 + i)),
        [None] * rows,
    ]


def compare(reader, name, column, want, got):
    for row, (a, b) in enumerate(zip(want, got, strict=True)):
        if a is not ... and a != b:
            sys.exit(f"{reader}: {name}, column c{column}, row {row}: wrote {a!r}, read {b!r}")


def pyarrow_reads(path, rows):
    file = orc.ORCFile(path)
    name = os.path.basename(path)
    assert file.nrows == rows, (name, file.nrows)
    table = file.read()
    assert str(table.schema.field("c5").type) == "decimal128(20, 0)", table.schema
    for at, want in enumerate(expected(rows)):
        values = table.column(at)
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.timestamp("us", tz=values.type.tz))
        if pa.types.is_date(values.type):
            # Python's dates end with the year 9999.
            days = values.cast(pa.int32()).to_pylist()
            got = [d if d is None else dt.date(1970, 1, 1) + dt.timedelta(days=d) if d < 2_900_000 else ... for d in days]
        else:
            got = values.to_pylist()
        compare("pyarrow", name, at, want, got)
    # Single stripes and columns.
    read = 0
    for stripe in range(file.nstripes):
        part = file.read_stripe(stripe, columns=["c10"])
        compare("pyarrow", name, 10, expected(rows)[10][read : read + part.num_rows], part.column(0).to_pylist())
        read += part.num_rows
    assert read == rows
    assert b"flashgate.version" in file.metadata
    print(f"pyarrow reads {name}: {rows} rows, {file.nstripes} stripes, {file.compression}")


def spark_reads(directory, files):
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC").config("spark.sql.orc.filterPushdown", "true").getOrCreate()
    )
    os.environ["TZ"] = "UTC"
    for name, rows in files.items():
        frame = spark.read.orc(os.path.join(directory, name))
        assert frame.count() == rows, name
        if rows == 0:
            continue
        # The last second before 1970 cannot be had through the Java reader (see encode/column.rs, split_timestamp).
        got = frame.selectExpr(
            *[f"c{i}" for i in range(13)], "datediff(c13, date'1970-01-01') as c13", "c14", "cast(null as int) c15", "unix_micros(c16) as c16", "c17"
        ).collect()
        for at, want in enumerate(expected(rows)):
            if at == 15:
                continue
            values = [row[at] for row in got]
            if at == 12:
                values = [v if v is None else bytes(v) for v in values]
            if at == 13:
                values = [v if v is None else dt.date(1970, 1, 1) + dt.timedelta(days=v) if v < 2_900_000 else ... for v in values]
            if at == 16:
                values = [v if v is None else UTC_EPOCH + dt.timedelta(microseconds=v) for v in values]
            compare("spark", name, at, want, values)
        # Row groups and bloom filters are used by these filters: the right rows must come back.
        for filter, at, test in [
            ("c3 = -2147483641", 3, lambda v: v == -2147483641),
            ("c10 = 'k1'", 10, lambda v: v == "k1"),
            ("c11 = 'ü11'", 11, lambda v: v == "ü11"),
            ("c8 > 5.00", 8, lambda v: v > Decimal(5)),
            ("c13 = date'1972-02-25'", 13, lambda v: v == dt.date(1972, 2, 25)),
        ]:
            want = sum(1 for v in expected(rows)[at] if v is not None and v is not ... and test(v))
            assert frame.filter(filter).count() == want, (name, filter, want)
        print(f"spark reads {name}: {rows} rows")
    spark.stop()


def main():
    directory = sys.argv[1]
    files = {"all.orc": 25, "wide.orc": 50_000, "none.orc": 7_001, "zlib.orc": 7_001, "snappy.orc": 7_001, "lz4.orc": 7_001, "empty.orc": 0}
    for name, rows in files.items():
        pyarrow_reads(os.path.join(directory, name), rows)
    if importlib.util.find_spec("pyspark"):
        spark_reads(directory, files)


main()
