"""``python -m crawler.demo``: the same crawl on two event loops, checked and timed.

First the whole site is crawled, with all its difficulties and failures, on each loop: both must
find exactly the links that the site is known to hold, and fail for exactly the known reasons. Then
links are followed from one of its pages, and lead to exactly the pages that they should. Then the
easy pages alone are crawled, for the clock: among the failures are servers that never answer, and
waiting for those is no measure of a loop. A crawl is mostly parsing, and hides the loop; so four
quick rows of the benchmarks show the loop alone. Last, a short crawl is recorded, step by step.

Leaves ``urls.txt``, ``foundurls.txt``, ``followed.txt``, ``demo.miniloop`` and ``demo.html`` in the
current directory. Exit code 1 if anything differs from what it should be.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from .launch import running
from .site import Addresses, Expectation, Site

LOOPS = ("miniloop", "asyncio")
PAGES = 480
DEPTH = 4
TIMED_PAGES = 3000
RECORDED_PAGES = 30
LOOP_ROWS = (
    "callbacks/call-soon-chain",
    "callbacks/sleep-0/100",
    "callbacks/future-ping-pong",
    "sockets/streams/1KiB-x10",
)
# Seconds until the servers that never answer are given up.
PATIENCE = 1.5


class Crawl(NamedTuple):
    """What one run of the command left: its summary and the lines of its file."""

    summary: dict[str, Any]
    links: list[tuple[str, ...]]


def main() -> int:
    """Run the demonstration and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m crawler.demo", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, help="crawls that are timed, on each loop (default: 3)"
    )
    parser.add_argument(
        "--pages", type=int, default=TIMED_PAGES,
        help=f"easy pages of each of these crawls (default: {TIMED_PAGES})",
    )  # fmt: skip
    options = parser.parse_args()
    for name, number in vars(options).items():
        if number < 1:
            parser.error(f"--{name} must be at least 1, got {number}")
    urls, found = Path("urls.txt"), Path("foundurls.txt")
    good = check_everything(urls, found)
    good &= follow_links(Path("followed.txt"))
    good &= time_ordinary_pages(options.rounds, options.pages)
    good &= time_the_loop()
    good &= record_a_crawl(Path("demo.miniloop"))
    return 0 if good else 1


def check_everything(urls: Path, found: Path) -> bool:
    """Crawl the whole site on each loop; says what was found and whether it is what is there."""
    site = Site(PAGES)
    crawls: list[Crawl] = []
    with running(site) as at:
        expected = site.everything(at)
        expected.write_list(urls)
        print(f"The site: {at.http} and {at.https}.")
        print(
            f"{urls}: {len(expected.lines)} lines: {expected.pages} pages,"
            f" {expected.failures.total()} that fail, {expected.malformed_lines} that are no URL."
        )
        for loop in LOOPS:
            crawl = run_crawler(loop, urls, found, at, "--timeout", str(PATIENCE))
            differences = compare(crawl, expected)
            verdict = "all as it should be" if not differences else "NOT as it should be"
            print(
                f"{loop:>9}: {crawl.summary['pages']} pages, {len(crawl.links):,} links,"
                f" {sum(crawl.summary['failures'].values())} failures: {verdict}"
            )
            for difference in differences:
                print(f"           {difference}")
            if differences:
                return False
            crawls.append(crawl)
    same = len({frozenset(crawl.links) for crawl in crawls}) == 1
    print(f"The loops found {'the same' if same else 'DIFFERENT'} links; they are in {found}.\n")
    return same


def follow_links(found: Path) -> bool:
    """Follow the site's links on each loop; says whether they lead to what is known to be there."""
    site = Site(PAGES)
    good = True
    with running(site) as at:
        expected = site.within(at, DEPTH)
        print(f"From {at.http}/page/0 along {DEPTH} links, with its robots.txt:")
        for loop in LOOPS:
            crawl = run_crawler(
                loop, f"{at.http}/page/0", found, at,
                "--depth", str(DEPTH), "--allow", f"^{at.http}/",
            )  # fmt: skip
            differences = compare(crawl, expected)
            verdict = "as it should be" if not differences else "NOT as it should be"
            print(
                f"{loop:>9}: {crawl.summary['pages']} pages, {len(crawl.links):,} links,"
                f" {crawl.summary['disallowed']} left out: {verdict}"
            )
            for difference in differences:
                print(f"           {difference}")
                good = False
    print()
    return good


