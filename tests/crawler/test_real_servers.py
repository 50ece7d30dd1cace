"""nginx and Apache, where they are installed: every body is the one that curl fetches."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crawler.http import Client, Limits, tls_context
from tests.crawler.test_tls import AUTHORITY

Run = Callable[..., Any]

NGINX = """
daemon off; worker_processes 1; pid {at}/pid; error_log {at}/errors;
events {{ worker_connections 256; }}
http {{
    access_log off; default_type text/html; keepalive_requests 7; keepalive_timeout 200ms;
    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
    gzip on; gzip_types *; gzip_min_length 1;
    server {{
        listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl;
        ssl_certificate {at}/server.pem; ssl_certificate_key {at}/server.pem;
        root {at}/pages;
        location /moved {{ return 301 /page-1.html; }}
        location /closed/ {{ alias {at}/pages/; chunked_transfer_encoding off; }}
        location /alone/ {{ alias {at}/pages/; keepalive_timeout 0; gzip off; }}
    }}
}}
"""
APACHE = """
ServerName localhost
ServerRoot {at}
PidFile {at}/pid
ErrorLog {at}/errors
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule filter_module {modules}/mod_filter.so
LoadModule deflate_module {modules}/mod_deflate.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule env_module {modules}/mod_env.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
TypesConfig /dev/null
AddType text/html .html
DocumentRoot {at}/pages
MaxKeepAliveRequests 7
KeepAliveTimeout 200ms
AddOutputFilterByType DEFLATE text/html
Redirect 301 /moved /page-1.html
Alias /closed {at}/pages
Alias /alone {at}/pages
<Location /closed>
    SetEnv force-response-1.0 1
    SetEnv nokeepalive 1
</Location>
<Location /alone>
    SetEnv nokeepalive 1
    SetEnv no-gzip 1
</Location>
<VirtualHost 127.0.0.1:{https}>
    SSLEngine on
    SSLCertificateFile {at}/server.pem
    SSLCertificateKeyFile {at}/server.pem
</VirtualHost>
"""
SIZES = (0, 1, 100, 5_000, 65_536, 400_000)


class Site(NamedTuple):
    http: str
    https: str
    ca_file: Path


def unused_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def program(kind: str, at: Path, http: int, https: int) -> list[str]:
    """The command that serves, or a skip that says what is missing."""
    names = {"nginx": ("nginx",), "apache": ("apache2", "httpd")}[kind]
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None:
        pytest.skip(f"{' or '.join(names)} is not installed (Debian: apt-get install {names[0]})")
    configuration = at / "configuration"
    if kind == "nginx":
        configuration.write_text(NGINX.format(at=at, http=http, https=https))
        return [found, "-e", str(at / "errors"), "-c", str(configuration)]
    root = Path(found).parents[1]
    places = (root / "lib/apache2/modules", root / "lib64/httpd/modules")
    modules = next(filter(Path.is_dir, places), None)
    if modules is None:
        pytest.skip("the modules of Apache are nowhere to be found")
    configuration.write_text(APACHE.format(at=at, http=http, https=https, modules=modules))
    return [found, "-X", "-f", str(configuration)]


@pytest.fixture(scope="module", params=["nginx", "apache"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    # Servers that are started by root become somebody else, who may not look into pytest's own.
    with tempfile.TemporaryDirectory() as directory:
        at = Path(directory)
        at.chmod(0o755)
        yield from serve(request.param, at)


def serve(kind: str, at: Path) -> Iterator[Site]:
    (at / "pages").mkdir()
    for number, size in enumerate(SIZES):
        page = b"".join(b"<p>%d" % count for count in range(size // 4 + 1))[:size]
        (at / "pages" / f"page-{number}.html").write_bytes(page)
    http, https = unused_ports()
    command = program(kind, at, http, https)
    AUTHORITY.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        at / "server.pem"
    )
    AUTHORITY.cert_pem.write_to_path(at / "ca.pem")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            for port in (http, https):
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port)).close()
                        break
                    except OSError:
                        if process.poll() is not None or time.monotonic() > deadline:
                            errors = at / "errors"
                            pytest.fail(errors.read_text() if errors.exists() else "no start")
                        time.sleep(0.01)
            yield Site(f"http://127.0.0.1:{http}", f"https://localhost:{https}", at / "ca.pem")
        finally:
            process.terminate()
            process.wait(10)


def curl(site: Site, url: str) -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sSL", "--compressed", "--noproxy", "*", "--cacert", str(site.ca_file), url]
    return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_every_body_is_what_curl_fetches(run: Run, site: Site, scheme: str, coding: str) -> None:
    base = site.http if scheme == "http" else site.https
    paths = [f"/page-{number}.html" for number in range(len(SIZES))] + [
        "/moved",
        "/closed/page-4.html",
        "/closed/page-5.html",
        "/alone/page-4.html",
    ]
    expected = {path: curl(site, base + path) for path in paths}

    async def main() -> None:
        limits = Limits(per_origin=4)
        context = tls_context(ca_file=site.ca_file)
        async with Client(limits=limits, tls=context) as client:

            async def get(path: str) -> None:
                response = await client.get(base + path, headers={"Accept-Encoding": coding})
                assert response.status == 200
                assert response.body == expected[path]

            # More than a connection is kept for, so that it ends in the middle of the crawl.
            await asyncio.gather(*(get(path) for path in paths * 8))
            await asyncio.sleep(0.5)  # until the server has closed what is idle
            await asyncio.gather(*(get(path) for path in paths))
            async with client.stream("GET", base + paths[-2]) as response:
                streamed = b"".join([piece async for piece in response.pieces()])
            assert streamed == expected[paths[-2]]

    run(main)


def test_the_servers_do_compress(run: Run, site: Site) -> None:
    async def main() -> tuple[bytes, str | None]:
        async with (
            Client() as client,
            client.stream("GET", f"{site.http}/page-3.html") as response,
        ):
            raw = b"".join([piece async for piece in response.raw_pieces()])
            return raw, response.headers.get("content-encoding")

    raw, coding = run(main)
    assert coding == "gzip"
    assert len(gzip.decompress(raw)) == SIZES[3]
