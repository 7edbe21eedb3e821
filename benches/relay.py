"""The relay: what it costs to have Flashgate between a client and its database, beside haproxy, mysqlrouter and pgbouncer.

    make bench-relay                        both protocols, everything, target/release/flashgate; half an hour and more
    make bench-relay ARGS='--seconds 2 --rounds 2 --clients 1,8 --workloads text'
    make bench-relay ARGS='--protocols mysql --stand-in'     a second haproxy in Flashgate's place: what is noise here

In front of one MariaDB and one PostgreSQL: nothing (direct), haproxy in TCP mode, mysqlrouter or pgbouncer in session mode,
and Flashgate. Each round runs every one of them for some seconds, in turns, the order reversed from round to round; a ratio
is the median of the rounds' ratios. Workloads:

    text        a row by its key, as text               prepared    the same, as a prepared statement
    result      a result of --rows rows                 load        LOAD DATA LOCAL or COPY of --load-rows rows, which the
    connect     connect, log in, say goodbye                        server reads, parses and drops: its disk does not count

Then what the relay adds to a statement of ours (benches/ours.py), and the memory of idle connections.

The load is one small C program (benches/relay/driver.c), the same for all. Processor times are user and system time of the
proxy's process over all rounds, by the number of statements. No TLS, passwords are empty. pgbouncer greets a client by itself
and keeps its connections to the server when one leaves: its `connect` is another thing than the others', and no goal.
"""

import argparse
import contextlib
import json
import os
import pathlib
import pwd
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import psycopg
import pymysql

import common
import ours as own_statements

PROTOCOLS = ["mysql", "postgres"]
WORKLOADS = ["text", "prepared", "result", "load", "connect"]
# What a second brings, in which unit.
RATES = {"text": "stmt/s", "prepared": "stmt/s", "result": "MB/s", "load": "MB/s", "connect": "conn/s"}
WARM_UP = 0.3
TICK = os.sysconf("SC_CLK_TCK")
ROUTER = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "flashgate" / "mysql-router"


def arguments():
    listed = lambda kind, allowed=None: lambda text: [check(kind(word), allowed) for word in text.split(",")]

    def check(word, allowed):
        if allowed and word not in allowed:
            raise argparse.ArgumentTypeError(f"{word}: one of {', '.join(allowed)}")
        return word

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2, help="of each peer in each round")
    parser.add_argument("--rounds", type=int, default=6, help="at least 6 for numbers that are to be quoted")
    parser.add_argument("--clients", type=listed(int), default=[1, 8, 64])
    parser.add_argument("--workloads", type=listed(str, WORKLOADS + ["none"]), default=WORKLOADS, help="`none`: only the memory")
    parser.add_argument("--protocols", type=listed(str, PROTOCOLS), default=PROTOCOLS)
    parser.add_argument("--rows", type=int, default=100_000, help="of the table of the first three workloads")
    parser.add_argument("--load-rows", type=int, default=20_000, help="of one bulk load")
    parser.add_argument("--ours", type=int, default=2000, help="statements of ours, for what the relay adds to them; 0: leave it out")
    parser.add_argument("--idle", type=int, default=1000, help="idle connections for the memory; 0: leave it out")
    parser.add_argument("--json", type=pathlib.Path, help="where every run is written to")
    parser.add_argument("--binary", default=common.DEFAULT_BINARY)
    parser.add_argument("--stand-in", action="store_true", help="a second haproxy instead of Flashgate")
    return parser.parse_args()


# --- servers and proxies --------------------------------------------------------------------------------------------------


def as_user(name):
    """What runs a program as `name`: PostgreSQL and pgbouncer refuse to be root. Nothing when this is not root."""
    if os.geteuid() != 0:
        return []
    who = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]


def run(command, **more):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


