"""A client with wrong arguments, on a wrong loop, left too early; and copies of what it gives."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from crawler.http import (
    URL,
    BadStatus,
    Basic,
    Client,
    ConnectionLost,
    HTTPError,
    Limits,
    ProtocolError,
    RedirectError,
    ResolveError,
    TooLarge,
)
from crawler.http.chunks import Chunks
from tests.crawler.scripted import Peer, html, polite, saying, serving
from tests.crawler.test_requests import send

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "error",
    [
        BadStatus("http://h/", 503, "Busy", "3"),
        RedirectError("http://h/", "in a circle"),
        TooLarge("http://h/", "too much"),
    ],
)
@pytest.mark.parametrize("copied", [copy.copy, lambda it: pickle.loads(pickle.dumps(it))])
def test_errors_can_be_copied_and_pickled(
    error: HTTPError, copied: Callable[[HTTPError], HTTPError]
) -> None:
    error.urls = ["http://h/"]
    twin = copied(error)
    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


def test_responses_can_be_copied_and_pickled_and_their_urls_compared(run: Run) -> None:
    with serving(saying(html(b"hello", "X-A: 1"))) as server:
        response = run(lambda: send("GET", server.url)).raise_for_status()
        for twin in (copy.deepcopy(response), pickle.loads(pickle.dumps(response))):
            assert twin.body == b"hello"
            assert twin.headers == response.headers
            assert twin.url == response.url == f"{server.url}/"
    assert URL("http://h") == URL("http://H:80/")
    assert len({URL("http://h"), URL("http://h/"), URL("http://h/#")}) == 2


def test_a_bad_status_knows_when_to_come_back(run: Run) -> None:
    reply = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with serving(saying(reply)) as server, pytest.raises(BadStatus) as caught:
        run(lambda: send("GET", server.url)).raise_for_status()
    assert caught.value.retry_after == "7"


def test_a_password_is_in_no_text(run: Run) -> None:
    with serving(saying(b"")) as server, pytest.raises(HTTPError) as caught:
        run(lambda: send("GET", server.url.replace("//", "//user:secret@")))
    assert f"http://user:***@127.0.0.1:{server.port}/" in str(caught.value)
    with serving(polite) as server:
        response = run(lambda: send("GET", server.url.replace("//", "//user:secret@")))
    assert "secret" not in repr(response)
    assert "secret" in response.url.href


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"auth": "token"}, TypeError),
        ({"auth": ["u", "p"]}, TypeError),
        ({"auth": ("u", None)}, TypeError),
        ({"timeout": "5"}, TypeError),
        ({"timeout": (1, 2)}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"timeout": math.nan}, ValueError),
        ({"cookies": {"a": "b; c=d"}}, ValueError),
        ({"cookies": {"a=b": "c"}}, ValueError),
        ({"cookies": {"a": "値"}}, ValueError),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(
    run: Run, options: dict[str, Any], error: type[Exception]
) -> None:
    told = pytest.raises(error, match=r"auth|password|timeout|cookie|must be 0 or more")
    with serving(polite) as server, told:
        run(lambda: send("GET", server.url, **options))
    assert server.requests == []


def test_a_url_and_limits_must_be_what_they_say() -> None:
    url: Any
    for url in (None, b"http://h/", 5):
        with pytest.raises(TypeError, match="a URL must be text"):
            URL(url)
    wrong: dict[str, Any]
    for wrong in ({"read": None}, {"total": "5"}):
        with pytest.raises(TypeError, match="must be a number"):
            Limits(**wrong)
    for wrong in ({"connections": 0}, {"per_origin": 0}, {"read": -1}, {"total": math.nan}):
        with pytest.raises(ValueError, match="or more"):
            Limits(**wrong)
    with pytest.raises(TypeError, match="True or a CookieJar"):
        Client(cookies={"a": "b"})  # type: ignore[arg-type]
    assert Basic(b"u", b"\xff").header(URL("http://h/")) == "Basic dTr/"


def test_a_client_belongs_to_one_loop_at_a_time_and_moves_when_that_is_closed() -> None:
    async def main(url: str) -> None:
        assert (await client.get(url)).body == b"hello"

    async def on_another_loop_meanwhile(url: str) -> None:
        await main(url)
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await asyncio.to_thread(asyncio.run, main(url))
        client.close()

    with serving(polite) as server:
        client = Client()
        asyncio.run(main(server.url))
        asyncio.run(on_another_loop_meanwhile(server.url))
    assert server.connections == 2


def test_a_client_that_is_closed_cancels_nobody_who_waits_for_a_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def never(*args: Any) -> None:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr("crawler.http.resolver._ask", never)
        client = Client()
        fetching = asyncio.create_task(client.get("http://name.invalid/"))
        await asked.wait()
        client.close()
        with pytest.raises(ResolveError, match="the client was closed"):
            await fetching

    run(main)


def test_a_streamed_body_is_not_to_be_had_after_its_block(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            async with client.stream("GET", url) as response:
                pass
            with pytest.raises(RuntimeError, match="async with"):
                await response.read()
            assert client.pool.open_connections == 0

    with serving(polite) as server:
        run(main, server.url)


@pytest.mark.parametrize("step", ["acquire", "connect_tcp", "send_request", "receive_body"])
def test_a_trace_that_fails_leaves_nothing_open(run: Run, step: str) -> None:
    def trace(event: str, info: Any) -> None:
        if event == f"{step}.complete":
            raise LookupError(event)

    async def main(url: str) -> None:
        async with Client(trace=trace) as client:
            with pytest.raises(LookupError):
                await client.get(url)
            assert client.pool.open_connections == 0

    with serving(polite) as server:
        run(main, server.url)


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH_9\r\n", b"<html>", b"220 ftp ready\r\n", b"\x15\3\1\0\2\2F"]
)
def test_another_protocol_is_told_at_once_and_by_what_it_says(run: Run, data: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(data)
        peer.until_gone()  # it waits for an answer, as such servers do

    with serving(script) as server, pytest.raises(ProtocolError, match=r"expected HTTP/1.1, got"):
        run(lambda: send("GET", server.url))


@pytest.mark.parametrize("asked", [{"Connection": "upgrade", "Upgrade": "x"}, {}])
def test_a_change_of_protocol_is_not_followed(run: Run, asked: dict[str, str]) -> None:
    upgraded = b"HTTP/1.1 101 Fine\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    with serving(saying(upgraded)) as server, pytest.raises(ProtocolError, match="101"):
        run(lambda: send("GET", server.url, headers=asked))


def test_a_connection_whose_end_was_the_end_of_the_body_is_not_kept(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            assert (await client.get(url)).body == b"hello"
            assert client.pool.open_connections == 0

    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nhello")) as server:
        run(main, server.url)


def test_a_chunk_with_a_bare_cr_in_its_extension_is_odd() -> None:
    chunks = Chunks()
    assert chunks.feed(b"5;\rx\r\nhello\r\n0\r\n\r\n") == b"hello"
    assert chunks.odd


def test_whoever_makes_a_body_has_been_left_when_the_error_comes(run: Run) -> None:
    left = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            while True:
                await asyncio.sleep(0.001)
                yield b"a" * 1000
        finally:
            left.append("left")

    def script(peer: Peer) -> None:
        peer.request()
        peer.sock.recv(1)
        peer.sock.close()

    async def main(url: str) -> None:
        with pytest.raises(ConnectionLost):
            await send("POST", url, content=pieces())
        assert left == ["left"]
        assert len(asyncio.all_tasks()) == 1

    with serving(script) as server:
        run(main, server.url)


def test_cookies_of_a_request_take_the_place_of_those_of_the_jar(run: Run) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"", "Set-Cookie: a=jar", "Set-Cookie: b=jar")

    async def main(url: str) -> None:
        async with Client(cookies=True) as client:
            await client.get(url)
            await client.get(url, cookies={"a": "mine"})

    with serving(script) as server:
        run(main, server.url)
    assert b"\r\nCookie: b=jar; a=mine\r\n" in server.requests[1]


def test_json_that_is_nested_without_end_is_no_json(run: Run) -> None:
    with serving(saying(html(b"[" * 200_000))) as server:
        response = run(lambda: send("GET", server.url))
    with pytest.raises(ValueError, match="nested too deeply"):
        response.json()
