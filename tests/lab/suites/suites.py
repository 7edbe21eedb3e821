"""Which suites there are, and how each is told where its database is."""

import dataclasses
import json

from .install import source

# Superuser of the PostgreSQL servers, as the suites know it.
PG_USER, PG_PASSWORD = "postgres", "pw"
POSTGRES = ("CREATE DATABASE suite", "CREATE DATABASE pg8000_gss")
MYSQL = ("CREATE DATABASE test CHARACTER SET utf8mb4", "CREATE DATABASE test_schema CHARACTER SET utf8mb4")


@dataclasses.dataclass
class Suite:
    """`passes` is how many tests pass at least, directly: a suite that tests nothing is found. `words` are pytest's; `setup` makes the
    environment and more words for an address."""

    name: str
    package: str
    protocol: str
    passes: int
    words: tuple
    setup: object

    @property
    def directory(self):
        return source(self.package)


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


def dialect(*names):
    return tuple(f"test/dialect/{name}" for name in names)


SUITES = [
    Suite("asyncpg", "asyncpg", "postgres", 250, ("tests", "--deselect=tests/test_pool.py::TestPool::test_pool_config_persistence"), libpq),
    Suite("psycopg2", "psycopg2", "postgres", 700, ("tests",), psycopg2),
    # test/legacy is an older interface over the protocol code of test/native; the benchmarks test speed, test_max_parameters takes a minute.
    Suite(
        "pg8000",
        "pg8000",
        "postgres",
        400,
        ("test/native", "test/dbapi", "--ignore-glob=*benchmarks*", "--deselect=test/native/test_query.py::test_max_parameters"),
        libpq,
    ),
    Suite("mysqlclient", "mysqlclient", "mysql", 150, ("tests",), mysqlclient),
    Suite("pymysql", "pymysql", "mysql", 140, ("pymysql/tests",), pymysql),
    # Only what runs against a database, not the tests of the compiler.
    Suite("sqlalchemy-mysql", "sqlalchemy", "mysql", 1500, ("--backend-only", *dialect("test_suite.py", "mysql")), sqlalchemy_mysql),
    Suite(
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
]
