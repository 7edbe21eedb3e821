"""Bulk load: a million orders by COPY beside PostgreSQL's, and by LOAD DATA LOCAL beside MariaDB's.

    make bench-load                         1,000,000 rows, target/release/flashgate
    make bench-load ARGS='--rows 50000 --binary target/debug/flashgate'

Each side reads the same file through the same client program (psql's \\copy, mariadb's LOAD DATA LOCAL INFILE) into an empty
table; the peers run on 127.0.0.1 in directories of their own with their default durability, and are stopped at the end.
The peers' tables have no keys unless --keys is given: theirs are then real work, Flashgate's are documentation only.
"""

import argparse
import os
import pathlib
import pwd
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import psycopg
import pymysql

import common


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=6, help="loads on each side (at least 6)")
    parser.add_argument("--binary", default=common.DEFAULT_BINARY)
    parser.add_argument("--keys", action="store_true", help="the peers' tables have a primary key")
    parser.add_argument("--only", choices=["copy", "load-data"])
    options = parser.parse_args()
    if options.pairs < 6:
        parser.error("--pairs: at least 6")
    return options


def as_user(name):
    """What runs a program as `name`: PostgreSQL refuses to be root. Nothing when this is not root."""
    if os.geteuid() != 0:
        return []
    who = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]


def own(directory, name):
    if os.geteuid() == 0:
        shutil.chown(directory, name, name)


def run(command, **more):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **{"stdin": subprocess.DEVNULL, **more})
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def wait_for(connect, process, log):
    deadline = time.monotonic() + common.START_TIMEOUT
    while True:
        try:
            return connect().close()
        except (pymysql.err.Error, psycopg.Error) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the peer did not start: {error}\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)


