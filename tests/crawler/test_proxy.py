"""Going through proxies: what they are asked, what they may answer, and who goes round them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from crawler.http import URL, Client, ConnectError, InvalidURL, ProxyError, Response, TLSError
from crawler.http.proxy import Proxies, Proxy
from tests.crawler.scripted import Peer, polite, saying, serving
from tests.crawler.test_tls import client_context, server_context

Run = Callable[..., Any]


async def fetch(url: str, proxy: str, count: int = 1) -> Response:
    async with Client(proxy=proxy, tls=client_context()) as client:
        for _ in range(count):
            response = await client.get(url)
        return response


def pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(peer: Peer, port: int) -> None:
    """Pass bytes on between the client and a server of this machine, both ways."""
    with socket.create_connection(("127.0.0.1", port)) as upstream:
        back = threading.Thread(target=pump, args=(upstream, peer.sock))
        back.start()
        pump(peer.sock, upstream)
        back.join()


def tunnel(peer: Peer) -> None:
    """A proxy that takes CONNECT."""
    head = peer.request()
    port = int(head.split()[1].rpartition(b":")[2])
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    join(peer, port)


def test_a_plain_request_is_sent_to_the_proxy_whole(run: Run) -> None:
    with serving(polite) as proxy:
        url = proxy.url.replace("//", "//user:p%40ss@")
        response = run(fetch, "http://u:p@nowhere.test:81/a?b#c", url, 2)
    assert response.body == b"hello"
    assert proxy.connections == 1
    head = proxy.requests[1]
    assert head.startswith(b"GET http://nowhere.test:81/a?b HTTP/1.1\r\nHost: nowhere.test:81\r\n")
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head
    assert b"\r\nAuthorization: Basic dTpw\r\n" in head


def test_https_goes_through_a_tunnel_that_sees_nothing(run: Run) -> None:
    with serving(polite, server_context()) as there, serving(tunnel) as proxy:
        url = proxy.url.replace("//", "//user:pass@")
        assert run(fetch, there.url, url, 2).body == b"hello"
    assert proxy.connections == 1
    assert proxy.requests[0].startswith(f"CONNECT localhost:{there.port} HTTP/1.1\r\n".encode())
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n" in proxy.requests[0]
    assert b"Proxy-Authorization" not in there.requests[0]


def test_what_is_said_to_an_https_proxy_goes_through_tls(run: Run) -> None:
    with serving(polite, server_context()) as proxy:
        url = proxy.url.replace("//", "//user:pass@")
        response = run(fetch, "http://nowhere.test/a", url, 2)
    assert response.body == b"hello"
    assert proxy.connections == 1
    assert proxy.requests[1].startswith(b"GET http://nowhere.test/a HTTP/1.1\r\n")
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n" in proxy.requests[1]


def test_tls_goes_through_the_tls_of_an_https_proxy(run: Run) -> None:
    body = b"x" * 300_000

    def there(peer: Peer) -> None:
        polite(peer, body)

    with serving(there, server_context()) as server, serving(tunnel, server_context()) as proxy:
        assert run(fetch, server.url, proxy.url, 3).body == body
    assert (proxy.connections, server.connections) == (1, 1)
    assert len(server.requests) == 3


def test_an_https_proxy_that_nobody_vouches_for_is_told_nothing(run: Run) -> None:
    with serving(polite, server_context()) as proxy:

        async def main() -> None:
            async with Client(proxy=proxy.url) as client:
                await client.get("http://nowhere.test/")

        with pytest.raises(TLSError, match="the certificate of localhost is not valid"):
            run(main)
    assert not proxy.requests


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused CONNECT: 407 Proxy Auth"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "refused CONNECT: 502"),
        (b"nonsense\r\n\r\n", "did not answer CONNECT"),
        (b"", "did not answer CONNECT"),
        (b"HTTP/1.1 102 Wait\r\n\r\n" * 101, "interim replies without an end"),
        (b"HTTP/1.1 200 OK\r\n\r\nevil", "sent something before the tunnel was used"),
    ],
)
def test_a_proxy_that_opens_no_tunnel(run: Run, data: bytes, detail: str) -> None:
    with serving(saying(data)) as proxy, pytest.raises(ProxyError, match=detail):
        run(fetch, "https://nowhere.test/", proxy.url)


def test_a_proxy_that_is_not_there(run: Run) -> None:
    with pytest.raises(ProxyError, match=r"http://127\.0\.0\.1:9: cannot connect"):
        run(fetch, "https://nowhere.test/", "http://127.0.0.1:9")
    with pytest.raises(ProxyError, match=r"no-such-host\.invalid:80: cannot resolve"):
        run(fetch, "http://nowhere.test/", "http://no-such-host.invalid")


def socks(password: bytes | None, code: int = 0) -> Callable[[Peer], None]:
    """A SOCKS5 proxy (RFC 1928, RFC 1929) as far as these tests need one."""

    def script(peer: Peer) -> None:
        _, count = peer.sock.recv(2)
        methods = peer.sock.recv(count)
        if password is None:
            peer.send(b"\x05\x00")
        else:
            assert 2 in methods
            peer.send(b"\x05\x02")
            said = peer.sock.recv(513)
            peer.send(b"\x01\x00" if said.endswith(password) else b"\x01\x01")
        request = peer.sock.recv(300)
        assert request[:4] == b"\x05\x01\x00\x03"  # CONNECT, by name
        name, port = request[5:-2], int.from_bytes(request[-2:], "big")
        peer.server.requests.append(name)
        peer.send(b"\x05" + bytes([code]) + b"\x00\x01\x7f\x00\x00\x01\x00\x00")
        if code == 0:
            join(peer, port)

    return script


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("password", [None, b"\x04pass"])
def test_a_socks_proxy_connects_by_name(run: Run, scheme: str, password: bytes | None) -> None:
    pytest.importorskip("python_socks")
    tls = server_context() if scheme == "https" else None
    with serving(polite, tls) as there, serving(socks(password)) as proxy:
        credentials = "" if password is None else "user:pass@"
        url = there.url.replace("127.0.0.1", "localhost")
        socks_url = f"socks5://{credentials}127.0.0.1:{proxy.port}"
        assert run(fetch, url, socks_url, 2).body == b"hello"
    assert proxy.requests == [b"localhost"]


def test_a_socks_proxy_that_refuses(run: Run) -> None:
    pytest.importorskip("python_socks")
    with serving(socks(None, code=5)) as proxy, pytest.raises(ProxyError):
        run(fetch, "http://nowhere.test/", f"socks5://127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("url", ["ftp://h:1", "http://", "http://h:99999", "socks4://h"])
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(InvalidURL):
        Proxy(url)


# ---- the environment ---------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Proxies]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def make(**variables: str) -> Proxies:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Proxies(None, environment=True)

    return make


def key(proxies: Proxies, url: str) -> str | None:
    proxy = proxies.of(URL(url))
    return None if proxy is None else proxy.key


def test_the_environment_names_a_proxy_for_each_scheme(environment: Any) -> None:
    assert not environment()
    proxies = environment(HTTP_PROXY="one:1", https_proxy="http://two:2", HTTPS_PROXY="http://no:3")
    assert key(proxies, "http://h/") == "http://one:1"
    assert key(proxies, "https://h/") == "http://two:2"
    proxies = environment(ALL_PROXY="socks5://all")
    assert key(proxies, "http://h/") == "http://one:1"


def test_a_cgi_program_does_not_take_its_proxy_from_a_client(environment: Any) -> None:
    proxies = environment(HTTP_PROXY="http://evil", ALL_PROXY="http://all", REQUEST_METHOD="GET")
    assert key(proxies, "http://h/") == "http://all:80"


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("*", "http://h/", True),
        ("example.com", "http://example.com/", True),
        ("example.com", "http://www.example.com/", True),
        (".example.com", "http://www.example.com/", True),
        ("*.example.com", "http://www.example.com/", True),
        ("example.com", "http://notexample.com/", False),
        ("example.com", "http://example.com.evil/", False),
        ("a.test, Example.COM", "http://example.com/", True),
        ("example.com:8080", "http://example.com:8080/", True),
        ("example.com:8080", "http://example.com/", False),
        ("example.com", "http://example.com./", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://h/", False),
        ("nonsense/8", "http://h/", False),
        ("::1", "http://[::1]/", True),
        ("[::1]:81", "http://[::1]:81/", True),
        ("[::1]:81", "http://[::1]/", False),
        ("", "http://h/", False),
        (" , ,", "http://h/", False),
    ],
)
def test_no_proxy_names_who_is_reached_directly(
    environment: Any, exempt: str, url: str, direct: bool
) -> None:
    proxies = environment(HTTP_PROXY="http://proxy", NO_PROXY=exempt)
    assert (key(proxies, url) is None) == direct


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0x7f.1", "2130706433"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_is_not_asked_for_an_address_that_is_not_permitted(
    run: Run, host: str, scheme: str
) -> None:
    async def main(proxy: str) -> None:
        permit = lambda _host, _address: False  # noqa: E731
        async with Client(proxy=proxy, permit=permit) as client:
            with pytest.raises(ConnectError, match="must not be connected to"):
                await client.get(f"http://{host}/")

    with serving(polite) as server:
        run(main, server.url.replace("http", scheme))
        assert server.connections == 0
