"""Ctrl-C, with and without a Runner; a signal as an event; and the end of a child process.

python3 docs/tour/09_signals.py
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading


def press_ctrl_c() -> None:
    """In a moment, from outside: the loop is asleep in the kernel by then."""
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()


async def work() -> None:
    press_ctrl_c()
    try:
        await asyncio.sleep(10)
    finally:
        await asyncio.sleep(0.01)  # a farewell to the other side, say: it needs the loop
        print("  tidied up")


print("asyncio.run, which has a Runner:")
try:
    asyncio.run(work())
except KeyboardInterrupt:
    print("  KeyboardInterrupt, after everybody has ended")

print("run_until_complete, without one:")
loop = asyncio.new_event_loop()
task = loop.create_task(work())
try:
    loop.run_until_complete(task)
except KeyboardInterrupt:
    print("  KeyboardInterrupt, at once. Is the task done?", task.done())
task.cancel()  # the loop is in order: it may go on
loop.run_until_complete(asyncio.wait([task]))
loop.close()


async def main() -> None:
    pressed = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, pressed.set)
    press_ctrl_c()
    await pressed.wait()
    print("  an event like any other: nothing was interrupted")

    print("a child process:")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print('ready', flush=True); input()", stdin=-1, stdout=-1
    )
    assert child.stdout is not None
    print("  it says", (await child.stdout.readline()).decode().strip())
    child.terminate()
    print("  ended by signal", signal.Signals(-await child.wait()).name)


print("add_signal_handler:")
asyncio.run(main())
