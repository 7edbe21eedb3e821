"""What the server says of itself: EXPLAIN on both wires, the SHOW family of MySQL, and what is known of files and storages."""

import datetime
import itertools
import json
import os
import re
import tempfile
import time

import psycopg
import pymysql
import pytest

from conftest import Flashgate, eventually
from test_postgres_clients import psql
from wires import mysql, now, postgres, rows, run

WIRES = ["mysql", "postgres"]
AT = "2022-07-05 11:11:11"
AT_TSO = 1657019471000 << 22
NO_HORIZON = "none: all history is kept"


@pytest.fixture(scope="module")
def demo():
    """The demo with its history of 2022; its zone is UTC."""
    with tempfile.TemporaryDirectory(prefix="flashgate-show-") as directory:
        running = Flashgate(directory, verb="demo", env={"TZ": "UTC"})
        yield running
        code = running.stop()
        assert code == 0 and "panicked" not in running.log(), running.log()


def connect(server, wire, database="demo"):
    return mysql(server, database) if wire == "mysql" else postgres(server, database)


def shown(connection, statement):
    """(column names, rows) of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [column[0] for column in cursor.description], [tuple(row) for row in cursor.fetchall()]


def code_of(error):
    return error.args[0] if isinstance(error, pymysql.err.Error) else error.sqlstate


def fails(connection, statement):
    with pytest.raises((pymysql.err.Error, psycopg.Error)) as caught:
        rows(connection, statement)
    return code_of(caught.value)


# --- EXPLAIN ------------------------------------------------------------------------------------------------------------


def explained(connection, query, verb="EXPLAIN"):
    """The lines of EXPLAIN as (item, detail), in the form of the connection's wire."""
    names, lines = shown(connection, f"{verb} {query}")
    if isinstance(connection, pymysql.Connection):
        assert names == ["id", "item", "detail"] and [line[0] for line in lines] == list(range(1, len(lines) + 1))
        return [line[1:] for line in lines]
    assert names == ["QUERY PLAN"]
    return [tuple(line[0].split(": ", 1)) for line in lines]


def tables(lines):
    """For each cold table what is said of it; the plan comes behind them all."""
    out, plan = [], []
    for item, detail in lines:
        if item == "table":
            assert not plan
            out.append({})
        if item == "plan":
            plan.append(detail)
        else:
            assert item not in out[-1], lines
            out[-1][item] = detail
    assert any("ColdScan: table=" in line for line in plan), lines
    return out


def zone(connection, name):
    run(connection, f"SET time_zone = '{name}'" if isinstance(connection, pymysql.Connection) else f"SET TIME ZONE '{name}'")


@pytest.mark.parametrize("wire", WIRES)
def test_explain_shows_the_read_time_in_the_sessions_zone_with_its_tso_and_where_it_came_from(demo, wire):
    c = connect(demo, wire)

    def read_time(query):
        (table,) = tables(explained(c, query))
        assert table["table"] == "demo.oss_orders" and table["horizon"] == NO_HORIZON
        return table["read time"]

    for name, text in (("UTC", AT), ("America/New_York", "2022-07-05 07:11:11"), ("Asia/Kolkata", "2022-07-05 16:41:11")):
        zone(c, name)
        time_is = f"{text}.000000 {name} (TSO {AT_TSO}, from "
        assert read_time(f"SELECT * FROM oss_orders WHERE userId = 100 AS OF TIMESTAMP '{text}'") == time_is + "statement clause)"
        assert read_time(f"SELECT * FROM oss_orders AS OF TIMESTAMP '{text}' WHERE userId = 100") == time_is + "table clause)"
        assert read_time(f"SELECT * FROM oss_orders AS OF TSO {AT_TSO}") == time_is + "table clause)"
        run(c, f"SET flashback_read_time = '{text}'")
        assert read_time("SELECT * FROM oss_orders") == time_is + "session variable flashback_read_time)"
        run(c, "SET flashback_read_time = DEFAULT", f"START TRANSACTION READ ONLY AS OF TIMESTAMP '{text}'")
        assert read_time("SELECT * FROM oss_orders") == time_is + "transaction)"
        run(c, "ROLLBACK")
    # The time of the nearest wins, and is the one that is named.
    zone(c, "UTC")
    run(c, "SET flashback_read_time = '2022-06-12 12:00:00'")
    assert read_time(f"SELECT * FROM oss_orders WHERE id > 0 AS OF TIMESTAMP '{AT}'").endswith(f"(TSO {AT_TSO}, from statement clause)")
    run(c, "SET flashback_read_time = DEFAULT")
    # An open transaction reads its snapshot, and again the same.
    run(c, "START TRANSACTION READ ONLY")
    rows(c, "SELECT count(*) FROM oss_orders")
    first = read_time("SELECT * FROM oss_orders")
    assert first.endswith(", from transaction)")
    time.sleep(0.01)
    assert read_time("SELECT * FROM oss_orders") == first
    run(c, "ROLLBACK")
    before = datetime.datetime.fromisoformat(now(c))
    present = re.fullmatch(r"(\S+ \S+) UTC \(TSO (\d+), from now\)", read_time("SELECT * FROM oss_orders"))
    at = datetime.datetime.fromisoformat(present[1])
    assert before < at < datetime.datetime.fromisoformat(now(c))
    assert int(present[2]) >> 22 == int(at.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000 + 1e-6)


