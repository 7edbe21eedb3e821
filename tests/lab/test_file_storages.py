"""File storages by SQL: cold tables in a bucket and in directories, the backup list, purge, trim, previews, secrets and the recycle bin."""

import datetime
import json
import re
import socket
import threading
import time

import pytest

from conftest import ROOT, eventually
from test_concurrency import WIRES, fails
from wires import mysql, now, postgres, rows, run

SWEEPING = {"FLASHGATE_PURGE_SWEEP_INTERVAL": "200ms", "FLASHGATE_PURGE_GARBAGE_DELAY": "0s"}
HINT = "/*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=0)*/"
REFUSED = {"mysql": 1290, "postgres": "55000"}
STORAGE = {"mysql": 1030, "postgres": "58030"}
WRONG_VALUE = {"mysql": 1231, "postgres": "22023"}
TOO_OLD = {"mysql": 8055, "postgres": "72000"}
NO_TABLE = {"mysql": 1146, "postgres": "42P01"}
META = "SELECT DATA_PATH, COMMIT_TS, REMOVE_TS FROM information_schema.FILE_STORAGE_FILES_META WHERE ENGINE = '{}' ORDER BY DATA_PATH, COMMIT_TS"


def opened(server, wire, database=None):
    connection = mysql(server, database) if wire == "mysql" else postgres(server, database or "postgres")
    run(connection, "SET time_zone = '+00:00'" if wire == "mysql" else "SET TIME ZONE 'UTC'")
    return connection


