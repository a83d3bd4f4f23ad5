"""
tests/wire/smqws.py: WebSocket for the wire tests: frames as bytes, and a socket that speaks them.

WsSocket lets any test of raw SMQ run over a WebSocket unchanged (run.py --ws): what the test sends
as raw frames goes out as messages, and what the server says comes back as raw frames.
"""

import base64
import hashlib
import os
import re
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80


def ws_frame(payload, opcode=BINARY, final=True, mask=None, first=None, length_bytes=None):
    """
    A client's frame. @mask: 4 bytes, None: random ones, b"": none (which is wrong).
    @first: another first byte; @length_bytes: a longer form of the length than needed (0, 2, 8).
    """
    mask = os.urandom(4) if mask is None else mask
    head = bytes([(FIN if final else 0) | opcode if first is None else first])
    masked = 0x80 if mask else 0
    if length_bytes is None:
        length_bytes = 0 if len(payload) < 126 else 2 if len(payload) < 65536 else 8
    if length_bytes == 0:
        head += bytes([masked | len(payload)])
    elif length_bytes == 2:
        head += bytes([masked | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", len(payload))
    if mask:
        whole = mask * (len(payload) // 4 + 1)
        payload = (
            int.from_bytes(payload, "big") ^ int.from_bytes(whole[: len(payload)], "big")
        ).to_bytes(len(payload), "big")
    return head + mask + payload


def ws_key():
    return base64.b64encode(os.urandom(16)).decode()


def ws_accept(key):
    """What the server must answer to @key (RFC 6455 §4.2.2)."""
    salted = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(salted.encode()).digest()).decode()


def upgrade_head(path, key, headers=()):
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def split_server_frame(buffer):
    """(opcode, payload, rest) of the server's frame at the front of @buffer; None: not whole."""
    if len(buffer) < 2:
        return None
    first, length = buffer[0], buffer[1]
    assert first & 0xF0 == FIN, f"the server sent a fragment or an extension: {first:#x}"
    assert length < 0x80, "the server masked a frame"
    assert length != 127, "the server used a length of 8 bytes"
    at = 2
    if length == 126:
        if len(buffer) < 4:
            return None
        length, at = struct.unpack_from("!H", buffer, 2)[0], 4
        assert length >= 126, "the server's length is not in its shortest form"
    if len(buffer) < at + length:
        return None
    return first & 0x0F, bytes(buffer[at : at + length]), buffer[at + length :]


class WsSocket:
    """
    A socket on which raw SMQ is spoken, and that speaks WebSocket to the server.

    The test's bootstrap request becomes an upgrade, and each raw frame a message, when it is whole;
    the 101 and the framing are taken off again. The server's WebSocket Ping is shown as an SMQ Ping,
    its Close as the end of the stream.
    """

    def __init__(self, raw):
        self.raw = raw
        self.request, self.sending, self.received = b"", b"", b""
        self.ready = b""  # raw frames for the test
        self.unsent = b""
        self.key = None
        self.is_open = self.is_closed = False

    def _encode(self, data):
        """What goes out for @data; the beginning of a frame waits."""
        out = b""
        if self.key is None:
            self.request += data
            head, end, data = self.request.partition(b"\r\n\r\n")
            if not end:
                return b""
            match = re.match(rb"GET (\S+) HTTP", head)
            self.key = ws_key()
            out = upgrade_head(match[1].decode() if match else "/", self.key)
        self.sending += data
        while len(self.sending) >= 2:
            length = max(2, struct.unpack_from("!H", self.sending)[0])
            if len(self.sending) < length:
                break
            out += ws_frame(self.sending[2:length])
            self.sending = self.sending[length:]
        return out

    def sendall(self, data):
        self.raw.sendall(self.unsent + self._encode(bytes(data)))
        self.unsent = b""

    def send(self, data):
        """Whole or not at all; what the kernel does not take now is kept and counted as not sent."""
        if not self.unsent:
            self.unsent = self._encode(bytes(data))
            taken = len(data)
        else:
            taken = 0
        while self.unsent:
            try:
                self.unsent = self.unsent[self.raw.send(self.unsent) :]
            except TimeoutError:
                if taken:
                    break
                raise
        return taken

    def _decode(self):
        if not self.is_open:
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.ready, self.received = self.ready + self.received, b""
                return
            assert ws_accept(self.key).encode() in head, "the server accepted another key"
            self.is_open, self.received = True, rest
        while not self.is_closed and (frame := split_server_frame(self.received)):
            opcode, payload, self.received = frame
            if opcode == BINARY:
                self.ready += struct.pack("!H", len(payload) + 2) + payload
            elif opcode == PING:
                self.ready += b"\x00\x03\x0c"
            elif opcode == CLOSE:
                self.is_closed = True
            else:
                raise AssertionError(f"the server sent opcode {opcode}")

    def recv(self, count):
        while not self.ready and not self.is_closed:
            data = self.raw.recv(65536)
            if not data:
                return b""
            self.received += data
            self._decode()
        data, self.ready = self.ready[:count], self.ready[count:]
        return data

    def close(self):
        self.raw.close()

    def __getattr__(self, name):
        """The rest is the socket's own: settimeout, setsockopt, shutdown, family ..."""
        return getattr(self.raw, name)
