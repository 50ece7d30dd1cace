"""What the page hostile-pages.md is based on.

    python -m pip install selectolax lxml
    PYTHONPATH=. python docs/decisions/hostile_pages.py

For each way to find the links of a page: seconds for some pages that are made to be slow, and
milliseconds for pages as they are. Each runs in a process of its own, which is killed after half a
minute. Freed memory is kept, as it is in the crawler (crawler/memory.py).
"""

from __future__ import annotations

import html.parser
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import lxml.etree
from selectolax.lexbor import LexborHTMLParser

from crawler.markup.scanner import scan
from crawler.memory import keep_freed_memory

PATIENCE = 30

HOSTILE = {
    "40,000 nested `<div>`": b"<div>" * 40_000 + b"<a href=/>",
    "20,000 nested `<ul><li><a>`": b"<ul><li><a href=/>" * 20_000,
    "4,000 misnested `<font>`, `<u>`": b"".join(b"<font a=%d><u>" % n for n in range(2000))
    + b"</font><p>" * 2000,
    "40,000 attributes in a tag": b"<a %b href=/>" % b" ".join(b"a%d=1" % n for n in range(40_000)),
    "10 MB of `<p`": b"<p " * 3_333_333,
    "10 MB of `<svg><g>`": b"<svg><g>" * 1_250_000,
}

FILLER = "<p>An event loop waits until something can be done, does it, and waits again.</p>"
ITEM = '<div class="item c{n}">{filler}<a href="/page/{n}?a=1&amp;b={n}">more <b>{n}</b></a></div>'
ORDINARY = {
    f"{links} links, {round(len(page) / 1000)} kB": page.encode()
    for links, repeat in ((20, 1), (200, 5), (1000, 5))
    for page in [
        "<!DOCTYPE html><title>x</title>"
        + "".join(ITEM.format(n=n, filler=FILLER * repeat) for n in range(links))
    ]
}


def scanner(page: bytes) -> int:
    """Ours: regular expressions, no tree."""
    tags = scan(page, frozenset({b"a", b"area", b"base"}), frozenset({b"href"}))
    return sum(1 for tag in tags if tag is not None and b"href" in tag[1])


def selectolax(page: bytes) -> int:
    """A tree by the HTML standard, in C."""
    return sum("href" in node.attributes for node in LexborHTMLParser(page).css("a, area, base"))


def lxml_tree(page: bytes) -> int:
    """A tree by rules of its own, in C."""
    tree = lxml.etree.fromstring(page, lxml.etree.HTMLParser(huge_tree=True))
    return 0 if tree is None else len(tree.xpath("//a/@href"))


class _Target:
    def __init__(self) -> None:
        self.found = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.found += tag == "a" and "href" in attributes

    def close(self) -> int:
        return self.found


def lxml_events(page: bytes) -> int:
    """The same parser without its tree: a call of Python for each tag."""
    found: int = lxml.etree.fromstring(
        page, lxml.etree.HTMLParser(target=_Target(), huge_tree=True)
    )
    return found


class _Parser(html.parser.HTMLParser):
    found = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += tag == "a" and any(name == "href" for name, _ in attrs)


def html_parser(page: bytes) -> int:
    """The standard library's, in Python."""
    parser = _Parser()
    parser.feed(page.decode())
    parser.close()
    return parser.found


WAYS = (scanner, selectolax, lxml_tree, lxml_events, html_parser)


def in_a_process(work: Callable[[Connection], None]) -> str:
    """What ``work`` sends, or that it took too long."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there,))
    process.start()
    there.close()
    try:
        return str(here.recv()) if here.poll(PATIENCE) else f"> {PATIENCE} s"
    except EOFError:
        return "crash"
    finally:
        process.kill()
        process.join()


def hostile(way: Callable[[bytes], int], page: bytes) -> str:
    """Seconds, the links found, and megabytes."""

    def work(there: Connection) -> None:
        start = time.process_time()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            found = f"{way(page):,}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            found = type(error).__name__
        seconds = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        there.send(f"{seconds:.2f} s, {grown} MB, {found}")

    return in_a_process(work)


def ordinary(way: Callable[[bytes], int], page: bytes) -> str:
    """Milliseconds: the median of seven runs of a twentieth of a second."""

    def work(there: Connection) -> None:
        runs = []
        for _ in range(7):
            count, start = 0, time.process_time()
            while (spent := time.process_time() - start) < 0.05:
                way(page)
                count += 1
            runs.append(spent / count * 1000)
        there.send(f"{statistics.median(runs):.3f} ms")

    return in_a_process(work)


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    print("| page |" + "|".join(f" {way.__name__} " for way in WAYS) + "|")
    print("|---|" + "---:|" * len(WAYS))
    for measure, pages in ((hostile, HOSTILE), (ordinary, ORDINARY)):
        for name, page in pages.items():
            cells = (measure(way, page) for way in WAYS)
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
