"""Real concurrency bugs of asyncio programs, rebuilt small from public reports.

Each module is one bug, in our own code and words. It says which report it is from (`REPORT`), what
kind of bug that is (`KIND`), and has two coroutine functions without arguments: `buggy`, which
fails under some orders of events, and `fixed`, which fails under none. `OPTIONS` are the options of
`explore` that it needs beside the defaults: mostly none.

`world.pause()` stands for a round trip to somewhere. `stress` runs the same programs with random
sleeps, as people test for races without such a tool, and `table` compares the two:

    python -m tests.testing.corpus
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ["Bug", "bugs"]

Test = Callable[[], Coroutine[Any, Any, None]]

_OTHERS = {"__main__", "stress", "table", "world"}


@dataclass(frozen=True)
class Bug:
    """One bug: the report, the kind, and the test of the program that has it and of the other."""

    name: str
    report: str
    kind: str
    buggy: Test
    fixed: Test
    options: dict[str, Any]
    module: ModuleType

    def __str__(self) -> str:
        return self.name


def bugs() -> list[Bug]:
    """All of them, in the order of their names."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    modules = [
        importlib.import_module(f"{__name__}.{name}") for name in names if name not in _OTHERS
    ]
    return [
        Bug(
            module.__name__.rpartition(".")[2],
            module.REPORT,
            module.KIND,
            module.buggy,
            module.fixed,
            getattr(module, "OPTIONS", {}),
            module,
        )
        for module in modules
    ]
