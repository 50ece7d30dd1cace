"""What a client remembers and who it says it is: cookies, credentials, TLS sessions, retries."""

from __future__ import annotations

import asyncio
import http.cookiejar
import ssl
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import publicsuffixlist
import pytest
import trustme

from crawler.http import (
    URL,
    Bearer,
    Client,
    ConnectionRefused,
    HTTPError,
    Limits,
    Netrc,
    PoolTimeout,
    ReadTimeout,
    RedirectError,
    Retry,
    TLSError,
    TLSTimeout,
    suffixes,
    tls_context,
)
from crawler.http.cookies import PER_DOMAIN, Cookies
from crawler.http.headers import Headers
from crawler.http.retry import Budgets, seconds_asked
from tests.crawler.scripted import Peer, Script, polite, serving
from tests.crawler.test_tls import AUTHORITY, client_context, server_context

Run = Callable[..., Any]


# ---- cookies -----------------------------------------------------------------------------------


def setting(*cookies: str) -> Headers:
    return Headers([(b"Set-Cookie", cookie.encode()) for cookie in cookies])


@pytest.mark.parametrize(
    ("cookie", "url", "sent"),
    [
        ("a=1", "https://www.example.com/x/y", "a=1"),
        ("a=1", "https://example.com/x/y", ""),
        ("a=1", "https://other.www.example.com/x/y", ""),
        ("a=1; Domain=example.com", "https://example.com/x/y", "a=1"),
        ("a=1; Domain=.example.com", "https://b.example.com/x/y", "a=1"),
        ("a=1; Domain=example.org", "https://example.org/x/y", ""),
        ("a=1; Domain=com", "https://other.com/x/y", ""),
        ("a=1", "https://www.example.com/", ""),
        ("a=1", "https://www.example.com/x/z", "a=1"),
        ("a=1; Path=/", "https://www.example.com/", "a=1"),
        ("a=1; Path=/", "http://www.example.com/", "a=1"),
        ("a=1; Path=/; Secure", "http://www.example.com/", ""),
        ("a=1; Path=/; Secure", "https://www.example.com/", "a=1"),
        ("a=1; Path=/; Max-Age=0", "https://www.example.com/", ""),
        ("a=1; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT", "https://www.example.com/", ""),
        ("a=1; Path=/; Max-Age=100; HttpOnly; SameSite=Lax", "https://www.example.com/", "a=1"),
        ("a=1; Path=/; Max-Age=100; Max-Age=0", "https://www.example.com/", ""),
        ("a=1; Max-Age=0; Max-Age=nonsense", "https://www.example.com/x/y", ""),
        (
            "a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=9",
            "https://www.example.com/x/",
            "a=1",
        ),
        ('a=1; Max-Age="0"', "https://www.example.com/x/y", "a=1"),
        ("a=1; Path=x", "https://www.example.com/x/y", "a=1"),
        ("a=1; Path=/; Path=x", "https://www.example.com/", ""),
        ("a=1; Domain=", "https://www.example.com/x/y", "a=1"),
        ('a=1; Version=1; Port="8"; Discard', "https://www.example.com/x/y", "a=1"),
        ("a=" + "x" * 5000, "https://www.example.com/x/", ""),
        ("a=1\x01", "https://www.example.com/x/", ""),
        ("__Secure-a=1", "https://www.example.com/x/", ""),
        ("__Secure-a=1; Secure", "https://www.example.com/x/", "__Secure-a=1"),
        ("__Host-a=1; Secure; Path=/", "https://www.example.com/", "__Host-a=1"),
        ("__Host-a=1; Secure", "https://www.example.com/x/", ""),
        ("__Host-a=1; Path=/", "https://www.example.com/", ""),
        ("__Host-a=1; Secure; Path=/; Domain=example.com", "https://www.example.com/", ""),
    ],
)
def test_a_cookie_goes_where_it_is_meant_to_go(cookie: str, url: str, sent: str) -> None:
    cookies = Cookies()
    cookies.take(URL("https://www.example.com/x/"), setting(cookie))
    assert cookies.header(URL(url)) == sent


