"""The clock: the interpreter's own, whatever a program has put into the `time` module."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

from miniloop.kernel.clock import monotonic


def test_it_is_the_system_s_monotonic_clock() -> None:
    before = time.monotonic()
    now = monotonic()
    assert before <= now <= time.monotonic()


def test_a_loop_first_imported_while_time_is_frozen_goes_by_the_real_clock() -> None:
    # As freezegun does: functions of its own take the place of those of the module.
    program = """
        import time
        real = time.monotonic
        time.monotonic = lambda: 12345.0
        time.time = lambda: 12345.0
        import asyncio, miniloop

        async def main():
            started = real()
            await asyncio.sleep(0.02)
            async with asyncio.timeout(0.01) as limit:
                try:
                    await asyncio.sleep(3600)
                finally:
                    print(real() - started >= 0.03)

        try:
            miniloop.run(main())
        except TimeoutError:
            print("timed out")
        time.monotonic = real
        print(abs(miniloop.new_event_loop().time() - real()) < 1)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert ended.stdout.split("\n") == ["True", "timed out", "True", ""]