class Server:
    """A program on a free port of 127.0.0.1 in a directory of its own, stopped by its own process."""

    end = signal.SIGTERM
    user = None

    def __init__(self):
        self.port = common.free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"flashgate-bench-{self.name}-"))
        if os.geteuid() == 0 and self.user:
            shutil.chown(self.directory, self.user, self.user)

    def start(self, command):
        self.log = self.directory / "out"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(list(map(str, command)), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.pid = self.process.pid
        deadline = time.monotonic() + common.START_TIMEOUT
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    text = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.directory.glob("*out*"))
                    self.stop()
                    sys.exit(f"{self.name} did not start: {error}\n{text}")
                time.sleep(0.05)

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def stop(self):
        common.stop(self.process, self.end)
        shutil.rmtree(self.directory, ignore_errors=True)

    def prepare(self):
        """What is to be there before the first client."""

    def __enter__(self):
        try:
            self.prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class MariaDb(Server):
    name, user = "mariadb", "mysql"

    def __init__(self, options):
        super().__init__()
        server, install = common.tool("mariadbd"), common.tool("mariadb-install-db")
        if not server or not install:
            sys.exit("MariaDB's server is missing: run benches/setup.sh peers relay")
        data = self.directory / "data"
        user = ["--user=mysql"] if os.geteuid() == 0 else []
        run([install, "--no-defaults", *user, f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"])
        command = [server, "--no-defaults", *user, f"--datadir={data}", f"--port={self.port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={self.directory}/s.sock", f"--pid-file={self.directory}/pid", "--skip-name-resolve", "--local-infile=1"]
        # Connections that end half-way are what `connect` may leave behind; nobody is to be locked out for them.
        command += [f"--max-connections={options.idle + 300}", "--back-log=1024", "--max-connect-errors=4294967295"]
        self.rows = options.rows
        self.start(command)

    def prepare(self):
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", password="", autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE bench")
            cursor.execute("USE bench")
            cursor.execute("CREATE TABLE points (id INT PRIMARY KEY, pad VARCHAR(60) NOT NULL) ENGINE=InnoDB")
            cursor.execute(f"INSERT INTO points SELECT seq, CONCAT(MD5(seq), ' ', LPAD(seq, 20, '.')) FROM seq_0_to_{self.rows - 1}")
            cursor.execute(common.create_table("mysql", " ENGINE=InnoDB").replace("orders", "sink", 1))
            cursor.execute("SELECT VERSION()")
            self.title = "MariaDB " + cursor.fetchone()[0].split("-")[0]


class Postgres(Server):
    # Fast shutdown: does not wait for clients.
    name, user, end = "postgres", "postgres", signal.SIGINT

    def __init__(self, options):
        super().__init__()
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        if not binaries:
            sys.exit("PostgreSQL's server is missing: run benches/setup.sh peers relay")
        user, data = as_user("postgres"), self.directory / "data"
        initdb = [*user, binaries[-1] / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions"]
        run(initdb, cwd=self.directory)
        command = [*user, binaries[-1] / "postgres", "-D", data, "-p", self.port, "-h", "127.0.0.1", "-k", self.directory]
        self.rows = options.rows
        self.title = "PostgreSQL " + run([binaries[-1] / "postgres", "--version"]).split()[2]
        self.start([*command, "-c", f"max_connections={options.idle + 300}"])

    def prepare(self):
        deadline = time.monotonic() + common.START_TIMEOUT
        while True:
            try:
                return self.fill()
            except psycopg.OperationalError as error:
                # It listens before it lets anyone in.
                if "starting up" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def fill(self):
        where = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "autocommit": True}
        with psycopg.connect(**where) as connection:
            connection.execute("CREATE DATABASE bench")
        with psycopg.connect(**where, dbname="bench") as connection:
            connection.execute("CREATE TABLE points (id INT PRIMARY KEY, pad VARCHAR(60) NOT NULL)")
            connection.execute(f"INSERT INTO points SELECT n, md5(n::text) || ' ' || lpad(n::text, 20, '.') FROM generate_series(0, {self.rows - 1}) AS n")
            connection.execute("VACUUM ANALYZE points")
            connection.execute(common.create_table("postgres").replace("orders", "sink", 1))


HAPROXY = """
global
    maxconn {most}
    nbthread {cores}
defaults
    mode tcp
    timeout connect 10s
    timeout client 8h
    timeout server 8h
listen bench
    bind 127.0.0.1:{port}
    maxconn {most}
    server upstream 127.0.0.1:{upstream}
"""


class Haproxy(Server):
    name = "haproxy"

    def __init__(self, protocol, upstream, options):
        super().__init__()
        binary = common.tool("haproxy")
        if not binary:
            sys.exit("haproxy is missing: run benches/setup.sh peers relay")
        self.title = "haproxy " + run([binary, "-v"]).split()[2].split("-")[0]
        # -db: in the foreground, without a master, so that this process is the one that works.
        text = HAPROXY.format(cores=len(os.sched_getaffinity(0)), most=options.idle + 1000, port=self.port, upstream=upstream)
        self.start([binary, "-db", "-f", self.write("cfg", text)])


PGBOUNCER = """
[databases]
* = host=127.0.0.1 port={upstream}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = session
auth_type = trust
auth_file = {users}
max_client_conn = {most}
default_pool_size = {pool}
listen_backlog = 1024
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
"""


class PgBouncer(Server):
    name, user = "pgbouncer", "postgres"

    def __init__(self, protocol, upstream, options):
        super().__init__()
        binary = common.tool("pgbouncer")
        if not binary:
            sys.exit("pgbouncer is missing: run benches/setup.sh peers relay")
        self.title = "pgbouncer " + run([binary, "--version"]).split()[1]
        users = self.write("users", '"postgres" ""\n')
        # As many as a run has clients and some more: what an earlier one left is closed in the background.
        config = self.write("ini", PGBOUNCER.format(port=self.port, upstream=upstream, users=users, most=options.idle + 1000, pool=options.idle + 250))
        self.start([*as_user("postgres"), binary, "-q", config])


MYSQLROUTER = """
[DEFAULT]
logging_folder =
plugin_folder = {plugins}
runtime_folder = {here}
data_folder = {here}
config_folder = {here}
max_total_connections = {most}
[logger]
level = error
[io]
threads = {cores}
[routing:bench]
bind_address = 127.0.0.1
bind_port = {port}
destinations = 127.0.0.1:{upstream}
routing_strategy = first-available
protocol = classic
client_ssl_mode = PASSTHROUGH
server_ssl_mode = AS_CLIENT
max_connect_errors = 4294967295
"""


class MysqlRouter(Server):
    name = "mysqlrouter"

    def __init__(self, protocol, upstream, options):
        super().__init__()
        if binary := common.tool("mysqlrouter"):
            command, plugins = [binary], next(pathlib.Path("/usr/lib").glob("**/mysqlrouter/plugin"), "/usr/lib/mysqlrouter/plugin")
        else:
            command, plugins = self.unpacked(), ROUTER / "usr" / "lib" / "mysqlrouter" / "plugin"
        self.title = "mysqlrouter " + run([*command, "--version"]).split("Ver ")[1].split("-")[0]
        cores, most = len(os.sched_getaffinity(0)), options.idle + 1000
        text = MYSQLROUTER.format(plugins=plugins, here=self.directory, cores=cores, most=most, port=self.port, upstream=upstream)
        self.start([*command, "-c", self.write("conf", text)])

    @staticmethod
    def there():
        return bool(common.tool("mysqlrouter")) or (ROUTER / "usr" / "bin" / "mysqlrouter").exists()

    @staticmethod
    def unpacked():
        """By the loader and the libraries that came with it: it was made for a younger Debian."""
        usr = ROUTER / "usr"
        libraries = next(path.parent for path in usr.glob("lib/*/libstdc++.so.6"))
        loader = next(path for folder in (libraries, ROUTER / "lib64", usr / "lib64") for path in folder.glob("ld-linux*.so.*"))
        return [loader, "--library-path", f"{libraries}:{usr}/lib/mysql-router", usr / "bin" / "mysqlrouter"]


class Flashgate(common.Flashgate):
    name = title = "flashgate"

    def __init__(self, protocol, upstream, options):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="flashgate-bench-"))
        config = self.directory / "flashgate.toml"
        config.write_text(f'[upstream.{protocol}]\naddress = "127.0.0.1:{upstream}"\n[limits]\nconnections = {options.idle + 1000}\n')
        super().__init__(options.binary, self.directory / "data", ["--config", config])
        self.port, self.pid = (self.mysql_port if protocol == "mysql" else self.postgres_port), self.process.pid

    def stop(self):
        super().stop()
        if self.process.returncode == 0:
            shutil.rmtree(self.directory, ignore_errors=True)


