"""
tests/wire/test_killed.py: `kill -9`, and what lies on the disk afterwards.

Goal: wherever a process is killed while it writes, the next one finds whole files or none.
Method: three ways to die. Between files: watch the folder and kill when the k-th file appears, for
k = 1, 2, 3 ... until the process is done before that. In the middle of a file: allow files of so
many bytes only (RLIMIT_FSIZE); the kernel writes these, and kills at the byte after them. And before
the k-th system call that changes anything (traced.py).
"""

import contextlib
import pathlib
import resource
import shutil
import signal
import ssl
import subprocess
import tempfile

from smqwire import (
    SMQD,
    Client,
    Server,
    WireTest,
    connect_frame,
    http_head,
    plain_only,
    raw_only,
)
from test_tls import SMQ
from traced import Traced, traced_only

KILLS_MAX = 100  # more files than anything here writes
BYTES_MAX, BYTES_STEP = 16384, 128  # larger than any of these files; smaller than any of them


def names_in(folder):
    with contextlib.suppress(FileNotFoundError):  # renamed while we look
        return {path for path in pathlib.Path(folder).rglob("*") if not path.is_dir()}
    return set()


def run_until(command, is_over, stdin=None, file_bytes_max=None):
    """Run @command until it ends or @is_over(); returns its exit code, minus the signal's number."""

    def limit():
        if file_bytes_max is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))

    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=limit,
    )
    while process.poll() is None and not is_over():
        pass
    process.kill()
    return process.wait()


class FolderTest(WireTest):
    """With a folder instead of a server."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def tearDown(self):
        pass


@plain_only("they say themselves what they speak")
@raw_only("what is on the disk does not depend on it")
class KilledTest(FolderTest):
    def start_command(self, data):
        return [SMQD, "--listen", "tls://127.0.0.1:0", "--data-dir", str(data)]

    def test_a_first_start_may_be_killed_between_its_files(self):
        """It makes a CA, certificates, a CRL and the web's first user."""
        for count in range(1, KILLS_MAX):
            data = self.folder / str(count)
            seen = set()

            def is_over():
                seen.update(names_in(data))
                return len(seen) >= count or (data / "smqd.sock").is_socket()

            run_until(self.start_command(data), is_over)
            with self.subTest(count=count, files=sorted(path.name for path in names_in(data))):
                self.starts_well(data)
            if len(seen) < count:
                break
        self.assertGreater(count, 8, "it was killed somewhere")

    def test_a_first_start_may_be_killed_in_the_middle_of_a_file(self):
        dead = 0
        for bytes_max in range(0, BYTES_MAX, BYTES_STEP):
            data = self.folder / str(bytes_max)
            code = run_until(
                self.start_command(data),
                (data / "smqd.sock").is_socket,
                file_bytes_max=bytes_max,
            )
            if code != -signal.SIGXFSZ:
                break
            dead += 1
            with self.subTest(bytes=bytes_max, files=sorted(path.name for path in names_in(data))):
                self.starts_well(data)
        self.assertGreater(dead, 8, "it was killed somewhere")

    def starts_well(self, data):
        """A second start serves a client that trusts what is on the disk, and stops in good order."""
        with Server(None, ["--listen", "tls://127.0.0.1:0", "--data-dir", str(data)]) as server:
            trusting = ssl.create_default_context(cafile=data / "ca" / "ca.crt")
            client = Client(server.listeners[0], tls=trusting)
            try:
                client.send(http_head(), connect_frame(self.new_uid()))
                client.read_init()
                client.read_connack()
            finally:
                client.close()
        self.assertEqual([p.name for p in names_in(data) if p.suffix == ".new"], [])
        self.assertTrue((data / "web-users").read_text())

    def change_password(self, path, user, **options):
        password = self.folder / "password"
        password.write_bytes(b"right-horse-battery\n")
        with open(password) as stdin:
            command = [SMQ, "passwd", str(path), user, "--stdin"]
            return run_until(command, lambda: False, stdin, **options)

    def test_a_change_of_passwords_may_be_killed_in_the_middle(self):
        path = self.folder / "users"
        self.assertEqual(self.change_password(path, "alice"), 0)
        whole = path.read_bytes()
        for bytes_max in range(0, len(whole) * 2, 16):
            code = self.change_password(path, "bob", file_bytes_max=bytes_max)
            with self.subTest(bytes=bytes_max):
                self.assertEqual(code, -signal.SIGXFSZ)
                self.assertEqual(path.read_bytes(), whole)
        self.assertEqual(self.change_password(path, "carol"), 0)
        lines = path.read_bytes().splitlines()
        self.assertEqual(lines[:-1], whole.splitlines())
        self.assertTrue(lines[-1].startswith(b"carol:"))
        self.assertEqual({file.name for file in names_in(self.folder)}, {"users", "password"})


