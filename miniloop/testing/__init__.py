"""Test asyncio programs for races and for time.

    miniloop.testing.run(main())          # virtual time: an hour of sleeping takes no time
    miniloop.testing.explore(test)        # the test under many legal orders, up to the first failure
    @pytest.mark.miniloop(schedules=500)  # the same, as a plugin of pytest

A run has a loop of its own, a clock that jumps, and a closed world; what is decided in it, who runs
next and what is late, is decided by a schedule, which can be minimised and replayed.

Read in this order: `clock`, `poller`, `threads`, `loop` and `running`, virtual time; `who`, `queue`,
`schedule` and `choosers`, what runs next; `execution`, `strategies`, `minimise`, `trace`, `story` and
`explore`, the search; `replay_file` and `replay`. `network` is a network in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from miniloop.study.waits import EverybodyWaits
from miniloop.testing.determinism import check_determinism
from miniloop.testing.errors import NotDeterministic, OutsideWorld, TooLong, UnseenError
from miniloop.testing.explore import Exploration, explore, find_failure
from miniloop.testing.failure import Failure
from miniloop.testing.replay import Replay, replay, run_schedule
from miniloop.testing.running import run
from miniloop.testing.schedule import Departure, Schedule

if TYPE_CHECKING:
    from miniloop.testing.network import Network
    from miniloop.testing.with_hypothesis import schedules

__all__ = [
    "Departure",
    "EverybodyWaits",
    "Exploration",
    "Failure",
    "Network",
    "NotDeterministic",
    "OutsideWorld",
    "Replay",
    "Schedule",
    "TooLong",
    "UnseenError",
    "check_determinism",
    "explore",
    "find_failure",
    "replay",
    "run",
    "run_schedule",
    "schedules",
]


def __getattr__(name: str) -> Any:
    if name == "Network":
        from miniloop.testing.network import Network

        return Network
    if name == "schedules":  # which needs Hypothesis
        from miniloop.testing.with_hypothesis import schedules

        return schedules
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
