"""Links between files of the repository, made links between pages."""

from __future__ import annotations

import pytest

from website.links import destinations, relinked
from website.recordings import programs_in

PAGES = {
    "docs/recipes.md": "recipes.md",
    "docs/tour/README.md": "tour/README.md",
    "docs/tour": "tour/README.md",
    "miniloop/loop.py": "source/miniloop/loop.py.md",
    "CHANGELOG.md": "changelog.md",
}


@pytest.mark.parametrize(
    ("written", "led"),
    [
        ("[a](recipes.md#uvicorn)", "[a](recipes.md#uvicorn)"),
        ("[a](tour/)", "[a](tour/README.md)"),
        ("[a](../miniloop/loop.py)", "[a](source/miniloop/loop.py.md)"),
        (
            "[a](../CHANGELOG.md) and [b](tour/README.md)",
            "[a](changelog.md) and [b](tour/README.md)",
        ),
        ("![a\nb](../miniloop/loop.py)", "![a\nb](source/miniloop/loop.py.md)"),
        # What leads elsewhere, or nowhere, or is no link.
        ("[a](https://example.org/recipes.md)", "[a](https://example.org/recipes.md)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](missing.md)", "[a](missing.md)"),
        ("`[a](../CHANGELOG.md)`", "`[a](../CHANGELOG.md)`"),
        ("```md\n[a](../CHANGELOG.md)\n```\n", "```md\n[a](../CHANGELOG.md)\n```\n"),
    ],
)
def test_a_link_leads_to_the_page_of_what_it_names(written: str, led: str) -> None:
    assert relinked(written, "docs/page.md", "page.md", PAGES) == led


def test_a_page_in_a_folder_has_its_own_way_there() -> None:
    text = "[a](../../miniloop/loop.py) [b](../recipes.md)"
    led = relinked(text, "docs/tour/README.md", "tour/README.md", PAGES)
    assert led == "[a](../source/miniloop/loop.py.md) [b](../recipes.md)"


def test_what_a_page_links_to_is_found() -> None:
    text = "[a](../x.py#L3) `[b](y.py)` [c](https://example.org) [d](tour)\n\n    [e](z.py)\n"
    assert list(destinations(text, "docs/page.md")) == ["x.py", "docs/tour", "docs/z.py"]


def test_only_a_command_that_makes_a_page_of_a_program_of_the_docs_is_recorded() -> None:
    text = """
```sh
python -m miniloop --record a.html docs/a.py
python3 -m miniloop --record b.html docs/tour/b.py
python -m miniloop --record run.html your_program.py
python -m miniloop --record run.rec docs/c.py
```

python -m miniloop --record d.html docs/d.py
"""
    assert list(programs_in(text)) == ["docs/a.py", "docs/tour/b.py"]
