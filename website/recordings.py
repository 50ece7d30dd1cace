"""Recordings of programs in docs/, made while the site is built, as pages to step through.

A page asks for one by a comment on a line of its own, with the program, as seen from the root of
the repository, what it shows, and, if it should open there, a step:

    <!-- recording: docs/images/kitchen.py, step 40: a restaurant with a cook who holds all up -->

Where the page is read in a checkout, the comment is not seen, so the text should say how to make
the recording by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from website.pages import ROOT

__all__ = ["MARKER", "Recordings", "frame", "recorded"]

MARKER = re.compile(
    r"^<!-- recording: (?P<program>[\w./-]+)(?:, step (?P<step>\d+))?: (?P<about>.+?) -->$", re.M
)
# Far more than any program of the docs runs for, on a machine that does much else.
LONGEST = 120.0


class Recordings:
    """Each recording is made once in a run of MkDocs, and again when its program was changed."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[bytes, str]] = {}

    def asked_for(self, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The name and the text of each page that a marker in one of these texts asks for."""
        wanted = {
            page_of(found): (found["program"], found["step"])
            for text in texts
            for found in MARKER.finditer(text)
        }
        for page, (program, step) in sorted(wanted.items()):
            source = (ROOT / program).read_bytes()
            known, content = self._made.get(page, (None, ""))
            if known != source:
                content = recorded(ROOT / program, int(step) if step else None)
                self._made[page] = (source, content)
            yield page, content


def page_of(found: re.Match[str]) -> str:
    """The page that a marker asks for, in the site."""
    step = f"-{found['step']}" if found["step"] else ""
    return f"recordings/{found['program'].removesuffix('.py').replace('/', '-')}{step}.html"


def recorded(program: Path, step: int | None = None) -> str:
    """Run a program under the recorder, and return the embedded page of what it did.

    Raises RuntimeError, with what it wrote, if the program fails.
    """
    from miniloop.study import read
    from miniloop.study.page import html

    with tempfile.TemporaryDirectory() as folder:
        # A name of its own, so that the page does not show where this checkout lies.
        file = Path(folder) / "recording"
        command = [sys.executable, "-m", "miniloop", "--record", str(file)]
        done = subprocess.run(
            [*command, str(program.relative_to(ROOT))],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{program} cannot be recorded:\n{done.stdout}{done.stderr}")
        return html(read(file), step=step, embedded=True)


def frame(found: re.Match[str], up: str) -> str:
    """The frame that shows a recording; `up` leads from the page that has it to the root."""
    address, about = up + page_of(found), escape(found["about"])
    said = f"{about[:1].upper()}{about[1:]}. Click into it, then step with the arrow keys"
    return (
        '<figure class="recording">\n'
        f'<iframe src="{address}" title="Recording: {about}" loading="lazy"></iframe>\n'
        f'<figcaption>{said}; or <a href="{address}">open it alone</a>.</figcaption>\n</figure>'
    )
