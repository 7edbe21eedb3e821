"""What goes wrong outside: logins, times, damaged objects, failing stores, locked metadata. The client reads what happened and
what to do, other clients go on, nothing is lost, nothing panics, no secret gets out."""

import pathlib
import shutil
import socket
import sqlite3
import struct

import psycopg
import pymysql
import pytest

from conftest import command, eventually
from test_concurrency import fails
from wires import mysql, now, postgres, rows, run


@pytest.fixture(scope="module")
def database(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE b")
    return server


# --- who, where, when ----------------------------------------------------------------------------------------------------


def test_an_unknown_database_is_an_error_at_login_and_later(database):
    fails(1049, mysql, database, "nowhere")
    with pytest.raises(psycopg.OperationalError, match="nowhere"):
        postgres(database, "nowhere")
    fails(1049, run, mysql(database), "USE nowhere")
    fails(1046, rows, mysql(database), "SELECT * FROM t")


def test_a_wrong_password_is_refused_on_both_wires(start, tmp_path):
    data = tmp_path / "server0" / "data"
    assert command("user", "add", "ann", "--password-stdin", "--data-dir", data, stdin="Quince7Marmalade\n").returncode == 0
    server = start()
    fails(1045, lambda: mysql(server, user="ann", password="Plum4Chutney"))
    with pytest.raises(psycopg.OperationalError, match="password"):
        postgres(server, user="ann", password="Plum4Chutney")
    assert rows(mysql(server, user="ann", password="Quince7Marmalade"), "SELECT 1") == [(1,)]
    assert "Quince7Marmalade" not in server.log() and "Plum4Chutney" not in server.log()


@pytest.mark.parametrize("wire", ["mysql", "postgres"])
def test_times_that_cannot_be_read_are_errors_that_say_why(database, wire):
    c = mysql(database, "b") if wire == "mysql" else postgres(database, "b")
    run(c, f"CREATE TABLE times_{wire} (id INT)", f"INSERT INTO times_{wire} VALUES (1)")
    code = {"mysql": 1210, "postgres": "22023"}[wire]
    error = fails(code, rows, c, f"SELECT * FROM times_{wire} AS OF TIMESTAMP '2099-01-01 00:00:00'")
    assert "2099-01-01" in str(error)
    fails(code, rows, c, f"SELECT * FROM times_{wire} AS OF TIMESTAMP id")
    fails(code, rows, c, f"SELECT * FROM times_{wire} AS OF TIMESTAMP 'yesterday evening'")
    # Before the table was made it had no rows, or it is unknown; never an internal error.
    fails({"mysql": 1146, "postgres": "42P01"}[wire], rows, c, "SELECT * FROM nothing AS OF TIMESTAMP '2020-01-01'")


@pytest.mark.parametrize("wire", ["mysql", "postgres"])
def test_a_purged_time_is_an_error_that_names_the_horizon_not_fewer_rows(database, wire):
    c = mysql(database, "b") if wire == "mysql" else postgres(database, "b")
    name = f"purged_{wire}"
    run(c, f"CREATE TABLE {name} (id INT)", f"INSERT INTO {name} VALUES (1)")
    first = now(c)
    run(c, f"DELETE FROM {name}")
    second = now(c)
    run(c, f"INSERT INTO {name} VALUES (2)")
    third = now(c)
    assert rows(c, f"SELECT id FROM {name} AS OF TIMESTAMP '{first}'") == [(1,)]
    # The guard names the way past it; the preview changes nothing.
    error = fails({"mysql": 1290, "postgres": "55000"}[wire], run, c, f"ALTER TABLE {name} PURGE BEFORE TIMESTAMP '{second}'")
    text = str(error) + str(getattr(getattr(error, "diag", None), "message_hint", ""))
    assert "BACKUP_OSS_PERIOD" in text and "PREVIEW" in text
    preview = rows(c, f"ALTER TABLE {name} PURGE BEFORE TIMESTAMP '{second}' PREVIEW")
    assert len(preview) == 1 and preview[0][2:4] == (1, 1)
    assert rows(c, f"SELECT id FROM {name} AS OF TIMESTAMP '{first}'") == [(1,)]
    run(c, f"/*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=0)*/ ALTER TABLE {name} PURGE BEFORE TIMESTAMP '{second}'")
    error = fails({"mysql": 8055, "postgres": "72000"}[wire], rows, c, f"SELECT id FROM {name} AS OF TIMESTAMP '{first}'")
    assert second[:19] in str(error), "names the horizon"
    assert rows(c, f"SELECT id FROM {name} AS OF TIMESTAMP '{third}'") == [(2,)]
    assert rows(c, f"SELECT id FROM {name} AS OF TIMESTAMP '{second}'") == []


def test_destructive_statements_are_refused_with_a_preview_to_look_at(database):
    c = mysql(database, "b")
    run(c, "CREATE TABLE guarded (id INT) ENGINE='OSS'", "INSERT INTO guarded VALUES (1)")
    for statement in ("CLEAR FILESTORAGE OSS", "ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP NOW()"):
        assert "PREVIEW" in str(fails(1290, run, c, statement))
    fails(1290, run, c, "DROP FILESTORAGE OSS")
    for statement in ("CLEAR FILESTORAGE OSS PREVIEW", "ALTER FILESTORAGE OSS BACKUP PREVIEW", f"ALTER FILESTORAGE OSS AS OF TIMESTAMP '{now(c)}' PREVIEW"):
        assert rows(c, statement)
    assert rows(c, "SELECT * FROM guarded") == [(1,)]


def test_non_utf8_sql_and_unknown_commands_are_errors_and_the_connection_goes_on(database):
    c = mysql(database, "b")
    with pytest.raises(pymysql.err.Error):
        c._execute_command(3, b"SELECT '\xff\xfe'")
        c._read_query_result()
    assert rows(c, "SELECT 1") == [(1,)]
    for unknown in (0x05, 0x12, 0x1D, 0x7F):
        c._execute_command(unknown, b"x")
        with pytest.raises(pymysql.err.Error):
            c._read_ok_packet()
    assert rows(c, "SELECT 1") == [(1,)]
    with socket.create_connection(database.postgres) as raw:
        body = struct.pack(">I", 3 << 16) + b"user\0root\0database\0b\0\0"
        raw.sendall(struct.pack(">I", len(body) + 4) + body)
        data = b""
        while not data.endswith(b"Z\0\0\0\x05I"):
            data += raw.recv(4096)
        text = b"SELECT '\xff\xfe'\0"
        raw.sendall(b"Q" + struct.pack(">I", len(text) + 4) + text)
        data = b""
        while not data.endswith(b"Z\0\0\0\x05I"):
            data += raw.recv(4096)
        assert b"C22021\0" in data
        text = b"SELECT 7\0"
        raw.sendall(b"Q" + struct.pack(">I", len(text) + 4) + text)
        data = b""
        while not data.endswith(b"Z\0\0\0\x05I"):
            data += raw.recv(4096)
        assert b"\x017" in data


# --- objects ---------------------------------------------------------------------------------------------------------------


def object_of(server, c, table):
    (name,) = [row[4] for row in rows(c, f"SHOW FILES FROM {table}")]
    (path,) = [path for path in (server.directory / "data" / "files").rglob("*.orc") if path.name == name.rsplit("/", 1)[-1]]
    return path


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "foreign", "flipped"])
def test_a_damaged_object_is_an_error_that_names_it_and_other_tables_work(start, damage):
    server = start()
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE hurt (id INT, name VARCHAR(20))", "CREATE TABLE fine (id INT)")
    run(c, "INSERT INTO hurt VALUES (1, 'one'), (2, 'two')", "INSERT INTO fine VALUES (1)")
    path = object_of(server, c, "hurt")
    whole = path.read_bytes()
    assert server.stop() == 0  # no cache of the file may be left
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "foreign": b"PAR1" + whole[4:-4] + b"PAR1",
                          "flipped": whole[:-20] + bytes(b ^ 0xFF for b in whole[-20:])}[damage])
    server = start(directory=server.directory)
    c, p = mysql(server, "b"), postgres(server, "b")
    for statement in ("SELECT * FROM hurt", "SELECT COUNT(DISTINCT name) FROM hurt", "UPDATE hurt SET id = 5", "DELETE FROM hurt WHERE id = 1"):
        assert path.name in str(fails(1030, rows, c, statement)), statement
    assert path.name in str(fails("58030", rows, p, "SELECT * FROM hurt"))
    assert rows(c, "SELECT * FROM fine") == [(1,)]
    assert [row for row in rows(c, "CHECK TABLE hurt") if row[2] == "error"]
    run(c, "INSERT INTO fine VALUES (2)")
    path.write_bytes(whole)
    assert rows(c, "SELECT * FROM hurt ORDER BY id") == [(1, "one"), (2, "two")]
    assert "panicked" not in server.log()


