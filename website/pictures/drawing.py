"""Boxes, arrows and text, as SVG that can be read in light and in dark.

The same picture gives the same file, byte for byte, so that it changes only when the code does.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["Drawing", "width_of"]

# A picture is shown as an image, so it brings its colours, and follows the scheme of the page.
_STYLE = """
  svg { --ink: #1c2733; --soft: #51606f; --paper: #ffffff; --box: #e4eefa; --line: #2f6fb5; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e8edf3; --soft: #aebccb; --paper: #1b222c; --box: #24415f; --line: #8ab8f2; }
  }
  text { font: 14px system-ui, sans-serif; fill: var(--ink); text-anchor: middle; }
  .small { font-size: 12px; fill: var(--soft); }
  /* A text that lies on a line parts it. */
  text { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
  .name { stroke: none; }
  .left { text-anchor: start; }
  .right { text-anchor: end; }
  .paper { fill: var(--paper); }
  .box { fill: var(--box); stroke: var(--line); }
  .bar { fill: var(--line); }
  .arrow { fill: none; stroke: var(--line); stroke-width: 1.5; marker-end: url(#head); }
  #head path { fill: var(--line); }
"""


def width_of(text: str, size: float = 14) -> float:
    """About how wide a text is, in pixels. Fonts differ: it is rather more than less."""
    return len(text) * size * 0.56


class Drawing:
    """A picture under way. Places are in pixels, from the upper left corner."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._texts: list[str] = []  # on top of all lines

    def box(self, x: float, y: float, width: float, height: float) -> None:
        """A box with round corners; `x` and `y` are its middle."""
        self._parts.append(
            f'<rect class="box" x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" '
            f'height="{height:g}" rx="6"/>'
        )

    def bar(self, x: float, y: float, width: float, height: float) -> None:
        """A bar of a diagram; `x` and `y` are its upper left corner."""
        self._parts.append(
            f'<rect class="bar" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        """A line of text; `x` is its middle, or for the kind `left` or `right` that end of it.

        Others are `small`, and `name`, for one in a box.
        """
        names = f' class="{kind}"' if kind else ""
        self._texts.append(f'<text{names} x="{x:g}" y="{y:g}">{escape(text)}</text>')

    def arrow(self, path: Sequence[tuple[float, float]]) -> None:
        """An arrow along 2 points, or a curve of 4 (Bézier)."""
        (x, y), *rest = path
        letter = "C" if len(path) == 4 else "L"
        to = " ".join(f"{a:g} {b:g}" for a, b in rest)
        self._parts.append(f'<path class="arrow" d="M{x:g} {y:g}{letter}{to}"/>')

    def svg(self, width: float, height: float, title: str, description: str) -> str:
        """The file: a picture of this size, which says in words what it shows."""
        body = "\n".join([*self._parts, *self._texts])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img">\n'
            f"<title>{escape(title)}</title>\n<desc>{escape(description)}</desc>\n"
            f"<style>{_STYLE}</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>\n'
            f'<rect class="paper" width="{width:g}" height="{height:g}"/>\n{body}\n</svg>\n'
        )
