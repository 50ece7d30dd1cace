"""Fields that are repeated: each by its own rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crawler.http import Client, Headers, RedirectError, Response
from tests.crawler.scripted import Peer, html, polite, saying, serving

Run = Callable[..., Any]


async def fetch(url: str) -> Response:
    async with Client() as client:
        return await client.get(url)


def headers(*lines: tuple[str, str]) -> Headers:
    return Headers([(name.encode(), value.encode("latin-1")) for name, value in lines])


@pytest.mark.parametrize(
    ("name", "values", "one"),
    [
        ("Vary", ["Accept", "Cookie"], "Accept, Cookie"),
        ("Vary", ["a", "a"], "a, a"),
        ("Content-Type", ["text/plain", "text/html"], "text/html"),
        ("Content-Type", ["text/html", ""], "text/html"),
        ("Content-Type", ["text/html", "*/*"], "text/html"),
        ("Content-Type", ["text/html;charset=a", "text"], "text/html;charset=a"),
        ("Content-Type", ["text/html", "charset=b"], "text/html"),
        ("Content-Type", ["text/html", "text/x y"], "text/html"),
        ("Content-Type", ["", ""], ""),
        ("Location", ["/a", "/a"], "/a"),
        ("Retry-After", ["1", "2"], "1"),
        ("Content-Encoding", ["gzip", "br"], "gzip, br"),
        ("Set-Cookie", ["a=1", "b=2, c"], "a=1"),
    ],
)
def test_repeated_lines_stand_for(name: str, values: list[str], one: str) -> None:
    found = headers(*((name, value) for value in values))
    assert found[name] == found[name.lower()] == found.get(name) == one
    assert found.get_all(name) == values


def test_headers_are_a_mapping_that_ignores_case_and_keeps_the_lines() -> None:
    found = headers(("X-One", "1"), ("Two", "é"), ("x-one", "3"))
    assert dict(found) == {"x-one": "1, 3", "two": "é"}
    assert "X-ONE" in found
    assert "three" not in found
    assert found.get("three") is None
    assert found.get("three", "no") == "no"
    assert len(found) == 2
    assert found.fields == [(b"X-One", b"1"), (b"Two", b"\xe9"), (b"x-one", b"3")]
    with pytest.raises(KeyError):
        found["three"]


def test_every_line_of_a_reply_can_be_had(run: Run) -> None:
    with serving(saying(html(b"", "Set-Cookie: a=1, x", "Set-Cookie: b=2"))) as server:
        response = run(fetch, server.url)
    assert response.headers.get_all("set-cookie") == ["a=1, x", "b=2"]


def redirecting(*locations: str) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.request()
        lines = "".join(f"Location: {location}\r\n" for location in locations)
        peer.send(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n{lines}\r\n".encode("latin-1"))
        polite(peer)

    return script


def test_two_equal_locations_are_one(run: Run) -> None:
    with serving(redirecting("/there", "/there")) as server:
        assert run(fetch, server.url).url.href == f"{server.url}/there"


def test_two_locations_that_differ_are_not_followed(run: Run) -> None:
    with (
        serving(redirecting("/there", "/elsewhere")) as server,
        pytest.raises(RedirectError, match="Locations that differ"),
    ):
        run(fetch, server.url)


def test_a_location_that_is_not_utf_8_keeps_its_bytes(run: Run) -> None:
    with serving(redirecting("/caf\xe9?\xfc#\xe4")) as server:
        response = run(fetch, server.url)
    assert server.requests[1].split()[1] == b"/caf%E9?%FC"
    assert response.url.href == f"{server.url}/caf%E9?%FC#%E4"