@pytest.mark.parametrize("wire", WIRES)
def test_explain_counts_the_files_that_are_kept_and_names_the_columns_that_pruned_the_others(demo, wire):
    c = connect(demo, wire)

    def read(query):
        (table,) = tables(explained(c, query))
        return re.sub(r", \d+ bytes;", ";", table["files"]), table.get("pruned")

    versions = "10 versions in all"
    assert read("SELECT * FROM oss_orders") == (f"3 of 3 visible files kept, 31 rows; {versions}", None)
    assert read(f"SELECT * FROM oss_orders AS OF TIMESTAMP '{AT}'") == (f"5 of 5 visible files kept, 27 rows; {versions}", None)
    assert read("SELECT * FROM oss_orders AS OF TIMESTAMP '2022-06-03'") == (f"0 of 0 visible files kept, 0 rows; {versions}", None)
    past = f"AS OF TIMESTAMP '{AT}'"
    assert read(f"SELECT * FROM oss_orders WHERE created < '2022-06-10' {past}") == (
        f"2 of 5 visible files kept, 11 rows; {versions}", "3 files: their ranges of created hold no matching row")
    assert read("SELECT * FROM oss_orders WHERE id = 3") == (
        f"1 of 3 visible files kept, 24 rows; {versions}", "2 files: their ranges of id hold no matching row")
    assert read("SELECT * FROM oss_orders WHERE id = 100000") == (
        f"0 of 3 visible files kept, 0 rows; {versions}", "3 files: their ranges of id hold no matching row")
    # A column without an index of its own prunes nothing where every file may hold the value.
    assert read("SELECT * FROM oss_orders WHERE amount >= 0")[1] is None
    # The sizes are those that SHOW FILES shows.
    (table,) = tables(explained(c, "SELECT * FROM oss_orders"))
    assert f", {sum(row[5] for row in rows(c, 'SHOW FILES FROM oss_orders'))} bytes;" in table["files"]
    # Each table of a join speaks for itself.
    both = tables(explained(c, f"SELECT t.id FROM oss_orders t JOIN oss_orders {past} w ON w.id = t.id JOIN oss_customers k ON k.userId = t.userId"))
    assert sorted((table["table"], table["files"].split(" visible")[0], table["read time"].split("from ")[1]) for table in both) == [
        ("demo.oss_customers", "2 of 2", "now)"), ("demo.oss_orders", "3 of 3", "now)"), ("demo.oss_orders", "5 of 5", "table clause)")]


