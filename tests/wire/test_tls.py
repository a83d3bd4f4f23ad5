"""
tests/wire/test_tls.py: what TLS adds: credentials, client certificates, reloads, and bad input.

These servers speak TLS whether run.py was given --tls or not: each makes its own CA at its first
start, as a user's does. Handshakes are OpenSSL's: Python's ssl module, and `openssl s_client`.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import unittest

from smqwire import (
    HANG_S,
    TLS_DIR,
    TOP,
    Client,
    Server,
    TlsSocket,
    WireTest,
    connect_frame,
    http_head,
    tls_context,
    wire,
)

SMQ = os.environ.get("SMQ", str(TOP / "build" / "smq"))


def smq_ca(*words):
    subprocess.run([SMQ, "ca", *words], check=True, capture_output=True)


class TlsServer(Server):
    """Listens at tls:// only, with credentials of its own, or with those of another data_dir."""

    def __init__(self, *settings):
        arguments = ["--listen", "tls://127.0.0.1:0"]
        for setting in settings:
            arguments += ["--set", setting]
        super().__init__(args=arguments)

    def command(self):
        if TLS_DIR:  # the settings of run.py --tls name credentials: here they are to be made
            command = super().command()
            for name in ("ecc_certificate", "ecc_key", "rsa_certificate", "rsa_key"):
                command += ["--set", f"tls.{name}="]
            return command
        return super().command()

    @property
    def ca(self):
        return self.data_dir / "ca"


class TlsClient(Client):
    """A client of a TlsServer, with a context of its own."""

    def __init__(self, server, context=None, label="client"):
        context = context or tls_context(server.ca / "ca.crt")
        super().__init__(server.listeners[0], label, tls=context)

    def join(self, uid=b"uid-tls"):
        self.send(http_head(), connect_frame(uid))
        self.read_init()
        self.read_connack()
        return self


