"""Temporary: until miniloop.study.waits is merged."""
from __future__ import annotations
from typing import Any
try:
    from miniloop.study.waits import EverybodyWaits
except ImportError:
    class EverybodyWaits(RuntimeError):  # type: ignore[no-redef]
        def __init__(self, loop: Any) -> None:
            names = ", ".join(sorted(task.get_name() for task in loop.tasks))
            super().__init__(f"nothing can wake: {names}")
