"""How a benchmark has the far end do its part, while the loop under test goes on running."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.job import Job
from benchmarks.peers.control import FarEnd

__all__ = ["drive", "order"]


async def order(job: Job, name: str, **details: Any) -> dict[str, Any]:
    """Have the far end carry out one order, note the time that it took, and return its report.

    The control connection is blocking and is waited for in a thread of the executor, so that
    nothing of it is registered with the loop under test.
    """
    loop = asyncio.get_running_loop()
    far_end = await loop.run_in_executor(None, FarEnd, job.far_end)
    try:
        await loop.run_in_executor(None, lambda: far_end.prepare(name, **details))
        cpu = time.process_time()
        report = await loop.run_in_executor(None, far_end.go)
        cpu = time.process_time() - cpu
    finally:
        far_end.close()
    job.record(report["seconds"], cpu=cpu, far_end_cpu=report["cpu"])
    return report


async def drive(job: Job, family: str, address: Any) -> dict[str, Any]:
    """Have the far end exchange `job.n` messages with the echo server at `address`."""
    return await order(
        job,
        "echo_client",
        family=family,
        address=address,
        size=job.size,
        connections=job.connections,
        messages=job.n,
    )
