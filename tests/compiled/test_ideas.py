"""A build can do without each idea of the table, and runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ablation.rewrites import build
from miniloop.compiled.rewrites import IDEAS
from tests.compiled.test_build import pytestmark as what_a_build_needs

pytestmark = [*what_a_build_needs, pytest.mark.soak]

PROGRAM = """
import asyncio, miniloop

async def main():
    assert miniloop.COMPILED
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(0.001, future.set_result, 1)
    assert await future == 1
    assert await asyncio.gather(*(asyncio.sleep(0, place) for place in range(9))) == list(range(9))
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("idea", IDEAS)
def test_a_build_without_an_idea_runs(idea: str, tmp_path: Path) -> None:
    folder = build(idea, tmp_path)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(folder), "MINILOOP_PURE": ""},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
