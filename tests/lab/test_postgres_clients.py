"""Clients of the PostgreSQL wire, each through its own ways: psql, psycopg 3, asyncpg, SQLAlchemy."""

import asyncio
import datetime
import subprocess
import uuid
from decimal import Decimal

import asyncpg
import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.rows import dict_row

from test_mysql_clients import orm_round_trip
from wires import POSTGRES_COLUMNS, POSTGRES_ROWS, POSTGRES_TABLE, assert_rows, now, postgres as connect, rows, run

MARKS = ", ".join(["%s"] * len(POSTGRES_COLUMNS))


def psql(server, script, *flags, database="", check=True):
    host, port = server.postgres
    command = ["psql", "-X", "-q", "-h", host, "-p", str(port), "-U", "root", "-d", f"dbname='{database}' sslmode=disable", "-v", "ON_ERROR_STOP=1", *flags]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done


def database(server, name, *statements):
    """Makes a database, and a connection to it."""
    with connect(server) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    connection = connect(server, name)
    for statement in statements:
        connection.execute(statement)
    return connection


# --- psql ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(server):
    return database(
        server, "shop", "CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, item VARCHAR(40) DEFAULT 'tea', price NUMERIC(10,2), placed TIMESTAMP)",
        "CREATE TABLE customers (name TEXT)", "CREATE VIEW dear AS SELECT * FROM orders WHERE price > 10",
        "INSERT INTO orders VALUES (1, 'tea', 2.50, '2022-07-05 11:11:11'), (2, NULL, NULL, NULL), (3, 'Łódź', 30, '2022-07-05 11:11:11.123456')",
    )


def test_psql_prints_rows_and_variables(server, shop):
    done = psql(server, "\\set wanted 3\n\\set word 'Łódź'\nSELECT * FROM orders WHERE id = :wanted AND item = :'word';", database="shop")
    assert done.stdout == (
        " id | item | price |           placed           \n----+------+-------+----------------------------\n"
        "  3 | Łódź | 30.00 | 2022-07-05 11:11:11.123456\n(1 row)\n\n"
    )
    assert psql(server, "\\timing off\nSELECT count(*) FROM dear;", "-At", database="shop").stdout == "1\n"
    assert psql(server, "SELECT 1 AS one \\gset\n\\echo got :one", "-At", database="shop").stdout == "got 1\n"


def test_psql_lists_databases_tables_and_views(server, shop):
    assert "shop" in [line.split("|")[0] for line in psql(server, "\\l", "-At", database="shop").stdout.splitlines()]
    tables = [line.split("|")[:3] for line in psql(server, "\\dt", "-At", database="shop").stdout.splitlines()]
    assert tables == [["public", "customers", "table"], ["public", "orders", "table"]]
    everything = [line.split("|")[1:3] for line in psql(server, "\\d", "-At", database="shop").stdout.splitlines()]
    assert everything == [["customers", "table"], ["dear", "view"], ["orders", "table"]]
    assert "dear" in psql(server, "\\dv", "-At", database="shop").stdout
    for command in ("\\dn", "\\du", "\\df", "\\di", "\\conninfo", "\\encoding", "\\dT", "\\z"):
        psql(server, command, database="shop")


def test_psql_describes_a_table(server, shop):
    out = psql(server, "\\d orders", database="shop").stdout
    assert 'Table "public.orders"' in out
    lines = [[cell.strip() for cell in line.split("|")] for line in out.splitlines() if "|" in line]
    assert ["id", "bigint", "", "not null", ""] in lines
    assert ["price", "numeric(10,2)", "", "", ""] in lines
    assert any(line[:2] == ["item", "character varying(40)"] and "tea" in line[4] for line in lines)
    assert "PRIMARY KEY" in out
    psql(server, "\\d+ orders", database="shop")
    missing = psql(server, "\\set QUIET off\n\\d nothing", database="shop", check=False)
    assert "Did not find any relation" in missing.stderr + missing.stdout


