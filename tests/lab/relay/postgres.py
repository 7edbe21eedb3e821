"""Runs a script of PostgreSQL messages and hears every message of the answers. It reads only as much of them as it takes to know when
the server has answered what was sent."""

import base64
import dataclasses
import hashlib
import hmac
import re
import socket
import struct
import threading

from .wire import Heard, Stream

PROTOCOL_3, PROTOCOL_3_2, SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 3 << 16, (3 << 16) | 2, 80877103, 80877104, 80877102
# Table ids from here on are of what tests made, and differ from run to run.
FIRST_NORMAL_OID = 16384


def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


def startup(parameters, protocol=PROTOCOL_3):
    body = struct.pack(">I", protocol) + b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in parameters) + b"\0"
    return struct.pack(">I", len(body) + 4) + body


@dataclasses.dataclass
class Login:
    parameters: list
    password: str = ""
    protocol: int = PROTOCOL_3
    gss_first: bool = False
    raw: bytes | None = None


@dataclasses.dataclass
class Step:
    """Messages (kind, body) that are sent at once; then the client waits until the server has answered all of them. `waits` False:
    it goes on sending."""

    messages: list
    waits: bool = True
    # Without waiting it is one write with the next step, or one of its own.
    split: int = 0

    def __repr__(self):
        shown = [kind.decode() + (f"{body[:120]!r}" + (f"..{len(body)}" if len(body) > 120 else "")) for kind, body in self.messages]
        return " ".join(shown) + ("" if self.waits else " (no wait)")


@dataclasses.dataclass
class Cancelled:
    """A simple query that a CancelRequest of another connection stops."""

    query: bytes

    def __repr__(self):
        return f"cancelled {self.query!r}"


@dataclasses.dataclass
class Script:
    login: Login
    steps: list
    polite: bool = True
    seed: object = None
    kind: str = "postgres"


class Closed(Exception):
    """The server side closed the connection; that is an answer, too."""


