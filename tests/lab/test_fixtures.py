"""ORC files of other writers (fixtures/orc) taken in with ALTER TABLE .. ADD FILE and compared with what the script that made them says."""

import ast
import datetime as dt
import shutil
from decimal import Decimal

import pytest

from conftest import ROOT
from test_concurrency import WIRES, fails
from wires import UTC, mysql, now, postgres, rows, run

FIXTURES = ROOT / "fixtures" / "orc"


def made():
    """rows() and NAMES of the script, without running its writers."""
    tree = ast.parse((FIXTURES / "make.py").read_text())
    wanted = [node for node in tree.body if getattr(node, "name", None) == "rows" or isinstance(node, ast.Assign) and node.targets[0].id in ("N", "NAMES")]
    names = {"dt": dt, "Decimal": Decimal}
    exec(compile(ast.Module(wanted, []), "make.py", "exec"), names)
    return names["NAMES"], list(names["rows"]())


NAMES, ROWS = made()
CODECS = ("uncompressed", "zlib", "snappy", "lz4", "zstd")
FILES = {path.name: 600 if path.name.startswith("pyarrow") else 1100 for path in FIXTURES.glob("*.orc") if path.stem.split("-")[1] in CODECS}
OTHERS = ["pyarrow-v011.orc", "pyarrow-instants.orc", "pyarrow-nested.orc", "spark-newyork.orc"]
OTHERS += ["pyarrow-days.orc", "pyarrow-latin1.orc", "pyarrow-times.orc", "spark-decimal64.orc", "spark-gmt8.orc", "spark-pst.orc", "spark-shanghai.orc"]
TYPES = {
    "mysql": [
        "INT", "BOOLEAN", "TINYINT", "SMALLINT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(12,2)", "DECIMAL(38,0)",
        "VARCHAR(100)", "VARCHAR(10)", "VARBINARY(8)", "DATE", "DATETIME(6)",
    ],
    "postgres": [
        "INTEGER", "BOOLEAN", "SMALLINT", "SMALLINT", "BIGINT", "REAL", "DOUBLE PRECISION", "NUMERIC(12,2)", "NUMERIC(38,0)",
        "VARCHAR(100)", "TEXT", "BYTEA", "DATE", "TIMESTAMP",
    ],
}
QUOTE = {"mysql": "`", "postgres": '"'}
STORAGE = {"mysql": 1030, "postgres": "58030"}


def uri(path):
    return (FIXTURES / path).as_uri()


def opened(server, wire):
    connection = mysql(server, "f") if wire == "mysql" else postgres(server, "f")
    run(connection, "SET time_zone = '+00:00'" if wire == "mysql" else "SET TIME ZONE 'UTC'")
    return connection


def columns(wire, *names):
    quote = QUOTE[wire]
    return ", ".join(f"{quote}{name}{quote} {type_}" for name, type_ in zip(NAMES, TYPES[wire]) if not names or name in names)


def read(c, table, clause=""):
    return rows(c, f"SELECT * FROM {table} {clause} ORDER BY id")