@pytest.mark.parametrize("wire", WIRES)
def test_explain_shows_the_horizon_after_a_purge_and_none_before(demo, wire):
    base = connect(demo, wire)
    run(base, f"CREATE DATABASE horizon_{wire}")
    c = connect(demo, wire, f"horizon_{wire}")
    run(c, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", "DELETE FROM t")
    (table,) = tables(explained(c, "SELECT * FROM t"))
    assert table["horizon"] == NO_HORIZON and table["files"] == "0 of 0 visible files kept, 0 rows, 0 bytes; 1 versions in all"
    # A whole millisecond, so that its TSO is known.
    text = now(c)[:23].ljust(23, "0") + "000"
    tso = int(datetime.datetime.fromisoformat(text + "+00:00").timestamp() * 1000 + 0.5) << 22
    run(c, f"ALTER TABLE t PURGE BEFORE TIMESTAMP '{text}' FORCE")
    (table,) = tables(explained(c, "SELECT * FROM t"))
    assert table["horizon"] == f"{text} UTC (TSO {tso})" and table["files"] == "0 of 0 visible files kept, 0 rows, 0 bytes; 0 versions in all"
    zone(c, "Asia/Kolkata")
    there = (datetime.datetime.fromisoformat(text) + datetime.timedelta(hours=5, minutes=30)).strftime("%Y-%m-%d %H:%M:%S.%f")
    (table,) = tables(explained(c, "SELECT * FROM t"))
    assert table["horizon"] == f"{there} Asia/Kolkata (TSO {tso})"
    # Below it even EXPLAIN has nothing to say but the horizon.
    assert fails(c, "EXPLAIN SELECT * FROM t AS OF TIMESTAMP '2022-01-01'") == (8055 if wire == "mysql" else "72000")


@pytest.mark.parametrize("wire", WIRES)
def test_explain_of_changes_explains_their_reading_part_and_changes_nothing(demo, wire):
    run(connect(demo, wire), f"CREATE DATABASE changes_{wire}")
    c = connect(demo, wire, f"changes_{wire}")
    run(c, "CREATE TABLE t (id INT, v INT)", "INSERT INTO t VALUES (1, 10), (2, 20)", "INSERT INTO t VALUES (7, 70)")
    before = now(c)
    state = rows(c, "SELECT * FROM t ORDER BY id"), rows(c, "SHOW FILES FROM t")
    # No file version was written either, not even one that ended at once.
    versions = tables(explained(c, "SELECT * FROM t"))[0]["files"]
    assert versions.endswith("; 2 versions in all")
    for verb in ("EXPLAIN", "EXPLAIN ANALYZE"):
        for change in ("UPDATE t SET v = 0 WHERE id = 7", "DELETE FROM t WHERE id = 7", "INSERT INTO t SELECT id + 100, v FROM t WHERE id = 7"):
            (table,) = tables(explained(c, change, verb))
            assert table["table"] == f"changes_{wire}.t" and table["files"].startswith("1 of 2 visible files kept, 1 rows"), change
            assert table["pruned"] == "1 files: their ranges of id hold no matching row" and table["read time"].endswith("from now)")
        (table,) = tables(explained(c, f"INSERT INTO t SELECT * FROM t AS OF TIMESTAMP '{before}'", verb))
        assert table["read time"].startswith(before) and table["read time"].endswith("from table clause)")
    assert (rows(c, "SELECT * FROM t ORDER BY id"), rows(c, "SHOW FILES FROM t")) == state
    assert tables(explained(c, "SELECT * FROM t"))[0]["files"] == versions


@pytest.mark.parametrize("wire", WIRES)
def test_explain_analyze_runs_the_query_and_plain_explain_does_not(demo, wire):
    c = connect(demo, wire)
    query = "SELECT id FROM oss_orders WHERE id <= 3"
    plan = "\n".join(detail for item, detail in explained(c, query, "EXPLAIN ANALYZE") if item == "plan")
    assert "metrics=[" in plan and "output_rows=3" in plan
    assert "metrics" not in "\n".join(detail for _, detail in explained(c, query))
    kinds = [item for item, _ in explained(c, query, "EXPLAIN VERBOSE")]
    assert "logical plan" in kinds and kinds.index("logical plan") < kinds.index("plan")
    wait = "SLEEP(0.5)" if wire == "mysql" else "pg_sleep(0.5)"
    began = time.monotonic()
    explained(c, f"SELECT {wait}")
    planned = time.monotonic()
    explained(c, f"SELECT {wait}", "EXPLAIN ANALYZE")
    assert planned - began < 0.5 <= time.monotonic() - planned


@pytest.mark.parametrize("wire", WIRES)
def test_explain_as_json_is_one_document_with_what_the_lines_say(demo, wire):
    c = connect(demo, wire)
    query = f"SELECT * FROM oss_orders WHERE created < '2022-06-10' AS OF TIMESTAMP '{AT}'"
    lines = explained(c, query)
    names, got = shown(c, ("EXPLAIN FORMAT=JSON " if wire == "mysql" else "EXPLAIN (FORMAT JSON) ") + query)
    assert names == ["EXPLAIN" if wire == "mysql" else "QUERY PLAN"] and len(got) == 1
    document = got[0][0] if not isinstance(got[0][0], str) else json.loads(got[0][0])
    assert document == {"tables": tables(lines), "plan": [detail for item, detail in lines if item == "plan"]}
    for form in ("FORMAT=TRADITIONAL", "FORMAT=TREE") if wire == "mysql" else ("(FORMAT TEXT)",):
        assert explained(c, query, f"EXPLAIN {form}") == lines
    unknown = "EXPLAIN FORMAT=XML SELECT 1" if wire == "mysql" else "EXPLAIN (FORMAT YAML) SELECT 1"
    assert fails(c, unknown) == (1791 if wire == "mysql" else "22023")


@pytest.mark.parametrize("wire", WIRES)
def test_explain_reads_through_a_view_at_the_time_of_its_reader(demo, wire):
    run(connect(demo, wire), f"CREATE DATABASE seen_{wire}")
    c = connect(demo, wire, f"seen_{wire}")
    run(c, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", "CREATE VIEW v AS SELECT id FROM t")
    before = now(c)
    run(c, f"CREATE VIEW fixed AS SELECT id FROM t AS OF TIMESTAMP '{before}'", "INSERT INTO t VALUES (2)")
    (table,) = tables(explained(c, f"SELECT * FROM v WHERE id > 0 AS OF TIMESTAMP '{before}'"))
    assert table["table"] == f"seen_{wire}.t" and table["read time"].startswith(before) and table["files"].startswith("1 of 1")
    (table,) = tables(explained(c, "SELECT * FROM fixed WHERE id > 0 AS OF TIMESTAMP NOW()"))
    assert table["read time"].startswith(before) and table["read time"].endswith("from table clause)") and table["files"].startswith("1 of 1")


# --- SHOW of files, storages and the bin ----------------------------------------------------------------------------------

FILES = ["ID", "GROUP_NAME", "TABLE_NAME", "PARTITION_NAME", "FILE_NAME", "FILE_SIZE", "ROW_COUNT", "CREATE_TIME", "COMMIT_TSO_TIME"]
STORAGE = [
    "ENGINE", "ENDPOINT_KEY", "FILE_URI", "IS_MASTER", "BYTES_READ", "BYTES_WRITTEN", "READ_OPS", "WRITE_OPS", "MAX_READ_RATE", "MAX_WRITE_RATE"]


def seconds(value):
    """A time to the second as text, whatever a driver makes of it."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime.datetime) else str(value)


def close_to_now(text, offset=datetime.timedelta()):
    at = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc) - offset
    return abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < 60


def on_disk(server, name):
    (path,) = [path for path in (server.directory / "data" / "files").rglob("*.orc") if path.name == name.rsplit("/", 1)[-1]]
    return path.stat().st_size


NUMBERS = itertools.count()


@pytest.fixture
def live(demo, request):
    """A table with two visible files and one that has ended, in a database of its own: (connection, database, wire)."""
    wire = request.param
    base = connect(demo, wire)
    name = f"live_{wire}_{next(NUMBERS)}"
    run(base, f"CREATE DATABASE {name}")
    c = connect(demo, wire, name)
    run(c, "CREATE TABLE t (id INT NOT NULL, v VARCHAR(10))", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    first = now(c)
    run(c, "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (9, 'z')")
    return c, name, wire, first


@pytest.mark.parametrize("live", WIRES, indirect=True)
def test_show_files_lists_the_visible_files_of_a_time_with_true_sizes_and_counts(demo, live):
    c, database, wire, first = live
    names, files = shown(c, "SHOW FILES FROM t")
    assert names == FILES and rows(c, "SHOW FILES IN t") == files
    assert [row[1:4] for row in files] == [(database, "t", None)] * 2
    assert sorted(row[6] for row in files) == [1, 2]
    for row in files:
        assert re.fullmatch(rf"{database.replace('_', '-')}_t_[0-9a-f-]{{36}}\.orc", row[4]), row
        assert row[5] == on_disk(demo, row[4]) and close_to_now(seconds(row[7]))
        # The TSO is that of the commit: a read at it sees the file, one just before does not.
        assert rows(c, f"SHOW FILES FROM t AS OF TSO {row[8]}").count(row) == 1
        assert row not in rows(c, f"SHOW FILES FROM t AS OF TSO {row[8] - 1}")
        assert abs((int(row[8]) >> 22) / 1000 - time.time()) < 60
    (old,) = rows(c, f"SHOW FILES FROM t AS OF TIMESTAMP '{first}'")
    assert old[6] == 3 and old[0] not in [row[0] for row in files] and old[5] == on_disk(demo, old[4])
    assert fails(c, "SHOW FILES FROM t AS OF TIMESTAMP '2022-01-01'") == (8055 if wire == "mysql" else "72000")
    assert fails(c, "SHOW FILES FROM nothing") == (1146 if wire == "mysql" else "42P01")
    # A file that is dropped is gone from the list, and its rows from the table.
    (small,) = [row for row in files if row[6] == 1]
    run(c, f"ALTER TABLE t DROP FILE '{small[4]}'")
    assert rows(c, "SHOW FILES FROM t") == [row for row in files if row != small]
    assert sorted(rows(c, "SELECT id FROM t")) == [(1,), (3,)]


@pytest.mark.parametrize("live", WIRES, indirect=True)
def test_show_filestorage_counts_what_is_read_and_written(demo, live):
    c, _, wire, _ = live
    names, (before,) = shown(c, "SHOW FILESTORAGE")
    assert names == STORAGE
    assert before[:4] == ("OSS", None, f"file://{os.path.realpath(demo.directory)}/data/files/", 1) and before[8:] == (-1, -1)
    run(c, "INSERT INTO t VALUES (77, 'counted')")
    size = max(rows(c, "SHOW FILES FROM t"), key=lambda row: row[0])[5]
    ((*_, written, read_ops, write_ops, _, _),) = rows(c, "SHOW FILESTORAGE")
    assert written - before[5] == size and write_ops - before[7] == 1
    rows(c, "SELECT * FROM t")
    (after,) = rows(c, "SHOW FILESTORAGE")
    assert after[4] > before[4] and after[6] > read_ops and after[5] == written
    assert fails(c, "DROP FILESTORAGE NFS") == (1286 if wire == "mysql" else "42704")


@pytest.mark.parametrize("live", WIRES, indirect=True)
def test_show_recyclebin_lists_dropped_tables_until_they_come_back_or_end(demo, live):
    c, database, wire, first = live

    def binned():
        names, got = shown(c, "SHOW RECYCLEBIN")
        assert names == ["Id", "NAME", "ORIGINAL_NAME", "CREATED"]
        return got

    zone(c, "Asia/Kolkata")
    others = binned()
    run(c, "DROP TABLE t")
    (entry,) = [row for row in binned() if row not in others]
    assert re.fullmatch(r"FILE_STORAGE_BIN_[0-9A-Z]{20}", entry[1]) and entry[2] == "t"
    assert close_to_now(seconds(entry[3]), datetime.timedelta(hours=5, minutes=30)), "when it was dropped, in the session's zone"
    run(c, f"FLASHBACK TABLE {entry[1]} TO BEFORE DROP")
    assert entry not in binned()
    zone(c, "UTC")
    assert rows(c, f"SELECT COUNT(*) FROM t AS OF TIMESTAMP '{first}'") == [(3,)]
    run(c, "DROP TABLE t")
    (again,) = [row for row in binned() if row not in others]
    assert again[0] != entry[0]
    run(c, f"PURGE TABLE {again[1]}")
    assert [row[1] for row in binned()] == [row[1] for row in others]


# --- information_schema of PolarDB-X ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", ["mysql"], indirect=True)
def test_information_schema_files_holds_the_visible_files_as_show_files_does(demo, live):
    c, database, _, _ = live
    names, _ = shown(c, "SELECT * FROM information_schema.FILES LIMIT 0")
    # MySQL 8.0's columns, in its order.
    assert names == """FILE_ID FILE_NAME FILE_TYPE TABLESPACE_NAME TABLE_CATALOG TABLE_SCHEMA TABLE_NAME LOGFILE_GROUP_NAME LOGFILE_GROUP_NUMBER ENGINE
        FULLTEXT_KEYS DELETED_ROWS UPDATE_COUNT FREE_EXTENTS TOTAL_EXTENTS EXTENT_SIZE INITIAL_SIZE MAXIMUM_SIZE AUTOEXTEND_SIZE CREATION_TIME
        LAST_UPDATE_TIME LAST_ACCESS_TIME RECOVER_TIME TRANSACTION_COUNTER VERSION ROW_FORMAT TABLE_ROWS AVG_ROW_LENGTH DATA_LENGTH MAX_DATA_LENGTH
        INDEX_LENGTH DATA_FREE CREATE_TIME UPDATE_TIME CHECK_TIME CHECKSUM STATUS EXTRA""".split()
    got = rows(
        c, "SELECT FILE_ID, TABLE_SCHEMA, TABLE_NAME, FILE_NAME, EXTENT_SIZE, TABLE_ROWS, CREATE_TIME, FILE_TYPE, ENGINE, DATA_LENGTH"
        f" FROM information_schema.FILES WHERE TABLE_SCHEMA = '{database}' ORDER BY FILE_ID")
    files = sorted(rows(c, "SHOW FILES FROM t"))
    got = [(*row[:6], seconds(row[6]), *row[7:]) for row in got]
    assert got == [(id_, group, table, name, size, count, made, "TABLE_FILE", "OSS", size) for id_, group, table, _, name, size, count, made, _ in files]


@pytest.mark.parametrize("live", ["mysql"], indirect=True)
def test_information_schema_file_storage_files_meta_holds_every_version_with_both_times(demo, live):
    c, database, _, first = live
    names, everything = shown(c, "SELECT * FROM information_schema.FILE_STORAGE_FILES_META")
    assert names == ["ENGINE", "DATA_PATH", "COMMIT_TS", "REMOVE_TS"]
    mine = {row[1]: row for row in everything if row[1].rsplit("/", 1)[-1].startswith(database.replace("_", "-"))}
    files = {row[4]: row for row in rows(c, "SHOW FILES FROM t")}
    (old,) = rows(c, f"SHOW FILES FROM t AS OF TIMESTAMP '{first}'")
    assert mine.keys() == files.keys() | {old[4]}
    for name, row in files.items():
        assert mine[name] == ("OSS", name, row[8], None)
    # The rewritten file ends at the moment at which its successor begins.
    (successor,) = [row for row in files.values() if row[6] == 2]
    assert mine[old[4]] == ("OSS", old[4], old[8], successor[8])
    # A dropped table's versions stay until the bin forgets them.
    run(c, "DROP TABLE t")
    dropped = {row[1]: row for row in rows(c, "SELECT * FROM information_schema.FILE_STORAGE_FILES_META") if row[1] in mine}
    assert dropped.keys() == mine.keys()


def test_information_schema_file_storage_names_every_storage(demo):
    c = mysql(demo)
    names, got = shown(c, "SELECT * FROM information_schema.FILE_STORAGE")
    assert names == ["URI", "ENGINE", "ROLE", "READ_LOCK_COUNT", "WRITE_LOCK_COUNT"]
    ((_, _, uri, *_),) = rows(c, "SHOW FILESTORAGE")
    assert got == [(uri, "OSS", "MASTER", 0, 0)]


# --- the SHOW family of MySQL -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(demo):
    base = mysql(demo)
    run(base, "CREATE DATABASE shop")
    c = mysql(demo, "shop")
    run(
        c, "CREATE TABLE orders (id BIGINT NOT NULL, item VARCHAR(40) DEFAULT 'tea' COMMENT 'what', placed DATETIME DEFAULT CURRENT_TIMESTAMP, "
        "PRIMARY KEY (id), UNIQUE KEY ui (item, placed), KEY kp (placed)) COMMENT='the orders'",
        "INSERT INTO orders (id) VALUES (1), (2)", "INSERT INTO orders VALUES (3, 'x', NULL)", "CREATE VIEW few AS SELECT id FROM orders WHERE id < 3")
    return c


def test_show_columns_and_describe_are_mysqls(shop):
    short = ["Field", "Type", "Null", "Key", "Default", "Extra"]
    lines = [
        ("id", "bigint", "NO", "PRI", None, ""),
        ("item", "varchar(40)", "YES", "MUL", "tea", ""),
        ("placed", "datetime", "YES", "MUL", "CURRENT_TIMESTAMP", "DEFAULT_GENERATED"),
    ]
    for statement in ("SHOW COLUMNS FROM orders", "SHOW FIELDS IN orders FROM shop", "DESCRIBE orders", "DESC shop.orders", "EXPLAIN orders"):
        assert shown(shop, statement) == (short, lines), statement
    assert rows(shop, "SHOW COLUMNS FROM orders LIKE 'i%'") == lines[:2]
    assert rows(shop, "SHOW COLUMNS FROM orders WHERE `Key` = 'PRI'") == lines[:1]
    assert rows(shop, "DESCRIBE orders placed") == lines[2:]
    names, full = shown(shop, "SHOW FULL COLUMNS FROM orders")
    assert names == ["Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"]
    assert [(row[:2] + row[3:7]) for row in full] == lines
    assert [(row[2], row[7], row[8]) for row in full] == [
        (None, "select,insert,update,references", ""), ("utf8mb4_0900_ai_ci", "select,insert,update,references", "what"),
        (None, "select,insert,update,references", "")]
    assert fails(shop, "SHOW COLUMNS FROM nothing") == 1146


def test_show_index_lists_each_column_of_each_key(shop):
    names, got = shown(shop, "SHOW INDEX FROM orders")
    assert names == ["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name", "Collation", "Cardinality", "Sub_part", "Packed", "Null",
                     "Index_type", "Comment", "Index_comment", "Visible", "Expression"]
    assert [row[:6] + row[7:12] + row[13:] for row in got] == [
        ("orders", unique, key, number, column, "A", None, None, null, "BTREE", "", "YES", None)
        for unique, key, number, column, null in (
            (0, "PRIMARY", 1, "id", ""), (0, "ui", 1, "item", "YES"), (0, "ui", 2, "placed", "YES"), (1, "kp", 1, "placed", "YES"))]
    assert {row[6] for row in got} == {3} and {row[12] for row in got} == {"documentation only: not enforced"}
    for statement in ("SHOW INDEXES IN orders", "SHOW KEYS FROM orders FROM shop"):
        assert shown(shop, statement) == (names, got)
    assert [row[4] for row in rows(shop, "SHOW INDEX FROM orders WHERE Key_name = 'ui'")] == ["item", "placed"]


def test_show_table_status_tells_rows_and_bytes_of_a_live_table(shop):
    names, (table,) = shown(shop, "SHOW TABLE STATUS LIKE 'orders'")
    assert names == ["Name", "Engine", "Version", "Row_format", "Rows", "Avg_row_length", "Data_length", "Max_data_length", "Index_length", "Data_free",
                     "Auto_increment", "Create_time", "Update_time", "Check_time", "Collation", "Checksum", "Create_options", "Comment"]
    size = sum(row[5] for row in rows(shop, "SHOW FILES FROM orders"))
    told = dict(zip(names, table))
    assert close_to_now(seconds(told.pop("Create_time")))
    assert told == {
        "Name": "orders", "Engine": "OSS", "Version": 10, "Row_format": "Compressed", "Rows": 3, "Avg_row_length": size // 3, "Data_length": size,
        "Max_data_length": 0, "Index_length": 0, "Data_free": 0, "Auto_increment": None, "Update_time": None, "Check_time": None,
        "Collation": "utf8mb4_0900_ai_ci", "Checksum": None, "Create_options": "", "Comment": "the orders"}
    everything = rows(shop, "SHOW TABLE STATUS FROM shop")
    assert [(row[0], row[1], row[4], row[17]) for row in everything] == [("few", None, None, "VIEW"), ("orders", "OSS", 3, "the orders")]


def test_show_tables_databases_and_create(shop):
    assert shown(shop, "SHOW TABLES") == (["Tables_in_shop"], [("few",), ("orders",)])
    assert shown(shop, "SHOW FULL TABLES") == (["Tables_in_shop", "Table_type"], [("few", "VIEW"), ("orders", "BASE TABLE")])
    assert shown(shop, "SHOW TABLES FROM demo LIKE 'oss_o%'") == (["Tables_in_demo (oss_o%)"], [("oss_orders",)])
    assert rows(shop, "SHOW FULL TABLES WHERE Table_type = 'VIEW'") == [("few", "VIEW")]
    assert shown(shop, "SHOW DATABASES LIKE 'sh%'") == (["Database (sh%)"], [("shop",)])
    names, got = shown(shop, "SHOW DATABASES")
    assert names == ["Database"] and {("demo",), ("shop",), ("information_schema",), ("performance_schema",)} <= set(got) and got == sorted(got)
    assert shown(shop, "SHOW CREATE TABLE orders") == (["Table", "Create Table"], [("orders", (
        "CREATE TABLE `orders` (\n  `id` bigint NOT NULL,\n  `item` varchar(40) DEFAULT 'tea' COMMENT 'what',\n"
        "  `placed` datetime DEFAULT CURRENT_TIMESTAMP,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `ui` (`item`,`placed`),\n  KEY `kp` (`placed`)\n"
        ") ENGINE='OSS' DEFAULT CHARSET=utf8mb4 COMMENT='the orders'"))])
    names, ((view, text, charset, collation),) = shown(shop, "SHOW CREATE VIEW few")
    assert names == ["View", "Create View", "character_set_client", "collation_connection"]
    assert (view, text, charset) == ("few", "CREATE VIEW `few` AS SELECT id FROM orders WHERE id < 3", "utf8mb4") and collation.startswith("utf8mb4_")
    names, ((database, text),) = shown(shop, "SHOW CREATE DATABASE shop")
    assert names == ["Database", "Create Database"] and database == "shop" and text.startswith("CREATE DATABASE `shop` ")


def test_what_show_create_table_says_makes_the_same_table(shop):
    ((_, text),) = rows(shop, "SHOW CREATE TABLE orders")
    run(shop, "CREATE DATABASE made", "USE made", text)
    assert rows(shop, "SHOW CREATE TABLE orders") == [("orders", text)]
    run(shop, "USE shop", "DROP DATABASE made")


def test_show_processlist_status_and_grants_tell_of_this_connection(demo, shop):
    ((mine,),) = rows(shop, "SELECT CONNECTION_ID()")
    columns = ["Id", "User", "Host", "db", "Command", "Time", "State", "Info"]
    other = mysql(demo, "demo")
    ((theirs,),) = rows(other, "SELECT CONNECTION_ID()")
    for statement in ("SHOW PROCESSLIST", "SHOW FULL PROCESSLIST"):
        names, got = shown(shop, statement)
        assert names == columns
        found = {row[0]: row for row in got}
        assert found[mine][1] == "root" and found[mine][2].startswith("127.0.0.1") and found[mine][3:5] == ("shop", "Query")
        assert found[theirs][3:5] == ("demo", "Sleep") and found[theirs][5] < 60
    assert int(dict(rows(shop, "SHOW STATUS"))["Threads_connected"]) >= 2
    other.close()
    assert eventually(lambda: theirs not in [row[0] for row in rows(shop, "SHOW PROCESSLIST")])
    names, got = shown(shop, "SHOW STATUS")
    status = dict(got)
    assert names == ["Variable_name", "Value"] and int(status["Uptime"]) < 3600
    # Connections of other tests may end between the two answers.
    counted = lambda: int(dict(rows(shop, "SHOW STATUS"))["Threads_connected"])
    assert eventually(lambda: counted() == len(rows(shop, "SHOW PROCESSLIST")))
    assert [row[0] for row in rows(shop, "SHOW GLOBAL STATUS LIKE 'Up%'")] == ["Uptime"]
    assert shown(shop, "SHOW VARIABLES LIKE 'flashback_read_time'") == (["Variable_name", "Value"], [("flashback_read_time", "")])
    names, ((grants,),) = shown(shop, "SHOW GRANTS")
    assert names == ["Grants for root@%"] and re.fullmatch(r"GRANT .*SELECT.* ON \*\.\* TO `root`@`%`", grants)
    names, got = shown(shop, "SHOW PRIVILEGES")
    assert names == ["Privilege", "Context", "Comment"] and "Select" in [row[0].capitalize() for row in got]


def test_show_engines_plugins_character_sets_and_collations(shop):
    names, got = shown(shop, "SHOW ENGINES")
    assert names == ["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"]
    assert [row[:2] + row[3:] for row in got] == [("OSS", "DEFAULT", "YES", "NO", "YES")]
    assert shown(shop, "SHOW STORAGE ENGINES") == (names, got)
    names, got = shown(shop, "SHOW PLUGINS")
    assert names == ["Name", "Status", "Type", "Library", "License"]
    assert ("OSS", "ACTIVE", "STORAGE ENGINE") in [row[:3] for row in got] and ("caching_sha2_password", "ACTIVE", "AUTHENTICATION") in [row[:3] for row in got]
    assert shown(shop, "SHOW CHARACTER SET LIKE 'utf8mb4'") == (
        ["Charset", "Description", "Default collation", "Maxlen"], [("utf8mb4", "UTF-8 Unicode", "utf8mb4_0900_ai_ci", 4)])
    names, got = shown(shop, "SHOW COLLATION WHERE Charset = 'utf8mb4' AND `Default` = 'Yes'")
    assert names == ["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen", "Pad_attribute"]
    assert [row[:5] for row in got] == [("utf8mb4_0900_ai_ci", "utf8mb4", 255, "Yes", "Yes")]


ROUTINES = ["Db", "Name", "Type", "Definer", "Modified", "Created", "Security_type", "Comment", "character_set_client", "collation_connection",
            "Database Collation"]
EMPTY = {
    "SHOW TRIGGERS": ["Trigger", "Event", "Table", "Statement", "Timing", "Created", "sql_mode", "Definer", "character_set_client",
                      "collation_connection", "Database Collation"],
    "SHOW EVENTS": ["Db", "Name", "Definer", "Time zone", "Type", "Execute at", "Interval value", "Interval field", "Starts", "Ends", "Status",
                    "Originator", "character_set_client", "collation_connection", "Database Collation"],
    "SHOW PROCEDURE STATUS": ROUTINES,
    "SHOW FUNCTION STATUS": ROUTINES,
    "SHOW OPEN TABLES": ["Database", "Table", "In_use", "Name_locked"],
    "SHOW MASTER STATUS": ["File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB", "Executed_Gtid_Set"],
    "SHOW PROFILES": ["Query_ID", "Duration", "Query"],
}


@pytest.mark.parametrize("statement", EMPTY)
def test_lists_of_what_does_not_exist_are_empty_and_have_mysqls_columns(shop, statement):
    assert shown(shop, statement) == (EMPTY[statement], [])


def test_show_replica_status_is_empty_and_binary_logs_are_refused(shop):
    names, got = shown(shop, "SHOW REPLICA STATUS")
    assert names[0] == "Replica_IO_State" and got == []
    assert fails(shop, "SHOW BINARY LOGS") == 1290


def test_show_slave_status_has_the_column_names_of_old(shop):
    names, got = shown(shop, "SHOW SLAVE STATUS")
    assert names[0] == "Slave_IO_State" and got == []


def test_a_decimal_default_is_shown_with_the_columns_scale(shop):
    run(shop, "CREATE TABLE scaled (n DECIMAL(5,2) NOT NULL DEFAULT 1.5)")
    assert rows(shop, "SHOW COLUMNS FROM scaled") == [("n", "decimal(5,2)", "NO", "", "1.50", "")]


def test_show_warnings_and_errors_tell_of_the_statement_before_and_counts_agree(shop):
    columns = ["Level", "Code", "Message"]
    run(shop, "CREATE TABLE warned (id INT PRIMARY KEY)")
    want = [("Warning", 1105, "keys are kept as documentation; they are not enforced")]
    assert shown(shop, "SHOW WARNINGS") == (columns, want) and shown(shop, "SHOW ERRORS") == (columns, [])
    assert shown(shop, "SHOW COUNT(*) WARNINGS") == (["@@session.warning_count"], [(1,)])
    assert rows(shop, "SHOW COUNT(*) ERRORS") == [(0,)]
    assert fails(shop, "SELECT nothing FROM warned") == 1054
    want = [("Error", 1054, "Unknown column 'nothing' in 'field list'")]
    assert shown(shop, "SHOW ERRORS") == (columns, want) and shown(shop, "SHOW WARNINGS") == (columns, want)
    assert shown(shop, "SHOW COUNT(*) ERRORS") == (["@@session.error_count"], [(1,)])
    run(shop, "DROP TABLE warned")
    assert shown(shop, "SHOW WARNINGS") == (columns, [])


# --- psql's lists ---------------------------------------------------------------------------------------------------------


def test_psqls_commands_list_what_is_there_and_nothing_else(demo):
    run(postgres(demo, "demo"), "CREATE DATABASE listed")
    run(
        postgres(demo, "listed"), "CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, item VARCHAR(40))", "CREATE TABLE keyed (a INT, b INT, UNIQUE (a))",
        "CREATE VIEW few AS SELECT id FROM orders")

    def lines(*commands):
        return [line.split("|") for line in psql(demo, "\n".join(commands) + "\n", "-At", database="listed").stdout.splitlines()]

    assert lines("\\dn") == [["public", "root"]]
    assert [line[0] for line in lines("\\du")] == ["root"] and "Superuser" in lines("\\du")[0][1]
    assert lines("\\di") == [["public", "keyed_a_key", "index", "root", "keyed"], ["public", "orders_pkey", "index", "root", "orders"]]
    assert [line[:3] for line in lines("\\dp")] == [["public", "few", "view"], ["public", "keyed", "table"], ["public", "orders", "table"]]
    assert lines("\\z orders")[0][:3] == ["public", "orders", "table"] and len(lines("\\z orders")) == 1
    assert lines("\\encoding") == [["UTF8"]]
    host, port = demo.postgres
    assert lines("\\conninfo") == [[f'You are connected to database "listed" as user "root" on host "{host}" at port "{port}".']]
    # There are none of these, and nothing of the server's own is shown as the user's.
    for command in ("\\df", "\\dT", "\\ds", "\\dm", "\\dx"):
        done = psql(demo, command + "\n", "-At", database="listed")
        assert done.stdout == "" and done.stderr in ("", "Did not find any relations.\n"), command
