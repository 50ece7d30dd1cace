"""Which file acts when which module has been imported."""

from __future__ import annotations

from types import ModuleType

from miniloop.swap import environment, foreign, names, report, watching

__all__ = ["imported"]


def imported(module: ModuleType) -> None:
    """Put our loop in the place of those of a module that has just been imported."""
    if module.__name__ == "asyncio":
        names.replace()
        environment.pass_on_to_children()
        report.count_if_wanted()
        watching.watch_if_wanted()
    else:
        foreign.replace(module)
