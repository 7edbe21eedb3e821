"""Runs a suite and reads how each test ended."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

from .install import PYTHON

# Of all of a suite, and of one of its tests.
PATIENCE, EACH = 600, 60
WORST = ("passed", "skipped", "failed", "error")


class Pytest:
    """Tests that pytest runs; `words` are what it is told."""

    def __init__(self, *words):
        self.words = words

    def command(self, result):
        flags = ["-q", "-p", "no:cacheprovider", f"--timeout={EACH}", f"--junitxml={result}", "-rN"]
        return [PYTHON, "-m", "pytest", *flags, *self.words]

    def read(self, result, _):
        """Test -> (how it ended, what it said); nothing when the suite did not come to its end."""
        found = {}
        if not result.exists():
            return found
        for case in ElementTree.parse(result).getroot().iter("testcase"):
            name, ended = f"{case.get('classname')}::{case.get('name')}", ("passed", "")
            for kind, outcome in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
                told = case.find(kind)
                if told is not None:
                    ended = (outcome, (told.get("message") or "")[:500])
            # A test and its teardown may both be told of.
            found[name] = max(found.get(name, ended), ended, key=lambda one: WORST.index(one[0]))
        return found


class Django:
    """Tests of Django, which its own runner runs; `labels` are what it is told. django_settings.py writes the result."""

    def __init__(self, *labels):
        self.labels = labels

    def command(self, result):
        return [PYTHON, "tests/runtests.py", "--settings=suite_settings", "--noinput", "--parallel=1", *self.labels]

    def read(self, result, _):
        """As Pytest's."""
        found = {}
        for line in result.read_text(encoding="utf-8").splitlines() if result.exists() else ():
            name, *ended = json.loads(line)
            found[name] = max(found.get(name, ("passed", "")), tuple(ended), key=lambda one: WORST.index(one[0]))
        return found


class Libtest:
    """Tests that are a program of their own, as Cargo builds them; `words` are filters. They wait more than they work, hence the threads."""

    ENDED = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}

    def __init__(self, program, *words):
        self.program, self.words = program, words

    def command(self, result):
        return [self.program, "--test-threads=4", *self.words]

    def read(self, _, printed):
        """As Pytest's."""
        text = printed.read_text(errors="replace")
        if not re.search(r"^test result: ", text, re.MULTILINE):
            return {}
        said = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^---- |^failures:$)", text, re.MULTILINE | re.DOTALL))
        lines = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", text, re.MULTILINE)
        return {name: (self.ENDED[ended], said.get(name, "").strip()[:500]) for name, ended in lines}


class Run:
    """A suite that is running against one address, with a copy of its sources and a directory of its own."""

    def __init__(self, suite, directory, address):
        self.suite, self.directory = suite, directory
        self.result, tree = directory / "result.xml", directory / "tree"
        if not tree.exists():
            shutil.copytree(suite.directory, tree)
        self.result.unlink(missing_ok=True)
        more, words = suite.setup(directory, *address)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MYSQL", "FLASHGATE_", "PYTEST_"))}
        # Apart, since Libtest reads what is printed.
        self.printed, self.log = open(directory / "printed", "wb"), open(directory / "log", "wb")
        self.process = subprocess.Popen(
            [*map(str, suite.runner.command(self.result)), *words],
            cwd=tree,
            env=env | more | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self.printed,
            stderr=self.log,
        )

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.printed.close()
        self.log.close()

    def outcomes(self):
        """Test -> (how it ended, what it said)."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.suite.name} takes longer than {PATIENCE} s:\n{self.said()}") from None
        finally:
            self.stop()
        found = self.suite.runner.read(self.result, self.directory / "printed")
        if not found:
            raise AssertionError(f"{self.suite.name} ended without a result:\n{self.said()}")
        return found

    def said(self):
        return "".join((self.directory / name).read_text(errors="replace")[-3000:] for name in ("printed", "log"))


def differences(direct, through):
    """Tests that ended differently, as {name: text}."""
    out = {}
    for name in direct.keys() | through.keys():
        ours, theirs = through.get(name, ("not run", "")), direct.get(name, ("not run", ""))
        if ours[0] != theirs[0]:
            out[name] = f"direct: {theirs[0]} {theirs[1]}\n    through: {ours[0]} {ours[1]}"
    return out
