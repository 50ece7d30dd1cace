"""HTTP: clients and servers that people use, with the loop under test below them.

The other side is bare sockets at the far end: a server with one page for the clients, and the load
of the echo benchmarks, with a GET for a message, for the servers.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.catalogue import benchmark
from benchmarks.far_end import order, server
from benchmarks.job import Job, Shape

PAGE = 4096  # bytes of each response's body
SHAPES = [Shape(connections=10)]


def per_connection(shape: Shape) -> int:
    """Each connection carries as many requests as the next."""
    return shape.connections


Get = Callable[[str], Awaitable[int]]


async def get_pages(job: Job, get: Get, port: int) -> int:
    """`job.n` GETs by as many tasks as there are connections; returns how many came back whole."""
    done = 0
    url = f"http://127.0.0.1:{port}/"

    async def work() -> None:
        nonlocal done
        for _ in range(job.n // job.connections):
            size = await get(url)
            done += size == PAGE

    with job.timed():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(job.connections):
                tasks.create_task(work())
    return done


@benchmark(
    "http/client",
    counts="request",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    program="aiohttp",
    reference=True,
    requires=("aiohttp",),
)
async def client_aiohttp(job: Job) -> int:
    """HTTP clients: GET a page of 4 KiB over connections that are kept alive."""
    import aiohttp

    async with server(job, "web_server", size=PAGE) as there:
        connector = aiohttp.TCPConnector(limit=job.connections)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def get(url: str) -> int:
                async with session.get(url) as response:
                    return len(await response.read())

            return await get_pages(job, get, there["address"][1])


@benchmark(
    "http/client",
    counts="request",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    program="crawler.http",
    requires=("can_ada", "h11"),
)
async def client_ours(job: Job) -> int:
    """The crawler's own client."""
    from crawler.http import Client, Limits

    limits = Limits(connections=job.connections, per_origin=job.connections)
    async with (
        server(job, "web_server", size=PAGE) as there,
        Client(limits=limits) as client,
    ):

        async def get(url: str) -> int:
            return len((await client.get(url)).body)

        return await get_pages(job, get, there["address"][1])


@benchmark(
    "http/client",
    counts="request",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    program="httpx",
    requires=("httpx",),
)
async def client_httpx(job: Job) -> int:
    """The AsyncClient of httpx."""
    import httpx

    limits = httpx.Limits(max_connections=job.connections)
    async with (
        server(job, "web_server", size=PAGE) as there,
        httpx.AsyncClient(limits=limits, trust_env=False) as client,
    ):

        async def get(url: str) -> int:
            return len((await client.get(url)).content)

        return await get_pages(job, get, there["address"][1])


@benchmark(
    "http/server",
    counts="request",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    program="aiohttp",
    reference=True,
    requires=("aiohttp",),
)
async def server_aiohttp(job: Job) -> int:
    """HTTP servers: answer a GET with a page of 4 KiB over connections that are kept alive."""
    from aiohttp import web

    answered = 0
    page = b"." * PAGE

    async def answer(_request: web.BaseRequest) -> web.Response:
        nonlocal answered
        answered += 1
        return web.Response(body=page)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await load(job, runner.addresses[0])
    finally:
        await runner.cleanup()
    return answered - 1  # the first is asked to learn how long a response is


@benchmark(
    "http/server",
    counts="request",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    program="uvicorn",
    requires=("uvicorn", "h11"),
)
async def server_uvicorn(job: Job) -> int:
    """The server of uvicorn, with h11 and an ASGI application that does nothing else."""
    import uvicorn

    answered = 0
    page = b"." * PAGE
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(PAGE).encode())]

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal answered
        answered += 1
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    config = uvicorn.Config(
        application, http="h11", lifespan="off", log_level="warning", access_log=False
    )
    served = uvicorn.Server(config)
    # With the protocol named, as asyncio switches off Nagle's algorithm only where it sees it; left
    # on, it has each response wait 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        serving = asyncio.create_task(served.serve(sockets=[listener]))
        try:
            await load(job, listener.getsockname())
        finally:
            served.should_exit = True
            await serving
    return answered - 1  # the first is asked to learn how long a response is


async def load(job: Job, address: Any) -> None:
    """Have the far end send `job.n` requests to the server at `address`."""
    await order(
        job,
        "http_client",
        address=address,
        path="/",
        connections=job.connections,
        messages=job.n,
    )