def client_hello(context):
    """The bytes with which a client of @context begins."""
    outgoing = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class TlsTest(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.server = TlsServer(*cls.settings).start()
        cls.addClassCleanup(cls.server.stop)
        cls.server.wait_for_admin()

    def client(self, context=None):
        client = TlsClient(self.server, context)
        self.addCleanup(client.close)
        return client

    def trusting(self):
        return tls_context(self.server.ca / "ca.crt")

    def wait_until(self, condition, what):
        WireTest.wait_until(self, condition, what)

    def warm_up(self):
        """What the library makes at the first handshake stays: it is made by each I/O thread."""
        while not all(actor["tls_handshakes_total"] > 0 for actor in self.server.stats()["io_actors"]):
            with contextlib.suppress(AssertionError, OSError):  # some of these servers are impatient
                self.client().join().close()
        self.wait_until(lambda: self.server.counter("io.open") == 0, "earlier ones are gone")

    def failed(self, kind):
        return self.server.counter(f"tls.failed.{kind}")


class CredentialsTest(TlsTest):
    def certificate(self, context):
        client = self.client(context).join()
        row = next(row for row in self.peers() if row["etid"] == client.etid)
        return client, row

    def peers(self):
        return json.loads(self.server.admin("peers"))["peers"]

    def test_a_fresh_server_serves_certificates_that_verify(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                context = self.trusting()
                context.minimum_version = context.maximum_version = version
                client, row = self.certificate(context)
                self.assertEqual(row["certificate"], "ecc")
                self.assertEqual(row["tls"], client.socket.session.version())
                self.assertGreater(row["handshake_out_bytes"], 0)

    def test_who_does_not_trust_the_ca_does_not_connect(self):
        """In 1.3, OpenSSL sends this alert in the clear, which counts as a bad handshake."""
        before = self.failed("ALERT")
        context = ssl.create_default_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client = self.client(context)
        with self.assertRaises(ssl.SSLCertVerificationError):
            client.socket.handshake()
        client.socket._flush()
        self.wait_until(lambda: self.failed("ALERT") == before + 1, "the alert is counted")

    def test_a_client_without_ecdsa_gets_the_rsa_certificate(self):
        """The signature is made by a thread of its own, and comes back."""
        context = self.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        before = self.server.counter("io.tls_signatures_total")
        _, row = self.certificate(context)
        self.assertEqual(row["certificate"], "rsa")
        self.assertEqual(self.server.counter("io.tls_signatures_total"), before + 1)

    def test_many_rsa_handshakes_at_once_all_end_well(self):
        context = self.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        clients = [self.client(context) for _ in range(50)]
        for client in clients:  # all first flights are out before the first answer is read
            with self.assertRaises(ssl.SSLWantReadError):
                client.socket.session.do_handshake()
            client.socket._flush()
        for i, client in enumerate(clients):
            client.join(f"uid-tls-{i}")

    def test_a_session_is_resumed(self):
        context = self.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        first = self.client(context).join()
        before = self.server.counter("io.tls_resumed_total")
        again = self.client(context)
        again.socket.session = context.wrap_bio(
            again.socket.incoming,
            again.socket.outgoing,
            server_hostname="localhost",
            session=first.socket.session.session,
        )
        again.join(b"uid-tls-again")
        self.assertEqual(self.server.counter("io.tls_resumed_total"), before + 1)

    def test_keys_can_be_read_by_their_owner_only(self):
        keys = [*self.server.ca.rglob("*.key")]
        self.assertEqual(len(keys), 3)
        for key in keys:
            self.assertEqual(key.stat().st_mode & 0o777, 0o600, key)


class SClientTest(TlsTest):
    """`openssl s_client`, another implementation than ours, in every mode."""

    settings = ("tls.client_auth=optional",)
    HEAD = http_head() + b"\0\3\xff"  # ... and what the server closes for

    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl")
        super().setUpClass()

    def s_client(self, *words, data=HEAD, quiet=True):
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}",
             "-servername", "localhost", "-verify_return_error", "-verify_hostname", "localhost",
             "-CAfile", self.server.ca / "ca.crt", *(["-quiet"] if quiet else []), *words],
            input=data, capture_output=True, timeout=HANG_S, check=False,
        )

    def assert_served(self, done):
        self.assertIn(b"127.0.0.1", done.stdout, done.stderr)  # the Init names our address

    def test_versions_suites_groups_and_signatures(self):
        for words in (
            ["-tls1_2"],
            ["-tls1_3"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
            ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"],
            ["-tls1_2", "-sigalgs", "ECDSA+SHA256"],
            ["-tls1_2", "-sigalgs", "RSA+SHA256"],
            ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
            ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
            ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            ["-tls1_3", "-sigalgs", "ECDSA+SHA256"],
            ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"],
            ["-tls1_3", "-groups", "P-256"],
            ["-tls1_3", "-groups", "P-521:P-256"],  # a HelloRetryRequest
        ):
            with self.subTest(words=words):
                self.assert_served(self.s_client(*words))

    def test_what_is_refused(self):
        for words in (
            ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            ["-tls1_2", "-cipher", "AES128-SHA"],
            ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
            ["-tls1_3", "-groups", "P-521"],
            ["-tls1_3", "-sigalgs", "ECDSA+SHA512"],
        ):
            with self.subTest(words=words):
                done = self.s_client(*words)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(b"alert", done.stderr)

    def test_with_a_client_certificate_and_without(self):
        smq_ca("device", "s-client", "--dir", self.server.ca)
        pem = str(self.server.ca / "device" / "s-client.pem")
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=version):
                self.assert_served(self.s_client(version, "-cert", pem, "-key", pem))
                self.assert_served(self.s_client(version))

    def test_resumption(self):
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=version):
                path = str(self.server.directory / f"session{version}")
                self.assert_served(self.s_client(version, "-sess_out", path))
                before = self.server.counter("io.tls_resumed_total")
                self.assert_served(self.s_client(version, "-sess_in", path))
                self.assertEqual(self.server.counter("io.tls_resumed_total"), before + 1)

    def test_early_data_is_not_taken(self):
        """What is sent before the handshake has no protection against a replay."""
        path, early = (str(self.server.directory / name) for name in ("session-early", "early"))
        self.assert_served(self.s_client("-tls1_3", "-sess_out", path))
        with open(early, "wb") as file:
            file.write(self.HEAD)
        done = self.s_client("-tls1_3", "-sess_in", path, "-early_data", early)
        self.assert_served(done)  # by HEAD, which came again when it was due

    def test_an_early_close(self):
        closed = self.server.counter("closed.PEER")
        for words in (["-tls1_2"], ["-tls1_3"]):
            with self.subTest(words=words):
                done = self.s_client(*words, data=b"", quiet=False)
                self.assertEqual(done.returncode, 0, done.stderr)
        self.wait_until(lambda: self.server.counter("closed.PEER") == closed + 2, "both are gone")
        self.wait_until(lambda: self.server.counter("io.open") == 0, "and leave nothing")

    def test_renegotiation_is_refused(self):
        before = self.failed("UNEXPECTED")
        self.s_client("-tls1_2", data=b"R\n", quiet=False)
        self.wait_until(lambda: self.failed("UNEXPECTED") == before + 1, "it is counted")


