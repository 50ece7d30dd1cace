"""Two writes belong together, and a cancellation comes between them."""

import asyncio

from miniloop import testing

CANCEL = "transfer"  # the name of the task that is cancelled, at each of its awaits


class Bank:
    def __init__(self) -> None:
        self.accounts = {"here": 100, "there": 0}

    async def write(self, account: str, amount: int) -> None:
        await asyncio.sleep(0.05)
        self.accounts[account] += amount

    async def transfer(self, amount: int) -> None:
        await self.write("here", -amount)
        await self.write("there", amount)  # a timeout around us may strike before


class CorrectBank(Bank):
    async def transfer(self, amount: int) -> None:
        both = asyncio.ensure_future(super().transfer(amount))
        try:
            await asyncio.shield(both)
        except asyncio.CancelledError:
            await both  # what was begun is brought to an end
            raise


async def use(bank: Bank) -> None:
    task = asyncio.create_task(bank.transfer(30), name="transfer")
    await asyncio.wait([task])
    assert sum(bank.accounts.values()) == 100


async def test_buggy() -> None:
    await use(Bank())


async def test_fixed() -> None:
    await use(CorrectBank())


if __name__ == "__main__":
    print(testing.explore(test_fixed, cancel=CANCEL))
    testing.explore(test_buggy, cancel=CANCEL)
