"""Crash safety: the process dies at a named point (FLASHGATE_CRASH_AT), is started again, and nothing answered is lost.

Each case gets a copy of one prepared data directory: a history with recorded times, a table in the recycle bin, and files
that a killed transaction left behind. A server runs one step with the point armed and aborts there. A second one, without
the point, must show the state of before or of after the step (only after, when the step was answered), the past at every
recorded time, and soon no object that the metadata does not know.
"""

import copy
import dataclasses
import pathlib
import shutil
import tempfile
import threading
import queue

import pymysql
import pytest

from conftest import Flashgate, eventually
from wires import mysql, now, postgres, rows, run

STEP_SERVER = {"FLASHGATE_PURGE_SWEEP_INTERVAL": "1h", "FLASHGATE_PURGE_GARBAGE_DELAY": "0s"}
CHECK_SERVER = {"FLASHGATE_PURGE_SWEEP_INTERVAL": "200ms", "FLASHGATE_PURGE_GARBAGE_DELAY": "0s"}
WORKERS = 4
TOO_OLD = "snapshot too old"
ERASED = "erased"


@dataclasses.dataclass
class Model:
    """What a server is to show: rows by table (its columns joined), the bin, and rows at recorded times."""

    tables: dict
    bin: list
    past: dict = dataclasses.field(default_factory=dict)

    def changed(self, **tables):
        other = copy.deepcopy(self)
        for name, content in tables.items():
            other.tables.pop(name, None)
            if content is not None:
                other.tables[name] = sorted(content)
        return other


@dataclasses.dataclass
class Case:
    point: str
    step: str
    statements: object
    after: object

    @property
    def name(self):
        return f"{self.step}-{self.point}"


