#!/usr/bin/env python3
"""bench/openssl_devices.py: idle devices whose TLS is OpenSSL's, with nothing set.

    bench/openssl_devices.py --connect 127.0.0.1:PORT --ca FILE --pid PID [--connections N]
                             [--seconds S]

Such a client puts AES-256-GCM first, and smqd takes what a client prefers. smqbench cannot ask for
that: BoringSSL's clients put AES-128-GCM first, and nothing changes it. So this is `smqbench idle`
once more, as far as it is needed: connect and subscribe, each to a topic of its own, a few at a
time; be silent for S seconds; prove that all are still there. One JSON object on stdout, with
smqbench's names. Every connection must have got AES-256-GCM. Exit 1 when a device failed.
"""

import argparse
import concurrent.futures
import json
import os
import resource
import socket
import ssl
import struct
import sys
import time

from cgroup import rss_bytes

SUITE = "TLS_AES_256_GCM_SHA384"
TIMEOUT_SECONDS = 20.0
AT_A_TIME = 8
SOURCE_COUNT = 16  # addresses: one has ports for 28,000
CONNECT, SUBSCRIBE, PING = 2, 4, 12
INIT, CONNACK, SUBACK, PONG = 1, 3, 5, 13
NO_RECORD_MAX = 0


class Failed(Exception):
    """The broker said something else than it should."""


class Device:
    """One connection, subscribed when it has been made. Raises Failed and OSError."""

    def __init__(self, context, address, index):
        source = (f"127.0.0.{2 + index % SOURCE_COUNT}", 0)
        plain = socket.create_connection(address, TIMEOUT_SECONDS, source)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line = context.wrap_socket(plain, server_hostname=address[0])
        if self.line.cipher()[0] != SUITE:
            raise Failed(f"{self.line.cipher()[0]} instead of {SUITE}")
        self.line.sendall(b"GET /smq.lsp HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n")
        self.expect(INIT)
        uid = b"ossl" + struct.pack(">II", os.getpid(), index)
        self.send(CONNECT, struct.pack(">BHB", 2, NO_RECORD_MAX, len(uid)) + uid + b"\0")
        self.accepted(CONNACK)
        self.send(SUBSCRIBE, b"o%u.%u" % (os.getpid(), index))
        self.accepted(SUBACK)

    def send(self, kind, body=b""):
        self.line.sendall(struct.pack(">HB", 3 + len(body), kind) + body)

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.line.recv(count - len(data))
            if not piece:
                raise Failed("the broker closed a connection")
            data += piece
        return data

    def expect(self, wanted):
        """The body of the next packet, which must be of this kind. Pings are answered."""
        while True:
            length, kind = struct.unpack(">HB", self.read(3))
            body = self.read(length - 3)
            if kind == wanted:
                return body
            if kind != PING:
                raise Failed(f"a packet of kind {kind} instead of {wanted}")
            self.send(PONG)

    def accepted(self, kind):
        body = self.expect(kind)
        if body[0] != 0:
            raise Failed(f"a packet of kind {kind} says {body[0]}")


def run(options):
    """All of it; the JSON object."""
    host, _, port = options.connect.rpartition(":")
    context = ssl.create_default_context(cafile=options.ca)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    start = time.monotonic()
    before = rss_bytes(options.pid)
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        devices = list(
            pool.map(
                lambda index: Device(context, (host, int(port)), index), range(options.connections)
            )
        )
    setup = time.monotonic() - start
    each = (rss_bytes(options.pid) - before) / max(len(devices), 1)
    time.sleep(options.seconds)
    for device in devices:
        device.send(PING)
        device.expect(PONG)
    return {
        "ok": True, "setup_s": setup, "suite": SUITE,
        "server": {"rss_bytes_per_connection": each},
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description="idle devices whose TLS is OpenSSL's")
    parser.add_argument("--connect", required=True, metavar="HOST:PORT")
    parser.add_argument("--ca", required=True, metavar="FILE")
    parser.add_argument("--pid", required=True, type=int)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4.0)
    try:
        result = run(parser.parse_args())
    except (Failed, OSError) as error:
        print(f"openssl_devices: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
