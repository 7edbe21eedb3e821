"""Thousands of idle connections and hundreds of busy ones: nobody is refused, every answer is right, and an idle one costs little."""

import concurrent.futures
import resource
import time

import pytest

from conftest import eventually
from relay import mysql as my
from test_relay_faults import asks, login, memory
from upstreams import FORWARD, gated, private

# A forwarder of Python in Flashgate's place has two threads for each connection.
IDLE = {"mysql": 200, "postgres": 200} if FORWARD else {"mysql": 5000, "postgres": 2000}
BUSY = 50 if FORWARD else 500
ROUNDS = 12
# What an idle connection may cost Flashgate, without the kernel's buffers.
MOST = 32 * 1024


def many(wire):
    """A server that takes so many. A PostgreSQL backend is a process of some MB: so fewer of them."""
    count = IDLE[wire] + BUSY + 100
    if wire == "mysql":
        flags = [
            f"--max-connections={count}",
            "--thread-handling=pool-of-threads",
            "--thread-pool-size=4",
            f"--open-files-limit={count + 2000}",
        ]
        return private("mariadb", "scale-mysql", *flags, "--back-log=2000", "--table-open-cache=400")
    return private("postgres", "scale-postgres", f"--max_connections={count}")


def answers(session, wire, text, value):
    """Sends a statement and returns what reads its answer: many are on their way at once."""
    session.heard.clear()
    session.stream.send(asks(wire, text))

    def read():
        if wire == "mysql":
            session._answer(my.Command(b"\x03"), b"\x03")
            heard, row = [one.data[4:] for one in session.heard], my.lenenc(value)
        else:
            session._answer(b"Q", b"")
            heard, row = [one.data for one in session.heard], b"D\0\1\0\0\0" + bytes([len(value)]) + value
        assert row in heard, heard

    return read


def busy(sessions, wire, worker):
    """Each session of this worker has a statement on its way, round after round; the slowest round's time."""
    slowest = 0.0
    for round_number in range(ROUNDS):
        started, waiting = time.monotonic(), []
        for number, session in enumerate(sessions):
            key = (worker * 1000 + number) * 1000 + round_number
            value = b"%d-%s" % (key * 7, b"x" * (number % 100))
            join = (
                f"CONCAT({key} * 7, '-', REPEAT('x', {number % 100}))"
                if wire == "mysql"
                else f"{key}::bigint * 7 || '-' || repeat('x', {number % 100})"
            )
            waiting.append(answers(session, wire, f"SELECT {join}", value))
        for read in waiting:
            read()
        slowest = max(slowest, time.monotonic() - started)
    return slowest


@pytest.fixture
def files():
    """Two descriptors a connection in Flashgate, one here and one in the server, all of which inherit this limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * (max(IDLE.values()) + BUSY) + 2000
    assert hard == resource.RLIM_INFINITY or hard >= need, f"ulimit -Hn is {hard}; {need} are needed"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("wire", ["mysql", "postgres"])
def test_thousands_of_idle_connections_and_hundreds_of_busy_ones(wire, files):
    server = many(wire)
    before = server.sessions()
    count = IDLE[wire]
    with gated(**{server.protocol: server}, env={"FLASHGATE_LIMITS_CONNECTIONS": str(count + BUSY + 50)}) as running:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            # What the first clients make is not what each costs.
            for session in list(pool.map(lambda _: login(running, wire, 60), range(100))):
                session.stream.close()
            assert eventually(lambda: not (server.sessions() - before), timeout=30)
            started = memory(running)
            idle = list(pool.map(lambda _: login(running, wire, 60), range(count)))
            try:
                each = (memory(running) - started) / count
                print(f"{wire}: {each / 1024:.1f} KiB for each of {count} idle connections")
                assert each < MOST, f"{each / 1024:.1f} KiB for each idle connection"
                assert len(server.sessions() - before) >= count
                # Busy ones are old and new, and all idle ones still there while they work.
                workers = [
                    idle[at * 25 : at * 25 + 25] + list(pool.map(lambda _: login(running, wire, 60), range(BUSY // 10 - 25)))
                    for at in range(10)
                ]
                idle += [session for group in workers for session in group[25:]]
                with concurrent.futures.ThreadPoolExecutor(10) as work:
                    slowest = max(work.map(lambda at: busy(workers[at], wire, at), range(10)))
                print(f"{wire}: a round of {BUSY} busy sessions took at most {slowest:.2f} s")
                # Everybody is still there, and is answered.
                waiting = [answers(session, wire, f"SELECT {number}", b"%d" % number) for number, session in enumerate(idle)]
                for read in waiting:
                    read()
                grown = (memory(running) - started) / len(idle)
                print(f"{wire}: {grown / 1024:.1f} KiB for each afterwards")
                assert grown < MOST, f"{grown / 1024:.1f} KiB for each connection that has worked"
                if not FORWARD:
                    metrics = running.get("/metrics")[1].splitlines()
                    assert f'flashgate_connections{{protocol="{wire}"}} {len(idle)}' in metrics
                    refused = [line for line in metrics if line.startswith("flashgate_connections_refused_total")]
                    assert all(line.endswith(" 0") for line in refused), refused
            finally:
                for session in idle:
                    session.stream.close()
        assert eventually(lambda: not (server.sessions() - before), timeout=60), "sessions are left in the upstream"
    server.kill()
