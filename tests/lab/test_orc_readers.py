"""Files of cold tables are plain ORC: another reader (Apache ORC's C++ library in pyarrow) reads what Flashgate wrote."""

import datetime
import os
import subprocess
import sys
from decimal import Decimal

from pyarrow import orc

from conftest import ROOT
from wires import POSTGRES_TABLE, mysql as connect, postgres, rows


def test_another_reader_reads_every_type_encoding_and_compression(tmp_path):
    subprocess.run(["cargo", "run", "--quiet", "--example", "write_orc", "--", tmp_path], cwd=ROOT, check=True, stdin=subprocess.DEVNULL, timeout=900)
    done = subprocess.run([sys.executable, ROOT / "tests/orc_readers.py", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("pyarrow reads ") == 7, done.stdout


def files(server, database, table):
    """The rows of a table's visible files, as pyarrow reads them from the data directory."""
    with connect(server, database) as c:
        names = [row[4] for row in rows(c, f"SHOW FILES FROM {table}")]
    paths = [os.path.join(folder, name) for folder, _, found in os.walk(server.directory) for name in found]
    out = []
    for name in names:
        (path,) = [path for path in paths if os.path.basename(path) == name]
        out += orc.ORCFile(path).read().to_pylist()
    return out


def test_another_reader_reads_the_files_of_a_live_table(server):
    with postgres(server) as c:
        c.execute("CREATE DATABASE readers")
    with postgres(server, "readers") as c:
        c.execute(POSTGRES_TABLE)
        c.execute(
            "INSERT INTO kinds (id, flag, small, big, price, precise, name, raw, day, moment) VALUES"
            " (1, true, -32768, 9223372036854775807, 12345.6789, -2.5, 'Łódź 東京', '\\x00ff', '2024-02-29', '2022-07-05 11:11:11.123456'), (2, NULL, NULL, NULL,"
            " NULL, NULL, NULL, NULL, NULL, NULL)"
        )
        c.execute("UPDATE kinds SET small = 7 WHERE id = 2")
    one, two = sorted(files(server, "readers", "kinds"), key=lambda row: row["id"])
    assert one["moment"].replace(tzinfo=None) == datetime.datetime(2022, 7, 5, 11, 11, 11, 123456)
    wanted = dict(id=1, flag=True, small=-32768, big=2**63 - 1, price=Decimal("12345.6789"), precise=-2.5, name="Łódź 東京", raw=b"\x00\xff")
    wanted |= dict(day=datetime.date(2024, 2, 29))
    assert {name: one[name] for name in wanted} == wanted
    assert two["small"] == 7 and two["name"] is None
