"""Runs a suite and reads how each test ended."""

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

from .install import PYTHON

# Of all of a suite, and of one of its tests.
PATIENCE, EACH = 600, 60
WORST = ("passed", "skipped", "failed", "error")


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
        flags = ["-q", "-p", "no:cacheprovider", f"--timeout={EACH}", f"--junitxml={self.result}", "-rN"]
        self.log = open(directory / "log", "wb")
        self.process = subprocess.Popen(
            [PYTHON, "-m", "pytest", *flags, *suite.words, *words],
            cwd=tree,
            env=env | more | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def outcomes(self):
        """Test -> (how it ended, what it said)."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.suite.name} takes longer than {PATIENCE} s:\n{(self.directory / 'log').read_text(errors='replace')[-3000:]}"
            ) from None
        finally:
            self.stop()
        if not self.result.exists():
            raise AssertionError(
                f"{self.suite.name} ended without a result:\n{(self.directory / 'log').read_text(errors='replace')[-3000:]}"
            )
        found = {}
        for case in ElementTree.parse(self.result).getroot().iter("testcase"):
            name, ended = f"{case.get('classname')}::{case.get('name')}", ("passed", "")
            for kind, outcome in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
                told = case.find(kind)
                if told is not None:
                    ended = (outcome, (told.get("message") or "")[:500])
            # A test and its teardown may both be told of.
            found[name] = max(found.get(name, ended), ended, key=lambda one: WORST.index(one[0]))
        return found


def differences(direct, through):
    """Tests that ended differently, as {name: text}."""
    out = {}
    for name in direct.keys() | through.keys():
        ours, theirs = through.get(name, ("not run", "")), direct.get(name, ("not run", ""))
        if ours[0] != theirs[0]:
            out[name] = f"direct: {theirs[0]} {theirs[1]}\n    through: {ours[0]} {ours[1]}"
    return out
