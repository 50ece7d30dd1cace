"""The real loop, one turn at a time: what waits where, before each turn.

Run it: python docs/tour/3_miniloop_turn_by_turn.py
"""

from __future__ import annotations

import asyncio

import miniloop

loop = miniloop.new_event_loop()


async def main() -> str:
    future = loop.create_future()
    loop.call_soon(future.set_result, "hello")
    return await future


task = loop.create_task(main(), name="main")
for turn in range(1, 10):
    print(f"before turn {turn}: ready {list(loop._ready)}")
    if task.done():
        break
    loop.stop()  # a loop that is told to stop finishes the turn it is in
    loop.run_forever()

print("the task returned", task.result())
assert isinstance(task, asyncio.Task)
loop.close()
