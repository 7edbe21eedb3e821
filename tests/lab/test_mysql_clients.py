"""Clients of the MySQL wire, each through its own ways: CLI, pymysql, mysql-connector-python, SQLAlchemy."""

import datetime
import json
import re
import shutil
import subprocess

import mysql.connector
import pymysql
import pytest
import sqlalchemy
from sqlalchemy import orm

from wires import MYSQL_COLUMNS, MYSQL_ROWS, MYSQL_TABLE, assert_rows, mysql as connect, now, rows, run

CLI = shutil.which("mariadb") or shutil.which("mysql")


def cli(server, statements, *flags, database=None, check=True):
    host, port = server.mysql
    command = [CLI, "--no-defaults", "--host", host, "--port", str(port), "--protocol=tcp", "--user=root", "--default-character-set=utf8mb4", *flags]
    done = subprocess.run(command + ([database] if database else []), input=statements, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


# --- the command line ---------------------------------------------------------------------------------------------------


def test_cli_prints_tables_with_nulls_and_unicode(server):
    done = cli(
        server,
        """CREATE DATABASE cli; USE cli;
        CREATE TABLE t (id INT NOT NULL, name VARCHAR(20), price DECIMAL(6,2)) ENGINE='OSS';
        INSERT INTO t VALUES (1, 'Łódź', 1.50), (2, NULL, NULL);
        SELECT * FROM t ORDER BY id;""",
        "--table",
    )
    assert done.stdout == (
        "+----+---------+-------+\n| id | name    | price |\n+----+---------+-------+\n|  1 | Łódź    |  1.50 |\n|  2 | NULL    |  NULL |\n+----+---------+-------+\n"
    )


def test_cli_runs_several_statements_in_one_packet(server):
    done = cli(server, "delimiter //\nSELECT 1 AS a; SELECT 'two' AS b; SELECT 3 AS c//\n")
    assert done.stdout == "a\n1\nb\ntwo\nc\n3\n"


def test_a_script_runs_up_to_the_statement_that_cannot_be_read(server):
    with connect(server) as c:
        run(c, "CREATE DATABASE script", "CREATE TABLE script.p (id INT)")
    flag = pymysql.constants.CLIENT.MULTI_STATEMENTS
    with connect(server, "script", client_flag=flag) as c, c.cursor() as cursor:
        cursor.execute("SELECT 1; INSERT INTO p VALUES (1); SELEC 2; INSERT INTO p VALUES (2)")
        assert cursor.fetchall() == ((1,),)
        assert cursor.nextset() and cursor.rowcount == 1
        with pytest.raises(pymysql.err.ProgrammingError) as caught:
            cursor.nextset()
        assert caught.value.args[0] == 1064
    with connect(server, "script") as c:
        assert rows(c, "SELECT id FROM p") == [(1,)]


def test_a_prepared_transaction_reads_the_past_at_its_parameter(server):
    with connect(server) as c:
        run(c, "CREATE DATABASE prepared_past", "CREATE TABLE prepared_past.p (id INT)", "INSERT INTO prepared_past.p VALUES (1)")
        before = now(c)
        run(c, "INSERT INTO prepared_past.p VALUES (2)")
    host, port = server.mysql
    c = mysql.connector.connect(host=host, port=port, user="root", password="", database="prepared_past")
    cursor = c.cursor(prepared=True)
    cursor.execute("START TRANSACTION READ ONLY AS OF TIMESTAMP ?", (before,))
    cursor = c.cursor()
    cursor.execute("SELECT COUNT(*) FROM p")
    assert cursor.fetchall() == [(1,)]
    c.close()


def test_cli_shows_databases_tables_columns_and_create_table(server):
    out = cli(
        server,
        "CREATE DATABASE IF NOT EXISTS shown; USE shown; CREATE TABLE t (id INT NOT NULL, name VARCHAR(20) DEFAULT 'x', PRIMARY KEY (id)) ENGINE='OSS';\n"
        "SHOW DATABASES LIKE 'shown'; SHOW TABLES; DESCRIBE t; SHOW CREATE TABLE t\\G",
    ).stdout
    assert "Database (shown)\nshown\n" in out and "Tables_in_shown\nt\n" in out
    assert "id\tint\tNO\tPRI\tNULL" in out and "name\tvarchar(20)\tYES\t\tx" in out
    assert "CREATE TABLE `t` (" in out and "PRIMARY KEY (`id`)" in out


def test_cli_loads_a_local_file_with_escapes_and_nulls(server, tmp_path):
    run(connect(server), "CREATE DATABASE loads", "CREATE TABLE loads.t (id INT NOT NULL, name VARCHAR(50), price DECIMAL(8,2), day DATE) ENGINE='OSS'")
    plain, csv = tmp_path / "plain.tsv", tmp_path / "rows.csv"
    plain.write_text("1\tplain\t1.25\t2022-07-05\n2\ttab\\tnewline\\n\t\\N\t\\N\n")
    csv.write_text('id,name\r\n3,"comma, ""quote"" Łódź"\r\n4,bare\r\n')
    done = cli(
        server,
        f"LOAD DATA LOCAL INFILE '{plain}' INTO TABLE t;\n"
        f"LOAD DATA LOCAL INFILE '{csv}' INTO TABLE t FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\r\\n' IGNORE 1 LINES (id, name);\n",
        "--local-infile=1", "-vv", database="loads",
    )
    assert done.stdout.count("Records: 2") == 2
    assert rows(connect(server, "loads"), "SELECT id, name, CAST(price AS CHAR), CAST(day AS CHAR) FROM t ORDER BY id") == [
        (1, "plain", "1.25", "2022-07-05"),
        (2, "tab\tnewline\n", None, None),
        (3, 'comma, "quote" Łódź', None, None),
        (4, "bare", None, None),
    ]


def test_cli_load_of_a_bad_file_leaves_the_table_as_it_was(server, tmp_path):
    connection = connect(server)
    run(connection, "CREATE DATABASE badload", "CREATE TABLE badload.t (id INT NOT NULL) ENGINE='OSS'", "INSERT INTO badload.t VALUES (7)")
    bad = tmp_path / "bad.tsv"
    bad.write_text("1\nnot a number\n")
    done = cli(server, f"LOAD DATA LOCAL INFILE '{bad}' INTO TABLE t", "--local-infile=1", database="badload", check=False)
    assert done.returncode == 1 and "ERROR 1366 (HY000)" in done.stderr
    assert rows(connection, "SELECT id FROM badload.t") == [(7,)]
    missing = cli(server, f"LOAD DATA LOCAL INFILE '{tmp_path}/none' INTO TABLE t; SELECT 1", "--local-infile=1", database="badload", check=False)
    assert missing.returncode == 1 and rows(connection, "SELECT id FROM badload.t") == [(7,)]


def test_cli_reads_code_sqlstate_and_the_offending_text_of_an_error(server):
    done = cli(server, "SELECT 1; SELEKT 2;", check=False)
    assert done.returncode == 1 and "ERROR 1064 (42000)" in done.stderr and "SELEKT" in done.stderr
    assert "ERROR 1049 (42000)" in cli(server, "", database="nowhere", check=False).stderr
    done = cli(server, "CREATE DATABASE IF NOT EXISTS errors; SELECT * FROM errors.nothing", check=False)
    assert "ERROR 1146 (42S02)" in done.stderr and "errors.nothing" in done.stderr


def test_explain_says_what_is_read_in_lines_and_as_json(server):
    done = cli(server, "CREATE DATABASE explained; CREATE TABLE explained.t (a int); INSERT INTO explained.t VALUES (1); "
               "EXPLAIN SELECT * FROM explained.t AS OF TIMESTAMP now(6); EXPLAIN FORMAT=JSON SELECT * FROM explained.t", "-r")
    lines, document = done.stdout.split("EXPLAIN\n", 1)
    for item in ("table", "read time", "files", "horizon", "plan"):
        assert f"\t{item}\t" in lines, lines
    read = json.loads(document)
    assert read["tables"][0]["table"] == "explained.t"
    assert "1 of 1 visible files kept, 1 rows" in read["tables"][0]["files"]
    assert any("ColdScan" in line for line in read["plan"])


def test_cli_asks_the_past(server):
    connection = connect(server)
    run(connection, "CREATE DATABASE past", "USE past", "CREATE TABLE oss_orders (userId INT, item VARCHAR(9)) ENGINE='OSS'")
    run(connection, "INSERT INTO oss_orders VALUES (100, 'tea'), (101, 'milk')")
    before = now(connection)
    run(connection, "UPDATE oss_orders SET item = 'sold' WHERE userId = 100")
    done = cli(server, f"SELECT * FROM oss_orders where userId = 100 AS OF TIMESTAMP '{before}'; SELECT item FROM oss_orders ORDER BY userId", database="past")
    assert done.stdout == "userId\titem\n100\ttea\nitem\nsold\nmilk\n"


# --- pymysql ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kinds(server):
    """A database with a table that has a column of every type; holds MYSQL_ROWS."""
    connection = connect(server, cursorclass=pymysql.cursors.DictCursor, charset="utf8mb4")
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kinds")
        cursor.execute("USE kinds")
        cursor.execute(MYSQL_TABLE)
        marks = ", ".join(["%s"] * len(MYSQL_COLUMNS))
        assert cursor.executemany(f"INSERT INTO kinds VALUES ({marks})", [tuple(row.values()) for row in MYSQL_ROWS]) == 3
    return connection


def test_pymysql_reads_back_every_type(kinds):
    with kinds.cursor() as cursor:
        cursor.execute("SELECT * FROM kinds ORDER BY id")
        assert_rows(cursor.fetchall(), MYSQL_ROWS)


@pytest.mark.parametrize("column", [c for c in MYSQL_COLUMNS if c not in ("id", "doc", "single", "note")])
def test_pymysql_finds_a_row_by_a_value_of_every_type(kinds, column):
    with kinds.cursor() as cursor:
        cursor.execute(f"SELECT id FROM kinds WHERE {column} = %s", (MYSQL_ROWS[0][column],))
        assert cursor.fetchall() == [{"id": 1}]
        cursor.execute(f"SELECT id FROM kinds WHERE {column} IS NULL")
        assert [row["id"] for row in cursor.fetchall()] == [3]


def test_pymysql_sees_true_column_metadata(kinds):
    from pymysql.constants import FIELD_TYPE, FLAG

    plain = pymysql.cursors.Cursor(kinds)
    plain.execute("SELECT id, ubig, price AS cost, name, raw, moment, COUNT(*) OVER () AS n FROM kinds k")
    fields = {field.name: field for field in plain._result.fields}
    types = {name: field.type_code for name, field in fields.items()}
    assert types["id"] == FIELD_TYPE.LONGLONG and types["cost"] == FIELD_TYPE.NEWDECIMAL and types["name"] == FIELD_TYPE.VAR_STRING
    assert types["moment"] == FIELD_TYPE.DATETIME and types["n"] == FIELD_TYPE.LONGLONG
    assert fields["cost"].org_name == "price" and fields["cost"].table_name == "k" and fields["cost"].org_table == "kinds" and fields["cost"].db == b"kinds"
    assert fields["cost"].scale == 4 and fields["moment"].scale == 6
    assert fields["id"].flags & FLAG.NOT_NULL and not fields["name"].flags & FLAG.NOT_NULL and fields["ubig"].flags & FLAG.UNSIGNED
    assert fields["raw"].charsetnr == 63 and fields["name"].charsetnr != 63


def test_pymysql_counts_changed_rows_and_rolls_back(server):
    connection = connect(server, autocommit=False)
    run(connection, "CREATE DATABASE counts", "USE counts", "CREATE TABLE t (id INT NOT NULL, v INT) ENGINE='OSS'")
    assert run(connection, "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)") == 3
    connection.commit()
    assert run(connection, "UPDATE t SET v = v + 1 WHERE id <= 2") == 2
    assert run(connection, "DELETE FROM t WHERE id = 3") == 1
    assert run(connection, "DELETE FROM t WHERE id = 99") == 0
    assert rows(connection, "SELECT * FROM t ORDER BY id") == [(1, 11), (2, 21)]
    connection.rollback()
    assert rows(connection, "SELECT * FROM t ORDER BY id") == [(1, 10), (2, 20), (3, 30)]


def test_pymysql_asks_the_past_with_a_literal_and_with_a_parameter(server):
    connection = connect(server)
    run(connection, "CREATE DATABASE asof", "USE asof", "CREATE TABLE t (id INT, v INT) ENGINE='OSS'", "INSERT INTO t VALUES (1, 1)")
    first = now(connection)
    run(connection, "UPDATE t SET v = 2")
    second = now(connection)
    run(connection, "DELETE FROM t")
    for moment, want in ((first, [(1,)]), (second, [(2,)])):
        assert rows(connection, f"SELECT v FROM t AS OF TIMESTAMP '{moment}'") == want
        assert rows(connection, "SELECT v FROM t AS OF TIMESTAMP %s WHERE id = %s", (datetime.datetime.fromisoformat(moment), 1)) == want
        assert rows(connection, f"SELECT a.v FROM t AS OF TIMESTAMP '{moment}' a WHERE EXISTS (SELECT 1 FROM t AS OF TIMESTAMP '{first}')") == want
    assert rows(connection, "SELECT * FROM t") == []
    run(connection, f"INSERT INTO t SELECT * FROM t AS OF TIMESTAMP '{second}'")
    assert rows(connection, "SELECT * FROM t") == [(1, 2)]


def test_mysql_text_prepare_takes_the_time_as_a_parameter(server):
    connection = connect(server)
    run(connection, "CREATE DATABASE prep", "USE prep", "CREATE TABLE t (v INT) ENGINE='OSS'", "INSERT INTO t VALUES (1)")
    moment = now(connection)
    run(connection, "INSERT INTO t VALUES (2)", "PREPARE p FROM 'SELECT COUNT(*) FROM t AS OF TIMESTAMP ? WHERE v < ?'", f"SET @at = '{moment}', @v = 100")
    assert rows(connection, "EXECUTE p USING @at, @v") == [(1,)]
    run(connection, "SET @at = NOW(6)")
    assert rows(connection, "EXECUTE p USING @at, @v") == [(2,)]


def test_pymysql_streams_a_result_and_takes_several_at_once(kinds):
    with kinds.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute("SELECT id FROM kinds ORDER BY id")
        assert [row[0] for row in cursor] == [1, 2, 3]
    connection = pymysql.connect(
        host=kinds.host, port=kinds.port, user="root", ssl_disabled=True, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; DO 0; SELECT 'x', NULL")
        got = [cursor.fetchall()]
        while cursor.nextset():
            got.append(cursor.fetchall())
    assert [tuple(rows) for rows in got] == [((1,),), (), (("x", None),)]


def test_pymysql_sends_and_receives_more_than_a_packet_of_16_mib(server):
    connection = connect(server, max_allowed_packet=64 << 20)
    for size in ((16 << 20) - 1, (16 << 20) + 17):
        text = "x" * size
        ((got,),) = rows(connection, "SELECT %s", (text,))
        assert len(got) == size


# --- mysql-connector-python ------------------------------------------------------------------------------------------------

CONNECTORS = [pytest.param(True, id="pure"), pytest.param(False, id="c")]


def connector(server, pure, **more):
    host, port = server.mysql
    return mysql.connector.connect(host=host, port=port, user="root", password="", ssl_disabled=True, use_pure=pure, autocommit=True, **more)


def connector_row(row):
    return {name: row[name] for name in MYSQL_COLUMNS}


def prepared_rows(pure):
    """What a prepared statement can carry: the C extension's ends texts at a NUL and has no integers beyond a signed one,
    with any server."""
    if pure:
        return MYSQL_ROWS
    shown = {"ubig": lambda value: value if value is None else min(value, 2**63 - 1), "note": lambda value: value and value.split("\0")[0]}
    return [{name: shown.get(name, lambda value: value)(value) for name, value in row.items()} for row in MYSQL_ROWS]


@pytest.mark.parametrize("pure", CONNECTORS)
def test_connector_reads_every_type_over_text_and_prepared_statements(server, kinds, pure):
    connection = connector(server, pure, database="kinds")
    cursor = connection.cursor(dictionary=True)
    cursor.execute("SELECT * FROM kinds ORDER BY id")
    assert_rows(map(connector_row, cursor.fetchall()), MYSQL_ROWS)
    cursor.close()
    cursor = connection.cursor(prepared=True, dictionary=True)
    # The pure connector cannot read a YEAR of the binary protocol, of any server.
    instead = {"yr": "CAST(yr AS SIGNED) AS yr"} if pure else {"ubig": "LEAST(ubig, 9223372036854775807) AS ubig"}
    columns = ", ".join(instead.get(name, name) for name in MYSQL_COLUMNS)
    cursor.execute(f"SELECT {columns} FROM kinds WHERE id < %s ORDER BY id", (100,))
    assert_rows(map(connector_row, cursor.fetchall()), prepared_rows(pure))
    connection.close()


@pytest.mark.parametrize("pure", CONNECTORS)
def test_connector_writes_every_type_with_a_prepared_statement(server, pure):
    name = f"written_{'pure' if pure else 'c'}"
    connection = connector(server, pure)
    cursor = connection.cursor()
    for statement in (f"CREATE DATABASE {name}", f"USE {name}", MYSQL_TABLE):
        cursor.execute(statement)
    cursor.close()
    cursor = connection.cursor(prepared=True)
    marks = ", ".join(["%s"] * len(MYSQL_COLUMNS))
    # The C extension sends every timedelta as garbage and numbers with six decimals, to any server.
    written = [row if pure else {**row, "clock": None, "precise": 0.5} for row in prepared_rows(pure)]
    for row in written:
        cursor.execute(f"INSERT INTO kinds VALUES ({marks})", tuple(row.values()))
        assert cursor.rowcount == 1
    cursor.close()
    cursor = connection.cursor(dictionary=True)
    cursor.execute("SELECT * FROM kinds ORDER BY id")
    assert_rows(map(connector_row, cursor.fetchall()), written)
    cursor.close()
    moment = now(connect(server))
    cursor = connection.cursor(prepared=True)
    cursor.execute("DELETE FROM kinds WHERE id > %s", (1,))
    assert cursor.rowcount == 2
    cursor.execute("SELECT id FROM kinds AS OF TIMESTAMP %s ORDER BY id", (moment,))
    assert [row[0] for row in cursor.fetchall()] == [1, 2, 3]
    cursor.execute("SELECT id FROM kinds AS OF TIMESTAMP %s ORDER BY id", (datetime.datetime.fromisoformat(moment),))
    assert [row[0] for row in cursor.fetchall()] == [1, 2, 3]
    connection.close()


@pytest.mark.parametrize("pure", CONNECTORS)
def test_connector_commits_rolls_back_resets_and_names_errors(server, pure):
    name = f"tx_{'pure' if pure else 'c'}"
    connection = connector(server, pure)
    cursor = connection.cursor()
    for statement in (f"CREATE DATABASE {name}", f"USE {name}", "CREATE TABLE t (id INT NOT NULL) ENGINE='OSS'"):
        cursor.execute(statement)
    connection.start_transaction()
    cursor.execute("INSERT INTO t VALUES (1)")
    connection.rollback()
    connection.start_transaction(isolation_level="REPEATABLE READ")
    cursor.execute("INSERT INTO t VALUES (2)")
    connection.commit()
    cursor.execute("SELECT id FROM t")
    assert cursor.fetchall() == [(2,)]
    for statement, errno, sqlstate in (
        ("INSERT INTO t VALUES (NULL)", 1048, "23000"),
        ("SELECT nothing FROM t", 1054, "42S22"),
        ("SELECT * FROM t WHERE", 1064, "42000"),
        ("SELECT * FROM nowhere", 1146, "42S02"),
        ("CREATE TABLE t (id INT) ENGINE='OSS'", 1050, "42S01"),
    ):
        with pytest.raises(mysql.connector.Error) as caught:
            cursor.execute(statement)
        assert (caught.value.errno, caught.value.sqlstate) == (errno, sqlstate), statement
    connection.cmd_reset_connection()
    connection.cmd_change_user(username="root", password="", database=name)
    assert connection.is_connected()
    connection.ping()
    connection.close()


# --- SQLAlchemy ------------------------------------------------------------------------------------------------------------


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    __table_args__ = {"mysql_engine": "OSS"}
    id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger, primary_key=True, autoincrement=False)
    name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(80))
    orders: orm.Mapped[list["Order"]] = orm.relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (sqlalchemy.Index("by_customer", "customer_id"), {"mysql_engine": "OSS"})
    id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger, primary_key=True, autoincrement=False)
    customer_id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.ForeignKey("customers.id"))
    price = orm.mapped_column(sqlalchemy.Numeric(12, 2))
    placed = orm.mapped_column(sqlalchemy.DateTime)
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


