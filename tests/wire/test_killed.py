"""
tests/wire/test_killed.py: `kill -9`, and what lies on the disk afterwards.

Goal: wherever a process is killed while it writes, the next one finds whole files or none.
Method: two ways to die. Between files: watch the folder and kill when the k-th file appears, for
k = 1, 2, 3 ... until the process is done before that. In the middle of a file: allow files of so
many bytes only (RLIMIT_FSIZE); the kernel writes these, and kills at the byte after them.
"""

import contextlib
import pathlib
import resource
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


@plain_only("they say themselves what they speak")
@raw_only("what is on the disk does not depend on it")
class KilledTest(WireTest):
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def tearDown(self):
        pass

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
