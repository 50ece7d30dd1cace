"""The pages of the site, and which file or folder of the repository each of them is.

What is in docs/ is there already. To it come the results, the changelog and the like, and a page
for each other file that one of these links to: its source, with a number at each line.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from website.links import destinations

__all__ = ["ROOT", "Pages"]

ROOT = Path(__file__).parents[1]

# Files outside of docs/ that are pages, and how these are called.
_BESIDES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_BESIDES |= {"SECURITY.md": "security.md"}
_RESULTS = "benchmarks/results"
# What `make tour` makes of the tour, without MkDocs, and what makes it.
_NO_PAGES = ("tour/pages/", "tour/site/")

# What a file is written in, for those whose ending does not say it.
_LANGUAGES = {"Makefile": "make", ".py": "python", ".toml": "toml", ".json": "json", ".sh": "bash"}
_LANGUAGES |= {".js": "javascript", ".c": "c", ".yml": "yaml", ".css": "css", ".html": "html"}


@dataclass
class Pages:
    """All pages: `by_path` has the page of each file and folder of the repository.

    `texts` has the Markdown of the pages that are not in docs/, `assets` the files that are copied,
    and `paths` which file of the repository a page is.
    """

    by_path: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    assets: dict[str, Path] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    @classmethod
    def found(cls) -> Pages:
        """Look through the repository."""
        pages = cls()
        for file in sorted((ROOT / "docs").rglob("*")):
            inside = file.relative_to(ROOT / "docs").as_posix()
            if inside.startswith(_NO_PAGES):
                continue
            if file.is_file() and file.suffix in (".md", ".png", ".svg"):
                pages._add(f"docs/{inside}", inside)
        for path, page in _BESIDES.items():
            pages._add(path, page, (ROOT / path).read_text("utf-8"))
        for file in sorted((ROOT / _RESULTS).iterdir()):
            path, page = f"{_RESULTS}/{file.name}", f"results/{file.name}"
            if file.suffix == ".md":
                pages._add(path, page, file.read_text("utf-8"))
            elif file.suffix in (".svg", ".json"):
                pages._add(path, page)
                pages.assets[page] = file
        pages.by_path |= {"README.md": "index.md", ".": "index.md", "docs": "index.md"}
        pages._add_sources()
        return pages

    def text_of(self, page: str) -> str:
        """The Markdown of a page, as it is in the repository."""
        if page in self.texts:
            return self.texts[page]
        return (ROOT / self.paths[page]).read_text("utf-8")

    def _add(self, path: str, page: str, text: str | None = None) -> None:
        self.by_path[path] = page
        self.paths[page] = path
        if posixpath.basename(path) == "README.md":  # it stands for its folder
            self.by_path[posixpath.dirname(path)] = page
        if text is not None:
            self.texts[page] = text

    def _add_sources(self) -> None:
        linked = {
            target
            for page, path in list(self.paths.items())
            if page.endswith(".md")
            for target in destinations(self.text_of(page), path)
        }
        for path in sorted(linked - self.by_path.keys()):
            found = (ROOT / path).resolve()
            if not found.is_relative_to(ROOT) or not found.exists():
                continue  # MkDocs will complain, and tell where the link is
            if found.is_dir():
                self._add(path, f"source/{path}.md", _listing(path, found))
            else:
                self._add(path, f"source/{path}.md", _source(path, found))
        listed = sorted(page for page in self.texts if page.startswith("source/"))
        text = "# Source files\n\nThose that a page of this site links to.\n\n" + "".join(
            f"* [`{self.paths[page]}`]({page.removeprefix('source/')})\n" for page in listed
        )
        self.texts["source/README.md"] = text


def _source(path: str, file: Path) -> str:
    language = _LANGUAGES.get(file.name) or _LANGUAGES.get(file.suffix, "text")
    text = file.read_text("utf-8")
    fence = "`" * 6
    # Not for the search, which would find little else.
    head = f"---\ntitle: {path}\nsearch: {{ exclude: true }}\nhide: [toc]\n---\n\n# `{path}`\n\n"
    return f'{head}{fence}{{ .{language} linenums="1" }}\n{text.rstrip()}\n{fence}\n'


def _listing(path: str, folder: Path) -> str:
    names = sorted(
        entry.name + "/" * entry.is_dir()
        for entry in folder.iterdir()
        if not entry.name.startswith((".", "__pycache__"))
    )
    head = f"---\ntitle: {path}/\nsearch: {{ exclude: true }}\nhide: [toc]\n---\n\n# `{path}/`\n\n"
    return head + "".join(f"* `{name}`\n" for name in names)
