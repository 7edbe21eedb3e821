"""Rights over cold tables, of the users of a real MariaDB and MySQL behind Flashgate."""

import pymysql
import pytest

from test_concurrency import fails
from upstreams import FORWARD, gated, need
from wires import rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no cold tables")


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def gate(request):
    """A cold table `hot.archive` of one row; `ann` may do everything with hot tables, but is no superuser; `eve` has no account of her own."""
    server = need(request.param, request)
    users = ["ann@'%'", "'odd@name'@'%'", "''@'127.0.0.1'"]
    server.sql(*(f"CREATE USER {user} IDENTIFIED BY ''" for user in users), *(f"GRANT ALL ON hot.* TO {user}" for user in users))
    try:
        with gated(mysql=server) as running, connect(running) as root:
            run(root, "CREATE TABLE archive (id INT, name VARCHAR(20)) ENGINE='OSS'")
            run(root, "INSERT INTO archive VALUES (1, 'one')")
            running.root = root
            yield running
    finally:
        server.sql(*(f"DROP USER {user}" for user in users))


@pytest.fixture
def ann(gate):
    with connect(gate, "ann") as connection:
        yield connection
    for words in ("ALL ON COLD TABLE *.*", "ALL ON COLD TABLE hot.archive", "ALL ON COLD TABLE hot.*", "BACKUP, RESTORE, ADMIN ON FILESTORAGE"):
        run(gate.root, f"REVOKE {words} FROM ann, PUBLIC")


def connect(gate, user="root"):
    host, port = gate.mysql
    return pymysql.connect(host=host, port=port, user=user, database="hot", ssl_disabled=True, autocommit=True, connect_timeout=20, read_timeout=60)


def test_nothing_is_allowed_until_it_is_granted(gate, ann):
    message = fails(1142, rows, ann, "SELECT * FROM archive")
    assert "'ann'@'%'" in str(message) and "GRANT SELECT ON COLD TABLE" in str(message)
    for statement in ("INSERT INTO archive VALUES (2, 'two')", "DELETE FROM archive", "DROP TABLE archive", "SHOW CREATE TABLE archive"):
        fails(1142, run, ann, statement)
    for statement in ("SHOW FILESTORAGE", "PURGE RECYCLEBIN", "ALTER FILESTORAGE OSS BACKUP", "GRANT ADMIN ON FILESTORAGE TO ann"):
        fails(1227, run, ann, statement)
    assert rows(ann, "SELECT 1") == [(1,)] and rows(gate.root, "SELECT COUNT(*) FROM archive") == [(1,)]


def test_a_grant_counts_from_the_next_statement_on_and_a_revoke_too(gate, ann):
    fails(1142, rows, ann, "SELECT * FROM archive")
    run(gate.root, "GRANT SELECT ON COLD TABLE hot.archive TO 'ann'@'%'")
    assert rows(ann, "SELECT * FROM archive") == [(1, "one")]
    fails(1142, run, ann, "INSERT INTO archive VALUES (2, 'two')")
    assert rows(ann, "SHOW COLD GRANTS") == [("GRANT SELECT ON COLD TABLE hot.archive TO 'ann'@'%'",)]
    run(gate.root, "REVOKE SELECT ON COLD TABLE hot.archive FROM 'ann'@'%'")
    fails(1142, rows, ann, "SELECT * FROM archive")
    assert rows(ann, "SHOW COLD GRANTS") == []


def test_a_statement_prepared_before_a_revoke_is_denied_after_it(gate, ann):
    import mysql.connector

    host, port = gate.mysql
    run(gate.root, "GRANT SELECT ON COLD TABLE hot.* TO ann")
    other = mysql.connector.connect(host=host, port=port, user="ann", database="hot", ssl_disabled=True, use_pure=True, autocommit=True)
    cursor = other.cursor(prepared=True)
    cursor.execute("SELECT name FROM archive WHERE id = ?", (1,))
    assert cursor.fetchall() == [("one",)]
    run(gate.root, "REVOKE SELECT ON COLD TABLE hot.* FROM ann")
    with pytest.raises(mysql.connector.Error) as error:
        cursor.execute("SELECT name FROM archive WHERE id = ?", (1,))
    assert error.value.errno == 1142
    other.close()


def test_an_admin_of_ours_grants_and_a_user_is_who_the_upstream_says(gate, ann):
    run(gate.root, "GRANT ADMIN ON FILESTORAGE TO ann")
    run(ann, "GRANT SELECT ON COLD TABLE archive TO 'odd@name'@'%'")
    with connect(gate, "odd@name") as odd:
        assert rows(odd, "SELECT COUNT(*) FROM archive") == [(1,)]
    # Nobody logs in as eve: she is let in as the anonymous account, and has what that has.
    run(ann, "GRANT SELECT ON COLD TABLE archive TO eve")
    with connect(gate, "eve") as eve:
        fails(1142, rows, eve, "SELECT * FROM archive")
        run(ann, "GRANT SELECT ON COLD TABLE archive TO ''@'127.0.0.1'")
        assert rows(eve, "SELECT COUNT(*) FROM archive") == [(1,)]
    run(ann, "REVOKE ALL ON COLD TABLE archive FROM eve, ''@'127.0.0.1', 'odd@name'@'%'")


def test_a_change_of_user_changes_the_rights(gate, ann):
    run(gate.root, "GRANT SELECT ON COLD TABLE hot.archive TO ann")
    import mysql.connector

    host, port = gate.mysql
    c = mysql.connector.connect(host=host, port=port, user="root", database="hot", ssl_disabled=True, use_pure=True, autocommit=True)
    rows(c, "SHOW FILESTORAGE")
    c.cmd_change_user(username="ann", password="", database="hot")
    assert rows(c, "SELECT COUNT(*) FROM archive") == [(1,)]
    with pytest.raises(mysql.connector.Error) as error:
        rows(c, "SHOW FILESTORAGE")
    assert error.value.errno == 1227
    c.close()


def test_the_grants_of_the_upstream_go_to_the_upstream(gate, ann):
    run(gate.root, "CREATE TABLE IF NOT EXISTS hot.cold (id INT)")
    run(gate.root, "GRANT SELECT ON hot.cold TO ann")
    run(gate.root, "REVOKE SELECT ON hot.cold FROM ann")
    fails(1142, rows, ann, "SELECT * FROM archive")
    assert rows(ann, "SELECT * FROM cold") == []
    run(gate.root, "DROP TABLE hot.cold")
