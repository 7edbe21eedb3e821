"""Stand-ins: views without rows in the upstream, through which tools that read its catalog find cold tables.

Seen with SQLAlchemy's reflection."""

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from test_concurrency import fails
from test_relay_postgres_state import EXECUTE, SYNC, Raw, bind, parse
from upstreams import gated, need, upstream
from wires import rows, run

KINDS = ["mariadb", "mysql", "postgres", "postgres17"]
DRIVERS = {"mysql": "mysql+pymysql", "postgres": "postgresql+psycopg"}
EXISTS = {"mysql": 1050, "postgres": "42P07"}
ABSENT = {"mysql": 1051, "postgres": "42P01"}
NO_TABLE = {"mysql": 1146, "postgres": "42P01"}

# Declaration, and the type that reflection finds.
COLUMNS = {
    "mysql": {
        "id": ("BIGINT NOT NULL", "BIGINT"),
        "flag": ("BOOLEAN", "TINYINT"),
        "small": ("SMALLINT UNSIGNED", "SMALLINT"),
        "num": ("INT", "INTEGER"),
        "f": ("FLOAT", "FLOAT"),
        "d": ("DOUBLE", "DOUBLE"),
        "price": ("DECIMAL(12,2)", "DECIMAL(12, 2)"),
        "code": ("CHAR(3)", "CHAR(3)"),
        "Name": ("VARCHAR(20)", "VARCHAR(20)"),
        "body": ("TEXT", "TEXT"),
        "raw": ("VARBINARY(9)", "VARBINARY(9)"),
        "day": ("DATE", "DATE"),
        "at": ("DATETIME(3)", "DATETIME"),
        "kind": ("ENUM('a','long')", {"mariadb": "VARCHAR(4)", "mysql": "ENUM('a','long')"}),
        "doc": ("JSON", {"mariadb": "LONGTEXT", "mysql": "JSON"}),
        "q`x": ("INT", "INTEGER"),
    },
    "postgres": {
        "id": ("BIGINT NOT NULL", "BIGINT"),
        "flag": ("BOOLEAN", "BOOLEAN"),
        "small": ("SMALLINT", "SMALLINT"),
        "num": ("INTEGER", "INTEGER"),
        "f": ("REAL", "REAL"),
        "d": ("DOUBLE PRECISION", "DOUBLE PRECISION"),
        "price": ("NUMERIC(12,2)", "NUMERIC(12, 2)"),
        "code": ("CHAR(3)", "CHAR(3)"),
        "Name": ("VARCHAR(20)", "VARCHAR(20)"),
        "body": ("TEXT", "TEXT"),
        "raw": ("BYTEA", "BYTEA"),
        "day": ("DATE", "DATE"),
        "at": ("TIMESTAMP(3)", "TIMESTAMP"),
        "zoned": ("TIMESTAMPTZ", "TIMESTAMP"),
        "doc": ("JSON", "JSON"),
        "who": ("UUID", "UUID"),
        'q"x': ("INTEGER", "INTEGER"),
    },
}


class Place:
    """Flashgate in front of one server, in a database of its own."""

    def __init__(self, server, running):
        self.server, self.running, self.kind = server, running, server.protocol
        self.quote = "`" if self.kind == "mysql" else '"'

    def connect(self, user="root", password="", **more):
        host, port = getattr(self.running, self.kind)
        where = {"host": host, "port": port, "user": user, "password": password, "autocommit": True, **more}
        if self.kind == "mysql":
            return pymysql.connect(database="standing", ssl_disabled=True, **where)
        return psycopg.connect(dbname="standing", sslmode="disable", **where)

    def engine(self, direct=False):
        host, port = (self.server.host, self.server.port) if direct else getattr(self.running, self.kind)
        return sa.create_engine(f"{DRIVERS[self.kind]}://root@{host}:{port}/standing")

    def columns(self, table, direct=False):
        engine = self.engine(direct)
        try:
            return {column["name"]: str(column["type"].compile(engine.dialect)) for column in sa.inspect(engine).get_columns(table)}
        finally:
            engine.dispose()

    def direct(self, *statements):
        return self.server.sql(*statements, dbname="standing") if self.kind == "postgres" else self.server.sql("USE standing", *statements)

    def listed(self, name):
        engine = "WITH (engine='OSS')" if self.kind == "postgres" else "ENGINE='OSS'"
        one = self.quote
        quoted = [f"{one}{column.replace(one, one * 2)}{one} {ty}" for column, (ty, _) in COLUMNS[self.kind].items()]
        return f"CREATE TABLE {name} ({', '.join(quoted)}) {engine}"

    def table(self, name):
        return f"CREATE TABLE {name} (id INT) {self.listed('x').rsplit(') ', 1)[1]}"


