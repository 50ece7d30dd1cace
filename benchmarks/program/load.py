"""Drives a server over HTTP: `wrk` where it is installed, or else a client on epoll."""

from __future__ import annotations

import re
import select
import shutil
import socket
import subprocess
import sys
import time

__all__ = ["LoadError", "drive", "drive_with_epoll"]

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class LoadError(Exception):
    """The server did not answer as it should."""


def drive(port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Ask the server at `port` for `path`, over so many connections, for so long.

    Gives the seconds a request, and the latency in seconds. Raises LoadError where an answer was
    none, or no success.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        # In a process of its own, as the client's work must not be part of whoever measures.
        command = [sys.executable, "-m", "benchmarks.program.load"]
    else:
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "--latency"]
        command.append(f"http://127.0.0.1:{port}{path}")
    if wrk is None:
        command += [str(port), path, str(connections), str(seconds)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise LoadError(ended.stdout + ended.stderr)
    return _read(ended.stdout)


def _read(text: str) -> dict[str, float]:
    """What wrk prints; the client on epoll prints the same lines."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    half, most = (
        re.search(rf"^\s+{part}%\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE) for part in (50, 99)
    )
    if rate is None or half is None or most is None or float(rate[1]) == 0:
        raise LoadError(f"no request was answered:\n{text}")
    if "Non-2xx" in text or "Socket errors" in text:
        raise LoadError(f"not every answer was a good one:\n{text}")
    return {
        "a request": 1 / float(rate[1]),
        "latency, median": float(half[1]) * _UNITS[half[2]],
        "latency, 99th": float(most[1]) * _UNITS[most[2]],
    }


def drive_with_epoll(port: int, path: str, connections: int, seconds: float) -> str:
    """The client: a request at a time on each connection, which is kept. Gives wrk's lines.

    Raises LoadError. It understands answers with a Content-Length.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    poller = select.epoll()
    open_ones: dict[int, tuple[socket.socket, bytearray]] = {}
    asked: dict[int, float] = {}
    latencies: list[float] = []
    try:
        for _ in range(connections):
            one = socket.create_connection(("127.0.0.1", port), 10)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_ones[one.fileno()] = (one, bytearray())
            poller.register(one.fileno(), select.EPOLLIN)
        started = time.perf_counter()
        for fd, (one, _) in open_ones.items():
            asked[fd] = time.perf_counter()
            one.sendall(request)
        until = started + seconds
        while time.perf_counter() < until:
            for fd, _ in poller.poll(0.1):
                one, buffer = open_ones[fd]
                arrived = one.recv(65536)
                if not arrived:
                    raise LoadError("the server has closed a connection: does it keep them?")
                buffer += arrived
                if _is_whole(buffer):
                    now = time.perf_counter()
                    latencies.append(now - asked[fd])
                    buffer.clear()
                    asked[fd] = now
                    one.sendall(request)
        lasted = time.perf_counter() - started
    finally:
        for one, _ in open_ones.values():
            one.close()
        poller.close()
    if not latencies:
        raise LoadError(f"no request was answered in {seconds:g} s")
    latencies.sort()
    lines = [
        f"  {part}%  {latencies[len(latencies) * part // 100] * 1e6:.2f}us" for part in (50, 99)
    ]
    return "\n".join([*lines, f"Requests/sec: {len(latencies) / lasted:.2f}"])


def _is_whole(answer: bytearray) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.split(b" ", 2)[1].startswith(b"2"):
        raise LoadError(f"the answer was {bytes(head.splitlines()[0])!r}")
    length = re.search(rb"(?im)^content-length:\s*(\d+)\s*$", head)
    if length is None:
        raise LoadError("the answer has no Content-Length: wrk, once installed, takes others too")
    return len(body) >= int(length[1])


if __name__ == "__main__":
    try:
        sys.stdout.write(
            drive_with_epoll(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
        )
    except (LoadError, OSError) as error:
        raise SystemExit(f"benchmarks: {error}") from None
