"""The edges of the relay: who comes in over a Unix socket, what a client hears before a greeting, and what only MariaDB has."""

import getpass
import ssl
import subprocess

import psycopg
import pymysql
import pytest

from relay import mysql as wire
from relay.wire import Stream
from upstreams import FORWARD, PASSWORDS, gated, need, upstream
from wires import mysql, postgres, rows, run

pytestmark = pytest.mark.skipif(FORWARD, reason="a forwarder has no edges of its own")

ALLOWED = {"FLASHGATE_UPSTREAM_DANGER_SOCKET_LOGINS_WITHOUT_PASSWORD": "true"}


@pytest.fixture(scope="module")
def maria():
    return upstream("mariadb")


def try_login(running, user, password=""):
    """The error that it ends with, or True."""
    try:
        mysql(running, user=user, password=password).close()
        return True
    except pymysql.Error as error:
        return error


# --- a Unix socket -----------------------------------------------------------------------------------------------------------


def test_postgresql_at_a_unix_socket_is_relayed_and_lets_nobody_in_unasked():
    base = upstream("postgres")
    lines = (base.data / "pg_hba.conf").read_text()
    try:
        (base.data / "pg_hba.conf").write_text("local all scram scram-sha-256\nlocal all clear password\n" + lines)
        base.sql("SELECT pg_reload_conf()")
        with gated(postgres=str(base.socket)) as running:
            for user in ("scram", "clear"):
                with postgres(running, "hot", user=user, password=PASSWORDS[user]) as c:
                    assert rows(c, "SELECT inet_client_addr(), current_user") == [(None, user)]
            # pg_hba.conf trusts the socket for all others, as it would with `peer`.
            for user in ("root", "md5user"):
                with pytest.raises(psycopg.OperationalError, match="asks for no password over its Unix socket"):
                    postgres(running, "hot", user=user, password="anything")
        with gated(postgres=str(base.socket), env=ALLOWED) as running, postgres(running, "hot", user="root") as c:
            assert rows(c, "SELECT current_user") == [("root",)]
    finally:
        (base.data / "pg_hba.conf").write_text(lines)
        base.sql("SELECT pg_reload_conf()")


def test_an_upstream_at_a_unix_socket_is_relayed_and_lets_nobody_in_as_ourselves(maria, tmp_path):
    """Tests and Flashgate run as one user of the system; a MariaDB account of its name may come in by `unix_socket`."""
    link, me = tmp_path / "s.sock", getpass.getuser()
    link.symlink_to(maria.socket)
    try:
        with gated(mysql=str(link)) as running, gated(mysql=str(link), env=ALLOWED) as open_to_all:
            c = mysql(running, user="native", password=PASSWORDS["native"])
            assert rows(c, "SELECT USER()") == [("native@localhost",)]
            for how in ("VIA unix_socket", f"VIA mysql_native_password USING PASSWORD('{PASSWORDS['native']}') OR unix_socket"):
                maria.sql(f"CREATE OR REPLACE USER {me}@localhost IDENTIFIED {how}")
                for password in ("", "anything", PASSWORDS["native"]):
                    got = try_login(running, user=me, password=password)
                    assert isinstance(got, pymysql.Error) and got.args[0] == 1045, (how, password, got)
                    assert try_login(open_to_all, user=me, password=password)
                # Nor from within a session.
                with pytest.raises(pymysql.Error, match="1045"):
                    session = mysql(running, user="native", password=PASSWORDS["native"])
                    change_user(session, me)
            # An account without a password is let in unasked as well.
            maria.sql(f"CREATE OR REPLACE USER {me}@localhost")
            assert isinstance(try_login(running, user=me), pymysql.Error)
            assert try_login(open_to_all, user=me)
            # What goes wrong for one is nothing to another.
            assert rows(c, "SELECT 1") == [(1,)]
            c.close()
    finally:
        maria.sql(f"CREATE OR REPLACE USER {me}@localhost", f"GRANT ALL ON *.* TO {me}@localhost WITH GRANT OPTION")


def test_mysql_at_a_unix_socket_is_relayed(request, tmp_path):
    server = need("mysql", request)
    link = tmp_path / "s.sock"
    link.symlink_to(server.socket)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with gated(mysql=str(link), self_signed=True) as running:
        for _ in range(2):
            c = mysql(running, user="caching", password=PASSWORDS["caching"], ssl_disabled=False, ssl=context)
            assert rows(c, "SELECT USER()") == [("caching@localhost",)]
            c.close()
        assert isinstance(try_login(running, user="root"), pymysql.Error)


def change_user(connection, user):
    """COM_CHANGE_USER with a password of nothing."""
    connection._execute_command(0x11, user.encode() + b"\0\0" + b"\0" + b"\x2d\0" + b"mysql_native_password\0\0")
    packet = connection._read_packet()
    if packet.is_auth_switch_request():
        connection.write_packet(b"")
        connection._read_packet()


