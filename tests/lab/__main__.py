"""Runs the tests of this folder: `python tests/lab [pytest's arguments]`.

mysql-connector's C extension brings an OpenSSL of its own, newer than many systems'. It loads only where no other one was
loaded before it, and pytest loads Python's: so it goes first. Where it cannot be loaded its tests fail.
"""

import contextlib
import pathlib
import sys

with contextlib.suppress(ImportError):
    import _mysql_connector  # noqa: F401

import pytest

HERE = pathlib.Path(__file__).parent
named = any(pathlib.Path(word.split("::")[0]).exists() for word in sys.argv[1:])
sys.exit(pytest.main([*sys.argv[1:], *([] if named else [str(HERE)])]))