def orm_round_trip(engine):
    """Creates the tables, writes, reads, changes and deletes objects, and reflects the tables."""
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        ann = Customer(id=1, name="Ann Łódź")
        ann.orders = [Order(id=10, price="12.50", placed=datetime.datetime(2022, 7, 5, 11, 11, 11)), Order(id=11, price="0.99")]
        session.add_all([ann, Customer(id=2, name="Bob")])
        session.commit()
    with orm.Session(engine) as session:
        ann = session.scalars(sqlalchemy.select(Customer).options(orm.selectinload(Customer.orders)).where(Customer.name.like("Ann%"))).one()
        assert [(o.id, str(o.price)) for o in ann.orders] == [(10, "12.50"), (11, "0.99")]
        assert ann.orders[0].placed == datetime.datetime(2022, 7, 5, 11, 11, 11)
        ann.name = "Anna"
        session.delete(ann.orders[1])
        session.commit()
    with orm.Session(engine) as session:
        got = session.execute(sqlalchemy.select(Customer.name, Order.id).join(Order, isouter=True).order_by(Customer.id)).all()
        assert [tuple(row) for row in got] == [("Anna", 10), ("Bob", None)]
        assert session.scalar(sqlalchemy.select(sqlalchemy.func.sum(Order.price))) == 12.5
        session.add(Customer(id=3, name="undone"))
        session.flush()
        session.rollback()
        assert session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Customer)) == 2
    inspector = sqlalchemy.inspect(engine)
    assert sorted(inspector.get_table_names()) == ["customers", "orders"]
    assert inspector.has_table("orders") and not inspector.has_table("nothing")
    columns = {column["name"]: column for column in inspector.get_columns("orders")}
    assert list(columns) == ["id", "customer_id", "price", "placed"]
    assert not columns["id"]["nullable"] and columns["price"]["nullable"]
    assert isinstance(columns["id"]["type"], sqlalchemy.types.BigInteger)
    assert (columns["price"]["type"].precision, columns["price"]["type"].scale) == (12, 2)
    assert inspector.get_pk_constraint("orders")["constrained_columns"] == ["id"]
    # CREATE INDEX is accepted and changes nothing; the keys of CREATE TABLE are kept.
    assert inspector.get_indexes("orders") == []
    inspector.get_foreign_keys("orders")
    inspector.get_view_names()
    table = sqlalchemy.Table("customers", sqlalchemy.MetaData(), autoload_with=engine)
    assert [column.name for column in table.columns] == ["id", "name"]
    return columns


