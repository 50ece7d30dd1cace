"""As much of Markdown as the texts of the tour use, made into HTML.

Headings, paragraphs, lists of one level, tables, fenced code, rules; in a line: code, links, bold,
italic. A text that uses more than that is refused, and not shown wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

__all__ = ["anchor", "render"]

INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\[(?P<label>(?:`[^`]*`|[^\]])*)\]\((?P<target>[^)]+)\)"
    r"|\*\*(?P<bold>[^*]+)\*\*"
    r"|\*(?P<italic>[^*]+)\*"
)
ITEM = re.compile(r"(?:- |\d+\. )")


def anchor(heading: str) -> str:
    """What a heading is called in a link: as GitHub has it."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def render(text: str, link: Callable[[str], str], code: Callable[[str], str]) -> str:
    """Return the HTML of a text. `link` gives the new target of a link, `code` the HTML of code."""
    return "\n".join(_blocks(text.splitlines(), _Lines(link, code)))


class _Lines:
    """What stands within a line."""

    def __init__(self, link: Callable[[str], str], code: Callable[[str], str]) -> None:
        self._link = link
        self._code = code

    def __call__(self, text: str) -> str:
        parts, end = [], 0
        for found in INLINE.finditer(text):
            parts += [escape(text[end : found.start()], quote=False), self._marked(found)]
            end = found.end()
        return "".join([*parts, escape(text[end:], quote=False)])

    def _marked(self, found: re.Match[str]) -> str:
        if found["code"] is not None:
            return self._code(found["code"])
        if found["target"] is not None:
            return f'<a href="{escape(self._link(found["target"]))}">{self(found["label"])}</a>'
        if found["bold"] is not None:
            return f"<strong>{self(found['bold'])}</strong>"
        return f"<em>{self(found['italic'])}</em>"


def _blocks(lines: list[str], inline: _Lines) -> Iterator[str]:
    place = 0
    while place < len(lines):
        line = lines[place]
        end = place + 1
        if not line.strip():
            pass
        elif line.startswith("```"):
            while lines[end] != "```":
                end += 1
            code = escape("\n".join(lines[place + 1 : end]), quote=False)
            yield f'<pre tabindex="0"><code>{code}\n</code></pre>'
            end += 1
        elif line.startswith("#"):
            marks, _, heading = line.partition(" ")
            level = len(marks)
            yield f'<h{level} id="{anchor(heading)}">{inline(heading)}</h{level}>'
        elif line == "---":
            yield "<hr>"
        else:
            while end < len(lines) and lines[end].strip() and not lines[end].startswith("```"):
                end += 1
            yield from _text_block(lines[place:end], inline)
        place = end


def _text_block(lines: list[str], inline: _Lines) -> Iterator[str]:
    if lines[0].startswith("|"):
        yield _table(lines, inline)
    elif ITEM.match(lines[0]):
        yield _list(lines, inline)
    elif lines[0].startswith((" ", ">", "<", "!")):
        raise ValueError(f"no Markdown of which we know how to show it: {lines[0]!r}")
    else:
        yield f"<p>{inline(' '.join(lines))}</p>"


def _table(lines: list[str], inline: _Lines) -> str:
    head, _, *rows = ([cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines)

    def row(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{inline(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>"


def _list(lines: list[str], inline: _Lines) -> str:
    items: list[str] = []
    for line in lines:
        if mark := ITEM.match(line):
            items.append(line[mark.end() :])
        else:
            items[-1] += " " + line.strip()
    kind = "ul" if lines[0].startswith("- ") else "ol"
    return f"<{kind}>{''.join(f'<li>{inline(item)}</li>' for item in items)}</{kind}>"