# --- before the greeting -----------------------------------------------------------------------------------------------------


def test_an_upstream_that_is_away_is_told_in_the_servers_own_way_before_the_greeting(tmp_path):
    """As MariaDB and MySQL themselves do it there: a code of the server's range, and no mark of an SQLSTATE."""
    with gated(mysql="127.0.0.1:1") as running:
        stream = Stream(running.mysql)
        packet = stream.rest()
        assert packet[3:7] == b"\0\xff" + (1053).to_bytes(2, "little") and packet[7:8] != b"#"
        stream.close()
        with pytest.raises(pymysql.OperationalError, match="1053.*Can't connect to MySQL server on"):
            mysql(running)
        host, port = running.mysql
        words = ["mariadb", "--no-defaults", f"-h{host}", f"-P{port}", "-uroot", "--skip-ssl", "-e", "SELECT 1"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "ERROR 1053" in done.stderr and "Can't connect to MySQL server on" in done.stderr, done.stderr


# --- what MariaDB has of its own ---------------------------------------------------------------------------------------------


def test_types_without_a_number_arrive_with_their_names_from_hot_and_cold_tables(maria):
    maria.sql("CREATE OR REPLACE TABLE hot.named (id INT, doc JSON, ident UUID, place INET6, spot POINT)", "INSERT INTO hot.named (id, doc) VALUES (1, '[]')")
    with gated(mysql=maria) as running:
        c = mysql(running, "hot")
        run(c, "CREATE TABLE coldly (id INT, doc JSON, ident UUID) ENGINE='OSS'", "INSERT INTO coldly (id, doc) VALUES (1, '{}')")
        c.close()
        for texts in (
            [b"\x03SELECT * FROM named"],
            [b"\x03SELECT * FROM coldly", b"\x16SELECT doc, ident FROM coldly WHERE id = ?"],
            # Definitions of the upstream's are read for what is joined here.
            [b"\x03SELECT c.doc, c.ident, n.id FROM coldly AS c JOIN named AS n ON n.id = c.id", b"\x03SET @v = 1; SELECT id, doc FROM coldly WHERE id = @v"],
        ):
            for capabilities in (wire.DEPRECATE_EOF, 0):
                login = wire.Login(database="hot", capabilities=wire.PLUGIN_AUTH | wire.MULTI_STATEMENTS | wire.MULTI_RESULTS | capabilities, mariadb=wire.MARIADB_EXTENDED)
                script = wire.Script(login, [wire.Step([wire.Command(text)]) for text in texts], kind="mysql")
                heard = b"".join(one.data for one in wire.Session(running.mysql, script, False).run())
                assert b"\x05ident\x06\x00\x04uuid\x0c" in heard, heard
                # A cold table's JSON is a LONGTEXT in front of MariaDB, and no more is known of it.
                if b"* FROM named" in texts[0]:
                    assert b"\x03doc\x06\x01\x04json\x0c" in heard
                    assert b"\x05place\x07\x00\x05inet6\x0c" in heard and b"\x04spot\x07\x00\x05point\x0c" in heard


def test_reports_of_progress_come_as_a_part_of_their_answer(maria):
    maria.sql("USE hot", "CREATE OR REPLACE TABLE hot.grows (id INT PRIMARY KEY, pad VARCHAR(200))", "INSERT INTO hot.grows SELECT seq, REPEAT('x', 200) FROM seq_1_to_60000")
    with gated(mysql=maria) as running:
        c = mysql(running, "hot")
        run(c, "CREATE TABLE slow (id INT) ENGINE='OSS'", "INSERT INTO slow VALUES (1)")
        c.close()
        login = wire.Login(database="hot", capabilities=wire.PLUGIN_AUTH | wire.DEPRECATE_EOF, mariadb=wire.MARIADB_PROGRESS)
        session = wire.Session(running.mysql, wire.Script(login, [], kind="mysql"), False)
        session._login(login)
        # The first report comes at once when none came for so long.
        for text in (b"SET progress_report_time = 1", b"ALTER TABLE grows ADD COLUMN more INT, ALGORITHM=COPY", b"SELECT id FROM slow", b"SELECT 7"):
            session.stream.send(wire.framed(b"\x03" + text))
            reports, packet = 0, session._packet()
            while packet[:3] == b"\xff\xff\xff":
                reports, packet = reports + 1, session._packet()
            assert packet[:1] != b"\xff", packet
            if packet[:1] != b"\0":
                session._packet()
                row = session._packet()
                assert row == (b"\x011" if b"slow" in text else b"\x017")
                session._packet()
        session.stream.close()
