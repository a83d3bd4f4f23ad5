"""
tests/wire/test_tls_policy.py: each tls:// address with a policy of its own, rules for the certificate,
and credentials that are read again when their files change.
"""

import json
import shutil
import signal
import ssl
import subprocess
import unittest

from smqwire import TLS_DIR, Client, connect_frame, http_head, tls_context, wire
from test_tls import TlsServer, TlsTest, smq_ca


class PolicyServer(TlsServer):
    """A TlsServer whose configuration file may name files in its folder, as {folder}."""

    def __init__(self, text):
        super().__init__()
        self.args = []
        self.text = text

    def command(self):
        self.config = self.text.replace("{folder}", str(self.directory))
        self.prepare()
        added = ("--listen", "tls://127.0.0.1:0", "tcp://127.0.0.1:0")
        return [word for word in super().command() if word not in added]

    def prepare(self):
        """What must be there before it starts."""


class PolicyTest(TlsTest):
    """The servers of these tests have two addresses: 127.0.0.1, and localhost, which is special."""

    text = ""
    server_class = PolicyServer

    @classmethod
    def setUpClass(cls):
        if TLS_DIR:
            raise unittest.SkipTest("run.py --tls sets the credentials that these tests set")
        cls.server = cls.server_class(cls.text).start()
        cls.addClassCleanup(cls.server.stop)
        cls.server.wait_for_admin()

    def dial(self, index, context=None):
        client = Client(self.server.listeners[index], tls=context or self.trusting())
        self.addCleanup(client.close)
        return client

    def join(self, index, context=None, uid=b"uid-policy"):
        client = self.dial(index, context)
        client.send(http_head(), connect_frame(uid))
        client.read_init()
        client.read_connack()
        return client

    def row_of(self, client):
        peers = json.loads(self.server.admin("peers"))["peers"]
        return next(row for row in peers if row["etid"] == client.etid)

    def reload(self):
        before = self.server.counter("tls.reloads_total")
        failed = self.server.counter("tls.reload_failures_total")
        self.server.signal(signal.SIGHUP)
        self.wait_until(
            lambda: self.server.counter("tls.reloads_total")
            + self.server.counter("tls.reload_failures_total")
            > before + failed,
            "read again",
        )


class TwoPoliciesTest(PolicyTest):
    text = """
        listen = {"tls://127.0.0.1:0", "tls://localhost:0", "tls://127.0.0.1:0"}
        listener "tls://localhost:0" { client_auth = required  bind_uid = on }
    """

    def test_each_address_has_its_own_rules(self):
        self.join(0)
        client = self.dial(1)
        client.send(http_head(), connect_frame(b"uid-policy"))
        client.read_init()
        client.expect_refused(wire.SMQ_CONNACK_CERTIFICATE_REQUIRED)

    def test_a_certificate_is_asked_for_where_it_is_wanted_only(self):
        smq_ca("device", "device-9", "--dir", self.server.ca)
        context = self.trusting()
        context.load_cert_chain(self.server.ca / "device" / "device-9.pem")
        self.assertEqual(self.row_of(self.join(1, context, b"device-9"))["identity"], "device-9")
        self.assertEqual(self.row_of(self.join(0, context, b"device-8"))["identity"], "")
        nobody = self.dial(0, context)  # no certificate: it does not get the device's UID
        nobody.send(http_head(), connect_frame(b"device-9"))
        nobody.read_init()
        nobody.expect_refused(wire.SMQ_CONNACK_ACCESS_DENIED)

    def test_who_speaks_in_the_segment_of_its_finished_is_known_by_its_certificate(self):
        smq_ca("device", "device-7", "--dir", self.server.ca)
        context = self.trusting()
        context.load_cert_chain(self.server.ca / "device" / "device-7.pem")
        client = self.dial(1, context)
        tls = client.socket
        while not tls.is_ready:
            try:
                tls.session.do_handshake()
                tls.is_ready = True
            except ssl.SSLWantReadError:
                tls._flush()
                tls._receive()
        client.send(http_head(), connect_frame(b"device-7"))  # with the Finished, in one call
        client.read_init()
        client.read_connack()
        row = self.row_of(client)
        self.assertEqual((row["login"], row["name"]), ("cert", "device-7"))

    def test_a_session_is_taken_by_equal_addresses_and_by_no_other(self):
        context = self.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        first = self.join(0, context)
        for index, resumed in ((2, True), (1, False), (0, True)):
            with self.subTest(listener=index):
                again = self.dial(index, context)
                again.socket.session = context.wrap_bio(
                    again.socket.incoming,
                    again.socket.outgoing,
                    server_hostname="localhost",
                    session=first.socket.session.session,
                )
                again.socket.handshake()
                self.assertEqual(again.socket.session.session_reused, resumed)

    def test_the_statistics_name_each(self):
        rows = self.server.stats()["tls"]["listeners"]
        self.assertEqual([row["client_auth"] for row in rows], ["off", "required", "off"])
        self.assertEqual([row["policy"] for row in rows], [0, 1, 0])


