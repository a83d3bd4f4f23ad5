"""bench/brokers.py: starting and stopping the brokers that are measured.

Every broker is a private process on a free loopback port with its files in a temporary folder. It
is stopped by its own process id; nothing else on the machine is touched.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS = 10.0
STOP_SECONDS = 10.0


def free_port():
    """A TCP port of the loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_program(name):
    """The path of an installed program, or None. Daemons live in sbin, off many users' PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


class Credentials:
    """A CA and server certificates for 127.0.0.1, made by `smq ca`, in a temporary folder: the same
    for every broker. Peers get the ECDSA certificate, which is the cheaper one."""

    def __init__(self):
        smq = os.environ.get("SMQ", "build/smq")
        self.folder = tempfile.mkdtemp(prefix="smqbench-ca-")
        for words in (["init"], ["server", "localhost", "127.0.0.1"]):
            subprocess.run(
                [smq, "ca", *words, "--dir", self.folder], check=True, stdout=subprocess.DEVNULL
            )
        server = os.path.join(self.folder, "server", "localhost")
        self.ca = os.path.join(self.folder, "ca.crt")
        self.ecc, self.ecc_key = (os.path.join(server, f"ecc.{end}") for end in ("crt", "key"))
        self.rsa, self.rsa_key = (os.path.join(server, f"rsa.{end}") for end in ("crt", "key"))

    def smqd_settings(self):
        return [
            f"tls.ecc_certificate={self.ecc}", f"tls.ecc_key={self.ecc_key}",
            f"tls.rsa_certificate={self.rsa}", f"tls.rsa_key={self.rsa_key}",
        ]  # fmt: skip

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Broker:
    """One running broker. Subclasses say how to start it."""

    name = ""
    protocol = ""

    def __init__(self, credentials=None):
        """@credentials: speak TLS with these, and nothing else."""
        self.credentials = credentials
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="smqbench-")
        self.log_path = os.path.join(self.folder, "log")
        self.process = None

    def command(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self, group=None):
        """Start, in a bench/cgroup.py group if one is given, and wait until it accepts
        connections. Raises RuntimeError when it does not."""
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                preexec_fn=None if group is None else group.enter,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.accepts():
                return self
            time.sleep(0.05)
        log_text = self.log_tail()
        self.stop()
        raise RuntimeError(f"{self.name} does not start: {log_text}")

    def accepts(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def log_tail(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-500:].decode(errors="replace").strip()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Smqd(Broker):
    """Our broker; @settings are KEY=VALUE for --set."""

    protocol = "smq"

    def __init__(self, path, name="smqd", settings=(), credentials=None):
        super().__init__(credentials)
        self.path = os.path.abspath(path)
        self.name = name
        self.settings = list(settings)

    def accepts(self):
        """Its port takes connections before it is ready: the first start still makes a password,
        and the 16 MB for that would be in the memory everything is compared with."""
        with open(self.log_path, "rb") as log:
            return b"smqd ready" in log.read()

    def command(self):
        scheme = "tcp" if self.credentials is None else "tls"
        settings = [] if self.credentials is None else self.credentials.smqd_settings()
        words = [self.path, "--listen", f"{scheme}://127.0.0.1:{self.port}"]
        words += ["--data-dir", self.folder]
        for setting in settings + self.settings:
            words += ["--set", setting]
        return words

    def version(self):
        return first_line([self.path, "--version"])


class Redis(Broker):
    """Nothing saved to disk, and no limit on what a subscriber may be behind."""

    name = "redis"
    protocol = "redis"

    def command(self):
        port = ["--port", str(self.port)]
        if self.credentials is not None:
            port = [
                "--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
                "--tls-cert-file", self.credentials.ecc, "--tls-key-file",
                self.credentials.ecc_key, "--tls-ca-cert-file", self.credentials.ca,
            ]  # fmt: skip
        return [
            find_program("redis-server"), "--bind", "127.0.0.1", *port,
            "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", self.folder,
            "--maxclients", "19000", "--client-output-buffer-limit", "pubsub 0 0 0",
        ]  # fmt: skip

    def version(self):
        return first_line([find_program("redis-server"), "--version"]).split(" sha")[0]


class Nats(Broker):
    """As it comes: no JetStream, no clustering."""

    name = "nats"
    protocol = "nats"

    def command(self):
        words = [find_program("nats-server"), "-a", "127.0.0.1", "-p", str(self.port)]
        if self.credentials is not None:
            words += ["--tls", "--tlscert", self.credentials.ecc]
            words += ["--tlskey", self.credentials.ecc_key]
        return words

    def version(self):
        return first_line([find_program("nats-server"), "--version"])


class Mosquitto(Broker):
    """No persistence, no delay of small packets, no limit on queued messages."""

    name = "mosquitto"
    protocol = "mqtt"

    def command(self):
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w", encoding="ascii") as config:
            config.write(
                f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                "set_tcp_nodelay true\nmax_queued_messages 0\nmax_connections -1\n"
                "log_type error\n"
            )
            if self.credentials is not None:
                config.write(f"certfile {self.credentials.ecc}\n")
                config.write(f"keyfile {self.credentials.ecc_key}\n")
            if os.getuid() == 0:
                config.write("user root\n")
        return [find_program("mosquitto"), "-c", path]

    def version(self):
        # mosquitto -h ends with an error code by design
        return first_line([find_program("mosquitto"), "-h"])


PEERS = (Redis, Nats, Mosquitto)
PEER_PROGRAMS = {Redis: "redis-server", Nats: "nats-server", Mosquitto: "mosquitto"}


def installed_peers():
    return [peer for peer in PEERS if find_program(PEER_PROGRAMS[peer])]


def first_line(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"