class StandIn(Haproxy):
    name = "stand-in"


# --- one run ----------------------------------------------------------------------------------------------------------------


def cpu_seconds(pid):
    """User and system time of a process, its threads that ended included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise KeyError("VmRSS")


@contextlib.contextmanager
def driver(program, protocol, port, workload, clients, seconds, options, file):
    """The load, logged in and waiting for a line on its stdin."""
    command = [program, protocol, port, workload, clients, seconds, WARM_UP, options.rows, *([file] if workload == "load" else [])]
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        answer(process, "ready")
        yield process
        process.stdin.close()
        process.wait(60)
    finally:
        common.stop(process, signal.SIGKILL)


def answer(process, wanted=None):
    line = process.stdout.readline().strip()
    if not line or (wanted and line != wanted):
        raise RuntimeError(f"the load ended: {process.stderr.read().strip()[-500:] or line}")
    return line


@contextlib.contextmanager
def blamed(*what):
    """A load that ended early ends the benchmark, with a sentence."""
    try:
        yield
    except RuntimeError as error:
        sys.exit(f"{', '.join(map(str, what))}: {error}")


def measure(program, protocol, peer, workload, clients, options, file):
    """One peer's turn in a round."""
    with driver(program, protocol, peer.port, workload, clients, options.seconds, options, file) as process:
        before = cpu_seconds(peer.pid) if peer.pid else 0
        process.stdin.write("go\n")
        process.stdin.flush()
        seen = json.loads(answer(process))
        seen["proxy_cpu"] = cpu_seconds(peer.pid) - before if peer.pid else 0
    amount = seen["bytes"] / 1e6 if RATES[workload] == "MB/s" else seen["counted"]
    seen["rate"] = amount / seen["seconds"]
    if not seen["rate"] or seen["p99_us"] <= 0:
        raise RuntimeError(f"nothing was done in {seen['seconds']} s: take more --seconds")
    return seen