def test_psql_copies_a_file_in_and_out(server, shop, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,item\n10,"comma, ""quote"""\n11,\n')
    psql(
        server,
        "CREATE TABLE copied (id INT NOT NULL, item TEXT);\n"
        f"\\copy copied FROM '{source}' WITH (FORMAT csv, HEADER true)\n"
        f"\\copy (SELECT * FROM copied ORDER BY id) TO '{target}' WITH (FORMAT csv, HEADER true)\n",
        database="shop",
    )
    assert target.read_text() == source.read_text()
    psql(server, "DROP TABLE copied", database="shop")


def test_psql_reads_sqlstate_hint_and_position_of_an_error(server, shop):
    done = psql(server, "\\set VERBOSITY verbose\nSELECT nothing FROM orders;", database="shop", check=False)
    assert done.returncode == 3 and "ERROR:  42703" in done.stderr and "nothing" in done.stderr
    done = psql(server, "\\set VERBOSITY verbose\nSELEKT 1;", database="shop", check=False)
    assert "ERROR:  42601" in done.stderr and "LINE 1: SELEKT 1;" in done.stderr
    done = psql(server, "", database="nowhere", check=False)
    assert done.returncode == 2 and "nowhere" in done.stderr


def test_psql_asks_the_past_and_rolls_back(server, shop):
    with database(server, "psqlpast", "CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)") as connection:
        moment = now(connection)
    script = f"""BEGIN; UPDATE t SET v = 2; SELECT v FROM t; ROLLBACK; SELECT v FROM t; UPDATE t SET v = 3;
        SELECT v FROM t AS OF TIMESTAMP '{moment}'; SELECT v FROM t; SELECT v FROM t WHERE v > 0 AS OF TIMESTAMP '{moment}';"""
    assert psql(server, script, "-At", database="psqlpast").stdout.split() == ["2", "1", "1", "3", "1"]


# --- psycopg 3 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kinds(server):
    connection = database(server, "pgkinds", POSTGRES_TABLE)
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO kinds VALUES ({MARKS})", [tuple(row.values()) for row in POSTGRES_ROWS])
        assert cursor.rowcount == 3
    return connection


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("prepare", [False, True], ids=["once", "prepared"])
def test_psycopg_reads_back_every_type(kinds, binary, prepare):
    with kinds.cursor(binary=binary, row_factory=dict_row) as cursor:
        cursor.execute("SELECT * FROM kinds WHERE id < %s ORDER BY id", (100,), prepare=prepare)
        assert_rows(cursor.fetchall(), POSTGRES_ROWS)


@pytest.mark.parametrize("mark", ["%s", "%b", "%t"])
def test_psycopg_writes_every_type_in_both_formats(kinds, mark):
    kinds.execute("TRUNCATE TABLE kinds_copy" if mark != "%s" else POSTGRES_TABLE.replace("kinds", "kinds_copy", 1))
    marks = ", ".join([mark] * len(POSTGRES_COLUMNS))
    for row in POSTGRES_ROWS:
        values = tuple(psycopg.types.json.Json(__import__("json").loads(v)) if k == "doc" and v else v for k, v in row.items())
        assert kinds.execute(f"INSERT INTO kinds_copy VALUES ({marks})", values).rowcount == 1
    assert_rows(kinds.cursor(row_factory=dict_row).execute("SELECT * FROM kinds_copy ORDER BY id").fetchall(), POSTGRES_ROWS)


@pytest.mark.parametrize("column", [c for c in POSTGRES_COLUMNS if c not in ("id", "doc", "code")])
def test_psycopg_finds_a_row_by_a_value_of_every_type(kinds, column):
    assert rows(kinds, f"SELECT id FROM kinds WHERE {column} = %s", (POSTGRES_ROWS[0][column],)) == [(1,)]
    assert rows(kinds, f"SELECT id FROM kinds WHERE {column} IS NULL") == [(3,)]


def test_psycopg_sees_true_column_types(kinds):
    cursor = kinds.execute("SELECT * FROM kinds LIMIT 0")
    names = {column.name: kinds.adapters.types[column.type_code].name for column in cursor.description}
    assert names == {
        "id": "int8", "flag": "bool", "small": "int2", "plain": "int4", "big": "int8", "price": "numeric", "wide": "numeric", "single": "float4",
        "precise": "float8", "code": "bpchar", "name": "varchar", "note": "text", "raw": "bytea", "day": "date", "clock": "time", "moment": "timestamp",
        "instant": "timestamptz", "doc": "json", "ident": "uuid",
    }
    price = next(column for column in cursor.description if column.name == "price")
    assert (price.precision, price.scale) == (20, 4)


def test_psycopg_transactions_savepoints_and_failed_state(server):
    connection = database(server, "pgtx", "CREATE TABLE t (id INT NOT NULL)")
    other = connect(server, "pgtx")
    with connection.transaction():
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(psycopg.errors.NotNullViolation):
            with connection.transaction():
                connection.execute("INSERT INTO t VALUES (2)")
                connection.execute("INSERT INTO t VALUES (NULL)")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        assert rows(connection, "SELECT id FROM t") == [(1,)]
        assert rows(other, "SELECT id FROM t") == []
    assert rows(other, "SELECT id FROM t") == [(1,)]
    connection.autocommit = False
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM nowhere")
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("SELECT 1")
    connection.rollback()
    assert connection.execute("UPDATE t SET id = id + 1").rowcount == 1
    assert connection.execute("DELETE FROM t WHERE id = 2").rowcount == 1
    connection.rollback()
    assert rows(connection, "SELECT id FROM t") == [(1,)]


def test_psycopg_pipeline_sends_ahead_and_an_error_aborts_to_the_sync(server):
    connection = database(server, "pgpipe", "CREATE TABLE t (id INT NOT NULL)")
    with connection.pipeline():
        cursors = [connection.execute("INSERT INTO t VALUES (%s)", (i,)) for i in range(5)]
        count = connection.execute("SELECT count(*), sum(id) FROM t")
        assert count.fetchone() == (5, 10)
        assert [cursor.rowcount for cursor in cursors] == [1] * 5
    with pytest.raises(psycopg.errors.UndefinedColumn):
        with connection.pipeline():
            connection.execute("INSERT INTO t VALUES (100)")
            connection.execute("SELECT nothing FROM t")
            connection.execute("INSERT INTO t VALUES (101)")
    assert rows(connection, "SELECT max(id) FROM t WHERE id <> 100") == [(4,)]


@pytest.mark.parametrize("options", ["", " WITH (FORMAT csv)", " WITH (FORMAT binary)"], ids=["text", "csv", "binary"])
def test_psycopg_copies_every_type_in_and_out(kinds, options):
    name = "copy_" + (options.split()[-1].strip(")") if options else "text")
    kinds.execute(POSTGRES_TABLE.replace("kinds", name, 1))
    with kinds.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT * FROM kinds ORDER BY id) TO STDOUT{options}") as copy:
            data = b"".join(bytes(part) for part in copy)
        with cursor.copy(f"COPY {name} FROM STDIN{options}") as copy:
            for start in range(0, len(data), 100):
                copy.write(data[start : start + 100])
        assert cursor.rowcount == 3
    assert_rows(kinds.cursor(row_factory=dict_row).execute(f"SELECT * FROM {name} ORDER BY id").fetchall(), POSTGRES_ROWS)
    with kinds.cursor() as cursor, cursor.copy(f"COPY (SELECT * FROM {name} ORDER BY id) TO STDOUT{options}") as copy:
        assert b"".join(bytes(part) for part in copy) == data


