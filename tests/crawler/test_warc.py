"""The crawl as a WARC archive: bytes as they went, and other people's readers agree."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from crawler.demo.site import Addresses, Site
from crawler.frontier import Scope
from crawler.http import Client, Limits
from crawler.output import FORMATS
from crawler.taping import Taped, keep_exchanges
from tests.crawler.scripted import Peer, anchors, pages, serving
from tests.crawler.test_cli import ROOT, command, run_command
from tests.crawler.test_crawl import trusting
from tests.crawler.test_following import follow
from tests.crawler.test_state import NEAR, go_on, state_in

Run = Callable[..., Any]
WARC = FORMATS["warc"]


class Kept(NamedTuple):
    """A record as warcio reads it, and its block as it stands in the file."""

    kind: str
    url: str
    fields: dict[str, str]
    status: str
    body: bytes
    block: bytes


def records(path: Path) -> list[Kept]:
    with path.open("rb") as file:
        raw = [each.raw_stream.read() for each in ArchiveIterator(file, no_record_parse=True)]
    found = []
    with path.open("rb") as file:
        for record, block in zip(ArchiveIterator(file, check_digests="raise"), raw, strict=True):
            body = record.content_stream().read()
            fields = dict(record.rec_headers.headers)
            status = record.http_headers.get_statuscode() if record.http_headers else ""
            url = fields.get("WARC-Target-URI", "")
            found.append(Kept(record.rec_type, url, fields, status, body, block))
    return found


def check(path: Path) -> None:
    """Have warcio's own checker look at every digest."""

    class Command:
        inputs = (str(path),)
        verbose = True

    assert Checker(Command).process_all() == 0


def client_for(**options: Any) -> Client:
    return Client(trace=keep_exchanges, around=Taped, limits=Limits(total=5), **options)


CHUNKED = (
    b"HTTP/1.1 200 Fine \r\nContent-Type: text/html\r\nX-Odd:  spaces  \r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n<a hr\r\n9\r\nef='/x'>.\r\n"
    b"0\r\n\r\n"
)
MOVED = b"HTTP/1.1 302 Found\r\nContent-Length: 4\r\nLocation: /chunked\r\n\r\nthen"
IMAGE = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 900000\r\n\r\n\x89PNG"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
SMALL = zlib.compress(b"<a href=/y>")
DEFLATED = (
    b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Type: text/html\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(SMALL), SMALL)
)
CUT = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nhalf"


