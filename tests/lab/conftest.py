"""Real servers for real clients: starts `flashgate` on free ports with a directory of its own, and stops it by its pid."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BINARY = pathlib.Path(os.environ.get("FLASHGATE_TEST_BINARY") or TARGET / "debug" / "flashgate")
# A debug build on a loaded machine takes its time to open a data directory.
START_TIMEOUT = 60


def environment(extra=None):
    """This process's environment without anything that would configure Flashgate."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("FLASHGATE_")}
    env.update(extra or {})
    return env


def command(*args, env=None, stdin=None, timeout=60):
    """Runs one `flashgate` command to its end."""
    return subprocess.run(
        [BINARY, *map(str, args)], env=environment(env), input=stdin, capture_output=True, text=True, timeout=timeout,
        **({"stdin": subprocess.DEVNULL} if stdin is None else {}),
    )


class Flashgate:
    """A running server. `mysql`, `postgres` and `http` are (host, port), or None when off."""

    def __init__(self, directory, args=(), env=None, verb="serve"):
        self.directory = pathlib.Path(directory)
        self.log_path = self.directory / "stderr.log"
        self.directory.mkdir(parents=True, exist_ok=True)
        self._log = open(self.log_path, "ab")
        flags = ["--data-dir", self.directory / "data", "--mysql-listen", "127.0.0.1:0", "--postgres-listen", "127.0.0.1:0"]
        flags += ["--http-listen", "127.0.0.1:0", *args]
        self.process = subprocess.Popen(
            [BINARY, verb, *map(str, flags)], env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.ready_line = self._wait_ready()
        addresses = dict(word.split("=", 1) for word in self.ready_line.split()[2:])
        self.mysql, self.postgres, self.http = (self._address(addresses[name]) for name in ("mysql", "postgres", "http"))

    @staticmethod
    def _address(text):
        if text == "off":
            return None
        host, port = text.rsplit(":", 1)
        return host, int(port)

    def _wait_ready(self):
        line = []
        reader = threading.Thread(target=lambda: line.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(START_TIMEOUT)
        if not line or not line[0].startswith("flashgate ready "):
            self.kill()
            raise RuntimeError(f"no ready line but {line!r}; stderr:\n{self.log()}")
        return line[0].strip()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path):
        """(status, body) of an HTTP request."""
        host, port = self.http
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def stop(self, timeout=60):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        finally:
            self.kill()
        return code

    def kill(self):
        """SIGKILL, when it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._log.close()


def pytest_collection_modifyitems(items):
    """A test that hangs is a test that fails."""
    for item in items:
        item.add_marker(pytest.mark.timeout(240 if "crash" not in item.nodeid else 480))


@pytest.fixture(scope="session", autouse=True)
def binary():
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing; run `cargo build` first (make test-lab does)", returncode=2)
    return BINARY


@pytest.fixture
def start(tmp_path):
    """Starts servers that end with the test."""
    running = []

    def start(args=(), env=None, directory=None, verb="serve"):
        server = Flashgate(directory or tmp_path / f"server{len(running)}", args, env, verb)
        running.append(server)
        return server

    yield start
    for server in running:
        server.kill()
    for server in running:
        assert "panicked" not in server.log()


@pytest.fixture(scope="module")
def server():
    """One server for all tests of a file, with root and an empty password."""
    with tempfile.TemporaryDirectory(prefix="flashgate-lab-") as directory:
        running = Flashgate(directory)
        yield running
        code = running.stop()
        assert code == 0, f"exit code {code}; stderr:\n{running.log()}"


@pytest.fixture(autouse=True)
def no_panic(request):
    """Whatever a test does to a shared server, it does not panic."""
    yield
    for running in request.node.funcargs.values():
        if isinstance(running, Flashgate):
            assert "panicked" not in running.log()


def eventually(check, timeout=20, pause=0.05):
    """Waits until `check` returns something true, and returns it."""
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(pause)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as stream:
        return stream.getsockname()[1]


class Seaweed:
    """SeaweedFS with its S3 gateway: a real object store."""

    key, secret = "flashgate-test", "not-so-secret-4711"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        self.endpoint = f"http://127.0.0.1:{ports['s3']}"
        config = self.directory / "s3.json"
        credentials = [{"accessKey": self.key, "secretKey": self.secret}]
        config.write_text(json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]}))
        weed = pathlib.Path(sys.executable).with_name("weed")
        flags = [f"-{name}.port={port}" for name, port in ports.items()]
        # gRPC listens at port + 10000 unless told otherwise, which need not be free.
        flags += [f"-{name}.port.grpc={free_port()}" for name in ("master", "volume", "filer", "s3")]
        flags += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        flags += ["-master.volumeSizeLimitMB=256", "-volume.max=1000", "-master.telemetry=false", "-master.electionTimeout=1s"]
        flags += ["-master.heartbeatInterval=100ms"]
        self.log = open(self.directory / "weed.log", "wb")
        self.process = subprocess.Popen(
            [weed, "server", f"-dir={self.directory}", *flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        if not eventually(self._answers, timeout=60, pause=0.2):
            self.stop()
            raise RuntimeError("SeaweedFS did not start:\n" + (self.directory / "weed.log").read_text(errors="replace")[-3000:])

    def _answers(self):
        try:
            urllib.request.urlopen(self.endpoint, timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def bucket(self, name):
        """Makes a bucket, the way any S3 client does."""
        import botocore.session

        client = botocore.session.get_session().create_client(
            "s3", region_name="us-east-1", endpoint_url=self.endpoint, aws_access_key_id=self.key, aws_secret_access_key=self.secret
        )
        client.create_bucket(Bucket=name)
        return client

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="session")
def seaweed():
    with tempfile.TemporaryDirectory(prefix="flashgate-weed-") as directory:
        running = Seaweed(directory)
        yield running
        running.stop()


def pytest_terminal_summary(terminalreporter):
    """Says what was drawn for this run, passed or not, so that it can be drawn again."""
    if suites := sys.modules.get("suites.suites"):
        terminalreporter.write_line(suites.SAMPLE)
