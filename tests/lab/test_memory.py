"""Bounded memory: big results stream to the client, big loads stream into files."""

import threading
import time

import pymysql

from wires import mysql, postgres, rows, run

ROWS = 5_000_000
LIMIT = 300 << 20


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:"))


class Peak:
    """The largest resident memory of a process, and the time, while this lives."""

    def __init__(self, pid):
        self.pid, self.largest, self.end = pid, 0, threading.Event()

    def __enter__(self):
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.end.wait(0.02):
            self.largest = max(self.largest, resident(self.pid))

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.began


def test_five_million_rows_come_in_and_go_out_in_bounded_memory(start, capsys):
    server = start()
    pid = server.process.pid
    with postgres(server) as c:
        run(c, "CREATE DATABASE big")
    c = postgres(server, "big")
    run(c, "CREATE TABLE orders (id BIGINT NOT NULL, user_id INTEGER, price NUMERIC(10,2), note VARCHAR(20))")
    report = {}
    with Peak(pid) as report["COPY of 2.5 M rows"], c.cursor() as cursor:
        with cursor.copy("COPY orders FROM STDIN") as copy:
            for first in range(0, ROWS // 2, 50_000):
                copy.write("".join(f"{i}\t{i % 1000}\t{i % 100}.25\tnote {i % 10}\n" for i in range(first, first + 50_000)))
        assert cursor.rowcount == ROWS // 2
    with Peak(pid) as report["INSERT .. SELECT of 2.5 M rows"]:
        assert run(c, f"INSERT INTO orders SELECT id + {ROWS // 2}, user_id, price, note FROM orders") == ROWS // 2
    files = rows(mysql(server, "big"), "SHOW FILES FROM orders")
    assert sum(row[6] for row in files) == ROWS and len(files) <= 8, "few, well-sized files"

    m = mysql(server, "big", cursorclass=pymysql.cursors.SSCursor)
    with Peak(pid) as report["SELECT * of 5 M rows, MySQL"]:
        # Packets are counted below the driver's parser, which would take minutes.
        m._execute_command(3, "SELECT * FROM orders")
        stream, count = m._rfile, 0
        ended = 0
        while ended < 2:
            head = stream.read(4)
            body = stream.read(int.from_bytes(head[:3], "little"))
            if body[:1] == b"\xfe" and len(body) < 9:
                ended += 1
            elif ended == 1:
                count += 1
        assert count == ROWS
    with Peak(pid) as report["COPY TO of 5 M rows, PostgreSQL"], c.cursor() as cursor, cursor.copy("COPY orders TO STDOUT") as copy:
        assert sum(bytes(part).count(b"\n") for part in copy) == ROWS
    # A client that stops reading holds its result up, not the server's memory.
    slow = mysql(server, "big", cursorclass=pymysql.cursors.SSCursor)
    with Peak(pid) as report["SELECT * by a client that stops reading"]:
        slow._execute_command(3, "SELECT * FROM orders")
        time.sleep(3)
    slow._force_close()
    with capsys.disabled():
        print("".join(f"\n{what}: {peak.largest >> 20} MB, {peak.seconds:.1f} s" for what, peak in report.items()))
    for what, peak in report.items():
        assert peak.largest < LIMIT, f"{what} took {peak.largest >> 20} MB"