@pytest.fixture(scope="module")
def database(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE f")
    return server


def test_the_fixtures_are_all_accounted_for():
    assert sorted([*FILES, *OTHERS]) == sorted(p.name for p in FIXTURES.glob("*.orc"))
    assert len(FILES) == 9 and len(ROWS) == 1100 and len(NAMES) == 14


@WIRES
@pytest.mark.parametrize("file", sorted(FILES))
def test_every_value_of_another_writers_file_is_read_and_the_time_before_it_is_empty(database, wire, file):
    c, table = opened(database, wire), f"taken_{wire}_{file[:-4].replace('-', '_')}"
    run(c, f"CREATE TABLE {table} ({columns(wire)})")
    before = now(c)
    run(c, f"ALTER TABLE {table} ADD FILE '{uri(file)}'")
    got, want = read(c, table), ROWS[: FILES[file]]
    differ = [(ours, theirs) for ours, theirs in zip(got, want) if ours != theirs]
    assert not differ, differ[0]
    assert len(got) == len(want)
    assert read(c, table, f"AS OF TIMESTAMP '{before}'") == []
    assert sum(row[6] for row in rows(c, f"SHOW FILES FROM {table}")) == FILES[file]


def test_a_file_in_the_first_run_length_encoding_and_its_missing_columns_get_their_defaults(database):
    c = opened(database, "mysql")
    more = "extra INT NOT NULL DEFAULT 5, note VARCHAR(9) DEFAULT 'none', nothing INT"
    run(c, f"CREATE TABLE old_encoding (nothing2 BIGINT, {columns('mysql', 'id', 'name', 'tag', 'at')}, {more})")
    run(c, f"ALTER TABLE old_encoding ADD FILE '{uri('pyarrow-v011.orc')}'")
    want = [(None, row[0], row[9], row[10], row[13], 5, "none", None) for row in ROWS[:500]]
    assert read(c, "old_encoding") == want


@WIRES
def test_a_missing_columns_default_is_the_time_of_the_session_and_a_uuid_a_row(database, wire):
    c, table = opened(database, wire), f"clocked_{wire}"
    more = {
        "mysql": "made DATETIME DEFAULT CURRENT_TIMESTAMP, ident CHAR(36) DEFAULT (UUID())",
        "postgres": "made TIMESTAMP DEFAULT now(), ident UUID DEFAULT gen_random_uuid()",
    }
    run(c, f"CREATE TABLE {table} ({columns(wire, 'id', 'name', 'tag', 'at')}, {more[wire]})")
    run(c, "SET time_zone = '+08:00'" if wire == "mysql" else "SET TIME ZONE 'Asia/Shanghai'")
    before = now(c)[:19]
    run(c, f"INSERT INTO {table} (id) VALUES (1000)", f"ALTER TABLE {table} ADD FILE '{uri('pyarrow-v011.orc')}'")
    after = now(c)[:19]
    for where, many in (("id = 1000", 1), ("id < 1000", 500)):
        ((count, idents, first, last),) = rows(c, f"SELECT COUNT(*), COUNT(DISTINCT ident), MIN(made), MAX(made) FROM {table} WHERE {where}")
        assert (count, idents) == (many, many) and first == last
        assert before <= str(first)[:19] <= after, where


def test_instants_keep_their_zone_and_moments_the_wall_clock_of_their_writer(database):
    c = opened(database, "postgres")
    run(c, "CREATE TABLE instants (at TIMESTAMPTZ, plain TIMESTAMP)", f"ALTER TABLE instants ADD FILE '{uri('pyarrow-instants.orc')}'")
    epoch = dt.datetime(1970, 1, 1)
    want = [epoch - dt.timedelta(seconds=1.5), epoch, dt.datetime(2022, 7, 5, 3, 11, 11, 123457)]
    got = rows(c, "SELECT * FROM instants ORDER BY plain")
    assert got == [(moment.replace(tzinfo=UTC), moment) for moment in want] + [(None, None)]
    run(c, "CREATE TABLE new_york (id INT, at TIMESTAMP)", f"ALTER TABLE new_york ADD FILE '{uri('spark-newyork.orc')}'")
    want = [dt.datetime(2022, 7, 4, 23, 11, 11, 123456), dt.datetime(2022, 10, 2, 23, 11, 11, 123456), dt.datetime(2022, 12, 31, 22, 11, 11, 123456),
            dt.datetime(2023, 3, 31, 23, 11, 11, 123456)]
    assert rows(c, "SELECT * FROM new_york ORDER BY id") == list(enumerate(want))


def test_several_files_are_one_commit_whose_rows_are_copies(database, tmp_path):
    c = opened(database, "mysql")
    copy = tmp_path / "a file.orc"
    shutil.copy(FIXTURES / "pyarrow-zstd.orc", copy)
    run(c, f"CREATE TABLE several ({columns('mysql')})", f"ALTER TABLE several ADD FILE '{copy.as_uri()}', '{uri('spark-lz4.orc')}'")
    assert "%20" in copy.as_uri()
    files = rows(c, "SHOW FILES FROM several")
    assert len({row[8] for row in files}) == 1 and sorted(row[6] for row in files) == [600, 1100]
    copy.unlink()
    assert rows(c, "SELECT COUNT(*), COUNT(DISTINCT id), COUNT(name) FROM several") == [(1700, 1100, 1700 - 170)]
    run(c, "DELETE FROM several WHERE id >= 2", f"ALTER TABLE several ADD FILE '{uri('pyarrow-lz4.orc')}'")
    assert rows(c, "SELECT id, COUNT(*) FROM several WHERE id < 4 GROUP BY id ORDER BY id") == [(0, 3), (1, 3), (2, 1), (3, 1)]


@WIRES
def test_what_cannot_be_taken_in_is_an_error_and_leaves_nothing(database, wire, tmp_path):
    c, table = opened(database, wire), f"refusing_{wire}"
    run(c, f"CREATE TABLE {table} ({columns(wire)})", f"CREATE TABLE {table}_few ({columns(wire, 'id', 'name', 'tag')})")
    good = uri("pyarrow-zlib.orc")
    whole = (FIXTURES / "pyarrow-zlib.orc").read_bytes()
    foreign = {"parquet": b"PAR1" + whole[4:-4] + b"PAR1", "empty": b"", "half": whole[: len(whole) // 2], "text": b"id,flag\n1,2\n" * 50}
    for name, data in foreign.items():
        (tmp_path / name).write_bytes(data)
        for list_ in (f"'{(tmp_path / name).as_uri()}'", f"'{good}', '{(tmp_path / name).as_uri()}'"):
            assert name in str(fails(STORAGE[wire], run, c, f"ALTER TABLE {table} ADD FILE {list_}")), name
    assert "not_there.orc" in str(fails(STORAGE[wire], run, c, f"ALTER TABLE {table} ADD FILE '{good}', '{(tmp_path / 'not_there.orc').as_uri()}'"))
    error = fails({"mysql": 1054, "postgres": "42703"}[wire], run, c, f"ALTER TABLE {table}_few ADD FILE '{uri('pyarrow-v011.orc')}'")
    assert "'at'" in str(error) and f"{table}_few" in str(error)
    fails({"mysql": 1231, "postgres": "22023"}[wire], run, c, f"ALTER TABLE {table} ADD FILE 'pyarrow-zlib.orc'")
    fails({"mysql": 1146, "postgres": "42P01"}[wire], run, c, f"ALTER TABLE no_such_table ADD FILE '{good}'")
    for name in (table, f"{table}_few"):
        assert rows(c, f"SELECT * FROM {name}") == [] and rows(c, f"SHOW FILES FROM {name}") == []
    # What was half taken in must not be in the way of the whole.
    run(c, f"ALTER TABLE {table} ADD FILE '{good}'")
    assert read(c, table) == ROWS[:600]


@pytest.mark.parametrize(("change", "code", "says"), [
    (("name", "VARCHAR(3)"), 1406, "name"),
    (("name", "VARCHAR(100) NOT NULL"), 1048, "name"),
    (("id", "TINYINT"), 1264, "id"),
    (("id", "INT, more INT NOT NULL"), 1364, "more"),
])
def test_values_that_do_not_fit_their_column_are_errors_as_in_an_insert(database, change, code, says):
    c = opened(database, "mysql")
    types = {name: TYPES["mysql"][NAMES.index(name)] for name in ("id", "name", "tag", "at")} | dict([change])
    run(c, "DROP TABLE IF EXISTS narrow", "CREATE TABLE narrow (" + ", ".join(f"`{name}` {type_}" for name, type_ in types.items()) + ")")
    assert says in str(fails(code, run, c, f"ALTER TABLE narrow ADD FILE '{uri('pyarrow-v011.orc')}'"))
    assert rows(c, "SELECT * FROM narrow") == [] and rows(c, "SHOW FILES FROM narrow") == []


@pytest.mark.parametrize(("column", "type_"), [
    ("id", "VARCHAR(10)"), ("id", "BIGINT UNSIGNED"), ("flag", "INT"), ("real", "DOUBLE"), ("dbl", "INT"), ("price", "DECIMAL(12,0)"), ("at", "DATETIME"),
    ("at", "DATE"), ("day", "DATETIME"), ("tag", "ENUM('red','green','blue')"),
])
def test_values_of_another_type_become_what_an_insert_makes_of_them(database, column, type_):
    c = opened(database, "mysql")
    types = {name: type_ if name == column else exact for name, exact in zip(NAMES, TYPES["mysql"])}
    run(c, "DROP TABLE IF EXISTS added, exact, inserted", f"CREATE TABLE exact ({columns('mysql')})")
    run(c, "CREATE TABLE added (" + ", ".join(f"`{name}` {type_}" for name, type_ in types.items()) + ")", "CREATE TABLE inserted LIKE added")
    run(c, f"ALTER TABLE exact ADD FILE '{uri('pyarrow-zstd.orc')}'", f"ALTER TABLE added ADD FILE '{uri('pyarrow-zstd.orc')}'")
    run(c, "INSERT INTO inserted SELECT * FROM exact")
    got, want = (rows(c, f"SELECT `big`, `{column}` FROM {name} ORDER BY `big`, `{column}`") for name in ("added", "inserted"))
    assert len(want) == 600 and [pair for pair in zip(got, want) if pair[0] != pair[1]] == []


def test_a_nested_column_is_refused_by_name_rather_than_lost(database):
    c = opened(database, "mysql")
    run(c, "CREATE TABLE nested (id INT)")
    assert "'tags'" in str(fails(1235, run, c, f"ALTER TABLE nested ADD FILE '{uri('pyarrow-nested.orc')}'"))
    assert rows(c, "SELECT * FROM nested") == []
