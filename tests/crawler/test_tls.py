"""https: what is verified, what is said in the handshake, and how a TLS connection ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme

from crawler.http import Client, ConnectionLost, HTTPError, Limits, Response, TLSError
from tests.crawler.scripted import Peer, polite, serving

Run = Callable[..., Any]

AUTHORITY = trustme.CA()


def server_context(
    *names: str, authority: trustme.CA = AUTHORITY, until: datetime | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = names or ("localhost", "127.0.0.1")
    authority.issue_cert(*names, not_after=until).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def fetch(url: str, **options: Any) -> Response:
    async with Client(tls=client_context(), **options) as client:
        return await client.get(url)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_page_is_fetched_over_tls(run: Run, version: ssl.TLSVersion) -> None:
    context = server_context()
    context.minimum_version = context.maximum_version = version
    with serving(polite, context) as server:
        assert run(fetch, server.url).body == b"hello"


def test_a_connection_over_tls_is_used_again(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(tls=client_context()) as client:
            for _ in range(5):
                assert (await client.get(url)).body == b"hello"

    with serving(polite, server_context()) as server:
        run(main, server.url)
    assert server.connections == 1


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 3_000_000])
def test_a_body_of_many_records_arrives_whole(run: Run, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)

    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(body[:size])

    with serving(script, server_context()) as server:
        assert run(fetch, server.url).body == body[:size]


def test_the_name_is_sent_so_that_a_server_can_choose_its_certificate(run: Run) -> None:
    names: list[str | None] = []
    context = server_context()
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    with serving(polite, context) as server:
        run(fetch, server.url)
    assert names == ["localhost"]


def failure(run: Run, url: str, **options: Any) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        run(lambda: fetch(url, **options))
    assert caught.value.url.rstrip("/") == url
    return caught.value


@pytest.mark.parametrize(
    ("context", "detail"),
    [
        (server_context(authority=trustme.CA()), "an authority that is not trusted here (unable"),
        (server_context("other.example"), "it is for other names (Hostname mismatch"),
        (server_context(until=datetime(2020, 1, 1, tzinfo=UTC)), "it has expired ("),
    ],
    ids=["a stranger vouches for it", "it is for another name", "it is too old"],
)
def test_a_certificate_is_refused_when(run: Run, context: ssl.SSLContext, detail: str) -> None:
    with serving(polite, context) as server:
        error = failure(run, server.url)
    assert isinstance(error, TLSError)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert "the certificate of localhost is not valid: " in error.detail
    assert detail in error.detail


def test_without_a_context_the_systems_authorities_decide(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(TLSError, match="is not valid"):
                await client.get(url)

    with serving(polite, server_context()) as server:
        run(main, server.url)


def test_a_server_that_speaks_no_tls(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(script) as server:
        error = failure(run, server.url.replace("http", "https"))
    assert isinstance(error, TLSError)
    assert error.detail == "the server does not speak TLS (WRONG_VERSION_NUMBER)"


def test_a_server_that_asks_for_a_client_certificate(run: Run) -> None:
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED

    def script(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                peer.sock.sendall(outgoing.read())
                incoming.write(peer.sock.recv(65536))
            except ssl.SSLError:
                break
        peer.sock.sendall(outgoing.read())
        peer.until_gone()  # to close with something unread is a reset, which overtakes the alert

    with serving(script) as server:
        error = failure(run, server.url.replace("http://127.0.0.1", "https://localhost"))
    assert isinstance(error, TLSError)
    assert "the server asks for a client certificate (" in error.detail


def test_a_server_with_no_version_of_tls_in_common(run: Run) -> None:
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    theirs = client_context()
    theirs.minimum_version = ssl.TLSVersion.TLSv1_3

    async def main(url: str) -> None:
        async with Client(tls=theirs) as client:
            with pytest.raises(TLSError):
                await client.get(url)

    with serving(polite, context) as server:
        run(main, server.url)


def test_a_server_that_closes_in_the_handshake(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(10)

    with serving(script) as server:
        error = failure(run, server.url.replace("http", "https"))
    assert isinstance(error, TLSError | ConnectionLost)


def test_a_body_that_ends_with_the_connection_and_without_the_farewell_is_flagged(
    run: Run,
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if peer.server.connections == 1:
            assert isinstance(peer.sock, ssl.SSLSocket)
            peer.sock.unwrap()
        else:
            peer.sock.shutdown(socket.SHUT_WR)  # as an attacker on the way could

    with serving(script, server_context()) as server:
        response = run(fetch, server.url)
        assert (response.body, response.flags) == (b"hello", ())
        response = run(fetch, server.url)
        assert (response.body, response.flags) == (b"hello", ("no TLS farewell",))


def test_a_body_with_a_length_needs_no_farewell(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"hello", "Connection: close")
        peer.sock.shutdown(socket.SHUT_WR)

    with serving(script, server_context()) as server:
        response = run(fetch, server.url)
    assert (response.body, response.flags) == (b"hello", ())


def test_the_client_says_farewell(run: Run) -> None:
    endings: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.reply()
        endings.append(peer.sock.recv(1))  # b"" after a farewell, SSLEOFError without one

    with serving(script, server_context()) as server:
        run(fetch, server.url)
    assert endings == [b""]


@pytest.mark.parametrize("limit", ["read", "total"])
def test_time_limits_hold_over_tls(run: Run, limit: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        peer.until_gone()

    with serving(script, server_context()) as server:
        error = failure(run, server.url, limits=Limits(**{limit: 0.2}))
    assert error.reason == "timeout"


@pytest.mark.parametrize("up", [True, False])
def test_a_redirect_may_change_the_scheme(run: Run, up: bool) -> None:
    def lead(url: str) -> Callable[[Peer], None]:
        def script(peer: Peer) -> None:
            peer.request()
            peer.reply(b"", f"Location: {url}", status="301 Moved Permanently")

        return script

    there_tls, here_tls = server_context() if up else None, None if up else server_context()
    with (
        serving(polite, there_tls) as there,
        serving(lead(there.url), here_tls) as here,
    ):
        response = run(lambda: fetch(here.url, downgrade=not up))
    assert response.body == b"hello"
    assert response.url.scheme == ("https" if up else "http")


def test_a_redirect_from_https_to_http_is_followed_only_if_that_is_allowed(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"", "Location: http://127.0.0.1:9/", status="302 Found")

    with serving(script, server_context()) as server:
        error = failure(run, server.url)
    assert error.reason == "redirect"
    assert "redirected from https to http://127.0.0.1:9/, which is not allowed" in error.detail


def test_a_hundred_handshakes_at_a_time(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(tls=client_context()) as client:
            pages = await asyncio.gather(*(client.get(url) for _ in range(100)))
            assert {page.body for page in pages} == {b"hello"}

    with serving(polite, server_context()) as server:
        run(main, server.url)
    assert len(server.requests) == 100
