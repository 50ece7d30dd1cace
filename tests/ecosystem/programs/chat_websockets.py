"""A WebSocket server and its client in one program.

usage: chat_websockets.py WORD
"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve


async def shout(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message.upper())


async def main(word: str) -> None:
    async with serve(shout, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as peer:
            await peer.send(word)
            print(await peer.recv())
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
