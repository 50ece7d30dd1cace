"""aiofiles: files through the loop's executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiofiles
import aiofiles.os
import aiofiles.tempfile
import pytest

Run = Callable[..., Any]


def test_lines_appended_by_many_tasks_are_whole(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "found.txt"

    async def append(number: int) -> None:
        async with aiofiles.open(target, "a", encoding="utf-8") as file:
            await file.write("".join(f"{number}\t{link}\n" for link in range(20)))

    async def main() -> None:
        await asyncio.gather(*(append(number) for number in range(50)))

    run(main)
    expected = {f"{number}\t{link}" for number in range(50) for link in range(20)}
    lines = target.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(expected)
    assert set(lines) == expected


def test_a_file_is_read_line_by_line(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "urls.txt"
    source.write_text("one\ntwo\nthree\n", encoding="utf-8")

    async def main() -> list[str]:
        async with aiofiles.open(source, encoding="utf-8") as file:
            return [line.strip() async for line in file]

    assert run(main) == ["one", "two", "three"]


def test_an_error_of_the_file_system_reaches_the_coroutine(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError, match="missing"):
            async with aiofiles.open(tmp_path / "missing"):
                pass
        with pytest.raises(IsADirectoryError):
            await aiofiles.os.unlink(tmp_path)

    run(main)


def test_temporary_files_and_folders_are_gone_afterwards(run: Run) -> None:
    async def main() -> None:
        async with aiofiles.tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            async with aiofiles.open(path, "wb") as file:
                await file.write(b"x" * 1_000_000)
            assert (await aiofiles.os.stat(path)).st_size == 1_000_000
            assert await aiofiles.os.listdir(folder) == ["a"]
        assert not await aiofiles.os.path.exists(folder)

    run(main)