@pytest.mark.parametrize(
    ("domain", "url", "other", "sent"),
    [
        ("example.co.uk", "https://www.example.co.uk/", "https://other.example.co.uk/", "a=1"),
        ("co.uk", "https://www.example.co.uk/", "https://stranger.co.uk/", ""),
        ("github.io", "https://one.github.io/", "https://two.github.io/", ""),
        ("one.github.io", "https://x.one.github.io/", "https://one.github.io/", "a=1"),
        ("com", "https://example.com/", "https://stranger.com/", ""),
    ],
)
def test_a_site_sets_no_cookies_for_strangers_under_its_suffix(
    domain: str, url: str, other: str, sent: str
) -> None:
    cookies = Cookies()
    cookies.take(URL(url), setting(f"a=1; Domain={domain}"))
    assert cookies.header(URL(other)) == sent
    assert cookies.header(URL(url)) == sent


@pytest.mark.parametrize(
    ("cookie", "url", "other", "sent"),
    [
        ("a=1; Domain=127.0.0.1", "http://127.0.0.1:81/", "http://127.0.0.1/", "a=1"),
        ("a=1; Domain=0.0.1", "http://127.0.0.1/", "http://10.0.0.1/", ""),
        ("a=1; Domain=[::1]", "http://[::1]/", "http://[::1]:81/", "a=1"),
        ("a=1; Domain=localhost", "http://localhost/", "http://localhost:81/", "a=1"),
        ("a=1; Domain=.Intranet", "http://intranet/", "http://intranet/", "a=1"),
        ("a=1; Domain=bücher.example", "http://x.bücher.example/", "http://bücher.example/", "a=1"),
        ("a=1; Secure", "http://example.com/", "https://example.com/", ""),
    ],
)
def test_hosts_that_are_no_domain_and_domains_of_other_scripts(
    cookie: str, url: str, other: str, sent: str
) -> None:
    cookies = Cookies()
    cookies.take(URL(url), setting(cookie))
    assert cookies.header(URL(other)) == sent
    assert cookies.header(URL(url)) == sent


def test_cookies_of_one_reply_are_taken_in_their_order() -> None:
    cookies = Cookies()
    cookies.take(URL("http://h.example/"), setting("a=1", "a=; Max-Age=0", "b=1", "b=2"))
    assert cookies.header(URL("http://h.example/")) == "b=2"


def test_what_comes_in_the_clear_replaces_no_cookie_that_is_for_tls() -> None:
    cookies = Cookies()
    cookies.take(URL("https://h.example/"), setting("a=safe; Secure"))
    cookies.take(URL("http://h.example/"), setting("a=evil"))
    assert cookies.header(URL("https://h.example/")) == "a=safe"


def test_of_a_server_that_sets_cookies_without_end_the_latest_are_kept() -> None:
    cookies = Cookies()
    for number in range(PER_DOMAIN * 2):
        cookies.take(URL("http://h.example/"), setting(f"c{number}=1"))
    assert len(cookies.jar) == PER_DOMAIN
    cookies.take(URL("http://h.example/"), setting("session=1"))
    assert len(cookies.jar) == PER_DOMAIN
    assert "session=1" in cookies.header(URL("http://h.example/"))
    cookies.take(URL("http://h.example/"), setting(*(f"d{number}=1" for number in range(9000))))
    assert len(cookies.jar) == PER_DOMAIN


def test_cookies_that_were_deleted_take_no_place() -> None:
    cookies = Cookies()
    cookies.take(URL("http://h.example/"), setting("first=1"))
    for number in range(PER_DOMAIN * 2):
        cookies.take(URL("http://h.example/"), setting(f"c{number}=1"))
        cookies.take(URL("http://h.example/"), setting(f"c{number}=; Max-Age=0"))
    cookies.take(URL("http://h.example/"), setting("last=1"))
    assert cookies.header(URL("http://h.example/")) == "first=1; last=1"


def cookie_wall(peer: Peer) -> None:
    while head := peer.request():
        if b"\r\nCookie: seen=1" in head:
            peer.reply(b"in")
        else:
            peer.reply(b"", "Location: /wall", "Set-Cookie: seen=1; Path=/", status="302 Found")