class EnemiesTest(TlsTest):
    settings = ("limits.handshake_ms=2000",)

    def raw(self, data):
        """What the server answers to these bytes, until it closes."""
        with socket.create_connection(self.server.listeners[0], HANG_S) as connection:
            connection.sendall(data)
            answer = b""
            try:
                while more := connection.recv(65536):
                    answer += more
            except ConnectionResetError:
                pass
            return answer

    def assert_alert(self, data, kind):
        before = self.failed(kind)
        answer = self.raw(data)
        self.assertEqual(answer[:1], b"\x15", f"not an alert: {answer[:40]!r}")
        self.wait_until(lambda: self.failed(kind) == before + 1, f"{kind} is counted")

    def test_plain_http_is_told_so_in_plain_http(self):
        """An HTTP client would not understand an alert."""
        for head in (http_head(), b"POST / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"):
            with self.subTest(head=head):
                before = self.failed("PLAIN_TEXT")
                answer = self.raw(head)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
                fields, body = answer.split(b"\r\n\r\n")
                self.assertIn(b"Content-Length: %d\r\n" % len(body), fields + b"\r\n")
                self.assertIn(b"TLS", body)
                self.wait_until(lambda: self.failed("PLAIN_TEXT") == before + 1, "it is counted")

    def test_garbage_gets_an_alert(self):
        self.assert_alert(bytes(range(200, 256)) * 4, "GARBAGE")

    def test_an_ssl_3_hello_gets_an_alert(self):
        hello = bytes.fromhex("010000270300") + bytes(32) + bytes.fromhex("000002002f0100")[:7]
        record = b"\x16\x03\x00" + len(hello).to_bytes(2, "big") + hello
        answer = self.raw(record)
        self.assertEqual(answer[:1], b"\x15")

    def test_who_stops_in_mid_handshake_gets_an_alert_and_is_closed_in_time(self):
        hello = client_hello(self.trusting())
        for data in (hello[:6], hello[:-1], hello):
            with self.subTest(bytes=len(data)):
                before = self.server.counter("closed.HANDSHAKE_TIMEOUT")
                answer = self.raw(data)
                if data != hello:  # else it is sealed, behind the server's flight
                    self.assertEqual(answer[:1], b"\x15", answer)
                self.assertGreater(len(answer), 0)
                self.wait_until(
                    lambda: self.server.counter("closed.HANDSHAKE_TIMEOUT") == before + 1,
                    "it is counted",
                )

    def test_a_record_that_is_too_large_gets_an_alert(self):
        """Before its bytes have come."""
        self.assert_alert(b"\x16\x03\x01\x48\x01" + bytes(100), "RECORD_OVERFLOW")
        self.assert_alert(b"\x16\x03\x01\xff\xff", "RECORD_OVERFLOW")

    def test_a_record_that_is_too_large_ends_the_connection(self):
        before = self.failed("RECORD_OVERFLOW")
        client = self.client().join()
        client.socket.raw.sendall(b"\x17\x03\x03\x48\x01")
        with self.assertRaises((ssl.SSLError, AssertionError)):
            client.socket.recv(1) or self.fail("closed without an alert")
        self.wait_until(lambda: self.failed("RECORD_OVERFLOW") == before + 1, "it is counted")

    def test_versions_of_yesterday_get_an_alert(self):
        """A ClientHello that offers TLS 1.1 at most, and one that offers nothing we know."""
        for version in (b"\x03\x02", b"\x03\x01"):
            with self.subTest(version=version):
                body = version + bytes(32) + bytes.fromhex("000002002f0100")
                hello = b"\x01" + len(body).to_bytes(3, "big") + body
                self.assert_alert(
                    b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello, "VERSION"
                )

    def test_who_leaves_in_the_middle_of_a_record_leaves_nothing(self):
        self.warm_up()
        before = self.server.counter("memory.consumers_bytes.TLS sessions")
        hello = client_hello(self.trusting())
        for end in (1, 5, 50, len(hello) - 1, len(hello)):
            with socket.create_connection(self.server.listeners[0], HANG_S) as connection:
                connection.sendall(hello[:end])
        client = self.client().join()
        client.socket.raw.sendall(b"\x17\x03\x03\x01\x00" + bytes(100))
        client.close()
        self.wait_until(lambda: self.server.counter("io.open") == 0, "all are gone")
        self.wait_until(
            lambda: self.server.counter("memory.consumers_bytes.TLS sessions") <= before,
            "TLS holds what it held",
        )
        self.wait_until(
            lambda: self.server.counter("memory.consumers_bytes.incomplete frames") == 0,
            "nothing incomplete is kept",
        )

    def test_a_changed_record_ends_the_connection(self):
        before = self.failed("BAD_RECORD")
        client = self.client().join()
        client.socket.session.write(b"\0\3\x0c")
        sealed = bytearray(client.socket.outgoing.read())
        sealed[-1] ^= 1
        client.socket.raw.sendall(sealed)
        with self.assertRaises((ssl.SSLError, AssertionError)):
            client.socket.recv(1) or self.fail("closed without an alert")
        self.wait_until(lambda: self.failed("BAD_RECORD") == before + 1, "it is counted")

    def test_nothing_is_left(self):
        self.warm_up()
        before = self.server.counter("memory.consumers_bytes.TLS sessions")
        for data in (http_head(), b"\xff" * 100, b"\x16\x03\x01\x00\x05hello"):
            for _ in range(20):
                self.raw(data)
        self.wait_until(lambda: self.server.counter("io.open") == 0, "all are gone")
        self.wait_until(
            lambda: self.server.counter("memory.consumers_bytes.TLS sessions") <= before,
            "TLS holds what it held",
        )

    def test_an_orderly_end_is_a_close_notify(self):
        client = self.client().join()
        client.send(b"\0\3\xff")  # no such packet
        client.expect_disconnect()
        # An end of file without it would raise SSLEOFError here.
        self.assertEqual(client.socket.session.read(1), b"")