def test_sqlalchemy_reflects_and_makes_an_orm_round_trip(server):
    run(connect(server), "CREATE DATABASE alchemy")
    host, port = server.mysql
    engine = sqlalchemy.create_engine(f"mysql+pymysql://root:@{host}:{port}/alchemy?charset=utf8mb4", pool_pre_ping=True)
    orm_round_trip(engine)
    inspector = sqlalchemy.inspect(engine)
    assert "alchemy" in inspector.get_schema_names()
    run(connect(server, "alchemy"), "CREATE TABLE keyed (a INT, b INT, KEY ab (a, b), UNIQUE KEY ub (b)) ENGINE='OSS'")
    keys = {i["name"]: (i["column_names"], i["unique"]) for i in sqlalchemy.inspect(engine).get_indexes("keyed")}
    assert keys == {"ab": (["a", "b"], False), "ub": (["b"], True)}
    with engine.connect() as connection:
        moment = connection.execute(sqlalchemy.text("SELECT NOW(6)")).scalar()
        connection.execute(sqlalchemy.text("DELETE FROM orders"))
        connection.commit()
        past = sqlalchemy.text("SELECT id FROM orders AS OF TIMESTAMP :at")
        assert connection.execute(past, {"at": moment}).scalars().all() == [10]
    engine.dispose()


def test_mysql_metadata_of_the_server_itself_is_truthful(server):
    connection = connect(server)
    ((version, comment),) = rows(connection, "SELECT @@version, @@version_comment")
    assert re.match(r"8\.0", version) and "flashgate" in comment.lower()
    run(connection, "SET time_zone = '+02:00'", "SET SESSION sql_mode = 'ANSI_QUOTES'")
    assert rows(connection, "SELECT @@time_zone, @@sql_mode") == [("+02:00", "ANSI_QUOTES")]
    assert ("root",) in rows(connection, "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)")
    assert [row[0] for row in rows(connection, "SHOW VARIABLES LIKE 'max_allowed_packet'")] == ["max_allowed_packet"]
    assert rows(connection, "SHOW WARNINGS") == []
