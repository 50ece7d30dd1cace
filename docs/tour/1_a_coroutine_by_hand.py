"""What `await` does, without a loop: somebody sends, something comes out.

Run it: python docs/tour/1_a_coroutine_by_hand.py
"""

from __future__ import annotations

from collections.abc import Generator


class Promise:
    """The least thing that can be awaited: it hands itself out, and waits to be answered."""

    answer = ""

    def __await__(self) -> Generator[Promise, None, str]:
        yield self  # goes up through every `await`, to whoever called send()
        return self.answer


async def inner(promise: Promise) -> str:
    return "the answer is " + await promise


async def outer(promise: Promise) -> str:
    return (await inner(promise)).upper()


promise = Promise()
coroutine = outer(promise)

handed_out = coroutine.send(None)  # runs until something is not there yet
assert handed_out is promise
print("the coroutine stopped, and handed out the promise it waits for")

promise.answer = "42"
try:
    coroutine.send(None)  # goes on from there
except StopIteration as stop:
    print("the coroutine returned:", stop.value)
