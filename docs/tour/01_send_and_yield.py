"""What `await` does, without a loop: somebody sends, and something comes out.

python3 docs/tour/01_send_and_yield.py
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Generator


class Promise:
    """The least thing that can be awaited: it hands itself out, and waits to be answered."""

    answer = ""

    def __await__(self) -> Generator[Promise, None, str]:
        yield self  # goes up through every `await`, to whoever called send()
        return self.answer


async def inner(promise: Awaitable[str]) -> str:
    return "the answer is " + await promise


async def outer(promise: Awaitable[str]) -> str:
    return (await inner(promise)).upper()


promise = Promise()
coroutine = outer(promise)  # nothing has run yet
handed_out = coroutine.send(None)  # runs until something is not there yet
print("1. it stopped, and handed out our promise:", handed_out is promise)

promise.answer = "42"
try:
    coroutine.send(None)  # goes on behind the `yield`
except StopIteration as stop:
    print("2. it returned:", stop.value)

coroutine = outer(Promise())
coroutine.send(None)
try:
    coroutine.throw(TimeoutError("nobody answered"))  # raised at the `yield`
except TimeoutError as error:
    print("3. it failed with what was thrown in:", error)


@types.coroutine
def ask(question: str) -> Generator[str, str, str]:  # a coroutine made of a generator
    answer = yield question  # what is sent in is what `yield` gives
    return answer.title()


async def talk() -> str:
    return f"{await ask('name?')} of {await ask('town?')}"


talking = talk()
print("4. it asks:", talking.send(None), talking.send("ada"))
talking.close()  # raises GeneratorExit at the `yield`: how an abandoned coroutine ends


async def main() -> str:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, "42")
    return await outer(future)  # a future hands itself out too; the task is who sends


print("5. driven by a task:", asyncio.run(main()))
