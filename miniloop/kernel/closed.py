"""What stands in the place of a part once its loop is closed.

Invariant: whatever is asked of it, it says that the loop is closed.

The trap: that holds for looking up a method too, so nothing can be asked of it beforehand.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CLOSED"]


class _Closed:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("Event loop is closed")


CLOSED: Any = _Closed()
