"""Links between files of the repository, made links between pages of the site.

A page is written for a checkout: it links to `../tests/layering.py` or `recipes.md#uvicorn`. Where
the target is a page, the link leads there; another file of the repository becomes a page of its
source, and a folder the page that lists it. A link that leads nowhere is left as it is, and MkDocs,
which is strict, fails on it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

__all__ = ["destinations", "outside_code", "relinked"]

# A fence and what is in it, or code within a line: nothing in there is a link.
_CODE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2`*$|(`+)(?!`).+?(?<!`)\3(?!`)", re.M | re.S)
# `](target#anchor)`, also of a picture; not an address, and not an anchor alone.
_LINK = re.compile(r"(\]\()(?![a-z][a-z+.-]*:|#|/)([^)\s#]+)((?:#[^)\s]*)?\))")


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return a text of Markdown with `change` applied to all that is not code."""
    parts: list[str] = []
    end = 0
    for code in _CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])


def destinations(text: str, path: str) -> Iterator[str]:
    """The files and folders of the repository that the page at `path` links to, in this order."""
    found: list[str] = []

    def look(part: str) -> str:
        found.extend(_joined(path, link[2]) for link in _LINK.finditer(part))
        return part

    outside_code(text, look)
    yield from found


def relinked(text: str, path: str, page: str, pages: Mapping[str, str]) -> str:
    """Return the text with its links made to lead from `page` to other pages of the site.

    `path` is where the text is in the repository. `pages` has the page of each file and folder.
    """

    def link(found: re.Match[str]) -> str:
        target = pages.get(_joined(path, found[2]))
        if target is None:
            return found[0]
        return found[1] + posixpath.relpath(target, posixpath.dirname(page) or ".") + found[3]

    return outside_code(text, lambda part: _LINK.sub(link, part))


def _joined(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
