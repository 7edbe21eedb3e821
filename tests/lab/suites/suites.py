"""Which suites there are, and how each is told where its database is."""

import dataclasses
import datetime
import json
import os
import pathlib
import random
import shutil

from .install import program, source
from .outcomes import Django, Libtest, Pytest

# Superuser of the PostgreSQL servers, as the suites know it.
PG_USER, PG_PASSWORD = "postgres", "pw"
POSTGRES = ("CREATE DATABASE suite", "CREATE DATABASE pg8000_gss", "CREATE DATABASE sqlx", "CREATE ROLE sqlx SUPERUSER LOGIN")
MYSQL = tuple(f"CREATE DATABASE {name} CHARACTER SET utf8mb4" for name in ("test", "test_schema", "sqlx", "mysql_async"))
# Where sqlx says, in mysql/setup.sql and postgres/setup.sql, what its tests find in their database.
SQLX = program("sqlx")[1] / "tests"
# What tokio-postgres finds in the database `postgres`, and how its users log in.
TOKIO_POSTGRES = (
    "CREATE EXTENSION hstore",
    "CREATE EXTENSION citext",
    "CREATE EXTENSION ltree",
    "CREATE ROLE pass_user LOGIN PASSWORD 'password'",
    "CREATE ROLE scram_user LOGIN PASSWORD 'password'",
    "SET password_encryption = 'md5'",
    "CREATE ROLE md5_user LOGIN PASSWORD 'password'",
)
# Before the lines of pg_hba.conf. Many short connections of an unoptimised driver: a password of sqlx's would take most of its time.
LOGINS = (
    "host all sqlx 127.0.0.1/32 trust",
    f"host postgres {PG_USER} 127.0.0.1/32 trust",
    "host all pass_user 127.0.0.1/32 password",
    "host all md5_user 127.0.0.1/32 md5",
)


@dataclasses.dataclass
class Suite:
    """`passes` is how many tests pass at least, directly: a suite that tests nothing is found. `directory` is where its sources are, of
    which each way has a copy; `setup` makes the environment and more words for an address."""

    name: str
    protocol: str
    passes: int
    directory: object
    runner: object
    setup: object


def python(name, package, protocol, passes, words, setup):
    """`words` are pytest's."""
    return Suite(name, protocol, passes, source(package), Pytest(*words), setup)


def rust(name, crate, protocol, passes, words, setup):
    """`words` are filters of the names of tests."""
    tests, folder = program(crate)
    return Suite(name, protocol, passes, folder, Libtest(tests, *words), setup)


def libpq(directory, host, port):
    return {"PGHOST": host, "PGPORT": str(port), "PGUSER": PG_USER, "PGPASSWORD": PG_PASSWORD, "PGDATABASE": "suite"}, ()


def psycopg2(directory, host, port):
    return libpq(directory, host, port)[0] | {"PSYCOPG2_TESTDB": "suite", "PSYCOPG2_TEST_REPL_DSN": ""}, ()


def mysqlclient(directory, host, port):
    lines = [
        "[MySQLdb-tests]",
        f"host={host}",
        f"port={port}",
        "user=root",
        "database=test",
        "default-character-set=utf8mb4",
        "local-infile=1",
    ]
    (directory / "my.cnf").write_text("\n".join(lines) + "\n")
    return {"TESTDB": str(directory / "my.cnf")}, ()


def pymysql(directory, host, port):
    """It reads databases.json beside its tests, of which each way has a copy."""
    both = {"host": host, "port": port, "user": "root", "passwd": "", "use_unicode": True, "local_infile": True}
    (directory / "tree" / "pymysql/tests/databases.json").write_text(json.dumps([{**both, "db": "test"}, {**both, "db": "test_schema"}]))
    return {"PYTHONPATH": "."}, ()


def sqlalchemy_postgres(directory, host, port):
    return {}, ("--dburi", f"postgresql+psycopg://{PG_USER}:{PG_PASSWORD}@{host}:{port}/suite")


def sqlalchemy_mysql(directory, host, port):
    return {}, ("--dburi", f"mysql+pymysql://root@{host}:{port}/test?charset=utf8mb4")


def sqlx_mysql(directory, host, port):
    return {"DATABASE_URL": f"mysql://root@{host}:{port}/sqlx"}, ()


def sqlx_postgres(directory, host, port):
    return {"DATABASE_URL": f"postgres://sqlx@{host}:{port}/sqlx"}, ()


def mysql_async(directory, host, port, tls="false"):
    """Left to itself it would ask the server for its socket and go round Flashgate."""
    return {"DATABASE_URL": f"mysql://root@{host}:{port}/mysql_async?prefer_socket=false", "SSL": tls, "COMPRESS": "false"}, ()


def mysql_async_tls(directory, host, port):
    return mysql_async(directory, host, port, "true")


def tokio_postgres(directory, host, port):
    """Its address is 127.0.0.1 or localhost."""
    return {"PGPORT": str(port)}, ()


