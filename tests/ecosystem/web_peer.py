"""The far end of the HTTP tests: the standard library's threaded server, and its blocking client.

Neither knows of asyncio, so what a library says over a loop is read by an independent
implementation.
"""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = bytes(range(256)) * 4096  # 1 MiB
PAGES = 12


def page(number: int) -> str:
    """Page ``number`` of a small site in which each page links to the next two, and out."""
    ahead = [(number + step) % PAGES for step in (1, 2)]
    links = "".join(f'<a href="/page/{other}">{other}</a>' for other in ahead)
    return f'<!doctype html><title>{number}</title>{links}<a href="http://example.invalid/">out</a>'


class WebServer(ThreadingHTTPServer):
    """Counts its connections, and can keep requests waiting until the test is over."""

    # Closing waits for every connection's thread, so that nothing outlives its test.
    daemon_threads = False
    request_queue_size = 256

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connections = 0
        self.release = threading.Event()
        self._scheme = "https" if tls else "http"
        # Handshakes happen in each connection's own thread, not in the one that accepts.
        self._tls = tls

    @property
    def url(self) -> str:
        # The certificate is for the name, so that the name is checked too.
        return f"{self._scheme}://localhost:{self.server_address[1]}"

    def finish_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        self.connections += 1
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_Handler.timeout)
        with self._tls.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        """A client that leaves in the middle is what some tests are about; nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10.0  # seconds that a connection may idle: a test that failed ends anyway
    server: WebServer

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the tests read what comes over the wire."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        match path.strip("/").split("/"):
            case ["hello"]:
                self._answer(b"hello", "text/plain")
            case ["json"]:
                self._answer(json.dumps({"loop": "any"}).encode(), "application/json")
            case ["large"]:
                self._answer(LARGE, "application/octet-stream")
            case ["gzip"]:
                self._answer(gzip.compress(b"packed" * 100), "text/plain", "gzip")
            case ["chunked"]:
                self._chunks([b"one,", b"two,", b"three"])
            case ["page", number]:
                self._answer(page(int(number)).encode(), "text/html")
            case ["redirect"]:
                self.send_response(302)
                self.send_header("Location", "/hello")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case ["hang"]:
                self.server.release.wait(30)
                self.close_connection = True
            case ["drop"]:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"a part of it")
                self.close_connection = True
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self._chunks_read())
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(body, self.headers.get("Content-Type", "application/octet-stream"))

    def _answer(self, body: bytes, content_type: str, encoding: str | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self, chunks: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in [*chunks, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _chunks_read(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    server = WebServer(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def fetch(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One blocking request, by the standard library; call it through ``asyncio.to_thread``."""
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    else:
        connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=tls)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()
