"""What a program is: plain data, so that it can be shown, kept and made smaller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Program", "Step"]

# The name of what is done, and with what.
Step = tuple[Any, ...]


@dataclass(frozen=True)
class Program:
    """What is set up (`kind`, and the options of that kind), and then done, step by step."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    seed: int | None = None

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        lines = [f"{self.kind} ({options})", *(f"    {step!r}" for step in self.steps)]
        return "\n".join(lines)
