"""bench/cgroup.py: a broker alone in a memory cgroup: what the kernel holds for it, and a limit.

The generator runs on the same machine, so the machine's own figures hold both ends of every
connection; a cgroup's hold the broker's. Works with both versions of cgroups, and says so when
neither can be used.
"""

import contextlib
import os
import threading
import time

NO_LIMIT = 1 << 40
REMOVE_SECONDS = 10.0


class Unavailable(Exception):
    """No memory cgroup can be made here; the text says why."""


def mounted(kind, option, mountinfo="/proc/self/mountinfo"):
    """Where a file system of this kind, with this option, is mounted; or None."""
    with open(mountinfo, encoding="utf-8") as lines:
        for line in lines:
            before, after = line.rstrip("\n").split(" - ", 1)
            file_system, _, options = after.split(" ", 2)
            if file_system == kind and (option is None or option in options.split(",")):
                return before.split()[4]
    return None


def make():
    """A fresh memory cgroup without a limit. Raises Unavailable."""
    root = mounted("cgroup2", None)
    if root is not None and "memory" in read_words(os.path.join(root, "cgroup.controllers")):
        return GroupV2(root)
    root = mounted("cgroup", "memory")
    if root is not None:
        return GroupV1(root)
    raise Unavailable("no memory controller is mounted")


def read_words(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


class Group:
    """What both versions have in common."""

    made_count = 0

    def __init__(self, root):
        Group.made_count += 1
        self.folder = os.path.join(root, f"smqd-bench-{os.getpid()}-{Group.made_count}")
        try:
            self.prepare(root)
            os.mkdir(self.folder)
        except OSError as error:
            raise Unavailable(f"{self.folder} cannot be made: {error.strerror}") from error
        try:
            self.set_limit(None)
        except OSError as error:
            self.remove()
            raise Unavailable(f"{self.folder} cannot be set up: {error}") from error

    def prepare(self, root):
        """Before the folder is made."""

    def object_bytes(self):
        """The kernel's own memory for the group: sockets, files, stacks, page tables."""
        raise NotImplementedError

    def peak_bytes(self):
        """The most that was ever charged against the limit."""
        raise NotImplementedError

    def buffer_peak_bytes(self):
        """The most that was charged for socket buffers, where that has a limit of its own. At
        least a page for each socket that buffers anything: a reservation more than a use."""
        raise NotImplementedError

    def killed_count(self):
        """Processes that the limit has ended."""
        raise NotImplementedError

    def set_limit(self, limit_bytes):
        raise NotImplementedError

    def write(self, name, value):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="ascii") as file:
            return file.read()

    def field(self, name, key):
        """A "key value" line of a file; 0 without it."""
        for line in self.read(name).splitlines():
            words = line.split()
            if words[0] == key:
                return int(words[1])
        return 0

    def enter(self):
        """Move this process in. For subprocess.Popen's preexec_fn."""
        self.write("cgroup.procs", os.getpid())

    def remove(self):
        """The kernel lets go of the last socket a moment after the last process."""
        deadline = time.monotonic() + REMOVE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)
                return
            time.sleep(0.05)


class GroupV1(Group):
    """Version 1 counts what sockets buffer apart, and charges an accepted socket to the group only
    while that count has a limit; hence NO_LIMIT, which is none."""

    def set_limit(self, limit_bytes):
        limit = NO_LIMIT if limit_bytes is None else limit_bytes
        self.write("memory.limit_in_bytes", limit)
        self.write("memory.kmem.tcp.limit_in_bytes", limit)
        with contextlib.suppress(OSError):  # where there is no accounting of swap
            self.write("memory.memsw.limit_in_bytes", limit)

    def object_bytes(self):
        return int(self.read("memory.kmem.usage_in_bytes"))

    def peak_bytes(self):
        return int(self.read("memory.max_usage_in_bytes"))

    def buffer_peak_bytes(self):
        return int(self.read("memory.kmem.tcp.max_usage_in_bytes"))

    def killed_count(self):
        return self.field("memory.oom_control", "oom_kill")


class GroupV2(Group):
    """Version 2 counts everything in one sum."""

    def prepare(self, root):
        control = os.path.join(root, "cgroup.subtree_control")
        if "memory" not in read_words(control):
            with open(control, "w", encoding="ascii") as file:
                file.write("+memory")

    def set_limit(self, limit_bytes):
        limit = "max" if limit_bytes is None else limit_bytes
        self.write("memory.max", limit)
        with contextlib.suppress(OSError):
            self.write("memory.swap.max", "max" if limit_bytes is None else 0)

    def object_bytes(self):
        return self.field("memory.stat", "kernel")

    def peak_bytes(self):
        return int(self.read("memory.peak"))

    def buffer_peak_bytes(self):
        """Part of peak_bytes() here, and not known apart."""
        return 0

    def killed_count(self):
        return self.field("memory.events", "oom_kill")


class Watch:
    """Looks at a process and its group many times a second: RSS, and the kernel's memory by which
    that has grown since the start: the group's objects, and the packets that wait in sockets.

    Packets are charged by the page, so a group's own figure for them says little. The machine's
    caches for them say what is used, both ends of every connection included: an upper bound."""

    PERIOD_SECONDS = 0.02

    def __init__(self, group, pid):
        self.group = group
        self.pid = pid
        self.samples = []  # (seconds since the start, RSS bytes, kernel bytes)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.kernel_before = self.kernel_bytes() if group is not None else 0

    def kernel_bytes(self):
        return self.group.object_bytes() + packet_bytes()

    def __enter__(self):
        self.start = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.is_over.set()
        self.thread.join()

    def run(self):
        while not self.is_over.wait(self.PERIOD_SECONDS):
            try:
                rss = rss_bytes(self.pid)
            except OSError:
                return  # the process has ended
            kernel = self.kernel_bytes() - self.kernel_before
            self.samples.append((time.monotonic() - self.start, rss, kernel))

    def mean(self, first, last):
        """RSS and kernel bytes on average between two moments, seconds; None without a sample."""
        rows = [row for row in self.samples if first <= row[0] <= last]
        if not rows:
            return None
        return sum(row[1] for row in rows) / len(rows), sum(row[2] for row in rows) / len(rows)

    def peak(self, last=float("inf")):
        """RSS and kernel bytes when their sum was largest, until a moment."""
        rows = [(rss, kernel) for at, rss, kernel in self.samples if at <= last]
        return max(rows, key=sum, default=(0, 0))


def rss_bytes(pid):
    """VmRSS of a process, its threads and shared pages included."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def packet_bytes(slabinfo="/proc/slabinfo"):
    """What the kernel's caches of packets (skbuffs) hold, in bytes, for the whole machine."""
    total = 0
    with open(slabinfo, encoding="ascii") as lines:
        for line in lines:
            if not line.startswith("skbuff_"):
                continue
            words = line.split()
            pages_per_slab = int(words[5])
            slab_count = int(words[words.index("slabdata") + 2])
            total += slab_count * pages_per_slab * os.sysconf("SC_PAGE_SIZE")
    return total
