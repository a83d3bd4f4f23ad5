"""
tests/wire/test_harden.py: what the process may still do once it serves.

Goal: the user, the files and the system calls of server/harden.c, on the real process. What the
filter lets through is tested by all other files: a call that is refused there fails their test.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from smqwire import SMQD, Server, WireTest, plain_only, raw_only
from test_faults import FAULTY, FaultyServer

NOBODY = "nobody"

LANDLOCK_CREATE_RULESET = 444  # from 424 on a new call has the same number everywhere
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(platform.machine())


def has_landlock():
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) > 0


# A kernel that does not know one system call: a filter says so, and stays over the exec.
EXEC_WITHOUT_A_CALL = """
import ctypes, errno, os, struct, sys
LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
steps = ((LOAD_NUMBER, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, int(sys.argv[1])),
         (RETURN, 0, 0, ERROR | errno.ENOSYS), (RETURN, 0, 0, ALLOW))
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, program, 0, 0): # no new privileges, seccomp
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class OldKernelServer(Server):
    """A Server on a kernel without the system call of this @number."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def command(self):
        return [sys.executable, "-c", EXEC_WITHOUT_A_CALL, str(self.number), *super().command()]


def status_of(pid, task=None):
    """/proc/PID/status as a dict."""
    path = f"/proc/{pid}/task/{task}/status" if task else f"/proc/{pid}/status"
    return dict(line.split(":", 1) for line in pathlib.Path(path).read_text().splitlines())


@plain_only("no matter what is spoken")
@raw_only("no matter what is spoken")
class HardenTest(WireTest):
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.server = None
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self._names = iter(range(1000))

    def tearDown(self):
        if self.server and self.server.process:
            self.server.stop()

    def start(self, *settings, config=None):
        words = [word for setting in settings for word in ("--set", setting)]
        self.server = Server(config, words).start()
        if self.server.sanitized:
            self.skipTest("sanitizers and this exclude one another")
        return self.server

    def each_thread(self):
        pid = self.server.process.pid
        return [status_of(pid, task) for task in os.listdir(f"/proc/{pid}/task")]

    # -- system calls --

    def test_all_threads_are_under_the_filter_and_get_no_privileges(self):
        self.start("threads.io=2", "threads.router=2")
        threads = self.each_thread()
        self.assertGreaterEqual(len(threads), 5)
        for status in threads:
            self.assertEqual(status["Seccomp"].strip(), "2", status["Name"])
            self.assertEqual(status["NoNewPrivs"].strip(), "1", status["Name"])
        self.connect().expect_nothing()

    def test_it_can_be_switched_off(self):
        self.start("harden=off")
        for status in self.each_thread():
            self.assertEqual(status["Seccomp"].strip(), "0")
            self.assertEqual(status["NoNewPrivs"].strip(), "0")
        self.assertNotIn("harden.files", self.server.log())

    def test_report_refuses_no_file_and_no_call(self):
        self.start("harden=report")
        self.server.wait_for_log("seccomp=report")
        self.assertNotIn("harden.files", self.server.log())
        self.connect().expect_nothing()

    def forbid(self, setting):
        """Returns: what a server with this setting says to a call that is not on its list."""
        self.server = FaultyServer(["--set", setting])
        self.server.may_be_refused = True
        self.server.start()
        if self.server.sanitized:
            self.skipTest("sanitizers and this exclude one another")
        self.server.make_forbidden_call()
        self.connect().expect_nothing()  # which it hears of
        self.wait_until(lambda: self.server.forbidden_call_error is not None, "the call is made")
        return self.server.forbidden_call_error

    @unittest.skipUnless(FAULTY.exists(), "smqd-faulty is not built")
    def test_a_call_that_is_not_on_the_list_is_refused_and_logged_by_its_name(self):
        self.assertEqual(self.forbid("harden=on"), errno.EPERM)
        self.server.wait_for_log("harden.refused call=personality ")
        self.connect().expect_nothing()
        self.assertEqual(self.server.log().count("harden.refused"), 1)

    @unittest.skipUnless(FAULTY.exists(), "smqd-faulty is not built")
    def test_it_is_let_through_where_that_is_wanted(self):
        for setting in ("harden=report", "harden=off"):
            with self.subTest(setting):
                self.assertEqual(self.forbid(setting), 0)
                self.assertNotIn("harden.refused", self.server.log())
                self.server.stop()

    # -- kernels that cannot --

    def start_without(self, number):
        self.server = OldKernelServer(number).start()
        if self.server.sanitized:
            self.skipTest("sanitizers and this exclude one another")

    def test_without_landlock_it_says_so_and_the_rest_stands(self):
        self.start_without(LANDLOCK_CREATE_RULESET)
        self.server.wait_for_log("harden.no_landlock")
        self.server.wait_for_log("seccomp=on")
        self.connect().expect_nothing()

    @unittest.skipUnless(SECCOMP, "its number on this machine is not known here")
    def test_without_seccomp_it_says_so_and_the_rest_stands(self):
        self.start_without(SECCOMP)
        self.server.wait_for_log("harden.no_seccomp")
        self.assertEqual("harden.files" in self.server.log(), has_landlock())
        self.connect().expect_nothing()

    # -- files --

    @unittest.skipUnless(has_landlock(), "this kernel has no landlock")
    def test_a_file_of_another_folder_cannot_be_read_any_more(self):
        """web.root has a link out of its folder, which is refused for itself; so the way out here is
        a link that was made after the start, of a password file that is read again."""
        inside, outside = self.folder / "inside", self.folder / "outside"
        for each in (inside, outside):
            each.mkdir()
            (each / "rules").write_text("allow anyone any *\n")
        self.start(config=f'instance "/smq.lsp" {{ acl = "{inside}/rules" }}')
        self.reload(True)
        (inside / "rules").unlink()
        (inside / "rules").symlink_to(outside / "rules")
        self.reload(False)
        self.server.wait_for_log("Permission denied")
        (inside / "new").write_text("allow anyone any *\n")
        (inside / "new").rename(inside / "rules")
        self.reload(True)

    def reload(self, good):
        before = self.server.log().count("auth.reload")
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.server.log().count("auth.reload") > before, "read again")
        last = [line for line in self.server.log().splitlines() if "auth.reload" in line][-1]
        self.assertEqual("auth.reloaded" in last, good, last)

    # -- the user --

    @contextlib.contextmanager
    def other_user(self, *settings, program=SMQD, **options):
        """A server that ends up as another user; its pid and its data dir."""
        data = self.folder / "data"
        words = [word for setting in settings for word in ("--set", setting)]
        process = subprocess.Popen(
            [program, "--listen", "tcp://127.0.0.1:0", "--data-dir", str(data), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            **options,
        )
        try:
            self.assertRegex(process.stdout.readline(), "^smqd ready")
            yield process.pid, data
        finally:
            process.terminate()
            self.assertEqual(process.wait(60), 0)
            process.stdout.close()

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_root_becomes_another_user_in_all_threads(self):
        user = pwd.getpwnam(NOBODY)
        os.chmod(self.folder, 0o755)
        with self.other_user(f"run_as={NOBODY}", "threads.io=2") as (pid, data):
            for task in os.listdir(f"/proc/{pid}/task"):
                status = status_of(pid, task)
                for ids, own in (("Uid", user.pw_uid), ("Gid", user.pw_gid)):
                    self.assertEqual(status[ids].split(), [str(own)] * 4, status["Name"])
                self.assertEqual(int(status["CapEff"], 16), 0)
            for path in [data, *data.rglob("*")]:
                self.assertEqual(path.lstat().st_uid, user.pw_uid, path)
            self.assertEqual(data.stat().st_mode & 0o077, 0)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_nobody_looks_into_a_process_that_holds_secrets(self):
        """Whoever is not dumpable leaves no core file and has no debugger of its own user: its
        files in /proc belong to root then. (Becoming another user does that, too: so it is started as
        that user here, from a copy that the user can reach.)"""
        user = pwd.getpwnam(NOBODY)
        program = shutil.copy(SMQD, self.folder)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        for settings, owner in (
            (["harden=on"], 0),
            (["harden=off"], 0),
            (["harden=off", "web.enabled=off"], user.pw_uid),
        ):
            with self.subTest(settings):
                ids = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
                with self.other_user(*settings, program=program, **ids) as (pid, _):
                    self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, owner)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_what_cannot_be_is_told(self):
        for setting, words in (
            ("run_as=no-such-user-here", "there is no such user"),
            (f"run_as={NOBODY}", "is not of the user"),
        ):
            done = subprocess.run(
                [SMQD, "--listen", "tcp://127.0.0.1:0", "--data-dir", str(self.folder)]
                + ["--set", setting],
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertEqual(done.returncode, os.EX_OSERR, done)
            self.assertIn(words, done.stderr)
