"""What is known while a report is made: who holds what, when timers are due, names of things.

`Wait` is what is found out about a task that waits, `Scene` has the facts needed for that, and
`Names` has the names that the frames of one task give to the things that it waits for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from miniloop.study.awaiting import Link, attributes_of, is_of_the_program
from miniloop.study.holding import Hold

__all__ = ["Holder", "Names", "Scene", "Wait"]


@dataclass(frozen=True)
class Holder:
    """A task that holds what another one waits for."""

    task: Any
    hold: Hold


@dataclass(frozen=True)
class Wait:
    """What ends a wait: the tasks `on`, all of them (`every`) or any; or something `outside`.

    `due` is when it ends by itself, and `began` when it began, both on the loop's clock, where that
    is known.
    """

    what: str
    on: tuple[Any, ...] = ()
    every: bool = True
    outside: bool = False
    holders: tuple[Holder, ...] = ()
    due: float | None = None
    began: float | None = None
    note: str = ""


@dataclass
class Scene:
    """The state of a loop at the moment of the report. `now` is its time."""

    now: float
    names: dict[Any, str]  # of the tasks, no two alike
    holds: dict[Any, list[Hold]] = field(default_factory=dict)
    timers: dict[int, float] = field(default_factory=dict)  # by the id of the future
    descriptors: dict[int, str] = field(default_factory=dict)  # likewise
    given_up: dict[Any, list[Any]] = field(default_factory=dict)  # locks, in Condition.wait
    # What was named, by its type and its id: its number, and itself, so that no other gets the id.
    _numbers: dict[type, dict[int, tuple[int, Any]]] = field(default_factory=dict)
    _holders: dict[int, list[Holder]] | None = None  # by the id of what is held

    def holders(self, thing: Any) -> tuple[Holder, ...]:
        """The tasks that hold `thing`, once for each time that they do."""
        if self._holders is None:
            self._holders = {}
            for task, holds in self.holds.items():
                for hold in holds:
                    for given in hold.gives():
                        self._holders.setdefault(id(given), []).append(Holder(task, hold))
        return tuple(
            holder
            for holder in self._holders.get(id(thing), ())
            if not any(lock is thing for lock in self.given_up[holder.task])
        )

    def number(self, thing: Any) -> int:
        """The number by which the report tells `thing` from others of its type."""
        known = self._numbers.setdefault(type(thing), {})
        return known.setdefault(id(thing), (len(known) + 1, thing))[0]

    def name(self, future: Any) -> str:
        """A task by its name, and a future that is none by its type."""
        name = self.names.get(future)
        return f"a {type(future).__name__}" if name is None else repr(name)

    def list(self, futures: Iterable[Any]) -> str:
        """`2 tasks: 'a', 'b'`."""
        names = sorted(map(self.name, futures))
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        return f"{len(names)} task{'' if len(names) == 1 else 's'}: {shown}"


class Names:
    """What the frames of a task call a thing."""

    def __init__(self, links: list[Link], scene: Scene) -> None:
        self._links = links
        self._scene = scene

    def describe(self, thing: Any) -> str:
        """`Lock #2 (self.lock)`: with a number, since each frame may have another name for it."""
        name = self._name(thing)
        number = self._scene.number(thing)
        return f"{type(thing).__name__} #{number}{f' ({name})' if name else ''}"

    def _name(self, thing: Any) -> str:
        """Its name in the innermost frame of the program, or else in one of a library.

        Empty if none does.
        """
        links = [link for link in reversed(self._links) if not link.is_of("asyncio", "miniloop")]
        for link in sorted(links, key=lambda link: not is_of_the_program(link.frame)):
            local = link.frame.f_locals
            for name, value in local.items():
                if value is thing:
                    return name
            for name, value in local.items():
                for attribute, inner in attributes_of(value).items():
                    if inner is thing:
                        return f"{name}.{attribute}"
            for name, value in link.frame.f_globals.items():
                if value is thing:
                    return name
        return ""