def test_psycopg_a_copy_that_fails_or_is_given_up_changes_nothing(server):
    connection = database(server, "pgcopy", "CREATE TABLE t (id INT NOT NULL, name TEXT)")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            copy.write("1\tone\nx\ttwo\n")
    with pytest.raises(RuntimeError, match="gives up"):
        with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            copy.write("1\tone\n")
            raise RuntimeError("the client gives up")
    assert rows(connection, "SELECT count(*) FROM t") == [(0,)]
    with connection.cursor() as cursor, cursor.copy("COPY t (name, id) FROM STDIN") as copy:
        copy.write_row(["a\tb\\c\n", 1])
        copy.write_row([None, 2])
    assert rows(connection, "SELECT id, name FROM t ORDER BY id") == [(1, "a\tb\\c\n"), (2, None)]


def test_psycopg_asks_the_past_with_a_literal_and_with_a_parameter(server):
    connection = database(server, "pgasof", "CREATE TABLE t (id INT, v INT)", "INSERT INTO t VALUES (1, 1)")
    first = now(connection)
    connection.execute("UPDATE t SET v = 2")
    second = now(connection)
    connection.execute("DELETE FROM t")
    for moment, want in ((first, [(1,)]), (second, [(2,)])):
        stamp = datetime.datetime.fromisoformat(moment)
        assert rows(connection, f"SELECT v FROM t AS OF TIMESTAMP '{moment}'") == want
        assert rows(connection, "SELECT v FROM t AS OF TIMESTAMP %s WHERE id = %s", (moment, 1)) == want
        assert rows(connection, "SELECT v FROM t AS OF TIMESTAMP %s", (stamp,)) == want
        assert rows(connection, "SELECT v FROM t AS OF TIMESTAMP %b", (stamp,)) == want
        assert rows(connection, "SELECT v FROM t FOR SYSTEM_TIME AS OF %s", (stamp,)) == want
        with connection.transaction():
            run(connection, f"SET flashback_read_time = '{moment}'")
            assert rows(connection, "SELECT v FROM t") == want
            run(connection, "SET flashback_read_time = DEFAULT")
    assert rows(connection, "SELECT * FROM t") == []
    assert connection.execute(sql.SQL("INSERT INTO t SELECT * FROM t AS OF TIMESTAMP {}").format(sql.Literal(second))).rowcount == 1
    assert rows(connection, "SELECT * FROM t") == [(1, 2)]


