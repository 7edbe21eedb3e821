"""Variables tell clients the truth about the server."""

import time

import psycopg
import pymysql
import pytest

from wires import mysql as connect, postgres, rows, run


def test_variables_tell_how_the_server_listens_and_what_it_limits(start):
    server = start(env={"FLASHGATE_TLS_SELF_SIGNED": "true", "FLASHGATE_LIMITS_IDLE_TIMEOUT": "1h", "FLASHGATE_LIMITS_LOGIN_TIMEOUT": "7s"})
    with connect(server) as c:
        shown = rows(c, "SELECT @@port, @@have_ssl, @@have_openssl, @@require_secure_transport, @@wait_timeout, @@connect_timeout")
        assert shown == [(server.mysql[1], "YES", "YES", 0, 3600, 7)]
    with postgres(server) as c:
        assert rows(c, "SHOW port") == [(str(server.postgres[1]),)] and rows(c, "SHOW ssl") == [("on",)]


def test_load_data_is_refused_where_the_server_does_not_want_it(start, tmp_path):
    server = start()
    path = tmp_path / "rows.tsv"
    path.write_text("1\n2\n")
    with connect(server) as c:
        run(c, "CREATE DATABASE load_off", "CREATE TABLE load_off.t (a INT)", "SET GLOBAL local_infile = OFF")
    with connect(server, "load_off", local_infile=True) as c:
        with pytest.raises(pymysql.err.MySQLError) as caught:
            run(c, f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t")
        assert caught.value.args[0] == 3948
        run(c, "SET GLOBAL local_infile = ON", f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t")
        assert rows(c, "SELECT count(*) FROM t") == [(2,)]


def test_the_purge_guard_of_one_session_is_not_that_of_another(server):
    with connect(server) as one, connect(server) as other:
        run(one, "CREATE DATABASE guard", "CREATE TABLE guard.t (a INT)", "SET backup_oss_period = 0")
        assert rows(one, "SELECT @@backup_oss_period") == [(0,)] and rows(other, "SELECT @@backup_oss_period") == [(30,)]
        with pytest.raises(pymysql.err.MySQLError) as caught:
            run(other, "SET GLOBAL backup_oss_period = 0")
        assert caught.value.args[0] == 1229
        with pytest.raises(pymysql.err.MySQLError) as caught:
            run(other, "ALTER TABLE guard.t PURGE BEFORE TIMESTAMP now(6)")
        assert caught.value.args[0] == 1290
        run(one, "ALTER TABLE guard.t PURGE BEFORE TIMESTAMP now(6)")


def test_a_postgres_session_ends_when_it_is_idle_for_longer_than_it_asked_for(server):
    for setting, begin, state in [("idle_session_timeout", "", "57P05"), ("idle_in_transaction_session_timeout", "BEGIN", "25P03")]:
        with postgres(server) as c:
            c.execute(f"SET {setting} = '300ms'")
            if begin:
                c.execute(begin)
            time.sleep(1)
            with pytest.raises(psycopg.Error) as caught:
                c.execute("SELECT 1")
            assert caught.value.sqlstate == state
