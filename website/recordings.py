"""Recordings of programs in docs/, made while the site is built, as pages to step through.

Where a page prints the command that records a program of docs/ into a page,

    python -m miniloop --record kitchen.html docs/images/kitchen.py

in a block of code, the site runs it, and shows below the block what it made.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from website.pages import ROOT

__all__ = ["Recordings", "page_of", "programs_in", "recorded", "with_frames"]

_BLOCK = re.compile(r"^(`{3,})(?:sh|console)\n(?P<body>.*?)^\1$\n?", re.M | re.S)
_COMMAND = re.compile(
    r"^(?:\$ )?python3? -m miniloop --record \S+\.html (?P<program>docs/[\w./-]+\.py)(?: +#.*)?$",
    re.M,
)
# Seconds; far more than any program of the docs runs for, on a machine that does much else.
LONGEST = 120.0


def programs_in(text: str) -> Iterator[str]:
    """The programs that the commands in a page record, as seen from the root of the repository."""
    for block in _BLOCK.finditer(text):
        for command in _COMMAND.finditer(block["body"]):
            yield command["program"]


class Recordings:
    """Each recording is made once in a run of MkDocs, and again when its program was changed."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[bytes, str]] = {}

    def asked_for(self, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The name and the text of each page that a command in one of these texts makes."""
        for program in sorted({program for text in texts for program in programs_in(text)}):
            source = (ROOT / program).read_bytes()
            known, content = self._made.get(program, (None, ""))
            if known != source:
                content = recorded(ROOT / program)
                self._made[program] = (source, content)
            yield page_of(program), content


def page_of(program: str) -> str:
    """The page of a program's recording, in the site."""
    return f"recordings/{program.removeprefix('docs/').removesuffix('.py').replace('/', '-')}.html"


def recorded(program: Path) -> str:
    """Run a program under the recorder, and return the embedded page of what it did.

    Raises RuntimeError, with what it wrote, if the program fails.
    """
    from miniloop.study import read
    from miniloop.study.page import html

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recording"
        command = [sys.executable, "-m", "miniloop", "--record", str(file)]
        done = subprocess.run(
            [*command, str(program.relative_to(ROOT))],
            cwd=ROOT,
            env={**os.environ, "MINILOOP_PURE": "1"},  # a compiled kernel cannot be recorded
            capture_output=True,
            text=True,
            timeout=LONGEST,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{program} cannot be recorded:\n{done.stdout}{done.stderr}")
        return html(read(file), embedded=True)


def with_frames(text: str, up: str) -> str:
    """Return the text with a frame below each block that records a program.

    `up` leads from the page to the root of the site.
    """

    def framed(block: re.Match[str]) -> str:
        programs = dict.fromkeys(programs_in(block[0]))
        return "\n".join([block[0], *(_frame(program, up) for program in programs)])

    return _BLOCK.sub(framed, text)


def _frame(program: str, up: str) -> str:
    address, name = up + page_of(program), escape(program.rpartition("/")[2])
    title = escape(f"Recording of {name}: {_first_line(ROOT / program)}")
    return (
        '<figure class="recording">\n'
        f'<iframe src="{address}" title="{title}" loading="lazy"></iframe>\n'
        f"<figcaption>What this command makes, of <code>{name}</code>. Click into it, and step "
        f'with the arrow keys; or <a href="{address}">open it alone</a>.</figcaption>\n'
        "</figure>\n"
    )


def _first_line(program: Path) -> str:
    """What a program says of itself."""
    said = ast.get_docstring(ast.parse(program.read_text("utf-8"))) or program.name
    return said.partition("\n")[0]
