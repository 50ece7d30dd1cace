"""Water marks: who stops a program that writes faster than the other side reads.

python3 docs/tour/08_water_marks.py
"""

from __future__ import annotations

import asyncio
import socket

CHUNK = bytes(16 * 1024)
CHUNKS = 64  # one MiB in all


class Telling(asyncio.Protocol):
    """A protocol is told of both marks; a program that does not listen is not stopped."""

    def pause_writing(self) -> None:
        print("    more than 64 KiB wait: pause_writing()")

    def resume_writing(self) -> None:
        print("    16 KiB or fewer wait: resume_writing()")


async def read_all(sock: socket.socket) -> int:
    """The other side. It reads a little, and lets everybody else have a turn."""
    loop, total = asyncio.get_running_loop(), 0
    while data := await loop.sock_recv(sock, 8 * 1024):
        total += len(data)
        await asyncio.sleep(0)
    sock.close()
    return total


def connected() -> tuple[socket.socket, asyncio.Task[int]]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    return ours, asyncio.create_task(read_all(theirs))


async def main() -> None:
    print("a transport takes all that is written:")
    ours, reader = connected()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Telling, sock=ours)
    transport.set_write_buffer_limits(high=64 * 1024, low=16 * 1024)
    for _ in range(CHUNKS):
        transport.write(CHUNK)  # returns at once, always
    print(f"    {transport.get_write_buffer_size() // 1024} KiB wait in memory")
    transport.close()  # what waits is still sent
    print(f"    {await reader // 1024} KiB have arrived")

    print("a stream's drain() waits while the buffer is above the marks:")
    ours, reader = connected()
    _, writer = await asyncio.open_connection(sock=ours)
    most = 0
    for _ in range(CHUNKS):
        writer.write(CHUNK)
        most = max(most, writer.transport.get_write_buffer_size())
        await writer.drain()
    print(f"    {most // 1024} KiB at the most wait in memory")
    writer.close()
    await writer.wait_closed()
    print(f"    {await reader // 1024} KiB have arrived")


asyncio.run(main())
