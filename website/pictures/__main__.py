"""python -m website.pictures: draws the pictures in docs/images that are made from the code."""

from __future__ import annotations

from collections.abc import Callable

from website.pages import ROOT
from website.pictures import arrows, machines, states, system_calls

__all__ = ["PICTURES"]

IMAGES = ROOT / "docs" / "images"

PICTURES: dict[str, Callable[[], str]] = {
    "turn.svg": lambda: machines.draw(states.turn()),
    "task.svg": lambda: machines.draw(states.task()),
    "transport.svg": lambda: machines.draw(states.transport()),
    "tls.svg": lambda: machines.draw(states.tls()),
    "arrows.svg": arrows.draw,
    "system-calls.svg": system_calls.draw,
}


def main() -> None:
    """Draw all."""
    for name, draw in PICTURES.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")
        print((IMAGES / name).relative_to(ROOT))


if __name__ == "__main__":
    main()
