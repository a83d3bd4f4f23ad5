"""
tests/wire/test_numbers.py: the numbers in client/smq_wire.h are the protocol's (§3).

Everything else in this folder reads its numbers from that header. Here they are written down a
second time, from the protocol page, so that a slip in the header cannot pass unseen.
"""

import unittest

from smqwire import wire

# From the table of §3: name, type, bytes before the variable part, who sends it.
PACKETS = {
    "INIT": (1, 5, "SERVER"),
    "CONNECT": (2, 3, "CLIENT"),
    "CONNACK": (3, 5, "SERVER"),
    "SUBSCRIBE": (4, 0, "CLIENT"),
    "SUBACK": (5, 5, "SERVER"),
    "CREATE": (6, 0, "CLIENT"),
    "CREATEACK": (7, 5, "SERVER"),
    "PUBLISH": (8, 12, "BOTH"),
    "UNSUBSCRIBE": (9, 4, "CLIENT"),
    "DISCONNECT": (11, 0, "BOTH"),
    "PING": (12, 0, "BOTH"),
    "PONG": (13, 0, "BOTH"),
    "OBSERVE": (14, 4, "CLIENT"),
    "UNOBSERVE": (15, 4, "CLIENT"),
    "CHANGE": (16, 8, "SERVER"),
    "CREATESUB": (17, 0, "CLIENT"),
    "CREATESUBACK": (18, 5, "SERVER"),
    "PUBFRAG": (19, 12, "CLIENT"),
}


class NumbersTest(unittest.TestCase):
    def test_the_packet_types_are_those_of_the_protocol(self):
        self.assertEqual(wire.packets, PACKETS)

    def test_the_sizes_are_those_of_the_protocol(self):
        self.assertEqual(wire.SMQ_HEADER_BYTES, 3)
        self.assertEqual(wire.SMQ_FRAME_BYTES_MAX, 65535)
        self.assertEqual(wire.SMQ_PAYLOAD_BYTES_MAX, 65520)
        self.assertEqual(wire.SMQ_PUBLISH_HEADER_BYTES + wire.SMQ_PAYLOAD_BYTES_MAX, 65535)
        self.assertEqual(wire.SMQ_UID_BYTES_MIN, 6)
        self.assertEqual((wire.SMQ_RECORD_BYTES_MIN, wire.SMQ_RECORD_BYTES_MAX), (257, 8192))

    def test_the_connack_codes_are_those_of_the_protocol(self):
        self.assertEqual(wire.SMQ_CONNACK_ACCEPTED, 0)
        self.assertEqual(wire.SMQ_CONNACK_BAD_CONNECT, 1)
        self.assertEqual(wire.SMQ_CONNACK_UNAVAILABLE, 2)
        self.assertEqual(wire.SMQ_CONNACK_BAD_CREDENTIALS, 3)
        self.assertEqual(wire.SMQ_CONNACK_CERTIFICATE_REQUIRED, 4)
        self.assertEqual(wire.SMQ_CONNACK_CERTIFICATE_REFUSED, 5)
        self.assertEqual(wire.SMQ_CONNACK_ACCESS_DENIED, 6)

    def test_the_reserved_ids_are_those_of_the_protocol(self):
        self.assertEqual((wire.SMQ_ID_NONE, wire.SMQ_ID_SERVER), (0, 1))
