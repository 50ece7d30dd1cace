"""Puts the page together: the template, the style, the modules and the recording, in one file.

A page that is opened by a double click may not import modules from its folder: for a browser each
such file is another origin. So the modules become one. Each keeps to three rules, which make that a
matter of leaving lines out, and not of compiling:

1. An import is one line: `import { a, b } from "./other.js";`, and gives nothing a new name.
2. An export is the word `export`, at the start of a line, before a `const`, `function` or `class`.
3. No two modules have a name at their top level in common.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Protocol

__all__ = ["HasModel", "html", "write"]

FIRST_MODULE = "app.js"
IMPORT = re.compile(r'^import \{ \w+(?:, \w+)* \} from "\./([\w-]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:const|function|class) )", re.MULTILINE)
TOP_NAME = re.compile(r"^(?:async )?(?:function\*?|const|class) (\w+)", re.MULTILINE)
LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
SLOT = re.compile(r"\{\{ (\w+) \}\}")


class HasModel(Protocol):
    """What can be shown: a recording that has been read."""

    def model(self) -> Mapping[str, object]:
        """Return the recording as plain JSON data, in columns."""
        ...


def write(
    recording: HasModel | Mapping[str, object],
    path: str | os.PathLike[str],
    *,
    step: int | None = None,
    embedded: bool = False,
) -> None:
    """Write the page of a recording, or of its model, to `path`.

    It opens at `step`, counted from 1, if the address does not name one. An `embedded` page is one
    for a frame in another page: it leaves out what would not find room there.
    """
    # The name of a program need not be valid UTF-8.
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(html(recording, step=step, embedded=embedded))


def html(
    recording: HasModel | Mapping[str, object], *, step: int | None = None, embedded: bool = False
) -> str:
    """Return the page as text; `write` has what the arguments mean."""
    model = recording if isinstance(recording, Mapping) else recording.model()
    folder = files(__package__) / "files"
    slots = {
        "title": escape(_short(str(model["program"]))),
        "style": (folder / "page.css").read_text("utf-8"),
        "modules": joined_modules(folder),
        "recording": packed(model),
        "step": "" if step is None else str(step),
        "layout": "embedded" if embedded else "full",
    }
    template = (folder / "page.html").read_text("utf-8")
    return SLOT.sub(lambda slot: slots[slot[1]], template)


def _short(program: str) -> str:
    """Return what was run, without the folder that it is in."""
    name, *arguments = program.split(" ", 1)
    return " ".join([name.rpartition("/")[2], *arguments])


def packed(model: Mapping[str, object]) -> str:
    """Return the model as JSON, deflated (RFC 1950) and in base64, as the page unpacks it.

    Times are given as differences, and causes as distances: both are small numbers that repeat,
    which makes the file half as long.
    """
    events = model["events"]
    assert isinstance(events, Mapping)
    times, causes = events["time"], events["cause"]
    columns = {
        **events,
        "time": [time - before for before, time in zip([0, *times], times, strict=False)],
        "cause": [-1 if cause < 0 else event - cause for event, cause in enumerate(causes)],
    }
    text = json.dumps({**model, "events": columns}, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")


def joined_modules(folder: Traversable) -> str:
    """Return `app.js` and what it imports as one module, each after those that it imports.

    Raises ValueError if one of them breaks the rules above.
    """
    order: list[str] = []
    texts: dict[str, str] = {}
    owners: dict[str, str] = {}

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ValueError(f"modules import in a circle: {' → '.join((*importers, name))}")
        if name in texts:
            return
        source = (folder / name).read_text("utf-8")
        for imported in IMPORT.findall(source):
            add(imported, (*importers, name))
        text = EXPORT.sub("", IMPORT.sub("", source))
        if broken := LEFT_OVER.search(text):
            raise ValueError(f"{name}: only the plain forms can be joined, not {broken[0]!r}")
        for taken in TOP_NAME.findall(text):
            if (other := owners.setdefault(taken, name)) != name:
                raise ValueError(f"{name}: the name {taken!r} is taken by {other}")
        if "</script" in text or "<!--" in text:
            raise ValueError(f"{name}: has a text that would end the script element")
        texts[name] = text
        order.append(name)

    add(FIRST_MODULE, ())
    return "\n".join(f"// ---- {name}\n{texts[name]}" for name in order)