def test_psycopg_server_side_cursor_fetches_in_parts(kinds):
    with kinds.transaction(), kinds.cursor("parts") as cursor:
        cursor.execute("SELECT x FROM generate_series(1, 1000) AS g(x) ORDER BY x")
        assert [row[0] for row in cursor.fetchmany(10)] == list(range(1, 11))
        assert len(cursor.fetchall()) == 990


def test_psycopg_errors_carry_sqlstate_position_and_hint(kinds):
    for statement, state in (
        ("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM kinds", "42703"), ("SELECT nofunction(1)", "42883"),
        ("SELECT 1/0", "22012"), ("SELECT 'x'::int", "22P02"), ("INSERT INTO kinds (id, small) VALUES (9, 70000)", "22003"),
        ("INSERT INTO kinds (id, code) VALUES (9, 'too long')", "22001"), ("SELECT * FROM kinds AS OF TIMESTAMP '2099-01-01'", "22023"),
        ("CREATE TABLE kinds (id INT)", "42P07"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            kinds.execute(statement)
        assert caught.value.sqlstate == state, f"{statement}: {caught.value}"
    with pytest.raises(psycopg.errors.SyntaxError) as caught:
        kinds.execute("SELECT 1 +")
    assert caught.value.diag.statement_position
    assert rows(kinds, "SELECT max(id) FROM kinds") == [(3,)]


# --- asyncpg ---------------------------------------------------------------------------------------------------------------


def test_asyncpg_reads_and_writes_every_type(server):
    database(server, "async_kinds", POSTGRES_TABLE).close()

    async def main():
        host, port = server.postgres
        connection = await asyncpg.connect(host=host, port=port, user="root", database="async_kinds", ssl=False)
        marks = ", ".join(f"${i + 1}" for i in range(len(POSTGRES_COLUMNS)))
        await connection.executemany(f"INSERT INTO kinds VALUES ({marks})", [tuple(row.values()) for row in POSTGRES_ROWS])
        got = [dict(row) for row in await connection.fetch("SELECT * FROM kinds ORDER BY id")]
        assert_rows(got, POSTGRES_ROWS)
        assert await connection.fetchval("SELECT count(*) FROM kinds WHERE price < $1", 5) == 1
        assert await connection.execute("DELETE FROM kinds WHERE id = $1", 3) == "DELETE 1"
        assert await connection.execute("UPDATE kinds SET plain = 5 WHERE id > 0") == "UPDATE 2"
        await connection.close()

    asyncio.run(main())


def test_asyncpg_copies_records_and_walks_a_cursor(server):
    database(server, "async_copy", "CREATE TABLE t (id INT NOT NULL, name TEXT, day DATE)").close()

    async def main():
        host, port = server.postgres
        connection = await asyncpg.connect(host=host, port=port, user="root", database="async_copy", ssl=False)
        records = [(i, f"name {i}", datetime.date(2022, 1, 1) if i % 2 else None) for i in range(2500)]
        assert await connection.copy_records_to_table("t", records=records) == "COPY 2500"
        async with connection.transaction():
            seen = [row["id"] async for row in connection.cursor("SELECT id FROM t WHERE id >= $1 ORDER BY id", 500, prefetch=300)]
            cursor = await connection.cursor("SELECT id FROM t ORDER BY id DESC")
            assert [row["id"] for row in await cursor.fetch(3)] == [2499, 2498, 2497]
            assert (await cursor.fetchrow())["id"] == 2496
        assert seen == list(range(500, 2500))
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM t")
                raise KeyError
        except KeyError:
            pass
        assert await connection.fetchval("SELECT count(*) FROM t") == 2500
        with pytest.raises(asyncpg.NotNullViolationError):
            await connection.execute("INSERT INTO t (name) VALUES ('x')")
        await connection.close()

    asyncio.run(main())


def test_asyncpg_is_told_the_types_of_parameters(server):
    database(
        server, "async_types", "CREATE TABLE t (id INT, u UUID, day DATE, at TIMESTAMPTZ)",
        "INSERT INTO t VALUES (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2022-07-05', '2022-07-05 11:11:11+00'), (2, NULL, NULL, NULL)",
    ).close()
    key, day = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), datetime.date(2022, 7, 5)

    async def main():
        host, port = server.postgres
        connection = await asyncpg.connect(host=host, port=port, user="root", database="async_types", ssl=False)
        hour = datetime.timedelta(hours=1)
        moment = await connection.fetchval("SELECT now()")
        for query, arguments, expected in [
            ("SELECT $1::int + 1", (3,), 4),
            ("SELECT id FROM t ORDER BY id LIMIT $1 OFFSET $2", (1, 1), 2),
            ("SELECT id FROM t WHERE u = $1", (key,), 1),
            ("SELECT id FROM t WHERE u IN ($1, $2)", (key, key), 1),
            ("SELECT id FROM t WHERE u = ANY($1)", ([key],), 1),
            ("SELECT id FROM t WHERE day = ANY($1)", ([day],), 1),
            ("SELECT id FROM t WHERE id = ANY($1::int[])", ([2],), 2),
            ("SELECT coalesce($1, id) FROM t WHERE id = 1", (7,), 7),
            ("SELECT $1::text[]", (["a", None],), ["a", None]),
            ("SELECT at + $1 FROM t WHERE id = 1", (hour,), datetime.datetime(2022, 7, 5, 12, 11, 11, tzinfo=datetime.timezone.utc)),
            ("SELECT $1::timestamptz + $2", (moment, hour), moment + hour),
            ("SELECT count(*) FROM t AS OF TIMESTAMP $1", (moment,), 2),
            ("SELECT count(*) FROM t AS OF TIMESTAMP $1::timestamptz", (moment,), 2),
            ("SELECT count(*) FROM t AS OF TIMESTAMP now() - $1", (datetime.timedelta(0),), 2),
        ]:
            assert await connection.fetchval(query, *arguments) == expected, query
        assert await connection.execute("UPDATE t SET day = $2 WHERE u = $1", key, day) == "UPDATE 1"
        assert await connection.execute("INSERT INTO t (id, u, day) SELECT $1::int, $2::uuid, $3", 3, key, day) == "INSERT 0 1"
        assert await connection.execute("DELETE FROM t WHERE u = $1 AND id = 3", key) == "DELETE 1"
        await connection.close()

    asyncio.run(main())


def test_asyncpg_moves_a_cursor_that_the_protocol_made(server):
    database(server, "async_moves", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2), (3), (4), (5), (6)").close()

    async def main():
        host, port = server.postgres
        connection = await asyncpg.connect(host=host, port=port, user="root", database="async_moves", ssl=False)
        async with connection.transaction():
            cursor = await connection.cursor("SELECT id FROM t ORDER BY id")
            assert [row["id"] for row in await cursor.fetch(2)] == [1, 2]
            assert await cursor.forward(2) == 2
            assert [row["id"] for row in await cursor.fetch(9)] == [5, 6]
            assert await cursor.fetch(1) == []
            assert await cursor.forward(1) == 0
        await connection.close()

    asyncio.run(main())


def test_rows_that_are_not_as_described_are_an_error(server):
    connection = database(server, "async_altered", "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")

    async def main():
        host, port = server.postgres
        prepared = await asyncpg.connect(host=host, port=port, user="root", database="async_altered", ssl=False)
        statement = await prepared.prepare("SELECT * FROM t")
        assert await statement.fetchval() == 1
        connection.execute("ALTER TABLE t ADD COLUMN name TEXT")
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="cached plan must not change result type"):
            await statement.fetch()
        await prepared.close()

    asyncio.run(main())
    connection.close()


