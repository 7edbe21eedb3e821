"""Two builds of Flashgate beside each other, in one run: is a change slower than what was there before it?

    make bench-before-after BEFORE=/path/to/an/older/flashgate      AFTER defaults to target/release/flashgate

Both stand in front of the same MariaDB and the same PostgreSQL and each has cold tables of its own with the same rows. The same statements
go to both in turns, the order reversed from round to round; a ratio is the median of the rounds' ratios, after by before: above 1 is slower.
Both binaries must be of one profile. What a statement costs in processor time of the proxy is printed beside it.
"""

import argparse
import statistics
import time

import psycopg
import pymysql

import common
from relay import Flashgate, MariaDb, Postgres, cpu_seconds

# name -> (statement, how often a round). Hot ones are the relay's; cold ones are planned and run; a mixed one does both.
STATEMENTS = {
    "hot row by key": ("SELECT pad FROM points WHERE id = 4711", 300),
    "hot, a cold table's name in it": ("SELECT pad FROM points WHERE id = 4711 AND pad <> 'orders'", 300),
    "cold row by key": ("SELECT id, status, amount FROM orders WHERE id = 4711", 30),
    "cold, grouped": ("SELECT city, status, COUNT(*), SUM(amount), MAX(price) FROM orders GROUP BY city, status", 5),
    "cold, CASE": ("SELECT city, SUM(CASE WHEN quantity > 9 THEN amount ELSE 0 END) FROM orders GROUP BY city", 5),
    "cold, window": ("SELECT MAX(n) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY city ORDER BY id) AS n FROM orders) AS x", 3),
    "hot and cold joined": ("SELECT COUNT(*) FROM orders AS o JOIN points AS p ON p.id = o.id WHERE o.id < 50", 10),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True)
    parser.add_argument("--after", default=common.DEFAULT_BINARY)
    parser.add_argument("--rounds", type=int, default=8, help="at least 6 for numbers that are to be quoted")
    parser.add_argument("--rows", type=int, default=100_000, help="of the cold table and of the hot one")
    return parser.parse_args()


def connect(protocol, port):
    if protocol == "mysql":
        return pymysql.connect(host="127.0.0.1", port=port, user="root", password="", database="bench", autocommit=True, ssl_disabled=True)
    return psycopg.connect(host="127.0.0.1", port=port, dbname="bench", user="postgres", autocommit=True, sslmode="disable")


def fill(protocol, port, rows):
    """The cold orders, loaded through PostgreSQL's COPY or row by row text of MySQL."""
    with connect(protocol, port) as connection, connection.cursor() as cursor:
        if protocol == "postgres":
            cursor.execute(common.create_table("postgres", " WITH (engine='OSS')"))
            with cursor.copy("COPY orders FROM STDIN") as copy:
                for chunk in common.orders(rows):
                    copy.write(chunk)
            return
        cursor.execute(common.create_table("mysql", " ENGINE='OSS'"))
        for chunk in common.orders(rows):
            lines = chunk.decode().splitlines()
            for start in range(0, len(lines), 10_000):
                values = ("('" + line.replace("'", "''").replace("\t", "','") + "')" for line in lines[start : start + 10_000])
                cursor.execute("INSERT INTO orders VALUES " + ",".join(values))


class Side(Flashgate):
    """One build in front of one server, with its cold rows."""

    def __init__(self, binary, protocol, upstream, options):
        super().__init__(protocol, upstream, argparse.Namespace(binary=binary, idle=options.idle))
        fill(protocol, self.port, options.rows)
        self.cursor = connect(protocol, self.port).cursor()
        self.spent = {}

    def run(self, name):
        """Seconds of one round of a statement."""
        text, times = STATEMENTS[name]
        before = cpu_seconds(self.pid)
        began = time.perf_counter()
        for _ in range(times):
            self.cursor.execute(text)
            self.cursor.fetchall()
        took = time.perf_counter() - began
        self.spent[name] = self.spent.get(name, 0) + cpu_seconds(self.pid) - before
        return took


def main():
    options = arguments()
    options.idle = 50
    common.header("before and after", options.after)
    print(f"before:  {options.before}\n")
    for protocol, kind in (("mysql", MariaDb), ("postgres", Postgres)):
        with kind(options) as server:
            sides = {name: Side(binary, protocol, server.port, options) for name, binary in (("before", options.before), ("after", options.after))}
            print(f"{protocol}, in front of {server.title}, {options.rows:,} rows, {options.rounds} rounds")
            for name, (_, times) in STATEMENTS.items():
                seen = common.side_by_side({side: lambda number, one=one: one.run(name) for side, one in sides.items()}, options.rounds)
                ratios = common.ratios(seen["after"], seen["before"])
                each = {side: statistics.median(taken) / times * 1e6 for side, taken in seen.items()}
                spent = {side: one.spent[name] for side, one in sides.items()}
                processor_ratio = f"{spent['after'] / spent['before']:.2f}" if spent["before"] else "-"
                print(
                    f"  {name:<32} {each['before']:10.0f} us before {each['after']:10.0f} us after"
                    f"   ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f})   processor {processor_ratio}",
                    flush=True,
                )
            for one in sides.values():
                one.stop()
    print()


if __name__ == "__main__":
    main()