PLACES = 32


class StormTest(TlsTest):
    """tls.handshaking: more than that many are not in progress at a time."""

    def setUp(self):
        self.warm_up()

    def dial(self, count, data=b""):
        connections = []
        for _ in range(count):
            connections.append(socket.create_connection(self.server.listeners[0], HANG_S))
            self.addCleanup(connections[-1].close)
            connections[-1].sendall(data)
        return connections

    def wait_for_the_end(self, memory_bytes):
        self.wait_until(lambda: self.server.counter("io.open") == 0, "all are gone")
        for name in ("io.tls_handshaking", "io.tls_waiting"):
            self.wait_until(lambda path=name: self.server.counter(path) == 0, f"{name} is 0")
        self.wait_until(lambda: self.memory() <= memory_bytes, "TLS holds what it held")

    def memory(self):
        return self.server.counter("memory.consumers_bytes.TLS sessions")


class SilentTest(StormTest):
    settings = (f"tls.handshaking={PLACES}", "limits.handshake_ms=4000")

    def test_who_says_nothing_costs_no_handshake(self):
        before = self.memory()
        silent = self.dial(100)
        self.wait_until(lambda: self.server.counter("io.open") == 100, "they are connected")
        self.assertEqual(self.server.counter("io.tls_handshaking"), 0)
        self.assertLessEqual(self.memory(), before)
        for connection in silent:
            self.assertEqual(connection.recv(1), b"", "closed without a word")
            connection.sendall(client_hello(self.trusting()))  # too late
            connection.close()
        self.wait_for_the_end(before)


