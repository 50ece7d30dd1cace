"""What MkDocs calls while it builds the site, in the order in which it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from website.links import relinked
from website.markers import filled
from website.pages import Pages
from website.recordings import Recordings

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_NAMELESS = re.compile(
    r'aria-labelledby="__nav_(\w+)_label"'
    r'([^>]*>\s*<label class="md-nav__title" for="__nav_\1">\s*<span[^>]*></span>\s*)([^<]*[^<\s])'
)

_pages = Pages()
_recordings = Recordings()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Find all pages, and write out the lists of the navigation."""
    global _pages
    _pages = Pages.found()
    every = sorted(page for page in {*_pages.paths, *_pages.texts} if page.endswith(".md"))
    named = set(_named_in(config.nav))
    free = [page for page in every if page not in named]
    patterns = [name for name in named if name.endswith("*") and name != "*"]
    rest = [page for page in free if not any(fnmatch(page, pattern) for pattern in patterns)]
    config.nav = _expanded(config.nav, free, rest)
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/, and the recordings."""
    from mkdocs.structure.files import File

    for page in _pages.texts:
        files.append(File.generated(config, page, content=_pages.texts[page]))
    for name, path in _pages.assets.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    texts = [_pages.text_of(page) for page in _pages.paths if page.endswith(".md")]
    for name, content in _recordings.asked_for(texts):
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what the page asks for, and lead its links to pages."""
    name = page.file.src_uri
    if name.startswith("source/"):
        return markdown
    path = _pages.paths[name]
    return filled(relinked(markdown, path, name, _pages.by_path), name, _pages)


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mend what Markdown and docstrings give, and what not everybody can use.

    An empty head of a column is no head. A block of code can be reached by Tab, as one may have to
    scroll it. Some docstrings have roles of reStructuredText, which say nothing here.
    """
    html = re.sub(r"<th(?: [^>]*)?></th>", "<td></td>", html)
    html = re.sub(r"<pre(?=[ >])", '<pre tabindex="0"', html)
    return re.sub(r":(?:attr|class|exc|func|meth|mod):<code>", "<code>", html)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Name what the theme leaves without a name."""
    return _named(output)


def on_post_template(output: str, *, template_name: str, config: MkDocsConfig) -> str:
    """The same in a page of the theme's own, which is the one for an address that leads nowhere."""
    return _named(output) if template_name.endswith(".html") else output


def _named(output: str) -> str:
    """The HTML of a page, with names for the search and for lists that have a page."""
    output = output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
    return _NAMELESS.sub(r'aria-label="\3"\2\3', output)


def _named_in(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _named_in(part)


def _expanded(nav: Any, free: list[str], rest: list[str]) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(part, free, rest) for title, part in nav.items()}
    if not isinstance(nav, list):
        return nav
    result: list[Any] = []
    for part in nav:
        if isinstance(part, str) and part.endswith("*"):
            result += rest if part == "*" else [page for page in free if fnmatch(page, part)]
        else:
            result.append(_expanded(part, free, rest))
    return result
