"""Which links are followed: decided by their text alone."""

from __future__ import annotations

import re

import pytest

from crawler.frontier import Scope
from crawler.frontier.hosts import host_of, site_of
from crawler.frontier.scope import MAX_FOLLOWED, Bounds


@pytest.mark.parametrize(
    ("href", "host"),
    [
        ("http://example.com/", "example.com"),
        ("https://example.com:8443/a//b?c=http://d/", "example.com"),
        ("http://user:pass@example.com/", "example.com"),
        ("http://[::1]:8080/", "[::1]"),
        ("http://user@[2001:db8::1]/", "[2001:db8::1]"),
        ("http://127.0.0.1:1/@x", "127.0.0.1"),
    ],
)
def test_the_host_is_cut_out_of_a_serialised_url(href: str, host: str) -> None:
    assert host_of(href) == host


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("www.example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("someone.github.io", "someone.github.io"),
        ("www.someone.github.io", "someone.github.io"),
        ("example.com.", "example.com"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("www.xn--bcher-kva.de", "xn--bcher-kva.de"),
    ],
)
def test_a_site_is_what_somebody_registered(host: str, site: str) -> None:
    assert site_of(host) == site


def bounds(scope: Scope) -> Bounds:
    made = Bounds(scope)
    made.begin_at("www.example.com")
    return made


def test_the_same_host_is_the_same_name_whatever_the_port() -> None:
    scope = bounds(Scope(depth=1, same_host=True))
    assert scope.takes("http://www.example.com/a")
    assert scope.takes("https://www.example.com:8443/a")
    assert not scope.takes("http://example.com/a")
    assert not scope.takes("http://www.example.com.evil.net/")


def test_the_same_site_is_all_that_was_registered_together() -> None:
    scope = bounds(Scope(depth=1, same_site=True))
    assert scope.takes("http://example.com/a")
    assert scope.takes("http://shop.eu.example.com/a")
    assert not scope.takes("http://example.org/")
    assert not scope.takes("http://notexample.com/")


def test_one_allowing_pattern_is_enough_and_one_denying_is_too_much() -> None:
    allow = (re.compile("/docs/"), re.compile(r"\.html$"))
    scope = bounds(Scope(depth=1, allow=allow, deny=(re.compile("logout"),)))
    assert scope.takes("http://a/docs/x")
    assert scope.takes("http://a/x.html")
    assert not scope.takes("http://a/x")
    assert not scope.takes("http://a/docs/logout")


@pytest.mark.parametrize(
    ("href", "taken"),
    [
        ("http://a/b/c/b/c/b/c/", True),
        ("http://a/b/c/b/c/b/c/b/c/", False),
        ("http://a/b/b/b/b/b/b/b/", False),
        ("http://a/2024/1/1/2024/1/1/1/1/", True),  # numbers do repeat in dates
        ("http://a/?" + "x=/b/b/b/b/b/b/b/&" * 9, True),
        ("http://a/" + "b" * (MAX_FOLLOWED - 9), True),
        ("http://a/" + "b" * (MAX_FOLLOWED - 8), False),
    ],
)
def test_traps_are_known_by_repetition_and_by_length(href: str, taken: bool) -> None:
    assert bounds(Scope(depth=1)).takes(href) == taken


def test_pages_are_counted_in_all_and_by_host() -> None:
    scope = bounds(Scope(depth=1, max_pages=4, max_per_host=2))
    assert [scope.count(host) for host in "aaabbc"] == [True, True, False, True, True, False]
    assert scope.full
