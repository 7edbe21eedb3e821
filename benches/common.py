"""What the end-to-end benchmarks share: a running Flashgate, the orders, timing side by side, and how it is printed."""

import datetime
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

import numpy
import pyarrow
import pyarrow.csv
import pymysql

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
DEFAULT_BINARY = os.environ.get("FLASHGATE_BENCH_BINARY") or TARGET / "release" / "flashgate"
START_TIMEOUT = 120

# --- the rows ------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "id": "BIGINT NOT NULL",
    "user_id": "INT NOT NULL",
    "status": "VARCHAR(12) NOT NULL",
    "city": "VARCHAR(20) NOT NULL",
    "amount": "DECIMAL(12,2) NOT NULL",
    "quantity": "SMALLINT NOT NULL",
    "price": "DOUBLE PRECISION NOT NULL",
    "created": "TIMESTAMP NOT NULL",
    "day": "DATE NOT NULL",
    "note": "VARCHAR(60) NOT NULL",
}
# In MySQL a TIMESTAMP is a moment in time, stored by zone; what an order has there is a DATETIME.
MYSQL_TYPES = {"TIMESTAMP NOT NULL": "DATETIME(6) NOT NULL", "DOUBLE PRECISION NOT NULL": "DOUBLE NOT NULL"}
STATES = ["new", "paid", "shipped", "returned", "cancelled"]
CITIES = ["Amsterdam", "Berlin", "Hangzhou", "Lagos", "Lima", "Osaka", "Oslo", "Paris", "Pune", "Quito", "Seoul", "Tunis"]
FIRST, LAST = datetime.datetime(2020, 1, 1), datetime.datetime(2025, 1, 1)
CHUNK = 100_000


def create_table(protocol, tail=""):
    kinds = {name: MYSQL_TYPES.get(kind, kind) if protocol == "mysql" else kind for name, kind in COLUMNS.items()}
    return "CREATE TABLE orders (" + ", ".join(f"{name} {kind}" for name, kind in kinds.items()) + ")" + tail


