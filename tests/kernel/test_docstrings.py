"""What is said of the files of the kernel is so: how they begin, and how long they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import miniloop

KERNEL = Path(miniloop.__file__).parent / "kernel"
STREAM = KERNEL.parent / "net" / "stream.py"  # docs/learn.md recommends it


@pytest.mark.parametrize("file", [*sorted(KERNEL.glob("*.py")), STREAM], ids=lambda file: file.stem)
def test_a_file_begins_with_its_invariants_and_its_trap(file: Path) -> None:
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    assert "Invariant" in text
    assert "\nThe trap:" in text or "\nThe one trap:" in text


def test_the_table_of_contents_does_next_to_nothing() -> None:
    loop = ast.parse((KERNEL.parent / "loop.py").read_text())
    methods = [node for node in ast.walk(loop) if isinstance(node, ast.FunctionDef)]
    statements = {
        method.name: sum(isinstance(node, ast.stmt) for node in ast.walk(method))
        - (1 if ast.get_docstring(method) is None else 2)
        for method in methods
        if method.name != "__init__"
    }
    assert max(statements.values()) <= 10
    assert sum(count > 3 for count in statements.values()) <= len(methods) / 5


def lines_of_code(file: Path) -> int:
    """Those that are neither empty, nor a comment, nor of a docstring."""
    text = file.read_text()
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node) is not None and first is not None:
                documentation.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in documentation
        for number, line in enumerate(text.splitlines(), 1)
    )


@pytest.mark.parametrize("file", ["README.md", "miniloop/__init__.py"])
def test_the_number_of_lines_that_is_told_is_right(file: str) -> None:
    text = (KERNEL.parent.parent / file).read_text()
    told = re.search(r"([\d,]+)\s+lines of code", text)
    assert told is not None
    counted = sum(map(lines_of_code, KERNEL.glob("*.py")))
    assert abs(int(told[1].replace(",", "")) - counted) <= 150
