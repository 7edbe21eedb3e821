"""The tests that drivers ship end through Flashgate as they end against the database itself, test by test.

Both ways run at the same time, each with a server of its own. When a test ends differently its suite
is run again: only what differs twice is a difference, since some of these tests race with time."""

import pytest

from suites.outcomes import Run, differences
from suites.suites import LOGINS, MYSQL, PG_PASSWORD, PG_USER, POSTGRES, SAMPLE, SQLX, SUITES, TOKIO_POSTGRES
from upstreams import gated, private

# (suite, test) -> why it may end differently. Each must still do so.
ALLOWED = {}


@pytest.fixture(scope="module")
def servers():
    """Two equal servers of each protocol: one for each way."""
    made = {}
    for way in ("direct", "through"):
        postgres = private("postgres", f"suites-postgres-{way}")
        postgres.sql(f"CREATE ROLE {PG_USER} SUPERUSER LOGIN PASSWORD '{PG_PASSWORD}'", *POSTGRES)
        postgres.sql("CREATE EXTENSION hstore", "CREATE SCHEMA test_schema", "CREATE SCHEMA test_schema_2", dbname="suite")
        postgres.sql((SQLX / "postgres/setup.sql").read_text(), dbname="sqlx")
        postgres.sql(*TOKIO_POSTGRES)
        log_in_as(postgres, LOGINS)
        mysql = private("mariadb", f"suites-mariadb-{way}", "--secure-auth=0")
        mysql.sql(*MYSQL)
        mysql.sql("USE sqlx", *filter(str.strip, (SQLX / "mysql/setup.sql").read_text().split(";\n")))
        made[way] = {"postgres": postgres, "mysql": mysql}
    yield made
    for pair in made.values():
        for server in pair.values():
            server.kill()


@pytest.fixture(scope="module")
def running(servers):
    with gated(**servers["through"], self_signed=True) as one:
        yield one


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
def test_a_drivers_own_tests_end_as_they_do_directly(suite, servers, running, tmp_path):
    server = servers["direct"][suite.protocol]
    addresses = {"direct": (server.host, server.port), "through": getattr(running, suite.protocol)}
    for way in addresses:
        (tmp_path / way).mkdir()
    direct, through = both_ways(suite, tmp_path, addresses)
    passed = sum(ended == "passed" for ended, _ in direct.values())
    print(f"{suite.name}: {len(direct)} tests, {passed} pass")
    assert passed >= suite.passes, f"only {passed} of {len(direct)} tests pass directly; {SAMPLE}"
    found = differences(direct, through)
    if found.keys() - allowed(suite):
        twice = differences(*both_ways(suite, tmp_path, addresses))
        print("once only:", *(f"\n  {name}: {text}" for name, text in found.items() if name not in twice))
        found = {name: text for name, text in found.items() if name in twice}
    said = "".join(f"\n  {name}\n    {text}" for name, text in sorted(found.items()) if name not in allowed(suite))
    assert not said, f"{suite.name} ends differently through Flashgate:{said}\n{SAMPLE if suite.name.startswith('django') else ''}"
    gone = allowed(suite) - found.keys()
    assert not gone, f"no longer different, take them off the list: {sorted(gone)}"


def log_in_as(postgres, lines):
    """Puts lines before those of pg_hba.conf."""
    rules = postgres.data / "pg_hba.conf"
    rules.write_text("\n".join([*lines, rules.read_text()]))
    postgres.restart()


def both_ways(suite, directory, addresses):
    runs = [Run(suite, directory / way, address) for way, address in addresses.items()]
    try:
        return [run.outcomes() for run in runs]
    finally:
        for run in runs:
            run.stop()


def allowed(suite):
    return {test for name, test in ALLOWED if name == suite.name}
