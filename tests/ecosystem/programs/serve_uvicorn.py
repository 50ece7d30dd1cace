"""Serve with uvicorn until a signal comes; says its port on the first line."""

import asyncio
import socket
from typing import Any

import uvicorn


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    loop = type(asyncio.get_running_loop()).__module__
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": loop.encode()})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    # uvicorn's default names the class of asyncio's own loop; "none" leaves the choice to asyncio.
    uvicorn.run(
        application,
        fd=listener.fileno(),
        lifespan="off",
        log_level="error",
        loop="none",
        ws="none",
    )
