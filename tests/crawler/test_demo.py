"""The demo: the site is what it says it is, and a difference does not go unnoticed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from crawler.demo.__main__ import Crawl, compare
from crawler.demo.launch import running
from crawler.demo.pages import KINDS, page
from crawler.demo.site import Addresses, Site

ROOT = Path(__file__).parents[2]


def test_the_site_is_the_same_every_time() -> None:
    first = [page(number, 144).answer() for number in range(144)]
    second = [page(number, 144).answer() for number in range(144)]
    assert first == second


def test_the_pages_take_turns_in_being_difficult() -> None:
    assert {page(number, 144).kind for number in range(144)} == set(KINDS)
    assert {page(number, 144, plain=True).kind.name for number in range(144)} == {"plain"}


def test_every_kind_of_failure_is_on_show(site: Site, at: Addresses) -> None:
    assert site.everything(at).failures == {
        "redirect": 4,
        "status": 2,
        "connection lost": 2,
        "too large": 2,
        "timeout": 2,
        "not HTML": 1,
        "protocol": 1,
        "content encoding": 1,
        "TLS": 1,
        "refused": 1,
        "DNS": 1,
    }


def crawl_of(site: Site, at: Addresses) -> Crawl:
    """A crawl that found just what there is."""
    expected = site.everything(at)
    summary = {
        "pages": expected.pages,
        "failures": dict(expected.failures),
        "malformed": expected.malformed_lines,
        "disallowed": 0,
    }
    return Crawl(summary, sorted(expected.links))


def test_a_crawl_that_found_all_there_is_does_not_differ(site: Site, at: Addresses) -> None:
    assert compare(crawl_of(site, at), site.everything(at)) == []


@pytest.mark.parametrize(
    "change", ["missing", "not there", "twice", "pages", "failures", "lines", "robots"]
)
def test_any_difference_is_noticed(site: Site, at: Addresses, change: str) -> None:
    crawl = crawl_of(site, at)
    match change:
        case "missing":
            del crawl.links[7]
        case "not there":
            crawl.links.append((f"{at.http}/page/1", "http://nowhere/"))
        case "twice":
            crawl.links.append(crawl.links[0])
        case "pages":
            crawl.summary["pages"] -= 1
        case "failures":
            crawl.summary["failures"] = Counter(crawl.summary["failures"]) + Counter(status=1)
        case "robots":
            crawl.summary["disallowed"] = 1
        case "lines":
            crawl.summary["malformed"] = 0
    assert len(compare(crawl, site.everything(at))) == 1


def test_the_site_stops_when_whoever_started_it_is_gone() -> None:
    with running(Site(1)) as at:
        port = at.http.rpartition(":")[2]
        assert port.isdigit()
    # running() waits for the process, which would otherwise have raised TimeoutExpired.


def test_the_site_writes_its_addresses_to_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crawler.demo.site", "--with-parent", "--pages", "3"]
    command += ["--port-file", str(tmp_path / "at.json"), "--ca-file", str(tmp_path / "ca.pem")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert json.loads((tmp_path / "at.json").read_text()) == json.loads(line)
    assert (tmp_path / "ca.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.timeout(120)
def test_the_demonstration_finds_the_same_on_both_loops(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crawler.demo", "--rounds", "1", "--pages", "100"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.count("all as it should be") == 2
    assert done.stdout.count("left out: as it should be") == 2
    assert "The loops found the same links; they are in foundurls.txt." in done.stdout
    crawls, of_the_loop = done.stdout.partition("loop      ")[2].split("\n\n", 1)
    table = f"loop      {crawls}".splitlines()
    assert table[0].split() == ["loop", "pages", "links", "seconds", "pages/s"]
    assert [row.split()[0] for row in table[1:]] == ["miniloop", "asyncio"]
    assert len({tuple(row.split()[1:3]) for row in table[1:]}) == 1
    assert (tmp_path / "foundurls.txt").read_text().startswith("source_url\tparsed_url\n")
    assert (tmp_path / "urls.txt").exists()
    rows = [line for line in of_the_loop.splitlines() if line.startswith("| ")]
    assert len(rows) == 6
    assert all(re.search(r"\(\d+\.\d+-\d+\.\d+\)", row) for row in rows[2:]), "with its spread"
    assert "Open demo.html in a browser" in of_the_loop
    assert (tmp_path / "demo.html").stat().st_size > 100_000
    assert (tmp_path / "demo.miniloop").exists()
