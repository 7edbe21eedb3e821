"""Orders: queries at a read time through the MySQL protocol, side by side with chdb on the very same ORC files.

    make bench-orders                       5,000,000 rows, target/release/flashgate
    make bench-orders ARGS='--rows 50000 --binary target/debug/flashgate'

A: three months of five years, grouped. B: everything, grouped. P: one order by its id. Each answer is compared with chdb's
before anything is timed. Then the same queries with AS OF and without it, and the server's memory during SELECT *.
The rows are loaded once, by COPY, and kept in target/bench/ for the next run (--fresh makes them anew).
"""

import argparse
import contextlib
import decimal
import os
import pathlib
import shutil
import subprocess
import sys
import time

os.environ["TZ"] = "UTC"
time.tzset()

import chdb.session
import psycopg

import common

A = (
    "SELECT status, COUNT(*) AS n, SUM(amount) AS total FROM {table} "
    "WHERE created >= '2022-04-01 00:00:00' AND created < '2022-07-01 00:00:00' GROUP BY status ORDER BY status"
)
B = "SELECT city, status, COUNT(*) AS n, SUM(amount) AS total, MAX(price) AS dearest FROM {table} GROUP BY city, status ORDER BY city, status"
P = "SELECT id, user_id, status, city, amount, quantity, price, created, day, note FROM {table} WHERE id = {id}"
QUERIES = {"A": A, "B": B, "P": P}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--pairs", type=int, default=8, help="runs of each query on either side (at least 6)")
    parser.add_argument("--binary", default=common.DEFAULT_BINARY)
    parser.add_argument("--data", type=pathlib.Path, default=None, help="where the rows are kept (target/bench/orders-ROWS)")
    parser.add_argument("--fresh", action="store_true", help="make the rows anew")
    arguments = parser.parse_args()
    if arguments.pairs < 6:
        parser.error("--pairs: at least 6")
    return arguments


def load(server, rows):
    """The orders, by one COPY; its seconds, without those that making the rows took."""
    with server.mysql() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE bench")
    connection = psycopg.connect(host="127.0.0.1", port=server.postgres_port, user="root", dbname="bench", sslmode="disable", autocommit=True)
    sent = 0.0
    with connection, connection.cursor() as cursor:
        cursor.execute(common.create_table("postgres", " WITH (engine='OSS')"))
        with cursor.copy("COPY orders FROM STDIN") as copy:
            for chunk in common.orders(rows):
                began = time.perf_counter()
                copy.write(chunk)
                sent += time.perf_counter() - began
            began = time.perf_counter()
        sent += time.perf_counter() - began
    return sent


def prepare(options, data):
    """Loads the rows unless an earlier run did."""
    done = data / "loaded"
    if options.fresh or not done.exists():
        shutil.rmtree(data, ignore_errors=True)
        with common.Flashgate(options.binary, data) as server:
            seconds = load(server, options.rows)
            print(f"loaded {options.rows:,} rows by COPY in {seconds:.1f} s ({options.rows / seconds:,.0f} rows/s), server's peak RSS {server.memory('VmHWM') / 2**20:.0f} MB")
        done.touch()


def files_of(cursor, data):
    """The store's files of the table as it is now."""
    cursor.execute("SHOW FILES FROM orders")
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    found = {path.name: path for path in data.rglob("*.orc")}
    return [found[pathlib.PurePath(row["FILE_NAME"]).name] for row in rows], sum(row["ROW_COUNT"] for row in rows)


def plain(rows):
    """Cells in one form, whichever client gave them."""

    def cell(value):
        with contextlib.suppress(decimal.InvalidOperation):
            return str(round(decimal.Decimal(str(value)), 6).normalize() + 0)
        text = str(value)
        return text.rstrip("0").rstrip(".") if "." in text else text

    return [[cell(value) for value in row] for row in rows]


class Chdb:
    """ClickHouse in this process, over the given files."""

    def __init__(self, files):
        self.session = chdb.session.Session()
        where = files[0].parent
        assert all(file.parent == where for file in files)
        self.table = "file('{}/{{{}}}', ORC)".format(where, ",".join(file.name for file in files)) if len(files) > 1 else f"file('{files[0]}', ORC)"

    def run(self, query, **values):
        text = self.session.query(query.format(table=self.table, **values), "TabSeparated").data()
        return [line.split("\t") for line in text.splitlines()]