class Direct:
    name, title, pid = "direct", "direct", None

    def __init__(self, port):
        self.port = port


# --- the table ----------------------------------------------------------------------------------------------------------------


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values):
    return f"{statistics.median(values):5.2f} ({min(values):.2f}-{max(values):.2f})"


def show(workload, clients, runs, missing, options, verdicts):
    """Each peer's medians, and Flashgate's ratio to it: of throughput (more is better), p99 and processor time (less is better)."""
    ours_name = list(runs)[-1]
    ours = runs[ours_name]
    cost = lambda taken: sum(r["proxy_cpu"] for r in taken) / sum(r["statements"] for r in taken)
    for name, taken in runs.items():
        middle = lambda field: statistics.median(r[field] for r in taken)
        line = f"  {clients:>4} {name:<12} {number(middle('rate')):>9} {number(middle('p50_us')):>10} {number(middle('p99_us')):>10} "
        line += f"{number(cost(taken) * 1e6):>11}" if name != "direct" else f"{'-':>11}"
        if name != ours_name:
            rate = common.ratios([r["rate"] for r in ours], [r["rate"] for r in taken])
            p99 = common.ratios([r["p99_us"] for r in ours], [r["p99_us"] for r in taken])
            line += f"   {spread(rate):<18} {spread(p99):<18}"
            if name != "direct" and cost(taken):
                line += f" {cost(ours) / cost(taken):5.2f}"
            judge(verdicts, workload, clients, name, statistics.median(rate), statistics.median(p99), cost(ours) / cost(taken) if cost(taken) else None)
        print(line)
    for name, why in missing.items():
        print(f"  {clients:>4} {name:<12} {why}")
    busy = statistics.median(r["cpu_seconds"] / r["all_seconds"] for taken in runs.values() for r in taken)
    print(f"       (the load itself: {busy:.0%} of a core; load average {os.getloadavg()[0]:.2f})\n", flush=True)


def judge(verdicts, workload, clients, peer, rate, p99, cpu):
    """The goals: beside haproxy no slower (5 % at one client) and at most 1.2 times its processor time, ahead of the rest."""
    if peer == "direct" or (peer == "pgbouncer" and workload.endswith("connect")):
        return
    slack = 0.05 if peer == "haproxy" and clients == 1 else 0
    goals = [("throughput", rate, 1 - slack, rate >= 1 - slack), ("p99", p99, 1 + slack, p99 <= 1 + slack)]
    if peer == "haproxy" and cpu is not None:
        goals.append(("CPU", cpu, 1.2, cpu <= 1.2))
    for what, value, goal, met in goals:
        verdicts.append((met, f"{workload}, {clients} clients: {what} {value:.2f} times {peer}'s, goal {goal:g}"))


def memory(program, protocol, makers, upstream, options, verdicts):
    """RSS that idle connections add, of proxies that have just begun: what an earlier load left would hide it."""
    print(f"memory of {options.idle:,} idle connections, logged in and one statement done:")
    for maker in makers:
        with maker(protocol, upstream.port, options) as peer, blamed(upstream.title, "idle connections", maker.name):
            # What the first connections set up is not theirs.
            with driver(program, protocol, peer.port, "idle", 16, 0, options, None):
                pass
            time.sleep(1)
            before = rss(peer.pid)
            with driver(program, protocol, peer.port, "idle", options.idle, 0, options, None):
                time.sleep(2)
                after = rss(peer.pid)
            each = (after - before) / options.idle / 1024
            if maker is makers[-1]:
                verdicts.append((each < 32, f"{protocol}: {each:.1f} KiB for an idle connection, goal under 32"))
            print(f"  {peer.name:<12} {each:6.1f} KiB each ({before / 2**20:.1f} -> {after / 2**20:.1f} MiB)")
    print(flush=True)


