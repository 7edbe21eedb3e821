"""The relay does not touch: thousands of generated sessions, run against a database and against Flashgate in front of it, get the same bytes.

FLASHGATE_TEST_SESSIONS is how many of them a full lane runs, FLASHGATE_TEST_SEED where the seeds begin. `make replay` takes fresh seeds; a failure
prints the one that it needs to happen again."""

import os

import pytest

from relay import mysql as my
from relay import cold_words, mysql_sessions, postgres_sessions, recorded
from relay import postgres as pg
from relay.replay import replay
from relay.wire import Stream
from upstreams import FORWARD, Forwarder, gated, need, upstream

SESSIONS = int(os.environ.get("FLASHGATE_TEST_SESSIONS") or 1000)
SEED = os.environ.get("FLASHGATE_TEST_SEED") or "1"


@pytest.fixture(scope="session")
def prepared():
    """Makes the tables that sessions read, once per server."""
    done = set()

    def prepare(server):
        if server.name in done:
            return server
        done.add(server.name)
        if server.protocol == "mysql":
            server.sql(*mysql_sessions.SETUP, *(mysql_sessions.MARIADB_SETUP if "Maria" in server.name else []))
        else:
            server.sql("DROP DATABASE IF EXISTS replay", "CREATE DATABASE replay")
            server.sql(*postgres_sessions.SETUP, dbname="replay")
        return server

    return prepare


def scripts(server, count, lane, heavy=True, cold=False):
    for number in range(count):
        seed = f"{SEED}/{lane}/{number}"
        if server.protocol == "mysql":
            yield mysql_sessions.script(seed, "Maria" in server.name, heavy=heavy, cold=cold)
        else:
            yield postgres_sessions.script(seed, server.version, heavy=heavy, cold=cold)


# (upstream, TLS on both legs, share of the sessions)
LANES = [("mariadb", False, 1.0), ("mariadb", True, 0.15), ("mysql", False, 0.3), ("mysql", True, 0.05)]
LANES += [("postgres", False, 1.0), ("postgres", True, 0.15), ("postgres17", False, 0.15), ("postgres18", False, 0.15)]


