"""A request is sent again because the answer was late, and is carried out twice."""

import asyncio

from miniloop import testing


class Shop:
    """Carries out what is ordered; takes its time to answer."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def order(self, key: str, what: str) -> None:
        await asyncio.sleep(0.2)
        self.orders.append(what)
        await asyncio.sleep(0.2)


class CorrectShop(Shop):
    def __init__(self) -> None:
        super().__init__()
        self.done: set[str] = set()

    async def order(self, key: str, what: str) -> None:
        await asyncio.sleep(0.2)
        if key not in self.done:  # the key of the request says that it is the same one
            self.done.add(key)
            self.orders.append(what)
        await asyncio.sleep(0.2)


async def customer(shop: Shop) -> None:
    for _ in range(3):
        try:
            async with asyncio.timeout(0.5):
                await shop.order("order 1", "a bicycle")
                return
        except TimeoutError:
            continue  # it may have been carried out none the less


async def use(shop: Shop) -> None:
    await customer(shop)
    assert shop.orders == ["a bicycle"]


async def test_buggy() -> None:
    await use(Shop())


async def test_fixed() -> None:
    await use(CorrectShop())


if __name__ == "__main__":
    print(testing.explore(test_fixed))
    testing.explore(test_buggy)