def test_requests_and_replies_are_kept_to_the_letter(run: Run, tmp_path: Path) -> None:
    answers = {
        "/": MOVED, "/chunked": CHUNKED, "/hints": EARLY + DEFLATED, "/cut": CUT + b"",
        "/none": b"not http at all",
    }  # fmt: skip

    async def main(url: str) -> None:
        urls = (f"{url}{path}" for path in ("/", "/hints", "/cut", "/none"))
        await follow(tmp_path, *urls, client=client_for(), form=WARC, concurrency=1)

    def conversation(peer: Peer) -> None:
        while head := peer.request():
            path = head.split()[1].decode()
            peer.send(answers.get(path, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
            if path in ("/cut", "/none"):
                return

    with serving(conversation) as server:
        run(main, server.url)
        url = server.url
    path = tmp_path / "found.txt"
    check(path)
    about, *found = records(path)
    assert about.kind == "warcinfo"
    assert b"software: miniloop crawler" in about.body
    replies = {each.url: each for each in found if each.kind == "response"}
    assert replies[f"{url}/"].block == MOVED
    assert replies[f"{url}/chunked"].block == CHUNKED
    assert replies[f"{url}/chunked"].body == b"<a href='/x'>."
    assert replies[f"{url}/hints"].block == DEFLATED
    assert replies[f"{url}/hints"].body == b"<a href=/y>"
    assert replies[f"{url}/cut"].block == CUT
    assert f"{url}/none" not in replies
    truncated = {key: each.fields.get("WARC-Truncated") for key, each in replies.items()}
    assert truncated[f"{url}/cut"] == "disconnect"
    assert [key for key, reason in truncated.items() if reason] == [f"{url}/cut"]
    for reply, request in zip(found[::2], found[1::2], strict=True):
        assert (reply.kind, request.kind) == ("response", "request")
        assert request.fields["WARC-Concurrent-To"] == reply.fields["WARC-Record-ID"]
        assert request.fields["WARC-Target-URI"] == reply.fields["WARC-Target-URI"]
        target = request.url.removeprefix(url)
        assert request.block.startswith(b"GET %b HTTP/1.1\r\nHost: " % target.encode())
        assert request.block.endswith(b"\r\n\r\n")
        assert reply.fields["WARC-IP-Address"] == "127.0.0.1"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z", reply.fields["WARC-Date"])


def test_a_body_that_nobody_wanted_is_marked_as_cut(run: Run, tmp_path: Path) -> None:
    async def main(url: str) -> None:
        await follow(tmp_path, f"{url}/image", client=client_for(), form=WARC)

    with serving(pages({"/image": IMAGE})) as server:
        run(main, server.url)
    (reply,) = (each for each in records(tmp_path / "found.txt") if each.kind == "response")
    assert reply.fields["WARC-Truncated"] == "unspecified"


def test_what_went_through_tls_is_kept_and_sessions_are_still_resumed(
    run: Run, tmp_path: Path, at: Addresses
) -> None:
    async def main() -> None:
        urls = (f"{at.https}/page/{number}" for number in range(4))
        client = client_for(tls=trusting(at))
        await follow(tmp_path, *urls, client=client, form=WARC, concurrency=1)

    run(main)
    check(tmp_path / "found.txt")
    found = [each for each in records(tmp_path / "found.txt") if each.kind == "response"]
    assert {each.url for each in found} >= {f"{at.https}/page/{number}" for number in range(4)}
    assert all(each.block.startswith(b"HTTP/1.1 ") for each in found)


def test_each_record_is_a_gzip_member_unless_the_name_says_otherwise(tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a")})) as server:
        for name in ("out.warc.gz", "out.warc"):
            done = run_command(server.url, "-o", name, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        piped = subprocess.run(
            command(server.url, "-o", "-", "--format", "warc"),
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
            timeout=25,
        )  # fmt: skip
    check(tmp_path / "out.warc.gz")
    check(tmp_path / "out.warc")
    assert (tmp_path / "out.warc").read_bytes().startswith(b"WARC/1.1\r\n")
    for data in ((tmp_path / "out.warc.gz").read_bytes(), piped.stdout):
        members = []
        while data:
            member = zlib.decompressobj(zlib.MAX_WBITS + 16)
            members.append(member.decompress(data))
            data = member.unused_data
        assert [re.search(rb"WARC-Type: (\w+)", each)[1] for each in members] == [  # type: ignore[index]
            b"warcinfo", b"response", b"request",
        ]  # fmt: skip


def test_a_crawl_that_is_gone_on_with_goes_on_with_its_archive(run: Run, tmp_path: Path) -> None:
    found = tmp_path / "found.txt"
    answers = {"/": anchors("/a", "/b"), "/a": anchors(), "/b": anchors()}

    def once(url: str) -> None:
        run(go_on, found, [url], state_in(tmp_path), NEAR, WARC, client_for())

    with serving(pages(answers)) as server:
        once(server.url)
        whole = found.read_bytes()
        found.write_bytes(whole + gzip.compress(b"WARC/1.1\r\n")[:9])
        once(server.url)
    assert found.read_bytes() == whole
    check(found)


def test_a_proxys_password_is_in_no_archive(run: Run, tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"

    def conversation(peer: Peer) -> None:
        while peer.request():
            peer.send(answer)

    async def main(proxy: str) -> None:
        client = client_for(proxy=proxy)
        await follow(tmp_path, "http://example.invalid/", client=client, form=WARC, scope=Scope())

    with serving(conversation) as server:
        run(main, server.url.replace("http://", "http://me:secret@"))
        assert b"proxy-authorization: basic " in server.requests[0].lower()
    _, reply, request = records(tmp_path / "found.txt")
    assert b"proxy-authorization" not in request.block.lower()
    assert request.block.startswith(b"GET http://example.invalid/ HTTP/1.1\r\n")
    assert "WARC-IP-Address" not in reply.fields


@pytest.mark.parametrize("loop", ["miniloop", "asyncio", "uvloop"])
def test_a_crawl_is_written_alike_on_every_loop(
    tmp_path: Path, site: Site, at: Addresses, loop: str
) -> None:
    pytest.importorskip(loop)
    expected = site.within(at, 3)
    done = run_command(
        *(f"{at.http}/page/0", "--depth", 3, "--allow", f"^{at.http}/", "--loop", loop),
        *("-o", "out.warc.gz"),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    check(tmp_path / "out.warc.gz")
    replies = [each for each in records(tmp_path / "out.warc.gz") if each.kind == "response"]
    assert Counter(each.status for each in replies) == {
        "200": expected.pages,
        "404": expected.failures["status"],
    }
    bodies = {each.url: each.body for each in replies}
    assert all(f"<title>/page/{n}: ".encode() in bodies[f"{at.http}/page/{n}"] for n in (0, 1))
