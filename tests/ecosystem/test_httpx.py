"""httpx, which reaches the network through anyio, against the standard library's HTTP server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.ecosystem.web_peer import LARGE, WebServer

Run = Callable[..., Any]


def test_client_reads_json_gzip_a_redirect_and_a_megabyte(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(base_url=web.url, follow_redirects=True) as client:
            assert (await client.get("/json")).json() == {"loop": "any"}
            assert (await client.get("/gzip")).content == b"packed" * 100
            redirected = await client.get("/redirect")
            assert (redirected.text, redirected.url.path) == ("hello", "/hello")
            assert (await client.get("/large")).content == LARGE

    run(main)
    assert web.connections == 1


def test_client_streams_both_ways(run: Run, web: WebServer) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]

    async def main() -> None:
        async with (
            httpx.AsyncClient(base_url=web.url) as client,
            client.stream("POST", "/echo", content=pieces()) as response,
        ):
            received = b"".join([chunk async for chunk in response.aiter_bytes()])
        assert received == LARGE

    run(main)


def test_client_fetches_forty_pages_at_once_over_tls(
    run: Run, secure_web: WebServer, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(base_url=secure_web.url, verify=client_tls) as client:
            answers = await asyncio.gather(*(client.get(f"/page/{n}") for n in range(40)))
        assert all(f"<title>{n}<" in answer.text for n, answer in enumerate(answers))

    run(main)


def test_client_names_what_went_wrong(run: Run, web: WebServer, secure_web: WebServer) -> None:
    async def main() -> None:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(f"{web.url}/hang", timeout=0.05)
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"{web.url}/drop")
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await client.get(f"{secure_web.url}/hello")

    run(main)


def test_client_request_can_be_cancelled(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(base_url=web.url) as client:
            request = asyncio.create_task(client.get("/hang"))
            while web.connections == 0:
                await asyncio.sleep(0)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            assert (await client.get("/hello")).text == "hello"

    run(main)
