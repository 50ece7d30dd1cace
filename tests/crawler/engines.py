"""Redis, or Valkey, on a port of its own, where it is installed."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
CLIENT = shutil.which("redis-cli") or shutil.which("valkey-cli")
needs_engine = pytest.mark.skipif(
    SERVER is None, reason="needs redis-server (Debian's package of that name), which is not here"
)
_NAMES = itertools.count()


def free_port() -> int:
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
            if port < 50_000:  # a node of a cluster listens 10,000 above that as well
                return port


class Engine:
    """A server that can be killed, and that goes on with its files when it is started again."""

    def __init__(self, at: Path, *settings: str, tls: bool = False) -> None:
        self.at = at
        self.port = free_port()
        self.settings = settings
        self.plain = ["--port", str(self.port)]
        if tls:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(at / "ca.pem")
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
                at / "own.pem"
            )
            self.plain = [
                "--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
                "--tls-cert-file", str(at / "own.pem"), "--tls-key-file", str(at / "own.pem"),
                "--tls-ca-cert-file", str(at / "ca.pem"),
            ]  # fmt: skip
        self.tls = tls
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert SERVER is not None
        command = [
            SERVER, *self.plain, "--bind", "127.0.0.1", "--dir", str(self.at),
            "--save", "", "--appendonly", "yes", "--appendfsync", "always",
            "--logfile", str(self.at / "log"), "--daemonize", "no",
            "--repl-diskless-sync-delay", "0", *self.settings,
        ]  # fmt: skip
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + 30
        while self._answer() != "PONG":
            assert self.process.poll() is None, (self.at / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _answer(self) -> str:
        if self.tls:  # it listens when it is ready
            log = self.at / "log"
            return "PONG" if log.exists() and "Ready to accept" in log.read_text() else ""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 5) as sock,
        ):
            sock.sendall(b"PING\r\n")
            answer = sock.recv(100).decode()
            # It wants a password: then it does answer.
            return "PONG" if answer.startswith("-NOAUTH") else answer.strip().removeprefix("+")
        return ""

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def cli(self, *words: str) -> str:
        """What it answers to a command."""
        assert CLIENT is not None
        command = [CLIENT, "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def take_over(self, primary: Engine) -> None:
        """Be the engine in the place of one that was killed."""
        self.cli("replicaof", "no", "one")
        self.cli("config", "set", "port", str(primary.port))
        self.port = primary.port

    def url(self, query: str = "") -> str:
        """The URL of a new crawl."""
        return f"redis://127.0.0.1:{self.port}/test-{next(_NAMES)}{query}"


@contextlib.contextmanager
def an_engine(*settings: str, tls: bool = False) -> Iterator[Engine]:
    """An engine for as long as this lasts."""
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(Path(directory), *settings, tls=tls)
        try:
            yield engine
        finally:
            if engine.process is not None:
                engine.kill()


@contextlib.contextmanager
def a_replica(primary: Engine) -> Iterator[Engine]:
    """A replica that follows its primary."""
    with an_engine("--replicaof", "127.0.0.1", str(primary.port)) as replica:
        deadline = time.monotonic() + 30
        while "master_link_status:up" not in replica.cli("info", "replication"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield replica


@contextlib.contextmanager
def a_cluster(replicas: int = 0) -> Iterator[list[Engine]]:
    """A cluster of three nodes, each with so many replicas."""
    with contextlib.ExitStack() as stack:
        settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
        nodes = [stack.enter_context(an_engine(*settings)) for _ in range(3 * (1 + replicas))]
        places = [f"127.0.0.1:{node.port}" for node in nodes]
        copies = ("--cluster-replicas", str(replicas))
        nodes[0].cli("--cluster", "create", *places, *copies, "--cluster-yes")
        deadline = time.monotonic() + 30
        while not all("cluster_state:ok" in node.cli("cluster", "info") for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield nodes