SECRETS = (b"PRIVATE KEY", b"smq_device_key", b"$scrypt$")


def is_whole(path):
    """No half of a file: each kind of ours ends in a way of its own."""
    text = path.read_bytes()
    ends = {".pem": b"-----\n", ".crt": b"-----\n", ".key": b"-----\n", ".h": b"};\n"}
    return text.endswith(ends.get(path.suffix, b"\n"))


@plain_only("they say nothing over a line")
@raw_only("what is on the disk does not depend on it")
@traced_only
class KilledAtEachCallTest(FolderTest):
    """A command that is killed before its k-th change of the file system, for every k: all files are
    whole, no secret was ever anybody else's to read, and the same command once more does the work."""

    def run_smq(self, *arguments, stdin=None):
        done = subprocess.run(
            [SMQ, *arguments], input=stdin, capture_output=True, timeout=60, check=False
        )
        return done.returncode, (done.stdout + done.stderr).decode()

    def do(self, *arguments, stdin=None):
        code, text = self.run_smq(*arguments, stdin=stdin)
        self.assertEqual(code, 0, text)
        return text

    def assert_untouched_or_whole(self, folder):
        for path in names_in(folder):
            text = path.read_bytes()
            if any(word in text for word in SECRETS):
                self.assertEqual(path.stat().st_mode & 0o077, 0, path)
            if path.suffix != ".new":
                self.assertTrue(is_whole(path), f"{path}: {text[-80:]!r}")

    def kill_everywhere(self, prepare, arguments, check, stdin=b""):
        """@prepare(folder), then the command with "DIR" for that folder; @check(folder, its code)."""
        template = self.folder / "template"
        prepare(template)
        password = self.folder / "stdin"
        password.write_bytes(stdin)
        for count in range(1, 1000):
            folder = self.folder / str(count)
            shutil.copytree(template, folder)
            command = [word.replace("DIR", str(folder)) for word in arguments]
            with open(password) as source, Traced([SMQ, *command], stdin=source) as run:
                calls = []
                for call in run.changes():
                    calls.append(call)
                    self.assert_untouched_or_whole(folder)
                    if len(calls) == count:
                        run.kill()
            if len(calls) < count:
                self.assertEqual(run.code, 0, "it is done")
                break
            self.assertEqual(run.code, -signal.SIGKILL)
            with self.subTest(calls=calls):
                self.assert_untouched_or_whole(folder)
                check(folder, self.run_smq(*command, stdin=stdin))
                left = [path.name for path in names_in(folder) if path.suffix == ".new"]
                self.assertEqual(left, [])
            shutil.rmtree(folder)
        self.assertGreater(count, 5, "it was killed somewhere")

    def make_ca(self, folder, *devices):
        self.do("ca", "init", "--dir", str(folder))
        for device in devices:
            self.do("ca", "device", device, "--dir", str(folder))

    def valid_serials(self, folder, kind, name):
        rows = [line.split() for line in self.do("ca", "list", "--dir", str(folder)).splitlines()]
        return [row[-1] for row in rows if row[:3] == ["valid", kind, name]]

    def assert_certificate(self, folder, chain, key, serials):
        """It goes with the key and the CA, and is the one valid one of the index."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        asked = subprocess.run(
            ["openssl", "x509", "-in", chain, "-noout", "-serial"],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        self.assertEqual(asked.stdout.strip().lower(), f"serial={serials[-1]}")
        subprocess.run(
            ["openssl", "verify", "-CAfile", folder / "ca.crt", chain],
            capture_output=True, timeout=30, check=True,
        )  # fmt: skip

    def test_smq_ca_init(self):
        def check(folder, result):
            code, text = result
            self.assertTrue(code == 0 or "there is a CA in this folder already" in text, text)
            self.do("ca", "device", "pump-7", "--dir", str(folder))
            pem = folder / "device" / "pump-7.pem"
            self.assert_certificate(folder, pem, pem, self.valid_serials(folder, "device", "pump-7"))

        self.kill_everywhere(lambda folder: folder.mkdir(), ["ca", "init", "--dir", "DIR"], check)

    def check_device(self, folder, result):
        self.assertEqual(result[0], 0, result[1])
        serials = self.valid_serials(folder, "device", "pump-7")
        self.assertEqual(len(serials), 1)
        pem = folder / "device" / "pump-7.pem"
        self.assert_certificate(folder, pem, pem, serials)
        self.assertTrue((folder / "device" / "pump-7.h").exists())

    def check_device_once(self, folder, result):
        """Killed behind the last rename, all is done: once more is once too many."""
        if "pump-7 has a certificate already" in result[1]:
            result = (0, "")
        self.check_device(folder, result)

    def test_smq_ca_device(self):
        self.kill_everywhere(
            lambda folder: self.make_ca(folder, "pump-1"),
            ["ca", "device", "pump-7", "--dir", "DIR"],
            self.check_device_once,
        )

    def test_smq_ca_device_replace(self):
        self.kill_everywhere(
            lambda folder: self.make_ca(folder, "pump-7"),
            ["ca", "device", "--replace", "pump-7", "--dir", "DIR"],
            self.check_device,
        )

    def test_smq_ca_revoke(self):
        def check(folder, result):
            self.assertEqual(result[0], 0, result[1])
            listed = self.do("ca", "list", "--dir", str(folder)).splitlines()
            [serial] = [line.split()[-1] for line in listed if line.startswith("revoked")]
            crl = subprocess.run(
                ["openssl", "crl", "-in", folder / "crl.pem", "-noout", "-text"],
                capture_output=True, text=True, timeout=30, check=True,
            ).stdout  # fmt: skip
            self.assertIn(serial.upper(), crl)

        self.kill_everywhere(
            lambda folder: self.make_ca(folder, "pump-1", "pump-7"),
            ["ca", "revoke", "pump-7", "--dir", "DIR"],
            check,
        )

    def test_smq_ca_server_once_more(self):
        """A server's two certificates are renewed."""

        def prepare(folder):
            self.make_ca(folder)
            self.do("ca", "server", "localhost", "--dir", str(folder))

        def check(folder, result):
            self.assertEqual(result[0], 0, result[1])
            for kind, name in (("server", "ecc"), ("server-rsa", "rsa")):
                stem = folder / "server" / "localhost" / name
                serials = self.valid_serials(folder, kind, "localhost")
                self.assert_certificate(
                    folder, stem.with_suffix(".crt"), stem.with_suffix(".key"), serials
                )

        self.kill_everywhere(prepare, ["ca", "server", "localhost", "--dir", "DIR"], check)

    def passwd(self, folder, user):
        self.do("passwd", str(folder / "users"), user, "--stdin", stdin=b"wonderland\n")

    def test_smq_passwd(self):
        def prepare(folder):
            folder.mkdir()
            self.passwd(folder, "alice")
            self.passwd(folder, "bob")

        def check(folder, result):
            self.assertEqual(result[0], 0, result[1])
            before = (self.folder / "template" / "users").read_bytes().splitlines()
            after = (folder / "users").read_bytes().splitlines()
            self.assertEqual(after[0], before[0])
            self.assertNotEqual(after[1], before[1])
            self.assertTrue(after[1].startswith(b"bob:$scrypt$"))
            self.assertEqual(len(after), 2)

        self.kill_everywhere(
            prepare, ["passwd", "DIR/users", "bob", "--stdin"], check, stdin=b"looking glass\n"
        )

    def test_two_who_set_passwords_at_once_lose_none(self):
        """The first is stopped before each of its changes, until the second stands in line or is done."""

        def is_waiting(pid):
            locks = pathlib.Path("/proc/locks").read_text().splitlines()
            return any("->" in line.split() and str(pid) in line.split() for line in locks)

        password = self.folder / "stdin"
        password.write_bytes(b"wonderland\n")
        for count in range(1, 1000):
            folder = self.folder / str(count)
            folder.mkdir()
            self.passwd(folder, "alice")
            command = [SMQ, "passwd", str(folder / "users")]
            seen = 0
            second = None
            with open(password) as one, open(password) as two:
                with Traced([*command, "bob", "--stdin"], stdin=one) as first:
                    for _ in first.changes():
                        seen += 1
                        if seen != count:
                            continue
                        second = subprocess.Popen(
                            [*command, "carol", "--stdin"], stdin=two, stdout=subprocess.DEVNULL
                        )
                        self.wait_until(
                            lambda: second.poll() is not None or is_waiting(second.pid),
                            "the second is done, or waits for the first",
                        )
                if second is None:
                    break
                self.assertEqual((first.code, second.wait(60)), (0, 0))
            names = [line.split(b":")[0] for line in (folder / "users").read_bytes().splitlines()]
            self.assertEqual(names, [b"alice", b"bob", b"carol"])
        self.assertGreater(count, 5, "it was stopped somewhere")