def django(engine, user, password):
    def setup(directory, host, port):
        shutil.copy(pathlib.Path(__file__).with_name("django_settings.py"), directory / "tree/tests/suite_settings.py")
        said = {"ENGINE": engine, "USER": user, "PASSWORD": password, "HOST": host, "PORT": str(port), "RESULT": str(directory / "result.xml")}
        return {f"SUITE_{name}": value for name, value in said.items()}, ()

    return setup


def dialect(*names):
    return tuple(f"test/dialect/{name}" for name in names)


# Left out: one makes all other connections end after three seconds of silence, the others count a pool's idle connections a fixed moment
# after a change, which directly too is sometimes too early.
MYSQL_ASYNC = tuple(
    f"--skip={name}"
    for name in (
        "zz_should_check_wait_timeout_on_get_conn",
        "aa_should_hold_bounds2",
        "check_absolute_connection_ttl",
        "should_check_inactive_connection_ttl",
        "should_reconnect",
    )
)

# Left out: how far a client has got with what it sends when the server's error comes, which directly too differs from run to run.
ASYNCPG = (
    "--deselect=tests/test_pool.py::TestPool::test_pool_config_persistence",
    "--deselect=tests/test_execute.py::TestExecuteMany::test_executemany_server_failure_during_writes",
)

# Of Django's tests those that talk with a database most.
DJANGO_APPS = (
    *("basic", "queries", "lookup", "ordering", "aggregation", "aggregation_regress", "annotations", "expressions", "expressions_window"),
    *("transactions", "transaction_hooks", "select_for_update", "bulk_create", "update", "delete", "get_or_create", "raw_query"),
    *("backends", "introspection", "inspectdb", "schema", "indexes", "constraints", "migrations", "datatypes", "timezones", "db_functions"),
    *("model_fields", "many_to_many", "prefetch_related", "custom_pk", "multiple_database"),
)
# All of them take six minutes: `make test` runs a third, other ones every day, `make suites` all. FLASHGATE_TEST_SEED draws those of another run again.
ALL = os.environ.get("FLASHGATE_TEST_SUITES") == "all"
SEED = os.environ.get("FLASHGATE_TEST_SEED") or str(datetime.date.today().toordinal())
DJANGO = DJANGO_APPS if ALL else tuple(random.Random(SEED).sample(DJANGO_APPS, len(DJANGO_APPS) // 3))
# Of few applications hardly more can be said than that they ran.
DJANGO_PASSES = 3500 if ALL else 10 * len(DJANGO)
SAMPLE = f"Django's tests: {' '.join(DJANGO)} ({'all' if ALL else f'drawn by FLASHGATE_TEST_SEED={SEED}'})"

SUITES = [
    python("asyncpg", "asyncpg", "postgres", 250, ("tests", *ASYNCPG), libpq),
    python("psycopg2", "psycopg2", "postgres", 700, ("tests",), psycopg2),
    # test/legacy is an older interface over the protocol code of test/native; the benchmarks test speed, test_max_parameters takes a minute.
    python(
        "pg8000",
        "pg8000",
        "postgres",
        400,
        ("test/native", "test/dbapi", "--ignore-glob=*benchmarks*", "--deselect=test/native/test_query.py::test_max_parameters"),
        libpq,
    ),
    python("mysqlclient", "mysqlclient", "mysql", 150, ("tests",), mysqlclient),
    python("pymysql", "pymysql", "mysql", 140, ("pymysql/tests",), pymysql),
    # Only what runs against a database, not the tests of the compiler.
    python("sqlalchemy-mysql", "sqlalchemy", "mysql", 1500, ("--backend-only", *dialect("test_suite.py", "mysql")), sqlalchemy_mysql),
    python(
        "sqlalchemy-postgres",
        "sqlalchemy",
        "postgres",
        1000,
        # Seven thousand tests of range types, one like the other, took most of the time.
        (
            "--backend-only",
            "-k",
            "not RangeRoundTrip",
            *dialect(*(f"postgresql/test_{name}.py" for name in ("dialect", "query", "reflection", "on_conflict", "types"))),
        ),
        sqlalchemy_postgres,
    ),
    Suite("django-mysql", "mysql", DJANGO_PASSES, source("django"), Django(*DJANGO), django("mysql", "root", "")),
    Suite("django-postgres", "postgres", DJANGO_PASSES, source("django"), Django(*DJANGO), django("postgresql", PG_USER, PG_PASSWORD)),
    rust("sqlx-mysql", "sqlx", "mysql", 100, ("mysql::",), sqlx_mysql),
    # The test left out copies a gigabyte in one message: an unoptimised driver takes a minute and a half to make it.
    rust("sqlx-postgres", "sqlx", "postgres", 240, ("postgres::", "--skip=test_pg_copy_chunked"), sqlx_postgres),
    rust("mysql_async", "mysql_async", "mysql", 80, MYSQL_ASYNC, mysql_async),
    rust("mysql_async-tls", "mysql_async", "mysql", 80, MYSQL_ASYNC, mysql_async_tls),
    rust("tokio-postgres", "tokio-postgres", "postgres", 130, (), tokio_postgres),
]
