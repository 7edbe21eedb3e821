"""Brings the suites into the cache: `PYTHONPATH=tests/lab python -m suites.install`. A second run finds everything and does nothing.

PyPI's source archives come by `pip download`; each is unpacked below CACHE/suites, without the parts that would hide the installed driver.
Those of Rust are built there (crates.py).
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv

from . import crates

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(
    os.environ.get("FLASHGATE_TEST_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "flashgate"
)
HOME = CACHE / "suites"
PYTHON = HOME / "venv" / "bin" / "python"
# name -> (version, folders of the archive that are not unpacked). pymysql shipped its tests up to here: they test its own code.
SOURCES = {
    "asyncpg": ("0.32.0", ("asyncpg",)),
    "django": ("5.2.19", ("django", "docs")),
    "mysqlclient": ("2.3.1", ()),
    "pg8000": ("1.31.6", ("src",)),
    "psycopg2": ("2.9.13", ("lib", "psycopg")),
    "pymysql": ("0.10.1", ()),
    "sqlalchemy": ("2.1.9", ("doc", "examples")),
}


def source(name):
    """The folder of a suite's sources."""
    return HOME / f"{name}-{SOURCES[name][0]}"


def program(name):
    """The tests of a Rust driver, and the folder they run in."""
    home = crates.home(HOME)
    return home / "bin" / name, home / name


def fetch(name):
    version, without = SOURCES[name]
    with tempfile.TemporaryDirectory(dir=HOME) as work:
        words = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-binary",
            name,
            "--dest",
            work,
        ]
        subprocess.run([*words, f"{name}=={version}"], stdin=subprocess.DEVNULL, check=True, timeout=600)
        (archive,) = pathlib.Path(work).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            members = [member for member in tar.getmembers() if pathlib.PurePath(member.name).parts[1:2] not in [(one,) for one in without]]
            tar.extractall(pathlib.Path(work) / "tree", members=members, filter="data")
        (tree,) = (pathlib.Path(work) / "tree").iterdir()
        shutil.rmtree(source(name), ignore_errors=True)
        tree.rename(source(name))


def install():
    HOME.mkdir(parents=True, exist_ok=True)
    stamp, wanted = HOME / "requirements.txt", (HERE / "requirements.txt").read_text()
    if not PYTHON.exists() or not stamp.exists() or stamp.read_text() != wanted:
        venv.create(HOME / "venv", with_pip=True, clear=True)
        words = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt"]
        subprocess.run([*map(str, words)], stdin=subprocess.DEVNULL, check=True, timeout=1200)
        stamp.write_text(wanted)
    for name in SOURCES:
        if not source(name).exists():
            fetch(name)
    crates.install(HOME)


if __name__ == "__main__":
    install()
