"""Files of several workers made one, where they are no lines of text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.crawl import crawl
from crawler.merging import merge
from crawler.output import format_for
from tests.crawler.scripted import anchors, pages, serving
from tests.crawler.test_crawl import Notes
from tests.crawler.test_database import rows
from tests.crawler.test_warc import check as check_archive
from tests.crawler.test_warc import client_for, records


@pytest.mark.parametrize("ending", ["db", "warc.gz", "warc"])
def test_databases_and_archives_of_workers_are_merged_with_each_page_once(
    run: Callable[..., Any], tmp_path: Path, ending: str
) -> None:
    form = format_for(tmp_path / f"all.{ending}")
    parts: list[tuple[Path, int]] = []
    answers = {f"/{name}": anchors("/x", "/y") for name in "abc"}

    async def main() -> None:
        with serving(pages(answers)) as server:
            for number, paths in enumerate(["ab", "bc", "c"]):
                part = tmp_path / f"{number}.{ending}"
                urls = [f"{server.url}/{path}" for path in paths]
                async with client_for() as client:
                    await crawl(urls, part, client, Notes(), concurrency=1, form=form)
                parts.append((part, len(paths) if form.name == "sqlite" else part.stat().st_size))

    run(main)
    # The last part is longer than what counts of it: that page is not done.
    if form.name == "sqlite":
        parts[1] = (parts[1][0], 1)
    whole = tmp_path / f"all.{ending}"
    assert merge(parts, whole, form.name) == 3
    if form.name == "sqlite":
        query = "select substr(source_url, -2), substr(parsed_url, -2) from found order by 1, 2"
        assert rows(whole, query) == [(f"/{page}", f"/{link}") for page in "abc" for link in "xy"]
        assert rows(whole, "select group_concat(id) from pages") == [("1,2,3",)]
        with pytest.raises(OSError, match="has 1 pages, and the state says 9"):
            merge([(parts[2][0], 9)], whole, "sqlite")
        return
    check_archive(whole)
    found = records(whole)
    assert [(each.kind, each.url[-2:]) for each in found if each.kind != "warcinfo"] == [
        (kind, f"/{page}") for page in "abc" for kind in ("response", "request")
    ]
    assert whole.read_bytes().startswith(b"WARC/" if ending == "warc" else b"\x1f\x8b")
    with pytest.raises(OSError, match="ends within a record"):
        merge([(parts[0][0], parts[0][1] - 3)], whole, "warc")
