"""Going through a proxy: which one, and how it is asked to open the way.

    http://user:password@proxy:3128     plain requests are sent to it whole; for https it is asked
                                        for a tunnel (CONNECT, RFC 9110, section 9.3.6)
    https://user:password@proxy         the same, and what is said to the proxy goes through TLS
    socks5://user:password@proxy:1080   for both; the host's name is resolved by the proxy

The handshake of SOCKS is python-socks'; that of CONNECT is h11's.
"""

import base64
import contextlib
import ipaddress
import os
import socket
from urllib.parse import unquote, urlsplit

import h11

from .errors import InvalidURL, ProxyError
from .odd_head import MAX_INTERIM
from .request import MAX_HEAD
from .stream import Stream
from .suffixes import is_address
from .url import URL

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Proxy:
    """The address of a proxy, and what to say to be let through. Raises InvalidURL."""

    __slots__ = ("authorization", "host", "key", "password", "port", "scheme", "user")

    def __init__(self, url: str) -> None:
        url = url.strip()
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in _PORTS:
            text = f"the scheme of a proxy must be http, https or socks5, got {parts.scheme!r}"
            raise InvalidURL(url, text)
        try:
            port = parts.port
        except ValueError as error:
            raise InvalidURL(url, str(error)) from error
        if not parts.hostname:
            raise InvalidURL(url, "a proxy must have a host")
        self.scheme = parts.scheme
        self.host: str = parts.hostname
        self.port: int = _PORTS[self.scheme] if port is None else port
        self.user = unquote(parts.username or "")
        self.password = unquote(parts.password or "")
        self.authorization: bytes | None = None
        if self.user or self.password:
            credentials = f"{self.user}:{self.password}".encode()
            self.authorization = b"Basic " + base64.b64encode(credentials)
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.key = f"{self.scheme}://{host}:{self.port}"

    @property
    def forwards(self) -> bool:
        """Whether plain http requests are sent to the proxy itself."""
        return self.scheme in ("http", "https")


class Proxies:
    """Which proxy a URL goes through: always the same, or what the environment says.

    The environment's variables are ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``,
    in small letters too, which go before. They are read once.
    """

    def __init__(self, url: str | None, *, environment: bool = False) -> None:
        self._only = None if url is None else Proxy(url)
        self._by_scheme: dict[str, Proxy] = {}
        self._exempt: list[str] = []
        if url is None and environment:
            for scheme in ("http", "https", "all"):
                if found := _variable(f"{scheme}_proxy"):
                    self._by_scheme[scheme] = Proxy(found)
            self._exempt = [_in_ascii(name) for name in _variable("no_proxy").lower().split(",")]

    def __bool__(self) -> bool:
        return self._only is not None or bool(self._by_scheme)

    def of(self, url: URL) -> Proxy | None:
        """The proxy for ``url``, if any."""
        if not self._by_scheme:
            return self._only
        if any(_covers(exempt, url) for exempt in self._exempt):
            return None
        return self._by_scheme.get(url.scheme) or self._by_scheme.get("all")


def _variable(name: str) -> str:
    if name == "http_proxy" and "REQUEST_METHOD" in os.environ:
        # In a CGI program HTTP_PROXY is what a client sent as the header "Proxy".
        return os.environ.get(name, "")
    return os.environ.get(name) or os.environ.get(name.upper(), "")


def _in_ascii(name: str) -> str:
    """A name of ``NO_PROXY`` as hosts are written, those of other scripts in ASCII."""
    name = name.strip()
    if not name.isascii():
        with contextlib.suppress(InvalidURL):
            return URL(f"http://{name}/").host_header
    return name


def _covers(exempt: str, url: URL) -> bool:
    """Whether a name of ``NO_PROXY`` means the host of ``url``.

    A name covers itself and what is below it, with or without a dot before it; ``*`` all. It may
    have a port. An address may be a network, as in ``10.0.0.0/8``.
    """
    if exempt in ("", "*"):
        return exempt == "*"
    host = url.tls_name
    if "/" in exempt:
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(host) in ipaddress.ip_network(exempt, strict=False)
        return False
    name, colon, port = exempt.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.endswith("]")):
        if int(port) != url.port:
            return False
        exempt = name
    exempt = exempt.strip("[]").removeprefix("*").removeprefix(".").removesuffix(".")
    return host == exempt or (host.endswith("." + exempt) and not is_address(host))


async def open_tunnel(url: URL, proxy: Proxy, stream: Stream) -> None:
    """Have the HTTP proxy at the other end of ``stream`` connect it to the host of ``url``."""
    target = f"{url.host}:{url.port}".encode("ascii")
    headers = [(b"Host", target)]
    if proxy.authorization is not None:
        headers.append((b"Proxy-Authorization", proxy.authorization))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    head = http.send(h11.Request(method=b"CONNECT", target=target, headers=headers))
    assert head is not None
    interim = 0
    try:
        await stream.send_all(head)
        while (event := http.next_event()) is h11.NEED_DATA or isinstance(
            event, h11.InformationalResponse
        ):
            if event is h11.NEED_DATA:
                data = await stream.recv()
                if not data:
                    raise ConnectionError("it closed the connection")
                http.receive_data(data)
            else:
                interim += 1
                if interim > MAX_INTERIM:
                    raise ConnectionError("interim replies without an end")
    except (OSError, h11.RemoteProtocolError) as error:
        text = f"{proxy.key} did not answer CONNECT: {error}"
        raise ProxyError(url.href, text) from error
    if not isinstance(event, h11.Response):
        raise ProxyError(url.href, f"{proxy.key} did not answer CONNECT")
    if not 200 <= event.status_code < 300:
        said = f"{event.status_code} {event.reason.decode('latin-1')}".rstrip()
        raise ProxyError(url.href, f"{proxy.key} refused CONNECT: {said}")
    if http.trailing_data[0]:
        # A TLS server never speaks first: these bytes are the proxy's own.
        raise ProxyError(url.href, f"{proxy.key} sent something before the tunnel was used")


async def through_socks(url: URL, proxy: Proxy) -> socket.socket:
    """A socket that a SOCKS5 proxy has connected to the host of ``url``."""
    import python_socks
    from python_socks.async_.asyncio import Proxy as Socks

    socks = Socks(
        python_socks.ProxyType.SOCKS5,
        proxy.host,
        proxy.port,
        proxy.user or None,
        proxy.password or None,
        rdns=True,
    )
    try:
        sock: socket.socket = await socks.connect(url.server_name, url.port)
    except (OSError, python_socks.ProxyError) as error:
        raise ProxyError(url.href, f"{proxy.key}: {error}") from error
    return sock
