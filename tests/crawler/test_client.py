"""The client against a server that does what each test says: replies that are good."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from crawler.http import URL as Url
from crawler.http import BadStatus, Client, HTTPError, Limits, Reply, Response
from crawler.http.decoding import ACCEPTED
from tests.crawler.scripted import Peer, Script, html, polite, saying, serving

Run = Callable[..., Any]


async def fetch(url: str, **options: Any) -> Response:
    async with Client(**options) as client:
        return await client.get(url)


def test_a_page_is_fetched_with_its_status_headers_and_body(run: Run) -> None:
    reply = html(b"hello", "Content-Type: text/html", "X-Two: 1", "x-two: 2")
    with serving(saying(reply)) as server:
        response = run(fetch, f"{server.url}/a?b=c#d")
    assert response.status == 200
    assert response.body == b"hello"
    assert response.wire_bytes == 5
    assert response.headers["content-type"] == "text/html"
    assert response.headers["x-two"] == "1, 2"
    assert response.url.href == f"{server.url}/a?b=c#d"
    assert response.history == []
    assert response.text() == "hello"


def test_the_request_says_what_is_wanted_and_nothing_more(run: Run) -> None:
    with serving(saying(html(b""))) as server:
        run(lambda: fetch(f"{server.url}/a?b=c#d", user_agent="tester/1"))
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert lines[1:] == [
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: tester/1",
        "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
        f"Accept-Encoding: {ACCEPTED.decode()}",
        "",
        "",
    ]


def test_credentials_of_the_url_are_sent_as_basic_authorization(run: Run) -> None:
    with serving(saying(html(b""))) as server:
        url = server.url.replace("//", "//Aladdin:open%20sesame@")
        run(fetch, url)
    assert b"\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" in server.requests[0]


BODY = b"An event loop waits until something can be done. " * 300


def chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


FRAMED = {
    "length": html(BODY),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(BODY, 777),
    "chunks with a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunks(BODY, 5000)[:-2]
    + b"X-Sum: 1\r\n\r\n",
    "the end of the connection": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "after an interim reply": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + html(BODY),
    "gzip": html(gzip.compress(BODY), "Content-Encoding: gzip"),
    "deflate": html(zlib.compress(BODY), "Content-Encoding: deflate"),
    "gzip in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        + chunks(gzip.compress(BODY), 10)
    ),
    "gzip to the end of the connection": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(BODY)
    ),
}


@pytest.mark.parametrize("step", [1, 3, 1000, 1_000_000])
@pytest.mark.parametrize("framing", FRAMED)
def test_a_body_arrives_whole_however_it_is_framed_and_split(
    run: Run, framing: str, step: int
) -> None:
    data = FRAMED[framing]
    if step < 1000:
        data_start, data_end = data[:300], data[300:]  # small steps where the syntax is
    else:
        data_start, data_end = data, b""

    def script(peer: Peer) -> None:
        peer.request()
        for start in range(0, len(data_start), step):
            peer.send(data_start[start : start + step])
        peer.send(data_end)

    with serving(script) as server:
        assert run(fetch, server.url).body == BODY


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_reply_without_a_body_needs_no_length(run: Run, status: str) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(f"HTTP/1.1 {status}\r\n\r\n".encode())

    async def main(url: str) -> list[bytes]:
        async with Client() as client:
            return [(await client.get(url)).body for _ in range(2)]

    with serving(script) as server:
        assert run(main, server.url) == [b"", b""]
    assert server.connections == 1


# ---- keep-alive ------------------------------------------------------------------------------


def test_a_connection_is_used_again(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            for number in range(20):
                assert (await client.get(f"{url}/{number}")).body == b"hello"
            assert client.pool.idle_connections == 1

    with serving(polite) as server:
        run(main, server.url)
    assert server.connections == 1
    assert [request.split()[1] for request in server.requests] == [b"/%d" % n for n in range(20)]


@pytest.mark.parametrize(
    "reply",
    [
        html(b"hello", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        html(b"hello") + b"and something that nobody asked for",
    ],
    ids=["it says so", "HTTP/1.0", "bytes after the reply"],
)
def test_a_connection_is_not_used_again_when(run: Run, reply: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(reply)
        peer.until_gone()

    async def main(url: str) -> None:
        async with Client() as client:
            assert (await client.get(url)).body == b"hello"
            assert client.pool.open_connections == 0
            assert (await client.get(url)).body == b"hello"

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 2


def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_word(run: Run) -> None:
    closed = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"%d" % peer.number)
        peer.sock.close()
        closed.set()

    async def main(url: str) -> list[bytes]:
        bodies = []
        async with Client() as client:
            for _ in range(3):
                bodies.append((await client.get(url)).body)
                await asyncio.to_thread(closed.wait, 5)
                closed.clear()
        return bodies

    with serving(script) as server:
        assert run(main, server.url) == [b"1", b"2", b"3"]
    assert server.connections == 3


def test_a_fresh_connection_that_the_server_closes_is_not_tried_again(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()

    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(HTTPError, match="without a reply"):
                await client.get(url)

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


def test_a_request_whose_reply_has_begun_is_not_sent_again(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply()
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")

    async def main(url: str) -> None:
        async with Client() as client:
            await client.get(url)
            with pytest.raises(HTTPError, match="in the middle of the reply"):
                await client.get(url)
            assert client.pool.open_connections == 0

    with serving(script) as server:
        run(main, server.url)
    assert (server.connections, len(server.requests)) == (1, 2)


def test_the_limit_per_host_holds_while_requests_queue(run: Run) -> None:
    active = highest = 0
    lock = threading.Lock()

    def script(peer: Peer) -> None:
        nonlocal active, highest
        while peer.request():
            with lock:
                active += 1
                highest = max(highest, active)
            time.sleep(0.001)
            with lock:
                active -= 1
            peer.reply()

    async def main(url: str) -> None:
        async with Client(limits=Limits(per_origin=3)) as client:
            await asyncio.gather(*(client.get(f"{url}/{number}") for number in range(60)))

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 3
    assert len(server.requests) == 60
    assert highest <= 3


def test_the_total_limit_holds_over_all_hosts(run: Run) -> None:
    async def main(urls: list[str]) -> None:
        async with Client(limits=Limits(connections=2)) as client:
            pages = (client.get(f"{url}/{number}") for number in range(10) for url in urls)
            await asyncio.gather(*pages)
            assert client.pool.open_connections <= 2

    with serving(polite) as one, serving(polite) as two, serving(polite) as three:
        run(main, [one.url, two.url, three.url])
    assert [len(server.requests) for server in (one, two, three)] == [10, 10, 10]


def test_an_idle_connection_is_closed_after_its_time(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply()
        peer.until_gone()

    async def main(url: str, gone: threading.Event) -> None:
        async with Client(limits=Limits(keep_alive=0.05)) as client:
            await client.get(url)
            assert await asyncio.to_thread(gone.wait, 5)
            assert client.pool.open_connections == 0

    with serving(script) as server:
        run(main, server.url, server.gone)


# ---- redirects -------------------------------------------------------------------------------


def site(pages: dict[bytes, str]) -> Script:
    """A script that redirects each path as ``pages`` says, and answers the others."""

    def script(peer: Peer) -> None:
        while request := peer.request():
            path = request.split()[1]
            if path in pages:
                peer.reply(b"gone", f"Location: {pages[path]}", status="302 Found")
            else:
                peer.reply(b"at " + path)

    return script


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed_on_the_same_connection(run: Run, status: int) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"x" * 100, "Location: /there", status=f"{status} Moved")
        peer.request()
        peer.reply(b"there")

    with serving(script) as server:
        response = run(fetch, f"{server.url}/here")
    assert response.body == b"there"
    assert response.url.href == f"{server.url}/there"
    assert [url.href for url in response.history] == [f"{server.url}/here"]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/there?x=1#y", b"/there?x=1"),
        ("there", b"/dir/there"),
        ("../there", b"/there"),
        ("?x", b"/dir/here?x"),
        ("/caf\u00e9", b"/caf%C3%A9"),
        ("/a b", b"/a%20b"),
    ],
)
def test_a_location_is_resolved_against_where_it_came_from(
    run: Run, location: str, path: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        head = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
        peer.send(head.encode())
        peer.request()
        peer.reply()

    with serving(script) as server:
        run(fetch, f"{server.url}/dir/here")
    assert server.requests[1].split()[1] == path


def test_a_fragment_is_inherited_unless_the_location_has_its_own(run: Run) -> None:
    with serving(site({b"/1": "/2", b"/3": "/4#own"})) as server:
        assert run(fetch, f"{server.url}/1#old").url.href == f"{server.url}/2#old"
        assert run(fetch, f"{server.url}/3#old").url.href == f"{server.url}/4#own"


def test_a_redirect_may_lead_to_another_server(run: Run) -> None:
    with serving(site({})) as there, serving(site({b"/x": f"{there.url}/y"})) as here:
        assert run(fetch, f"{here.url}/x").body == b"at /y"


def test_credentials_are_not_carried_to_another_server(run: Run) -> None:
    with serving(site({})) as there, serving(site({b"/x": f"{there.url}/y"})) as here:
        run(fetch, f"{here.url}/x".replace("//", "//user:secret@"))
    assert b"Authorization" in here.requests[0]
    assert b"Authorization" not in there.requests[0]


@pytest.mark.parametrize(
    ("start", "detail"),
    [
        ("/circle/1", "redirected in a circle"),
        ("/self", "redirected in a circle"),
        ("/self#elsewhere", "redirected in a circle"),
        ("/far/0", "more than 3 redirects"),
        ("/mail", "the scheme must be http or https"),
        ("/nonsense", "not a host name or address: '\\['"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_an_error_with_the_first_url(
    run: Run, start: str, detail: str
) -> None:
    pages = {
        b"/circle/1": "/circle/2",
        b"/circle/2": "/circle/1",
        b"/self": "/self",
        b"/mail": "mailto:a@example.com",
        b"/nonsense": "http://[",
        **{b"/far/%d" % n: f"/far/{n + 1}" for n in range(10)},
    }
    with serving(site(pages)) as server, pytest.raises(HTTPError, match=detail) as caught:
        run(lambda: fetch(server.url + start, limits=Limits(redirects=3)))
    assert caught.value.reason == "redirect"
    assert caught.value.url == server.url + start


def test_as_many_redirects_as_the_limit_allows_are_followed(run: Run) -> None:
    pages = {b"/%d" % n: f"/{n + 1}" for n in range(3)}
    with serving(site(pages)) as server:
        response = run(lambda: fetch(f"{server.url}/0", limits=Limits(redirects=3)))
    assert response.body == b"at /3"


def test_a_redirect_without_a_location_is_an_error(run: Run) -> None:
    reply = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
    with serving(saying(reply)) as server, pytest.raises(HTTPError, match="302 without a Location"):
        run(fetch, server.url)


def test_the_endless_body_of_a_redirect_is_not_waited_for(run: Run) -> None:
    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.request()
            peer.send(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n" + b"x" * 200_000)
            peer.until_gone()
        else:
            polite(peer)

    with serving(script) as server:
        assert run(fetch, server.url).body == b"hello"
    assert server.connections == 2


# ---- inspection ------------------------------------------------------------------------------


def test_a_reply_that_is_turned_down_costs_neither_its_body_nor_the_connection(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"sorry" * 100, status="404 Not Found")
        peer.request()
        peer.reply()

    def inspect(url: Url, reply: Reply) -> None:
        if reply.status != 200:
            raise BadStatus(url.href, reply.status, reply.phrase)

    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(BadStatus, match="404 Not Found") as caught:
                await client.get(f"{url}/missing", inspect=inspect)
            assert caught.value.status == 404
            assert (await client.get(url, inspect=inspect)).body == b"hello"

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000,
    ],
    ids=["it says that it is long", "it turns out to be long"],
)
def test_a_long_body_that_is_turned_down_is_cut_off(run: Run, head: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.until_gone()

    def inspect(url: Url, reply: Reply) -> None:
        raise BadStatus(url.href, 200, "not today")

    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(BadStatus, match="not today"):
                await client.get(url, inspect=inspect)
            assert client.pool.open_connections == 0

    with serving(script) as server:
        run(main, server.url)


def test_redirects_are_not_inspected_and_their_goal_is(run: Run) -> None:
    seen: list[str] = []
    with serving(site({b"/1": "/2"})) as server:

        async def main() -> None:
            async with Client() as client:
                await client.get(f"{server.url}/1", inspect=lambda url, _: seen.append(url.href))

        run(main)
    assert seen == [f"{server.url}/2"]
