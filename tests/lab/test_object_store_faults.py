"""A real object store behind a gateway that answers 500, or late: clients get rows or an error that says what, and nobody else notices."""

import http.client
import http.server
import threading
import time

import pymysql
import pytest

from wires import mysql as connect, rows, run


class Gateway:
    """An HTTP gateway. `fault(method, path)` says what to do with a request: None, a status to answer with, or seconds to wait."""

    def __init__(self, endpoint):
        target = endpoint.removeprefix("http://")
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = gateway.fault(self.command, self.path)
                if fault is not None:
                    gateway.faults += 1
                if isinstance(fault, float):
                    time.sleep(fault)
                elif fault is not None:
                    self.send_response(fault)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                # The signature covers the host that the client sees.
                upstream = http.client.HTTPConnection(target, timeout=60)
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(content)
                upstream.close()

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward

            def log_message(self, *_):
                pass

        self.fault, self.faults = (lambda method, path: None), 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shop(start, seaweed, request):
    """A server with a table in a bucket behind a gateway, and one on the local disk."""
    bucket = "faults-" + request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    seaweed.bucket(bucket)
    gateway = Gateway(seaweed.endpoint)
    server = start()
    with connect(server) as c:
        run(
            c,
            f"CREATE FILESTORAGE S3 WITH ('FILE_URI'='s3://{bucket}/cold/', 'ENDPOINT'='{gateway.endpoint}', 'ACCESS_KEY_ID'='{seaweed.key}',"
            f" 'ACCESS_KEY_SECRET'='{seaweed.secret}')",
            "CREATE DATABASE shop",
            "CREATE TABLE shop.far (a INT) ENGINE='S3'",
            "CREATE TABLE shop.near (a INT)",
            "INSERT INTO shop.far VALUES (1), (2)",
            "INSERT INTO shop.near VALUES (1)",
        )
    yield server, gateway
    gateway.stop()


def test_a_store_that_answers_500_for_a_while_costs_time_and_nothing_else(shop):
    server, gateway = shop
    left = [2]

    def fault(method, path):
        if left[0] and ".orc" in path:
            left[0] -= 1
            return 500
        return None

    with connect(server, "shop") as c:
        for statement in ("INSERT INTO far VALUES (3)", "UPDATE far SET a = a + 10 WHERE a = 1"):
            left[0], gateway.fault = 2, fault
            run(c, statement)
            assert left[0] == 0
        left[0] = 2
        assert rows(c, "SELECT a FROM far ORDER BY a") == [(2,), (3,), (11,)]


def test_a_store_that_keeps_answering_500_is_an_error_and_nothing_is_lost(shop):
    server, gateway = shop
    with connect(server, "shop") as c, connect(server, "shop") as other:
        gateway.fault = lambda method, path: 500 if method == "PUT" else None
        began = time.monotonic()
        with pytest.raises(pymysql.err.MySQLError) as caught:
            run(c, "INSERT INTO far VALUES (3)")
        assert caught.value.args[0] == 1030 and "S3" in caught.value.args[1], caught.value
        assert time.monotonic() - began < 60
        assert rows(other, "SELECT a FROM near") == [(1,)]
        gateway.fault = lambda method, path: None
        assert rows(c, "SELECT a FROM far ORDER BY a") == [(1,), (2,)]
        run(c, "INSERT INTO far VALUES (3)")
        assert rows(c, "SELECT a FROM far ORDER BY a") == [(1,), (2,), (3,)]


def test_a_slow_store_answers_late_and_a_waiting_query_can_be_killed(shop):
    server, gateway = shop
    with connect(server, "shop") as c, connect(server, "shop") as other:
        gateway.fault = lambda method, path: 0.5 if ".orc" in path else None
        assert rows(c, "SELECT a FROM far ORDER BY a") == [(1,), (2,)] and gateway.faults > 0
        gateway.fault = lambda method, path: 20.0 if ".orc" in path else None
        seen = []

        def ask():
            try:
                seen.append(rows(c, "SELECT sum(a) FROM far"))
            except pymysql.err.MySQLError as error:
                seen.append(error.args[0])

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.5)
        assert rows(other, "SELECT a FROM near") == [(1,)]
        began = time.monotonic()
        run(other, f"KILL QUERY {c.thread_id()}")
        asking.join(10)
        assert seen == [1317] and time.monotonic() - began < 10
        gateway.fault = lambda method, path: None
        assert rows(c, "SELECT sum(a) FROM far") == [(3,)]
