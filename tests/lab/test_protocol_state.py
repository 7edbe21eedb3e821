"""What a server tells a client unasked: PostgreSQL's ParameterStatus and transaction status, MySQL's session tracking. And what a
pipeline leaves behind when one of its statements fails."""

import itertools
import re
import socket
import struct

import psycopg
import pytest

from test_commands import DEPRECATE_EOF, INIT_DB, MULTI_STATEMENTS, RESET_CONNECTION, SESSION_TRACK, STATE_CHANGED, Done, Raw, lenenc
from wires import mysql, postgres, rows, run


class RawPostgres:
    """A PostgreSQL client that sends and reads messages as they are."""

    def __init__(self, server, database="postgres", stream=None, **settings):
        self.stream = stream or socket.create_connection(server.postgres, timeout=60)
        pairs = {"user": "root", "database": database, **settings}
        body = struct.pack(">I", 3 << 16) + b"".join(f"{name}\0{value}\0".encode() for name, value in pairs.items()) + b"\0"
        self.stream.sendall(struct.pack(">I", len(body) + 4) + body)
        self.greeting = self.until_ready()

    def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.stream.recv(size - len(data))
            if not piece:
                raise EOFError(f"{len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    def message(self):
        head = self.exactly(5)
        return head[:1], self.exactly(struct.unpack(">I", head[1:])[0] - 4)

    def until_ready(self):
        out = []
        while not out or out[-1][0] != b"Z":
            out.append(self.message())
        return out

    def send(self, *messages):
        self.stream.sendall(b"".join(kind + struct.pack(">I", len(body) + 4) + body for kind, body in messages))

    def query(self, statement):
        self.send((b"Q", statement.encode() + b"\0"))
        return self.until_ready()

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def execute(statement, *params):
    """The messages of a driver that runs a statement, without Sync."""
    head = struct.pack(">HH", 0, len(params))
    bound = b"".join(struct.pack(">I", len(value)) + value for value in (str(param).encode() for param in params))
    return (
        (b"P", b"\0" + statement.encode() + b"\0\0\0"),
        (b"B", b"\0\0" + head + bound + b"\0\0"),
        (b"D", b"P\0"),
        (b"E", b"\0\0\0\0\0"),
    )


SYNC = (b"S", b"")


def fields(body):
    """The fields of an ErrorResponse."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def kinds(messages):
    return b"".join(kind for kind, _ in messages).decode()


def reports(messages):
    """The (name, value) of each ParameterStatus, in order."""
    return [tuple(part.decode() for part in body.split(b"\0")[:2]) for kind, body in messages if kind == b"S"]


def status(messages):
    assert messages[-1][0] == b"Z"
    return messages[-1][1].decode()


def failure(messages):
    (code,) = [fields(body)["C"] for kind, body in messages if kind == b"E"]
    return code


@pytest.fixture(scope="module")
def database(server):
    with mysql(server) as c:
        run(c, "CREATE DATABASE p", "CREATE DATABASE q", "CREATE TABLE p.t (id INT NOT NULL)")
    return server


@pytest.fixture
def raw(database):
    with RawPostgres(database, "p") as connection:
        yield connection


# --- a pipeline up to Sync is one transaction ----------------------------------------------------------------------------------


def ids(server, table):
    return [row[0] for row in rows(mysql(server, "p"), f"SELECT id FROM {table} ORDER BY id")]


@pytest.fixture
def table(database, numbers=itertools.count()):
    name = f"t{next(numbers)}"
    run(mysql(database, "p"), f"CREATE TABLE {name} (id INT NOT NULL)")
    return name


def test_no_row_of_a_failed_pipeline_is_there(database, raw, table):
    insert = f"INSERT INTO {table} VALUES ($1)"
    raw.send(*execute(insert, 1), *execute(insert, 2), *execute("SELECT nothing FROM t"), *execute(insert, 3), SYNC)
    answer = raw.until_ready()
    assert re.fullmatch("12nC12nC(12?)?EZ", kinds(answer)), "what follows the error is skipped up to Sync"
    assert failure(answer) == "42703" and status(answer) == "I"
    assert ids(database, table) == []
    raw.send(*execute(insert, 4), *execute(insert, 5), SYNC)
    assert kinds(raw.until_ready()) == "12nC12nCZ"
    assert ids(database, table) == [4, 5]


@pytest.mark.parametrize("failing", [("SELECT 1 / $1", "0"), ("INSERT INTO t VALUES (NULL)",), ("SELEC 1",), ("SELECT * FROM nowhere",)])
def test_whatever_fails_and_whenever_it_takes_the_pipeline_back(database, raw, table, failing):
    insert = f"INSERT INTO {table} VALUES ($1)"
    raw.send(*execute(insert, 1), *execute(f"DELETE FROM {table}"), *execute(insert, 2), *execute(*failing), SYNC)
    answer = raw.until_ready()
    assert kinds(answer).startswith("12nC" * 3) and kinds(answer).endswith("EZ")
    assert status(answer) == "I"
    assert ids(database, table) == []


def test_each_sync_is_an_end_of_its_own(database, raw, table):
    insert = f"INSERT INTO {table} VALUES ($1)"
    raw.send(*execute(insert, 1), SYNC, *execute(insert, 2), *execute("SELECT 1 / 0"), SYNC, *execute(insert, 3), SYNC)
    answers = [raw.until_ready() for _ in range(3)]
    assert [kinds(answer)[-2:] for answer in answers] == ["CZ", "EZ", "CZ"]
    assert ids(database, table) == [1, 3]


def test_rows_of_a_pipeline_are_seen_by_itself_and_by_others_after_sync_only(database, raw, table):
    raw.send(*execute(f"INSERT INTO {table} VALUES ($1)", 1), *execute(f"SELECT id FROM {table}"), (b"H", b""))
    messages = [raw.message() for _ in range(9)]
    assert kinds(messages) == "12nC12TDC"
    assert messages[7][1] == b"\0\x01\0\0\0\x011"
    assert ids(database, table) == []
    raw.send(SYNC)
    assert status(raw.until_ready()) == "I"
    assert ids(database, table) == [1]


def test_a_pipeline_in_an_open_transaction_ends_with_the_transaction(database, raw, table):
    insert = f"INSERT INTO {table} VALUES ($1)"
    raw.send(*execute("BEGIN"), *execute(insert, 1), SYNC)
    assert status(raw.until_ready()) == "T"
    assert ids(database, table) == []
    raw.send(*execute(insert, 2), *execute("SELECT 1 / 0"), SYNC)
    assert status(raw.until_ready()) == "E"
    raw.send(*execute(insert, 3), SYNC)
    assert failure(raw.until_ready()) == "25P02"
    raw.send(*execute("COMMIT"), SYNC)
    answer = raw.until_ready()
    assert (b"C", b"ROLLBACK\0") in answer and status(answer) == "I"
    assert ids(database, table) == []


def test_statements_of_one_simple_query_are_one_transaction(database, raw, table):
    answer = raw.query(f"INSERT INTO {table} VALUES (1); INSERT INTO {table} VALUES (2); SELECT 1 / 0; INSERT INTO {table} VALUES (3)")
    assert kinds(answer).replace("T", "") == "CCEZ" and failure(answer) == "22012"
    assert ids(database, table) == []
    answer = raw.query(f"INSERT INTO {table} VALUES (1); COMMIT; INSERT INTO {table} VALUES (2); SELECT nothing FROM {table}")
    assert failure(answer) == "42703" and ids(database, table) == [1]


def test_psycopg_sees_no_row_of_a_pipeline_that_failed(database, table):
    with postgres(database, "p") as c:
        with pytest.raises(psycopg.errors.UndefinedColumn), c.pipeline():
            c.execute(f"INSERT INTO {table} VALUES (%s)", (100,))
            c.execute("SELECT nothing FROM t")
            c.execute(f"INSERT INTO {table} VALUES (%s)", (101,))
        assert rows(c, f"SELECT id FROM {table}") == []
        with c.pipeline():
            c.execute(f"INSERT INTO {table} VALUES (%s)", (102,))
        assert rows(c, f"SELECT id FROM {table}") == [(102,)]


# --- ParameterStatus -------------------------------------------------------------------------------------------------------------


def test_the_login_reports_each_parameter_once_with_its_value(database):
    with RawPostgres(database, "p", application_name="tester", options="-c TimeZone=Asia/Tokyo -c datestyle=dmy") as raw:
        told = reports(raw.greeting)
        assert len({name for name, _ in told}) == len(told)
        want = {
            "server_encoding": "UTF8", "client_encoding": "UTF8", "application_name": "tester", "DateStyle": "ISO, DMY", "TimeZone": "Asia/Tokyo",
            "IntervalStyle": "postgres", "integer_datetimes": "on", "standard_conforming_strings": "on", "default_transaction_read_only": "off",
            "in_hot_standby": "off", "session_authorization": "root",
        }
        assert {name: value for name, value in told if name in want} == want
        assert dict(told)["server_version"].startswith("16.")
        assert set(dict(told)) == {*want, "server_version", "is_superuser"}
        for name, value in told:
            shown = [body for kind, body in raw.query(f"SHOW {name}") if kind == b"D"]
            assert shown == [struct.pack(">HI", 1, len(value)) + value.encode()], f"SHOW {name} is what was reported"
    with RawPostgres(database, "p") as raw:
        assert dict(reports(raw.greeting))["application_name"] == ""
        assert dict(reports(raw.greeting))["DateStyle"] == "ISO, MDY"


def test_a_change_is_reported_before_ready_and_no_change_is_not(raw):
    for statement, want in (
        ("SET TIME ZONE 'Europe/Paris'", [("TimeZone", "Europe/Paris")]),
        ("SET TIME ZONE 'Europe/Paris'", []),
        ("SET timezone TO 'America/New_York'", [("TimeZone", "America/New_York")]),
        ("SET DateStyle = 'ISO, DMY'", [("DateStyle", "ISO, DMY")]),
        ("SET datestyle TO ymd", [("DateStyle", "ISO, YMD")]),
        ("SET application_name = 'reports of \"today\"'", [("application_name", 'reports of "today"')]),
        ("SET default_transaction_read_only = on", [("default_transaction_read_only", "on")]),
        ("SET default_transaction_read_only = off", [("default_transaction_read_only", "off")]),
        ("SET client_encoding = 'UTF8'", []),
        ("SET NAMES 'utf8'", []),
        ("SET work_mem = '64MB'", []),
        ("SELECT set_config('application_name', 'by function', false)", [("application_name", "by function")]),
        ("RESET application_name", [("application_name", "")]),
        ("SET TimeZone = DEFAULT", [("TimeZone", dict(reports(raw.greeting))["TimeZone"])]),
    ):
        answer = raw.query(statement)
        assert reports(answer) == want, statement
        assert status(answer) == "I"


def test_a_zone_in_other_letters_is_reported_by_its_own_name(raw):
    # A client looks the name up in its own files (zoneinfo in psycopg), where letters count.
    assert reports(raw.query("SET timezone TO 'america/new_york'")) == [("TimeZone", "America/New_York")]


def test_a_refused_value_is_not_reported_and_the_old_one_stays(raw):
    raw.query("SET TIME ZONE 'Europe/Paris'")
    for statement, code in (
        ("SET TIME ZONE 'Mars/Olympus'", "22023"),
        ("SET DateStyle = 'nonsense'", "22023"),
        ("SET client_encoding = 'nonsense'", "22023"),
        ("SET server_version = '1'", "55P02"),
    ):
        answer = raw.query(statement)
        assert (failure(answer), reports(answer)) == (code, []), statement
    assert (b"D", b"\0\x01\0\0\0\x0cEurope/Paris") in raw.query("SHOW TimeZone")
    assert (b"D", b"\0\x01\0\0\0\x04UTF8") in raw.query("SHOW client_encoding")


def test_what_a_transaction_set_is_reported_back_when_it_does_not_end_well(raw):
    raw.query("SET TIME ZONE 'Europe/Paris'; SET application_name = 'before'")
    raw.query("BEGIN")
    assert reports(raw.query("SET TIME ZONE 'Asia/Tokyo'")) == [("TimeZone", "Asia/Tokyo")]
    assert reports(raw.query("SET application_name = 'inside'")) == [("application_name", "inside")]
    assert sorted(reports(raw.query("ROLLBACK"))) == [("TimeZone", "Europe/Paris"), ("application_name", "before")]
    raw.query("BEGIN")
    raw.query("SET TIME ZONE 'Asia/Tokyo'")
    assert reports(raw.query("COMMIT")) == []
    assert (b"D", b"\0\x01\0\0\0\x0aAsia/Tokyo") in raw.query("SHOW TimeZone")
    raw.query("BEGIN")
    raw.query("SET TIME ZONE 'Europe/Rome'")
    assert failure(raw.query("SELECT 1 / 0")) == "22012"
    assert reports(raw.query("COMMIT")) == [("TimeZone", "Asia/Tokyo")], "a COMMIT after an error is a ROLLBACK"


def test_set_local_is_reported_as_it_comes_and_goes(raw):
    raw.query("SET TIME ZONE 'Europe/Paris'")
    raw.query("BEGIN")
    assert reports(raw.query("SET LOCAL TIME ZONE 'Asia/Tokyo'")) == [("TimeZone", "Asia/Tokyo")]
    assert reports(raw.query("COMMIT")) == [("TimeZone", "Europe/Paris")]


def test_a_script_or_pipeline_that_fails_takes_its_set_back(raw):
    raw.query("SET TIME ZONE 'Europe/Paris'")
    raw.query("SET TIME ZONE 'Asia/Tokyo'; SELECT 1 / 0")
    assert (b"D", b"\0\x01\0\0\0\x0cEurope/Paris") in raw.query("SHOW TimeZone")
    raw.send(*execute("SET TIME ZONE 'Asia/Tokyo'"), *execute("SELECT 1 / 0"), SYNC)
    raw.until_ready()
    assert (b"D", b"\0\x01\0\0\0\x0cEurope/Paris") in raw.query("SHOW TimeZone")


def test_what_was_set_after_a_savepoint_is_reported_back_with_it(raw):
    raw.query("SET TIME ZONE 'Europe/Paris'")
    raw.query("BEGIN; SAVEPOINT s")
    raw.query("SET TIME ZONE 'Asia/Tokyo'")
    assert reports(raw.query("ROLLBACK TO SAVEPOINT s")) == [("TimeZone", "Europe/Paris")]
    raw.query("COMMIT")
    assert (b"D", b"\0\x01\0\0\0\x0cEurope/Paris") in raw.query("SHOW TimeZone")


def test_set_local_ends_with_its_transaction_whatever_a_savepoint_took_back(raw):
    raw.query("SET application_name = 'before'")
    raw.query("BEGIN; SET LOCAL application_name = 'local'; SAVEPOINT a; SET application_name = 'inside'")
    assert reports(raw.query("ROLLBACK TO a")) == [("application_name", "local")]
    assert reports(raw.query("COMMIT")) == [("application_name", "before")]


def test_a_reset_within_a_transaction_is_undone_with_it(raw):
    raw.query("SET application_name = 'before'; SET TIME ZONE 'Asia/Tokyo'")
    raw.query("BEGIN; RESET ALL")
    assert sorted(reports(raw.query("ROLLBACK"))) == [("TimeZone", "Asia/Tokyo"), ("application_name", "before")]


@pytest.mark.parametrize("statement", ["RESET ALL", "DISCARD ALL"])
def test_reset_all_reports_the_defaults_of_a_plain_login(database, statement):
    with RawPostgres(database, "p") as raw:
        raw.query("SET TIME ZONE 'Asia/Tokyo'")
        raw.query("SET DateStyle = 'YMD'")
        raw.query("SET application_name = 'other'")
        raw.query("SET default_transaction_read_only = on")
        first = dict(reports(raw.greeting))
        want = [(name, first[name]) for name in ("DateStyle", "TimeZone", "application_name", "default_transaction_read_only")]
        assert sorted(reports(raw.query(statement))) == want
        assert reports(raw.query(statement)) == []


@pytest.mark.parametrize("statement", ["RESET ALL", "DISCARD ALL"])
def test_reset_all_reports_the_values_of_the_login(database, statement):
    with RawPostgres(database, "p", application_name="tester", options="-c TimeZone=Asia/Tokyo -c DateStyle=DMY") as raw:
        raw.query("SET TIME ZONE 'Europe/Paris'")
        raw.query("SET DateStyle = 'YMD'")
        raw.query("SET application_name = 'other'")
        raw.query("SET default_transaction_read_only = on")
        want = [("DateStyle", "ISO, DMY"), ("TimeZone", "Asia/Tokyo"), ("application_name", "tester"), ("default_transaction_read_only", "off")]
        assert sorted(reports(raw.query(statement))) == want
        assert reports(raw.query(statement)) == []


def test_psycopg_knows_the_parameters_of_now(database):
    with postgres(database, "p", application_name="tester", options="-c TimeZone=Asia/Tokyo") as c:
        names = ("TimeZone", "DateStyle", "client_encoding", "application_name")

        def known():
            return tuple(c.info.parameter_status(name) for name in names)

        assert known() == ("Asia/Tokyo", "ISO, MDY", "UTF8", "tester")
        run(c, "SET TIME ZONE 'Europe/Paris'", "SET DateStyle TO 'DMY'", "SET application_name = 'other'")
        assert known() == ("Europe/Paris", "ISO, DMY", "UTF8", "other")
        assert str(c.info.timezone) == "Europe/Paris"
        run(c, "BEGIN", "SET TIME ZONE 'UTC'", "SET application_name = 'third'")
        assert known() == ("UTC", "ISO, DMY", "UTF8", "third")
        run(c, "ROLLBACK")
        assert known() == ("Europe/Paris", "ISO, DMY", "UTF8", "other")
        ((moment,),) = rows(c, "SELECT TIMESTAMPTZ '2022-07-05 11:11:11+00'")
        assert (moment.hour, str(moment.tzinfo)) == (13, "Europe/Paris")
        run(c, "RESET DateStyle")
        assert known() == ("Europe/Paris", "ISO, MDY", "UTF8", "other")


# --- MySQL's session tracking ------------------------------------------------------------------------------------------------------


VARIABLE, SCHEMA = 0, 1


def test_who_tracks_the_session_reads_each_change_of_the_schema(database):
    with Raw(database, more=SESSION_TRACK) as raw:
        for code, payload, name in ((INIT_DB, b"p", "p"), (INIT_DB, b"q", "q")):
            done = raw.done(code, payload)
            assert done.status & STATE_CHANGED and done.changes == [(SCHEMA, name)]
        assert raw.query("USE p").changes == [(SCHEMA, "p")]
        assert raw.query("DO 1").status & STATE_CHANGED == 0, "said once"
        with pytest.raises(Exception, match="1049"):
            raw.query("USE nowhere")
        assert raw.query("DO 1").changes == []


def test_who_tracks_the_session_reads_each_change_of_a_system_variable(database):
    with Raw(database, database="p", more=SESSION_TRACK) as raw:
        assert raw.query("SET time_zone = '+02:00'").changes == [(VARIABLE, "time_zone", "+02:00")]
        assert raw.query("SET autocommit = 0").changes == [(VARIABLE, "autocommit", "OFF")]
        assert raw.query("SET autocommit = 1").changes == [(VARIABLE, "autocommit", "ON")]
        names = raw.query("SET NAMES latin1").changes
        assert {(VARIABLE, f"character_set_{name}", "latin1") for name in ("client", "connection", "results")} <= set(names)
        assert raw.query("SET @mine = 1").changes == [], "a user variable is none"
        done = raw.query("INSERT INTO t VALUES (1), (2)")
        assert (done.affected, done.changes, done.status & STATE_CHANGED) == (2, [], 0)


def test_a_global_variable_is_no_change_of_the_session(database):
    with Raw(database, more=SESSION_TRACK) as raw:
        try:
            done = raw.query("SET GLOBAL time_zone = '+04:00'")
            assert (raw.one("SELECT @@session.time_zone"), done.changes) == ("SYSTEM", [])
        finally:
            raw.query("SET GLOBAL time_zone = DEFAULT")


def test_a_global_character_set_leaves_the_results_of_open_sessions_alone(database):
    with Raw(database) as raw:
        try:
            raw.query("SET GLOBAL character_set_results = latin1")
            assert raw.one("SELECT @@session.character_set_results") == "utf8mb4"
            assert raw.query("SELECT 'ä'".encode()) == [("ä".encode(),)]
        finally:
            raw.query("SET GLOBAL character_set_results = DEFAULT")


def test_the_change_of_several_statements_stands_at_the_one_that_made_it(database):
    with Raw(database, more=SESSION_TRACK | MULTI_STATEMENTS) as raw:
        first = raw.query("DO 1; USE p; SET time_zone = '+03:00'; DO 2")
        others = [Done(raw.answer()) for _ in range(3)]
        assert [done.changes for done in (first, *others)] == [[], [(SCHEMA, "p")], [(VARIABLE, "time_zone", "+03:00")], []]
        assert [bool(done.status & 8) for done in (first, *others)] == [True, True, True, False]


@pytest.mark.parametrize("more", [0, DEPRECATE_EOF], ids=["eof", "ok"])
def test_who_does_not_track_reads_plain_answers(database, more):
    with Raw(database, more=more) as raw:
        done = raw.done(INIT_DB, b"p")
        assert (done.changes, done.status & STATE_CHANGED) == ([], 0)
        assert raw.query("SET time_zone = '+02:00'").status & STATE_CHANGED == 0


def test_a_result_ends_as_was_negotiated(database):
    for more, size in ((0, 5), (DEPRECATE_EOF, 7), (DEPRECATE_EOF | SESSION_TRACK, 7)):
        with Raw(database, database="p", more=more) as raw:
            columns, sent, end = raw.result(raw.ask(0x03, b"SELECT 1 UNION ALL SELECT 2"))
            assert (len(columns), len(sent), end[0], len(end)) == (1, 2, 0xFE, size)
            if more:
                done = Done(end)
                assert (done.affected, done.warnings, done.status) == (0, 0, 2)
            else:
                assert struct.unpack("<HH", end[1:]) == (0, 2)
            assert lenenc(raw.ask(0x03, b"SELECT 1, 2"))[0] == 2
            raw.result(b"\x02")


def test_reset_connection_tells_nothing_and_starts_tracking_anew(database):
    with Raw(database, database="p", more=SESSION_TRACK) as raw:
        raw.query("SET time_zone = '+02:00'")
        raw.done(RESET_CONNECTION)
        assert raw.query("SET time_zone = '+02:00'").changes == [(VARIABLE, "time_zone", "+02:00")]
