#!/usr/bin/env python3
"""
tests/unit/tls/s_client.py: the TLS of smqd against OpenSSL's own client and verifier.

usage: s_client.py TLS_PIPE CA_TOOL [TEST...]

TLS_PIPE is a tiny echo server on top of tls/ (tls_pipe.c), CA_TOOL is `smq ca` alone. Each case runs
in both modes, tls.compact on and off. Nothing here is about time; a hang ends by a generous limit.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
LIMIT_S = 60  # for a step that hangs; no test waits for it when all is well

TLS_PIPE = CA_TOOL = None
FOLDER = None  # with everything that setUpModule made


def run(*arguments, **keywords):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=LIMIT_S,
                          cwd=FOLDER, **keywords)


def ca(*arguments):
    result = run(CA_TOOL, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def setUpModule():
    global FOLDER
    holder = tempfile.TemporaryDirectory(prefix="smq-s-client-")
    unittest.addModuleCleanup(holder.cleanup)
    FOLDER = pathlib.Path(holder.name)
    ca("ca", "init", "--name", "test CA")
    ca("ca", "server", "localhost", "127.0.0.1", "::1", "*.example.org")
    for name in ("pump-7", "pump-8"):
        ca("ca", "device", name)
    server = FOLDER / "smq-ca/server/localhost"
    for kind in ("ecc", "rsa"):
        pem = (server / f"{kind}.crt").read_text() + (server / f"{kind}.key").read_text()
        (FOLDER / f"{kind}.pem").write_text(pem)


class Server:
    """tls_pipe in one configuration; its lines as they come."""

    def __init__(self, *options):
        command = [str(TLS_PIPE), "--ecc", "ecc.pem", "--rsa", "rsa.pem", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=FOLDER)
        first = self.process.stdout.readline()
        assert first.startswith("listening"), first + self.process.stderr.read()
        self.port = int(first.split("=")[1])

    def line(self, word):
        """The next line that begins with this word; other words in between are a failure."""
        watchdog = threading.Timer(LIMIT_S, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline().strip()
        watchdog.cancel()
        assert line.startswith(word), f"expected '{word} ...', the server said '{line}'"
        return dict(re.findall(r"(\w+)=(\S*)", line))

    def close(self):
        self.process.kill()
        error = self.process.stderr.read()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        assert error == "", error

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Client:
    """openssl s_client, with its input held open. With commands: a line R or K means something."""

    def __init__(self, server, *options, name="localhost", commands=False):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", "smq-ca/ca.crt",
                   "-verify_return_error"]
        if not commands:
            command += ["-nocommands", "-ign_eof"]
        if name:
            command += ["-servername", name, "-verify_hostname", name]
        self.process = subprocess.Popen(command + list(options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=FOLDER)
        self.seen = b""

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait_for(self, text):
        watchdog = threading.Timer(LIMIT_S, self.process.kill)
        watchdog.start()
        while text not in self.seen:
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                break
            self.seen += piece
        watchdog.cancel()
        assert text in self.seen, f"{text} not in {self.seen.decode(errors='replace')}"
        self.seen = self.seen.split(text, 1)[1]

    def end(self):
        """Everything it still says, until it exits by itself."""
        rest, _ = self.process.communicate(timeout=LIMIT_S)
        return self.seen + rest

    def quit(self):
        self.process.stdin.close()
        self.process.stdin = None
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def end(client):
    text = client.end().decode(errors="replace")
    return text


class Both(unittest.TestCase):
    """Runs the tests of its subclasses in both modes."""

    MODES = (("--workers", "1"), ("--workers", "1", "--full"))

    def each(self, *options):
        for mode in self.MODES:
            with self.subTest(mode=mode), Server(*mode, *options) as server:
                yield server

    def talk(self, server, *client_options, name="localhost"):
        """Connect, echo a line, leave in good order. Returns what the server established."""
        client = Client(server, *client_options, name=name)
        client.say(b"hello broker\n")
        client.wait_for(b"hello broker\n")
        established = server.line("established")
        client.say(b"!close\n")
        end(client)
        server.line("memory")
        return established


class Handshakes(Both):
    CASES = (
        # options of s_client, what must have been agreed on
        (("-tls1_3",), {"version": "TLSv1.3", "cert": "ecc"}),
        (("-tls1_2",), {"version": "TLSv1.2", "cert": "ecc"}),
        (("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"), {"cipher": "TLS_AES_128_GCM_SHA256"}),
        (("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"), {"cipher": "TLS_AES_256_GCM_SHA384"}),
        (("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"), {"cipher": "TLS_CHACHA20_POLY1305_SHA256"}),
        (("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"), {"cert": "rsa"}),
        (("-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"), {"cert": "ecc"}),
        (("-tls1_3", "-alpn", "http/1.1"), {"cert": "rsa", "alpn": "1"}),
        (("-tls1_3", "-alpn", "h2,http/1.1"), {"cert": "rsa", "alpn": "1"}),
        (("-tls1_3", "-alpn", "mqtt"), {"cert": "ecc", "alpn": "0"}),
        (("-tls1_3", "-groups", "P-256"), {"version": "TLSv1.3"}),
        (("-tls1_3", "-groups", "P-384"), {"version": "TLSv1.3"}),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), {"cert": "ecc"}),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"), {"cert": "ecc"}),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), {"cert": "rsa"}),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"), {"cert": "rsa"}),
        (("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"), {"cert": "rsa"}),
        (("-tls1_2", "-groups", "X25519"), {"cert": "rsa"}),
        (("-tls1_2", "-sigalgs", "RSA+SHA256"), {"cert": "rsa"}),
    )

    def test_every_kind_of_client_gets_what_it_can_take(self):
        for server in self.each():
            for options, wanted in self.CASES:
                with self.subTest(options=options):
                    established = self.talk(server, *options)
                    self.assertEqual({k: established[k] for k in wanted}, wanted)

    def test_other_names_of_the_certificate_hold(self):
        for server in self.each():
            self.talk(server, name="a.example.org")
            established = self.talk(server, "-verify_ip", "127.0.0.1", name=None)
            self.assertEqual(established["cert"], "ecc")

    def test_big_data_both_ways_in_small_and_large_records(self):
        for record in ("0", "257", "1400"):
            for server in self.each("--record", record):
                for version in ("-tls1_2", "-tls1_3"):
                    client = Client(server, version, "-quiet")
                    lines = b"".join(b"%06d %s\n" % (i, b"x" * (i % 200)) for i in range(3000))
                    sender = threading.Thread(target=client.say, args=(lines,))
                    sender.start()
                    client.wait_for(lines[-8 - 199:])
                    sender.join()
                    server.line("established")
                    client.say(b"!close\n")
                    end(client)
                    server.line("memory")

    def test_key_updates_asked_and_not_asked(self):
        for server in self.each():
            client = Client(server, "-tls1_3", commands=True)
            client.wait_for(b"Verify return code")
            for i, command in enumerate((b"k\n", b"K\n", b"K\n", b"k\n")):
                text = b"after %d\n" % i
                client.say(command)
                client.wait_for(b"KEYUPDATE")
                client.say(text)
                client.wait_for(text)
            client.quit()


class Resumption(Both):
    def test_a_ticket_resumes_and_a_reset_ends_that(self):
        for server in self.each():
            for version in ("-tls1_2", "-tls1_3"):
                with self.subTest(version=version):
                    full = self.talk(server, version, "-sess_out", "session.pem")
                    self.assertEqual(full["resumed"], "0")
                    again = self.talk(server, version, "-sess_in", "session.pem", "-sess_out", "session.pem")
                    self.assertEqual(again["resumed"], "1")
                    self.assertLess(int(again["out"]), int(full["out"]))
                    client = Client(server, version)
                    client.say(b"!reset\n")
                    client.wait_for(b"!reset\n")
                    client.say(b"!close\n")
                    end(client)
                    server.line("established")
                    server.line("memory")
                    self.assertEqual(self.talk(server, version, "-sess_in", "session.pem")["resumed"], "0")

    def test_without_tickets_nothing_resumes(self):
        for server in self.each("--tickets", "0"):
            self.talk(server, "-tls1_2", "-sess_out", "session.pem")
            self.assertEqual(self.talk(server, "-tls1_2", "-sess_in", "session.pem")["resumed"], "0")


class ClientCertificates(Both):
    AUTH = ("--client-ca", "smq-ca/ca.crt", "--crl", "smq-ca/crl.pem")
    PUMP = ("-cert", "smq-ca/device/pump-7.pem", "-key", "smq-ca/device/pump-7.pem")

    def test_required(self):
        for server in self.each("--auth", "required", *self.AUTH):
            for version in ("-tls1_2", "-tls1_3"):
                with self.subTest(version=version):
                    self.assertEqual(self.talk(server, version, *self.PUMP)["peer"], "pump-7")
                    client = Client(server, version)
                    self.assertEqual(server.line("failed")["kind"], "CERTIFICATE_MISSING")
                    self.assertIn("alert", end(client))
                    server.line("memory")

    def test_optional(self):
        for server in self.each("--auth", "optional", *self.AUTH):
            self.assertEqual(self.talk(server, *self.PUMP)["peer"], "pump-7")
            self.assertEqual(self.talk(server)["peer"], "-")

    def test_a_certificate_of_somebody_else(self):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=pump-7", "-keyout", "other.pem", "-out", "other.crt")
        for server in self.each("--auth", "optional", *self.AUTH):
            client = Client(server, "-cert", "other.crt", "-key", "other.pem")
            self.assertEqual(server.line("failed")["kind"], "CERTIFICATE_BAD")
            end(client)

    def test_resumption_keeps_the_name_and_revocation_ends_it(self):
        ca("ca", "device", "--replace", "pump-8")
        pump = ("-cert", "smq-ca/device/pump-8.pem", "-key", "smq-ca/device/pump-8.pem")
        for server in self.each("--auth", "required", *self.AUTH):
            ca("ca", "device", "--replace", "pump-8")
            client = Client(server, "-tls1_2", *pump, "-sess_out", "session.pem")
            client.say(b"hello\n")
            client.wait_for(b"hello\n")
            server.line("established")
            ca("ca", "revoke", "pump-8")
            client.say(b"!reload\n")
            client.wait_for(b"!reload\n")
            self.assertEqual(server.line("reload")["verdict"], "CERTIFICATE_REVOKED")
            client.say(b"!close\n")
            end(client)
            server.line("memory")
            for options in (pump, (*pump, "-sess_in", "session.pem")):
                refused = Client(server, "-tls1_2", *options)
                self.assertEqual(server.line("failed")["kind"], "CERTIFICATE_REVOKED")
                end(refused)
                server.line("memory")


class BadInput(Both):
    """What is no TLS, or breaks off: a clean end, counted by its kind, and no memory kept."""

    def raw(self, server, *pieces):
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as connection:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer

    def test_each_kind(self):
        cases = (
            (b"GET /smq.lsp HTTP/1.0\r\n\r\n", "PLAIN_TEXT"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "GARBAGE"),
            (bytes(range(200)), "GARBAGE"),
            (b"\x16\x03\x01\xff\xff" + b"a" * 100, "RECORD_OVERFLOW"),
            (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "BAD_HANDSHAKE"),
            (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "BAD_HANDSHAKE"),
            (b"\x17\x03\x03\x00\x10" + b"a" * 16, "BAD_HANDSHAKE"),
            (b"\x15\x03\x03\x00\x02\x02\x28", "ALERT"),
        )
        for server in self.each():
            self.talk(server)  # what is made lazily is there now
            for data, kind in cases:
                with self.subTest(data=data[:20]):
                    self.raw(server, data)
                    self.assertEqual(server.line("failed")["kind"], kind)
                    server.line("memory")

    def test_memory_comes_back_after_each(self):
        for server in self.each():
            seen = set()
            for round_number in range(6):
                self.raw(server, b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")
                server.line("failed")
                self.raw(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                if round_number >= 1:
                    seen.add(tuple(sorted(server.line("memory").items())))
                else:
                    server.line("memory")
                server.line("gone")
                server.line("memory")
            self.assertEqual(len(seen), 1, seen)

    def test_a_client_that_breaks_off_in_its_hello(self):
        for server in self.each():
            self.raw(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            server.line("gone")
            server.line("memory")

    def test_old_versions(self):
        for server in self.each():
            for version in ("-tls1", "-tls1_1"):
                client = Client(server, version, "-cipher", "ALL:@SECLEVEL=0")
                failed = server.line("failed")
                self.assertEqual((failed["kind"], failed["alert"]), ("VERSION", "70"))
                self.assertIn("protocol version", end(client))
                server.line("memory")

    def test_1_2_where_only_1_3_is_allowed(self):
        for server in self.each("--min13"):
            client = Client(server, "-tls1_2")
            self.assertEqual(server.line("failed")["kind"], "VERSION")
            end(client)
            server.line("memory")
            self.talk(server, "-tls1_3")

    def test_no_common_suite(self):
        for server in self.each():
            client = Client(server, "-tls1_2", "-cipher", "AES128-SHA")
            self.assertEqual(server.line("failed")["kind"], "NO_SHARED_CIPHER")
            end(client)

    def test_renegotiation_is_refused(self):
        for server in self.each():
            client = Client(server, "-tls1_2", commands=True)
            client.wait_for(b"Verify return code")
            client.say(b"R\n")
            server.line("established")
            self.assertEqual(server.line("failed")["kind"], "UNEXPECTED")
            end(client)


class Verify(unittest.TestCase):
    """What `smq ca` makes passes OpenSSL's strictest reading."""

    def test_chains(self):
        server = "smq-ca/server/localhost"
        for purpose, files in (("sslserver", (f"{server}/ecc.crt", f"{server}/rsa.crt")),
                               ("sslclient", ("smq-ca/device/pump-7.pem",))):
            for file in files:
                result = run("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "smq-ca/ca.crt",
                             "-crl_check", "-CRLfile", "smq-ca/crl.pem", file)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        result = run("openssl", "verify", "-purpose", "sslserver", "-CAfile", "smq-ca/ca.crt",
                     "smq-ca/device/pump-7.pem")
        self.assertNotEqual(result.returncode, 0)

    def test_a_revoked_device_does_not_verify(self):
        ca("ca", "device", "gone")
        ca("ca", "revoke", "gone")
        result = run("openssl", "verify", "-CAfile", "smq-ca/ca.crt", "-crl_check", "-CRLfile", "smq-ca/crl.pem",
                     "smq-ca/device/gone.pem")
        self.assertIn("revoked", result.stderr)

    def test_the_headers_compile_and_hold_the_same_bytes(self):
        (FOLDER / "root.h").write_text(ca("ca", "header"))
        (FOLDER / "all.c").write_text('''
            #include <stdio.h>
            #include "root.h"
            #include "smq-ca/device/pump-7.h"
            int main(int count, char **what) {
                (void)what;
                if (count == 1) fwrite(smq_ca_cert, 1, sizeof smq_ca_cert, stdout);
                if (count == 2) fwrite(smq_device_cert, 1, sizeof smq_device_cert, stdout);
                if (count == 3) fwrite(smq_device_key, 1, sizeof smq_device_key, stdout);
                return 0;
            }''')
        result = run("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "all", "all.c")
        self.assertEqual(result.returncode, 0, result.stderr)

        def der(*arguments):
            return subprocess.run(arguments, capture_output=True, cwd=FOLDER, check=True).stdout

        self.assertEqual(der("./all"), der("openssl", "x509", "-in", "smq-ca/ca.crt", "-outform", "DER"))
        self.assertEqual(der("./all", "1"),
                         der("openssl", "x509", "-in", "smq-ca/device/pump-7.pem", "-outform", "DER"))
        (FOLDER / "key.der").write_bytes(der("./all", "1", "2"))
        self.assertEqual(der("openssl", "pkey", "-in", "key.der", "-inform", "DER", "-pubout"),
                         der("openssl", "pkey", "-in", "smq-ca/device/pump-7.pem", "-pubout"))

    def test_complaints_go_to_stderr_with_a_code(self):
        for arguments, code, text in (
                (("ca",), 64, "smq ca VERB"),
                (("ca", "frob"), 64, "--help"),
                (("ca", "device"), 64, "usage"),
                (("ca", "device", "a/b"), 66, "cannot be a device's name"),
                (("ca", "--dir", "nowhere", "list"), 66, "smq ca init"),
                (("ca", "init"), 66, "already")):
            with self.subTest(arguments=arguments):
                result = run(CA_TOOL, *arguments)
                self.assertEqual((result.returncode, result.stdout), (code, ""))
                self.assertIn(text, result.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    TLS_PIPE, CA_TOOL = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
