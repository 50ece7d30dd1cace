"""A program of yours on asyncio's loop and on miniloop, side by side.

    async def main(note):
        reader, writer = await asyncio.open_connection(...)
        note("received", await reader.read())

    for difference in compare_loops(main):
        print(difference)

What is compared is what the program notes, the result or exception it ends with, and what the
loops' exception handlers are told. miniloop's own tests do the same with random programs. The
intended differences are listed in docs/differences.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from miniloop.loop import new_event_loop

__all__ = ["Difference", "compare_loops"]


@dataclass(frozen=True)
class Difference:
    """The first or a later note in which the two differ; None stands for "nothing more"."""

    number: int
    asyncio: Any
    miniloop: Any

    def __str__(self) -> str:
        return f"note {self.number}: asyncio {self.asyncio!r}, miniloop {self.miniloop!r}"


def compare_loops(
    main: Callable[[Callable[..., None]], Coroutine[Any, Any, Any]],
    *,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = new_event_loop,
    reference: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> list[Difference]:
    """Run `main(note)` on both loops. An empty list says that nothing differs.

    `note` takes what you want compared, in plain values.
    """
    expected, found = _told(main, reference), _told(main, new_loop)
    return [
        Difference(number, left, right)
        for number, (left, right) in enumerate(zip_longest(expected, found))
        if left != right
    ]


def _told(
    main: Callable[[Callable[..., None]], Coroutine[Any, Any, Any]],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> list[Any]:
    told: list[Any] = []

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(("handler", context.get("message"), repr(context.get("exception"))))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.get_loop().set_exception_handler(handler)
        try:
            result = runner.run(main(lambda *what: told.append(what)))
        except Exception as exc:
            told.append(("raised", repr(exc)))
        else:
            told.append(("returned", result))
    return told
