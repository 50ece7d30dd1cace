"""The trace: what is reported, in what order, and that every start has its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trustme

from crawler.http import Client, HTTPError, Limits
from crawler.http.trace import Durations, chain
from tests.crawler.scripted import Peer, polite, serving
from tests.crawler.test_tls import client_context, server_context

Run = Callable[..., Any]


class Record:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.infos: list[Mapping[str, Any]] = []

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.events.append(event)
        self.infos.append(info)


def steps(*names: str) -> list[str]:
    return [f"{name}.{half}" for name in names for half in ("started", "complete")]


EXCHANGE = ("send_request", "receive_head", "receive_body")


def test_the_steps_of_a_fetch_come_in_pairs_and_in_order(run: Run) -> None:
    record = Record()

    async def main(url: str) -> None:
        async with Client(trace=record, tls=client_context()) as client:
            await client.get(url)
            await client.get(url)

    with serving(polite, server_context()) as server:
        run(main, server.url)
    assert record.events == steps(
        "acquire", "resolve", "connect_tcp", "start_tls", *EXCHANGE, "acquire", *EXCHANGE
    )
    assert record.infos[0] == {"origin": server.url}
    assert record.infos[2] == {"host": "localhost", "port": server.port}
    assert record.infos[6] == {"server_name": "localhost"}
    assert record.infos[8] == {"url": f"{server.url}/"}


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        (lambda peer: None, "receive_head"),
        (lambda peer: (peer.request(), peer.until_gone()), "receive_head"),
        (lambda peer: (peer.request(), peer.send(b"HTTP/1.1 200 OK\r\n")), "receive_head"),
        (
            lambda peer: (
                peer.request(),
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            ),
            "receive_body",
        ),
    ],
    ids=["closed", "silent", "half a head", "half a body"],
)
def test_a_step_that_fails_says_so_with_its_error(
    run: Run, script: Callable[[Peer], None], failed: str
) -> None:
    record = Record()

    async def main(url: str) -> None:
        async with Client(trace=record, limits=Limits(read=0.5)) as client:
            with pytest.raises(HTTPError):
                await client.get(url)

    with serving(script) as server:
        run(main, server.url)
    assert record.events[-1] == f"{failed}.failed"
    assert isinstance(record.infos[-1]["error"], HTTPError)
    assert pairs(record.events) == []


def test_a_handshake_that_fails_says_so(run: Run) -> None:
    record = Record()

    async def main(url: str) -> None:
        async with Client(trace=record, tls=client_context()) as client:
            with pytest.raises(HTTPError):
                await client.get(url)

    with serving(polite, server_context(authority=trustme.CA())) as server:
        run(main, server.url)
    assert record.events[-1] == "start_tls.failed"
    assert pairs(record.events) == []


def test_the_end_of_a_step_tells_how_long_it_took(run: Run) -> None:
    record = Record()

    async def main(url: str) -> None:
        async with Client(trace=record) as client:
            await client.get(url)

    with serving(polite) as server:
        run(main, server.url)
    for event, info in zip(record.events, record.infos, strict=True):
        assert ("seconds" in info) == event.endswith(".complete")
        assert 0 <= info.get("seconds", 0) < 10


def test_a_chain_tells_every_trace_in_its_own_way(run: Run) -> None:
    record, took, told = Record(), [], []
    watch = chain(None, record, Durations(lambda step, seconds: took.append((step, seconds))))

    async def main(url: str) -> None:
        async with Client(trace=chain(watch, lambda event, info: told.append(event))) as client:
            await client.get(url)

    with serving(polite) as server:
        run(main, server.url)
    assert record.events == told == steps("acquire", "resolve", "connect_tcp", *EXCHANGE)
    ends = zip(record.events[1::2], record.infos[1::2], strict=True)
    assert took == [(event.partition(".")[0], info["seconds"]) for event, info in ends]
    assert chain(None) is None
    assert chain(None, record) is record


def test_a_redirect_is_a_step_too(run: Run) -> None:
    record = Record()

    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"", "Location: /there", status="302 Found")
        peer.request()
        peer.reply(b"", "Location: mailto:x", status="302 Found")

    async def main(url: str) -> None:
        async with Client(trace=record) as client:
            with pytest.raises(HTTPError):
                await client.get(url)

    with serving(script) as server:
        run(main, server.url)
    redirects = [
        (event, info.get("status"))
        for event, info in zip(record.events, record.infos, strict=True)
        if event.startswith("redirect")
    ]
    assert redirects == [
        ("redirect.started", 302),
        ("redirect.complete", 302),
        ("redirect.started", 302),
        ("redirect.failed", 302),
    ]
    assert pairs(record.events) == []


def pairs(events: list[str]) -> list[str]:
    """The steps that were begun and not ended."""
    begun: list[str] = []
    for event in events:
        name, _, half = event.partition(".")
        if half == "started":
            begun.append(name)
        else:
            assert begun.pop() == name
    return begun
