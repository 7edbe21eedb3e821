"""Bounded memory: big results stream to the client, big loads stream into files."""

import hashlib
import threading
import time
import unittest.mock

import pymysql
import pytest

from wires import Decimal, mysql, now, postgres, rows, run

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


def test_a_million_rows_of_load_data_local_come_in_in_bounded_memory(start, capsys):
    server = start()
    count = 1_000_000
    c = mysql(server, local_infile=True)
    run(c, "CREATE DATABASE big", "USE big", "CREATE TABLE orders (id BIGINT NOT NULL, user_id INT, price DECIMAL(10,2), note VARCHAR(200), PRIMARY KEY (id))")
    before = now(c)

    def line(i):
        # Texts that no dictionary makes small: they are as large in memory as they were sent.
        return f"{i}\t{i % 1000}\t{i % 100}.25\t{hashlib.sha512(b'%d' % i).hexdigest()}\n".encode()

    class Lines:
        """The file as the driver reads it: made while it is sent, so that only the server's memory is in question."""

        def __init__(self, rows, bad_last=False):
            self.parts = (b"".join(map(line, range(first, min(first + 100, rows)))) for first in range(0, rows, 100))
            self.last, self.sent = b"not a number\t1\t1\tx\n" if bad_last else b"", 0

        def read(self, _):
            part = next(self.parts, None)
            if part is None:
                part, self.last = self.last, b""
            self.sent += len(part)
            return part

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    report = {}

    def load(what, lines):
        with Peak(server.process.pid) as report[what]:
            with unittest.mock.patch("pymysql.connections.open", return_value=lines, create=True):
                return run(c, "LOAD DATA LOCAL INFILE 'made' INTO TABLE orders")

    lines = Lines(count)
    assert load("LOAD DATA LOCAL of 1 M rows", lines) == count
    assert lines.sent > 130 << 20
    files = rows(c, "SHOW FILES FROM orders")
    assert sum(row[6] for row in files) == count and len(files) <= 4, "few, well-sized files"
    assert len({row[8] for row in files}) == 1, "one commit"
    assert rows(c, "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id), SUM(user_id), SUM(price) FROM orders") == [
        (count, count, 0, count - 1, Decimal(count // 1000 * 499500), Decimal(count // 100) * (4950 + 25))]
    for i in (0, 123_456, count - 1):
        assert rows(c, f"SELECT note FROM orders WHERE id = {i}") == [(hashlib.sha512(b"%d" % i).hexdigest(),)]
    assert rows(c, f"SELECT COUNT(*) FROM orders AS OF TIMESTAMP '{before}'") == [(0,)]
    # A bad last line takes everything back, whatever was written by then.
    with pytest.raises(pymysql.err.MySQLError) as caught:
        load("LOAD DATA LOCAL with a bad last line", Lines(count // 4, bad_last=True))
    assert caught.value.args[0] == 1366
    assert rows(c, "SHOW FILES FROM orders") == files and rows(c, "SELECT COUNT(*) FROM orders") == [(count,)]
    with capsys.disabled():
        print("".join(f"\n{what}: {peak.largest >> 20} MB, {peak.seconds:.1f} s" for what, peak in report.items()))
    for what, peak in report.items():
        assert peak.largest < LIMIT, f"{what} took {peak.largest >> 20} MB"