class World:
    """The prepared directory, and what is known of it."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        server = Flashgate(self.directory, env=STEP_SERVER)
        c = mysql(server)
        run(c, "CREATE DATABASE d", "USE d")
        for name in ("t", "u", "gone", "many"):
            run(c, f"CREATE TABLE {name} (id INT NOT NULL, v INT) ENGINE='OSS'")
        run(c, "INSERT INTO u VALUES (1, 1), (2, 2), (3, 3)", "INSERT INTO gone VALUES (7, 7)", "DROP TABLE gone")
        run(c, *(f"INSERT INTO many VALUES ({i}, {i})" for i in range(4)))
        t, self.times = [], []
        past = {"t": []}

        def record():
            self.times.append(now(c))
            past["t"].append((self.times[-1], sorted(t)))

        record()
        for statement, change in (
            ("INSERT INTO t VALUES " + ", ".join(f"({i}, {i})" for i in range(10)), lambda: t.extend((i, i) for i in range(10))),
            ("INSERT INTO t VALUES " + ", ".join(f"({i}, {i})" for i in range(10, 20)), lambda: t.extend((i, i) for i in range(10, 20))),
            ("UPDATE t SET v = 500 WHERE id = 3", lambda: t.__setitem__(3, (3, 500))),
            ("DELETE FROM t WHERE id = 12", lambda: t.remove((12, 12))),
        ):
            run(c, statement)
            change()
            record()
        past["u"] = [(self.times[-1], [(1, 1), (2, 2), (3, 3)])]
        self.model = Model({"t": sorted(t), "u": [(1, 1), (2, 2), (3, 3)], "many": [(i, i) for i in range(4)]}, ["gone"], past)
        self.file = rows(c, "SHOW FILES FROM u")[0][4]
        check(server, [self.model], sweeps=False)
        # A transaction that has written files and is never ended.
        run(c, "BEGIN", "UPDATE t SET v = 0 WHERE id < 15", "INSERT INTO u SELECT * FROM t")
        server.kill()

    def after_purge(self, to):
        other = copy.deepcopy(self.model)
        other.past["t"] = [(t, TOO_OLD if t < to else content) for t, content in other.past["t"]]
        return other


def shown(c):
    """(tables, bin) as a server shows them."""
    names = [name for (name,) in rows(c, "SHOW TABLES FROM d")]
    tables = {name: sorted(tuple(row) for row in rows(c, f"SELECT * FROM d.`{name}`")) for name in names}
    return tables, sorted(row[2] for row in rows(c, "SHOW RECYCLEBIN"))


def past_of(c, table, moment):
    try:
        return sorted(rows(c, f"SELECT id, v FROM d.`{table}` AS OF TIMESTAMP '{moment}'"))
    except pymysql.err.Error as error:
        assert error.args[0] == 8055, error
        return ERASED if "erased" in error.args[1] or "trim" in error.args[1] else TOO_OLD


def objects(directory):
    root = pathlib.Path(directory) / "data" / "files"
    return {path.name for path in root.rglob("*.orc")} | {str(path) for path in root.rglob("*") if path.is_file() and path.suffix not in (".orc", ".txt")}


def check(server, allowed, sweeps=True):
    """The server shows one of the allowed models, past included; returns which."""
    c = mysql(server)
    now_shown = shown(c)
    same = [model for model in allowed if (model.tables, sorted(model.bin)) == now_shown]
    assert same, f"shows {now_shown}, allowed {[(m.tables, m.bin) for m in allowed]}"
    found = []
    for model in same:
        got = {name: [(moment, past_of(c, name, moment)) for moment, _ in past] for name, past in model.past.items()}
        found.append(got)
        if got == model.past:
            break
    else:
        raise AssertionError(f"the past differs: {found}, allowed {[m.past for m in same]}")
    for name in now_shown[0]:
        assert [row[3] for row in rows(c, f"CHECK TABLE d.{name}")] == ["OK"]
    known = lambda: {row[0].rsplit("/", 1)[-1] for row in rows(c, "SELECT DATA_PATH FROM information_schema.FILE_STORAGE_FILES_META")}
    assert known() <= objects(server.directory), "a row points to an object that is not there"
    if sweeps:
        swept = eventually(lambda: objects(server.directory) <= known(), timeout=15)
        assert swept, f"never swept: {objects(server.directory) - known()}"
        # Life goes on: a new commit, later than all that was.
        run(c, "CREATE DATABASE IF NOT EXISTS d", "CREATE TABLE d.fresh (id INT) ENGINE='OSS'", "INSERT INTO d.fresh VALUES (1), (2)")
        assert rows(c, "SELECT COUNT(*) FROM d.fresh") == [(2,)]
        if "t" in now_shown[0]:
            run(c, "INSERT INTO d.t (id) VALUES (1000)")
            assert rows(c, "SELECT COUNT(*) FROM d.t") == [(len(now_shown[0]["t"]) + 1,)]
    c.close()
    return model


def cases(world):
    """Every step with the points that it passes."""
    m, t, u = world.model, world.model.tables["t"], world.model.tables["u"]
    write = ["gms.task.before_tx", "gms.task.after_tx", "gms.register.before_tx", "gms.register.after_tx", "cold.write.registered", "cold.write.before_put",
             "cold.write.after_put", "cold.commit.files_durable"]
    commit = ["gms.commit.before_tx", "gms.commit.in_tx", "gms.commit.before_publish", "gms.commit.after_publish"]
    out = []

    def add(step, points, statements, after):
        out.extend(Case(point, step, statements if isinstance(statements, list) else [statements], after) for point in points)

    add("insert", [*write, "cold.commit.begin", *commit, "gms.clock.before_lease", "gms.clock.after_lease"], "INSERT INTO t VALUES (100, 1), (101, 2)",
        m.changed(t=t + [(100, 1), (101, 2)]))
    add("update", ["gms.register.after_tx", "cold.write.before_put", "cold.write.after_put", *commit], "UPDATE t SET v = v + 1000 WHERE id <= 15",
        m.changed(t=[(i, v + 1000 if i <= 15 else v) for i, v in t]))
    add("delete", ["cold.write.after_put", "cold.commit.files_durable", *commit[1:3]], "DELETE FROM t WHERE id >= 5", m.changed(t=[r for r in t if r[0] < 5]))
    add("truncate", commit[1:], "TRUNCATE TABLE t", m.changed(t=[]))
    add("transaction", ["gms.register.after_tx:2", "cold.write.after_put:2", *commit], ["BEGIN", "INSERT INTO t VALUES (200, 1)", "DELETE FROM u WHERE id = 2", "COMMIT"],
        m.changed(t=t + [(200, 1)], u=[(1, 1), (3, 3)]))
    add("rollback", ["gms.abandon.before_tx", "gms.abandon.after_tx"], ["BEGIN", "UPDATE t SET v = 1", "ROLLBACK"], m)
    add("optimize", ["cold.write.after_put", *commit[1:3]], "OPTIMIZE TABLE many", m)
    add("copy", ["cold.write.after_put", *commit[1:3]], "COPY", m.changed(t=t + [(300, 1), (301, None)]))
    add("create", ["gms.create_table.before_tx", "gms.create_table.after_tx"], "CREATE TABLE fresher (id INT, v INT) ENGINE='OSS'", m.changed(fresher=[]))
    add("alter", ["gms.alter.before_tx", "gms.alter.after_tx"], "ALTER TABLE t ADD COLUMN w INT", m.changed(t=[(*r, None) for r in t]))
    renamed = m.changed(t=None, t2=t)
    renamed.past["t2"] = renamed.past.pop("t")
    add("rename", ["gms.rename.before_tx", "gms.rename.after_tx"], "RENAME TABLE t TO t2", renamed)
    dropped = m.changed(t=None)
    del dropped.past["t"]
    dropped.bin = ["gone", "t"]
    add("drop", ["gms.drop_table.before_tx", "gms.drop_table.in_tx", "gms.drop_table.after_tx"], "DROP TABLE t", dropped)
    back = m.changed(gone=[(7, 7)])
    back.bin = []
    add("flashback", ["gms.flashback.before_tx", "gms.flashback.after_tx"], "FLASHBACK TABLE gone TO BEFORE DROP", back)
    add("drop_file", ["gms.drop_files.before_tx", "gms.drop_files.in_tx", "gms.drop_files.after_tx"], f"ALTER TABLE u DROP FILE '{world.file}'", m.changed(u=[]))
    purged, to = world.after_purge(world.times[4]), world.times[4]
    sweep = ["cold.sweep.objects_deleted", "gms.garbage.before_forget", "gms.garbage.after_forget"]
    add("purge", ["gms.purge.before_tx", "gms.purge.in_tx", "gms.purge.after_tx", *sweep], f"ALTER TABLE t PURGE BEFORE TIMESTAMP '{to}' FORCE", purged)
    emptied = copy.deepcopy(m)
    emptied.bin = []
    add("purge_bin", ["gms.purge_binned.before_tx", "gms.purge_binned.after_tx"], "PURGE RECYCLEBIN", emptied)
    second = dict(m.past["t"])[world.times[2]]
    trimmed = m.changed(t=second)
    add("trim", ["gms.trim.before_tx", "gms.trim.in_tx", "gms.trim.after_tx"], f"ALTER FILESTORAGE OSS AS OF TIMESTAMP '{world.times[2]}'", trimmed)
    forced = m.changed(t=second)
    forced.past["t"] = [(moment, ERASED if moment > world.times[2] else content) for moment, content in forced.past["t"]]
    add("trim_force", ["gms.trim.before_tx", "gms.trim.in_tx", "gms.trim.after_tx"], f"ALTER FILESTORAGE OSS AS OF TIMESTAMP '{world.times[2]}' FORCE", forced)
    add("clear", ["gms.clear.before_tx", "gms.clear.after_tx"], "CLEAR FILESTORAGE OSS FORCE", Model({}, []))
    add("backup", ["cold.backup.before_put", "cold.backup.after_put"], "ALTER FILESTORAGE OSS BACKUP", m)
    add("restart", ["gms.recover.before_tx", "gms.recover.after_tx", *sweep], [], m)
    return out


# The points again, for pytest to collect before anything runs; `cases` must make the same.
NAMES = """
insert: gms.task.before_tx gms.task.after_tx gms.register.before_tx gms.register.after_tx cold.write.registered cold.write.before_put cold.write.after_put
  cold.commit.files_durable cold.commit.begin gms.commit.before_tx gms.commit.in_tx gms.commit.before_publish gms.commit.after_publish gms.clock.before_lease
  gms.clock.after_lease
