"""Somebody waits for an event that has been set and cleared already."""

import asyncio

from miniloop import testing


class Door:
    def __init__(self) -> None:
        self.rung = asyncio.Event()

    async def ring(self) -> None:
        self.rung.set()
        await asyncio.sleep(0)
        self.rung.clear()  # whoever comes only now waits for ever

    async def answer(self) -> str:
        await self.rung.wait()
        return "who is there?"


class CorrectDoor(Door):
    def __init__(self) -> None:
        super().__init__()
        self.rings: asyncio.Queue[None] = asyncio.Queue()

    async def ring(self) -> None:
        await self.rings.put(None)  # stays until somebody takes it

    async def answer(self) -> str:
        await self.rings.get()
        return "who is there?"


async def use(door: Door) -> str:
    async def resident() -> str:
        await asyncio.sleep(0.1)  # comes down the stairs
        return await door.answer()

    async def guest() -> None:
        await asyncio.sleep(0.2)
        await door.ring()

    answer, _ = await asyncio.gather(resident(), guest())
    return answer


async def test_buggy() -> None:
    assert await use(Door()) == "who is there?"


async def test_fixed() -> None:
    assert await use(CorrectDoor()) == "who is there?"


if __name__ == "__main__":
    print(testing.explore(test_fixed))
    testing.explore(test_buggy)
