"""The outside contract of the process: ready line, HTTP, exit codes, drain, users, limits."""

import os
import re
import signal
import socket
import sqlite3
import ssl
import struct
import time

import psycopg
import pymysql
import pytest

from conftest import command, eventually

ERR_TOO_MANY = 1040


def mysql(server, **more):
    host, port = server.mysql
    return pymysql.connect(host=host, port=port, **{"user": "root", "password": "", "ssl_disabled": True, "connect_timeout": 20, "read_timeout": 60, **more})


def postgres(server, **more):
    host, port = server.postgres
    settings = {"user": "root", "dbname": "", "connect_timeout": 10, "sslmode": "disable", "autocommit": True, **more}
    return psycopg.connect(host=host, port=port, **settings)


def test_the_ready_line_names_three_addresses_that_answer(server):
    assert re.fullmatch(r"flashgate ready mysql=127\.0\.0\.1:\d+ postgres=127\.0\.0\.1:\d+ http=127\.0\.0\.1:\d+", server.ready_line)
    assert server.get("/health") == (200, "ok\n")
    assert server.get("/ready") == (200, "ready\n")
    with mysql(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    with postgres(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_metrics_count_connections_and_statements_without_user_data(server):
    with mysql(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 'a-secret-literal'")
        _, text = server.get("/metrics")
        assert 'flashgate_connections{protocol="mysql"} 1' in text
    assert eventually(lambda: 'flashgate_connections{protocol="mysql"} 0' in server.get("/metrics")[1])
    _, text = server.get("/metrics")
    assert "flashgate_statements_total{" in text
    assert "a-secret-literal" not in text and "root" not in text


def test_without_users_root_connects_with_an_empty_password_only_and_a_warning_says_so(server):
    with pytest.raises(pymysql.err.OperationalError) as caught:
        mysql(server, password="guess")
    assert caught.value.args[0] == 1045
    with pytest.raises(pymysql.err.OperationalError):
        mysql(server, user="somebody")
    with pytest.raises(psycopg.OperationalError):
        postgres(server, user="somebody")
    assert "no users are configured" in server.log()


def test_sigterm_drains_and_exits_with_zero(start):
    server = start()
    idle = mysql(server)
    began = time.monotonic()
    assert server.stop() == 0, server.log()
    assert time.monotonic() - began < 10, "an idle connection does not hold the server"
    with pytest.raises((pymysql.err.OperationalError, pymysql.err.InterfaceError)):
        idle.ping(reconnect=False)
    assert server.log().count("stopped") == 1


def test_a_client_that_never_ends_is_cut_at_the_deadline(start):
    server = start(env={"FLASHGATE_LIMITS_DRAIN_DEADLINE": "1s"})
    # In the middle of a start-up packet: the server waits for the rest.
    with socket.create_connection(server.postgres) as half:
        half.sendall(b"\0\0")
        time.sleep(0.2)
        assert server.stop(timeout=20) == 0, server.log()


def test_a_rollback_that_runs_when_the_server_stops_is_finished_before_the_process_ends(start):
    server = start(env={"FLASHGATE_LIMITS_DRAIN_DEADLINE": "1s"})
    with postgres(server, dbname="postgres") as connection:
        connection.execute("CREATE TABLE t (id int)")
    in_flight = postgres(server, dbname="postgres")
    in_flight.execute("BEGIN")
    with in_flight.cursor().copy("COPY t FROM STDIN") as copy:
        copy.write("1\n")
    metadata = sqlite3.connect(server.directory / "data" / "gms.db")

    def tasks():
        return metadata.execute("SELECT count(*) FROM fg_tasks").fetchone()[0]

    assert tasks() == 1, "the open transaction has a file in flight"
    assert server.stop(timeout=20) == 0, server.log()
    assert tasks() == 0, server.log()
    in_flight.close()


def test_a_restart_finds_everything_again(start, tmp_path):
    directory = tmp_path / "again"
    first = start(directory=directory)
    with mysql(first) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE d")
    assert first.stop() == 0
    second = start(directory=directory)
    with mysql(second, database="d") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DATABASE()")
        assert cursor.fetchone() == ("d",)


def test_one_client_too_many_reads_its_protocols_error_and_a_place_becomes_free_again(start):
    server = start(env={"FLASHGATE_LIMITS_CONNECTIONS": "1"})
    first = mysql(server)
    with pytest.raises(pymysql.err.OperationalError) as caught:
        mysql(server)
    assert caught.value.args[0] == ERR_TOO_MANY
    with pytest.raises(psycopg.OperationalError, match="(?i)too many connections"):
        postgres(server, sslmode="prefer")
    first.close()

    def free():
        try:
            return postgres(server)
        except psycopg.OperationalError:
            return None

    connection = eventually(free)
    assert connection, server.log()
    connection.close()


def test_who_does_not_log_in_in_time_is_disconnected(start):
    server = start(env={"FLASHGATE_LIMITS_LOGIN_TIMEOUT": "1s"})
    for address in (server.mysql, server.postgres):
        with socket.create_connection(address, timeout=15) as silent:
            began = time.monotonic()
            while silent.recv(4096):
                pass
            assert 0.5 < time.monotonic() - began < 10


@pytest.mark.parametrize("address", ["mysql", "postgres"])
def test_nonsense_on_the_wire_does_not_disturb_others(start, address):
    server = start()
    with mysql(server) as connection, connection.cursor() as cursor:
        for noise in (b"\xff" * 64, b"\0" * 1000, b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), struct.pack(">I", 0x7FFFFFFF) + b"x" * 100):
            with socket.create_connection(getattr(server, address), timeout=10) as stream:
                stream.sendall(noise)
                stream.shutdown(socket.SHUT_WR)
                try:
                    while stream.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        cursor.execute("SELECT 2")
        assert cursor.fetchone() == (2,)
    assert "fault of Flashgate" not in server.log()


def test_wrong_usage_and_wrong_configuration_exit_with_two(tmp_path):
    assert command("fly").returncode == 2
    assert command("serve", "--no-such-flag").returncode == 2
    file = tmp_path / "flashgate.toml"
    file.write_text("[listen]\nmysq = 'off'\n")
    done = command("serve", "--config", file, "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert "did you mean 'listen.mysql'" in done.stderr
    assert not (tmp_path / "data").exists()
    assert command("--help").returncode == 0
    assert command("--version").stdout.startswith("flashgate ")


def test_a_port_in_use_is_a_failure_that_names_the_key(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = command("serve", "--data-dir", tmp_path / "data", "--mysql-listen", address, "--postgres-listen", "off", "--http-listen", "off")
    assert done.returncode == 1
    assert "listen.mysql" in done.stderr


def test_beyond_loopback_a_start_needs_users_and_tls(start, tmp_path):
    data = tmp_path / "open" / "data"
    flags = ["--data-dir", data, "--mysql-listen", "0.0.0.0:0", "--postgres-listen", "127.0.0.1:0", "--http-listen", "off"]
    done = command("serve", *flags)
    assert done.returncode == 2 and "without users" in done.stderr
    add(data, "ann", "one two three")
    done = command("serve", *flags)
    assert done.returncode == 2 and "without TLS" in done.stderr
    server = start(["--mysql-listen", "0.0.0.0:0"], {"FLASHGATE_TLS_SELF_SIGNED": "true"}, tmp_path / "open")
    assert server.mysql[0] == "0.0.0.0"


def add(data, name, password, *more):
    done = command("user", "add", name, "--password-stdin", "--data-dir", data, *more, stdin=password + "\n")
    assert done.returncode == 0, done.stderr


def test_users_log_in_with_their_password_on_both_wires_and_over_tls(start, tmp_path):
    directory = tmp_path / "tls"
    data = directory / "data"
    add(data, "ann", "one two three")
    server = start(env={"FLASHGATE_TLS_SELF_SIGNED": "true"}, directory=directory)
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    for more in ({}, {"ssl_disabled": False, "ssl": insecure}):
        with mysql(server, user="ann", password="one two three", **more) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        with pytest.raises(pymysql.err.OperationalError) as caught:
            mysql(server, user="ann", password="one two", **more)
        assert caught.value.args[0] == 1045
    for mode in ("disable", "require"):
        with postgres(server, user="ann", password="one two three", sslmode=mode) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert connection.pgconn.ssl_in_use == (mode == "require")
        with pytest.raises(psycopg.OperationalError):
            postgres(server, user="ann", password="one two", sslmode=mode)
    with pytest.raises(pymysql.err.OperationalError):
        mysql(server)
    everything = server.log() + "".join(p.read_bytes().decode("latin1") for p in data.glob("gms.db*"))
    assert "one two three" not in everything


def test_a_server_that_requires_tls_takes_no_plain_client(start):
    server = start(env={"FLASHGATE_TLS_SELF_SIGNED": "true", "FLASHGATE_TLS_REQUIRED": "true"})
    with pytest.raises(pymysql.err.MySQLError, match="insecure transport"):
        mysql(server)
    with pytest.raises(psycopg.OperationalError, match="unencrypted"):
        postgres(server)
    postgres(server, sslmode="require").close()
    assert 'flashgate_logins_total{protocol="postgres",outcome="ok"} 1' in server.get("/metrics")[1]


def test_a_password_that_changes_while_the_server_runs_counts_at_the_next_login(start, tmp_path):
    directory = tmp_path / "change"
    data = directory / "data"
    add(data, "ann", "old")
    server = start(directory=directory)
    mysql(server, user="ann", password="old").close()
    done = command("user", "passwd", "ann", "--data-dir", data, env={"FLASHGATE_PASSWORD": "new"})
    assert done.returncode == 0, done.stderr
    time.sleep(0.5)
    with pytest.raises(pymysql.err.OperationalError):
        mysql(server, user="ann", password="old")
    mysql(server, user="ann", password="new").close()
    assert command("user", "remove", "ann", "--data-dir", data).returncode == 0
    time.sleep(0.5)
    with pytest.raises(psycopg.OperationalError):
        postgres(server, user="ann", password="new")


def test_the_user_command_says_what_is_wrong(tmp_path):
    data = tmp_path / "data"
    add(data, "ann", "x")
    add(data, "bob", "x")
    assert command("user", "list", "--data-dir", data).stdout.split() == ["ann", "bob"]
    again = command("user", "add", "ann", "--password-stdin", "--data-dir", data, stdin="x\n")
    assert again.returncode == 1 and "exists already" in again.stderr
    assert command("user", "add", "a b", "--password-stdin", "--data-dir", data, stdin="x\n").returncode == 2
    assert command("user", "add", "cleo", "--password-stdin", "--data-dir", data, stdin="\n").returncode == 2
    assert command("user", "add", "cleo", "--data-dir", data).returncode == 2
    missing = command("user", "remove", "an", "--data-dir", data)
    assert missing.returncode == 1 and "did you mean 'ann'" in missing.stderr


def test_ready_says_when_the_default_store_is_gone(start):
    server = start()
    files = server.directory / "data" / "files"
    assert server.get("/ready")[0] == 200
    moved = files.rename(files.with_name("moved"))
    status, text = server.get("/ready")
    assert status == 503 and "default file storage" in text
    moved.rename(files)
    assert server.get("/ready")[0] == 200


def test_json_logs_are_json(start):
    import json

    server = start(env={"FLASHGATE_LOG_FORMAT": "json"})
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert any(line["message"] == "stopped" for line in lines)


def test_two_signals_stop_at_once(start):
    server = start(env={"FLASHGATE_LIMITS_DRAIN_DEADLINE": "1h"})
    with socket.create_connection(server.postgres) as half:
        half.sendall(b"\0\0")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 10
