"""Clients in other languages: Node's mysql2 and pg, MariaDB Connector/J, pgjdbc. The programs are in clients/."""

import os
import pathlib
import shutil
import subprocess

import pytest

from wires import CACHE

PROGRAMS = pathlib.Path(__file__).with_name("clients")
JARS = pathlib.Path("/usr/share/java")


def ends_well(command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=180, **more)
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stdout + done.stderr


@pytest.mark.parametrize("module, wire", [("mysql2", "mysql"), ("pg", "postgres")])
def test_node_creates_writes_reads_and_asks_the_past(server, module, wire):
    ends_well(["node", PROGRAMS / f"{module}.js", *getattr(server, wire)], env={**os.environ, "NODE_PATH": str(CACHE / "node" / "node_modules"), "TZ": "UTC"})


@pytest.mark.parametrize("program, jar, wire", [("MariaDb", "mariadb-java-client.jar", "mysql"), ("PgJdbc", "postgresql.jar", "postgres")])
def test_jdbc_creates_writes_reads_reflects_and_asks_the_past(server, tmp_path, program, jar, wire):
    source, classes = PROGRAMS / f"{program}.java", [JARS / jar, *JARS.glob("slf4j-api.jar")]
    path = os.pathsep.join(map(str, classes))
    # The driver reads and writes times in the zone of its own machine; the server's sessions are told which.
    quick = ["-Duser.timezone=UTC", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    if shutil.which("javac"):
        subprocess.run(["javac", "-encoding", "UTF-8", "-cp", path, "-d", tmp_path, source], check=True, timeout=120)
        ends_well(["java", *quick, "-cp", f"{path}{os.pathsep}{tmp_path}", program, *getattr(server, wire)])
    else:
        ends_well(["java", *quick, "-cp", path, source, *getattr(server, wire)])
