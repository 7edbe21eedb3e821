"""The clients of the embedded matrix through Flashgate in front of a database: hot and cold statements by turns on one connection.

Twins: `twin_hot` is a table of the database and `twin_cold` a cold one, with the same columns and rows. Every client must make the same
of both.
"""

import asyncio
import contextlib
import datetime
import json
import os
import subprocess
import sys

import psycopg
import pymysql
import pytest
import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import create_async_engine

from test_other_clients import JARS, PROGRAMS
from upstreams import MYSQL_TREE, FORWARD, gated, need
from wires import (
    CACHE,
    MYSQL_COLUMNS,
    MYSQL_ROWS,
    POSTGRES_COLUMNS,
    POSTGRES_ROWS,
    mysql as mysql_connect,
    postgres as postgres_connect,
    rows,
)

if FORWARD:
    pytest.skip("there are no cold tables behind a plain forwarder", allow_module_level=True)

KINDS = ["mariadb", "mysql", "postgres"]
MYSQL_KINDS = ["mariadb", "mysql"]


@pytest.fixture(scope="module")
def gates(request):
    """Gives Flashgate in front of a kind of database, with twins in `hot`. One for each kind, for clients with and without TLS."""
    with contextlib.ExitStack() as stack:
        made = {}

        def gate(kind):
            if kind not in made:
                server = need(kind, request)
                running = stack.enter_context(gated(**{server.protocol: server}, self_signed=True))
                twins(running, server)
                made[kind] = running
            return made[kind]

        yield gate


def twins(gate, server):
    hot = server.protocol == "mysql"
    columns = dict(MYSQL_COLUMNS if hot else POSTGRES_COLUMNS)
    if server.name.startswith("MySQL"):
        # MySQL has no type for it.
        columns["ident"] = "CHAR(36)"
    body = ", ".join(f"{name} {ty}" for name, ty in columns.items()) + ", PRIMARY KEY (id)"
    connection = mysql_connect(gate, "hot", charset="utf8mb4") if hot else postgres_connect(gate, "hot")
    engines = {"twin_hot": " CHARACTER SET utf8mb4" if hot else "", "twin_cold": " ENGINE='OSS'" if hot else " WITH (engine='OSS')"}
    with connection, connection.cursor() as cursor:
        for name, engine in engines.items():
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(f"CREATE TABLE {name} ({body}){engine}")
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT INTO {name} VALUES ({marks})", [tuple(row.values()) for row in (MYSQL_ROWS if hot else POSTGRES_ROWS)]
            )


# --- what may differ between twins ---------------------------------------------------------------------------------------------

# (column, what is said of it) -> why the hot one says something else. A line that no longer differs is an error, so the list stays true.
SIZES = "cold tables have one size of TEXT and of BLOB"
KEYS = "keys are documentation: a cold column is of none"
NO_OID = "a cold table is not in the catalog where the driver looks this up"
# MariaDB's own: TIMESTAMP and UUID columns are marked unsigned, which means nothing.
UNSIGNED = "MariaDB marks it unsigned"

MYSQL2 = {("note", "length"): SIZES, ("lump", "length"): SIZES, ("id", "flags"): KEYS}
CONNECTOR_J = {(column, what): SIZES for column in ("note", "lump") for what in ("type", "name", "precision", "width")}
BY_BYTES = "a hot JSON of MariaDB is a LONGTEXT of collation utf8mb4_bin, and its definition says so"
DIFFERENCES = {
    ("mysql2", "mysql"): MYSQL2,
    ("mysql2", "mariadb"): {**MYSQL2, ("instant", "flags"): UNSIGNED, ("ident", "flags"): UNSIGNED, ("doc", "flags"): BY_BYTES},
    ("connector_j", "mysql"): CONNECTOR_J,
    ("connector_j", "mariadb"): {
        **CONNECTOR_J,
        ("instant", "signed"): UNSIGNED,
        ("ident", "signed"): UNSIGNED,
        ("ident", "cases"): "a cold UUID is a text of 36 characters",
        ("doc", "cases"): BY_BYTES,
    },
    ("pgjdbc", "postgres"): {(column, "nullable"): NO_OID for column in POSTGRES_COLUMNS},
}


