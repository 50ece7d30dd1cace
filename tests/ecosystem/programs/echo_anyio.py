"""Echo over TCP and run a child process with anyio, which starts the loop itself.

usage: echo_anyio.py WORD
"""

import asyncio
import sys

import anyio
from anyio.abc import SocketAttribute, SocketStream


async def echo(stream: SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def main(word: str) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(word.encode())
            print((await stream.receive()).decode())
        group.cancel_scope.cancel()
    done = await anyio.run_process([sys.executable, "-c", "print('a child')"])
    print(done.stdout.decode().strip())
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