def plain(columns):
    """Types without what the dialect adds to them: collations, zones, signs, display widths."""
    out = {}
    for name, ty in columns.items():
        ty = ty.split(" COLLATE")[0].split(" CHARACTER SET")[0].split(" WITH")[0].removesuffix(" UNSIGNED")
        out[name] = ty.split("(")[0] if ty.startswith(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DATETIME", "TIMESTAMP")) else ty
    return out


@pytest.fixture(scope="module", params=KINDS)
def place(request):
    server = need(request.param, request)
    if server.protocol == "postgres":
        server.sql("DROP DATABASE IF EXISTS standing", "CREATE DATABASE standing")
    else:
        server.sql("DROP DATABASE IF EXISTS standing", "CREATE DATABASE standing")
    with gated(**{server.protocol: server}) as running:
        made = Place(server, running)
        made.name = request.param
        yield made


@pytest.fixture
def c(place):
    with place.connect() as connection:
        for _, name, _ in rows(connection, "SHOW COLD STANDINS"):
            run(connection, f"DROP STANDIN FOR COLD TABLE {name}")
        yield connection


def test_reflection_finds_the_columns_of_a_cold_table_by_its_stand_in(place, c):
    run(c, place.listed("wide"))
    engine = place.engine()
    inspector = sa.inspect(engine)
    assert place.kind == "mysql" or not inspector.has_table("wide")
    run(c, "CREATE STANDIN FOR COLD TABLE wide")
    assert rows(c, "SHOW COLD STANDINS") == [("standing" if place.kind == "mysql" else "public", "wide", "current")]
    expected = {name: told if isinstance(told, str) else told[place.name] for name, (_, told) in COLUMNS[place.kind].items()}
    if place.kind == "mysql":
        # SQLAlchemy leaves quotes in names as SHOW CREATE has them.
        expected["q``x"] = expected.pop("q`x")
    assert plain(place.columns("wide", direct=True)) == expected
    if place.kind == "mysql":
        # It asks for SHOW CREATE TABLE, which through Flashgate is the cold table's own.
        expected |= {"kind": "ENUM('a','long')", "doc": "JSON"}
        where = "table_schema = 'standing' AND table_name = 'wide'"
        found = dict(rows(c, f"SELECT column_name, data_type FROM information_schema.columns WHERE {where}"))
        assert found | {"flag": "tinyint", "price": "decimal", "at": "datetime", "q`x": "int"} == found and len(found) == len(expected)
    assert plain(place.columns("wide")) == expected
    inspector = sa.inspect(engine)
    assert "wide" in inspector.get_view_names() and inspector.has_table("wide")
    # An ORM reads the cold rows with what it found.
    run(c, "INSERT INTO wide (id, num) VALUES (7, 70)")
    table = sa.Table("wide", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        assert connection.execute(sa.select(table.c.id, table.c.num)).fetchall() == [(7, 70)]
    engine.dispose()
    # To the database itself it is empty.
    assert place.direct("SELECT COUNT(*) FROM wide")[0][0] == 0
    run(c, "DROP STANDIN FOR COLD TABLE wide", "DROP TABLE wide")


def test_writes_go_to_the_cold_table_and_never_into_the_stand_in(place, c):
    run(c, place.table("guarded"), "CREATE STANDIN FOR COLD TABLE guarded")
    run(c, "INSERT INTO guarded VALUES (1), (2)", "DELETE FROM guarded WHERE id = 1")
    assert rows(c, "SELECT id FROM guarded") == [(2,)]
    if place.kind == "mysql":
        assert rows(c, "SHOW TABLES LIKE 'guarded'") == [("guarded",)]
        assert [row[0] for row in rows(c, "SHOW TABLES")].count("guarded") == 1
        assert [row[0] for row in rows(c, "SHOW TABLE STATUS")].count("guarded") == 1
        assert [row[0] for row in rows(c, "DESCRIBE guarded")] == ["id"]
    for change in ("INSERT INTO guarded VALUES (9)", "UPDATE guarded SET id = 9", "DELETE FROM guarded"):
        with pytest.raises((pymysql.err.Error, psycopg.Error)) as caught:
            place.direct(change)
        assert caught.value.args[0] in (1471, 1288) if place.kind == "mysql" else caught.value.sqlstate == "55000"
    run(c, "DROP STANDIN FOR COLD TABLE guarded", "DROP TABLE guarded")


def test_a_changed_table_makes_its_stand_in_outdated_until_it_is_replaced(place, c):
    run(c, place.table("shape"), "CREATE STANDIN FOR COLD TABLE shape")
    fails(EXISTS[place.kind], run, c, "CREATE STANDIN FOR COLD TABLE shape")
    run(c, "ALTER TABLE shape ADD COLUMN more VARCHAR(9)", "ALTER TABLE shape DROP COLUMN id")
    assert [row[1:] for row in rows(c, "SHOW COLD STANDINS")] == [("shape", "outdated")]
    if place.kind == "postgres":
        place.server.sql("DROP ROLE IF EXISTS shape_reader", "CREATE ROLE shape_reader")
        place.direct("GRANT SELECT ON shape TO shape_reader WITH GRANT OPTION")
    run(c, "CREATE OR REPLACE STANDIN FOR COLD TABLE shape")
    assert [row[1:] for row in rows(c, "SHOW COLD STANDINS")] == [("shape", "current")]
    assert list(place.columns("shape")) == ["more"]
    if place.kind == "postgres":
        # Who was allowed to look still is.
        assert place.direct("SELECT has_table_privilege('shape_reader', 'shape', 'SELECT WITH GRANT OPTION')") == [(True,)]
        place.direct("DROP OWNED BY shape_reader", "DROP ROLE shape_reader")
    run(c, "CREATE OR REPLACE STANDIN FOR COLD TABLE shape")
    run(c, "DROP TABLE shape")
    assert [row[1:] for row in rows(c, "SHOW COLD STANDINS")] == [("shape", "orphan")]
    run(c, "DROP STANDIN FOR COLD TABLE shape")
    assert rows(c, "SHOW COLD STANDINS") == []


def test_nothing_but_a_stand_in_is_replaced_or_dropped(place, c):
    run(c, place.table("mine"))
    comment = "COMMENT ON VIEW mine IS 'Flashgate stand-in of my own'" if place.kind == "postgres" else "SELECT 1"
    for made, dropped in (("CREATE TABLE mine (id INT)", "TABLE"), ("CREATE VIEW mine AS SELECT 1 AS flashgate_stand_in_12345678", "VIEW")):
        place.direct(made, *([comment] if dropped == "VIEW" else []))
        fails(EXISTS[place.kind], run, c, "CREATE STANDIN FOR COLD TABLE mine")
        fails(EXISTS[place.kind], run, c, "CREATE OR REPLACE STANDIN FOR COLD TABLE mine")
        fails(EXISTS[place.kind], run, c, "DROP STANDIN FOR COLD TABLE mine")
        fails(EXISTS[place.kind], run, c, "DROP STANDIN IF EXISTS FOR COLD TABLE mine")
        assert len(place.direct("SELECT * FROM mine")) == (1 if dropped == "VIEW" else 0)
        place.direct(f"DROP {dropped} mine")
    fails(ABSENT[place.kind], run, c, "DROP STANDIN FOR COLD TABLE mine")
    run(c, "DROP STANDIN IF EXISTS FOR COLD TABLE mine", "DROP TABLE mine")
    fails(NO_TABLE[place.kind], run, c, "CREATE STANDIN FOR COLD TABLE mine")
    assert rows(c, "SHOW COLD STANDINS") == []


def test_a_stand_in_is_made_with_the_users_own_rights(place, c):
    """Who may not make views there gets the database's own error, and who may not see the cold table Flashgate's."""
    run(c, place.table("rights"))
    if place.kind == "mysql":
        place.server.sql("DROP USER IF EXISTS stander", "CREATE USER stander IDENTIFIED BY ''", "GRANT SELECT ON standing.* TO stander")
        who, denied, refused = "'stander'@'%'", 1142, 1142
    else:
        place.server.sql("DROP ROLE IF EXISTS stander", "CREATE ROLE stander LOGIN PASSWORD 'x'")
        place.direct("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        who, denied, refused = "stander", "42501", "42501"
    with place.connect("stander", "x" if place.kind == "postgres" else "") as other:
        error = fails(refused, run, other, "CREATE STANDIN FOR COLD TABLE rights")
        assert "rights" in str(error)
        run(c, f"GRANT SELECT ON COLD TABLE rights TO {who}")
        fails(denied, run, other, "CREATE STANDIN FOR COLD TABLE rights")
        assert rows(c, "SHOW COLD STANDINS") == []
        if place.kind == "mysql":
            place.server.sql("GRANT CREATE VIEW, DROP, SHOW VIEW ON standing.* TO stander")
            if "MariaDB" in rows(c, "SELECT VERSION()")[0][0]:
                # To some versions JSON_TABLE is a table of a database that is not there (docs/operations.md).
                place.server.sql("GRANT SELECT ON `*any*`.* TO stander")
            # Rights in a database are looked up when it becomes the current one.
            run(other, "USE standing")
        else:
            place.direct("GRANT CREATE ON SCHEMA public TO stander")
        run(other, "CREATE STANDIN FOR COLD TABLE rights")
        assert rows(other, "SHOW COLD STANDINS") == rows(c, "SHOW COLD STANDINS") != []
        run(other, "DROP STANDIN FOR COLD TABLE rights")
    place.direct(*(["DROP OWNED BY stander", "DROP ROLE stander"] if place.kind == "postgres" else ["DROP USER stander"]))
    run(c, "DROP TABLE rights")


def test_several_at_once_and_one_that_cannot_be_is_told(place, c):
    run(c, place.table("one"), place.table("two"))
    run(c, "CREATE STANDIN FOR COLD TABLE one, two")
    assert [row[1:] for row in rows(c, "SHOW COLD STANDINS")] == [("one", "current"), ("two", "current")]
    drop = "DROP STANDIN FOR COLD TABLE one"
    with pytest.raises((pymysql.err.Error, psycopg.Error)):
        run(c, *([f"SELECT 1; {drop}"] if place.kind == "postgres" else [f"PREPARE s FROM '{drop}'", "EXECUTE s"]))
    assert len(rows(c, "SHOW COLD STANDINS")) == 2, "what was refused has not happened"
    run(c, "DROP STANDIN FOR COLD TABLE one, two", "DROP TABLE one", "DROP TABLE two")


def test_prepared_statements_make_and_show_stand_ins(place, c):
    run(c, place.table("prepared"))
    if place.kind == "postgres":
        c.execute("CREATE STANDIN FOR COLD TABLE prepared", prepare=True)
        assert c.execute("SHOW COLD STANDINS", prepare=True).fetchall() == [("public", "prepared", "current")]
        c.execute("DROP STANDIN FOR COLD TABLE prepared", prepare=True)
    else:
        import mysql.connector

        host, port = place.running.mysql
        where = {"host": host, "port": port, "user": "root", "database": "standing"}
        with mysql.connector.connect(**where, autocommit=True, ssl_disabled=True, use_pure=True) as other:
            with other.cursor(prepared=True) as cursor:
                cursor.execute("CREATE STANDIN FOR COLD TABLE prepared")
            with other.cursor(prepared=True) as cursor:
                cursor.execute("SHOW COLD STANDINS")
                assert cursor.fetchall() == [("standing", "prepared", "current")]
            with other.cursor(prepared=True) as cursor:
                cursor.execute("DROP STANDIN FOR COLD TABLE prepared")
    assert rows(c, "SHOW COLD STANDINS") == []
    run(c, "DROP TABLE prepared")


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
@pytest.mark.parametrize(
    "charset, mode", [("latin1", ""), ("gbk", ""), ("utf8mb4", "ANSI_QUOTES"), ("utf8mb4", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES")]
)
def test_neither_the_character_set_nor_the_sql_mode_matters(kind, charset, mode, request):
    server = need(kind, request)
    server.sql("DROP DATABASE IF EXISTS standing", "CREATE DATABASE standing")
    with gated(mysql=server) as running, Place(server, running).connect(charset=charset) as c:
        run(c, f"SET sql_mode = '{mode}'", "CREATE TABLE moded (id INT, name VARCHAR(9)) ENGINE='OSS'")
        run(c, "CREATE STANDIN FOR COLD TABLE moded")
        assert rows(c, "SHOW COLD STANDINS") == [("standing", "moded", "current")]
        run(c, "CREATE OR REPLACE STANDIN FOR COLD TABLE moded", "DROP STANDIN FOR COLD TABLE moded")
        assert rows(c, "SHOW COLD STANDINS") == []


def test_a_rollback_takes_a_stand_in_of_postgresql_back():
    server = upstream("postgres")
    server.sql("DROP DATABASE IF EXISTS standing", "CREATE DATABASE standing")
    with gated(postgres=server) as running, Place(server, running).connect() as c:
        run(c, "CREATE TABLE undone (id INT) WITH (engine='OSS')", "BEGIN", "CREATE STANDIN FOR COLD TABLE undone")
        assert rows(c, "SHOW COLD STANDINS") == [("public", "undone", "current")]
        run(c, "ROLLBACK")
        assert rows(c, "SHOW COLD STANDINS") == []
        run(c, "CREATE STANDIN FOR COLD TABLE undone")
        assert rows(c, "SHOW COLD STANDINS") == [("public", "undone", "current")]


def test_a_pipeline_makes_a_stand_in_in_its_own_transaction():
    server = upstream("postgres")
    server.sql("DROP DATABASE IF EXISTS hot WITH (FORCE)", "CREATE DATABASE hot")
    with gated(postgres=server) as running, Raw(running) as raw:
        raw.query("CREATE TABLE piped (id INT) WITH (engine='OSS')")
        make, show = [parse("CREATE STANDIN FOR COLD TABLE piped"), bind(), EXECUTE], [parse("SHOW COLD STANDINS"), bind(), EXECUTE]
        told = raw(*make, *show, parse("SELECT * FROM absent"), SYNC)
        assert told == "1 2 C(CREATE STANDIN) 1 2 D(public,piped,current) C(SHOW) E42P01 ZI"
        assert raw(*show, SYNC) == "1 2 C(SHOW) ZI"
        assert raw(*make, SYNC) == "1 2 C(CREATE STANDIN) ZI"
        assert raw(*make, *show, SYNC) == "1 2 E42P07 ZI"
        raw.query("DROP STANDIN FOR COLD TABLE piped")


def test_without_an_upstream_there_is_nothing_to_stand_in_for(server):
    from wires import mysql, postgres

    for made in (mysql(server), postgres(server, "postgres")):
        with made as connection:
            code = 1290 if isinstance(connection, pymysql.Connection) else "55000"
            fails(code, run, connection, "SHOW COLD STANDINS")
