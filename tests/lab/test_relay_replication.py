"""Replicas, log archivers, base backups and subscriptions whose server is Flashgate get what is the upstream's, byte for byte where it is
files."""

import contextlib
import filecmp
import signal
import subprocess
import threading

import pytest

from conftest import eventually
from upstreams import MYSQL_TREE, PASSWORDS, gated, need, private, upstream

# A change that is longer than a packet of MySQL's may be, and many small ones.
LONG = 20_000_000
PATIENCE = 60


@contextlib.contextmanager
def program(server, *words, **more):
    """A program that runs on until the end of the block, as the account of the server's, ended by SIGINT."""
    log = open(server.directory / "program.log", "ab")
    process = subprocess.Popen([*map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **server._as(), **more)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


# --- MySQL and MariaDB ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def primary():
    """A primary of each kind, by its name."""
    running = {}

    def start(kind, request):
        if kind not in running:
            need(kind, request)
            flags = ["--server-id=1", "--log-bin=binlog", "--sync-binlog=0"]
            flags += (
                ["--binlog-format=ROW"]
                if kind == "mariadb"
                else ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-replica-updates=ON"]
            )
            running[kind] = private(kind, f"primary-{kind}", *flags)
        return running[kind]

    yield start
    for one in running.values():
        one.kill()


def changes(server, table):
    """Changes of every kind that a log has: small and large rows, transactions, DDL, statements with our words in them."""
    server.sql(
        f"CREATE TABLE hot.{table} (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), pad LONGBLOB)",
        f"INSERT INTO hot.{table} (name, pad) VALUES ('one', 'x'), ('two', NULL), ('SELECT * FROM t AS OF TIMESTAMP NOW()', 'y')",
        f"INSERT INTO hot.{table} (name, pad) VALUES ('long', REPEAT('abcdefghij', {LONG // 10}))",
        "BEGIN",
        *(f"INSERT INTO hot.{table} (name, pad) VALUES ('row {number}', REPEAT('z', {number}))" for number in range(300)),
        "COMMIT",
        f"UPDATE hot.{table} SET name = CONCAT(name, '!') WHERE id % 3 = 0",
        f"DELETE FROM hot.{table} WHERE id % 7 = 0",
        f"ALTER TABLE hot.{table} ADD COLUMN recyclebin INT DEFAULT 5 COMMENT 'FLASHBACK'",
        *(f"INSERT INTO hot.{table} (name) VALUES ('single {number}')" for number in range(50)),
    )


def digest(server, table):
    return server.sql(f"SELECT COUNT(*), SUM(CRC32(name)), SUM(LENGTH(pad)), SUM(recyclebin), BIT_XOR(CRC32(pad)) FROM hot.{table}")


def has(server, table, want):
    import pymysql

    try:
        return digest(server, table) == want
    except pymysql.Error:
        return False


def follow(replica, host, port, user):
    password = PASSWORDS.get(user, "")
    if "Maria" in replica.name:
        where = f"MASTER_HOST='{host}', MASTER_PORT={port}, MASTER_USER='{user}', MASTER_PASSWORD='{password}', MASTER_CONNECT_RETRY=1"
        replica.sql(f"CHANGE MASTER TO {where}, MASTER_HEARTBEAT_PERIOD=0.5, MASTER_USE_GTID=slave_pos", "START SLAVE")
    else:
        where = f"SOURCE_HOST='{host}', SOURCE_PORT={port}, SOURCE_USER='{user}', SOURCE_PASSWORD='{password}', SOURCE_CONNECT_RETRY=1"
        where += ", SOURCE_AUTO_POSITION=1, SOURCE_SSL=1, SOURCE_HEARTBEAT_PERIOD=0.5"
        replica.sql(f"CHANGE REPLICATION SOURCE TO {where}", "START REPLICA")


def state(replica):
    import pymysql

    with replica.connect(cursorclass=pymysql.cursors.DictCursor) as c, c.cursor() as cursor:
        cursor.execute("SHOW SLAVE STATUS" if "Maria" in replica.name else "SHOW REPLICA STATUS")
        row = cursor.fetchone()
        return {name: row[name] for name in row if "Error" in name or name.endswith("_Running") or "State" in name}


def shown(replica):
    return "\n".join(f"{name}: {value}" for name, value in state(replica).items())


def dumps(server):
    """The sessions that send the log to somebody."""
    return {row[0] for row in server.sql("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")}


def nobody_follows(server, before):
    """Whether the log is sent to nobody any more. A server notices that a follower has left when it has something to send."""
    return eventually(lambda: not (dumps(server) - before) or server.sql("DROP TABLE IF EXISTS hot.noticed"), timeout=PATIENCE)


@pytest.mark.parametrize("kind, user", [("mariadb", "native"), ("mysql", "caching")])
def test_a_replica_follows_its_primary_through_flashgate(kind, user, request, primary):
    source = primary(kind, request)
    flags = ["--server-id=2", *([] if kind == "mariadb" else ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"])]
    stop, go = ("STOP SLAVE", "START SLAVE") if kind == "mariadb" else ("STOP REPLICA", "START REPLICA")
    # MySQL's replicas want TLS.
    with gated(mysql=source, self_signed=kind == "mysql") as running:
        replica = private(kind, f"replica-{kind}", *flags)
        # What the primary made before it had a log to follow: both made it.
        replica.sql(
            *(
                ["SET GLOBAL gtid_slave_pos = '%s'" % source.sql("SELECT @@gtid_binlog_pos")[0]]
                if kind == "mariadb"
                else start_at(replica, source)
            )
        )
        before = dumps(source)
        changes(source, "first")
        follow(replica, *running.mysql, user)
        assert eventually(lambda: has(replica, "first", digest(source, "first")), timeout=PATIENCE), shown(replica)
        # Live, and over a silence of some heartbeats; nothing comes twice after a stop.
        threading.Event().wait(1.5)
        for number in range(3):
            source.sql(f"INSERT INTO hot.first (name) VALUES ('live {number}')")
        assert eventually(lambda: has(replica, "first", digest(source, "first")), timeout=PATIENCE), shown(replica)
        assert len(dumps(source) - before) == 1
        replica.sql(stop)
        changes(source, "second")
        replica.sql(go)
        assert eventually(lambda: has(replica, "second", digest(source, "second")), timeout=PATIENCE), shown(replica)
        # The log's file changes under the eyes of who follows.
        source.sql("FLUSH BINARY LOGS", "INSERT INTO hot.first (name) VALUES ('next file')")
        assert eventually(lambda: has(replica, "first", digest(source, "first")), timeout=PATIENCE), shown(replica)
        assert state(replica)["Last_IO_Error"] == state(replica)["Last_SQL_Error"] == ""
        replica.sql(stop)
        assert nobody_follows(source, before)
        replica.kill()


def start_at(replica, source):
    """A MySQL replica that takes what its primary has done so far as done."""
    return ["RESET BINARY LOGS AND GTIDS", "SET GLOBAL gtid_purged = '%s'" % source.sql("SELECT @@gtid_executed")[0][0].replace("\n", "")]


def test_a_replica_that_acknowledges_does_so_through_flashgate(request, primary):
    """Semi-synchronous replication: the replica sends packets amid the stream, and the primary waits for them."""
    source = primary("mariadb", request)
    with gated(mysql=source) as running:
        replica = private("mariadb", "replica-semi", "--server-id=3", "--rpl-semi-sync-slave-enabled=1")
        replica.sql("SET GLOBAL gtid_slave_pos = '%s'" % source.sql("SELECT @@gtid_binlog_pos")[0])
        source.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1", "SET GLOBAL rpl_semi_sync_master_timeout = 20000")
        try:
            follow(replica, *running.mysql, "native")
            assert eventually(lambda: status(source, "Rpl_semi_sync_master_clients") == 1, timeout=PATIENCE), shown(replica)
            acknowledged = status(source, "Rpl_semi_sync_master_yes_tx")
            source.sql("CREATE TABLE hot.semi (id INT PRIMARY KEY)", *(f"INSERT INTO hot.semi VALUES ({number})" for number in range(100)))
            assert status(source, "Rpl_semi_sync_master_yes_tx") - acknowledged >= 100 and status(source, "Rpl_semi_sync_master_no_tx") == 0
            assert eventually(lambda: replica.sql("SELECT COUNT(*) FROM hot.semi") == ((100,),), timeout=PATIENCE)
        finally:
            source.sql("SET GLOBAL rpl_semi_sync_master_enabled = 0")
            replica.kill()


def status(server, name):
    return int(server.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])


def archiver(server, host, port, directory, first, user):
    """The program that copies binary logs as they grow."""
    flags = ["--read-from-remote-server", f"--host={host}", f"--port={port}", f"--user={user}", f"--password={PASSWORDS[user]}"]
    flags += ["--raw", "--stop-never", f"--result-file={directory}/", first]
    if "Maria" in server.name:
        return ["mariadb-binlog", "--no-defaults", "--stop-never-slave-server-id=9001", *flags]
    lib = MYSQL_TREE / "usr/lib/x86_64-linux-gnu"
    own = [lib / "ld-linux-x86-64.so.2", "--library-path", f"{lib}:{MYSQL_TREE}/usr/lib/mysql/private", MYSQL_TREE / "usr/bin/mysqlbinlog"]
    return [*own, "--no-defaults", "--connection-server-id=9001", "--ssl-mode=DISABLED", "--get-server-public-key", *flags]


@pytest.mark.parametrize("kind, user", [("mariadb", "native"), ("mysql", "caching")])
def test_archived_binary_logs_are_the_servers_files(kind, user, request, primary, tmp_path):
    source = primary(kind, request)
    tmp_path.chmod(0o777)
    first = source.sql("SHOW BINARY LOGS")[0][0]
    with gated(mysql=source) as running:
        before = dumps(source)
        words = archiver(source, *running.mysql, tmp_path, first, user)
        log = tmp_path / "archiver.log"
        with open(log, "wb") as out:
            process = subprocess.Popen([*map(str, words)], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            changes(source, "archived")
            source.sql("FLUSH BINARY LOGS")
            changes(source, "archived2")
            source.sql("FLUSH BINARY LOGS")
            *closed, last = [row[0] for row in source.sql("SHOW BINARY LOGS")]
            assert len(closed) >= 2
            assert eventually(lambda: (tmp_path / last).exists() or process.poll() is not None, timeout=PATIENCE), log.read_text()
            assert process.poll() is None, log.read_text()
            for name in closed:
                assert filecmp.cmp(tmp_path / name, source.data / name, shallow=False), name
        finally:
            process.terminate()
            process.wait(20)
        source.sql("DROP TABLE hot.archived2")
        assert nobody_follows(source, before)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------------------

VERSIONS = pytest.mark.parametrize("kind", ["postgres", "postgres17", "postgres18"])


def walsenders(server):
    return {row[0] for row in server.sql("SELECT pid FROM pg_stat_replication")}


@pytest.fixture
def place(tmp_path):
    """Where the account of a database may write."""
    for one in (tmp_path, *tmp_path.parents[:2]):
        one.chmod(0o777)
    return tmp_path


def fill(server, table):
    server.sql(
        f"DROP TABLE IF EXISTS {table}",
        f"CREATE TABLE {table} (id SERIAL PRIMARY KEY, name TEXT, pad BYTEA)",
        f"INSERT INTO {table} (name, pad) SELECT 'row ' || i, decode(repeat('ab', i), 'hex') FROM generate_series(1, 500) AS i",
        f"INSERT INTO {table} (name) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 60000) AS i",
        f"UPDATE {table} SET name = name || ' AS OF TIMESTAMP' WHERE id % 3 = 0 AND id < 500",
        f"DELETE FROM {table} WHERE id % 7 = 0",
        dbname="hot",
    )


def content(server, table, **more):
    with server.connect(**{"dbname": "hot", **more}) as c:
        return c.execute(
            f"SELECT count(*), md5(string_agg(id || coalesce(name, '-') || coalesce(md5(pad), '-'), ',' ORDER BY id)) FROM {table}"
        ).fetchone()


def same(server, table, want, **more):
    import psycopg

    try:
        return content(server, table, **more) == want
    except psycopg.Error:
        return False


@VERSIONS
def test_a_base_backup_and_the_standby_that_it_makes_follow_through_flashgate(kind, place):
    """pg_basebackup with two connections, a slot that it makes, and a standby whose primary_conninfo is Flashgate's."""
    server = upstream(kind)
    fill(server, "based")
    before = walsenders(server)
    with gated(postgres=server) as running, standby(server, running, place) as other:
        assert content(server, "based", port=other) == content(server, "based")
        server.sql("INSERT INTO based (name) SELECT repeat('long ', 4000000)", "INSERT INTO based (name) VALUES ('live')", dbname="hot")
        assert eventually(lambda: same(server, "based", content(server, "based"), port=other), timeout=PATIENCE)
        assert len(walsenders(server) - before) == 1
        # A synchronous standby's answers arrive: the commit waits for them.
        server.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        try:
            assert eventually(lambda: server.sql("SELECT sync_state FROM pg_stat_replication") == [("sync",)], timeout=PATIENCE)
            for number in range(20):
                server.sql("SET synchronous_commit = 'remote_apply'", f"INSERT INTO based (name) VALUES ('sync {number}')", dbname="hot")
                with server.connect(dbname="hot", port=other) as c:
                    assert c.execute(f"SELECT count(*) FROM based WHERE name = 'sync {number}'").fetchone() == (1,)
        finally:
            server.sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    assert eventually(lambda: not (walsenders(server) - before), timeout=PATIENCE)
    server.sql("SELECT pg_drop_replication_slot('standby')")


@contextlib.contextmanager
def standby(server, running, place):
    """A standby made by pg_basebackup through Flashgate; its port."""
    from conftest import free_port

    host, port = running.postgres
    server.run(
        *(
            server.bin / "pg_basebackup",
            "-h",
            host,
            "-p",
            port,
            "-U",
            "root",
            "-D",
            place / "base",
            "-X",
            "stream",
            "-c",
            "fast",
            "-R",
            "-C",
            "-S",
            "standby",
        ),
        *("--no-sync", "--manifest-checksums=SHA256"),
        cwd=place,
    )
    server.run(server.bin / "pg_verifybackup", place / "base", cwd=place)
    own = free_port()
    words = [word for word in map(str, server.command()) if not word.startswith(("--port", "--unix_socket_directories"))]
    words[words.index("-D") + 1] = str(place / "base")
    log = open(place / "standby.log", "wb")
    process = subprocess.Popen(
        [*words, f"--port={own}", f"--unix_socket_directories={place}"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=place,
        **server._as(),
    )
    try:
        assert eventually(lambda: same(server, "based", content(server, "based"), port=own), timeout=PATIENCE), (
            place / "standby.log"
        ).read_text()
        yield own
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@VERSIONS
def test_received_wal_is_the_servers(kind, place):
    server = upstream(kind)
    before = walsenders(server)
    with gated(postgres=server) as running:
        host, port = running.postgres
        words = [server.bin / "pg_receivewal", "-h", host, "-p", port, "-U", "root", "-D", place, "--slot=wal", "--no-loop"]
        server.run(*words[:-4], "--slot=wal", "--create-slot", cwd=place)
        with program(server, *words, "--synchronous", cwd=place) as process:
            assert eventually(lambda: walsenders(server) - before, timeout=PATIENCE)
            names = []
            for _ in range(2):
                fill(server, "received")
                names.append(server.sql("SELECT pg_walfile_name(pg_switch_wal())")[0][0])
            assert eventually(lambda: (place / names[-1]).exists() or process.poll() is not None, timeout=PATIENCE)
            assert process.poll() is None, (server.directory / "program.log").read_text()
            for name in names:
                assert filecmp.cmp(place / name, server.data / "pg_wal" / name, shallow=False), name
    assert eventually(lambda: not (walsenders(server) - before), timeout=PATIENCE)
    server.sql("SELECT pg_drop_replication_slot('wal')")


@VERSIONS
def test_decoded_changes_are_those_of_a_direct_connection(kind, place):
    server = upstream(kind)
    with gated(postgres=server) as running:
        ways = {"direct": (server.host, server.port), "through": running.postgres}
        words = {
            name: [server.bin / "pg_recvlogical", "-h", host, "-p", port, "-U", "root", "-d", "hot", f"--slot={name}"]
            for name, (host, port) in ways.items()
        }
        for name in ways:
            server.run(*words[name], "--create-slot", "-P", "test_decoding", cwd=place)
        fill(server, "decoded")
        ((end,),) = server.sql("SELECT pg_current_wal_lsn()")
        for name in ways:
            server.run(*words[name], "--start", "--no-loop", f"--endpos={end}", "-f", place / f"{name}.txt", cwd=place)
        text = (place / "direct.txt").read_bytes()
        assert text.count(b"INSERT") > 500 and text == (place / "through.txt").read_bytes()
        for name in ways:
            server.run(*words[name], "--drop-slot", cwd=place)


@pytest.fixture(scope="module")
def subscriber():
    running = private("postgres", "subscriber")
    yield running
    running.kill()


@VERSIONS
def test_a_subscription_follows_its_publisher_through_flashgate(kind, subscriber):
    """The copy of what is there, which is a COPY over a replication connection, and the stream of changes behind it."""
    server = upstream(kind)
    before = walsenders(server)
    fill(server, "published")
    server.sql("DROP PUBLICATION IF EXISTS lab", "CREATE PUBLICATION lab FOR TABLE published", dbname="hot")
    with gated(postgres=server) as running:
        host, port = running.postgres
        subscriber.sql(
            "DROP TABLE IF EXISTS published",
            "CREATE TABLE published (id SERIAL PRIMARY KEY, name TEXT, pad BYTEA)",
            f"CREATE SUBSCRIPTION lab CONNECTION 'host={host} port={port} user=root dbname=hot' PUBLICATION lab",
            dbname="hot",
        )
        assert eventually(lambda: same(subscriber, "published", content(server, "published")), timeout=PATIENCE)
        server.sql(
            "INSERT INTO published (name) SELECT 'later ' || i FROM generate_series(1, 2000) AS i",
            "UPDATE published SET name = 'new' WHERE id % 5 = 0",
            "DELETE FROM published WHERE id % 11 = 0",
            "TRUNCATE published",
            "INSERT INTO published (name) SELECT repeat('x', 10000) || i FROM generate_series(1, 500) AS i",
            dbname="hot",
        )
        assert eventually(lambda: same(subscriber, "published", content(server, "published")), timeout=PATIENCE)
        assert len(walsenders(server) - before) == 1
        # It also drops its slot through Flashgate.
        subscriber.sql("DROP SUBSCRIPTION lab", dbname="hot")
        assert server.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'lab'") == [(0,)]
    server.sql("DROP PUBLICATION lab", dbname="hot")
    assert eventually(lambda: not (walsenders(server) - before), timeout=PATIENCE)
