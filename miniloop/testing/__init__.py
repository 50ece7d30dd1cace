"""Test asyncio programs for races and for time.

    miniloop.testing.run(main())          # virtual time: an hour of sleeping takes no time
    miniloop.testing.explore(test)        # the test under many legal orders
    @pytest.mark.miniloop(schedules=500)  # the same, as a plugin of pytest

A run has a loop of its own, a clock that jumps, and a closed world. A schedule decides which entry
runs next and what is late. It can be minimised and replayed.

Read in this order: `clock`, `poller`, `threads`, `loop` and `running`, virtual time; `who`,
`queue`, `schedule` and `choosers`, what runs next; `execution`, `strategies`, `minimise`, `trace`,
`story` and `exploration`, the search; `replay_file` and `rerun`. `network` is a network in memory;
`both_loops` compares a program on asyncio and on miniloop.

What is here is loaded when somebody asks for it: pytest loads the plugin for every project.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniloop.study.waits import EverybodyWaits
    from miniloop.testing.both_loops import compare_loops
    from miniloop.testing.determinism import check_determinism
    from miniloop.testing.errors import NotDeterministic, OutsideWorld, TooLong, UnseenError
    from miniloop.testing.exploration import Exploration, explore, find_failure
    from miniloop.testing.failure import Failure
    from miniloop.testing.loop import virtual_event_loop
    from miniloop.testing.network import Faults, Host, Link, Network
    from miniloop.testing.rerun import Replay, replay, run_schedule
    from miniloop.testing.running import run
    from miniloop.testing.schedule import Departure, Schedule
    from miniloop.testing.with_hypothesis import schedules

__all__ = [
    "Departure",
    "EverybodyWaits",
    "Exploration",
    "Failure",
    "Faults",
    "Host",
    "Link",
    "Network",
    "NotDeterministic",
    "OutsideWorld",
    "Replay",
    "Schedule",
    "TooLong",
    "UnseenError",
    "check_determinism",
    "compare_loops",
    "explore",
    "find_failure",
    "replay",
    "run",
    "run_schedule",
    "schedules",
    "virtual_event_loop",
]

_WHERE = {
    "miniloop.study.waits": ["EverybodyWaits"],
    "miniloop.testing.both_loops": ["compare_loops"],
    "miniloop.testing.determinism": ["check_determinism"],
    "miniloop.testing.errors": ["NotDeterministic", "OutsideWorld", "TooLong", "UnseenError"],
    "miniloop.testing.exploration": ["Exploration", "explore", "find_failure"],
    "miniloop.testing.failure": ["Failure"],
    "miniloop.testing.loop": ["virtual_event_loop"],
    "miniloop.testing.network": ["Faults", "Host", "Link", "Network"],
    "miniloop.testing.rerun": ["Replay", "replay", "run_schedule"],
    "miniloop.testing.running": ["run"],
    "miniloop.testing.schedule": ["Departure", "Schedule"],
    "miniloop.testing.with_hypothesis": ["schedules"],
}
_HOME = {name: module for module, names in _WHERE.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value