class VersionsTest(PolicyTest):
    text = """
        listen = {"tls://127.0.0.1:0", "tls://localhost:0"}
        listener "tls://localhost:0" { version_min = "1.3" }
    """

    def test_each_address_has_its_own_oldest_version(self):
        context = self.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.join(0, context)
        self.join(1)
        with self.assertRaises(ssl.SSLError):
            self.dial(1, context).socket.handshake()


class RulesTest(PolicyTest):
    text = """
        listen = {"tls://127.0.0.1:0", "tls://localhost:0"}
        tls { rules = "sni:*.browsers.test=rsa, alpn:mqtt=rsa, sni:devices.test=ecc, alpn:h2=ecc" }
        listener "tls://localhost:0" { rules = "" }
    """

    def served(self, index, name, *protocols):
        context = tls_context(self.server.ca / "ca.crt")
        context.check_hostname = False
        if protocols:
            context.set_alpn_protocols(protocols)
        client = self.dial(index, context)
        client.socket.session = context.wrap_bio(
            client.socket.incoming, client.socket.outgoing, server_hostname=name
        )
        client.send(http_head(), connect_frame(b"uid-rules"))
        client.read_init()
        client.read_connack()
        return self.row_of(client)["certificate"]

    def test_the_first_rule_that_matches_decides(self):
        for index, name, protocols, wanted in (
            (0, "a.browsers.test", (), "rsa"),
            (0, "A.BROWSERS.test", (), "rsa"),
            (0, "browsers.test", (), "ecc"),
            (0, "devices.test", ("mqtt",), "rsa"),
            (0, "devices.test", ("http/1.1",), "ecc"),
            (0, "other.test", ("h2",), "ecc"),
            (0, "other.test", ("http/1.1",), "rsa"),
            (0, "other.test", (), "ecc"),
            (1, "a.browsers.test", (), "ecc"),
            (1, "devices.test", ("http/1.1",), "rsa"),
        ):
            with self.subTest(listener=index, name=name, protocols=protocols):
                self.assertEqual(self.served(index, name, *protocols), wanted)


class FilesServer(PolicyServer):
    """Two addresses with certificates of their own, from a CA made before the start."""

    def prepare(self):
        smq_ca("init", "--dir", self.ca_folder)
        self.issue("first")
        self.issue("second")

    @property
    def ca_folder(self):
        return self.directory / "files"

    def issue(self, label):
        smq_ca("server", "localhost", "127.0.0.1", "--label", label, "--dir", self.ca_folder)

    @property
    def ca(self):
        return self.ca_folder

    def file(self, label, name):
        return self.ca_folder / "server" / label / name