@pytest.mark.parametrize("kind, tls, share", LANES, ids=[f"{kind}{'-tls' if tls else ''}" for kind, tls, _ in LANES])
def test_generated_sessions_get_the_same_bytes(kind, tls, share, request, prepared):
    server = prepared(need(kind, request))
    lane = f"{kind}{'-tls' if tls else ''}"
    with gated(**{server.protocol: server}, self_signed=tls) as running:
        count = max(20, int(SESSIONS * share))
        assert replay(scripts(server, count, lane), (server.host, server.port), getattr(running, server.protocol), tls) == count


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_a_client_leg_with_tls_gets_the_bytes_of_a_plain_upstream(kind, request, prepared):
    server = prepared(need(kind, request))
    with gated(**{server.protocol: server}, self_signed=True, tls="disabled") as running:
        for one in scripts(server, max(20, SESSIONS // 30), f"{kind}-half", heavy=False):
            if server.protocol == "mysql":
                one.login.capabilities &= ~my.CONNECT_ATTRS
            difference = half_tls(one, server, running)
            assert difference is None, f"seed {one.seed!r}: {difference}"


def half_tls(script, server, running):
    """Directly without TLS, through with it: sequence numbers of the login differ by the request for TLS, nothing else does."""
    from relay.replay import heard
    from relay.wire import difference

    direct, wrong = heard((server.host, server.port), script, False)
    assert wrong is None, wrong
    through, wrong = heard(getattr(running, server.protocol), script, not FORWARD)
    assert wrong is None, f"seed {script.seed!r}: {wrong}"
    if script.kind == "mysql":
        for transcript in (direct, through):
            for one in transcript:
                if one.step == -1 and len(one.data) > 4:
                    one.data = one.data[:3] + b"#" + one.data[4:]
    return difference(direct, through, script.steps)


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
@pytest.mark.parametrize("chunk", [1, 3, 1447])
def test_an_upstream_that_answers_in_small_pieces_is_relayed_the_same(kind, chunk, request, prepared):
    server = prepared(need(kind, request))
    between = Forwarder((server.host, server.port), chunk=chunk)
    try:
        with gated(**{server.protocol: between.text}) as running:
            for one in scripts(server, {1: 12, 3: 12, 1447: 30}[chunk] * max(1, SESSIONS // 1000), f"{kind}-chunk{chunk}", heavy=False):
                replay([one], (server.host, server.port), getattr(running, server.protocol))
    finally:
        between.close()


@pytest.mark.parametrize("kind, share", [("mariadb", 0.25), ("mysql", 0.05), ("postgres", 0.25), ("postgres18", 0.05)])
def test_sessions_get_the_same_bytes_with_cold_tables_in_reach(kind, share, request, prepared):
    """The scan for names of cold tables is on: what only looks like one goes through."""
    server = prepared(need(kind, request))
    with gated(**{server.protocol: server}) as running:
        if not FORWARD:
            make_cold(server, running)
        for one in scripts(server, max(40, int(SESSIONS * share)), f"{kind}-cold", heavy=False, cold=True):
            without_cold_names(one)
            replay([one], (server.host, server.port), getattr(running, server.protocol))


def make_cold(server, running):
    import psycopg
    import pymysql

    names = ["cold1", *cold_words.NAMES]
    if server.protocol == "mysql":
        host, port = running.mysql
        with pymysql.connect(host=host, port=port, user="root", database="replay", autocommit=True) as c, c.cursor() as cursor:
            for name in names:
                cursor.execute(f"CREATE TABLE {name} (id INT, name VARCHAR(20)) ENGINE='OSS'")
                cursor.execute(f"INSERT INTO {name} VALUES (1, 'one')")
    else:
        host, port = running.postgres
        with psycopg.connect(host=host, port=port, user="root", dbname="replay", autocommit=True, sslmode="disable") as c:
            for name in names:
                c.execute(f"CREATE TABLE {name} (id INT, name VARCHAR(20)) WITH (engine='OSS')")
                c.execute(f"INSERT INTO {name} VALUES (1, 'one')")


def without_cold_names(script):
    """SHOW TABLES lists cold tables, too: that is told, not relayed."""
    if script.kind == "mysql":
        for step in script.steps:
            if isinstance(step, my.Step):
                for command in step.commands:
                    if isinstance(command.payload, bytes):
                        command.payload = command.payload.replace(b"SHOW TABLES", b"SELECT 'tables'").replace(b"SHOW FULL TABLES", b"SELECT 'tables'")


# --- what real drivers send --------------------------------------------------------------------------------------------------

RECORDINGS = [
    (path, server, tls)
    for protocol, servers in recorded.SERVERS.items()
    for path in recorded.files(protocol)
    for server, tls in [*((server, False) for server in servers), (servers[0], True)]
]


@pytest.mark.parametrize("path, kind, tls", RECORDINGS, ids=[f"{path.stem}-{kind}{'-tls' if tls else ''}" for path, kind, tls in RECORDINGS])
def test_recorded_sessions_of_real_drivers_get_the_same_bytes(path, kind, tls, request, prepared):
    server = prepared(need(kind, request))
    sessions = recorded.scripts(path)
    assert sessions and sum(len(session.steps) for session in sessions) >= 20
    with gated(**{server.protocol: server}, self_signed=tls) as running:
        assert replay(sessions, (server.host, server.port), getattr(running, server.protocol), tls) == len(sessions)


# --- greetings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_greeting_is_the_upstreams_without_what_is_not_kept(kind, tls, request):
    server = need(kind, request)
    with gated(mysql=server, self_signed=tls) as running:
        greetings = []
        for address in ((server.host, server.port), running.mysql):
            stream = Stream(address)
            size = int.from_bytes(stream.exactly(4)[:3], "little")
            greetings.append(my.parsed_greeting(stream.exactly(size)))
            stream.close()
    direct, through = greetings
    assert (through[0], through[3]) == (direct[0], direct[3])
    assert len(through[2]) == 20 and through[2] != direct[2]
    if FORWARD:
        return
    assert through[4] & ~my.SSL == direct[4] & ~(my.WITHHELD | my.SSL)
    assert bool(through[4] & my.SSL) == tls
    assert through[5] == direct[5] & ~my.MARIADB_WITHHELD


def test_the_connection_id_is_the_upstreams(request):
    server = upstream("mariadb")
    with gated(mysql=server) as running:
        session = my.Session(running.mysql, my.Script(my.Login(capabilities=my.PLUGIN_AUTH), []), False)
        session._login(session.script.login)
        assert session.connection_id in server.sessions()
        session.stream.close()


# --- by hand ---------------------------------------------------------------------------------------------------------------


def test_every_authentication_of_postgresql_gets_the_same_bytes(prepared):
    from upstreams import PASSWORDS

    server = prepared(upstream("postgres"))
    with gated(postgres=server) as running:
        made = []
        for user in (*server.logins, "absent user"):
            for password in (PASSWORDS.get(user, ""), "wrong", ""):
                login = pg.Login([("user", user), ("database", "replay")], password)
                made.append(pg.Script(login, [pg.Step([(b"Q", b"SELECT current_user\0")])], seed=(user, password)))
        assert replay(made, (server.host, server.port), running.postgres) == len(made)


def test_a_database_whose_name_is_left_out_is_the_users(prepared):
    server = prepared(upstream("postgres"))
    with gated(postgres=server) as running:
        script = pg.Script(pg.Login([("user", "root")]), [pg.Step([(b"Q", b"SELECT current_database()\0")])], seed="by hand")
        assert replay([script], (server.host, server.port), running.postgres) == 1


def test_packets_of_exactly_16_mib_and_around_it_pass_both_ways(prepared):
    server = prepared(upstream("mariadb"))
    with gated(mysql=server) as running:
        made = []
        for size in (my.MOST - 1, my.MOST, my.MOST + 1, 2 * my.MOST):
            head = b"\x03SELECT LENGTH('"
            steps = [my.Step([my.Command(head + b"x" * (size - len(head) - 2) + b"')")]), my.Step([my.Command(f"\x03SELECT REPEAT('r', {size - 4})".encode())])]
            steps.append(my.Step([my.Command(b"\x0e")]))
            made.append(my.Script(my.Login(capabilities=my.PLUGIN_AUTH | my.DEPRECATE_EOF | my.LONG_PASSWORD), steps, seed=size, kind="mysql"))
        assert replay(made, (server.host, server.port), running.mysql) == len(made)


EVERYTHING = my.PLUGIN_AUTH | my.LONG_PASSWORD | my.TRANSACTIONS | my.DEPRECATE_EOF | my.MULTI_STATEMENTS | my.MULTI_RESULTS | my.SESSION_TRACK


def by_hand(server, running, *texts, collation=45):
    """Replays these statements, each of which is the database's."""
    steps = [my.Step([my.Command(bytes([my.QUERY]) + (text if isinstance(text, bytes) else text.encode()))]) for text in texts]
    script = my.Script(my.Login(database="replay", capabilities=EVERYTHING, collation=collation), steps, seed=texts, kind="mysql")
    assert replay([script], (server.host, server.port), running.mysql) == 1


# What a statement leaves for the next one, which has a word of ours and is the database's all the same.
@pytest.mark.parametrize(
    "texts",
    [
        ["CREATE TEMPORARY TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)", "SELECT ROW_COUNT() AS flashback"],
        ["CREATE TEMPORARY TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)", "SELECT ROW_COUNT(), 1 AS recyclebin"],
        ["SELECT SQL_CALC_FOUND_ROWS id FROM big LIMIT 2", "SELECT FOUND_ROWS() AS recyclebin"],
        ["CREATE TEMPORARY TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO t VALUES (NULL), (NULL)", "SELECT LAST_INSERT_ID() AS recyclebin"],
        ["SELECT CAST('12x' AS SIGNED)", "SHOW WARNINGS /* AS OF TIMESTAMP */"],
        ["SELECT absent FROM kinds", "SHOW ERRORS -- flashback"],
        ["SELECT CAST('12x' AS SIGNED)", "SELECT @@warning_count AS recyclebin"],
        ["SELECT absent FROM kinds", "SELECT @@error_count AS recyclebin"],
        [
            "SET session_track_transaction_info = 'CHARACTERISTICS'",
            "BEGIN",
            "SELECT COUNT(*) AS flashback FROM kinds",
            "SELECT 1 AS flashback",
            "COMMIT /* flashback */",
        ],
        ["SET session_track_transaction_info = 'STATE'", "SELECT 'it''s AS OF' AS flashback", "SELECT COUNT(*) AS flashback FROM kinds", "SELECT 1"],
        ["SET session_track_state_change = 1", "USE replay2", "SELECT 1 AS flashback", "SELECT 2 AS recyclebin"],
        ["SET @x = 5", "SELECT @x AS flashback", "BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT 1 AS flashback"],
        ["SET TRANSACTION READ ONLY", "SELECT 1 AS flashback", "BEGIN", "INSERT INTO work (id, name, n) VALUES (9, 'w', 77)", "ROLLBACK"],
        ["SET sql_select_limit = 1", "SELECT 1 AS flashback", "SELECT id FROM kinds"],
        ["SET autocommit = 0", "SELECT 1 AS flashback", "ROLLBACK"],
    ],
    ids=lambda texts: texts[-1][:30] if isinstance(texts, list) else None,
)
def test_looking_at_a_statement_leaves_no_trace_in_the_session(texts, prepared):
    server = prepared(upstream("mariadb"))
    with gated(mysql=server) as running:
        by_hand(server, running, *texts)


# Once misread: a comment of `#` with words of ours, before a multi-statement that has one of them as a name and a statement unknown to the parser.
@pytest.mark.parametrize("collation", [45, 8, 28, 1, 13, 63], ids=["utf8mb4", "latin1", "gbk", "big5", "sjis", "binary"])
def test_words_of_ours_in_comments_and_strings_are_the_databases_in_every_character_set(collation, prepared):
    server = prepared(upstream("mariadb"))
    with gated(mysql=server) as running:
        for text in (
            "# SHOW RECYCLEBIN\nSELECT 2; CALL none()",
            "-- SHOW RECYCLEBIN\nSELECT 2; CALL none()",
            "/* SHOW RECYCLEBIN */ SELECT 2; CALL none()",
            "# SHOW RECYCLEBIN\nCALL none()",
            "# SHOW RECYCLEBIN\nSELECT 2; HANDLER big READ FIRST; SELECT 1 AS recyclebin",
            "SELECT 'x; SHOW RECYCLEBIN; y'; CALL none()",
            "SELECT `id` FROM kinds; CALL none(); SELECT 1 AS `SHOW RECYCLEBIN`",
            b"SELECT '\xbf\\'; CALL none(); SELECT 1 -- SHOW RECYCLEBIN'",
            b"SELECT '\x95\\'; SELECT 2 -- SHOW RECYCLEBIN'",
        ):
            by_hand(server, running, text, collation=collation)


# BUG: Flashgate closes the connection; MariaDB keeps it, with the user that it was.
def test_a_refused_change_of_user_leaves_what_the_upstream_leaves(prepared, request):
    for kind in ("mariadb", "mysql"):
        server = prepared(need(kind, request))
        with gated(mysql=server) as running:
            for user, password, database in (("root", "wrong", "replay"), ("nobody", "", "replay"), ("root", "", "absent")):
                login = my.Login(user, password, database)

                def payload(session, login=login):
                    answer = login.auth(session.plugin, session.nonce)
                    body = bytes([my.CHANGE_USER]) + login.user.encode() + b"\0" + bytes([len(answer)]) + answer + login.database.encode() + b"\0\x2d\0"
                    return body + session.plugin + b"\0"

                steps = [my.Step([my.Command(payload, login=login)]), my.Step([my.Command(b"\x03SELECT CURRENT_USER(), DATABASE()")])]
                script = my.Script(my.Login(database="replay", capabilities=EVERYTHING), steps, seed=(kind, user, database), kind="mysql")
                assert replay([script], (server.host, server.port), running.mysql) == 1


def test_garbage_after_the_login_gets_the_same_bytes(prepared):
    """Messages that PostgreSQL does not know, and lengths that it does not take."""
    server = prepared(upstream("postgres"))
    login = pg.Login([("user", "root"), ("database", "replay")])
    with gated(postgres=server) as running:
        made = [
            pg.Script(login, [pg.Step([(b"Q", b"SELECT 1\0")]), pg.Step([(kind, body)], waits=False), pg.Step([(b"X", b"")])], polite=False, seed=(kind, body))
            for kind, body in ((b"?", b""), (b"y", b"abc"), (b"P", b""), (b"B", b"\0\0"), (b"E", b"\0"), (b"D", b""), (b"Q", b"no end"), (b"F", b"\0"))
        ]
        assert replay(made, (server.host, server.port), running.postgres) == len(made)


def test_a_transcript_that_differs_is_found_and_made_smaller(prepared):
    """The test of the test: a middle man that changes one byte of one answer is caught."""
    import socket
    import threading

    server = prepared(upstream("mariadb"))
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            behind = socket.create_connection((server.host, server.port))

            def pump(source, sink, change):
                try:
                    while data := source.recv(65536):
                        sink.sendall(data.replace(b"needle", b"noodle") if change else data)
                    sink.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

            threading.Thread(target=pump, args=(client, behind, False), daemon=True).start()
            threading.Thread(target=pump, args=(behind, client, True), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    steps = [my.Step([my.Command(b"\x03SELECT %d" % i)]) for i in range(8)] + [my.Step([my.Command(b"\x03SELECT CONCAT('nee', 'dle')")])]
    script = my.Script(my.Login(capabilities=my.PLUGIN_AUTH | my.LONG_PASSWORD), steps, seed="by hand", kind="mysql")
    try:
        with pytest.raises(AssertionError, match=r"(?s)seed 'by hand' differs.*made smaller \(1 of 9 steps\).*noodle"):
            replay([script], (server.host, server.port), listener.getsockname())
    finally:
        listener.close()
