"""Start a program by `python -m miniloop`, and by plain `python` for comparison."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 50.0  # seconds that a program may take on a machine that has other things to do

# Printed by a program, it says which package its loop comes from.
KIND = """
import asyncio
async def find_kind():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
def kind(**options):
    with asyncio.Runner(**options) as runner:
        return runner.run(find_kind())
"""

_OURS = ("PYTHONASYNCIODEBUG", "MINILOOP_SWAP", "PYTHONPATH")


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def launch(
    *words: str, cwd: Path, before: tuple[str, ...] = (), **more: Any
) -> subprocess.CompletedProcess[str]:
    """`python -m miniloop words…`; `before` are options of the interpreter."""
    return plain(*before, "-m", "miniloop", *words, cwd=cwd, **more)


def plain(
    *words: str, cwd: Path, env: dict[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """`python words…`, with `text` for its standard input."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment() if env is None else env,
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def program(folder: Path, source: str, name: str = "program.py") -> str:
    """Write a program that begins with `KIND`, and give its name."""
    (folder / name).write_text(f"{KIND}\n{source}\n")
    return name