class FilesTest(PolicyTest):
    server_class = FilesServer
    text = """
        listen = {"tls://127.0.0.1:0", "tls://localhost:0"}
        tls {
            ecc_certificate = "{folder}/files/server/first/ecc.crt"
            ecc_key = "{folder}/files/server/first/ecc.key"
        }
        listener "tls://localhost:0" {
            ecc_certificate = "{folder}/files/server/second/ecc.crt"
            ecc_key = "{folder}/files/server/second/ecc.key"
        }
    """

    def served(self, index):
        client = self.dial(index)
        client.socket.handshake()
        return client.socket.session.getpeercert(binary_form=True)

    def break_file(self, path):
        path.chmod(0o600)
        path.write_text("no key")

    def test_all_addresses_take_the_new_files_or_none_does(self):
        before = self.served(0), self.served(1)
        self.assertNotEqual(*before)
        live = self.join(0)
        # Broken first: whenever the watch looks, there is a bad file.
        key = self.server.file("second", "ecc.key")
        self.break_file(key)
        self.server.issue("first")
        self.reload()
        stats = self.server.stats()["tls"]
        self.assertFalse(stats["reload_good"])
        self.assertIn(str(key), stats["reload_error"])
        self.assertEqual((self.served(0), self.served(1)), before)
        self.server.issue("second")
        self.wait_until(lambda: self.server.stats()["tls"]["reload_good"], "the good file is taken")
        self.assertEqual(self.server.stats()["tls"]["reload_error"], "")
        self.wait_until(lambda: self.served(0) != before[0], "the first is new")
        self.wait_until(lambda: self.served(1) != before[1], "the second is new")
        live.expect_nothing()


class WatchTest(PolicyTest):
    """No signal here: the files alone."""

    text = """
        listen = {"tls://127.0.0.1:0", "tls://localhost:0"}
        listener "tls://localhost:0" { client_auth = required }
    """

    def test_a_new_certificate_is_served_when_its_files_are_written(self):
        def served():
            client = self.dial(0)
            client.socket.handshake()
            return client.socket.session.getpeercert(binary_form=True)

        before = served()
        smq_ca("server", "localhost", "127.0.0.1", "--label", "smqd", "--dir", self.server.ca)
        self.wait_until(lambda: served() != before, "the new one is served")
        self.server.wait_for_log("tls.files_changed")

    def test_a_revoked_device_is_disconnected_when_the_list_is_written(self):
        """The first revocation makes the list: it was not there before."""
        smq_ca("device", "device-7", "--dir", self.server.ca)
        context = self.trusting()
        context.load_cert_chain(self.server.ca / "device" / "device-7.pem")
        goes = self.join(1, context, b"device-7")
        stays = self.join(0, uid=b"device-8")
        smq_ca("revoke", "device-7", "--dir", self.server.ca)
        goes.expect_disconnect("the client certificate is no longer valid")
        stays.expect_nothing()


class ExpiryServer(PolicyServer):
    def prepare(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "10", "-subj", "/CN=short", "-keyout", self.directory / "short.key",
             "-out", self.directory / "short.crt"],
            check=True, capture_output=True,
        )


class ExpiryTest(PolicyTest):
    server_class = ExpiryServer
    text = """
        listen = {"tls://127.0.0.1:0", "tls://localhost:0"}
        listener "tls://localhost:0" {
            ecc_certificate = "{folder}/short.crt"
            ecc_key = "{folder}/short.key"
        }
    """

    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl")
        super().setUpClass()

    def test_what_expires_first_is_shown_and_warned_about(self):
        stats = self.server.stats()["tls"]
        self.assertIn(stats["expiry_days"], (9, 10))
        self.assertTrue(stats["expiry_file"].endswith("/short.crt"))
        rows = stats["listeners"]
        self.assertGreater(rows[0]["expiry_days"], 21)
        self.assertEqual(rows[1]["expiry_days"], stats["expiry_days"])
        self.server.wait_for_log("tls.expires")
        warnings = [line for line in self.server.log().splitlines() if "tls.expires" in line]
        self.assertEqual(len(warnings), 1, warnings)
        self.assertRegex(warnings[0], r"WARN.*file=\S+/short\.crt days_left=(9|10)$")


if __name__ == "__main__":
    unittest.main()