def test_psycopg_lists_are_arrays_of_their_column(server):
    connection = database(
        server, "psycopg_lists", "CREATE TABLE t (id INT, u UUID, day DATE, price NUMERIC(10,2))",
        "INSERT INTO t VALUES (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2022-07-05', 1.50), (2, NULL, NULL, 2)",
    )
    key, day = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), datetime.date(2022, 7, 5)
    for column, values in [("u", [key, uuid.uuid4()]), ("day", [day]), ("price", [Decimal("1.5"), Decimal("3.125")]), ("id", [1])]:
        for binary in (False, True):
            mark = "%b" if binary else "%t"
            assert connection.execute(f"SELECT id FROM t WHERE {column} = ANY({mark})", [values]).fetchall() == [(1,)], column
    assert connection.execute("SELECT %s::timestamptz + %s", ["2022-07-05 11:11:11+00", datetime.timedelta(hours=1)]).fetchone()[0].hour == 12
    with pytest.raises(psycopg.errors.CharacterNotInRepertoire):
        connection.execute("SELECT %b::text", ["a\0b"])
    with pytest.raises(psycopg.errors.BadCopyFileFormat):
        with connection.cursor().copy("COPY t (id, day) FROM STDIN WITH (FORMAT csv, HEADER MATCH)") as copy:
            copy.write(b"day,id\n2022-07-05,1\n")
    connection.close()


