"""Files to send: one that the kernel reads, and one of which it knows nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.net.sending_files import DATA, InMemory


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A file of two megabytes."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as opened:
        yield opened


FILES: dict[str, Callable[[BinaryIO], Any]] = {
    "kernel": lambda file: file,
    "blocks": lambda file: InMemory(file.read()),
}


@pytest.fixture(params=FILES.values(), ids=FILES.keys())
def source(request: pytest.FixtureRequest, file: BinaryIO) -> Any:
    """The same content as a file that the kernel can read, and as one that it cannot."""
    made = request.param(file)
    made.seek(0)
    return made
