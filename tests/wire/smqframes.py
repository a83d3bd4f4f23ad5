"""
tests/wire/smqframes.py: SMQ frames as values, with a readable repr; no sockets in here.

The numbers come from client/smq_wire.h; test_numbers.py checks them against the protocol page.
Tests import all of this from smqwire.
"""

import collections
import pathlib
import re
import struct

TOP = pathlib.Path(__file__).resolve().parents[2]
PATH = "/smq.lsp"  # what the default config serves


# ---- The protocol's numbers: read from the header that the server is built with ----------------


class _Wire:
    """The constants of client/smq_wire.h, under their C names (test_numbers.py pins the values)."""

    def __init__(self):
        text = (TOP / "client" / "smq_wire.h").read_text()
        for name, value in re.findall(r"#define (SMQ_\w+)\s+(\w+?)u?\s", text):
            if re.fullmatch(r"0x[0-9A-Fa-f]+|\d+", value):
                setattr(self, name, int(value, 0))
        for name, value in re.findall(r"(SMQ_(?:CONNACK|ACK)_\w+) = (\d+)", text):
            setattr(self, name, int(value))
        self.packets = {}  # name: (type, smallest body in bytes, who sends it)
        for name, value, body_bytes_min, sender in re.findall(
            r"\bX\((\w+), (\d+), (\d+), SMQ_FROM_(\w+)\)", text
        ):
            setattr(self, "SMQ_" + name, int(value))
            self.packets[name] = (int(value), int(body_bytes_min), sender)
        self.names = {value: name for name, (value, _, _) in self.packets.items()}


wire = _Wire()


# ---- Frames ------------------------------------------------------------------------------------


class Frame(collections.namedtuple("Frame", "type body")):
    """One SMQ frame, without its length. Compares by value; prints so that a person can read it."""

    __slots__ = ()

    def __bytes__(self):
        return raw_frame(self.type, self.body)

    def u32(self, offset):
        return struct.unpack_from("!I", self.body, offset)[0]

    def __repr__(self):
        body = self.body
        name = wire.names.get(self.type, f"type {self.type}").capitalize()
        fields = []
        if name in ("Publish", "Pubfrag") and len(body) >= 12:
            fields = [
                f"{k}={v:#x}"
                for k, v in zip(("to", "from", "sub"), struct.unpack_from("!III", body))
            ]
            body = body[12:]
        elif name == "Change" and len(body) == 8:
            fields, body = ["id={:#x} count={}".format(*struct.unpack("!II", body))], b""
        elif name in ("Connack", "Suback", "Createack", "Createsuback", "Init") and len(body) >= 5:
            word = "version={} seed={:#x}" if name == "Init" else "code={} id={:#x}"
            fields, body = [word.format(*struct.unpack_from("!BI", body))], body[5:]
        elif name in ("Unsubscribe", "Observe", "Unobserve") and len(body) == 4:
            fields, body = [f"id={struct.unpack('!I', body)[0]:#x}"], b""
        if body:
            fields.append(
                repr(body) if len(body) <= 48 else f"{body[:40]!r}+{len(body) - 40} bytes"
            )
        return f"{name}({' '.join(fields)})"


def raw_frame(frame_type, body=b"", length=None):
    """The bytes of a frame; @length lies about its size when given."""
    if length is None:
        length = wire.SMQ_HEADER_BYTES + len(body)
    return struct.pack("!HB", length, frame_type) + body


def as_bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def connect_frame(uid, credentials=b"", info=b"", version=1, max_record=0):
    body = bytes([version])
    if version == 2:
        body += struct.pack("!H", max_record)
    for part in (as_bytes(uid), as_bytes(credentials)):
        body += bytes([len(part)]) + part
    return Frame(wire.SMQ_CONNECT, body + as_bytes(info))


def publish(destination, publisher, payload=b"", stid=0):
    return Frame(
        wire.SMQ_PUBLISH, struct.pack("!III", destination, publisher, stid) + as_bytes(payload)
    )


def pubfrag(destination, publisher, payload=b"", stid=0):
    return Frame(wire.SMQ_PUBFRAG, publish(destination, publisher, payload, stid).body)


def change(of, count):
    return Frame(wire.SMQ_CHANGE, struct.pack("!II", of, count))


def ack(frame_type, status, number, name):
    return Frame(frame_type, struct.pack("!BI", status, number) + as_bytes(name))


def suback(tid, name, status=0):
    return ack(wire.SMQ_SUBACK, status, tid, name)


def createack(tid, name, status=0):
    return ack(wire.SMQ_CREATEACK, status, tid, name)


def createsuback(stid, name, status=0):
    return ack(wire.SMQ_CREATESUBACK, status, stid, name)


def named(frame_type, name):
    return Frame(frame_type, as_bytes(name))


def subscribe(name):
    return named(wire.SMQ_SUBSCRIBE, name)


def create(name):
    return named(wire.SMQ_CREATE, name)


def createsub(name):
    return named(wire.SMQ_CREATESUB, name)


def numbered(frame_type, number):
    return Frame(frame_type, struct.pack("!I", number))


def unsubscribe(tid):
    return numbered(wire.SMQ_UNSUBSCRIBE, tid)


def observe(number):
    return numbered(wire.SMQ_OBSERVE, number)


def unobserve(number):
    return numbered(wire.SMQ_UNOBSERVE, number)


def disconnect(reason=b""):
    return Frame(wire.SMQ_DISCONNECT, as_bytes(reason))


PING = Frame(wire.SMQ_PING, b"")
PONG = Frame(wire.SMQ_PONG, b"")


def http_head(path=PATH, version="1.0", headers=("SimpleMQ: 1",), method="GET", newline="\r\n"):
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""]
    return newline.join(lines).encode("latin-1")
