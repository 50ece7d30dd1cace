"""The page itself: its modules, its style and its data, put into one file that needs nothing else.

The scripts in ``files/`` are plain ES modules. A page that is opened from a disk cannot load more
of them, so they are joined into one, each before those that import it: each becomes a function that
is called at once and returns what the module exports. A strict content security policy names the
style and the script by their hashes, so nothing that a crawled site says can become either.
"""

import base64
import hashlib
import json
import re
import time
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from .tally import Tally

_SOURCES = Path(__file__).parent / "files"
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|function) (\w+))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class About:
    """What was crawled, and how: ``what`` is a few words, ``command`` what was typed.

    ``took`` is in seconds, ``note`` a sentence on what the page does not show, if need be.
    """

    what: str
    command: str = ""
    took: float = 0.0
    note: str = ""


def render(tally: Tally, about: About) -> str:
    """The page, as HTML."""
    data = {**tally.data(), "took": about.took}
    begin = data["timeline"]["begin"]  # type: ignore[index]
    when = "" if begin is None else time.strftime("%-d %B %Y, %H:%M", time.localtime(begin))
    parts = [escape(when), f"<code>{escape(about.command)}</code>" if about.command else ""]
    parts.append(escape(about.note))
    style, script = _style(), _script()
    values = {
        "title": escape(f"Crawl of {about.what}"),
        "about": " · ".join(filter(None, parts)),
        "footer": "Made by crawler. Times are right to within an eighth; what there was too much of"
        " is counted at least as often as said.",
        "style": style,
        "style-hash": _hash(style),
        "script": script,
        "script-hash": _hash(script),
        # In a script element nothing but "<" begins anything.
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    page = (_SOURCES / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w-]+)\}\}", lambda found: values[found[1]], page)


@cache
def _style() -> str:
    return (_SOURCES / "style.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    """All modules as one, the imported ones first."""
    taken: dict[str, str] = {}

    def take(name: str) -> None:
        if name in taken:
            return
        source = (_SOURCES / f"{name}.js").read_text(encoding="utf-8")
        for _, imported in _IMPORT.findall(source):
            take(imported)
        exported = ", ".join(what for _, what in _EXPORT.findall(source))
        body = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = \2_js;", source))
        taken[name] = f"const {name}_js = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"

    take("main")
    return "\n".join(taken.values())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
