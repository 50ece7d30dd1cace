"""What the page url-library.md is based on.

    python -m pip install can_ada ada-url yarl
    python docs/decisions/url_library.py

For each library: the time to make a reference absolute, and how many awkward references it resolves
as the URL standard says. The expected values are those of the standard's own test data.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from urllib.parse import urljoin

import ada_url
import can_ada
import yarl

BASE = "http://example.org/foo/bar"
ORDINARY = (
    [f"/page/{n}?a=1&b={n}" for n in range(100)]
    + [f"../x/{n}.html#top" for n in range(50)]
    + [f"https://www.example.com/{n}/" for n in range(50)]
)
# None: no URL at all.
AWKWARD: list[tuple[str, str | None]] = [
    ("http://example\t.\norg", "http://example.org/"),
    ("  foo.com  ", "http://example.org/foo/foo.com"),
    ("\t   :foo.com   \n", "http://example.org/foo/:foo.com"),
    ("http://f:0/c", "http://f:0/c"),
    ("http://f:00000000000000000000080/c", "http://f/c"),
    ("http://f:b/c", None),
    ("http://f:65536/c", None),
    ("", "http://example.org/foo/bar"),
    ("#", "http://example.org/foo/bar#"),
    ("?", "http://example.org/foo/bar?"),
    (":\\", "http://example.org/foo/:/"),
    ("/a/b/../c", "http://example.org/a/c"),
    ("\\x", "http://example.org/x"),
    ("//server/file", "http://server/file"),
    ("\\\\server\\file", "http://server/file"),
    ("http:path", "http://example.org/foo/path"),
    ("http:/path", "http://example.org/path"),
    ("HTTP://EXAMPLE.com:80/%7Efoo/../%zz", "http://example.com/%zz"),
    ("/foo/%2e%2E/bar", "http://example.org/bar"),
    ("/foo bar", "http://example.org/foo%20bar"),
    ("/foo%2fbar", "http://example.org/foo%2fbar"),
    ("/ü?ü#ü", "http://example.org/%C3%BC?%C3%BC#%C3%BC"),
    ("http://GOO\u3000goo.com", None),
    ("http://www.foo\u3002bar.com", "http://www.foo.bar.com/"),
    ("http://\uff27\uff4f.com", "http://go.com/"),
    ("http://faß.example", "http://xn--fa-hia.example/"),
    ("http://0x7f.1/", "http://127.0.0.1/"),
    ("http://256.256.256.256/", None),
    ("http://[2001::1]:80", "http://[2001::1]/"),
    ("http://[www.google.com]/", None),
    ("http://user:pass@foo:21/bar;par?b#c", "http://user:pass@foo:21/bar;par?b#c"),
    ("http://a b/", None),
]  # fmt: skip


def standard_library(reference: str) -> str:
    """RFC 3986, and only in part."""
    return urljoin(BASE, reference)


YARL_BASE = yarl.URL(BASE)


def yarl_join(reference: str) -> str:
    """RFC 3986 with normalisation."""
    return str(YARL_BASE.join(yarl.URL(reference)))


def ada_url_join(reference: str) -> str:
    """The URL standard, by Ada in C++, through cffi."""
    return ada_url.join_url(BASE, reference)


CAN_ADA_BASE = can_ada.parse(BASE)


def can_ada_join(reference: str) -> str:
    """The URL standard, by Ada in C++, through pybind11."""
    return (CAN_ADA_BASE + reference).href


CANDIDATES: dict[str, Callable[[str], str]] = {
    "urllib.parse": standard_library,
    f"yarl {version('yarl')}": yarl_join,
    f"ada-url {version('ada-url')}": ada_url_join,
    f"can_ada {version('can_ada')}": can_ada_join,
}


def microseconds(join: Callable[[str], str]) -> float:
    """A reference, as the median of seven runs over all the ordinary ones."""
    runs = []
    for _ in range(7):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < 0.05:
            for reference in ORDINARY:
                join(reference)
            count += len(ORDINARY)
        runs.append(spent / count * 1_000_000)
    return statistics.median(runs)


def resolved(join: Callable[[str], str], reference: str) -> str | None:
    """What ``join`` makes of a reference; None if it refuses."""
    try:
        return join(reference)
    except ValueError:
        return None


def main() -> None:
    """Print the table."""
    print(f"{'library':<16}{'a reference':>14}{'as the standard says':>24}")
    for name, join in CANDIDATES.items():
        right = sum(resolved(join, reference) == url for reference, url in AWKWARD)
        print(f"{name:<16}{microseconds(join):>11.2f} us{right:>21}/{len(AWKWARD)}")


if __name__ == "__main__":
    main()
