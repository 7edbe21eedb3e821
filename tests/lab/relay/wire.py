"""A socket that is read in exact pieces, what was read of it, and the first difference of two readings."""

import dataclasses
import socket
import ssl
import time

# An answer that takes longer than this never comes.
PATIENCE = 20


class Hangs(AssertionError):
    """The server side did not answer completely in time."""


class Stream:
    def __init__(self, address, patience=PATIENCE):
        self.socket, self.patience = socket.create_connection(address, timeout=patience), patience
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.at = b"", 0

    def secure(self, alpn=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(alpn)
        self.socket = context.wrap_socket(self.socket)

    def exactly(self, size):
        """`size` bytes; EOFError when the server side closes before."""
        if len(self.buffer) - self.at < size:
            pieces, have = [self.buffer[self.at :]], len(self.buffer) - self.at
            while have < size:
                try:
                    piece = self.socket.recv(max(65536, min(size - have, 1 << 20)))
                except TimeoutError:
                    raise Hangs(f"no answer for {self.patience} s; {have} of {size} bytes came: {b''.join(pieces)[:200]!r}") from None
                except (ConnectionResetError, ssl.SSLError):
                    piece = b""
                if not piece:
                    self.buffer, self.at = b"".join(pieces), 0
                    raise EOFError(f"closed after {have} of {size} bytes")
                pieces.append(piece)
                have += len(piece)
            self.buffer, self.at = b"".join(pieces), 0
        self.at += size
        return self.buffer[self.at - size : self.at]

    def send(self, data):
        """Sends everything. A server side that closes meanwhile is found when its answer is read."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        except TimeoutError:
            raise Hangs(f"{len(data)} bytes are not taken") from None

    def rest(self):
        """What comes until the server side closes, which it must."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                break
            except (ConnectionResetError, ssl.SSLError):
                piece = b""
            if not piece:
                out, self.buffer, self.at = self.buffer[self.at :], b"", 0
                return out
            self.buffer, self.at = self.buffer[self.at :] + piece, 0
        raise Hangs("the connection is not closed")

    def close(self):
        self.socket.close()


@dataclasses.dataclass
class Heard:
    """One packet or message of the server side: the step that it answers, and its masked bytes."""

    step: int
    label: str
    data: bytes

    def show(self, around=0):
        start = max(0, around - 40)
        piece = self.data[start : start + 160]
        return f"{len(self.data)} bytes{f', from {start}' if start else ''}: {piece!r}"


def difference(direct, through, steps):
    """The first difference of two transcripts in words, or None."""
    for number, (ours, theirs) in enumerate(zip(through, direct)):
        if ours.data != theirs.data or ours.step != theirs.step:
            at = next((i for i, (a, b) in enumerate(zip(ours.data, theirs.data)) if a != b), min(len(ours.data), len(theirs.data)))
            return "\n".join(
                [
                    f"packet {number} differs at byte {at}",
                    f"  answers step {theirs.step} directly: {_shown(steps, theirs.step)}",
                    *([f"  answers step {ours.step} through Flashgate: {_shown(steps, ours.step)}"] if ours.step != theirs.step else []),
                    f"  direct:  {theirs.label}, {theirs.show(at)}",
                    f"  through: {ours.label}, {ours.show(at)}",
                    *(f"  before:  {one.label}, {one.show()}" for one in direct[max(0, number - 3) : number]),
                ]
            )
    if len(direct) != len(through):
        longer, where = (direct, "through Flashgate is missing") if len(direct) > len(through) else (through, "only through Flashgate comes")
        extra = longer[min(len(direct), len(through))]
        return (
            f"{where} (of {abs(len(direct) - len(through))} packets) in answer to step {extra.step}, {_shown(steps, extra.step)}: {extra.label}, {extra.show()}"
        )
    return None


def _shown(steps, number):
    return str(steps[number])[:600] if 0 <= number < len(steps) else "the login"
