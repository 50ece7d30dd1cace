"""What an echo asks of the kernel, on this loop and on asyncio: counted by strace.

A server on the loop echoes messages to a client, which is another process and not counted. It is
run with few messages and with more; the difference is what the messages cost, without start and
end. The client waits for a moment before each message, so that the server sleeps when it comes.
`python -m website.pictures.system_calls` counts, and writes docs/images/system-calls.json, from
which the picture is drawn.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from website.pages import ROOT
from website.pictures.drawing import Drawing

__all__ = ["COUNTED", "WAYS", "count", "draw"]

COUNTED = ROOT / "docs" / "images" / "system-calls.json"
FEW, MORE = 20, 120
LOOPS = ("miniloop", "asyncio")

_CLIENT = """
import socket, sys, time
with socket.socket(fileno=int(sys.argv[1])) as peer:
    for _ in range(int(sys.argv[2])):
        time.sleep(0.003)
        peer.sendall(b"x" * 100)
        peer.recv(1000)
"""


# ---- what is counted -------------------------------------------------------------------------
class _Echo(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(None)


async def _by_protocol(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.connect_accepted_socket(_Echo, sock)
    await protocol.lost


async def _by_stream(sock: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=sock)
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _by_sock(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with sock:
        while data := await loop.sock_recv(sock, 1000):
            await loop.sock_sendall(sock, data)


WAYS: dict[str, Callable[[socket.socket], object]] = {
    "protocol": _by_protocol,
    "stream": _by_stream,
    "sock_recv and sock_sendall": _by_sock,
}


def _serve(loop: str, way: str, messages: int) -> None:
    """The process that is counted: it serves one client, and ends."""
    import miniloop

    # A pair by TCP: asyncio's streams take nothing else without a path.
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    near.setblocking(False)
    command = [sys.executable, "-c", _CLIENT, str(far.fileno()), str(messages)]
    client = subprocess.Popen(command, pass_fds=[far.fileno()])
    far.close()
    factory = miniloop.new_event_loop if loop == "miniloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(WAYS[way](near))  # type: ignore[arg-type]
    sys.exit(client.wait())


# ---- counting --------------------------------------------------------------------------------
def count(loop: str, way: str) -> dict[str, float]:
    """How often each system call is made for one message, to a tenth.

    Raises FileNotFoundError without strace, and CalledProcessError if it may not look.
    """
    few, more = (_calls(loop, way, messages) for messages in (FEW, MORE))
    found = {name: (more[name] - few.get(name, 0)) / (MORE - FEW) for name in more}
    # Below this it is not of the messages: memory that is asked for once in a while.
    return {name: round(number, 1) for name, number in sorted(found.items()) if number >= 0.05}


def _calls(loop: str, way: str, messages: int) -> dict[str, int]:
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("strace, which counts system calls, is not installed")
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as file:
        command = [strace, "-o", file.name, "-e", "trace=all", sys.executable]
        command += ["-m", "website.pictures.system_calls", loop, way, str(messages)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            command, cwd=ROOT, env=environment, check=True, timeout=120, capture_output=True
        )
        found: dict[str, int] = {}
        for line in file:
            name, bracket, _ = line.partition("(")
            if bracket and name.isidentifier():
                found[name] = found.get(name, 0) + 1
        return found


# ---- the picture -----------------------------------------------------------------------------
def draw(file: Path = COUNTED) -> str:
    """Return the picture of what was counted as SVG."""
    counted = json.loads(file.read_text("utf-8"))
    drawing = Drawing()
    y, unit = 34.0, 36
    words = []
    drawing.text(16, 20, "System calls for each message that is echoed", "left")
    for way, loops in counted["calls"].items():
        drawing.text(16, y + 24, way, "left")
        y += 34
        for loop, calls in loops.items():
            total = round(sum(calls.values()), 2)
            what = ", ".join(f"{number:g} {name}" for name, number in calls.items())
            drawing.text(90, y + 14, loop, "right")
            drawing.bar(98, y + 2, total * unit, 16)
            drawing.text(106 + total * unit, y + 14, f"{total:g}: {what}", "small left")
            words.append(f"{way} on {loop}: {total:g} ({what})")
            y += 24
    return drawing.svg(760, round(y + 20), "System calls of an echo", "; ".join(words) + ".")


def main(arguments: list[str]) -> None:
    """Serve, when called for that; else count everything and write it down."""
    if arguments:
        loop, way, messages = arguments
        _serve(loop, way, int(messages))
    calls = {way: {loop: count(loop, way) for loop in LOOPS} for way in WAYS}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = json.dumps({"python": python, "messages": MORE - FEW, "calls": calls}, indent=1)
    COUNTED.write_text(text + "\n", encoding="utf-8")
    print(COUNTED.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
