"""Memory: what malloc is asked to keep, and what a crawl needs however long its list is."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.demo.launch import running
from crawler.demo.site import Site
from crawler.frontier import Frontier, Scope

ROOT = Path(__file__).parents[2]

CRAWL = """
import json, resource, sys
from crawler.cli import main
before = resource.getrusage(resource.RUSAGE_SELF)
code = main(sys.argv[1:])
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, after.ru_minflt - before.ru_minflt, after.ru_maxrss]))
"""


def crawl(tmp_path: Path, origin: str, pages: int, repeat: int) -> tuple[int, int]:
    """Page faults and the most memory, in KiB, of a crawl in a process of its own."""
    urls = [f"{origin}/page/{number}" for number in range(pages)] * repeat
    (tmp_path / "urls.txt").write_text("\n".join(urls))
    done = subprocess.run(
        [sys.executable, "-c", CRAWL, "urls.txt", "--concurrency", "20"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    code, faults, memory = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return faults, memory


@pytest.mark.timeout(120)
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc, other habits")
def test_neither_memory_nor_page_faults_grow_with_the_list(tmp_path: Path) -> None:
    site = Site(500, plain=True)
    with running(site) as at:
        few_faults, few_memory = crawl(tmp_path, at.http, site.pages, 1)
        many_faults, many_memory = crawl(tmp_path, at.http, site.pages, 9)
    # It is 30 faults for each page if the heap is given back after each.
    assert many_faults - few_faults < 5 * 8 * site.pages
    assert many_memory < few_memory + 12 * 1024


def test_a_million_urls_fit_into_a_gibibyte(run: Callable[..., Any]) -> None:
    async def main() -> float:
        urls, pages = 40_000, 2_000
        async with Frontier(["http://example.com/"], pytest.fail, scope=Scope(depth=9)) as frontier:
            job = await frontier.next()
            tracemalloc.start()
            try:
                for page in range(pages):
                    assert job is not None
                    numbers = range(page * urls // pages, (page + 1) * urls // pages)
                    frontier.found(
                        job,
                        [
                            f"http://host-{n % 500}.example/a/path/as/they/are?page={n}"
                            for n in numbers
                        ],
                    )
                    job = await frontier.next(job)
                return tracemalloc.get_traced_memory()[0] / urls
            finally:
                tracemalloc.stop()

    assert run(main) < 400  # bytes; a gibibyte has 1,074 for each of a million