class StalledTest(StormTest):
    settings = (f"tls.handshaking={PLACES}", "limits.handshake_ms=1000")

    def test_those_who_stall_hold_few_handshakes_and_do_not_lock_others_out(self):
        """A place is kept for a second: so in the handshake_ms of 1000, and a tick or two more, there
        are no more than three times PLACES."""
        before, abandoned = self.memory(), self.server.counter("io.tls_abandoned_total")
        stalled = self.dial(200, client_hello(self.trusting()))
        highest = 0

        def seen():
            nonlocal highest
            highest = max(highest, self.server.counter("io.tls_handshaking"))
            done = self.server.counter("io.tls_abandoned_total") - abandoned
            return done >= len(stalled)  # and honest ones that were not in time

        self.wait_until(self.gets_in, "an honest one gets in")
        self.wait_until(seen, "all are closed in time")
        self.assertGreaterEqual(highest, 1)
        self.assertLessEqual(highest, 3 * PLACES)
        for connection in stalled:
            connection.close()
        self.wait_for_the_end(before)

    def gets_in(self):
        """An honest client, which has no more time than the others: on a busy machine it comes again."""
        try:
            self.client().join().close()
            return True
        except (AssertionError, OSError):  # closed in its handshake
            return False


class PatientStormTest(StormTest):
    """With time enough for a hundred handshakes on a busy machine."""

    settings = (f"tls.handshaking={PLACES}", "limits.handshake_ms=60000")

    def test_a_storm_gets_in(self):
        before = self.memory()
        context = self.trusting()
        clients = [self.client(context) for _ in range(120)]
        for client in clients:  # all first flights are out before the first answer is read
            with self.assertRaises(ssl.SSLWantReadError):
                client.socket.session.do_handshake()
            client.socket._flush()
        for i, client in enumerate(clients):
            client.join(b"storm-%05d" % i)
        self.assertEqual(self.server.counter("io.live"), 120)
        for client in clients:
            client.close()
        self.wait_for_the_end(before)

    def test_who_leaves_the_line_is_forgotten(self):
        before = self.memory()
        hello = client_hello(self.trusting())
        stalled = self.dial(PLACES, hello)
        for connection in self.dial(50, hello):
            connection.close()
        self.client().join(b"uid-behind-them").close()
        for connection in stalled:
            connection.close()
        self.wait_for_the_end(before)


class MemoryTest(TlsTest):
    def test_what_is_counted_is_what_the_process_uses(self):
        """Within a tenth, with a thousand connections and without."""
        if self.server.sanitized:
            self.skipTest("a sanitizer's memory is its own")
        context = self.trusting()
        clients = []
        for count in (0, 1000):
            for i in range(count):
                clients.append(self.client(context).join(b"memory-%05d" % i))
            memory = self.server.stats()["memory"]
            counted = memory["program_bytes"] + memory["used_bytes"] + memory["heap_free_bytes"]
            self.assertLess(abs(memory["rss_bytes"] - counted), memory["rss_bytes"] / 10, memory)
        self.assertEqual(memory["used_bytes"], sum(memory["consumers_bytes"].values()))
        for client in clients:
            client.close()


