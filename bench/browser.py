"""bench/browser.py: as much of a browser as the web UI's pages need: log in, ask the API, and be an
SMQ client of the admin instance over WebSocket. And a device that comes and goes.

Blocking sockets with a time-out; every failure is an OSError or a RuntimeError.
"""

import base64
import http.client
import json
import os
import select
import socket
import struct
import time

TIMEOUT_SECONDS = 30
INIT, CONNECT, CONNACK, SUBSCRIBE, SUBACK, PUBLISH = 1, 2, 3, 4, 5, 8
FINAL_BINARY, MASKED, LENGTH_IS_16, NO_MASK = 0x82, 0x80, 126, bytes(4)


def connect_body(uid):
    return bytes([1, len(uid)]) + uid + b"\0"


class Browser:
    """Logged in; with subscribe() also connected to the admin instance."""

    def __init__(self, port, user, password):
        self.port = port
        self.headers = {}
        answer, body = self.ask("POST", "api/login", {"user": user, "password": password})
        if answer.status != 200:
            raise RuntimeError(f"log-in: {answer.status} {body[:100]!r}")
        self.headers = {"Cookie": answer.getheader("Set-Cookie").split(";")[0]}
        self.path = json.loads(body)["smq"]
        self.line = None
        self.buffer = b""
        self.topics = {}  # TID: name
        self.counts = {}  # name: messages
        self.received_bytes = 0

    def ask(self, method, path, value=None):
        """The answer and its body."""
        headers = dict(self.headers)
        if value is not None:
            headers |= {"Content-Type": "application/json", "X-Smqd": "1"}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        try:
            line.request(method, f"/{path}", None if value is None else json.dumps(value), headers)
            answer = line.getresponse()
            return answer, answer.read()
        finally:
            line.close()

    def get(self, path):
        """What the API says, as Python's own values."""
        answer, body = self.ask("GET", f"api/{path}")
        if answer.status != 200:
            raise RuntimeError(f"api/{path}: {answer.status} {body[:100]!r}")
        return json.loads(body)

    # -- the admin instance --

    def subscribe(self, topics):
        """Connect to the admin instance and subscribe to @topics."""
        self.line = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_SECONDS)
        self.buffer = b""
        host = f"127.0.0.1:{self.port}"
        head = [
            f"GET {self.path} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}",
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"Cookie: {self.headers['Cookie']}",
        ]  # fmt: skip
        self.line.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        answer, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"no upgrade: {answer[:60]!r}")
        self.expect(INIT)
        self.say(CONNECT, connect_body(b"smqbench-browser"))
        if self.expect(CONNACK)[0] != 0:
            raise RuntimeError("the admin instance refused us")
        for name in topics:
            self.say(SUBSCRIBE, name.encode())
            ack = self.expect(SUBACK)
            if ack[0] != 0:
                raise RuntimeError(f"no such topic: {name}")
            self.topics[struct.unpack_from("!I", ack, 1)[0]] = name
            self.counts.setdefault(name, 0)

    def leave(self):
        if self.line is not None:
            self.line.close()
            self.line = None

    def say(self, kind, body):
        length = 1 + len(body)
        short = bytes([MASKED | length])
        wide = bytes([MASKED | LENGTH_IS_16]) + struct.pack("!H", length)
        head = bytes([FINAL_BINARY]) + (short if length < LENGTH_IS_16 else wide)
        self.line.sendall(head + NO_MASK + bytes([kind]) + body)

    def receive(self):
        data = self.line.recv(1 << 16)
        if not data:
            raise RuntimeError("the admin instance closed the connection")
        self.buffer += data
        self.received_bytes += len(data)

    def next_packet(self):
        """(type, body) of the next whole message in the buffer, or None."""
        if len(self.buffer) < 2:
            return None
        first, length, at = self.buffer[0], self.buffer[1], 2
        if length == LENGTH_IS_16:
            if len(self.buffer) < 4:
                return None
            length, at = struct.unpack_from("!H", self.buffer, 2)[0], 4
        if len(self.buffer) < at + length:
            return None
        message = self.buffer[at : at + length]
        self.buffer = self.buffer[at + length :]
        return (message[0], message[1:]) if first == FINAL_BINARY else (None, message)

    def take(self, packet):
        """Count a message of a topic."""
        kind, body = packet
        if kind == PUBLISH:
            name = self.topics.get(struct.unpack_from("!I", body)[0])
            if name is not None:
                self.counts[name] += 1

    def expect(self, kind):
        """The body of the next packet of @kind; messages before it are counted."""
        while True:
            packet = self.next_packet()
            if packet is None:
                self.receive()
            elif packet[0] == kind:
                return packet[1]
            else:
                self.take(packet)

    def listen(self, until):
        """Count messages until time.monotonic() is @until."""
        while (left := until - time.monotonic()) > 0:
            if self.line is None:
                time.sleep(left)
            elif select.select([self.line], [], [], left)[0]:
                self.receive()
                while (packet := self.next_packet()) is not None:
                    self.take(packet)


def device_visit(port, uid, path="/smq.lsp"):
    """A device connects, is accepted, and is gone again."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as line:
        body = connect_body(uid)
        head = f"GET {path} HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n".encode()
        line.sendall(head + struct.pack("!HB", 3 + len(body), CONNECT) + body)
        answer = b""
        while len(answer) < 2 or len(answer) < struct.unpack_from("!H", answer)[0] + 8:
            data = line.recv(1024)
            if not data:
                raise RuntimeError("a device was turned away")
            answer += data