def assert_twins(client, kind, read):
    """`read`: mode -> side -> names, types (a dict for each column) and rows, as the client gave them."""
    allowed, met, wrong = DIFFERENCES.get((client, kind), {}), set(), []
    for mode, sides in read.items():
        hot, cold = sides["hot"], sides["cold"]
        assert hot["names"] == cold["names"] and len(hot["rows"]) == len(cold["rows"]) == 3
        for name, one, other in zip(hot["names"], hot["types"], cold["types"]):
            differ = {what for what in one if one[what] != other[what]}
            met |= {(name, what) for what in differ}
            wrong += [(mode, name, what, one[what], other[what]) for what in differ if (name, what) not in allowed]
        for one, other in zip(hot["rows"], cold["rows"]):
            wrong += [(mode, name, "value", a, b) for name, a, b in zip(hot["names"], one, other) if a != b]
    assert not wrong, "\n".join(f"{mode} {name} {what}: hot {a!r}, cold {b!r}" for mode, name, what, a, b in wrong)
    assert met == set(allowed), f"these do not differ any more: {set(allowed) - met}"


# --- programs in other languages -------------------------------------------------------------------------------------------------


def program(*command, **env):
    """The lines that a program prints before its last one, which must be ok."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=220,
        env={**os.environ, "TZ": "UTC", **env},
    )
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.splitlines()[:-1]


def node(name, address, *words):
    return program("node", PROGRAMS / name, *address, *words, NODE_PATH=str(CACHE / "node" / "node_modules"))


@pytest.mark.parametrize("leg", ["plain", "tls"])
@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_mysql2_runs_hot_and_cold_by_turns(gates, kind, leg):
    (read,) = node("relay_mysql2.js", gates(kind).mysql, f"node_{leg}", leg)
    assert_twins("mysql2", kind, json.loads(read))


@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_mysql2_changes_the_user_with_statements_prepared(gates, kind):
    """It closes the statements it had after the change has closed them."""
    node("relay_mysql2.js", gates(kind).mysql, "change", "plain", "change")


@pytest.mark.parametrize("leg", ["plain", "tls"])
def test_node_pg_runs_hot_and_cold_by_turns(gates, leg):
    (read,) = node("relay_pg.js", gates("postgres").postgres, f"node_{leg}", leg)
    assert_twins("pg", "postgres", json.loads(read))


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """Runs a program of clients/, compiled once."""
    classes = tmp_path_factory.mktemp("classes")
    path = os.pathsep.join(map(str, [JARS / "mariadb-java-client.jar", JARS / "postgresql.jar", *JARS.glob("slf4j-api.jar")]))
    sources = [PROGRAMS / f"{name}.java" for name in ("Relayed", "RelayedMariaDb", "RelayedPgJdbc")]
    subprocess.run(["javac", "-encoding", "UTF-8", "-cp", path, "-d", classes, *sources], check=True, timeout=120)
    # The drivers read and write times in the zone of their own machine.
    quick = ["-Duser.timezone=UTC", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return lambda name, address, *words: program("java", *quick, "-cp", f"{path}{os.pathsep}{classes}", name, *address, *words)


@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_connector_j_runs_hot_and_cold_by_turns(gates, java, kind):
    (read,) = java("RelayedMariaDb", gates(kind).mysql, "java")
    assert_twins("connector_j", kind, json.loads(read))


@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_connector_j_sends_batches_in_bulk(gates, java, kind):
    """COM_STMT_BULK_EXECUTE, where the server has it."""
    java("RelayedMariaDb", gates(kind).mysql, "bulk", "bulk")


def test_pgjdbc_runs_hot_and_cold_by_turns(gates, java):
    (read,) = java("RelayedPgJdbc", gates("postgres").postgres, "java")
    assert_twins("pgjdbc", "postgres", json.loads(read))


@pytest.mark.parametrize("kind", KINDS)
def test_django_runs_hot_and_cold_models(gates, kind):
    gate = gates(kind)
    words = ["postgresql", *gate.postgres] if kind == "postgres" else ["mysql", *gate.mysql]
    program(sys.executable, PROGRAMS / "relayed_django.py", *words, "django")


@pytest.mark.parametrize("leg", ["DISABLED", "REQUIRED"])
def test_the_mysql_program_runs_a_file_of_both(gates, leg):
    """Before MySQL only: it has no mysql_native_password any more, by which root comes to MariaDB."""
    host, port = gates("mysql").mysql
    lib = MYSQL_TREE / "usr/lib/x86_64-linux-gnu"
    words = [
        lib / "ld-linux-x86-64.so.2",
        "--library-path",
        f"{lib}:{MYSQL_TREE}/usr/lib/mysql/private",
        MYSQL_TREE / "usr/bin/mysql",
        "--no-defaults",
    ]
    words += [f"--host={host}", f"--port={port}", "--user=root", f"--ssl-mode={leg}", "--batch", "--skip-column-names", "--force", "hot"]
    text = """SELECT COUNT(*) FROM twin_cold; SELECT COUNT(*) FROM twin_hot; SELECT absent FROM twin_cold; SELECT absent FROM twin_hot;
        DELIMITER //
        SELECT 'both', name FROM twin_cold WHERE id = 2; SELECT MAX(plain) FROM twin_hot //
        DELIMITER ;
        BEGIN; UPDATE twin_hot SET plain = 1; SELECT SUM(id) FROM twin_cold; ROLLBACK; USE other;
        SELECT plain FROM hot.twin_cold WHERE id = 2;
        SELECT plain FROM hot.twin_hot WHERE id = 2; SHOW STATUS LIKE 'Ssl_version';\n"""
    done = subprocess.run(list(map(str, words)), input=text, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[:-1] == ["3", "3", "both\t", "2147483647", "6", "2147483647", "2147483647"], done.stdout + done.stderr
    assert done.stderr.count("ERROR 1054 (42S22)") == 2 and ("TLS" in lines[-1]) == (leg == "REQUIRED")


# --- twins, read by clients of Python ----------------------------------------------------------------------------------------------


def described(cursor, cells):
    types = [dict(zip(("type", "scale", "null"), (column[1], column[5], column[6]))) for column in cursor.description]
    return {
        "names": [column[0] for column in cursor.description],
        "types": types,
        "rows": [[(type(v).__name__, v) for v in row] for row in cells],
    }


def both_sides(connection, *modes, close=True, **more):
    """mode -> side -> what a DB-API connection reads. A mode is a name and what its cursor takes."""
    read = {}
    for mode, options in modes:
        read[mode] = {}
        for side in ("hot", "cold"):
            cursor = connection.cursor(**options)
            # The pure connector cannot read a YEAR of the binary protocol, of any server.
            columns = ", ".join(name for name in more.get("columns", ["*"]))
            cursor.execute(f"SELECT {columns} FROM twin_{side} WHERE id < %s ORDER BY id", (100,))
            read[mode][side] = described(cursor, cursor.fetchall())
            cursor.close()
    if close:
        connection.close()
    return read


def address(pair):
    return {"host": pair[0], "port": pair[1], "user": "root"}


@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_pymysql_makes_the_same_of_twins(gates, kind):
    assert_twins(
        "pymysql",
        kind,
        both_sides(mysql_connect(gates(kind), "hot", charset="utf8mb4"), ("text", {}), ("stream", {"cursor": pymysql.cursors.SSCursor})),
    )


@pytest.mark.parametrize("pure", [True, False], ids=["pure", "C"])
@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_mysql_connector_makes_the_same_of_twins(gates, kind, pure):
    import mysql.connector

    c = mysql.connector.connect(**address(gates(kind).mysql), database="hot", use_pure=pure)
    columns = [name for name in MYSQL_COLUMNS if name != "yr"]
    assert_twins(
        "mysql-connector", kind, both_sides(c, ("text", {}), ("raw", {"raw": True}), ("prepared", {"prepared": True}), columns=columns)
    )


@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_mysqlclient_makes_the_same_of_twins(gates, kind):
    import MySQLdb
    import MySQLdb.cursors

    c = MySQLdb.connect(**address(gates(kind).mysql), database="hot", charset="utf8mb4", ssl_mode="REQUIRED")
    assert_twins("mysqlclient", kind, both_sides(c, ("text", {}), ("stream", {"cursorclass": MySQLdb.cursors.SSCursor})))


@pytest.mark.parametrize("way", ["text", "binary"])
def test_psycopg_makes_the_same_of_twins(gates, way):
    with postgres_connect(gates("postgres"), "hot", prepare_threshold=0) as c:
        assert_twins("psycopg", "postgres", both_sides(c, (way, {"binary": way == "binary"}), close=False))
    c = postgres_connect(gates("postgres"), "hot", autocommit=False)
    assert_twins("psycopg", "postgres", both_sides(c, ("server side", {"name": "parts", "binary": way == "binary"})))


def test_psycopg2_makes_the_same_of_twins(gates):
    import psycopg2

    host, port = gates("postgres").postgres
    c = psycopg2.connect(host=host, port=port, user="root", dbname="hot", sslmode="require")
    c.set_session(isolation_level="SERIALIZABLE", readonly=True)
    assert_twins("psycopg2", "postgres", both_sides(c, ("text", {})))


def test_pg8000_makes_the_same_of_twins(gates):
    import pg8000.dbapi

    c = pg8000.dbapi.connect(**address(gates("postgres").postgres), database="hot", ssl_context=False)
    assert_twins("pg8000", "postgres", both_sides(c, ("text", {})))


def test_asyncpg_makes_the_same_of_twins(gates):
    import asyncpg

    async def body():
        c = await asyncpg.connect(**address(gates("postgres").postgres), database="hot", ssl=False)
        read = {}
        for side in ("hot", "cold"):
            statement = await c.prepare(f"SELECT * FROM twin_{side} WHERE id < $1::int8 ORDER BY id")
            names = [column.name for column in statement.get_attributes()]
            types = [{"type": column.type} for column in statement.get_attributes()]
            cells = [[(type(v).__name__, v) for v in row.values()] for row in await statement.fetch(100)]
            read[side] = {"names": names, "types": types, "rows": cells}
        await c.close()
        return read

    assert_twins("asyncpg", "postgres", {"prepared": asyncio.run(asyncio.wait_for(body(), 60))})


# Expressions over both: the values, and in PostgreSQL, where clients choose a type by it, the type.
AGGREGATES = """COUNT(*);COUNT(name);SUM(small);SUM(plain);SUM(big);SUM(price);SUM(single);AVG(plain);AVG(price);MIN(name);MAX(day);
    MAX(moment);COUNT(DISTINCT day)"""
SCALARS = """id + 1;plain % 3;plain + 0;small * 1;price + 1;price * 2;precise / 2;single * 2;1;'x';NULL;1.5;CONCAT(name, '!');UPPER(note);
    CHAR_LENGTH(name);COALESCE(plain, 0);COALESCE(price, 0);CASE WHEN id = 1 THEN 'a' ELSE 'bc' END;CASE WHEN id = 1 THEN 1 ELSE 2 END;
    id = 1;name IS NULL;id IN (1, 2);CAST(plain AS CHAR(20));ROUND(price, 1);ABS(price);EXTRACT(YEAR FROM day);SUBSTRING(name, 1, 3);
    ROW_NUMBER() OVER (ORDER BY id);CHAR_LENGTH(code);CONCAT(code, 'x');GREATEST(small, 1);NULLIF(plain, 1)"""
MYSQL_ONLY = [
    "plain DIV 3",
    "plain / 3",
    "SUM(ubig)",
    "SUM(precise)",
    "ABS(plain)",
    "YEAR(day)",
    "DATE(moment)",
    "IF(id = 1, 'y', 'n')",
    "IFNULL(price, 0)",
    "HEX(raw)",
    "moment + INTERVAL 1 DAY",
    "DATEDIFF(day, '2020-01-01')",
    "DATE_FORMAT(moment, '%Y-%m')",
    "GROUP_CONCAT(code ORDER BY id)",
]
POSTGRES_ONLY = [
    "plain / 3",
    "avg(single)",
    "string_agg(code, ',' ORDER BY id)",
    "array_agg(id ORDER BY id)",
    "bool_and(flag)",
    "moment::date",
    "length(name)",
    "position('a' in name)",
    "code || 'x'",
    "day + 1",
    "day - date '2020-01-01'",
    "instant AT TIME ZONE 'UTC'",
    "to_char(moment, 'YYYY-MM')",
    "doc->>'a'",
    "date_trunc('month', moment)",
]


def expressions(more):
    for text in AGGREGATES.split(";") + SCALARS.split(";") + more:
        text = text.strip()
        whole = any(
            text.upper().startswith(word)
            for word in ("COUNT", "SUM", "AVG", "MIN", "MAX", "STRING_AGG", "ARRAY_AGG", "BOOL_AND", "GROUP_CONCAT")
        )
        yield text, f"SELECT {text} AS v FROM twin_{{}}" + ("" if whole else " WHERE id < 3 ORDER BY id")


def answer(connection, statement, types):
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            said = [cursor.description[0][1]] if types else []
            return said + [(type(row[0]).__name__, row[0]) for row in cursor.fetchall()]
    except (psycopg.Error, pymysql.Error) as error:
        return getattr(error, "sqlstate", None) or error.args[0]


INT8 = "an int4 with a literal, and a length, is an int8 here"
PADDED = "a cold CHAR(n) keeps its padding where PostgreSQL drops it"
# Of PostgreSQL: what is another type or value over a cold table. Each must still be.
EXPRESSIONS = {
    "SUM(single)": "a sum of float4 is a float8 here",
    "single * 2": "a float4 times a number is a float4 here",
    **dict.fromkeys(("plain % 3", "plain + 0", "small * 1", "plain / 3", "CASE WHEN id = 1 THEN 1 ELSE 2 END"), INT8),
    **dict.fromkeys(("COALESCE(plain, 0)", "GREATEST(small, 1)", "NULLIF(plain, 1)"), INT8),
    **dict.fromkeys(("CHAR_LENGTH(name)", "length(name)", "position('a' in name)"), INT8),
    **dict.fromkeys(("CHAR_LENGTH(code)", "string_agg(code, ',' ORDER BY id)", "code || 'x'", "CAST(plain AS CHAR(20))"), PADDED),
}


@pytest.mark.parametrize("kind", KINDS)
def test_expressions_over_twins_are_the_same(gates, kind):
    gate = gates(kind)
    postgres = kind == "postgres"
    known = EXPRESSIONS if postgres else {}
    wrong, met = [], set()
    with postgres_connect(gate, "hot") if postgres else mysql_connect(gate, "hot", charset="utf8mb4") as c:
        for text, statement in expressions(POSTGRES_ONLY if postgres else MYSQL_ONLY):
            hot, cold = (answer(c, statement.format(side), postgres) for side in ("hot", "cold"))
            if hot != cold and text in known:
                met.add(text)
            elif hot != cold:
                wrong.append(f"{text}: hot {hot}, cold {cold}")
    assert not wrong, "\n".join(wrong)
    assert met == known.keys(), f"no longer different: {sorted(known.keys() - met)}"


# --- clients that do not wait ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MYSQL_KINDS)
def test_aiomysql_runs_hot_and_cold_in_a_pool(gates, kind):
    import aiomysql

    gate = gates(kind)

    async def ask(pool, side):
        async with pool.acquire() as c, c.cursor() as cursor:
            await cursor.execute(f"SELECT id, name FROM twin_{side} WHERE id < %s ORDER BY id", (3,))
            return await cursor.fetchall()

    async def body():
        async with aiomysql.create_pool(**address(gate.mysql), db="hot", maxsize=3, charset="utf8mb4") as pool:
            answers = await asyncio.gather(*(ask(pool, ("hot", "cold")[n % 2]) for n in range(12)))
            assert all(one == answers[0] for one in answers) and len(answers[0]) == 2
            async with pool.acquire() as c, c.cursor(aiomysql.SSCursor) as cursor:
                await c.begin()
                await cursor.execute("UPDATE twin_hot SET plain = 5")
                await cursor.execute("SELECT SUM(id) FROM twin_cold")
                assert await cursor.fetchall() == [(6,)]
                for side in ("hot", "cold"):
                    with pytest.raises(pymysql.Error) as caught:
                        await cursor.execute(f"SELECT absent FROM twin_{side}")
                    assert caught.value.args[0] == 1054
                with pytest.raises(pymysql.Error) as caught:
                    await cursor.execute("DELETE FROM twin_cold")
                assert caught.value.args[0] == 1290
                await c.rollback()
                await cursor.execute("SELECT COUNT(*) FROM twin_hot WHERE plain = 5")
                assert await cursor.fetchall() == [(0,)]

    asyncio.run(asyncio.wait_for(body(), 60))


# --- cursors of the server -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["hot", "cold"])
def test_a_cursor_with_hold_is_read_outside_of_transactions(gates, side):
    """psycopg describes it by the protocol, after DECLARE."""
    with postgres_connect(gates("postgres"), "hot") as c, c.cursor("held", withhold=True) as cursor:
        cursor.execute(f"SELECT id FROM twin_{side} ORDER BY id")
        assert cursor.fetchmany(2) == [(1,), (2,)]
        assert rows(c, "SELECT count(*) FROM twin_hot") == [(3,)] and rows(c, "SELECT count(*) FROM twin_cold") == [(3,)]
        assert cursor.fetchall() == [(3,)]


# --- SQLAlchemy ------------------------------------------------------------------------------------------------------------------------

ENGINES = [
    *((kind, f"mysql+{driver}") for kind in MYSQL_KINDS for driver in ("pymysql", "mysqldb", "mysqlconnector", "aiomysql")),
    *(("postgres", f"postgresql+{driver}") for driver in ("psycopg", "psycopg2", "pg8000", "asyncpg", "psycopg_async")),
]
ASYNC = ("aiomysql", "asyncpg", "psycopg_async")


@contextlib.contextmanager
def alchemy(gate, dialect):
    """Gives a function that runs another with a connection of the engine, with autocommit or in transactions."""
    pair = gate.mysql if dialect.startswith("mysql") else gate.postgres
    url = f"{dialect}://root@{pair[0]}:{pair[1]}/hot" + ("?charset=utf8mb4" if dialect.startswith("mysql") else "")
    if dialect.endswith(ASYNC):
        loop = asyncio.new_event_loop()
        engine = create_async_engine(url, pool_pre_ping=True, pool_size=1, max_overflow=0)

        async def work(function, options):
            async with engine.connect() as connection:
                await connection.execution_options(**options)
                return await connection.run_sync(function)

        yield lambda function, **options: loop.run_until_complete(asyncio.wait_for(work(function, options), 60))
        loop.run_until_complete(engine.dispose())
        loop.close()
        return
    engine = sqlalchemy.create_engine(url, pool_pre_ping=True, pool_size=1, max_overflow=0)

    def work(function, **options):
        with engine.connect() as connection:
            return function(connection.execution_options(**options))

    yield work
    engine.dispose()


@pytest.mark.parametrize("kind, dialect", ENGINES)
def test_sqlalchemy_maps_a_hot_and_a_cold_table_in_one_session(gates, kind, dialect):
    text, mark = sqlalchemy.text, "sa_" + dialect.split("+")[1]
    base = orm.declarative_base()

    class Hot(base):
        __tablename__ = f"{mark}_h"
        id = orm.mapped_column(sqlalchemy.Integer, primary_key=True)
        name = orm.mapped_column(sqlalchemy.String(50), index=True)

    class Cold(base):
        __tablename__ = f"{mark}_c"
        id = orm.mapped_column(sqlalchemy.BigInteger, primary_key=True, autoincrement=False)
        name = orm.mapped_column(sqlalchemy.String(50))
        price = orm.mapped_column(sqlalchemy.Numeric(8, 2))
        day = orm.mapped_column(sqlalchemy.Date)

    def prepare(connection):
        engine = " WITH (engine='OSS')" if kind == "postgres" else " ENGINE='OSS'"
        connection.execute(
            text(f"CREATE TABLE {mark}_c (id BIGINT NOT NULL, name VARCHAR(50), price DECIMAL(8,2), day DATE, PRIMARY KEY (id)){engine}")
        )
        base.metadata.create_all(connection, tables=[Hot.__table__])
        with orm.Session(connection) as session:
            session.add_all([Cold(id=n, name=f"c{n}", price="1.50", day=datetime.date(2022, 7, n)) for n in (1, 2, 3)])
            session.commit()
        moment = connection.execute(
            text("SELECT CAST(LOCALTIMESTAMP AS TEXT)" if kind == "postgres" else "SELECT CAST(NOW(6) AS CHAR)")
        ).scalar()
        assert connection.execute(sqlalchemy.update(Cold).where(Cold.id > 1).values(name="new")).rowcount == 2
        # asyncpg takes no text where a time is wanted.
        return datetime.datetime.fromisoformat(moment) if dialect.endswith("asyncpg") else moment

    def use(connection):
        with orm.Session(connection) as session:
            session.add_all([Hot(name="h1"), Hot(name="h2")])
            session.flush()
            past = text(f"SELECT name FROM {mark}_c AS OF TIMESTAMP :at WHERE id >= :low ORDER BY id")
            for _ in range(2):
                assert session.execute(past, {"at": moment, "low": 1}).scalars().all() == ["c1", "c2", "c3"]
                assert [(one.name, str(one.price), one.day.day) for one in session.scalars(sqlalchemy.select(Cold).order_by(Cold.id))] == [
                    ("c1", "1.50", 1),
                    ("new", "1.50", 2),
                    ("new", "1.50", 3),
                ]
                assert session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Hot)) == 2
            as_of = sqlalchemy.select(Cold).from_statement(text(f"SELECT * FROM {mark}_c AS OF TIMESTAMP :at WHERE id = 2"))
            assert session.scalars(as_of.execution_options(populate_existing=True), {"at": moment}).one().name == "c2"
            session.expire_all()
            assert session.get(Cold, 2).name == "new" and session.scalar(sqlalchemy.select(sqlalchemy.func.sum(Cold.price))) == 4.5
            assert session.scalars(
                sqlalchemy.select(Cold.id).where(Cold.name.in_(["new"]), Cold.day >= datetime.date(2022, 7, 3))
            ).all() == [3]
            # Errors of both, each in a savepoint.
            for bad in (f"SELECT absent FROM {mark}_c", f"SELECT absent FROM {mark}_h", f"DELETE FROM {mark}_c"):
                with pytest.raises(sqlalchemy.exc.DBAPIError), session.begin_nested():
                    session.execute(text(bad))
                assert session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Cold)) == 3
            session.add(Cold(id=9, name="x"))
            with pytest.raises(sqlalchemy.exc.DBAPIError, match="transaction"):
                session.flush()
            session.rollback()
            assert session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Hot)) == 0
            session.add(Hot(name="kept"))
            session.commit()
            assert session.scalars(sqlalchemy.select(Hot.name)).all() == ["kept"]

    def reflect(connection):
        inspector = sqlalchemy.inspect(connection)
        names = inspector.get_table_names()
        assert f"{mark}_h" in names and (f"{mark}_c" in names) == (kind != "postgres")
        assert inspector.has_table(f"{mark}_h") and not inspector.has_table("absent")
        assert [column["name"] for column in inspector.get_columns(f"{mark}_h")] == ["id", "name"]
        assert inspector.get_pk_constraint(f"{mark}_h")["constrained_columns"] == ["id"]
        assert [index["column_names"] for index in inspector.get_indexes(f"{mark}_h")] == [["name"]]
        table = sqlalchemy.Table(f"{mark}_h", sqlalchemy.MetaData(), autoload_with=connection)
        assert connection.execute(sqlalchemy.select(table.c.name)).scalars().all() == ["kept"]
        if kind != "postgres":
            # MySQL's dialect reads SHOW CREATE TABLE, which is ours to answer.
            table = sqlalchemy.Table(f"{mark}_c", sqlalchemy.MetaData(), autoload_with=connection)
            assert [column.name for column in table.columns] == ["id", "name", "price", "day"] and [
                column.name for column in table.primary_key
            ] == ["id"]
            assert (table.c.price.type.precision, table.c.price.type.scale) == (8, 2) and isinstance(table.c.id.type, sqlalchemy.BigInteger)
        base.metadata.drop_all(connection, tables=[Hot.__table__])

    with alchemy(gates(kind), dialect) as work:
        moment = work(prepare, isolation_level="AUTOCOMMIT")
        work(use, isolation_level="REPEATABLE READ")
        work(reflect)