class Session:
    """One run of a script."""

    def __init__(self, address, script, tls, patience=None):
        self.script, self.tls, self.address = script, tls, address
        self.stream = Stream(address, **({"patience": patience} if patience else {}))
        self.heard, self.step, self.key = [], -1, None
        # What the server does with what it reads: skips up to a Sync, takes copy data.
        self.skipping = self.copying = self.simple_copy = False

    def run(self):
        try:
            self._login(self.script.login)
            for self.step, step in enumerate(self.script.steps):
                if isinstance(step, Cancelled):
                    self._cancelled(step)
                else:
                    self._step(step)
            if self.script.polite:
                self.stream.send(message(b"X"))
                self._hear_rest(self.stream.rest())
        except EOFError:
            self._hear(b"closed", b"")
        except Closed:
            self._hear_rest(self.stream.rest())
            self._hear(b"closed", b"")
        finally:
            self.stream.close()
        return self.heard

    def _hear(self, kind, body):
        self.heard.append(Heard(self.step, kind.decode(), kind + body))

    def _hear_rest(self, rest):
        """Messages that nobody waited for. The table ids in them differ as in any other."""
        while len(rest) >= 5 and 4 <= struct.unpack(">I", rest[1:5])[0] < len(rest):
            end = 1 + struct.unpack(">I", rest[1:5])[0]
            self._hear(rest[:1], masked(rest[:1], rest[5:end]))
            rest = rest[end:]
        if rest:
            self._hear(b"rest", rest)

    def _message(self):
        head = self.stream.exactly(5)
        kind, body = head[:1], self.stream.exactly(struct.unpack(">I", head[1:])[0] - 4)
        self._hear(kind, masked(kind, body))
        return kind, body

    # --- login ---

    def _login(self, login):
        if login.gss_first:
            self.stream.send(struct.pack(">II", 8, GSS_REQUEST))
            answer = self.stream.exactly(1)
            if answer not in b"NG":
                raise AssertionError(f"GSSENCRequest answered with {answer!r}")
            if answer == b"G":
                # A server with Kerberos waits for its token now. Flashgate has none: nothing to compare but what follows.
                self.stream.close()
                self.stream = Stream(self.address, self.stream.patience)
        if self.tls:
            self.stream.send(struct.pack(">II", 8, SSL_REQUEST))
            answer = self.stream.exactly(1)
            if answer != b"S":
                raise AssertionError(f"SSLRequest answered with {answer!r}")
            self.stream.secure()
        self.stream.send(login.raw if login.raw is not None else startup(login.parameters, login.protocol))
        scram = None
        while True:
            kind, body = self._message()
            if kind == b"E":
                raise Closed
            if kind == b"Z":
                return
            if kind == b"K":
                self.key = body
            if kind != b"R":
                continue
            what = struct.unpack(">I", body[:4])[0]
            user = dict(login.parameters).get("user", "")
            if what == 3:
                self.stream.send(message(b"p", login.password.encode() + b"\0"))
            elif what == 5:
                inner = hashlib.md5(login.password.encode() + user.encode()).hexdigest()
                self.stream.send(message(b"p", b"md5" + hashlib.md5(inner.encode() + body[4:8]).hexdigest().encode() + b"\0"))
            elif what == 10:
                scram = Scram(login.password)
                first = scram.first()
                self.stream.send(message(b"p", b"SCRAM-SHA-256\0" + struct.pack(">I", len(first)) + first))
            elif what == 11:
                self.stream.send(message(b"p", scram.final(body[4:])))

    # --- messages ---

    def _step(self, step):
        data = b"".join(message(kind, body) for kind, body in step.messages)
        if step.split:
            for at in range(0, len(data), step.split):
                self.stream.send(data[at : at + step.split])
        else:
            self.stream.send(data)
        if step.waits:
            for kind, body in step.messages:
                self._answer(kind, body)

    def _until(self, kinds):
        """Reads up to a message of one of these kinds, or an error."""
        while True:
            kind, _ = self._message()
            if kind in kinds:
                return kind
            if kind == b"E" and b"Z" not in kinds:
                self.skipping = True
                return kind

    def _ready(self, copies):
        """Reads up to ReadyForQuery; or up to the question for data, when `copies`."""
        while True:
            kind, body = self._message()
            if kind == b"Z":
                self.skipping = self.copying = False
                return
            if kind == b"G" and copies:
                self.copying = self.simple_copy = True
                return

    def _answer(self, kind, body):
        if self.copying:
            if kind in b"cf":
                self.copying = False
                if self.simple_copy:
                    self.simple_copy = False
                    self._ready(True)
                else:
                    self._until((b"C",))
            elif kind in b"Q":
                # It ends the copy with an error, and is lost.
                self.copying = self.simple_copy = False
                self._ready(False)
            return
        if kind == b"Q":
            self._ready(True)
        elif kind == b"S":
            self._ready(False)
        elif kind == b"F":
            self._ready(False)
        elif self.skipping or kind in b"Hdcf":
            return
        elif kind == b"P":
            self._until((b"1",))
        elif kind == b"B":
            self._until((b"2",))
        elif kind == b"C":
            self._until((b"3",))
        elif kind == b"D":
            self._until((b"T", b"n"))
        elif kind == b"E":
            if self._until((b"C", b"I", b"s", b"G")) == b"G":
                self.copying, self.simple_copy = True, False
        elif kind == b"X":
            raise Closed

    def _cancelled(self, step):
        self.stream.send(message(b"Q", step.query + b"\0"))
        done = threading.Event()
        killer = threading.Thread(target=self._cancel, args=(done,))
        killer.start()
        try:
            self._ready(False)
        finally:
            done.set()
            killer.join()

    def _cancel(self, done):
        # The first may come before the query has begun.
        while not done.wait(0.3):
            with socket.create_connection(self.address, timeout=10) as other:
                other.sendall(struct.pack(">II", 8 + len(self.key), CANCEL_REQUEST) + self.key)
                other.settimeout(10)
                other.recv(1)


class Scram:
    """The client's part of SCRAM-SHA-256 without channel binding, for passwords of ASCII."""

    def __init__(self, password):
        self.password, self.bare = password.encode(), b"n=,r=replayreplayreplay"

    def first(self):
        return b"n,," + self.bare

    def final(self, challenge):
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        without = b"c=biws,r=" + fields[b"r"]
        signature = hmac.digest(hashlib.sha256(key).digest(), self.bare + b"," + challenge + b"," + without, "sha256")
        return without + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))


def masked(kind, body):
    """The body without what differs between two sessions."""
    if kind == b"K":
        return b"k" * len(body)
    if kind == b"R":
        what = struct.unpack(">I", body[:4])[0]
        if what == 10:
            # Channel binding is not offered through ended TLS.
            return body.replace(b"SCRAM-SHA-256-PLUS\0", b"")
        return body[:4] + (b"" if what in (5, 11, 12) else body[4:])
    if kind == b"T":
        return _masked_columns(body)
    if kind == b"A":
        return body[4:]
    if kind in b"EN":
        return re.sub(rb"pg_(toast_)?temp_\d+", b"pg_temp", body)
    return body


def _masked_columns(body):
    out, at = bytearray(body), 2
    for _ in range(struct.unpack(">H", body[:2])[0]):
        at = body.index(0, at) + 1
        if struct.unpack_from(">I", body, at)[0] >= FIRST_NORMAL_OID:
            out[at : at + 4] = b"oid."
        at += 18
    return bytes(out)