def test_a_store_that_cannot_be_read_for_a_while_is_an_error_and_then_works(start):
    server = start()
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
    server.stop()
    server = start(directory=server.directory, env={"FLASHGATE_STORE_FAULT": "get:error*1"})
    fails(1030, rows, mysql(server, "b"), "SELECT id FROM t")
    assert rows(mysql(server, "b"), "SELECT id FROM t") == [(1,)]


def test_a_slow_store_can_be_waited_for_or_cancelled(start):
    server = start()
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", "CREATE TABLE quick (id INT)")
    server.stop()
    server = start(directory=server.directory, env={"FLASHGATE_STORE_FAULT": "get:slow=1s@b_t_*1,get:slow=60s@b_t_"})
    c = mysql(server, "b")
    run(c, "SET max_execution_time = 2000")
    fails(3024, rows, c, "SELECT id FROM t")
    assert rows(c, "SELECT * FROM quick") == []


@pytest.mark.parametrize(("fault", "says"), [("put:error*5", "500"), ("put:full*5", "space")])
def test_a_store_that_cannot_be_written_is_an_error_and_loses_nothing(start, fault, says):
    server = start()
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2), (3)")
    server.stop()
    server = start(directory=server.directory, env={"FLASHGATE_STORE_FAULT": fault})
    c, p = mysql(server, "b"), postgres(server, "b")
    for statement in ("INSERT INTO t VALUES (4)", "INSERT INTO t SELECT id + 10 FROM t", "UPDATE t SET id = id + 1", "DELETE FROM t WHERE id = 2"):
        assert says in str(fails(1030, run, c, statement))
        assert rows(p, "SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]
    # A script of two statements is one transaction: the failure of its first takes the whole back.
    assert says in str(fails("58030", run, p, "DELETE FROM t WHERE id = 1 OR id = 2; INSERT INTO t VALUES (9)"))
    assert rows(c, "SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]
    run(p, "INSERT INTO t VALUES (4)")
    assert rows(c, "SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,), (4,)]
    assert server.stop() == 0


def test_a_sweep_that_fails_is_tried_again(start):
    server = start(env={"FLASHGATE_STORE_FAULT": "delete:error*2", "FLASHGATE_PURGE_SWEEP_INTERVAL": "200ms", "FLASHGATE_PURGE_GARBAGE_DELAY": "0s"})
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", "DROP TABLE t", "PURGE RECYCLEBIN")
    files = server.directory / "data" / "files"
    assert eventually(lambda: not list(files.rglob("*.orc")), timeout=10), server.log()


# --- metadata ---------------------------------------------------------------------------------------------------------------


def test_metadata_locked_by_another_process_is_an_error_and_then_works(start):
    server = start()
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
    other = sqlite3.connect(server.directory / "data" / "gms.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE" if other.execute("PRAGMA journal_mode").fetchone()[0] != "wal" else "BEGIN IMMEDIATE")
    error = fails(1030, run, c, "INSERT INTO t VALUES (2)")
    assert "lock" in str(error) or "busy" in str(error)
    assert rows(c, "SELECT id FROM t") == [(1,)]
    other.execute("ROLLBACK")
    run(c, "INSERT INTO t VALUES (3)")
    assert rows(c, "SELECT id FROM t ORDER BY id") == [(1,), (3,)]
    assert server.stop() == 0 and "panicked" not in server.log()


@pytest.mark.parametrize("damage", ["noise", "truncated"])
def test_damaged_metadata_stops_the_start_with_a_sentence(start, damage):
    server = start()
    run(mysql(server), "CREATE DATABASE b", "CREATE TABLE b.t (id INT)")
    server.stop()
    data = server.directory / "data"
    whole = (data / "gms.db").read_bytes()
    for path in data.glob("gms.db-*"):
        path.unlink()
    (data / "gms.db").write_bytes(b"not a database" * 1000 if damage == "noise" else whole[: len(whole) // 3])
    done = command("serve", "--data-dir", data, "--mysql-listen", "127.0.0.1:0", "--postgres-listen", "127.0.0.1:0", "--http-listen", "off")
    assert done.returncode == 1 and "gms.db" in done.stderr and "panicked" not in done.stderr, done.stderr


def test_a_second_process_on_one_data_directory_is_refused_and_the_first_goes_on(start):
    one = start()
    c = mysql(one)
    run(c, "CREATE DATABASE b", "CREATE TABLE b.t (id INT)", "INSERT INTO b.t VALUES (1)")
    data = one.directory / "data"
    for _ in range(2):
        two = command("serve", "--data-dir", data, "--mysql-listen", "127.0.0.1:0", "--postgres-listen", "127.0.0.1:0", "--http-listen", "off")
        assert two.returncode == 1 and two.stdout == "", two.stdout + two.stderr
        assert f"{data / 'gms.db'} is in use by another Flashgate" in two.stderr and "panicked" not in two.stderr
    run(c, "INSERT INTO b.t VALUES (2)")
    assert rows(mysql(one, "b"), "SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    # Neither a clean end nor a death leaves the directory locked.
    one.kill()
    again = start(directory=one.directory)
    assert rows(mysql(again, "b"), "SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    assert again.stop() == 0
    assert rows(mysql(start(directory=one.directory), "b"), "SELECT id FROM t ORDER BY id") == [(1,), (2,)]


# --- secrets ----------------------------------------------------------------------------------------------------------------


def answer(connection, statement):
    """What the server sends for a statement, rows or error, as text."""
    try:
        return str(rows(connection, statement))
    except Exception as error:  # noqa: BLE001: errors are read too
        # psycopg prints the client's own statement beside the server's message: only what the server sent counts.
        diag = getattr(error, "diag", None)
        return f"{diag.message_primary} {diag.message_detail} {diag.message_hint}" if diag and diag.sqlstate else str(error)


def test_secrets_never_come_back_out(start, seaweed):
    seaweed.bucket("secrets")
    server = start(env={"FLASHGATE_LOG_LEVEL": "info,flashgate=trace"})
    c, p = mysql(server), postgres(server)
    right, wrong = seaweed.secret, "S3cr3tKey4711"

    def keys(secret):
        return f"'ACCESS_KEY_ID'='{seaweed.key}', 'ACCESS_KEY_SECRET'='{secret}'"

    uri = "'FILE_URI'='s3://secrets/p/'"
    create = f"CREATE FILESTORAGE S3 WITH ({uri}, 'ENDPOINT'='{seaweed.endpoint}', {keys(right)})"
    seen = [answer(connection, statement) for connection in (c, p) for statement in (
        f"CREATE FILESTORAGE NFS WITH ('FILE_URI'='s3://secrets/n/', 'ENDPOINT'='{seaweed.endpoint}', {keys(wrong)})",
        f"CREATE FILESTORAGE S3 WITH ({uri}, 'ENDPOINT'='http://127.0.0.1:1', {keys(right)}, 'NO_SUCH_KEY'='{wrong}')",
        f"CREATE FILESTORAGE NFS WITH ({keys(wrong)}",
        f"CREATE FILESTORAGE NFS WITH ({uri}, 'ACCESS_KEY_SECRET'='{wrong}')",
        f"CREATE FILESTORAGE NFS WITH ({uri}, {keys(wrong)}, 'PRIORITY'='high')",
    )]
    assert all(text != "[]" for text in seen), f"none of these may succeed: {seen}"
    # From here on there is a storage whose secret could leak.
    run(c, create, "CREATE DATABASE b", "CREATE TABLE b.t (id INT) ENGINE='S3'", "INSERT INTO b.t VALUES (1), (2)")
    look = (
        create, "SHOW FILESTORAGE", "SELECT * FROM information_schema.FILE_STORAGE", "SELECT * FROM information_schema.FILE_STORAGE_FILES_META",
        "SELECT * FROM information_schema.FILES", "SHOW FULL PROCESSLIST", "SHOW VARIABLES", "SHOW STATUS", "SHOW WARNINGS", "SHOW ENGINES", "SHOW ALL",
        "SHOW CREATE TABLE b.t", "SHOW TABLE STATUS FROM b", "SELECT * FROM pg_settings", "SHOW FILES FROM b.t", "EXPLAIN SELECT * FROM b.t",
        "ALTER FILESTORAGE S3 BACKUP PREVIEW", "ALTER FILESTORAGE S3 BACKUP", "SELECT id FROM b.t ORDER BY id",
    )
    seen += (found := [answer(connection, statement) for connection in (c, p) for statement in look])
    assert "s3://secrets/p/" in found[1] and "s3://secrets/p/" in found[2] and found[len(look) - 1] == "[(1,), (2,)]", found
    # A key that the store refuses: what the store said comes out, not what was sent.
    seen.append(answer(c, f"ALTER FILESTORAGE S3 WITH ({keys(wrong)})"))
    seen += [answer(c, statement) for statement in ("INSERT INTO b.t VALUES (3)", "SELECT * FROM b.t", *look)]
    seen += [body for path in ("/metrics", "/health", "/ready", "/", "/config") for body in [server.get(path)[1]]]
    assert "flashgate_statements_total" in server.get("/metrics")[1]
    assert server.stop() == 0
    assert "DEBUG" in server.log(), "the log says more than it does by default"
    for text in [*seen, server.log()]:
        assert wrong not in text and right not in text, text


@pytest.mark.parametrize(("level", "form"), [("info,flashgate=trace", "text"), ("info,flashgate=trace", "json"), ("debug", "text"), ("trace", "json")])
def test_no_level_of_the_log_holds_a_value_of_a_statement(start, level, form):
    server = start(env={"FLASHGATE_LOG_LEVEL": level, "FLASHGATE_LOG_FORMAT": form})
    c = mysql(server)
    run(c, "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT NOT NULL, note VARCHAR(20))")
    p = postgres(server, "b")
    mark, number = "Quince7Marmalade", "471147114"
    run(c, f"INSERT INTO t VALUES (1, '{mark}')", f"UPDATE t SET note = '{mark}' WHERE id <> {number}", f"SET @a = '{mark}'")
    assert rows(p, f"SELECT id FROM t WHERE note = '{mark}' AND id < {number}") == [(1,)]
    assert rows(p, "SELECT id FROM t WHERE note = %s AND id < %s", (mark, int(number))) == [(1,)]
    assert rows(c, "SELECT note FROM t") == [(mark,)]
    run(c, "PREPARE s FROM 'SELECT id FROM t WHERE note = ?'", "EXECUTE s USING @a")
    with p.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
        copy.write(f"2\t{mark}\n")
    with pytest.raises(psycopg.Error), p.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
        copy.write(f"{mark}\t3\n")
    for connection in (c, p):
        for failing in (f"INSERT INTO t VALUES (NULL, '{mark}')", f"INSERT INTO t VALUES (1, '{mark}{mark}')", f"INSERT INTO t VALUES ('{mark}', '')",
                        f"SELEKT '{mark}'", f"SELECT nothing FROM t WHERE note = '{mark}'", f"SELECT * FROM t AS OF TIMESTAMP '{mark}'",
                        f"SELECT '{mark}", f"SELECT /* {mark} */ 1 +"):
            with pytest.raises((pymysql.err.Error, psycopg.Error)):
                rows(connection, failing)
    assert server.stop() == 0
    log = server.log()
    assert "stopped" in log and "DEBUG" in log, "the log says more than it does by default"
    told = [line[:300] for line in log.splitlines() if mark in line or number in line]
    assert not told, f"{len(told)} lines, the first ones: {told[:5]}"
