"""Rights over cold tables, of the users of a real MariaDB and MySQL behind Flashgate."""

import mysql.connector
import pymysql
import pytest

from test_concurrency import fails
from upstreams import FORWARD, gated, need
from wires import rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def gate(request):
    """A cold table `hot.attic` of one row; `ann` may do everything with hot tables, but is no superuser; `eve` has no account of her own."""
    server = need(request.param, request)
    users = ["ann@'%'", "'odd@name'@'%'", "''@'%'"]
    server.sql(*(f"CREATE USER {user} IDENTIFIED BY ''" for user in users), *(f"GRANT ALL ON hot.* TO {user}" for user in users))
    try:
        with gated(mysql=server) as running, connect(running) as root:
            run(root, "CREATE TABLE attic (id INT, name VARCHAR(20)) ENGINE='OSS'")
            run(root, "INSERT INTO attic VALUES (1, 'one')")
            running.root = root
            yield running
    finally:
        server.sql(*(f"DROP USER {user}" for user in users))


@pytest.fixture
def ann(gate):
    with connect(gate, "ann") as connection:
        yield connection
    for words in ("ALL ON COLD TABLE *.*", "ALL ON COLD TABLE hot.attic", "ALL ON COLD TABLE hot.*", "BACKUP, RESTORE, ADMIN ON FILESTORAGE"):
        run(gate.root, f"REVOKE {words} FROM ann, 'ann'@'%', PUBLIC")


def connect(gate, user="root"):
    host, port = gate.mysql
    return pymysql.connect(host=host, port=port, user=user, database="hot", ssl_disabled=True, autocommit=True, connect_timeout=20, read_timeout=60)


def test_nothing_is_allowed_until_it_is_granted(gate, ann):
    message = fails(1142, rows, ann, "SELECT * FROM attic")
    assert "'ann'@'%'" in str(message) and "GRANT SELECT ON COLD TABLE" in str(message)
    for statement in ("INSERT INTO attic VALUES (2, 'two')", "DELETE FROM attic", "DROP TABLE attic", "SHOW CREATE TABLE attic"):
        fails(1142, run, ann, statement)
    for statement in ("SHOW FILESTORAGE", "PURGE RECYCLEBIN", "ALTER FILESTORAGE OSS BACKUP", "GRANT ADMIN ON FILESTORAGE TO ann"):
        fails(1227, run, ann, statement)
    assert rows(ann, "SELECT 1") == [(1,)] and rows(gate.root, "SELECT COUNT(*) FROM attic") == [(1,)]


def test_listings_show_what_the_user_may_see(gate, ann):
    assert ("attic",) in rows(gate.root, "SHOW TABLES") and ("attic",) not in rows(ann, "SHOW TABLES")
    run(gate.root, "GRANT INSERT ON COLD TABLE attic TO ann")
    assert ("attic",) in rows(ann, "SHOW TABLES")
    assert rows(ann, "SELECT * FROM information_schema.file_storage") == []
    run(gate.root, "GRANT BACKUP ON FILESTORAGE TO ann")
    assert len(rows(ann, "SELECT * FROM information_schema.file_storage")) == 1


def test_a_grant_counts_from_the_next_statement_on_and_a_revoke_too(gate, ann):
    fails(1142, rows, ann, "SELECT * FROM attic")
    run(gate.root, "GRANT SELECT ON COLD TABLE hot.attic TO 'ann'@'%'")
    assert rows(ann, "SELECT * FROM attic") == [(1, "one")]
    fails(1142, run, ann, "INSERT INTO attic VALUES (2, 'two')")
    assert rows(ann, "SHOW COLD GRANTS") == [("GRANT SELECT ON COLD TABLE hot.attic TO 'ann'@'%'",)]
    run(gate.root, "REVOKE SELECT ON COLD TABLE hot.attic FROM 'ann'@'%'")
    fails(1142, rows, ann, "SELECT * FROM attic")
    assert rows(ann, "SHOW COLD GRANTS") == []


def test_a_statement_prepared_before_a_revoke_is_denied_after_it(gate, ann):
    host, port = gate.mysql
    run(gate.root, "GRANT SELECT ON COLD TABLE hot.* TO ann")
    other = mysql.connector.connect(host=host, port=port, user="ann", database="hot", ssl_disabled=True, use_pure=True, autocommit=True)
    cursor = other.cursor(prepared=True)
    cursor.execute("SELECT name FROM attic WHERE id = ?", (1,))
    assert cursor.fetchall() == [("one",)]
    run(gate.root, "REVOKE SELECT ON COLD TABLE hot.* FROM ann")
    with pytest.raises(mysql.connector.Error) as error:
        cursor.execute("SELECT name FROM attic WHERE id = ?", (1,))
    assert error.value.errno == 1142
    other.close()


def test_an_admin_of_ours_grants_and_a_user_is_who_the_upstream_says(gate, ann):
    run(gate.root, "GRANT ADMIN ON FILESTORAGE TO ann")
    run(ann, "GRANT SELECT ON COLD TABLE attic TO 'odd@name'@'%'")
    with connect(gate, "odd@name") as odd:
        assert rows(odd, "SELECT COUNT(*) FROM attic") == [(1,)]
    # Nobody logs in as eve: she is let in as the anonymous account, and has what that has.
    run(ann, "GRANT SELECT ON COLD TABLE attic TO eve")
    with connect(gate, "eve") as eve:
        fails(1142, rows, eve, "SELECT * FROM attic")
        run(ann, "GRANT SELECT ON COLD TABLE attic TO ''@'%'")
        assert rows(eve, "SELECT COUNT(*) FROM attic") == [(1,)]
    run(ann, "REVOKE ALL ON COLD TABLE attic FROM eve, ''@'%', 'odd@name'@'%'")


def test_a_change_of_user_changes_the_rights(gate, ann):
    run(gate.root, "GRANT SELECT ON COLD TABLE hot.attic TO ann")
    host, port = gate.mysql
    c = mysql.connector.connect(host=host, port=port, user="root", database="hot", ssl_disabled=True, use_pure=True, autocommit=True)
    rows(c, "SHOW FILESTORAGE")
    c.cmd_change_user(username="ann", password="", database="hot")
    assert rows(c, "SELECT COUNT(*) FROM attic") == [(1,)]
    with pytest.raises(mysql.connector.Error) as error:
        rows(c, "SHOW FILESTORAGE")
    assert error.value.errno == 1227
    c.close()


def test_the_grants_of_the_upstream_go_to_the_upstream(gate, ann):
    run(gate.root, "CREATE TABLE IF NOT EXISTS hot.cold (id INT)")
    run(gate.root, "GRANT SELECT ON hot.cold TO ann")
    run(gate.root, "REVOKE SELECT ON hot.cold FROM ann")
    fails(1142, rows, ann, "SELECT * FROM attic")
    assert rows(ann, "SELECT * FROM cold") == []
    run(gate.root, "DROP TABLE hot.cold")