update: gms.register.after_tx cold.write.before_put cold.write.after_put gms.commit.before_tx gms.commit.in_tx gms.commit.before_publish gms.commit.after_publish
delete: cold.write.after_put cold.commit.files_durable gms.commit.in_tx gms.commit.before_publish
truncate: gms.commit.in_tx gms.commit.before_publish gms.commit.after_publish
transaction: gms.register.after_tx:2 cold.write.after_put:2 gms.commit.before_tx gms.commit.in_tx gms.commit.before_publish gms.commit.after_publish
rollback: gms.abandon.before_tx gms.abandon.after_tx
optimize: cold.write.after_put gms.commit.in_tx gms.commit.before_publish
copy: cold.write.after_put gms.commit.in_tx gms.commit.before_publish
create: gms.create_table.before_tx gms.create_table.after_tx
alter: gms.alter.before_tx gms.alter.after_tx
rename: gms.rename.before_tx gms.rename.after_tx
drop: gms.drop_table.before_tx gms.drop_table.in_tx gms.drop_table.after_tx
flashback: gms.flashback.before_tx gms.flashback.after_tx
drop_file: gms.drop_files.before_tx gms.drop_files.in_tx gms.drop_files.after_tx
purge: gms.purge.before_tx gms.purge.in_tx gms.purge.after_tx cold.sweep.objects_deleted gms.garbage.before_forget gms.garbage.after_forget
purge_bin: gms.purge_binned.before_tx gms.purge_binned.after_tx
trim: gms.trim.before_tx gms.trim.in_tx gms.trim.after_tx
trim_force: gms.trim.before_tx gms.trim.in_tx gms.trim.after_tx
clear: gms.clear.before_tx gms.clear.after_tx
backup: cold.backup.before_put cold.backup.after_put
restart: gms.recover.before_tx gms.recover.after_tx cold.sweep.objects_deleted gms.garbage.before_forget gms.garbage.after_forget
"""


def names():
    step, out = None, []
    for word in NAMES.split():
        if word.endswith(":"):
            step = word[:-1]
        else:
            out.append(f"{step}-{word}")
    return out


def take_step(server, case):
    """Runs the step; (statements answered, of how many)."""
    answered = 0
    try:
        if case.statements == ["COPY"]:
            with postgres(server, "d") as c, c.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as data:
                data.write("300\t1\n301\t\\N\n")
            return 1, 1
        c = mysql(server, "d")
        for statement in case.statements:
            run(c, statement)
            answered += 1
    except Exception as error:  # noqa: BLE001: whatever a dying server makes of a client
        assert eventually(lambda: server.process.poll() is not None, timeout=20), f"refused, but did not die: {error}"
    return answered, len(case.statements)


def crash(world, case, directory):
    """One case in a fresh copy at the place of the original: the metadata holds absolute paths."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(world.copy_of, directory)
    env = {**STEP_SERVER, "FLASHGATE_CRASH_AT": case.point}
    answered, of = 0, len(case.statements)
    # Made in two steps, so that the process can be asked how it ended when it never was ready.
    server = Flashgate.__new__(Flashgate)
    try:
        server.__init__(directory, env=env)
    except RuntimeError as error:
        # Died while it started: nothing was even asked. Any other end than at the point is a failure.
        assert server.process.returncode == -6, f"exit {server.process.returncode} instead of the crash: {error}"
        log = server.log()
        assert "panicked" not in log, log
    else:
        answered, of = take_step(server, case)
        died = eventually(lambda: server.process.poll() is not None, timeout=20 if answered < of else 8)
        server.kill()
        assert died and server.process.returncode == -6, f"the point was not reached (exit {server.process.returncode}): {server.log()[-2000:]}"
    again = Flashgate(directory, env=CHECK_SERVER)
    try:
        before, after = world.model, case.after
        if answered == of:
            allowed = [after]
        elif answered == of - 1:
            allowed = [after, before]
        else:
            allowed = [before]
        check(again, allowed)
        assert again.stop() == 0
    finally:
        again.kill()
        log = again.log()
    assert "panicked" not in log, log[-3000:]


