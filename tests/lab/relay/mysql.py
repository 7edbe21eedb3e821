"""Runs a script of MySQL commands and hears every packet of the answers. It reads only as much of them as it takes to know when a
response is complete."""

import dataclasses
import hashlib
import re
import struct

from .wire import Heard, Stream

LONG_PASSWORD, FOUND_ROWS, CONNECT_WITH_DB, COMPRESS, LOCAL_FILES = 1, 2, 8, 0x20, 0x80
IGNORE_SPACE, PROTOCOL_41, INTERACTIVE, SSL, TRANSACTIONS = 0x100, 0x200, 0x400, 0x800, 0x2000
SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS = 0x8000, 1 << 16, 1 << 17, 1 << 18
PLUGIN_AUTH, CONNECT_ATTRS, PLUGIN_AUTH_LENENC, SESSION_TRACK, DEPRECATE_EOF = 1 << 19, 1 << 20, 1 << 21, 1 << 23, 1 << 24
OPTIONAL_METADATA, ZSTD, QUERY_ATTRIBUTES = 1 << 25, 1 << 26, 1 << 27
MARIADB_PROGRESS, MARIADB_COM_MULTI, MARIADB_BULK, MARIADB_EXTENDED, MARIADB_CACHE = 1, 2, 4, 8, 16
# What Flashgate does not promise, or promises by itself (TLS).
WITHHELD = COMPRESS | ZSTD | QUERY_ATTRIBUTES | OPTIONAL_METADATA
MARIADB_WITHHELD = MARIADB_COM_MULTI | MARIADB_CACHE

QUIT, INIT_DB, QUERY, FIELD_LIST, STATISTICS, PROCESS_KILL, DEBUG, PING, CHANGE_USER = 1, 2, 3, 4, 9, 0x0C, 0x0D, 0x0E, 0x11
PREPARE, EXECUTE, LONG_DATA, STMT_CLOSE, STMT_RESET, SET_OPTION, FETCH, RESET_CONNECTION, BULK = 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1F, 0xFA
MORE_RESULTS, CURSOR_EXISTS = 8, 0x40
MOST = 0xFFFFFF


def lenenc(data):
    return lenint(len(data)) + data


def lenint(n):
    if n < 251:
        return bytes([n])
    if n < 1 << 16:
        return b"\xfc" + struct.pack("<H", n)
    return b"\xfd" + struct.pack("<I", n)[:3] if n < 1 << 24 else b"\xfe" + struct.pack("<Q", n)


def read_lenint(data, at):
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def framed(payload, sequence=0):
    """A payload as packets."""
    if len(payload) < MOST:
        return struct.pack("<I", len(payload))[:3] + bytes([sequence & 255]) + payload
    out = bytearray()
    for at in range(0, len(payload) + 1, MOST):
        piece = payload[at : at + MOST]
        out += struct.pack("<I", len(piece))[:3] + bytes([sequence & 255]) + piece
        sequence += 1
    return bytes(out)


