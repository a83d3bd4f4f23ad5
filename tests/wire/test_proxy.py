"""
tests/wire/test_proxy.py: raw, TLS and WebSocket over lines that are not good ones (proxy.py).

Goal: how bytes are cut and when they come changes nothing; where a line ends or lies, at any byte of a
conversation, its client is gone and nothing else. What is left behind is checked by WireTest.
"""

import ssl

from proxy import (
    Proxy,
    corrupt_at,
    half_close_at,
    late,
    reset_at,
    single_bytes,
    stall_at,
    whole,
)
from smqwire import (
    PATH,
    Client,
    Closed,
    WireTest,
    connect_frame,
    http_head,
    plain_only,
    publish,
    raw_only,
)
from smqws import WsSocket

LARGE = bytes(range(256)) * 20
STEP = 23  # bytes between the places where a line breaks: no two in the same field of a frame


@plain_only("they speak TLS by themselves")
@raw_only("they speak WebSocket by themselves")
class ProxyTest(WireTest):
    args = ("--listen", "tcp://127.0.0.1:0", "--listen", "tls://127.0.0.1:0")

    def speak(self, proxy, tls, websocket):
        """A connected client behind @proxy."""
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = Client(proxy.address, "client behind the proxy", tls=context)
        self.addCleanup(client.close)
        if websocket:
            client.socket = WsSocket(client.socket)
        client.uid = self.new_uid()
        client.send(http_head(PATH))
        client.read_init()
        client.send(connect_frame(client.uid))
        client.read_connack()
        return client

    def echo(self, client, *payloads):
        topic = client.subscribe(f"echo of {client.etid}")
        for payload in payloads:
            client.publish(topic, payload)
            client.expect(publish(topic, client.etid, payload))

    def ways_to_speak(self):
        for name, tls, websocket in (
            ("raw", False, False),
            ("TLS", True, False),
            ("WebSocket", False, True),
            ("WebSocket over TLS", True, True),
        ):
            with self.subTest(name):
                yield tls, websocket

    def over(self, tls, up=whole, down=whole):
        proxy = Proxy(self.server.listeners[1 if tls else 0], up, down)
        self.addCleanup(proxy.close)
        return proxy

    def test_single_bytes_both_ways(self):
        for tls, websocket in self.ways_to_speak():
            client = self.speak(self.over(tls, single_bytes, single_bytes), tls, websocket)
            self.echo(client, b"", b"some", LARGE)

    def test_what_comes_late(self):
        for tls, websocket in self.ways_to_speak():
            self.echo(self.speak(self.over(tls, late, late), tls, websocket), b"some", LARGE)

    def test_a_line_that_stalls_holds_up_nobody_else(self):
        for tls, websocket in self.ways_to_speak():
            proxy = self.over(tls, up=stall_at(3000))  # within what is published
            client = self.speak(proxy, tls, websocket)
            topic = client.subscribe(f"stall of {client.etid}")
            client.publish(topic, LARGE)
            proxy.stalled.wait()
            self.connect().expect_nothing()
            proxy.release()
            client.expect(publish(topic, client.etid, LARGE))

    def everywhere(self, breaks, both_ways=True):
        """A conversation for each place where its line breaks, until it is over before."""
        for tls, websocket in self.ways_to_speak():
            for way in ("up", "down") if both_ways else ("up",):
                for place in range(0, 4000, STEP):
                    proxy = self.over(tls, **{way: breaks(place)})
                    try:
                        self.echo(self.speak(proxy, tls, websocket), b"some", LARGE[:600])
                    except (Closed, OSError, ssl.SSLError):
                        continue  # as it should be
                    finally:
                        proxy.close()
                    break
                self.connect().expect_nothing()

    def test_a_reset_anywhere(self):
        self.everywhere(reset_at)

    def test_an_end_of_the_stream_anywhere(self):
        self.everywhere(half_close_at, both_ways=False)

    def test_over_tls_a_wrong_byte_anywhere_ends_it(self):
        """Handshake or record: nothing that was changed on the way is ever believed."""
        for place in range(0, 4000, STEP):
            proxy = self.over(True, up=corrupt_at(place))
            try:
                client = self.speak(proxy, True, False)
                self.echo(client, b"some", LARGE[:600])
            except (Closed, OSError, ssl.SSLError):
                continue
            finally:
                proxy.close()
            self.assertGreater(place, 1000, "the wrong byte was accepted")
            break

    def test_a_wrong_byte_anywhere_harms_only_whose_it_is(self):
        for place in range(0, 600, 7):
            proxy = self.over(False, up=corrupt_at(place))
            client = Client(proxy.address, "client")
            client.send(http_head(PATH), connect_frame(self.new_uid()))
            client.shut()
            client.read_all()
            client.close()
            proxy.close()
        self.connect().expect_nothing()
