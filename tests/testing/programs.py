"""Small programs with a fault that some schedule shows."""

from __future__ import annotations

import asyncio


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def lost_update() -> None:
    """Two read, and then two write; FIFO keeps them apart."""
    state = {"n": 0}

    async def increment(after: int) -> None:
        await turns(after)
        value = state["n"]
        await asyncio.sleep(0)
        state["n"] = value + 1

    await asyncio.gather(increment(0), increment(6), *(turns(10) for _ in range(4)))
    assert state["n"] == 2


async def late_timer() -> None:
    """The later timer is first if a step is slow, and nothing else is unusual."""
    order = []

    async def first() -> None:
        await asyncio.sleep(0.1)
        await asyncio.sleep(0)
        order.append("first")

    async def second() -> None:
        await asyncio.sleep(0.15)
        order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


async def missed_event() -> None:
    """Waits for an event that was set and cleared before."""
    event = asyncio.Event()

    async def pulse() -> None:
        await turns(3)
        event.set()
        await asyncio.sleep(0)
        event.clear()

    async def wait() -> None:
        await turns(2)
        await event.wait()

    await asyncio.gather(wait(), pulse())


async def half_a_transfer() -> None:
    """Cancelled between two writes."""
    accounts = {"left": 5, "right": 5}

    async def transfer() -> None:
        accounts["left"] -= 1
        await asyncio.sleep(0.1)
        accounts["right"] += 1

    await asyncio.wait([asyncio.create_task(transfer(), name="transfer")])
    assert sum(accounts.values()) == 10


async def unseen_failure() -> None:
    """A task fails, in one order only, and nobody looks."""
    flag = []

    async def careless() -> None:
        await turns(2)
        if flag:
            raise KeyError("flag")

    asyncio.create_task(careless())
    await turns(3)
    flag.append(1)


async def correct() -> int:
    """Right in every order."""
    lock = asyncio.Lock()
    state = {"n": 0}

    async def increment() -> None:
        async with lock:
            value = state["n"]
            await asyncio.sleep(0)
            state["n"] = value + 1

    await asyncio.gather(*(increment() for _ in range(3)))
    return state["n"]
