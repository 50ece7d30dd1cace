"""Databases and archives of crawls that were killed: nothing lost, nothing twice, all readable."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from crawler.demo.site import Addresses, Site
from tests.crawler.test_cli import ROOT, command
from tests.crawler.test_database import rows
from tests.crawler.test_warc import check, records


def crawl_with_kills(tmp_path: Path, at: Addresses, output: str, loop: str) -> None:
    """Crawl the demo site, and kill the crawl at a few random moments."""
    arguments = [
        f"{at.http}/page/0", "--depth", "9", "--allow", f"^{at.http}/", "--state", "state",
        "--resume", "-o", output, "--loop", loop, "--per-host", "2",
    ]  # fmt: skip
    randomly = random.Random(output)
    kills = 0
    while True:
        process = subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        # Not before it has begun, and then some time between two failures that it reports.
        lines = randomly.randrange(1, 60) if kills < 4 else 1 << 30
        for _, _line in zip(range(lines), process.stderr, strict=False):
            pass
        process.kill()
        code = process.wait()
        process.stderr.close()
        if code >= 0:
            assert code == 1  # some pages of the site are missing
            break
        kills += 1
    assert kills > 1


@pytest.mark.timeout(120)
def test_a_database(tmp_path: Path, site: Site, at: Addresses) -> None:
    crawl_with_kills(tmp_path, at, "pages.db", "miniloop")
    links = rows(tmp_path / "pages.db", "select * from found")
    assert len(links) == len(set(links))
    assert set(links) == site.within(at, 9).links
    assert rows(tmp_path / "pages.db", "pragma integrity_check") == [("ok",)]
    assert {each.name for each in tmp_path.iterdir()} == {"pages.db", "state"}


@pytest.mark.timeout(120)
def test_an_archive(tmp_path: Path, site: Site, at: Addresses) -> None:
    crawl_with_kills(tmp_path, at, "pages.warc.gz", "asyncio")
    path = tmp_path / "pages.warc.gz"
    check(path)
    found = records(path)
    kinds = Counter(each.kind for each in found)
    expected = site.within(at, 9)
    replies = Counter(each.url for each in found if each.kind == "response")
    assert max(replies.values()) == 1
    assert len(replies) == expected.pages + expected.failures["status"]
    assert kinds == {"warcinfo": 1, "response": len(replies), "request": len(replies)}