def table(connection, statement):
    """The rows of a statement as dicts."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def storage(connection, engine):
    (found,) = [row for row in table(connection, "SHOW FILESTORAGE") if row["ENGINE"] == engine]
    return found


def orc_files(directory):
    return sorted(path.name for path in directory.rglob("*.orc"))


# --- in a bucket -------------------------------------------------------------------------------------------------------------


class Gate:
    """A TCP relay to the object store that can be shut."""

    def __init__(self, endpoint):
        host, port = endpoint.removeprefix("http://").split(":")
        self.target, self.open, self.links = (host, int(port)), True, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            store = socket.create_connection(self.target)
            self.links += [client, store]
            for one, other in ((client, store), (store, client)):
                threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    @staticmethod
    def _relay(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def shut(self):
        self.open = False
        for link in self.links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.shut()
        self.listener.close()


def keys_of(client, bucket):
    return sorted(entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", []))


def create_s3(seaweed, bucket, prefix="some/prefix/", **more):
    options = {"FILE_URI": f"s3://{bucket}/{prefix}", "ENDPOINT": seaweed.endpoint, "ACCESS_KEY_ID": seaweed.key, "ACCESS_KEY_SECRET": seaweed.secret, **more}
    return "CREATE FILESTORAGE S3 WITH (" + ", ".join(f"'{key}' = '{value}'" for key, value in options.items()) + ")"


def test_a_cold_table_lives_in_a_bucket_from_its_creation_to_the_last_object(start, seaweed):
    bucket = seaweed.bucket("life")
    server = start(env=SWEEPING)
    c = opened(server, "mysql")
    run(c, create_s3(seaweed, "life"), "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT, v VARCHAR(20)) ENGINE='S3'")
    run(c, "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    first = now(c)
    run(c, "UPDATE t SET v = 'deux' WHERE id = 2", "DELETE FROM t WHERE id = 3")
    second = now(c)
    run(c, "INSERT INTO t VALUES (4, 'four')")
    history = {first: [(1, "one"), (2, "two"), (3, "three")], second: [(1, "one"), (2, "deux")], None: [(1, "one"), (2, "deux"), (4, "four")]}

    def check(server):
        for wire in ("mysql", "postgres"):
            connection = opened(server, wire, "b")
            for moment, want in history.items():
                clause = f"AS OF TIMESTAMP '{moment}'" if moment else ""
                assert rows(connection, f"SELECT * FROM t {clause} ORDER BY id") == want

    check(server)
    versions = rows(c, META.format("S3"))
    root = "some/prefix/flashgate/"
    assert len(versions) == 5 and keys_of(bucket, "life") == sorted(root + path for path, _, _ in versions)
    assert orc_files(server.directory) == [], "nothing of it lies in the data directory"
    assert sum(row["ROW_COUNT"] for row in table(c, "SHOW FILES FROM t")) == 3
    shown = storage(c, "S3")
    assert (shown["FILE_URI"], shown["ENDPOINT_KEY"], shown["IS_MASTER"]) == ("s3://life/some/prefix/", seaweed.endpoint, 1)
    sizes = sum(entry["Size"] for entry in bucket.list_objects_v2(Bucket="life")["Contents"])
    assert shown["BYTES_WRITTEN"] == sizes and shown["WRITE_OPS"] >= 4 and shown["READ_OPS"] > 0

    # Another process finds all of it again, and goes on.
    assert server.stop() == 0
    server = start(directory=server.directory, env=SWEEPING)
    check(server)
    c = opened(server, "mysql", "b")
    assert storage(c, "S3")["BYTES_READ"] > 0 and storage(c, "S3")["BYTES_WRITTEN"] == 0
    run(c, "INSERT INTO t VALUES (5, 'five')")
    history[None].append((5, "five"))
    check(server)

    run(c, "ALTER FILESTORAGE S3 BACKUP")
    list_key = root + "meta/files_meta.txt"
    listed = json.loads(bucket.get_object(Bucket="life", Key=list_key)["Body"].read())["files"]
    assert sorted((f["fileName"], f["commitTs"], f["removeTs"]) for f in listed) == rows(c, META.format("S3"))

    # A purge takes the objects of what had ended before it.
    ended = [path for path, _, removed in rows(c, META.format("S3")) if removed]
    run(c, f"{HINT} ALTER FILESTORAGE S3 PURGE BEFORE TIMESTAMP '{second}'")
    assert len(ended) == 2
    kept = sorted([list_key, *(root + path for path, _, _ in rows(c, META.format("S3")))])
    assert len(kept) == 5 and not {root + path for path in ended} & set(kept)
    assert eventually(lambda: keys_of(bucket, "life") == kept), keys_of(bucket, "life")
    fails(8055, rows, c, f"SELECT * FROM t AS OF TIMESTAMP '{first}'")
    assert history.pop(first)
    check(server)

    # The bin keeps them, the end of the bin does not.
    run(c, "DROP TABLE t")
    time.sleep(0.6)
    assert keys_of(bucket, "life") == kept
    assert "b.FILE_STORAGE_BIN_" in str(fails(1290, run, c, "DROP FILESTORAGE S3"))
    run(c, "FLASHBACK TABLE t TO BEFORE DROP")
    check(server)
    run(c, "DROP TABLE t", "PURGE TABLE t")
    assert eventually(lambda: keys_of(bucket, "life") == [list_key]), keys_of(bucket, "life")
    assert eventually(lambda: rows(c, META.format("S3")) == [])
    run(c, "DROP FILESTORAGE S3")
    assert [row["ENGINE"] for row in table(c, "SHOW FILESTORAGE")] == ["OSS"]
    fails(1286, run, c, "CREATE TABLE t (id INT) ENGINE='S3'")
    assert server.stop() == 0


def test_clear_empties_the_bucket_and_keeps_the_storage(start, seaweed):
    bucket = seaweed.bucket("clear")
    bucket.put_object(Bucket="clear", Key="other/kept.txt", Body=b"not ours")
    server = start(env=SWEEPING)
    c = opened(server, "mysql")
    run(c, create_s3(seaweed, "clear"), "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT) ENGINE='S3'", "CREATE TABLE mine (id INT)")
    run(c, "INSERT INTO t VALUES (1)", "INSERT INTO mine VALUES (7)", "DELETE FROM t")
    run(c, "CREATE TABLE gone (id INT) ENGINE='S3'", "INSERT INTO gone VALUES (1)", "DROP TABLE gone")
    assert len(keys_of(bucket, "clear")) == 3
    fails(1290, run, c, "CLEAR FILESTORAGE S3")
    assert len(keys_of(bucket, "clear")) == 3
    run(c, "CLEAR FILESTORAGE S3 FORCE")
    assert eventually(lambda: keys_of(bucket, "clear") == ["other/kept.txt"]), keys_of(bucket, "clear")
    assert rows(c, "SHOW TABLES") == [("mine",)] and rows(c, "SELECT * FROM mine") == [(7,)] and rows(c, "SHOW RECYCLEBIN") == []
    run(c, "CREATE TABLE t (id INT) ENGINE='S3'", "INSERT INTO t VALUES (2)")
    assert rows(c, "SELECT * FROM t") == [(2,)]


def test_a_file_of_a_bucket_is_taken_in_with_the_storages_keys(start, seaweed):
    bucket = seaweed.bucket("taken")
    bucket.put_object(Bucket="taken", Key="lake/day 1.orc", Body=(ROOT / "fixtures/orc/pyarrow-v011.orc").read_bytes())
    server = start()
    c = opened(server, "mysql")
    run(c, create_s3(seaweed, "taken"), "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT, name TEXT, tag TEXT, at DATETIME(6)) ENGINE='S3'")
    run(c, "ALTER TABLE t ADD FILE 's3://taken/lake/day%201.orc'")
    assert rows(c, "SELECT COUNT(*), MAX(id) FROM t") == [(500, 499)]
    assert "nothing.orc" in str(fails(1030, run, c, "ALTER TABLE t ADD FILE 's3://taken/lake/nothing.orc'"))
    bucket.put_object(Bucket="taken", Key="lake/_SUCCESS", Body=b"")
    run(c, "ALTER TABLE t ADD FILE 's3://taken/lake/day*.orc' (id), 's3://taken/lake/' (id, name)")
    assert rows(c, "SELECT COUNT(*), COUNT(name), COUNT(at) FROM t") == [(1500, 900, 450)]
    assert "no file matches" in str(fails(1030, run, c, "ALTER TABLE t ADD FILE 's3://taken/lake/night*.orc'"))
    bucket.delete_object(Bucket="taken", Key="lake/day 1.orc")
    assert rows(c, "SELECT COUNT(DISTINCT name) FROM t WHERE id >= 490") == [(8,)]


def test_a_bucket_that_is_away_is_an_error_and_then_everything_works_again(start, seaweed):
    seaweed.bucket("away")
    server = start()
    c, p = opened(server, "mysql"), opened(server, "postgres")
    gate = Gate(seaweed.endpoint)
    run(c, create_s3(seaweed, "away", ENDPOINT=gate.endpoint), "CREATE DATABASE b", "USE b")
    run(c, "CREATE TABLE t (id INT) ENGINE='S3'", "CREATE TABLE local_t (id INT)", "INSERT INTO t VALUES (1), (2)")
    p = opened(server, "postgres", "b")
    gate.shut()
    began = time.monotonic()
    errors = []
    threads = [
        threading.Thread(target=lambda: errors.append(fails(1030, run, opened(server, "mysql", "b"), "INSERT INTO t VALUES (3)"))),
        threading.Thread(target=lambda: errors.append(fails("58030", run, p, "DELETE FROM t WHERE id = 1"))),
    ]
    for thread in threads:
        thread.start()
    run(c, "INSERT INTO local_t VALUES (1)")
    assert rows(c, "SELECT * FROM local_t") == [(1,)], "another storage's table is not touched by it"
    for thread in threads:
        thread.join(60)
    assert len(errors) == 2 and all("S3" in str(error) for error in errors), errors
    assert time.monotonic() - began < 50
    assert not any(seaweed.secret in str(error) or seaweed.key in str(error) for error in errors)
    gate.open = True
    assert rows(c, "SELECT * FROM t ORDER BY id") == [(1,), (2,)]
    run(c, "INSERT INTO t VALUES (3)")
    assert rows(p, "SELECT * FROM t ORDER BY id") == [(1,), (2,), (3,)]
    gate.close()


# --- secrets -----------------------------------------------------------------------------------------------------------------


def test_the_keys_of_a_working_bucket_never_come_back_and_can_be_rotated(start, seaweed):
    seaweed.bucket("hidden")
    server = start(env={"FLASHGATE_LOG_LEVEL": "debug"})
    c = opened(server, "mysql")
    wrong = "Wr0ngSecret0815"
    secrets = (seaweed.key, seaweed.secret, wrong, "AKIDOFNOBODY")
    seen = []

    def look(statement, code=None, where=("mysql", "postgres")):
        for wire in where:
            connection = opened(server, wire, "b")
            if code is None:
                seen.append(repr(table(connection, statement)))
            else:
                error = fails(code[wire], rows, connection, statement)
                diag = getattr(error, "diag", None)
                seen.append(f"{diag.message_primary} {diag.message_detail} {diag.message_hint}" if diag else str(error))

    run(c, create_s3(seaweed, "hidden"), "CREATE DATABASE b", "USE b", "CREATE TABLE t (id INT) ENGINE='S3'", "INSERT INTO t VALUES (1)")
    assert storage(c, "S3")["WRITE_OPS"] > 0, "the keys are the right ones"
    look(create_s3(seaweed, "hidden"), REFUSED)
    look(create_s3(seaweed, "hidden", ACCESS_KEY_SECRT=seaweed.secret), WRONG_VALUE)
    for statement in ("SHOW FILESTORAGE", "SELECT * FROM information_schema.FILE_STORAGE", "SELECT * FROM information_schema.FILE_STORAGE_FILES_META"):
        look(statement, where=("mysql",))
    for statement in ("CREATE TABLE t", "TABLE STATUS", "FILES FROM t", "FULL PROCESSLIST", "VARIABLES", "STATUS", "ENGINES", "WARNINGS"):
        look(f"SHOW {statement}", where=("mysql",))
    for statement in ("SHOW FILESTORAGE", "SHOW FILES FROM t", "SELECT * FROM pg_catalog.pg_class", "SHOW ALL", "EXPLAIN ANALYZE VERBOSE SELECT * FROM t"):
        look(statement, where=("postgres",))
    # Wrong keys: the store refuses, and neither the old nor the new ones are named.
    for keys in (f"'ACCESS_KEY_SECRET' = '{wrong}'", f"'ACCESS_KEY_ID' = 'AKIDOFNOBODY', 'ACCESS_KEY_SECRET' = '{wrong}'"):
        run(c, f"ALTER FILESTORAGE S3 WITH ({keys})")
        look("INSERT INTO t VALUES (2)", STORAGE)
        look("ALTER FILESTORAGE S3 BACKUP", STORAGE)
        look("SHOW FILESTORAGE")
    look(f"ALTER FILESTORAGE S3 WITH ('ACCESS_KEY_SECRET' = '{seaweed.secret}', 'NO_SUCH' = '{seaweed.secret}')", WRONG_VALUE)
    look(f"ALTER FILESTORAGE S3 WITH ('ACCESS_KEY_SECRET' = '{seaweed.secret}'", {"mysql": 1064, "postgres": "42601"})
    run(c, f"ALTER FILESTORAGE S3 WITH ('ACCESS_KEY_ID' = '{seaweed.key}', 'ACCESS_KEY_SECRET' = '{seaweed.secret}')", "INSERT INTO t VALUES (3)")
    assert rows(c, "SELECT * FROM t ORDER BY id") == [(1,), (3,)]
    for path in ("/metrics", "/ready", "/health"):
        status, body = server.get(path)
        assert status == 200, body
        seen.append(body)
    assert 'flashgate_store_operations_total{engine="S3",direction="write"}' in seen[-3]
    assert server.stop() == 0
    assert len(seen) > 30 and "S3" in "".join(seen) and "FILE_STORAGE" not in seen[0]
    for text in [*seen, server.log()]:
        for secret in secrets:
            assert secret not in text, text
    # A restart has them still: they were kept, only not shown.
    server = start(directory=server.directory)
    run(opened(server, "mysql", "b"), "INSERT INTO t VALUES (4)")
    assert rows(opened(server, "postgres", "b"), "SELECT COUNT(*) FROM t") == [(3,)]


def test_a_bucket_that_refuses_the_keys_is_not_registered_and_the_keys_are_not_repeated(start, seaweed):
    seaweed.bucket("refused")
    server = start()
    c, p = opened(server, "mysql"), opened(server, "postgres")
    statement = create_s3(seaweed, "refused", ACCESS_KEY_SECRET="Wr0ngSecret0815")
    texts = [str(fails(1030, run, c, statement)), fails("58030", run, p, statement).diag.message_primary]
    assert [row["ENGINE"] for row in table(c, "SHOW FILESTORAGE")] == ["OSS"]
    assert all("S3" in text for text in texts)
    for text in (*texts, server.log()):
        assert "Wr0ngSecret0815" not in text and seaweed.key not in text and seaweed.secret not in text, text


# --- the built-in storage ------------------------------------------------------------------------------------------------------

SHOWN = ["ENGINE", "ENDPOINT_KEY", "FILE_URI", "IS_MASTER", "BYTES_READ", "BYTES_WRITTEN", "READ_OPS", "WRITE_OPS", "MAX_READ_RATE", "MAX_WRITE_RATE"]


@WIRES
def test_the_built_in_storage_gives_way_to_another_and_stays_when_that_one_fails(start, tmp_path, wire):
    server = start()
    c = opened(server, wire)
    built_in = (server.directory / "data" / "files").as_uri() + "/"
    for options, code in (
        ({"FILE_URL": "file:///tmp/"}, WRONG_VALUE), ({"FILE_URI": "ftp://host/"}, WRONG_VALUE), ({"FILE_URI": "file:///proc/no/such/"}, STORAGE),
    ):
        ((key, value),) = options.items()
        fails(code[wire], run, c, f"CREATE FILESTORAGE OSS WITH ('{key}' = '{value}')")
        (shown,) = table(c, "SHOW FILESTORAGE")
        assert list(shown) == SHOWN and tuple(shown.values()) == ("OSS", None, built_in, 1, 0, 0, 0, 0, -1, -1)
    cold = (tmp_path / "cold").as_uri() + "/"
    run(c, f"CREATE FILESTORAGE {'IF NOT EXISTS ' * (wire == 'mysql')}OSS WITH ('FILE_URI' = '{cold}')")
    assert storage(c, "OSS")["FILE_URI"] == cold
    run(opened(server, "mysql"), "CREATE DATABASE d")
    run(opened(server, wire, "d"), "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
    assert len(orc_files(tmp_path / "cold")) == 1 and orc_files(server.directory) == []
    # It is one like any other from then on.
    fails(REFUSED[wire], run, c, f"CREATE FILESTORAGE OSS WITH ('FILE_URI' = '{(tmp_path / 'third').as_uri()}/')")
    run(c, f"CREATE FILESTORAGE IF NOT EXISTS OSS WITH ('FILE_URI' = '{(tmp_path / 'third').as_uri()}/')")
    assert server.get("/ready")[0] == 200 and server.stop() == 0
    server = start(directory=server.directory)
    c = opened(server, wire, "d")
    assert rows(c, "SELECT * FROM t") == [(1,)] and [row["FILE_URI"] for row in table(c, "SHOW FILESTORAGE")] == [cold]
    assert not (tmp_path / "third").exists()


@WIRES
def test_the_built_in_storage_stays_when_a_table_uses_it(start, tmp_path, wire):
    server = start()
    run(opened(server, "mysql"), "CREATE DATABASE d")
    c = opened(server, wire, "d")
    run(c, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
    statement = f"CREATE FILESTORAGE OSS WITH ('FILE_URI' = '{(tmp_path / 'cold').as_uri()}/')"
    assert "OSS exists already" in str(fails(REFUSED[wire], run, c, statement))
    run(c, "DROP TABLE t")
    assert "OSS exists already" in str(fails(REFUSED[wire], run, c, statement)), "one in the recycle bin counts too"
    run(c, "FLASHBACK TABLE t TO BEFORE DROP")
    assert rows(c, "SELECT * FROM t") == [(1,)] and not (tmp_path / "cold").exists()


# --- in a directory: the list, previews, purge and trim ------------------------------------------------------------------------

PLAN = ["ACTION", "OBJECT", "FILES", "TABLE_ROWS", "BYTES", "HORIZON"]


def plan(connection, statement):
    """The lines of a PREVIEW, whose columns are always the same."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert [column[0] for column in cursor.description] == PLAN
        return [tuple(row) for row in cursor.fetchall()]


