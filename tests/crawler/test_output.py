"""The file of links: whole lines, whole pages, few writes, and a bounded memory."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crawler.output import GATHER_BYTES, HEADER, HIGH_WATER, Output
from crawler.output import file as file_module

Run = Callable[..., Any]


def test_each_link_stands_on_a_line_with_its_source_below_the_header(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "found.txt"

    async def main() -> None:
        async with Output(path) as output:
            await output.add("http://a/", ["http://x/", "http://y/"])
            await output.add("http://nothing/", [])
            await output.add("http://b/", ["http://z/"])

    run(main)
    assert path.read_text() == (
        "source_url\tparsed_url\nhttp://a/\thttp://x/\nhttp://a/\thttp://y/\nhttp://b/\thttp://z/\n"
    )


def test_a_crawl_without_links_leaves_the_header_alone(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Output(tmp_path / "found.txt"):
            pass

    run(main)
    assert (tmp_path / "found.txt").read_text() == HEADER


def test_what_an_earlier_crawl_left_is_replaced(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "found.txt"
    path.write_text("old\n" * 1000)

    async def main() -> None:
        async with Output(path) as output:
            await output.add("a", ["b"])

    run(main)
    assert path.read_text() == HEADER + "a\tb\n"


def test_lines_are_in_the_file_soon_after_they_were_added(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "found.txt"

    async def main() -> None:
        async with Output(path) as output:
            await output.add("a", ["b"])
            while path.stat().st_size == len(HEADER):
                await asyncio.sleep(0.01)
            assert path.read_text() == HEADER + "a\tb\n"

    run(main)


def test_pages_gather_into_few_writes_of_whole_pages(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    real = file_module.File.write

    async def recording(self: file_module.File, blocks: Sequence[bytes]) -> None:
        writes.append(b"".join(blocks))
        await real(self, blocks)

    monkeypatch.setattr(file_module.File, "write", recording)
    links = [f"http://x/{number}" for number in range(50)]

    async def main() -> None:
        async with Output(tmp_path / "found.txt") as output:
            for number in range(1000):
                await output.add(f"http://a/{number}", links)
                if number % 10 == 0:
                    await asyncio.sleep(0)

    run(main)
    written = b"".join(writes)
    assert written == (tmp_path / "found.txt").read_bytes()
    assert len(writes) < 5 + len(written) / GATHER_BYTES
    for data in writes[1:]:
        first, last = data.splitlines()[0], data.splitlines()[-1]
        assert first.endswith(b"\thttp://x/0")
        assert last.endswith(b"\thttp://x/49")


def test_one_more_page_waits_while_the_disk_is_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = ["x" * 100_000]

    async def main() -> None:
        disk = asyncio.Event()
        real = file_module.File.write

        async def slow(self: file_module.File, blocks: Sequence[bytes]) -> None:
            await disk.wait()
            await real(self, blocks)

        async with Output(tmp_path / "found.txt") as output:
            monkeypatch.setattr(file_module.File, "write", slow)
            added = 0

            async def produce() -> None:
                nonlocal added
                for _ in range(100):
                    await output.add("a", block)
                    added += 1

            producer = asyncio.create_task(produce())
            for _ in range(300):
                await asyncio.sleep(0)
            assert not producer.done()
            # What the writer has in hand, and what may gather meanwhile.
            assert added * 100_000 <= 2 * HIGH_WATER + 100_000
            disk.set()
            await producer
        assert added == 100

    run(main)
    assert (tmp_path / "found.txt").stat().st_size == len(HEADER) + 100 * 100_003


def test_all_that_was_added_is_written_when_the_block_is_left_by_cancellation(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "found.txt"

    async def main() -> None:
        started = asyncio.Event()

        async def crawl() -> None:
            async with Output(path) as output:
                for number in range(100):
                    await output.add("a", [f"{number}"])
                started.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(crawl())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert len(path.read_text().splitlines()) == 101


def test_a_file_that_cannot_be_opened_is_an_os_error(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Output(tmp_path / "no-such-directory" / "found.txt"):
            pass

    with pytest.raises(FileNotFoundError):
        run(main)


@pytest.fixture
def small_disk() -> Any:
    """No file may grow beyond 200,000 bytes: writing more fails with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_stops_those_who_add(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Output(tmp_path / "found.txt") as output:
            while True:
                await output.add("a", ["x" * 1000] * 20)
                await asyncio.sleep(0)

    with pytest.raises(OSError, match="File too large"):
        run(main)


def test_a_write_that_is_cut_short_is_continued(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "found.txt"

    class Stingy:
        def __init__(self, real: Any) -> None:
            self._real = real

        async def write(self, data: memoryview) -> int:
            count: int = await self._real.write(data[:7])
            return count

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    real_open = file_module.aiofiles.open

    async def opening(*args: Any, **options: Any) -> Any:
        return Stingy(await real_open(*args, **options))

    monkeypatch.setattr(file_module.aiofiles, "open", opening)

    async def main() -> None:
        async with Output(path) as output:
            await output.add("source", ["one", "two"])

    run(main)
    assert path.read_text() == HEADER + "source\tone\nsource\ttwo\n"


def test_two_crawls_into_one_file_mix_no_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "found.txt"

    async def main() -> None:
        async with Output(path) as one, Output(path) as other:
            for number in range(2000):
                await one.add("one", [f"{number}"] * 3)
                await other.add("other", [f"{number}"] * 3)
                await asyncio.sleep(0)

    run(main)
    lines = path.read_text().splitlines()
    assert {line.count("\t") for line in lines} == {1}
    assert os.path.getsize(path) == sum(len(line) + 1 for line in lines)
