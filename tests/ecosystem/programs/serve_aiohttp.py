"""Serve with aiohttp until a signal comes; says its port on the first line."""

import asyncio
import socket

from aiohttp import web


async def which(request: web.Request) -> web.Response:
    return web.Response(text=type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    application = web.Application()
    application.add_routes([web.get("/", which)])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    web.run_app(application, sock=listener, print=lambda line: None)