@pytest.fixture(scope="module")
def outcomes(request):
    """Runs all selected cases, a few at a time; each test then looks at its own."""
    wanted = {item.callspec.params["name"] for item in request.session.items if "outcomes" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")}
    results, work = {}, queue.Queue()
    with tempfile.TemporaryDirectory(prefix="flashgate-crash-") as root:

        def worker(number):
            # Each worker has a world of its own: a data directory cannot move.
            place = pathlib.Path(root) / str(number) / "here"
            try:
                world = World(place)
                world.copy_of = place.with_name("copy")
                shutil.copytree(place, world.copy_of)
                mine = {case.name: case for case in cases(world)}
            except BaseException as error:  # noqa: BLE001
                results.setdefault("world", error)
                return
            while True:
                try:
                    name = work.get_nowait()
                except queue.Empty:
                    return
                try:
                    crash(world, mine[name], place)
                    results[name] = None
                except BaseException as error:  # noqa: BLE001
                    results[name] = error

        for name in names():
            if name in wanted:
                work.put(name)
        threads = [threading.Thread(target=worker, args=(number,)) for number in range(min(WORKERS, len(wanted)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield results


@pytest.mark.parametrize("name", names())
def test_nothing_answered_is_lost_and_nothing_is_half_done_when_the_process_dies(outcomes, name):
    if "world" in outcomes:
        raise outcomes["world"]
    if outcomes.get(name, "not run"):
        raise outcomes[name] if name in outcomes else AssertionError("not run")


def test_at_least_twenty_different_points_are_crashed_at():
    assert len({name.split("-", 1)[1].split(":")[0] for name in names()}) >= 40
