"""The clock of a connection, on each loop."""

from __future__ import annotations

import asyncio

import pytest

from crawler.http import URL, ReadTimeout, TotalTimeout, WriteTimeout
from crawler.http.deadline import Deadline
from crawler.loops import loop_factory

HERE = URL("http://a/")


@pytest.mark.parametrize("name", ["miniloop", "asyncio", "uvloop"])
def test_a_deadline_that_has_passed_already_may_be_moved(name: str) -> None:
    if name == "uvloop":
        pytest.importorskip("uvloop")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        aborted = asyncio.Event()
        clock = Deadline(aborted.set, 5.0, 5.0)
        clock.total = loop.time() - 1
        clock.move(5.0)
        clock.move(5.0)
        clock.move(0.0)
        clock.busy = True
        async with asyncio.timeout(20):
            await aborted.wait()
        assert clock.expired
        assert isinstance(clock.error(HERE, writing=False), TotalTimeout)
        clock.cancel()

    with asyncio.Runner(loop_factory=loop_factory(name)) as runner:
        runner.run(main())


@pytest.mark.parametrize(("writing", "kind"), [(True, WriteTimeout), (False, ReadTimeout)])
def test_the_limit_that_passed_is_told(writing: bool, kind: type[Exception]) -> None:
    async def main() -> None:
        aborted = asyncio.Event()
        clock = Deadline(aborted.set, 5.0, 5.0)
        clock.busy = True
        clock.total = asyncio.get_running_loop().time() + 1000
        clock.move(0.01)
        async with asyncio.timeout(20):
            await aborted.wait()
        assert type(clock.error(HERE, writing=writing)) is kind

    asyncio.run(main())
