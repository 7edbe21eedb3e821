"""Several clients at once: snapshot isolation, first committer wins, kill and cancel, time limits, on both wires."""

import concurrent.futures
import random
import threading
import time

import psycopg
import pymysql
import pytest

from conftest import eventually
from wires import mysql, now, postgres, rows, run


@pytest.fixture(scope="module")
def database(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE c")
    return server


def opened(server, wire, **more):
    return mysql(server, "c", **more) if wire == "mysql" else postgres(server, "c", **more)


def fails(code, call, *args):
    """The call fails with this MySQL code or SQLSTATE; returns the error."""
    with pytest.raises((pymysql.err.Error, psycopg.Error)) as caught:
        call(*args)
    got = caught.value.sqlstate if isinstance(caught.value, psycopg.Error) else caught.value.args[0]
    assert got == code, caught.value
    return caught.value


WIRES = pytest.mark.parametrize("wire", ["mysql", "postgres"])
CONFLICT = {"mysql": 1213, "postgres": "40001"}
KILLED = {"mysql": 1317, "postgres": "57014"}
TIMEOUT = {"mysql": 3024, "postgres": "57014"}


@WIRES
def test_the_first_committer_wins_and_the_loser_is_told_to_run_again(database, wire):
    one, two = opened(database, wire), opened(database, wire)
    name = f"conflict_{wire}"
    run(one, f"CREATE TABLE {name} (id INT, v INT)", f"INSERT INTO {name} VALUES (1, 0), (2, 0)")
    run(one, "BEGIN", f"UPDATE {name} SET v = 1 WHERE id = 1")
    run(two, "BEGIN", f"UPDATE {name} SET v = 2 WHERE id = 1")
    run(one, "COMMIT")
    error = fails(CONFLICT[wire], run, two, "COMMIT")
    assert name in str(error) and "again" in str(error)
    assert rows(two, f"SELECT v FROM {name} WHERE id = 1") == [(1,)]
    run(two, "BEGIN", f"UPDATE {name} SET v = v + 10 WHERE id = 1", "COMMIT")
    assert rows(one, f"SELECT v FROM {name} WHERE id = 1") == [(11,)]


@WIRES
def test_single_statements_that_lose_a_conflict_run_again_by_themselves(database, wire):
    name = f"counter_{wire}"
    run(opened(database, wire), f"CREATE TABLE {name} (id INT, n INT)", f"INSERT INTO {name} VALUES (1, 0)")

    def count(_):
        client = opened(database, wire)
        if wire == "postgres":
            client.autocommit = True
        done = 0
        for _ in range(10):
            try:
                run(client, f"UPDATE {name} SET n = n + 1 WHERE id = 1")
                done += 1
            except (pymysql.err.Error, psycopg.Error) as error:
                assert (error.sqlstate if wire == "postgres" else error.args[0]) == CONFLICT[wire], error
        return done

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = sum(pool.map(count, range(3)))
    assert rows(opened(database, wire), f"SELECT n FROM {name}") == [(done,)]
    assert done >= 28, f"{done} of 30"


@WIRES
def test_inserts_do_not_conflict(database, wire):
    one, two = opened(database, wire), opened(database, wire)
    name = f"inserts_{wire}"
    run(one, f"CREATE TABLE {name} (id INT)")
    for c in (one, two):
        run(c, "BEGIN", f"INSERT INTO {name} VALUES (1)")
    run(one, "COMMIT")
    run(two, "COMMIT")
    assert rows(one, f"SELECT COUNT(*) FROM {name}") == [(2,)]


@WIRES
def test_a_transaction_sees_its_own_snapshot_and_its_own_changes(database, wire):
    one, two = opened(database, wire), opened(database, wire)
    name = f"snapshot_{wire}"
    run(one, f"CREATE TABLE {name} (id INT)", f"INSERT INTO {name} VALUES (1)")
    run(one, "BEGIN")
    assert rows(one, f"SELECT id FROM {name}") == [(1,)]
    run(two, f"INSERT INTO {name} VALUES (2)")
    assert rows(two, f"SELECT id FROM {name} ORDER BY id") == [(1,), (2,)]
    assert rows(one, f"SELECT id FROM {name}") == [(1,)]
    run(one, f"INSERT INTO {name} VALUES (3)", f"UPDATE {name} SET id = id + 10 WHERE id = 3")
    assert rows(one, f"SELECT id FROM {name} ORDER BY id") == [(1,), (13,)]
    assert rows(two, f"SELECT id FROM {name} ORDER BY id") == [(1,), (2,)]
    run(one, "SAVEPOINT s", f"DELETE FROM {name} WHERE id = 13", "ROLLBACK TO SAVEPOINT s")
    run(one, "COMMIT")
    assert rows(two, f"SELECT id FROM {name} ORDER BY id") == [(1,), (2,), (13,)]


def test_a_read_only_transaction_of_the_past_stays_there_and_cannot_write(database):
    c = opened(database, "mysql")
    run(c, "CREATE TABLE ro (id INT)", "INSERT INTO ro VALUES (1)")
    moment = now(c)
    run(c, "INSERT INTO ro VALUES (2)", f"START TRANSACTION READ ONLY AS OF TIMESTAMP '{moment}'")
    assert rows(c, "SELECT id FROM ro") == [(1,)]
    fails(1792, run, c, "INSERT INTO ro VALUES (3)")
    run(c, "COMMIT")
    assert rows(c, "SELECT COUNT(*) FROM ro") == [(2,)]


def test_a_commit_over_two_tables_is_one_moment(database):
    """Money moves between two tables while readers watch; no read, of now or of the past, ever sees part of a transfer."""
    c = opened(database, "mysql")
    run(c, "CREATE TABLE left_side (v INT)", "CREATE TABLE right_side (v INT)", "INSERT INTO left_side VALUES (100)", "INSERT INTO right_side VALUES (0)")
    start, stop, seen = now(c), threading.Event(), []

    def read():
        r = opened(database, "mysql")
        while not stop.is_set():
            seen.append(rows(r, "SELECT l.v + r.v FROM left_side l, right_side r"))

    reader = threading.Thread(target=read)
    reader.start()
    times = []
    for _ in range(12):
        run(c, "BEGIN", "UPDATE left_side SET v = v - 5", "UPDATE right_side SET v = v + 5", "COMMIT")
        times.append(now(c))
    stop.set()
    reader.join()
    assert seen and all(answer == [(100,)] for answer in seen), seen
    for at, (l, r) in zip([start, *times], [(100 - 5 * i, 5 * i) for i in range(13)]):
        assert rows(c, f"SELECT l.v, r.v FROM left_side AS OF TIMESTAMP '{at}' l, right_side AS OF TIMESTAMP '{at}' r") == [(l, r)]


def test_many_writers_on_both_wires_lose_no_answered_row(database):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    run(opened(database, "mysql"), "CREATE TABLE crowd (writer INT, n INT)")

    def write(writer):
        rng = random.Random(seed + writer)
        c = opened(database, ("mysql", "postgres")[writer % 2])
        kept = []
        for n in range(8):
            try:
                if rng.random() < 0.3:
                    run(c, "BEGIN", f"INSERT INTO crowd VALUES ({writer}, {n})", f"DELETE FROM crowd WHERE writer = {writer} AND n < {n}", "COMMIT")
                    kept = [n]
                else:
                    run(c, f"INSERT INTO crowd VALUES ({writer}, {n})")
                    kept.append(n)
            except (pymysql.err.OperationalError, psycopg.errors.SerializationFailure) as error:
                assert "40001" in str(getattr(error, "sqlstate", "")) or error.args[0] == 1213, error
                run(c, "ROLLBACK")
        return [(writer, n) for n in kept]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        want = sorted(row for answered in pool.map(write, range(6)) for row in answered)
    assert rows(opened(database, "mysql"), "SELECT * FROM crowd ORDER BY writer, n") == want


LONG = {"mysql": "SELECT SLEEP(30)", "postgres": "SELECT pg_sleep(30)"}
BUSY = "SELECT COUNT(*) FROM {a} a, {a} b, {a} c, {a} d WHERE a.id + b.id + c.id + d.id < 0"


@pytest.fixture(scope="module")
def busy(database):
    """A statement that computes for a very long time."""
    with postgres(database, "c") as c:
        run(c, "CREATE TABLE busy (id INT)", "INSERT INTO busy SELECT x FROM generate_series(1, 2000) AS g(x)")
    return BUSY.format(a="busy")


def in_background(call, *args):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(call, *args)
    pool.shutdown(wait=False)
    return future


@pytest.mark.parametrize("kind", ["sleeping", "computing"])
def test_kill_query_stops_the_statement_and_the_connection_goes_on(database, busy, kind):
    victim, killer = opened(database, "mysql"), opened(database, "mysql")
    ((number,),) = rows(victim, "SELECT CONNECTION_ID()")
    running = in_background(rows, victim, LONG["mysql"] if kind == "sleeping" else busy)
    assert eventually(lambda: [row for row in rows(killer, "SHOW PROCESSLIST") if row[0] == number and row[4] == "Query"])
    began = time.monotonic()
    run(killer, f"KILL QUERY {number}")
    fails(1317, running.result, 20)
    assert time.monotonic() - began < 5
    assert rows(victim, "SELECT 1") == [(1,)]


def test_kill_ends_the_connection_and_an_unknown_one_is_an_error(database):
    victim, killer = opened(database, "mysql"), opened(database, "mysql")
    ((number,),) = rows(victim, "SELECT CONNECTION_ID()")
    run(killer, f"KILL {number}")
    assert eventually(lambda: not [row for row in rows(killer, "SHOW PROCESSLIST") if row[0] == number])
    with pytest.raises((pymysql.err.OperationalError, pymysql.err.InterfaceError)):
        rows(victim, "SELECT 1")
    fails(1094, run, killer, "KILL 4000000")


@pytest.mark.parametrize("kind", ["sleeping", "computing"])
def test_a_cancel_request_stops_the_statement_and_the_connection_goes_on(database, busy, kind):
    victim = opened(database, "postgres")
    running = in_background(rows, victim, LONG["postgres"] if kind == "sleeping" else busy)
    time.sleep(0.4)
    began = time.monotonic()
    victim.cancel_safe(timeout=10)
    fails("57014", running.result, 20)
    assert time.monotonic() - began < 5
    assert rows(victim, "SELECT 1") == [(1,)]


@WIRES
@pytest.mark.parametrize("kind", ["sleeping", "computing"])
def test_a_statement_that_runs_too_long_is_stopped(database, busy, wire, kind):
    c = opened(database, wire)
    run(c, "SET max_execution_time = 300" if wire == "mysql" else "SET statement_timeout = 300")
    began = time.monotonic()
    fails(TIMEOUT[wire], rows, c, LONG[wire] if kind == "sleeping" else busy)
    assert time.monotonic() - began < 5
    assert rows(c, "SELECT 1") == [(1,)]


# Joins that look for partners in vain: nothing comes out of them, and little goes in.
VAIN = ["a.id * b.id < 0", "a.one = b.one AND a.id * b.id < 0"]


@pytest.fixture(scope="module")
def vain(database):
    with postgres(database, "c") as c:
        run(c, "CREATE TABLE vain (id BIGINT, one INT)", "INSERT INTO vain SELECT x, 1 FROM generate_series(1, 1000000) AS g(x)")
    return "SELECT COUNT(*) FROM (SELECT id, one FROM vain LIMIT 8000) a JOIN vain b ON {}"


@WIRES
@pytest.mark.parametrize("condition", VAIN)
@pytest.mark.parametrize("how", ["limit", "kill"])
def test_a_join_that_finds_nothing_can_be_stopped(database, vain, wire, condition, how):
    c = opened(database, wire)
    text = vain.format(condition)
    began = time.monotonic()
    if how == "limit":
        run(c, "SET max_execution_time = 300" if wire == "mysql" else "SET statement_timeout = 300")
        fails(TIMEOUT[wire], rows, c, text)
    else:
        running = in_background(rows, c, text)
        time.sleep(0.4)
        if wire == "mysql":
            run(opened(database, "mysql"), f"KILL QUERY {c.thread_id()}")
        else:
            c.cancel_safe(timeout=20)
        fails(KILLED[wire], running.result, 30)
    assert time.monotonic() - began < 15
    assert rows(c, "SELECT 1") == [(1,)]


def test_a_hint_limits_its_query_alone(database, busy):
    c = opened(database, "mysql")
    fails(3024, rows, c, busy.replace("SELECT", "SELECT /*+ MAX_EXECUTION_TIME(300) */", 1))
    run(c, "SET max_execution_time = 300")
    assert rows(c, "SELECT /*+ MAX_EXECUTION_TIME(60000) */ SLEEP(0.5)") == [(0,)]


def test_a_table_made_after_the_snapshot_of_a_transaction_is_not_read_as_empty(database):
    for wire, code in (("mysql", 1412), ("postgres", "40001")):
        c, other, name = opened(database, wire), opened(database, "mysql"), f"since_{wire}"
        run(other, f"CREATE TABLE before_{wire} (id INT)")
        run(c, "BEGIN")
        assert rows(c, f"SELECT * FROM before_{wire}") == []
        run(other, f"CREATE TABLE {name} (id INT)", f"INSERT INTO {name} VALUES (1)")
        assert "retry" in str(fails(code, rows, c, f"SELECT * FROM {name}"))
        run(c, "ROLLBACK", "BEGIN")
        assert rows(c, f"SELECT * FROM {name}") == [(1,)]
        run(c, "COMMIT")


def test_tables_are_read_while_they_are_made(database):
    """A statement of its own is as new as the table that it finds: it sees it, or does not know it."""
    def make(maker):
        for n in range(30):
            run(maker, f"CREATE TABLE made_{n} (id INT)", f"INSERT INTO made_{n} VALUES (1)")

    def read(reader, unknown):
        for n in range(30):
            while True:
                try:
                    assert rows(reader, f"SELECT * FROM made_{n}") in ([], [(1,)])
                    break
                except (pymysql.err.Error, psycopg.Error) as error:
                    code = error.sqlstate if isinstance(error, psycopg.Error) else error.args[0]
                    assert code == unknown, error

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(read, opened(database, "mysql"), 1146), pool.submit(read, opened(database, "postgres"), "42P01")]
        tasks.append(pool.submit(make, opened(database, "mysql")))
        for task in tasks:
            task.result(120)


def test_the_configured_time_limit_holds_for_every_session(start):
    server = start(env={"FLASHGATE_LIMITS_STATEMENT_TIMEOUT": "300ms"})
    fails(3024, rows, mysql(server), LONG["mysql"])
    fails("57014", rows, postgres(server), LONG["postgres"])


def test_a_client_that_leaves_in_the_middle_does_not_leave_its_transaction(database):
    leaver, other = opened(database, "mysql"), opened(database, "mysql")
    run(other, "CREATE TABLE left_open (id INT)", "INSERT INTO left_open VALUES (1)")
    run(leaver, "BEGIN", "UPDATE left_open SET id = 2")
    leaver._force_close()
    run(other, "UPDATE left_open SET id = 3")
    assert rows(other, "SELECT id FROM left_open") == [(3,)]


def test_a_running_statement_does_not_hold_up_others(database, busy):
    victim, other = opened(database, "postgres"), opened(database, "mysql")
    running = in_background(rows, victim, busy)
    time.sleep(0.3)
    began = time.monotonic()
    for _ in range(5):
        assert rows(other, "SELECT COUNT(*) FROM busy") == [(2000,)]
    assert time.monotonic() - began < 60
    victim.cancel_safe(timeout=10)
    fails("57014", running.result, 20)
