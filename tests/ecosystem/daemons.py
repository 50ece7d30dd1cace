"""Real servers from the machine's packages, on free loopback ports and in folders of their own.

Each is found or the test is skipped with a message, started and waited for by what it prints, and
stopped as its manual says.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 20.0  # seconds that a server may take to stop


@contextmanager
def redis() -> Iterator[str]:
    """A ``redis-server`` that keeps nothing; gives its URL."""
    program = _program("redis-server", "redis-server")
    with tempfile.TemporaryDirectory(prefix="miniloop-redis-") as folder:
        port = _free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        with _running([*command, "--save", "", "--appendonly", "no"], "Ready to accept"):
            yield f"redis://127.0.0.1:{port}"


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL cluster of its own; gives the URL of its first database."""
    initdb, postgres = _program("initdb", "postgresql"), _program("postgres", "postgresql")
    user = _user_for_postgresql()
    with tempfile.TemporaryDirectory(prefix="miniloop-postgresql-") as folder:
        if user:
            shutil.chown(folder, user)
        data, port = f"{folder}/data", _free_port()
        subprocess.run(
            [initdb, "--pgdata", data, "--username", "tester", "--auth", "trust", "--no-sync"],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        command = [postgres, "-D", data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        # Fast shutdown: it disconnects clients instead of waiting for them.
        with _running(command, "ready to accept connections", user=user, cwd=folder):
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"


def _program(name: str, package: str) -> str:
    """Where a server's program is; Debian keeps PostgreSQL's off the PATH."""
    found = shutil.which(name)
    if found is None:
        versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(versions[-1]) if versions else None
    if found is None:
        pytest.skip(f"no {name} on this machine (on Debian: apt-get install {package})")
    return found


def _user_for_postgresql() -> str | None:
    """PostgreSQL refuses to run as root; its package brings a user for it."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _running(
    command: list[str], ready: str, *, user: str | None = None, cwd: str | None = None
) -> Iterator[None]:
    """Run a server between the line by which it says that it is ready, and SIGINT."""
    with subprocess.Popen(
        command,
        user=user,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A terminal's Ctrl-C is for the tests; they stop the server themselves.
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if ready in line:
                    break
            else:
                pytest.fail(f"{command[0]} did not start:\n{''.join(said)}")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