def native(password, nonce):
    if not password:
        return b""
    one = hashlib.sha1(password.encode()).digest()
    two = hashlib.sha1(nonce + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def caching(password, nonce):
    if not password:
        return b""
    one = hashlib.sha256(password.encode()).digest()
    two = hashlib.sha256(hashlib.sha256(one).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(one, two))


PLUGINS = {b"mysql_native_password": native, b"caching_sha2_password": caching}


@dataclasses.dataclass
class Login:
    user: str = "root"
    password: str = ""
    database: str | None = None
    capabilities: int = 0
    collation: int = 45
    plugin: bytes | None = None
    mariadb: int = 0
    attributes: bytes = b"\x0c_client_name\x06replay"

    def auth(self, plugin, nonce):
        return PLUGINS[plugin](self.password, nonce) if plugin in PLUGINS else b""


@dataclasses.dataclass
class Command:
    """`payload` is bytes, or a function of the session for what depends on the server (statement ids, nonces)."""

    payload: object
    name: str = ""
    files: tuple = ()
    login: Login | None = None

    def __repr__(self):
        inner = self.payload if isinstance(self.payload, bytes) else b"(made as it is sent)"
        shown = repr(inner[:300]) + (f"... {len(inner)} bytes" if len(inner) > 300 else "")
        return f"{self.name or 'command'} {shown}" + (f" file {self.files!r:.200}" if self.files else "")


@dataclasses.dataclass
class Step:
    """Commands that are sent at once; then the client waits for all their answers."""

    commands: list

    def __repr__(self):
        return " + ".join(map(repr, self.commands))


@dataclasses.dataclass
class Killed:
    """A statement that another connection stops with KILL QUERY."""

    command: Command

    def __repr__(self):
        return f"killed {self.command!r}"


@dataclasses.dataclass
class Script:
    login: Login
    steps: list
    polite: bool = True
    seed: object = None
    kind: str = ""


class Closed(Exception):
    """The server side closed the connection; that is an answer, too."""


class Session:
    """One run of a script."""

    def __init__(self, address, script, tls, patience=None):
        self.script, self.tls, self.address = script, tls, address
        self.stream = Stream(address, **({"patience": patience} if patience else {}))
        self.heard, self.step, self.sequence = [], -1, 0
        self.statements, self.nonce, self.plugin, self.connection_id, self.capabilities, self.greeting = [], b"", b"", 0, 0, b""

    def run(self):
        try:
            self._login(self.script.login)
            for self.step, step in enumerate(self.script.steps):
                if isinstance(step, Killed):
                    self._killed(step)
                else:
                    self._step(step)
            if self.script.polite:
                self.stream.send(framed(b"\x01"))
                self._hear(self.stream.rest(), "after COM_QUIT")
        except (EOFError, Closed):
            self._hear(b"", "closed")
        finally:
            self.stream.close()
        return self.heard

    def _hear(self, data, label):
        if data or label == "closed":
            self.heard.append(Heard(self.step, label, data))

    # --- packets ---

    def _packet(self, mask=None):
        """The next payload, joined when it is longer than a packet may be. Each packet of it is heard."""
        whole = b""
        while True:
            head = self.stream.exactly(4)
            size = int.from_bytes(head[:3], "little")
            payload = self.stream.exactly(size)
            self.sequence = head[3]
            shown = (mask or masked)(payload)
            # What is masked may have another length: the header tells that one.
            self._hear((head if len(shown) == size else len(shown).to_bytes(3, "little") + head[3:]) + shown, f"sequence {head[3]}")
            whole = whole + payload if whole else payload
            if size < MOST:
                return whole

    # --- login ---

    def _login(self, login):
        greeting = self._packet(self._masked_greeting)
        self.greeting = greeting
        if greeting[:1] == b"\xff":
            raise Closed
        self.server, self.connection_id, self.nonce, self.plugin, server_capabilities, _ = parsed_greeting(greeting)
        capabilities = login.capabilities | PROTOCOL_41 | SECURE_CONNECTION | (CONNECT_WITH_DB if login.database is not None else 0)
        capabilities |= SSL if self.tls else 0
        self.capabilities = capabilities & (server_capabilities | SSL)
        head = struct.pack("<IIB19xI", self.capabilities, 1 << 26, login.collation, login.mariadb)
        sequence = 1
        if self.tls:
            self.stream.send(framed(head, sequence))
            self.stream.secure()
            sequence += 1
        plugin = login.plugin or self.plugin
        answer = login.auth(plugin, self.nonce)
        body = head + login.user.encode() + b"\0" + (lenenc(answer) if self.capabilities & PLUGIN_AUTH_LENENC else bytes([len(answer)]) + answer)
        if login.database is not None:
            body += login.database.encode() + b"\0"
        if self.capabilities & PLUGIN_AUTH:
            body += plugin + b"\0"
        if self.capabilities & CONNECT_ATTRS:
            body += lenenc(login.attributes)
        self.stream.send(framed(body, sequence))
        if not self._authenticate(login):
            self._hear(self.stream.rest(), "after the refusal")
            raise Closed

    def _authenticate(self, login):
        while True:
            packet = self._packet(self._masked_switch)
            if packet[:1] == b"\x00":
                return True
            if packet[:1] == b"\xff":
                return False
            if packet[:1] == b"\xfe":
                plugin, _, nonce = packet[1:].partition(b"\0")
                self.nonce = nonce.rstrip(b"\0")
                self.stream.send(framed(login.auth(plugin, self.nonce), self.sequence + 1))
            elif packet == b"\x01\x04" and self.tls:
                self.stream.send(framed(login.password.encode() + b"\0", self.sequence + 1))
            elif packet == b"\x01\x04":
                # Without TLS it is the server's RSA key that hides the password.
                self.stream.send(framed(b"\x02", self.sequence + 1))
            elif packet.startswith(b"\x01-----BEGIN"):
                self.stream.send(framed(self._encrypted(login.password, packet[1:]), self.sequence + 1))
            elif packet != b"\x01\x03":
                raise AssertionError(f"authentication went on with {packet!r}")

    def _encrypted(self, password, key):
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding

        hidden = bytes(a ^ self.nonce[i % len(self.nonce)] for i, a in enumerate(password.encode() + b"\0"))
        sha1 = hashes.SHA1()
        return serialization.load_pem_public_key(key).encrypt(hidden, padding.OAEP(padding.MGF1(sha1), sha1, None))

    @staticmethod
    def _masked_greeting(payload):
        if payload[:1] == b"\xff":
            return payload
        end = payload.index(0, 1)
        out = bytearray(payload)
        out[end + 1 : end + 5] = b"conn"
        out[end + 5 : end + 13] = b"noncenon"
        capabilities = int.from_bytes(out[end + 14 : end + 16] + out[end + 19 : end + 21], "little") & ~(WITHHELD | SSL)
        out[end + 14 : end + 16], out[end + 19 : end + 21] = (capabilities & 0xFFFF).to_bytes(2, "little"), (capabilities >> 16).to_bytes(2, "little")
        if not capabilities & LONG_PASSWORD:
            extended = int.from_bytes(out[end + 28 : end + 32], "little") & ~MARIADB_WITHHELD
            out[end + 28 : end + 32] = extended.to_bytes(4, "little")
        out[end + 32 : end + 44] = b"noncenonceno"
        return bytes(out)

    @staticmethod
    def _masked_switch(payload):
        if payload[:1] == b"\xfe" and len(payload) > 1:
            plugin, _, nonce = payload[1:].partition(b"\0")
            return b"\xfe" + plugin + b"\0" + b"#" * len(nonce)
        return payload

    @staticmethod
    def _masked_statement(payload):
        # MariaDB counts statements over all sessions.
        return b"\0stmt" + payload[5:] if payload[:1] == b"\0" else masked(payload)

    # --- commands ---

    def _step(self, step):
        sent = []
        payloads = [command.payload(self) if callable(command.payload) else command.payload for command in step.commands]
        for payload in payloads:
            sent.append(framed(payload))
        self.stream.send(b"".join(sent))
        for command, payload in zip(step.commands, payloads):
            self._answer(command, payload)

    def _killed(self, step):
        import threading

        payload = step.command.payload
        self.stream.send(framed(payload))
        done = threading.Event()
        killer = threading.Thread(target=self._kill, args=(done,))
        killer.start()
        try:
            self._answer(step.command, payload)
        finally:
            done.set()
            killer.join()

    def _kill(self, done):
        import pymysql

        # Again and again: the first may come before the statement has begun.
        with pymysql.connect(host=self.address[0], port=self.address[1], user="root", autocommit=True) as other, other.cursor() as cursor:
            while not done.wait(0.05):
                cursor.execute(
                    "SELECT COUNT(*) FROM information_schema.processlist WHERE id = %s AND info LIKE '%%SLEEP%%' AND command <> 'Sleep'", (self.connection_id,)
                )
                if cursor.fetchone()[0]:
                    cursor.execute(f"KILL QUERY {self.connection_id}")
                    return

    def _answer(self, command, payload):
        kind = payload[0] if payload else None
        if kind in (LONG_DATA, STMT_CLOSE):
            return
        if kind == QUIT:
            self._hear(self.stream.rest(), "after COM_QUIT")
            raise Closed
        if kind == CHANGE_USER:
            self.statements.clear()
            # After a refusal some servers go on and some close: what comes next tells.
            self._authenticate(command.login)
        elif kind == STATISTICS:
            self._packet(lambda _: b"statistics")
        elif kind == PREPARE:
            self._prepared()
        elif kind in (QUERY, EXECUTE, BULK):
            self._results(command, cursor=kind == EXECUTE and payload[5:6] not in (b"", b"\0"))
        elif kind == FETCH:
            self._rows()
        elif kind == FIELD_LIST:
            self._rows()
        else:
            packet = self._packet()
            if kind == RESET_CONNECTION and packet[:1] == b"\x00":
                self.statements.clear()

    def _prepared(self):
        packet = self._packet(self._masked_statement)
        if packet[:1] == b"\xff":
            self.statements.append(None)
            return
        number, columns, parameters = struct.unpack_from("<IHH", packet, 1)
        self.statements.append(number)
        for count in (parameters, columns):
            if count:
                for _ in range(count + (0 if self.capabilities & DEPRECATE_EOF else 1)):
                    self._packet()

    def _results(self, command, cursor):
        """`cursor`: one was asked for. MariaDB sets its flag too for those that a procedure opens for itself."""
        files = iter(command.files)
        while True:
            packet = self._packet()
            if packet[:1] == b"\xff":
                return
            if packet[:1] == b"\x00":
                status = self._ok_status(packet)
            elif packet[:1] == b"\xfb":
                self._send_file(next(files, b""))
                continue
            else:
                columns, _ = read_lenint(packet, 0)
                for _ in range(columns):
                    self._packet()
                if not self.capabilities & DEPRECATE_EOF:
                    packet = self._packet()
                    if packet[:1] == b"\xff":
                        # A cursor that MySQL could not open after all.
                        return
                    status = int.from_bytes(packet[3:5], "little")
                    if cursor and status & CURSOR_EXISTS and not status & MORE_RESULTS:
                        return
                status = self._rows()
                if status is None:
                    return
            if not status & MORE_RESULTS:
                return

    def _send_file(self, data):
        sequence = self.sequence + 1
        out = bytearray()
        for at in range(0, len(data), 4000):
            out += framed(data[at : at + 4000], sequence)
            sequence += 1
        self.stream.send(bytes(out) + framed(b"", sequence))

    def _rows(self):
        """Reads rows to their end; the status there, None after an error."""
        while True:
            packet = self._packet()
            if packet[:1] == b"\xff":
                return None
            if packet[:1] == b"\xfe":
                if self.capabilities & DEPRECATE_EOF and len(packet) < MOST:
                    return self._ok_status(packet)
                if len(packet) < 9:
                    return int.from_bytes(packet[3:5], "little")

    @staticmethod
    def _ok_status(packet):
        _, at = read_lenint(packet, 1)
        _, at = read_lenint(packet, at)
        return int.from_bytes(packet[at : at + 2], "little")


def masked(payload):
    """Errors that name a statement's id, alone or as a row of SHOW ERRORS, without it."""
    if len(payload) < 300 and (b"statement (" in payload or b"handler (" in payload):
        payload = re.sub(rb".The statement \(\d+\)", b"The statement (id)", re.sub(rb"handler \(\d+\)", b"handler (id)", payload))
    if len(payload) < 300 and b" at row " in payload:
        # MariaDB counts the rows of the statements before as well, when a call's arguments are wrong.
        payload = re.sub(rb" at row \d+", b" at row n", payload)
    return payload


def parsed_greeting(payload):
    """(server version, connection id, nonce, plugin, capabilities, MariaDB's own capabilities)"""
    end = payload.index(0, 1)
    capabilities = int.from_bytes(payload[end + 14 : end + 16] + payload[end + 19 : end + 21], "little")
    extended = 0 if capabilities & LONG_PASSWORD else int.from_bytes(payload[end + 28 : end + 32], "little")
    nonce = payload[end + 5 : end + 13] + payload[end + 32 : end + 44]
    return payload[1:end].decode(), int.from_bytes(payload[end + 1 : end + 5], "little"), nonce, payload[end + 45 :].rstrip(b"\0"), capabilities, extended
