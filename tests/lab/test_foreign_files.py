"""ALTER TABLE .. ADD FILE and what others may do: values that no column has, files that are replaced, folders, old calendars.

Right values of the fixtures are what fixtures/orc/make_times.py wrote and Spark read back; errors are those of INSERT.
"""

import ast
import datetime as dt
import shutil
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import orc

from test_concurrency import WIRES, fails
from test_fixtures import FIXTURES, STORAGE, opened, uri
from test_relay_mysql import connect as mysql_connect
from test_relay_postgres import connect as postgres_connect
from upstreams import gated, upstream
from wires import mysql, rows, run

UNKNOWN_COLUMN = {"mysql": 1054, "postgres": "42703"}
UNSUPPORTED = {"mysql": 1235, "postgres": "0A000"}


def made():
    tree = ast.parse((FIXTURES / "make_times.py").read_text())
    (times,) = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "TIMES"]
    return [dt.datetime.fromisoformat(time) for time in ast.literal_eval(times)]


TIMES = made()


@pytest.fixture(scope="module")
def database(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE IF NOT EXISTS f")
    return server


def written(path, columns, **more):
    orc.write_table(pa.table(columns), path, compression="uncompressed", **more)
    return path.as_uri()


def raw(values, type_, width=8):
    """An array of these numbers as they lie in memory, which Arrow does not check."""
    data = b"".join(v.to_bytes(width, "little", signed=True) for v in values)
    return pa.Array.from_buffers(type_, len(values), [None, pa.py_buffer(data)])


def days(*values):
    return raw(values, pa.date32(), 4)


def moments(*values, zone=None):
    return raw(values, pa.timestamp("us", zone))


DAY = 86_400_000_000
YEAR_0, YEAR_10000 = -719528, 2932897
BEYOND = raw([100, 9999999], pa.decimal128(5, 2), 16)
REFUSED = {
    "mysql": [
        ("DECIMAL(5,2)", BEYOND, "99999.99"),
        ("DECIMAL(5,2)", pa.array([1.0, 123456.0]), "123456.0"),
        ("DATE", days(0, YEAR_0), "'0000-01-01'"),
        ("DATE", days(0, YEAR_10000), "'10000-01-01'"),
        ("DATETIME(6)", moments(0, YEAR_0 * DAY), "'0000-01-01'"),
        ("DATETIME", moments(0, YEAR_10000 * DAY), "'10000-01-01'"),
        ("DATETIME", days(0, 2**31 - 1), "'10000-01-01'"),
        ("TIMESTAMP(6)", moments(0, YEAR_10000 * DAY, zone="UTC"), "'10000-01-01'"),
        ("TINYINT", pa.array([1, 300], pa.int32()), "300"),
        ("TINYINT UNSIGNED", pa.array([1, -1], pa.int32()), "-1"),
        ("BIGINT UNSIGNED", pa.array([1, -1], pa.int64()), "-1"),
        ("MEDIUMINT", pa.array([1, 2**23], pa.int32()), "8388608"),
        ("YEAR", pa.array([1999, 1800], pa.int16()), "1800"),
        ("BIT(2)", pa.array([1, 5], pa.int64()), "5"),
        ("VARCHAR(3)", pa.array(["abc", "abcd"]), "'abcd'"),
        ("VARBINARY(3)", pa.array(["abc", "abcd"]), "'abcd'"),
        ("ENUM('a','b')", pa.array(["a", "c"]), "'c'"),
        ("SET('a','b')", pa.array(["a,b", "c"]), "'c'"),
        ("JSON", pa.array(["{}", "{"]), "'{'"),
        ("TIME", pa.array(["10:00:00", "25:00:00"]), "'25:00:00'"),
        ("INT NOT NULL", pa.array([1, None], pa.int32()), "NULL"),
        ("INT", pa.array([1.0, float("nan")]), None),
        ("DOUBLE", pa.array([1.0, float("inf")]), None),
        ("FLOAT", pa.array([1.0, 1e300]), "1e300"),
        ("DECIMAL(5,2)", pa.array([1.0, float("nan")]), None),
    ],
    "postgres": [
        ("NUMERIC(5,2)", BEYOND, "99999.99"),
        ("DATE", days(0, YEAR_0), "'0000-01-01'"),
        ("DATE", days(0, YEAR_10000), "'10000-01-01'"),
        ("TIMESTAMP", moments(0, YEAR_0 * DAY), "'0000-01-01'"),
        ("TIMESTAMP", days(0, -(2**31)), "'0000-01-01'"),
        ("TIMESTAMPTZ", moments(0, YEAR_10000 * DAY, zone="UTC"), "'10000-01-01'"),
        ("SMALLINT", pa.array([1, 70000], pa.int32()), "70000"),
        ("VARCHAR(3)", pa.array(["abc", "abcd"]), "'abcd'"),
        ("JSON", pa.array(["{}", "{"]), "'{'"),
        ("UUID", pa.array(["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x"]), "'x'"),
        ("INT NOT NULL", pa.array([1, None], pa.int32()), "NULL"),
        ("REAL", pa.array([1.0, 1e300]), "1e300"),
        ("NUMERIC(5,2)", pa.array([1.0, float("nan")]), None),
    ],
}


@WIRES
def test_what_insert_refuses_is_its_error_with_the_column_and_the_row(database, wire, tmp_path):
    c = opened(database, wire)
    for at, (type_, array, literal) in enumerate(REFUSED[wire]):
        table, file = f"refused_{wire}_{at}", written(tmp_path / f"{at}.orc", {"v": array})
        run(c, f"CREATE TABLE {table} (v {type_})")
        with pytest.raises(Exception) as caught:
            run(c, f"ALTER TABLE {table} ADD FILE '{file}'")
        error = caught.value
        code = error.args[0] if wire == "mysql" else error.sqlstate
        assert "column 'v', row 2 of file:" in str(error.args[-1]), (type_, error)
        if literal is not None:
            fails(code, run, c, f"INSERT INTO {table} VALUES ({literal})")
        else:
            assert code in (1264, "22003"), (type_, error)
        assert rows(c, f"SELECT * FROM {table}") == [] and rows(c, f"SHOW FILES FROM {table}") == []


def test_digits_beyond_the_column_are_rounded_not_cut(database, tmp_path):
    c = opened(database, "mysql")
    columns = {
        "n": raw([12549, -12549, 12550], pa.decimal128(10, 3), 16),
        "at": raw([1_600_000_000_123_456_499, 1_600_000_000_123_456_500, 999_999_999_999_999_999], pa.timestamp("ns")),
        "second": raw([1_499_999, 1_500_000, 2_500_000], pa.timestamp("us")),
    }
    run(c, "CREATE TABLE rounded (n DECIMAL(10,1), `at` DATETIME(6), second DATETIME)")
    run(c, f"ALTER TABLE rounded ADD FILE '{written(tmp_path / 'x.orc', columns)}'")
    at = [dt.datetime(2020, 9, 13, 12, 26, 40, 123456), dt.datetime(2020, 9, 13, 12, 26, 40, 123457), dt.datetime(2001, 9, 9, 1, 46, 40)]
    second = [dt.datetime(1970, 1, 1, 0, 0, n) for n in (1, 2, 3)]
    want = list(zip([Decimal("12.5"), Decimal("-12.5"), Decimal("12.6")], at, second))
    assert sorted(rows(c, "SELECT * FROM rounded")) == sorted(want)


def test_a_file_that_was_replaced_in_place_by_one_of_its_size_is_read_anew(database, tmp_path):
    c, path = opened(database, "mysql"), tmp_path / "x.orc"
    run(c, "CREATE TABLE replaced (a INT, b INT)")
    one, two = pa.array([1, 2, 3], pa.int32()), pa.array([7, 9, 8], pa.int32())
    sizes = set()
    for columns, want in [({"a": one, "b": two}, [(1, 7), (2, 9), (3, 8)]), ({"b": one, "a": two}, [(7, 1), (8, 3), (9, 2)])]:
        run(c, "TRUNCATE TABLE replaced", f"ALTER TABLE replaced ADD FILE '{written(path, columns)}'")
        sizes.add(path.stat().st_size)
        assert sorted(rows(c, "SELECT a, b FROM replaced")) == want
    assert len(sizes) == 1


@WIRES
def test_a_folder_a_pattern_and_a_list_of_columns_are_one_commit(database, wire, tmp_path):
    c, table = opened(database, wire), f"folder_{wire}"
    run(c, f"CREATE TABLE {table} (id INT, name VARCHAR(20) DEFAULT 'none')")
    for n in range(3):
        written(tmp_path / f"part-{n}.orc", {"id": pa.array([n], pa.int32()), "name": pa.array([f"n{n}"])})
    shutil.copy(FIXTURES / "pyarrow-nested.orc", tmp_path / "nested.orc")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part-0.orc.crc").write_text("crc")
    folder = tmp_path.as_uri()
    run(c, f"ALTER TABLE {table} ADD FILE '{folder}/part-*.orc', '{folder}/nested.orc' (ID)")
    assert sorted(rows(c, f"SELECT id, name FROM {table}")) == [(0, "n0"), (1, "n1"), (1, "none"), (2, "n2"), (2, "none")]
    files = rows(c, f"SHOW FILES FROM {table}")
    assert len(files) == 4 and len({row[8] for row in files}) == 1
    # Without a list the nested file stops the whole folder, and nothing of it is added.
    fails(UNSUPPORTED[wire], run, c, f"ALTER TABLE {table} ADD FILE '{folder}/'")
    assert len(rows(c, f"SHOW FILES FROM {table}")) == 4
    run(c, f"ALTER TABLE {table} ADD FILE '{folder}/' (id)")
    assert rows(c, f"SELECT COUNT(*) FROM {table}") == [(10,)]
    (tmp_path / "year=2020").mkdir()
    for code, what in [
        (STORAGE, f"'{folder}/*.parquet'"),
        (STORAGE, f"'{folder}/none/'"),
        (STORAGE, f"'{folder}/none/*.orc'"),
        (STORAGE, f"'{folder}/part-9.orc'"),
        (STORAGE, f"'{folder}/part-*.orc', '{folder}/nothing*'"),
        (UNSUPPORTED, f"'{folder}/' (id)"),
        (UNKNOWN_COLUMN, f"'{folder}/part-0.orc' (id, nothing)"),
        (UNKNOWN_COLUMN, f"'{folder}/nested.orc' (id, name)"),
        (UNKNOWN_COLUMN, f"'{folder}/nested.orc' (id, tags)"),
        ({"mysql": 1110, "postgres": "42701"}, f"'{folder}/part-0.orc' (id, Id)"),
        ({"mysql": 1231, "postgres": "22023"}, "'part-0.orc'"),
        ({"mysql": 1231, "postgres": "22023"}, "'flie:///part-0.orc'"),
    ]:
        fails(code[wire], run, c, f"ALTER TABLE {table} ADD FILE {what}")
    assert rows(c, f"SELECT COUNT(*) FROM {table}") == [(10,)]
    assert not (tmp_path / "none").exists()


@WIRES
@pytest.mark.parametrize("file", ["spark-shanghai.orc", "spark-pst.orc", "spark-gmt8.orc"])
def test_old_days_and_moments_of_java_keep_their_names(database, wire, file):
    c, table = opened(database, wire), f"old_{wire}_{file[6:-4]}"
    run(c, f"CREATE TABLE {table} (id INT, day DATE, " + ("`at` DATETIME(6))" if wire == "mysql" else "at TIMESTAMP)"))
    run(c, f"ALTER TABLE {table} ADD FILE '{uri(file)}'")
    assert rows(c, f"SELECT * FROM {table} ORDER BY id") == [(i, time.date(), time) for i, time in enumerate(TIMES)]


@WIRES
def test_text_that_is_not_utf8_is_named_and_taken_as_bytes(database, wire):
    c, table = opened(database, wire), f"latin_{wire}"
    bytes_ = {"mysql": "BLOB", "postgres": "BYTEA"}[wire]
    run(c, f"CREATE TABLE {table} (id INT, direct TEXT, dictionary {bytes_})", f"CREATE TABLE {table}_raw (id INT, direct {bytes_}, dictionary {bytes_})")
    error = fails({"mysql": 1300, "postgres": "22021"}[wire], run, c, f"ALTER TABLE {table} ADD FILE '{uri('pyarrow-latin1.orc')}'")
    assert "column 'direct' in row 3" in str(error)
    run(c, f"ALTER TABLE {table}_raw ADD FILE '{uri('pyarrow-latin1.orc')}'")
    got = rows(c, f"SELECT direct, dictionary FROM {table}_raw WHERE id IN (1, 2, 95) ORDER BY id")
    assert got == [(None, b"tag 1"), (b"z\xfcrich", b"tag 2"), (b"name 95", b"caf\xe9")]


def test_decimals_of_the_newest_version_are_read(database):
    c = opened(database, "mysql")
    run(c, "CREATE TABLE decimal64 (id INT, price DECIMAL(18,2), wide DECIMAL(38,2))", f"ALTER TABLE decimal64 ADD FILE '{uri('spark-decimal64.orc')}'")
    values = ["0.00", "-1.50", "9999999999999999.99", "-9999999999999999.99", "12345.67"]
    assert rows(c, "SELECT * FROM decimal64 ORDER BY id") == [(i, Decimal(v), Decimal(v)) for i, v in enumerate(values)] + [(5, None, None)]


def test_only_files_of_ours_are_to_be_restored_from_a_backup(database, tmp_path):
    c = opened(database, "mysql")
    run(c, "CREATE TABLE hints (a INT)")
    for name, data, says in [("empty", b"", "0 bytes"), ("parquet", b"PAR1 and so on PAR1", "Parquet"), ("text", b"id\n1\n" * 99, "ORC files only")]:
        (tmp_path / name).write_bytes(data)
        error = str(fails(1030, run, c, f"ALTER TABLE hints ADD FILE '{(tmp_path / name).as_uri()}'"))
        assert says in error and "backup" not in error, error


@pytest.mark.parametrize("name", ["mariadb", "mysql", "postgres"])
def test_in_front_of_an_upstream_files_are_taken_in_as_they_are_embedded(name, tmp_path):
    wire = "postgres" if name == "postgres" else "mysql"
    connect, engine = (postgres_connect, "WITH (engine='OSS')") if wire == "postgres" else (mysql_connect, "ENGINE='OSS'")
    for n in range(2):
        written(tmp_path / f"part-{n}.orc", {"id": pa.array([n], pa.int32()), "more": pa.array(["x"])})
    written(tmp_path / "wrong.orc", {"id": pa.array([1, 70000], pa.int32()), "more": pa.array(["x", "y"])})
    with gated(**{wire: upstream(name)}) as gate, connect(gate) as c:
        run(c, f"CREATE TABLE taken (id {'SMALLINT' if wire == 'postgres' else 'TINYINT'}) {engine}")
        fails({"mysql": 1054, "postgres": "42703"}[wire], run, c, f"ALTER TABLE taken ADD FILE '{tmp_path.as_uri()}/part-0.orc'")
        run(c, f"ALTER TABLE taken ADD FILE '{tmp_path.as_uri()}/part-*.orc' (id)")
        assert rows(c, "SELECT * FROM taken ORDER BY id") == [(0,), (1,)]
        error = fails({"mysql": 1264, "postgres": "22003"}[wire], run, c, f"ALTER TABLE taken ADD FILE '{tmp_path.as_uri()}/wrong.orc' (id)")
        assert "column 'id', row 2 of file:" in str(error)
        run(c, "DROP TABLE taken")