class Peer:
    """A database server in a directory of its own, stopped by its own process."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        common.stop(self.process, self.end)
        shutil.rmtree(self.directory, ignore_errors=True)


class Postgres(Peer):
    # Fast shutdown: does not wait for clients.
    end = signal.SIGINT

    def __init__(self, binaries):
        self.port = common.free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="flashgate-bench-pg-"))
        own(self.directory, "postgres")
        user, data, log = as_user("postgres"), self.directory / "data", self.directory / "log"
        run([*user, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions"], cwd=self.directory)
        command = [*user, binaries / "postgres", "-D", data, "-p", self.port, "-h", "127.0.0.1", "-k", self.directory]
        with open(log, "wb") as out:
            self.process = subprocess.Popen(list(map(str, command)), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.user, self.database = "postgres", "postgres"
        wait_for(lambda: psycopg.connect(host="127.0.0.1", port=self.port, user="postgres"), self.process, log)
        self.name = "PostgreSQL " + run([binaries / "postgres", "--version"]).split()[2]


class MariaDb(Peer):
    end = signal.SIGTERM

    def __init__(self, server, install):
        self.port = common.free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="flashgate-bench-maria-"))
        own(self.directory, "mysql")
        data, log = self.directory / "data", self.directory / "log"
        user = ["--user=mysql"] if os.geteuid() == 0 else []
        run([install, "--no-defaults", *user, f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"])
        command = [server, "--no-defaults", *user, f"--datadir={data}", f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.directory}/s.sock"]
        command += [f"--pid-file={self.directory}/pid", f"--log-error={log}", "--skip-name-resolve", "--local-infile=1"]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connect = lambda: pymysql.connect(host="127.0.0.1", port=self.port, user="root", password="")
        wait_for(connect, self.process, log)
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE bench")
            cursor.execute("SELECT VERSION()")
            self.name = "MariaDB " + cursor.fetchone()[0].split("-")[0]


def copy(port, user, database, path, create):
    """Seconds of psql's \\copy into a new table."""
    with psycopg.connect(host="127.0.0.1", port=port, user=user, dbname=database, sslmode="disable", autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute(create)
        began = time.perf_counter()
        run([common.tool("psql"), "-X", "-q", "-h", "127.0.0.1", "-p", port, "-U", user, "-d", database, "-v", "ON_ERROR_STOP=1", "-c", f"\\copy orders from '{path}'"])
        took = time.perf_counter() - began
        check(connection.execute("SELECT COUNT(*) FROM orders").fetchone()[0], path)
    return took


def load_data(port, path, create):
    """Seconds of LOAD DATA LOCAL INFILE into a new table, by the mariadb client."""
    with pymysql.connect(host="127.0.0.1", port=port, user="root", password="", database="bench", autocommit=True, ssl_disabled=True) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS orders")
        cursor.execute(create)
        began = time.perf_counter()
        client = [common.tool("mariadb", "mysql"), "--no-defaults", "--local-infile=1", "-h127.0.0.1", f"-P{port}", "-uroot", "--protocol=tcp", "bench"]
        run([*client, "-e", f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE orders"])
        took = time.perf_counter() - began
        cursor.execute("SELECT COUNT(*) FROM orders")
        check(cursor.fetchone()[0], path)
    return took


def check(count, path):
    wanted = int(path.stem.rsplit("-", 1)[1])
    if count != wanted:
        sys.exit(f"{count} of {wanted} rows were loaded")


def show(title, times, rows):
    print(title)
    common.show_times("", times, unit=1, form="{:7.2f}")
    for name, taken in times.items():
        print(f"       {name:<24} {rows / statistics.median(taken):>11,.0f} rows/s (median)")
    ours, theirs = times
    common.show_ratio("ours / theirs in time", times[ours], times[theirs], "below 1: Flashgate is faster")
    print(flush=True)


def main():
    options = arguments()
    common.header(f"bulk load: {options.rows:,} rows, 10 columns; seconds", options.binary)
    path = common.write_orders(common.ROOT / "target" / "bench" / f"orders-{options.rows}.tsv", options.rows)
    print(f"{path.stat().st_size / 2**20:.1f} MB of text; the peers' tables have {'a primary key' if options.keys else 'no key'}\n")
    peer_tail = ", PRIMARY KEY (id))" if options.keys else ")"
    peer_table = lambda protocol: common.create_table(protocol).removesuffix(")") + peer_tail

    postgres = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    mariadb, install = common.tool("mariadbd"), common.tool("mariadb-install-db")
    if not postgres or not mariadb or not install:
        sys.exit("PostgreSQL's or MariaDB's server is missing: run benches/setup.sh peers")
    with tempfile.TemporaryDirectory(prefix="flashgate-bench-") as directory:
        with common.Flashgate(options.binary, pathlib.Path(directory) / "data") as server:
            with server.mysql() as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE bench")
            if options.only != "load-data":
                with Postgres(postgres[-1]) as peer:
                    times = common.side_by_side(
                        {
                            "flashgate COPY": lambda _: copy(server.postgres_port, "root", "bench", path, common.create_table("postgres", " WITH (engine='OSS')")),
                            peer.name: lambda _: copy(peer.port, peer.user, peer.database, path, peer_table("postgres")),
                        },
                        options.pairs,
                    )
                    show(f"COPY through psql, beside {peer.name}:", times, options.rows)
            if options.only != "copy":
                with MariaDb(mariadb, install) as peer:
                    times = common.side_by_side(
                        {
                            "flashgate LOAD DATA": lambda _: load_data(server.mysql_port, path, common.create_table("mysql", " ENGINE='OSS'")),
                            peer.name: lambda _: load_data(peer.port, path, peer_table("mysql") + " ENGINE=InnoDB"),
                        },
                        options.pairs,
                    )
                    show(f"LOAD DATA LOCAL through the mariadb client, beside {peer.name}:", times, options.rows)
            print(f"server's peak RSS of all loads: {server.memory('VmHWM') / 2**20:.0f} MB")
    if common.is_dev(options.binary):
        print("NOTE: dev-profile binary")


main()