def select_all(port, at):
    """SELECT * by a client that keeps nothing; its seconds and how many bytes it printed."""
    query = f"SELECT * FROM orders AS OF TIMESTAMP '{at}'"
    client = common.tool("mariadb", "mysql")
    began = time.perf_counter()
    command = [client, "--no-defaults", "--quick", "--batch", "--skip-column-names", "-h127.0.0.1", f"-P{port}", "-uroot", "--protocol=tcp", "bench", "-e", query]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    lines = 0
    while piece := process.stdout.read(1 << 20):
        lines += piece.count(b"\n")
    if process.wait() != 0:
        sys.exit(f"SELECT * ended with {process.returncode}")
    return time.perf_counter() - began, lines


def main():
    options = arguments()
    common.header(f"orders: {options.rows:,} rows, 10 columns", options.binary)
    data = (options.data or common.ROOT / "target" / "bench" / f"orders-{options.rows}").resolve()
    prepare(options, data)
    with common.Flashgate(options.binary, data) as server:
        cursor = server.mysql("bench").cursor()
        cursor.execute("SET time_zone = '+00:00'")
        files, rows = files_of(cursor, data)
        assert rows == options.rows, f"{rows} rows in the files"
        cursor.execute("SELECT CAST(NOW(6) AS CHAR)")
        at = cursor.fetchone()[0]
        time.sleep(0.01)
        size = sum(file.stat().st_size for file in files)
        print(f"{len(files)} ORC files, {size / 2**20:.1f} MB; read time {at} UTC; chdb {chdb.__version__} (ClickHouse {chdb.engine_version})\n")
        peer = Chdb(files)

        def ours(query, past=True, **values):
            table = f"orders AS OF TIMESTAMP '{at}'" if past else "orders"
            cursor.execute(query.format(table=table, **values))
            return cursor.fetchall()

        # Another order each time, the same for all.
        ids = [(number * 7919 + 12345) * 104729 % options.rows for number in range(1000)]
        for name, query in QUERIES.items():
            mine, theirs, now = plain(ours(query, id=ids[0])), plain(peer.run(query, id=ids[0])), plain(ours(query, past=False, id=ids[0]))
            assert mine and mine == theirs, f"{name}: Flashgate says {mine[:3]}, chdb {theirs[:3]}"
            assert mine == now, name

        print("Flashgate at a read time, through the MySQL protocol, beside chdb in process (ms):")
        for name, query in QUERIES.items():
            runs = {"flashgate": lambda n: ours(query, id=ids[n]), "chdb": lambda n: peer.run(query, id=ids[n])}
            times = common.side_by_side(runs, options.pairs, warm_up=2)
            common.show_times(name, times)
            goal = "a later goal" if name == "P" else "goal: at most 2"
            common.show_ratio(f"{name}    flashgate / chdb", times["flashgate"], times["chdb"], goal)

        print("\nWith AS OF and without it (ms):")
        for name, query in QUERIES.items():
            rounds = options.pairs * (5 if name == "P" else 2)
            runs = {"AS OF": lambda n: ours(query, id=ids[n]), "now": lambda n: ours(query, past=False, id=ids[n])}
            times = common.side_by_side(runs, rounds, warm_up=2)
            common.show_times(name, times)
            common.show_ratio(f"{name}    AS OF / now, {rounds} pairs", times["AS OF"], times["now"], "goal: at most 1.05")
        print(f"\nserver's peak RSS of all these queries: {server.memory('VmHWM') / 2**20:.0f} MB")

    # A server of its own: what the queries above took must not count.
    with common.Flashgate(options.binary, data) as server:
        before = server.memory("VmHWM")
        seconds, lines = select_all(server.mysql_port, at)
        assert lines == options.rows, f"{lines} rows came"
        print(
            f"SELECT * of {lines:,} rows at the read time, MySQL protocol: {seconds:.1f} s ({lines / seconds:,.0f} rows/s), "
            f"server's peak RSS {server.memory('VmHWM') / 2**20:.0f} MB ({before / 2**20:.0f} MB before); goal for 5 M rows: under 300 MB"
        )
    if common.is_dev(options.binary):
        print("NOTE: dev-profile binary")


main()
