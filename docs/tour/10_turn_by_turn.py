"""A real loop, one turn at a time: what is ready and what is due, before each turn.

python3 docs/tour/10_turn_by_turn.py                    asyncio's loop
python3 -m miniloop docs/tour/10_turn_by_turn.py        this one
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

loop: Any = asyncio.new_event_loop()


def short(entry: Any) -> str:
    """`<Handle f() at x.py:3>` without the place; a task by its name."""
    if isinstance(entry, asyncio.Task):
        return f"Task {entry.get_name()}"
    return " ".join(repr(entry).split(" at 0x")[0].split(" at /")[0].strip("<>").split())[:60]


async def child() -> str:
    await asyncio.sleep(0.01)
    return "hello"


async def main() -> str:
    answer = loop.create_future()
    loop.call_soon(answer.set_result, await asyncio.create_task(child(), name="child"))
    return str(await answer)


task = loop.create_task(main(), name="main")
turn = 0
while not task.done():
    turn += 1
    print(f"turn {turn}:")
    for entry in loop._ready:  # private, in asyncio too, and here only to be looked at
        print("   ready", short(entry))
    if not loop._ready:
        deadline = loop._scheduled[0].when()
        print("   nothing is ready; one timer: sleep until it is due")
        time.sleep(max(0.0, deadline - loop.time()))  # phase 1, which `stop` leaves out
    loop.stop()  # a loop that was told to stop finishes the turn that it begins
    loop.run_forever()

print("main returned", task.result())
loop.close()
