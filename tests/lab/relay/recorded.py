"""Sessions of real drivers (fixtures/relay) as scripts. A recording holds what a client sent behind its login; the login is made again,
since it depends on the server's nonce, and so are the ids of prepared statements.

A file is JSON: {"client": .., "protocol": .., "sessions": [{"login": {..}, "steps": [[item, ..], ..]}]}. The items of a step were sent
without waiting. MySQL: {"p": payload, "s": index of the prepared statement whose id belongs to bytes 1 to 5, "f": [files asked for]}.
PostgreSQL: {"k": kind, "p": body}. Bytes are text where they are UTF-8, and {"64": base64} where they are not.
"""

import base64
import json
import pathlib
import struct

from . import mysql, postgres

# The databases that a recording is replayed against: it was made with the first.
SERVERS = {"mysql": ("mariadb", "mysql"), "postgres": ("postgres", "postgres18")}
FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures" / "relay"


def pack(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"64": base64.b64encode(data).decode()}


def unpack(value):
    return value.encode() if isinstance(value, str) else base64.b64decode(value["64"])


def files(protocol):
    return [path for path in sorted(FIXTURES.glob("*.json")) if json.loads(path.read_text())["protocol"] == protocol]


def scripts(path):
    kept = json.loads(path.read_text())
    make = _mysql if kept["protocol"] == "mysql" else _postgres
    return [make(one, f"{path.stem}/{number}") for number, one in enumerate(kept["sessions"])]


def _mysql(session, seed):
    kept = session["login"]
    login = mysql.Login(
        kept["user"],
        "",
        kept["database"],
        # MariaDB offers no attributes of queries, so none were sent, whatever the client can do.
        kept["capabilities"] & ~mysql.QUERY_ATTRIBUTES,
        kept["collation"],
        kept["plugin"] and kept["plugin"].encode(),
        kept["mariadb"],
        unpack(kept["attributes"]),
    )
    steps = [mysql.Step([_command(item) for item in step]) for step in session["steps"]]
    return mysql.Script(login, steps, polite=session["polite"], seed=seed, kind="mysql")


def _command(item):
    payload = unpack(item["p"])
    more = {"files": tuple(map(unpack, item.get("f", ()))), "name": "recorded"}
    if payload[:1] == bytes([mysql.CHANGE_USER]):
        more["login"] = mysql.Login()
    if "s" in item:
        # What another server would not prepare has no id: that is to be refused in the same words, too.
        return mysql.Command(lambda session: payload[:1] + struct.pack("<I", session.statements[item["s"]] or 0) + payload[5:], **more)
    return mysql.Command(payload, **more)


def _postgres(session, seed):
    login = postgres.Login([tuple(pair) for pair in session["login"]["parameters"]], protocol=session["login"]["protocol"])
    steps = [postgres.Step([(item["k"].encode(), unpack(item["p"])) for item in step]) for step in session["steps"]]
    return postgres.Script(login, steps, polite=session["polite"], seed=seed)
