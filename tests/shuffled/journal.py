"""What has been tried already, in a file: a run of an hour that is interrupted can go on.

Each outcome is a line of JSON, written as soon as it is there. The first line says what was run; a
journal of other orders, of another Python or another loop would answer another question.
"""

from __future__ import annotations

import json
import platform
import threading
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """The outcomes of a run; without a path, none is kept."""

    def __init__(self, path: Path | None, **what: int) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._outcomes: list[dict[str, Any]] = []
        head = {**what, "python": platform.python_version()}
        if path is None:
            return
        if not path.exists():
            path.write_text(json.dumps(head) + "\n", encoding="utf-8")
            return
        whole, newline, _ = path.read_text(encoding="utf-8").rpartition("\n")
        found, *self._outcomes = map(json.loads, whole.splitlines())
        if found != head:
            raise SystemExit(f"{path} is the journal of {found}, and not of {head}")
        path.write_text(whole + newline, encoding="utf-8")  # the last line may have been cut short

    def add(self, **outcome: Any) -> None:
        """Note an outcome."""
        with self._lock:
            self._outcomes.append(outcome)
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(outcome) + "\n")

    def about(self, part: str, loop: str) -> list[dict[str, Any]]:
        """The outcomes of a module or a file, on a loop."""
        with self._lock:
            return [each for each in self._outcomes if (each["part"], each["loop"]) == (part, loop)]
