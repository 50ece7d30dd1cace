"""How a benchmark has the far end do its part, while the loop under test goes on running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.job import Job
from benchmarks.peers.control import FarEnd

__all__ = ["Ordered", "crowd", "echo_details", "exchange", "order", "server", "site"]


class Ordered:
    """One order to the far end, in the two steps between which a server must be ready.

    Both block, for the control connection is an ordinary socket. `order` waits for them in a
    thread, so that nothing of it is registered with the loop under test.
    """

    def __init__(self, job: Job, name: str, details: dict[str, Any]) -> None:
        self._job = job
        self._far_end = FarEnd(job.far_end)
        try:
            self.answer = self._far_end.prepare(name, job.far_end_processor, **details)
        except BaseException:
            self._far_end.close()
            raise

    def carry_out(self) -> dict[str, Any]:
        """Let it be done, note the time that the far end took, and return its report."""
        cpu = time.process_time()
        report = self._far_end.go()
        cpu = time.process_time() - cpu
        self._job.record(report["seconds"], cpu=cpu, far_end_cpu=report["cpu"])
        return report

    def serve(self) -> dict[str, Any]:
        """Let it be done by a far end that is the server: the benchmark itself takes the time."""
        report = self._far_end.go()
        self._job.note_far_end(report["cpu"])
        return report

    def close(self) -> None:
        """Have the far end close what it opened."""
        self._far_end.close()


async def order(job: Job, name: str, **details: Any) -> dict[str, Any]:
    """Have the far end carry out one order as a client, and return its report."""
    loop = asyncio.get_running_loop()
    ordered = await loop.run_in_executor(None, Ordered, job, name, details)
    try:
        return await loop.run_in_executor(None, ordered.carry_out)
    finally:
        ordered.close()


@asynccontextmanager
async def server(job: Job, name: str, **details: Any) -> AsyncIterator[dict[str, Any]]:
    """Have the far end be a server for `job.n` operations; yields its answer, with its address."""
    loop = asyncio.get_running_loop()
    ordered = await loop.run_in_executor(None, Ordered, job, name, {"times": job.n, **details})
    try:
        served = loop.run_in_executor(None, ordered.serve)
        yield ordered.answer
        await served
    finally:
        ordered.close()


@asynccontextmanager
async def crowd(job: Job, address: Any, connections: int) -> AsyncIterator[None]:
    """Have the far end hold so many idle connections to `address` for the ``with``."""
    loop = asyncio.get_running_loop()
    details = {"address": address, "connections": connections}
    ordered = await loop.run_in_executor(None, Ordered, job, "crowd", details)
    try:
        yield
    finally:
        ordered.close()


@asynccontextmanager
async def site(job: Job, pages: int) -> AsyncIterator[dict[str, Any]]:
    """The demo site with so many pages, in a process that the far end keeps for all who ask.

    Yields where its list of URLs is ("urls") and how many links it holds ("links").
    """
    loop = asyncio.get_running_loop()
    ordered = await loop.run_in_executor(None, Ordered, job, "site", {"pages": pages})
    try:
        yield ordered.answer
        await loop.run_in_executor(None, ordered.serve)
    finally:
        ordered.close()


def echo_details(job: Job, family: str, address: Any) -> dict[str, Any]:
    """The order for the far end to exchange `job.n` messages with an echo server at `address`."""
    return {
        "family": family,
        "address": address,
        "size": job.size,
        "connections": job.connections,
        "messages": job.n,
    }


async def exchange(job: Job, family: str, address: Any) -> None:
    """Have the far end exchange `job.n` messages with the echo server at `address`."""
    await order(job, "echo_client", **echo_details(job, family, address))