def orders(rows):
    """The rows in chunks of bytes: tab-separated text that COPY and LOAD DATA both take as their default format.
    Five years of orders in the order of their creation; the same at each call."""
    random = numpy.random.default_rng(4711)
    step = (LAST - FIRST) // rows
    epoch = numpy.datetime64(FIRST, "us")
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        ids = numpy.arange(start, start + count)
        jitter = random.integers(0, max(1, step // datetime.timedelta(microseconds=1)), count)
        created = epoch + ids * numpy.timedelta64(step // datetime.timedelta(microseconds=1), "us") + jitter.astype("timedelta64[us]")
        quantity = random.integers(1, 20, count)
        cents = random.integers(100, 100_000, count)
        users = random.integers(1, 50_001, count)
        columns = {
            "id": ids,
            "user_id": users,
            "status": numpy.take(STATES, random.integers(0, len(STATES), count)),
            "city": numpy.take(CITIES, random.integers(0, len(CITIES), count)),
            "amount": cents * quantity / 100,
            "quantity": quantity,
            "price": cents / 100,
            "created": created,
            "day": created.astype("datetime64[D]"),
            "note": [f"order {i} of user {u}, parcel {n:08x}" for i, u, n in zip(ids, users, random.integers(0, 2**32, count))],
        }
        sink = pyarrow.BufferOutputStream()
        options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        pyarrow.csv.write_csv(pyarrow.table(columns), sink, options)
        yield sink.getvalue().to_pybytes()


def write_orders(path, rows):
    """The rows in a file, made once."""
    if not path.exists():
        part = path.with_suffix(".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            for chunk in orders(rows):
                file.write(chunk)
        part.rename(path)
    return path


# --- servers -----------------------------------------------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as stream:
        return stream.getsockname()[1]


def stop(process, how=signal.SIGTERM, timeout=120):
    """Ends a process that this script started."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Flashgate:
    """A running Flashgate on free ports."""

    def __init__(self, binary, data_dir, args=()):
        data_dir = pathlib.Path(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir.with_name(data_dir.name + ".log")
        flags = ["--data-dir", data_dir, "--mysql-listen", "127.0.0.1:0", "--postgres-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *args]
        env = {k: v for k, v in os.environ.items() if not k.startswith("FLASHGATE_")} | {"TZ": "UTC"}
        with open(self.log, "wb") as log:
            command = [str(binary), "serve", *map(str, flags)]
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(START_TIMEOUT)
        if not lines or not lines[0].startswith("flashgate ready "):
            stop(self.process, signal.SIGKILL)
            sys.exit(f"Flashgate did not start: {lines!r}\n{self.log.read_text(errors='replace')[-3000:]}")
        addresses = dict(word.split("=", 1) for word in lines[0].split()[2:])
        self.mysql_port, self.postgres_port = (int(addresses[name].rsplit(":", 1)[1]) for name in ("mysql", "postgres"))

    def mysql(self, database=None):
        return pymysql.connect(host="127.0.0.1", port=self.mysql_port, user="root", password="", database=database, autocommit=True, ssl_disabled=True)

    def memory(self, name):
        """VmRSS (now) or VmHWM (the highest so far) in bytes."""
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(name)

    def stop(self):
        stop(self.process)
        self.process.stdout.close()
        if self.process.returncode != 0:
            print(f"warning: flashgate ended with {self.process.returncode}; its log: {self.log}", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# --- measuring -----------------------------------------------------------------------------------------------------------------


def side_by_side(contestants, rounds, warm_up=1):
    """Runs each contestant once a round, in turns, the first one changing from round to round; seconds by name.
    A contestant is called with the number of the round, below 0 while warming up; one that returns a float tells the
    seconds by its own clock."""
    times = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(-warm_up, rounds):
        for name in names if number % 2 == 0 else reversed(names):
            began = time.perf_counter()
            own = contestants[name](number)
            took = own if isinstance(own, float) else time.perf_counter() - began
            if number >= 0:
                times[name].append(took)
    return times


def ratios(ours, theirs):
    """Ours by theirs, round by round."""
    return [a / b for a, b in zip(ours, theirs)]


def show_times(label, times, unit=1000, form="{:9.2f}", show=8):
    """The median of all, and the first few."""
    for name, taken in times.items():
        shown = " ".join(form.format(t * unit) for t in taken[:show])
        print(f"  {label:<4} {name:<24} median {form.format(statistics.median(taken) * unit)}   runs {shown}{' ..' if len(taken) > show else ''}")


def show_ratio(label, ours, theirs, goal):
    all_of_them = ratios(ours, theirs)
    print(f"  {label}: median ratio {statistics.median(all_of_them):.3f} ({min(all_of_them):.3f} .. {max(all_of_them):.3f}); {goal}")


def is_dev(binary):
    """Is it a binary of the dev profile? Told by its folder, which is how cargo tells them apart."""
    return "release" not in pathlib.Path(binary).resolve().parts


def header(what, binary):
    """The conditions, so that a number never stands alone."""
    if not pathlib.Path(binary).exists():
        sys.exit(f"{binary} is missing: build it with `make release`, or name another by --binary or FLASHGATE_BENCH_BINARY")
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print(f"# {what}")
    print(f"machine: {len(os.sched_getaffinity(0))} cores of {cpu}, {memory:.0f} GB, Linux {platform.release()}, load {os.getloadavg()[0]:.2f}")
    print(f"binary:  {binary}, sources at {described or 'an unknown commit'}, {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC")
    if is_dev(binary):
        print("NOTE:    a dev-profile binary: these numbers only show that the benchmark works")
    print(flush=True)


def tool(*names):
    """The first of these programs that is there."""
    for name in names:
        for folder in (None, "/usr/sbin:/usr/local/sbin"):
            if found := shutil.which(name, path=folder):
                return found
    return None
