"""What a URL is taken apart into, and what is no URL."""

from __future__ import annotations

import pytest

from crawler.http import URL, InvalidURL


@pytest.mark.parametrize(
    ("text", "href", "target", "host_header"),
    [
        ("http://example.com", "http://example.com/", b"/", "example.com"),
        ("HTTP://EXAMPLE.com:80/A?b#c", "http://example.com/A?b#c", b"/A?b", "example.com"),
        ("https://example.com:443/", "https://example.com/", b"/", "example.com"),
        ("http://example.com:8080/", "http://example.com:8080/", b"/", "example.com:8080"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x", b"/x", "[::1]:8080"),
        ("http://h/a/./b/../c d", "http://h/a/c%20d", b"/a/c%20d", "h"),
        ("http://h/ä?ö", "http://h/%C3%A4?%C3%B6", b"/%C3%A4?%C3%B6", "h"),
        ("http://h/a%2fb", "http://h/a%2fb", b"/a%2fb", "h"),
        ("http://Bücher.example/", "http://xn--bcher-kva.example/", b"/", "xn--bcher-kva.example"),
        ("http://h/?", "http://h/?", b"/", "h"),
        ("http://0x7f.1/", "http://127.0.0.1/", b"/", "127.0.0.1"),
    ],
)
def test_a_url_is_normalised_as_browsers_do(
    text: str, href: str, target: bytes, host_header: str
) -> None:
    url = URL(text)
    assert (url.href, url.target, url.host_header) == (href, target, host_header)


def test_the_scheme_decides_the_port_where_none_is_given() -> None:
    assert (URL("http://h/").port, URL("https://h/").port, URL("https://h:1/").port) == (80, 443, 1)


def test_an_ipv6_address_loses_its_brackets_for_the_resolver_only() -> None:
    url = URL("http://[::1]/")
    assert (url.host, url.server_name) == ("[::1]", "::1")


def test_credentials_become_a_basic_authorization() -> None:
    assert URL("http://Aladdin:open%20sesame@h/").authorization == (
        b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # the example of RFC 7617
    )
    assert URL("http://h/").authorization is None
    assert URL("http://Aladdin:x@h/").origin == "http://h"


def test_a_reference_is_resolved_against_its_base() -> None:
    assert URL("../c?d", base=URL("http://h/a/b")).href == "http://h/c?d"


@pytest.mark.parametrize("text", ["", "example.com", "/a", "http"])
def test_text_that_is_no_absolute_url_is_refused(text: str) -> None:
    with pytest.raises(InvalidURL, match="not an absolute URL") as caught:
        URL(text)
    assert caught.value.url == text
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("http://", "no host"),
        ("http:///?a", "no host"),
        ("http://user@:80/", "no host"),
        ("http://h:99999/", "the port must be a number from 0 to 65535, got '99999'"),
        (" HTTPS:\\\\h:065536\\x", "the port must be a number from 0 to 65535, got '065536'"),
        ("http://u:p:w@h:x/", "the port must be a number from 0 to 65535, got 'x'"),
        ("http://h:1:2/", "the port must be a number from 0 to 65535, got '1:2'"),
        ("http://h:-1/", "the port must be a number from 0 to 65535, got '-1'"),
        ("http://h:\u0661/", "the port must be a number from 0 to 65535, got '\u0661'"),
        ("http://[::1]:70000/", "the port must be a number from 0 to 65535, got '70000'"),
        (f"http://h:{'9' * 5000}/", f"the port must be a number from 0 to 65535, got '{'9' * 80}'"),
        ("http://a b/", "not a host name or address: 'a b'"),
        ("http://a b:80/", "not a host name or address: 'a b'"),
        ("http://[::1/", "not a host name or address: '[::1'"),
        ("http://[::g]:80/", "not a host name or address: '[::g]'"),
        ("http://999.1.1.1:00080/", "not a host name or address: '999.1.1.1'"),
        ("http://a%zz/", "not a host name or address: 'a%zz'"),
    ],
)
def test_the_part_that_makes_a_url_invalid_is_named(text: str, detail: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        URL(text)
    assert caught.value.detail == detail
    with pytest.raises(InvalidURL) as relative:  # as a Location may be
        URL(text.strip().partition(":")[2], base=URL("http://base/"))
    assert relative.value.detail == detail


@pytest.mark.parametrize("text", ["ftp://h/", "mailto:a@b", "file:///etc", "data:,x"])
def test_another_scheme_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidURL, match=f"must be http or https, got '{text.partition(':')[0]}'"):
        URL(text)
