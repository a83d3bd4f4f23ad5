"""
tests/wire/proxy.py: a line between client and server that is not a good one.

    with Proxy(server_address, up=single_bytes, down=whole) as proxy:
        client = Client(proxy.address, "client")

A way (up: to the server, down: to the client) is a function (line, data, offset) that passes on what
comes, with line.send(); @offset is how many bytes came before on this way. A line's other verbs:
reset(), half_close(), and wait() for the test's proxy.release().
"""

import contextlib
import socket
import struct
import threading
import time

PATIENCE_S = 60  # of a line that waits to be released


def whole(line, data, offset):
    line.send(data)


def single_bytes(line, data, offset):
    """Each byte in a segment of its own."""
    for at in range(len(data)):
        line.send(data[at : at + 1])


def late(line, data, offset):
    """A little while after it came."""
    time.sleep(0.002)
    line.send(data)


def _at(place, act):
    """Pass on what comes before the byte @place; there, act(line, rest) decides."""

    def way(line, data, offset):
        if not offset <= place < offset + len(data):
            line.send(data)
            return
        line.send(data[: place - offset])
        act(line, data[place - offset :])

    return way


def stall_at(place):
    """Nothing more until the test says release()."""

    def act(line, rest):
        line.wait()
        line.send(rest)

    return _at(place, act)


def reset_at(place):
    return _at(place, lambda line, rest: line.reset())


def half_close_at(place):
    """The end of the stream on this way; the other goes on."""
    return _at(place, lambda line, rest: line.half_close())


def corrupt_at(place):
    return _at(place, lambda line, rest: line.send(bytes([rest[0] ^ 0xFF]) + rest[1:]))


class _Line:
    """One way of one connection."""

    def __init__(self, proxy, source, sink, way):
        self.proxy, self.source, self.sink, self.way = proxy, source, sink, way
        self.is_over = False

    def send(self, data):
        if data and not self.is_over:
            self.sink.sendall(data)

    def wait(self):
        self.proxy.stalled.set()
        self.proxy.released.wait(PATIENCE_S)

    def half_close(self):
        self.is_over = True
        with contextlib.suppress(OSError):
            self.sink.shutdown(socket.SHUT_WR)

    def reset(self):
        self.is_over = True
        for side in (self.source, self.sink):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.shutdown(socket.SHUT_RD)  # ends the other way's recv
        self.proxy.drop(self.source, self.sink)

    def run(self):
        offset = 0
        try:
            while data := self.source.recv(65536):
                self.way(self, data, offset)
                offset += len(data)
        except OSError:
            pass  # the other side has gone
        self.half_close()


class Proxy:
    """Listens on a port of its own, and calls @server for each who comes."""

    def __init__(self, server, up=whole, down=whole):
        self.server, self.up, self.down = server, up, down
        self.stalled, self.released = threading.Event(), threading.Event()
        self._sockets, self._lock = set(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.server)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets |= {client, server}
                for line in (
                    _Line(self, client, server, self.up),
                    _Line(self, server, client, self.down),
                ):
                    threading.Thread(target=line.run, daemon=True).start()

    def drop(self, *sides):
        for side in sides:
            side.close()

    def release(self):
        self.released.set()

    def close(self):
        self.release()
        with self._lock:
            for each in (self._listener, *self._sockets):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