class ClientCertificatesTest(TlsTest):
    settings = ("tls.client_auth=required", "tls.bind_uid=on")

    def context_of(self, device):
        context = self.trusting()
        pem = self.server.ca / "device" / f"{device}.pem"
        if not pem.exists():
            smq_ca("device", device, "--dir", self.server.ca)
        context.load_cert_chain(pem)
        return context

    def refused(self, code, context, uid):
        client = self.client(context)
        client.send(http_head(), connect_frame(uid))
        client.read_init()
        client.expect_refused(code)

    def test_without_a_certificate_it_is_connack_4(self):
        self.refused(wire.SMQ_CONNACK_CERTIFICATE_REQUIRED, None, b"device-1")

    def test_the_uid_must_be_the_certificates(self):
        context = self.context_of("device-1")
        self.refused(wire.SMQ_CONNACK_CERTIFICATE_REFUSED, context, b"device-2")
        self.client(context).join(b"device-1")

    def test_a_certificate_of_another_ca_is_connack_5(self):
        folder = self.server.directory / "other"
        smq_ca("init", "--dir", folder)
        smq_ca("device", "device-1", "--dir", folder)
        context = self.trusting()
        context.load_cert_chain(folder / "device" / "device-1.pem")
        self.refused(wire.SMQ_CONNACK_CERTIFICATE_REFUSED, context, b"device-1")

    def test_a_revoked_device_is_disconnected_at_the_reload_and_stays_out(self):
        good, bad = self.context_of("device-3"), self.context_of("device-4")
        stays, goes = self.client(good).join(b"device-3"), self.client(bad).join(b"device-4")
        smq_ca("revoke", "device-4", "--dir", self.server.ca)
        self.server.signal(signal.SIGHUP)
        goes.expect_disconnect("the client certificate is no longer valid")
        stays.expect_nothing()
        self.refused(wire.SMQ_CONNACK_CERTIFICATE_REFUSED, bad, b"device-4")


class ReloadTest(TlsTest):
    def test_new_certificates_are_served_to_newcomers_and_nobody_is_dropped(self):
        client = self.client().join()
        first = client.socket.session.getpeercert(binary_form=True)
        smq_ca("server", "localhost", "127.0.0.1", "--label", "smqd", "--dir", self.server.ca)
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.server.counter("tls.reloads_total") >= 1, "reloaded")
        client.expect_nothing()
        self.wait_until(lambda: self.newcomers_certificate() != first, "the new one is served")

    def newcomers_certificate(self):
        client = self.client().join(b"uid-newcomer")
        return client.socket.session.getpeercert(binary_form=True)


class BadReloadTest(TlsTest):
    def test_a_bad_file_keeps_the_old_credentials_and_says_which(self):
        client = self.client().join()
        path = self.server.ca / "server" / "smqd" / "ecc.key"
        path.write_text("no key")
        path.chmod(0o400)
        (self.server.ca / "ca.key").write_text("no key either")
        self.server.signal(signal.SIGHUP)
        self.wait_until(
            lambda: self.server.counter("tls.reload_failures_total") >= 1, "the reload failed"
        )
        self.assertIn(".key", self.server.counter("tls.reload_error"))
        client.expect_nothing()
        self.client().join(b"uid-another").expect_nothing()


class PolicyTest(unittest.TestCase):
    def assert_refused(self, words, *settings):
        server = TlsServer(*settings)
        with self.assertRaises(AssertionError) as caught:
            server.start()
        self.assertIn(words, str(caught.exception))

    def test_a_certificate_that_is_not_there_is_named(self):
        if TLS_DIR:
            self.skipTest("TlsServer makes its own then")
        self.assert_refused("/no/such.crt", "tls.ecc_certificate=/no/such.crt")

    def test_tls_1_3_alone_can_be_asked_for(self):
        with TlsServer("tls.version_min=1.3") as server:
            context = tls_context(server.ca / "ca.crt")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            client = TlsClient(server, context)
            with self.assertRaises(ssl.SSLError):
                client.socket.handshake()
            client.close()


if __name__ == "__main__":
    unittest.main()