def moment(connection):
    """A time of whole milliseconds, which has a TSO that can be computed."""
    return now(connection)[:23].ljust(23, "0") + "000"


def tso(text):
    return round(datetime.datetime.fromisoformat(text + "+00:00").timestamp() * 1000) << 22


def done(connection, statement):
    """Runs a statement; the number that it answers: of affected rows, or at the end of the command's tag."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.rowcount if hasattr(connection, "get_server_info") else int(cursor.statusmessage.split()[-1])


class Disk:
    """An engine of its own in a directory of its own."""

    def __init__(self, server, wire, path, engine="NFS"):
        self.server, self.wire, self.path, self.engine = server, wire, path / "cold store", engine
        self.path.mkdir()
        self.watch = opened(server, "mysql")
        run(self.watch, "CREATE DATABASE d", f"CREATE FILESTORAGE {engine} WITH ('FILE_URI' = '{self.path.as_uri()}/')")
        self.c = opened(server, wire, "d")

    def create(self, name):
        tail = f"ENGINE='{self.engine}'" if self.wire == "mysql" else f"WITH (engine = '{self.engine}')"
        run(self.c, f"CREATE TABLE {name} (id INT, v VARCHAR(20)) {tail}")

    def meta(self):
        return rows(self.watch, META.format(self.engine))

    def bytes_of(self, paths):
        return sum((self.path / "flashgate" / path).stat().st_size for path in paths)

    def paths(self, name, clause=""):
        return [row["FILE_NAME"] for row in table(self.watch, f"SHOW FILES FROM d.{name} {clause}")]

    def binned(self, original):
        (name,) = [row["NAME"] for row in table(self.watch, "SHOW RECYCLEBIN") if row["ORIGINAL_NAME"] == original]
        return name

    def read(self, name, at=None):
        clause = f"AS OF TIMESTAMP '{at}'" if at else ""
        return rows(self.c, f"SELECT * FROM {name} {clause} ORDER BY id")


@WIRES
def test_the_backup_list_names_every_version_of_every_table_and_says_when_it_ended(start, tmp_path, wire):
    disk = Disk(start(), wire, tmp_path)
    c = disk.c
    for name in ("plain", "changed", "gone", "empty"):
        disk.create(name)
    run(c, "CREATE TABLE elsewhere (id INT)", "INSERT INTO elsewhere VALUES (1)")
    filled = ("plain", "changed", "gone")
    run(c, *(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')" for name in filled), "DELETE FROM changed WHERE id = 1", "INSERT INTO plain VALUES (3, 'c')")
    visible = {(row["FILE_NAME"], row["COMMIT_TSO_TIME"], None) for name in filled for row in table(disk.watch, f"SHOW FILES FROM d.{name}")}
    run(c, "DROP TABLE gone")
    path = disk.path / "flashgate" / "meta" / "files_meta.txt"
    preview = plan(c, f"ALTER FILESTORAGE {disk.engine} BACKUP PREVIEW")
    assert not path.exists(), "a preview writes nothing"
    assert done(c, f"ALTER FILESTORAGE {disk.engine} BACKUP") == 5
    document = json.loads(path.read_text())
    assert list(document) == ["files"] and all(list(file) == ["fileName", "commitTs", "removeTs"] for file in document["files"])
    listed = {(file["fileName"], file["commitTs"], file["removeTs"]) for file in document["files"]}
    assert len(document["files"]) == len(listed) == 5 and listed == set(disk.meta())
    assert visible < listed
    ((_, committed, removed),) = listed - visible
    assert committed < removed and {path for path, at, _ in visible if at == removed} == set(disk.paths("changed")), "ends when its successor begins"
    assert sorted(name for name, _, _ in listed) == orc_files(disk.path)
    assert preview == [("list files", "flashgate/meta/files_meta.txt", 5, 8, disk.bytes_of(name for name, _, _ in listed), None)]
    # The list is that of its moment until the next one is written.
    run(c, "DELETE FROM plain")
    assert json.loads(path.read_text()) == document
    assert done(c, f"ALTER FILESTORAGE {disk.engine} BACKUP") == 5
    listed = {(file["fileName"], file["commitTs"], file["removeTs"]) for file in json.loads(path.read_text())["files"]}
    assert listed == set(disk.meta()) and sum(removed is not None for _, _, removed in listed) == 3
    fails({"mysql": 1286, "postgres": "42704"}[wire], run, c, "ALTER FILESTORAGE S3 BACKUP")


@WIRES
@pytest.mark.parametrize("how", ["hint", "force", "tso"])
def test_a_purge_of_a_storage_does_what_its_preview_says_and_what_is_forgotten_is_an_error(start, tmp_path, wire, how):
    disk = Disk(start(env=SWEEPING), wire, tmp_path)
    c, engine = disk.c, disk.engine
    for name, count in (("busy", 3), ("gone", 2), ("late", 1), ("still", 1)):
        disk.create(name)
        run(c, f"INSERT INTO {name} VALUES " + ", ".join(f"({n}, 'old')" for n in range(count)))
    first = moment(c)
    ended, gone = disk.paths("busy"), disk.paths("gone")
    run(c, "UPDATE busy SET v = 'new'", "DROP TABLE gone")
    second = moment(c)
    run(c, "UPDATE busy SET v = 'newer'", "DROP TABLE late")
    bin_gone, bin_late = disk.binned("gone"), disk.binned("late")
    before = disk.meta()
    clause = f"PURGE BEFORE TSO {tso(second)}" if how == "tso" else f"PURGE BEFORE TIMESTAMP '{second}'"
    preview = plan(c, f"ALTER FILESTORAGE {engine} {clause} PREVIEW")
    want = [
        ("purge files", "d.busy", 1, 3, disk.bytes_of(ended), second),
        ("purge binned table", f"d.{bin_gone}", 1, 2, disk.bytes_of(gone), second),
        ("purge files", f"d.{bin_late}", 0, 0, 0, second),
        ("purge files", "d.still", 0, 0, 0, second),
    ]
    assert sorted(preview) == sorted(want)
    error = fails(REFUSED[wire], run, c, f"ALTER FILESTORAGE {engine} {clause}")
    assert "30 days" in str(error)
    assert disk.meta() == before and disk.read("busy", first) == [(n, "old") for n in range(3)], "neither has done anything"
    assert len(orc_files(disk.path)) == 6

    statement = f"{HINT} ALTER FILESTORAGE {engine} {clause}" if how == "hint" else f"ALTER FILESTORAGE {engine} {clause} FORCE"
    assert done(c, statement) == sum(line[2] for line in preview) == 2
    left = disk.meta()
    assert {path for path, _, _ in before} - {path for path, _, _ in left} == {*ended, *gone} and set(left) < set(before)
    assert eventually(lambda: orc_files(disk.path) == sorted(path for path, _, _ in left)), orc_files(disk.path)
    for name in ("busy", "still"):
        assert second[:19] in str(fails(TOO_OLD[wire], disk.read, name, first)), "names the horizon"
    assert disk.read("busy", second) == [(n, "new") for n in range(3)] and disk.read("busy") == [(n, "newer") for n in range(3)]
    assert disk.read("still", second) == disk.read("still") == [(0, "old")]
    fails(NO_TABLE[wire], run, c, "FLASHBACK TABLE gone TO BEFORE DROP")
    run(c, "FLASHBACK TABLE late TO BEFORE DROP")
    assert disk.read("late", second) == [(0, "old")]
    fails(TOO_OLD[wire], disk.read, "late", first)
    assert second[:19] in str(fails(TOO_OLD[wire], run, c, f"ALTER FILESTORAGE {engine} AS OF TIMESTAMP '{first}'"))
    # Below the horizon there is nothing more to purge, and the horizon does not go back.
    again = plan(c, f"ALTER FILESTORAGE {engine} PURGE BEFORE TIMESTAMP '{first}' PREVIEW")
    assert again == [("purge files", f"d.{name}", 0, 0, 0, second) for name in ("busy", "late", "still")]


@WIRES
def test_the_days_that_a_purge_must_leave_are_the_configurations_or_the_hints(start, tmp_path, wire):
    disk = Disk(start(env={"FLASHGATE_PURGE_BACKUP_OSS_PERIOD_DAYS": "2"}), wire, tmp_path)
    c, engine = disk.c, disk.engine
    disk.create("t")
    days = {n: str(datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None) - datetime.timedelta(days=n)) for n in (1, 3, 5)}
    for target in (f"ALTER FILESTORAGE {engine}", "ALTER TABLE t"):
        assert "2 days" in str(fails(REFUSED[wire], run, c, f"{target} PURGE BEFORE TIMESTAMP '{days[1]}'"))
        run(c, f"{target} PURGE BEFORE TIMESTAMP '{days[3]}'")
        assert "4 days" in str(fails(REFUSED[wire], run, c, f"/*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=4)*/ {target} PURGE BEFORE TIMESTAMP '{days[3]}'"))
        run(c, f"/*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=4)*/ {target} PURGE BEFORE TIMESTAMP '{days[5]}'")
    assert plan(c, f"ALTER FILESTORAGE {engine} PURGE BEFORE TIMESTAMP '{days[5]}' PREVIEW") == [("purge files", "d.t", 0, 0, 0, f"{days[3]}.000000")]


@WIRES
def test_backup_oss_period_is_the_guard_of_the_session_that_sets_it_and_of_no_other(start, tmp_path, wire):
    disk = Disk(start(), wire, tmp_path)
    disk.create("t")
    other = opened(disk.server, wire, "d")
    statement = f"ALTER FILESTORAGE {disk.engine} PURGE BEFORE TIMESTAMP '{now(disk.c)}'"
    run(disk.c, "SET backup_oss_period = 0", statement, "SET backup_oss_period = 7")
    assert "7 days" in str(fails(REFUSED[wire], run, disk.c, statement))
    assert "30 days" in str(fails(REFUSED[wire], run, other, statement))
    run(disk.c, "SET backup_oss_period = DEFAULT")
    assert "30 days" in str(fails(REFUSED[wire], run, disk.c, statement))


def trimmable(start, tmp_path, wire):
    """Three tables, changed and made after the time that is returned, and the numbers of the preview of a trim to it."""
    disk = Disk(start(env=SWEEPING), wire, tmp_path)
    c = disk.c
    for name in ("binned", "changed", "still"):
        disk.create(name)
        run(c, f"INSERT INTO {name} VALUES (1, 'good'), (2, 'good')")
    good = moment(c)
    was = disk.paths("changed")
    run(c, "UPDATE changed SET v = 'wrong'")
    middle = moment(c)
    disk.create("later")
    run(c, "INSERT INTO changed VALUES (3, 'wrong')", "INSERT INTO later VALUES (9, 'later')", "INSERT INTO binned VALUES (3, 'wrong')")
    binned = set(disk.paths("binned")) - set(disk.paths("binned", f"AS OF TIMESTAMP '{good}'"))
    changed, later = disk.paths("changed"), disk.paths("later")
    run(c, "DROP TABLE binned")
    name = disk.binned("binned")
    want = [
        ("remove files", f"d.{name}", 1, 1, disk.bytes_of(binned), None), ("restore files", f"d.{name}", 0, 0, 0, None),
        ("remove files", "d.changed", 2, 3, disk.bytes_of(changed), None), ("restore files", "d.changed", 1, 2, disk.bytes_of(was), None),
        ("remove files", "d.later", 1, 1, disk.bytes_of(later), None), ("restore files", "d.later", 0, 0, 0, None),
        ("remove files", "d.still", 0, 0, 0, None), ("restore files", "d.still", 0, 0, 0, None),
    ]
    before = disk.meta()
    for mode in ("PREVIEW", "preview"):
        assert plan(c, f"ALTER FILESTORAGE {disk.engine} AS OF TIMESTAMP '{good}' {mode}") == want
    assert disk.meta() == before and disk.read("changed") == [(1, "wrong"), (2, "wrong"), (3, "wrong")], "a preview does nothing"
    return disk, good, middle, {*binned, *changed, *later}


def assert_good(disk):
    assert disk.read("changed") == disk.read("still") == [(1, "good"), (2, "good")]
    assert disk.read("later") == []
    run(disk.c, "FLASHBACK TABLE binned TO BEFORE DROP RENAME TO back")
    assert disk.read("back") == [(1, "good"), (2, "good")]


@WIRES
def test_a_trim_brings_a_storage_back_by_a_commit_that_can_be_undone(start, tmp_path, wire):
    disk, good, middle, _ = trimmable(start, tmp_path, wire)
    c, engine = disk.c, disk.engine
    objects, late = orc_files(disk.path), moment(c)
    assert done(c, f"ALTER FILESTORAGE {engine} AS OF TIMESTAMP '{good}'") == 5
    assert_good(disk)
    assert disk.read("changed", middle) == [(1, "wrong"), (2, "wrong")], "the past stays readable"
    assert disk.read("changed", late) == [(1, "wrong"), (2, "wrong"), (3, "wrong")] and disk.read("later", late) == [(9, "later")]
    assert {row[:4] for row in plan(c, f"ALTER FILESTORAGE {engine} AS OF TIMESTAMP '{good}' PREVIEW")} == {
        (action, f"d.{name}", 0, 0) for action in ("remove files", "restore files") for name in ("back", "changed", "later", "still")}
    assert done(c, f"ALTER FILESTORAGE {engine} AS OF TSO {tso(late)}") == 5
    assert disk.read("changed") == [(1, "wrong"), (2, "wrong"), (3, "wrong")] and disk.read("later") == [(9, "later")]
    assert disk.read("back") == [(1, "good"), (2, "good"), (3, "wrong")]
    time.sleep(0.5)
    assert orc_files(disk.path) == objects, "nothing is deleted"


@WIRES
def test_a_trim_by_force_erases_what_came_after(start, tmp_path, wire):
    disk, good, middle, erased = trimmable(start, tmp_path, wire)
    c, engine = disk.c, disk.engine
    assert len(erased) == 4
    done(c, f"ALTER FILESTORAGE {engine} AS OF TIMESTAMP '{good}' FORCE")
    assert_good(disk)
    assert not erased & {path for path, _, _ in disk.meta()}
    assert eventually(lambda: not erased & set(orc_files(disk.path))), orc_files(disk.path)
    assert sorted(path for path, _, _ in disk.meta()) == orc_files(disk.path)
    fails(TOO_OLD[wire], disk.read, "changed", middle)
    assert disk.read("changed", good) == disk.read("still", middle) == [(1, "good"), (2, "good")]
    run(c, "INSERT INTO changed VALUES (4, 'new')")
    assert disk.read("changed") == [(1, "good"), (2, "good"), (4, "new")]


@pytest.mark.parametrize(("damage", "says"), [
    ("damaged", "the last backup list cannot be read"), ("other", "1 files of the last backup list have other commit times"),
    ("unknown", "1 files of the last backup list are not in the metadata"), ("none", None),
])
def test_a_trim_warns_of_a_backup_list_that_says_otherwise_and_follows_the_metadata(start, tmp_path, damage, says):
    disk, good, _, _ = trimmable(start, tmp_path, "mysql")
    c, engine = disk.c, disk.engine
    run(c, f"ALTER FILESTORAGE {engine} BACKUP")
    path = disk.path / "flashgate" / "meta" / "files_meta.txt"
    document = json.loads(path.read_text())
    first = min((file for file in document["files"] if file["removeTs"] is None), key=lambda file: file["commitTs"])
    if damage == "other":
        first["commitTs"] -= 1
    elif damage == "unknown":
        first["fileName"] = "d_unknown.orc"
    path.write_text("{" if damage == "damaged" else json.dumps(document))
    run(c, f"ALTER FILESTORAGE {engine} AS OF TIMESTAMP '{good}'")
    warnings = rows(c, "SHOW WARNINGS")
    assert [row[:2] for row in warnings] == ([("Warning", 1105)] if says else []) and all(row[2].startswith(says) for row in warnings)
    assert_good(disk)


@WIRES
def test_the_preview_of_clear_lists_every_table_with_its_history_and_the_bin(start, tmp_path, wire):
    disk = Disk(start(env=SWEEPING), wire, tmp_path)
    c, engine = disk.c, disk.engine
    for name in ("a_busy", "b_gone", "c_empty"):
        disk.create(name)
    run(c, "INSERT INTO a_busy VALUES (1, 'x'), (2, 'x')", "UPDATE a_busy SET v = 'y'", "INSERT INTO b_gone VALUES (1, 'z')", "DROP TABLE b_gone")
    run(c, "CREATE TABLE elsewhere (id INT)", "INSERT INTO elsewhere VALUES (7)")
    sizes = {letter: disk.bytes_of(path for path, _, _ in disk.meta() if path.startswith(f"d_{letter}-")) for letter in "ab"}
    want = [
        ("drop table", f"d.{disk.binned('b_gone')}", 1, 1, sizes["b"], None),
        ("drop table", "d.a_busy", 2, 4, sizes["a"], None),
        ("drop table", "d.c_empty", 0, 0, 0, None),
    ]
    assert sorted(plan(c, f"CLEAR FILESTORAGE {engine} PREVIEW")) == sorted(want)
    assert "3 tables" in str(fails(REFUSED[wire], run, c, f"CLEAR FILESTORAGE {engine}"))
    assert len(disk.meta()) == 3 and disk.read("a_busy") == [(1, "y"), (2, "y")]
    assert done(c, f"CLEAR FILESTORAGE {engine} FORCE") == 3
    assert disk.meta() == [] and rows(c, "SHOW RECYCLEBIN") == [] and rows(c, "SELECT * FROM elsewhere") == [(7,)]
    fails(NO_TABLE[wire], disk.read, "a_busy")
    assert eventually(lambda: orc_files(disk.path) == [])
    assert plan(c, f"CLEAR FILESTORAGE {engine} PREVIEW") == []


# --- the recycle bin -----------------------------------------------------------------------------------------------------------


def bin_of(connection):
    with connection.cursor() as cursor:
        cursor.execute("SHOW RECYCLEBIN")
        assert [column[0] for column in cursor.description] == ["Id", "NAME", "ORIGINAL_NAME", "CREATED"]
        return [tuple(row) for row in cursor.fetchall()]


@WIRES
def test_the_recycle_bin_shows_what_was_dropped_and_when(start, wire):
    server = start()
    run(opened(server, "mysql"), "CREATE DATABASE d")
    c = opened(server, wire, "d")
    assert bin_of(c) == []
    run(c, "CREATE TABLE One (id INT)", "CREATE TABLE two (id INT)")
    before = now(c)[:19]
    run(c, "DROP TABLE One")
    run(c, "DROP TABLE two")
    after = now(c)[:19]
    (one, two) = bin_of(c)
    assert (one[2], two[2]) == ("One", "two") and one[0] < two[0]
    for _, name, _, created in (one, two):
        assert re.fullmatch("FILE_STORAGE_BIN_[A-Z0-9]{20}", name) and before <= created <= after
    assert one[1] != two[1]
    run(c, "SET time_zone = '+08:00'" if wire == "mysql" else "SET TIME ZONE 'Asia/Shanghai'")
    shifted = datetime.datetime.fromisoformat(one[3]) + datetime.timedelta(hours=8)
    assert bin_of(c)[0] == (*one[:3], str(shifted))
    assert rows(c, "SHOW TABLES" if wire == "mysql" else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    fails(NO_TABLE[wire], rows, c, "SELECT * FROM two")


@WIRES
def test_of_several_binned_tables_of_one_name_the_bins_name_says_which(start, wire):
    server = start(env=SWEEPING)
    run(opened(server, "mysql"), "CREATE DATABASE d")
    c = opened(server, wire, "d")
    moments = []
    for n in range(4):
        run(c, "CREATE TABLE t (id INT)", f"INSERT INTO t VALUES ({n})")
        moments.append(now(c))
        run(c, "DELETE FROM t", "DROP TABLE t")
    names = [name for _, name, original, _ in bin_of(c) if original == "t"]
    assert len(set(names)) == 4
    # The original name stands for the one dropped last.
    run(c, "FLASHBACK TABLE t TO BEFORE DROP")
    assert rows(c, f"SELECT * FROM t AS OF TIMESTAMP '{moments[3]}'") == [(3,)] and rows(c, "SELECT * FROM t") == []
    error = fails({"mysql": 1050, "postgres": "42P07"}[wire], run, c, f"FLASHBACK TABLE {names[1]} TO BEFORE DROP")
    assert "RENAME TO" in str(error) + str(getattr(getattr(error, "diag", None), "message_hint", ""))
    assert [name for _, name, _, _ in bin_of(c)] == names[:3]
    run(c, f"FLASHBACK TABLE {names[1].lower()} TO BEFORE DROP RENAME TO second")
    assert rows(c, f"SELECT * FROM second AS OF TIMESTAMP '{moments[1]}'") == [(1,)]
    # So does a PURGE, by either name; what is not in the bin is not touched.
    files = server.directory / "data" / "files"
    assert len(orc_files(files)) == 4
    run(c, f"PURGE TABLE {names[0]}")
    assert [name for _, name, _, _ in bin_of(c)] == [names[2]] and eventually(lambda: len(orc_files(files)) == 3)
    run(c, "PURGE TABLE t")
    assert bin_of(c) == [] and eventually(lambda: len(orc_files(files)) == 2)
    for gone in ("t", "second", names[0], "never"):
        fails(NO_TABLE[wire], run, c, f"PURGE TABLE {gone}")
        fails(NO_TABLE[wire], run, c, f"FLASHBACK TABLE {gone} TO BEFORE DROP")
    assert rows(c, f"SELECT * FROM t AS OF TIMESTAMP '{moments[3]}'") == [(3,)]


@WIRES
def test_the_tables_of_a_dropped_database_come_back_into_one_of_its_name(start, wire):
    server = start(env=SWEEPING)
    m = opened(server, "mysql")
    run(m, "CREATE DATABASE d", "CREATE DATABASE e")
    for name in ("d", "e"):
        run(opened(server, "mysql", name), "CREATE TABLE t (who VARCHAR(9))", f"INSERT INTO t VALUES ('{name}')", "CREATE TABLE other (id INT)")
    c = opened(server, wire, "postgres")
    past = now(c)
    run(opened(server, "mysql", "d"), "DELETE FROM t")
    full, cascade = ("{}.t", "") if wire == "mysql" else ("{}.public.t", " CASCADE")
    if cascade:
        error = fails("55000", run, c, "DROP DATABASE d")
        assert "CASCADE" in error.diag.message_hint and bin_of(c) == []
    run(c, f"DROP DATABASE d{cascade}", f"DROP DATABASE e{cascade}")
    fails(1049, run, m, "USE d")
    assert sorted(row[2] for row in bin_of(c)) == ["other", "other", "t", "t"]
    fails({"mysql": 1049, "postgres": "3F000"}[wire], run, c, f"FLASHBACK TABLE {full.format('d')} TO BEFORE DROP")
    assert len(bin_of(c)) == 4
    run(c, "CREATE DATABASE d", f"FLASHBACK TABLE {full.format('d')} TO BEFORE DROP")
    assert rows(c, f"SELECT * FROM {full.format('d')}") == []
    assert rows(c, f"SELECT * FROM {full.format('d')} AS OF TIMESTAMP '{past}'") == [("d",)], "its own history"
    assert sorted(row[2] for row in bin_of(c)) == ["other", "other", "t"]
    # PURGE RECYCLEBIN ends those of every database, and no table that lives.
    run(c, "PURGE RECYCLEBIN")
    assert bin_of(c) == [] and eventually(lambda: len(orc_files(server.directory / "data" / "files")) == 1)
    assert rows(c, f"SELECT * FROM {full.format('d')} AS OF TIMESTAMP '{past}'") == [("d",)]
    run(c, "CREATE DATABASE e")
    fails(NO_TABLE[wire], run, c, f"FLASHBACK TABLE {full.format('e')} TO BEFORE DROP")
    run(c, "PURGE RECYCLEBIN")
