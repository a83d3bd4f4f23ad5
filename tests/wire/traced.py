"""
tests/wire/traced.py: run a program and stop it before each system call that changes the file system.

    with Traced(["smq", "ca", "init"]) as run:
        for name in run.changes():     # "mkdir", "openat", "write", "rename" ...
            run.kill()                 # at this very place; what @name would have done is not done

With ptrace(2): the program is the real one, and nothing in it, or in the C library, can be missed. The
numbers of the calls are asked of libseccomp, which smqd needs anyway, so this knows no processor.
"""

import ctypes
import errno
import os
import signal
import subprocess
import unittest

TRACEME, SETOPTIONS, SYSCALL, GET_SYSCALL_INFO = 0, 0x4200, 24, 0x420E
OPTIONS = 0x1 | 0x100000  # TRACESYSGOOD: a stop at a call is told from a signal; EXITKILL
ENTRY = 1
MAKES = os.O_CREAT | os.O_TRUNC

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Info(ctypes.Structure):
    """struct ptrace_syscall_info, as far as an entry fills it."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    ]


def numbers_of(*names):
    """{number: name} of those that this processor has."""
    resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name
    numbers = {resolve(name.encode()): name for name in names}
    return {number: name for number, name in numbers.items() if number >= 0}


CHANGES = numbers_of(
    "open", "openat", "creat", "write", "pwrite64", "writev", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat",
    "truncate", "ftruncate", "link", "linkat", "symlink", "symlinkat", "fsync", "fdatasync",
)  # fmt: skip


def ptrace(request, pid, address=None, data=None):
    if libc.ptrace(request, pid, address, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace: {os.strerror(code)}")


class Traced:
    def __init__(self, command, umask=0, **options):
        def begin():
            os.umask(umask)
            ptrace(TRACEME, 0)

        # Leaks cannot be looked for in a program that is traced.
        env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env, **options}
        self.process = subprocess.Popen(command, preexec_fn=begin, **options)
        self.code = None
        self._wait()
        ptrace(SETOPTIONS, self.process.pid, None, OPTIONS)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()

    def _wait(self):
        """The signal it stopped with; None: it has ended."""
        _, status = os.waitpid(self.process.pid, 0)
        if os.WIFSTOPPED(status):
            return os.WSTOPSIG(status)
        self.code = self.process.returncode = os.waitstatus_to_exitcode(status)
        return None

    def changes(self):
        """The name of each call that would change the file system; it is about to be made."""
        deliver = None
        while True:
            try:
                ptrace(SYSCALL, self.process.pid, None, deliver)
            except OSError as error:
                if error.errno != errno.ESRCH:  # it was killed
                    raise
            stopped_with = self._wait() if self.code is None else None
            if stopped_with is None:
                return
            at_call = stopped_with == signal.SIGTRAP | 0x80
            deliver = None if at_call or stopped_with == signal.SIGTRAP else stopped_with
            if at_call and (name := self._change()):
                yield name

    def _change(self):
        info = Info()
        ptrace(GET_SYSCALL_INFO, self.process.pid, ctypes.sizeof(info), ctypes.addressof(info))
        name = CHANGES.get(info.number) if info.op == ENTRY else None
        if name in ("write", "writev") and info.arguments[0] <= 2:
            return None  # what it says
        if name == "openat" and not info.arguments[2] & MAKES:
            return None
        if name == "open" and not info.arguments[1] & MAKES:
            return None
        return name

    def kill(self):
        if self.code is None:
            self.process.kill()
            while self.code is None:
                self._wait()


def traced_only(test):
    """Mark a test that must trace: a container may forbid it, and that is no fault of smqd."""
    try:
        with Traced(["true"]):
            is_allowed = True
    except (OSError, subprocess.SubprocessError):
        is_allowed = False
    return unittest.skipUnless(is_allowed, "no process may be traced here")(test)