def test_sqlalchemy_sees_indexes_and_the_columns_of_views(server):
    database(
        server, "alchemy_inspect", "CREATE TABLE t (id INT PRIMARY KEY, name TEXT, UNIQUE (name))", "CREATE VIEW v AS SELECT id, name FROM t"
    ).close()
    host, port = server.postgres
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://root@{host}:{port}/alchemy_inspect?sslmode=disable")
    inspector = sqlalchemy.inspect(engine)
    assert ["name"] in [index["column_names"] for index in inspector.get_indexes("t")]
    assert [column["name"] for column in inspector.get_columns("v")] == ["id", "name"]
    engine.dispose()


def test_asyncpg_asks_the_past_with_a_parameter(server):
    with database(server, "async_past", "CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)") as connection:
        moment = now(connection)
        connection.execute("UPDATE t SET v = 2")

    async def main():
        host, port = server.postgres
        connection = await asyncpg.connect(host=host, port=port, user="root", database="async_past", ssl=False, server_settings={"timezone": "UTC"})
        assert await connection.fetchval(f"SELECT v FROM t AS OF TIMESTAMP '{moment}'") == 1
        statement = await connection.prepare("SELECT v FROM t AS OF TIMESTAMP $1")
        (parameter,) = statement.get_parameters()
        value = moment if parameter.name in ("text", "varchar") else datetime.datetime.fromisoformat(moment)
        if parameter.name == "timestamptz":
            value = value.replace(tzinfo=datetime.timezone.utc)
        assert await statement.fetchval(value) == 1
        assert await connection.fetchval("SELECT v FROM t") == 2
        await connection.close()

    asyncio.run(main())


# --- SQLAlchemy ------------------------------------------------------------------------------------------------------------


def test_sqlalchemy_reflects_and_makes_an_orm_round_trip(server):
    database(server, "pgalchemy").close()
    host, port = server.postgres
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://root@{host}:{port}/pgalchemy?sslmode=disable", pool_pre_ping=True)
    columns = orm_round_trip(engine)
    assert isinstance(columns["placed"]["type"], sqlalchemy.types.DateTime)
    assert "public" in sqlalchemy.inspect(engine).get_schema_names()
    with engine.connect() as connection:
        moment = connection.execute(sqlalchemy.text("SELECT clock_timestamp()")).scalar()
        connection.execute(sqlalchemy.text("DELETE FROM orders"))
        connection.commit()
        past = sqlalchemy.text("SELECT id FROM orders AS OF TIMESTAMP :at")
        assert connection.execute(past, {"at": moment}).scalars().all() == [10]
    engine.dispose()
