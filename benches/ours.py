"""What a statement of ours waits for in front of a database before its own work begins.

The same query of a small cold table, by the same Python client, in turns: from a Flashgate without an upstream, and through
one that relays, where the statement before it was ours too (nothing can have changed in the upstream's session) or was the
upstream's (its state is asked for again). What they differ by is what the relay adds.
"""

import contextlib
import statistics
import time

import psycopg
import pymysql

GOAL = 200
CREATE = {"mysql": "CREATE TABLE ours (id INT, name VARCHAR(20)) ENGINE='OSS'", "postgres": "CREATE TABLE ours (id INT, name VARCHAR(20)) WITH (engine='OSS')"}
COLD = "SELECT id, name FROM ours WHERE id = 1"
HOT = "SELECT pad FROM points WHERE id = 1"


def connect(protocol, port, database):
    if protocol == "mysql":
        return pymysql.connect(host="127.0.0.1", port=port, user="root", password="", database=database, autocommit=True, ssl_disabled=True)
    user = {"user": "postgres"} if database == "bench" else {"user": "root"}
    return psycopg.connect(host="127.0.0.1", port=port, dbname=database, autocommit=True, sslmode="disable", **user)


def clock(connection, text):
    """Seconds of one statement, from its first byte to its last."""
    with connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(text)
        rows = cursor.fetchall()
        took = time.perf_counter() - began
    if len(rows) != 1:
        raise RuntimeError(f"{len(rows)} rows for {text}")
    return took


def fill(connection, protocol, embedded):
    with connection.cursor() as cursor:
        if embedded and protocol == "mysql":
            cursor.execute("CREATE DATABASE IF NOT EXISTS bench")
            cursor.execute("USE bench")
        cursor.execute(CREATE[protocol])
        cursor.execute("INSERT INTO ours VALUES (1, 'one')")


def measure(protocol, embedded, relayed, rounds):
    """Prints the medians; gives (met, sentence) for each."""
    with contextlib.ExitStack() as stack:
        alone = stack.enter_context(contextlib.closing(connect(protocol, embedded, None if protocol == "mysql" else "postgres")))
        ours = stack.enter_context(contextlib.closing(connect(protocol, relayed, "bench")))
        fill(alone, protocol, True)
        fill(ours, protocol, False)
        taken = {"alone": [], "ours": [], "upstream": []}
        for number in range(-50, rounds):
            seen = {"alone": clock(alone, COLD)}
            clock(ours, HOT)
            seen["upstream"] = clock(ours, COLD)
            seen["ours"] = clock(ours, COLD)
            if number >= 0:
                for name, seconds in seen.items():
                    taken[name].append(seconds)
    middle = {name: statistics.median(times) * 1e6 for name, times in taken.items()}
    print(f"a statement of ours, {rounds} times, median us: {middle['alone']:.0f} without an upstream", end="")
    verdicts = []
    for name, words in (("ours", "behind one of ours"), ("upstream", "behind one of the upstream")):
        added = middle[name] - middle["alone"]
        print(f"; {middle[name]:.0f} {words} ({added:+.0f})", end="")
        verdicts.append((added <= GOAL, f"{protocol}: {added:.0f} us added to a statement of ours {words}, goal {GOAL}"))
    print("\n", flush=True)
    return verdicts
