"""A value is read, something is awaited, and what was read is written back."""

import asyncio

from miniloop import testing


class Account:
    def __init__(self, balance: int) -> None:
        self.balance = balance

    async def check(self) -> None:
        """Ask somebody whether the payment is all right."""
        await asyncio.sleep(0.1)

    async def pay_in(self, amount: int) -> None:
        balance = self.balance
        await self.check()
        self.balance = balance + amount  # whatever was paid in meanwhile is lost


class CorrectAccount(Account):
    async def pay_in(self, amount: int) -> None:
        await self.check()
        self.balance += amount  # read and written in one step


async def use(account: Account) -> None:
    async def customer(after: float, amount: int) -> None:
        await asyncio.sleep(after)
        await account.pay_in(amount)

    # Far enough apart, on a machine that is never slow.
    await asyncio.gather(customer(0, 10), customer(0.3, 5))
    assert account.balance == 15


async def test_buggy() -> None:
    await use(Account(0))


async def test_fixed() -> None:
    await use(CorrectAccount(0))


if __name__ == "__main__":
    print(testing.explore(test_fixed))
    testing.explore(test_buggy)