def bench(program, protocol, options, verdicts, record):
    file = common.write_orders(common.ROOT / "target" / "bench" / f"orders-{options.load_rows}.tsv", options.load_rows)
    last = StandIn if options.stand_in else Flashgate
    makers, missing = [Haproxy], {}
    if protocol == "postgres":
        makers.append(PgBouncer)
    elif MysqlRouter.there():
        makers.append(MysqlRouter)
    else:
        missing["mysqlrouter"] = "not to be had here (Debian sid only; benches/setup.sh peers relay tries)"
    makers.append(last)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context((MariaDb if protocol == "mysql" else Postgres)(options))
        peers = [Direct(upstream.port)] + [stack.enter_context(maker(protocol, upstream.port, options)) for maker in makers]
        print(f"## {upstream.title}: {', '.join(peer.title for peer in peers[1:])}")
        print(f"{options.rounds} rounds of {options.seconds:g} s each; {file.stat().st_size / 1e6:.1f} MB in a load\n")
        for workload in options.workloads:
            if workload == "none":
                continue
            ours = f"{last.name} / this"
            print(f"{workload:<19} {RATES[workload]:>9} {'p50 us':>10} {'p99 us':>10} {'cpu us/stmt':>11}   {ours + ', rate':<18} {'p99':<18}   cpu")
            for clients in options.clients:
                runs = {peer.name: [] for peer in peers}
                for n in range(options.rounds):
                    for peer in peers if n % 2 == 0 else reversed(peers):
                        with blamed(upstream.title, workload, f"{clients} clients", peer.name):
                            seen = measure(program, protocol, peer, workload, clients, options, file)
                        runs[peer.name].append(seen)
                        record.append({"protocol": protocol, "workload": workload, "clients": clients, "peer": peer.name, "round": n, **seen})
                show(f"{protocol} {workload}", clients, runs, missing, options, verdicts)
        if options.ours and not options.stand_in:
            with Flashgate(protocol, upstream.port, options) as relay, tempfile.TemporaryDirectory(prefix="flashgate-bench-") as directory:
                with common.Flashgate(options.binary, pathlib.Path(directory) / "data") as alone:
                    port = alone.mysql_port if protocol == "mysql" else alone.postgres_port
                    verdicts += own_statements.measure(protocol, port, relay.port, options.ours)
        if options.idle:
            memory(program, protocol, makers, upstream, options, verdicts)


def main():
    options = arguments()
    # What was started is stopped, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    binary = common.tool("haproxy") if options.stand_in else options.binary
    common.header("relay: other proxies and " + ("A SECOND HAPROXY IN FLASHGATE'S PLACE" if options.stand_in else "Flashgate in front of a database"), binary)
    if options.rounds < 6:
        print("NOTE:    fewer than 6 rounds: a look, not a measurement\n")
    # A proxy has two sockets for each client.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 2 * options.idle + 2200:
        sys.exit(f"{options.idle} idle connections need {2 * options.idle + 2200} open files, {hard} are allowed: raise ulimit -Hn or lower --idle")
    compiler = common.tool("cc", "gcc", "clang")
    if not compiler:
        sys.exit("a C compiler is missing: run benches/setup.sh peers relay")
    verdicts, record = [], []
    with tempfile.TemporaryDirectory(prefix="flashgate-bench-") as directory:
        program = pathlib.Path(directory) / "driver"
        run([compiler, "-O2", "-Wall", "-o", program, pathlib.Path(__file__).with_name("relay") / "driver.c"])
        for protocol in options.protocols:
            bench(program, protocol, options, verdicts, record)
    if options.json:
        options.json.write_text("\n".join(map(json.dumps, record)) + "\n")
    missed = [text for met, text in verdicts if not met]
    if verdicts:
        whose = " (the stand-in's: its misses are noise)" if options.stand_in else ""
        print(f"goals met: {len(verdicts) - len(missed)} of {len(verdicts)}{whose}" + (", and not:" if missed else ""))
    for text in missed:
        print(f"  {text}")
    if not options.stand_in and common.is_dev(options.binary):
        print("NOTE: dev-profile binary")


if __name__ == "__main__":
    main()
