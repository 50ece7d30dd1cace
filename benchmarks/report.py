"""The report: a run as one HTML page that needs nothing else, with its tables and pictures."""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import plot, table
from benchmarks.results import Run

__all__ = ["write"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; }
th, td { padding: 0.15rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
dt { font-family: monospace; } dd { margin-bottom: 0.3rem; }
"""


def write(run: Run, path: Path) -> None:
    """Write the report of a run. Raises `plot.MissingLibraryError` without matplotlib."""
    path.write_text("\n".join(_page(run)) + "\n", encoding="utf-8")


def _page(run: Run) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8"><title>Event loops, side by side</title>'
    yield f"<style>{STYLE}</style></head><body>"
    yield "<h1>Event loops, side by side</h1>"
    yield from _from_markdown(table.render(run).splitlines())
    yield "<h2>pictures</h2>"
    yield _picture(run)
    yield "<h2>what was measured</h2><dl>"
    for row in run.rows:
        yield f"<dt>{html.escape(row.name)}</dt><dd>{html.escape(row.about)}</dd>"
    yield "</dl><h2>where</h2><dl>"
    for key, value in run.machine.items():
        yield f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>"
    yield "</dl></body></html>"


def _picture(run: Run) -> str:
    """The picture as an element of the page, without the head of an SVG file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "picture.svg")
        plot.draw(run, path)
        drawn = path.read_text(encoding="utf-8")
    return drawn[drawn.index("<svg") :]


def _from_markdown(lines: list[str]) -> Iterator[str]:
    """The little Markdown that `table.render` writes: headings, tables, items and lines of text."""
    inside = ""
    for line in lines:
        kind = "table" if line.startswith("|") else "ul" if line.startswith("- ") else ""
        if kind != inside:
            if inside:
                yield f"</{inside}>"
            if kind:
                yield f"<{kind}>"
            head = kind == "table"
            inside = kind
        if kind == "table":
            if re.fullmatch(r"[|:\- ]+", line):
                continue  # the rule below the head
            cell = "th" if head else "td"
            cells = [html.escape(part.strip()) for part in line.strip("|").split(" | ")]
            yield "<tr>" + "".join(f"<{cell}>{part}</{cell}>" for part in cells) + "</tr>"
            head = False
        elif kind == "ul":
            yield f"<li>{html.escape(line[2:])}</li>"
        elif line.startswith("## "):
            yield f"<h2>{html.escape(line[3:])}</h2>"
        elif line:
            yield f"<div>{html.escape(line)}</div>"
    if inside:
        yield f"</{inside}>"