def test_cookies_are_kept_if_one_wants_them(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(cookies=True) as client:
            assert (await client.get(f"{url}/wall")).body == b"in"
            assert (await client.get(f"{url}/other")).body == b"in"
        async with Client() as client:
            with pytest.raises(RedirectError, match="in a circle"):
                await client.get(f"{url}/wall")
        jar = http.cookiejar.CookieJar()
        async with Client(cookies=jar) as client:
            await client.get(f"{url}/wall")
        assert [cookie.name for cookie in jar] == ["seen"]
        async with Client(cookies=jar) as client:
            assert (await client.get(f"{url}/wall")).history == []
        filled_later = http.cookiejar.CookieJar()
        async with Client(cookies=filled_later) as client:
            for cookie in jar:
                filled_later.set_cookie(cookie)
            assert (await client.get(f"{url}/wall")).history == []

    with serving(cookie_wall) as server:
        run(main, server.url)


def test_the_public_suffix_list_is_loaded_beside_the_loop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    class Noted(publicsuffixlist.PublicSuffixList):  # type: ignore[misc]
        def __init__(self) -> None:
            threads.append(threading.get_ident())
            super().__init__()

    def reply(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"in", "Set-Cookie: a=1; Domain=127.0.0.1")

    async def main(url: str) -> None:
        async with Client(cookies=True) as client:
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(client.get(url))
            await client.get(url)

    monkeypatch.setattr(publicsuffixlist, "PublicSuffixList", Noted)
    suffixes._suffixes.cache_clear()
    with serving(reply) as server:
        run(main, server.url)
    suffixes._suffixes.cache_clear()
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_cookies_of_a_request_are_sent_besides_those_of_the_jar(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(cookies=True) as client:
            await client.get(f"{url}/wall")
            await client.get(url, cookies={"mine": "2"})

    with serving(cookie_wall) as server:
        run(main, server.url)
    assert b"\r\nCookie: seen=1; mine=2\r\n" in server.requests[-1]


# ---- credentials -------------------------------------------------------------------------------


def test_credentials_of_each_kind(run: Run, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(
        "machine 127.0.0.1 login me password secret\ndefault login all password one\n"
    )
    netrc = Netrc(tmp_path / "netrc")
    assert netrc.header(URL("http://elsewhere/")) is None

    async def main(url: str) -> None:
        async with Client(auth=("client", "own")) as client:
            await client.get(url)
            await client.get(url, auth=("Aladdin", "open sesame"))
            await client.get(url, auth=Bearer("abc"))
            await client.get(url, auth=netrc)
            await client.get(url, headers={"Authorization": "mine"})
            await client.get(url.replace("//", "//u:p@"), auth=Bearer("explicit"))

    with serving(polite) as server:
        run(main, server.url)
    sent = [
        next(line[15:] for line in head.decode().split("\r\n") if line.startswith("Authorization"))
        for head in server.requests
    ]
    assert sent == [
        "Basic Y2xpZW50Om93bg==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Bearer abc",
        "Basic bWU6c2VjcmV0",
        "mine",
        "Bearer explicit",
    ]


def test_a_token_that_cannot_be_sent_is_refused_and_not_told() -> None:
    for token in ("", "secret\r\nEvil: 1", "sécret"):
        with pytest.raises(ValueError, match="printable ASCII") as caught:
            Bearer(token)
        assert "cret" not in str(caught.value)


def test_netrc_names_hosts_in_whatever_case_and_addresses(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine Example.ORG login u password p machine [::1] login u password p\n")
    path.chmod(0o600)
    for url in ("http://example.org/", "http://example.org./", "http://[::1]:81/"):
        assert Netrc(path).header(URL(url)) == "Basic dTpw"


def test_netrc_knows_the_host_that_a_redirect_leads_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine localhost login me password secret\n")

    async def main(url: str) -> None:
        async with Client(auth=Netrc(tmp_path / "netrc")) as client:
            assert (await client.get(url)).body == b"hello"

    with serving(polite) as there:
        target = there.url.replace("127.0.0.1", "localhost")

        def script(peer: Peer) -> None:
            peer.request()
            peer.reply(b"", f"Location: {target}", status="302 Found")

        with serving(script) as here:
            run(main, here.url)
    assert b"Authorization" not in here.requests[0]
    assert b"\r\nAuthorization: Basic bWU6c2VjcmV0\r\n" in there.requests[0]


# ---- TLS ---------------------------------------------------------------------------------------


def reused(server_side: list[bool], body: bytes = b"hello") -> Script:
    def script(peer: Peer) -> None:
        assert isinstance(peer.sock, ssl.SSLSocket)
        peer.request()
        server_side.append(bool(peer.sock.session_reused))
        peer.reply(body, "Connection: close")

    return script


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_second_connection_resumes_the_session_of_the_first(
    run: Run, version: ssl.TLSVersion
) -> None:
    context = server_context()
    context.minimum_version = context.maximum_version = version
    resumed: list[bool] = []

    async def main(url: str) -> None:
        async with Client(tls=client_context()) as client:
            for _ in range(3):
                assert (await client.get(url)).body == b"hello"

    with serving(reused(resumed), context) as server:
        run(main, server.url)
    assert resumed == [False, True, True]


def test_a_client_can_show_a_certificate(run: Run, tmp_path: Path) -> None:
    mine = AUTHORITY.issue_cert("client@example.org")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "mine.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)

    async def main(url: str, tls: ssl.SSLContext) -> bytes:
        async with Client(tls=tls) as client:
            return (await client.get(url)).body

    ca_file = tmp_path / "ca.pem"
    with serving(polite, context) as server:
        both = tls_context(ca_file=ca_file, certificate=tmp_path / "mine.pem")
        assert run(main, server.url, both) == b"hello"
        two = tls_context(
            ca_file=ca_file, certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"
        )
        assert run(main, server.url, two) == b"hello"
        with pytest.raises(HTTPError):
            run(main, server.url, tls_context(ca_file=ca_file))


def test_certificates_are_verified_unless_one_asks_for_the_contrary(run: Run) -> None:
    async def main(url: str, tls: ssl.SSLContext) -> bytes:
        async with Client(tls=tls) as client:
            return (await client.get(url)).body

    with serving(polite, server_context("other.example", authority=trustme.CA())) as server:
        assert run(main, server.url, tls_context(verify=False)) == b"hello"
        with pytest.raises(TLSError):
            run(main, server.url, tls_context())


def test_a_handshake_has_a_limit_of_its_own(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(limits=Limits(tls=0.1)) as client:
            with pytest.raises(TLSTimeout, match=r"no TLS handshake within 0.1 seconds"):
                await client.get(url)
            assert client.pool.open_connections == 0

    with serving(lambda peer: peer.until_gone()) as server:
        run(main, server.url.replace("http:", "https:"))


def test_the_wait_for_a_connection_has_a_limit_if_one_wants_it(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(limits=Limits(per_origin=1, pool=0.1)) as client:
            first = asyncio.create_task(client.get(url))
            while not client.pool.open_connections:
                await asyncio.sleep(0)
            with pytest.raises(PoolTimeout, match=r"no connection was free within 0.1 seconds"):
                await client.get(url)
            first.cancel()
            await asyncio.wait({first})
            assert client.pool.open_connections == 0

    with serving(lambda peer: peer.until_gone()) as server:
        run(main, server.url)


# ---- retries -----------------------------------------------------------------------------------

SOON = Retry(times=3, wait=0.01)


def failing(times: int, *headers: str, status: str = "503 Busy") -> Script:
    def script(peer: Peer) -> None:
        while peer.request():
            if len(peer.server.requests) <= times:
                peer.reply(b"no", *headers, status=status)
            else:
                peer.reply()

    return script


def test_a_reply_that_says_later_is_asked_for_again(run: Run) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    async def main(url: str) -> bytes:
        def trace(event: str, info: Any) -> None:
            if event.startswith("retry"):
                events.append((event, dict(info)))

        async with Client(retry=SOON, trace=trace) as client:
            return (await client.get(url)).body

    with serving(failing(2)) as server:
        assert run(main, server.url) == b"hello"
    assert server.connections == 1
    assert [event for event, _ in events] == ["retry.started", "retry.complete"] * 2
    assert [info["attempt"] for _, info in events] == [1, 1, 2, 2]
    assert all(info["wait"] > 0 for _, info in events)
    assert events[1][1]["seconds"] > 0


def test_a_reply_that_says_later_too_often_stands(run: Run) -> None:
    async def main(url: str, retry: Retry | None) -> tuple[int, bytes]:
        async with Client(retry=retry) as client:
            response = await client.get(url)
            return response.status, response.body

    for retry, requests in ((None, 1), (SOON, 4)):
        with serving(failing(100)) as server:
            assert run(main, server.url, retry) == (503, b"no")
        assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("method", "requests"), [("GET", 3), ("HEAD", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1)]
)
def test_only_what_is_safe_to_repeat_is_repeated(run: Run, method: str, requests: int) -> None:
    async def main(url: str) -> None:
        async with Client(retry=SOON) as client:
            await client.request(method, url)

    with serving(failing(2)) as server:
        run(main, server.url)
    assert len(server.requests) == requests


def test_a_connection_that_is_lost_is_tried_again(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        if peer.number == 2:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        elif peer.number > 2:
            peer.reply()

    async def main(url: str) -> bytes:
        async with Client(retry=SOON) as client:
            return (await client.get(url)).body

    with serving(script) as server:
        assert run(main, server.url) == b"hello"
    assert server.connections == 3


def test_what_was_never_sent_may_be_repeated_whatever_it_is(run: Run) -> None:
    async def main() -> None:
        started: list[str] = []

        def trace(event: str, info: Any) -> None:
            started.append(event)

        async with Client(retry=SOON, trace=trace) as client:
            with pytest.raises(ConnectionRefused):
                await client.post("http://127.0.0.1:9/", content=b"x")
        assert started.count("retry.complete") == 3

    run(main)


def test_the_server_says_when_to_come_back(run: Run) -> None:
    async def main(url: str) -> float:
        async with Client(retry=SOON) as client:
            started = time.monotonic()
            assert (await client.get(url)).status == 200
            return time.monotonic() - started

    with serving(failing(1, "Retry-After: 1")) as server:
        assert 1.0 <= run(main, server.url) < 10


def test_a_retry_does_not_go_beyond_the_total_limit(run: Run) -> None:
    async def main(url: str) -> None:
        limits = Limits(total=2)
        async with Client(retry=Retry(times=9, wait=5), limits=limits) as client:
            assert (await client.get(url)).status == 503

    with serving(failing(9)) as server:
        run(main, server.url)
    assert len(server.requests) == 1


def test_waiting_times_double_up_to_the_longest_and_are_jittered() -> None:
    retry = Retry(times=5, wait=1.0, longest=5.0)
    for attempt, full in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (5, 5.0)):
        waits = {retry.after(attempt) for _ in range(50)}
        assert len(waits) > 1
        assert all(wait is not None and full / 2 <= wait <= full for wait in waits)
    assert retry.after(6) is None


@pytest.mark.parametrize(
    ("said", "least"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("nonsense", 0.0),
        ("-5", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_is_obeyed(said: str, least: float) -> None:
    wait = Retry(wait=0.001).after(1, said)
    assert wait is not None
    assert least <= wait <= least + 1


def test_retry_after_may_be_a_date() -> None:
    wait = Retry(wait=0.001).after(1, formatdate(time.time() + 20, usegmt=True))
    assert wait is not None
    assert 15 < wait <= 20


def test_a_date_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        said = formatdate(time.time() + 20, usegmt=True).removesuffix(" GMT")
        assert 15 < (seconds_asked(said) or 0) <= 20
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("said", ["31", "99999999999999999999", "Wed, 21 Oct 2130 07:28:00 GMT"])
def test_a_server_that_asks_for_more_time_than_we_have_is_not_asked_again(said: str) -> None:
    assert Retry(longest=30).after(1, said) is None


def test_a_host_that_is_down_does_not_get_all_retries_of_a_crawl(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(retry=Retry(times=3, wait=0.001, budget=5)) as client:
            for _ in range(10):
                await client.get(url)

    with serving(failing(1000)) as server:
        run(main, server.url)
    assert len(server.requests) == 15


def test_good_replies_restore_a_budget() -> None:
    budgets = Budgets(2)
    assert [budgets.spend("h") for _ in range(3)] == [True, True, False]
    assert budgets.spend("other")
    for _ in range(10):
        budgets.earn("h")
    assert [budgets.spend("h") for _ in range(2)] == [True, False]
    for _ in range(100):
        budgets.earn("h")
    assert [budgets.spend("h") for _ in range(3)] == [True, True, False]


def test_a_silent_server_is_tried_again_within_its_limits(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(retry=Retry(times=1, wait=0.01), limits=Limits(read=0.1)) as client:
            with pytest.raises(ReadTimeout):
                await client.get(url)

    with serving(lambda peer: peer.until_gone()) as server:
        run(main, server.url)
    assert server.connections == 2