def time_ordinary_pages(rounds: int, number_of_pages: int) -> bool:
    """Crawl many easy pages on each loop and print a table; False if a page is missing."""
    site = Site(number_of_pages, plain=True)
    taken: dict[str, list[Crawl]] = {loop: [] for loop in LOOPS}
    good = True
    with running(site) as at, tempfile.TemporaryDirectory() as scratch:
        urls, found = Path(scratch, "urls.txt"), Path(scratch, "foundurls.txt")
        expected = site.ordinary(at)
        expected.write_list(urls)
        # In turn, so that neither is measured while the machine does something else; and once
        # before it counts, or the first would pay for the start of the site.
        for number in range(rounds + 1):
            for loop in LOOPS:
                crawl = run_crawler(loop, urls, found, at)
                for difference in compare(crawl, expected):
                    print(f"{loop}: {difference}")
                    good = False
                if number > 0:
                    taken[loop].append(crawl)
    print(f"Median of {rounds} crawls of the easy pages on each loop, in turn:\n")
    print(f"{'loop':<10}{'pages':>8}{'links':>10}{'seconds':>10}{'pages/s':>10}")
    for loop, crawls in taken.items():
        pages, links = crawls[0].summary["pages"], len(crawls[0].links)
        seconds = statistics.median(crawl.summary["seconds"] for crawl in crawls)
        print(f"{loop:<10}{pages:>8,}{links:>10,}{seconds:>10.2f}{pages / seconds:>10,.0f}")
    return good


def time_the_loop() -> bool:
    """Print a few rows of the benchmarks; False if they fail."""
    if importlib.util.find_spec("benchmarks") is None:
        print("\nThe loop alone: the benchmarks are only in the project's own folder.")
        return True
    command = [sys.executable, "-m", "benchmarks", "--quick", "--loops", "miniloop"]
    command += [word for row in LOOP_ROWS for word in ("--only", row)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    heads = [line for line in rows if line.startswith("| benchmark") or line.startswith("| :-")]
    print("\nThe loop alone: asyncio's time, and how many times as fast miniloop is, with the 95 %")
    print(
        "interval of three short rounds (asyncio against itself is the measure of the machine):\n"
    )
    for line in (*heads[:2], *(line for line in rows if line not in heads)):
        print(line)
    if done.returncode:
        print(done.stderr)
    return done.returncode == 0


def record_a_crawl(recording: Path) -> bool:
    """Record the loop of a short crawl and make a page of it; False if that fails."""
    page = recording.with_suffix(".html")
    site = Site(RECORDED_PAGES, plain=True)
    with running(site) as at, tempfile.TemporaryDirectory() as scratch:
        urls, found = Path(scratch, "urls.txt"), Path(scratch, "foundurls.txt")
        site.ordinary(at).write_list(urls)
        crawl = [sys.executable, "-m", "miniloop", "--record", str(recording), "-m", "crawler"]
        crawl += [str(urls), "-o", str(found), "--loop", "miniloop", "--ca-file", at.ca_file]
        show = [sys.executable, "-m", "miniloop.study", "show", str(recording), "-o", str(page)]
        # Only the files of Python can be recorded, also where a compiled build of them lies beside.
        pure = {**os.environ, "MINILOOP_PURE": "1"}
        for command in (crawl, show):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=pure)
            if done.returncode:
                print(f"the recording failed:\n{done.stderr}")
                return False
    print(f"\nA crawl of {RECORDED_PAGES} pages was recorded. Open {page} in a browser: the arrow")
    print("keys step through every decision of the loop, and w tells why it was made. Or in words:")
    print(f"python -m miniloop.study turns {recording}")
    return True


def run_crawler(loop: str, urls: Path | str, found: Path, at: Addresses, *more: str) -> Crawl:
    """Run the command in a process of its own, as a user would."""
    with tempfile.TemporaryDirectory() as scratch:
        summary = Path(scratch, "summary.json")
        command = [sys.executable, "-m", "crawler", str(urls), "-o", str(found), "--loop", loop]
        command += ["--ca-file", at.ca_file, "--summary", str(summary), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not summary.exists():
            raise SystemExit(f"the crawler failed on {loop}:\n{done.stderr}")
        counts = json.loads(summary.read_text(encoding="utf-8"))
    _header, *lines = found.read_text(encoding="utf-8").splitlines()
    return Crawl(counts, [tuple(line.split("\t")) for line in lines])


def compare(crawl: Crawl, expected: Expectation) -> list[str]:
    """Where a crawl differs from what is known of the site, in words; empty if it does not."""
    found = set(crawl.links)
    failures = Counter(crawl.summary["failures"])
    different = []
    if crawl.summary["pages"] != expected.pages:
        different.append(f"{crawl.summary['pages']} pages instead of {expected.pages}")
    if len(found) != len(crawl.links):
        different.append(f"{len(crawl.links) - len(found)} lines stand there twice")
    different += [f"missing: {' -> '.join(link)}" for link in sorted(expected.links - found)[:5]]
    different += [f"not there: {' -> '.join(link)}" for link in sorted(found - expected.links)[:5]]
    if failures != expected.failures:
        different.append(f"failures {dict(failures)} instead of {dict(expected.failures)}")
    if crawl.summary["disallowed"] != expected.disallowed:
        different.append(f"{crawl.summary['disallowed']} left out for robots.txt")
    if crawl.summary["malformed"] != expected.malformed_lines:
        different.append(f"{crawl.summary['malformed']} malformed lines reported")
    return different


if __name__ == "__main__":
    raise SystemExit(main())
