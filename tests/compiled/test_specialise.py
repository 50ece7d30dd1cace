"""The specialiser, on small sources, and its table, on the sources of the kernel."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import miniloop
from miniloop.compiled.rewrites import MODULES, REWRITES
from miniloop.compiled.specialise import Addition, Bases, NotFoundError, Rewrite, Slots, specialise

PACKAGE = Path(miniloop.__file__).parent

SOURCE = '''\
"""A module."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Base = dict
else:
    Base = object


class Box(Base):
    """A box."""

    def put(self, thing):  # a comment
        if thing is None:
            return
        self.count = self.count + \\
            1
        self.things.append(thing)

    @property
    def full(self):
        return self.count > 3


def put(box, thing):
    box.things.append(thing)
'''


def rewritten(*rewrites: Rewrite | Bases | Addition | Slots) -> str:
    text, origin = specialise(SOURCE, rewrites)
    assert len(origin) == len(text.splitlines())
    ast.parse(text)
    return text


def test_without_a_rewrite_only_what_type_checkers_read_is_left_out() -> None:
    text = rewritten()
    assert "TYPE_CHECKING:" not in text
    assert "\nBase = object\n" in text
    assert "dict" not in text
    assert "self.things.append(thing)" in text


def test_a_global_of_a_class_is_left_out_and_one_of_a_function_is_kept() -> None:
    source = "class Box:\n    global hidden\n\n    def put(self):\n        global seen\n"
    text, _ = specialise(source, [])
    assert text == "class Box:\n    pass\n\n    def put(self):\n        global seen\n"


def test_the_contract_which_annotations_alone_need_is_not_imported() -> None:
    source = (
        "import asyncio\nfrom miniloop.kernel.contract import (\n    Loop,\n)\n"
        "from miniloop.kernel.exits import EXITS\n"
    )
    text, _ = specialise(source, [])
    assert text == "import asyncio\npass\nfrom miniloop.kernel.exits import EXITS\n"


def test_a_type_of_c_says_before_its_docstring_how_it_is_called() -> None:
    source = (
        'class Box(Base):\n    """A box."""\n\n'
        "    def __init__(self, size: int, *, name: str = 'x') -> None: ...\n\n\n"
        'class Lid(Base):\n    """A lid."""\n'
    )
    text, _ = specialise(source, [Bases("m", "Box", "Thing"), Bases("m", "Lid", "Thing")])
    assert '"""Box(size, *, name=\'x\')\n--\n\nA box."""' in text
    assert '"""Lid()\n--\n\nA lid."""' in text
    with pytest.raises(NotFoundError, match="Box has no docstring"):
        specialise("class Box(Base):\n    pass\n", [Bases("m", "Box", "Thing")])


def test_an_expression_is_put_in_place_of_another() -> None:
    text = rewritten(Rewrite("", "m", "self.things.append(thing)", "add(self, thing)"))
    assert "        add(self, thing)\n" in text
    assert "    box.things.append(thing)\n" in text


def test_a_statement_may_lie_on_several_lines_and_become_several() -> None:
    text = rewritten(
        Rewrite("", "m", "self.count = self.count + 1", "if thing:\n    self.count += 1\n    pass")
    )
    assert "        if thing:\n            self.count += 1\n            pass\n" in text


def test_a_body_of_dots_is_any_body_and_decorators_belong_to_the_piece() -> None:
    text = rewritten(Rewrite("", "m", "@property\ndef full(self): ...", "full = None"))
    assert "    full = None\n" in text
    assert "property" not in text
    with pytest.raises(NotFoundError, match="found 0 times"):
        rewritten(Rewrite("", "m", "def full(self): ...", ""))


def test_a_piece_can_be_looked_for_in_one_function_only() -> None:
    text = rewritten(Rewrite("", "m", "thing", "other", within="put", times=1))
    assert "box.things.append(other)" in text
    with pytest.raises(NotFoundError, match="found 0 times"):
        rewritten(Rewrite("", "m", "self.things.append(thing)", "", within="put"))
    with pytest.raises(NotFoundError, match="no 'take'"):
        rewritten(Rewrite("", "m", "thing", "", within="take"))


def test_what_is_found_more_often_than_the_table_says_fails() -> None:
    with pytest.raises(NotFoundError, match=r"'a name'.*1 times.*found 3 times"):
        rewritten(Rewrite("a name", "m", "self.count", "self.n"))


def test_rewrites_that_overlap_fail() -> None:
    with pytest.raises(NotFoundError, match="overlap"):
        rewritten(
            Rewrite("", "m", "self.things.append(thing)", "a()"),
            Rewrite("", "m", "self.things", "b"),
        )


def test_a_class_gets_another_base_and_a_module_another_end() -> None:
    text = rewritten(Bases("m", "Box", "Thing"), Addition("", "m", "def more():\n    pass"))
    assert "class Box(Thing):" in text
    assert text.endswith("\n\ndef more():\n    pass\n")
    with pytest.raises(NotFoundError, match="no class Bin"):
        rewritten(Bases("m", "Bin", "Thing"))


def test_what_is_added_is_shown_as_the_function_for_which_it_stands() -> None:
    text, origin = specialise(SOURCE, [Addition("", "m", "more()", like="Box.put")])
    put = SOURCE.splitlines().index("    def put(self, thing):  # a comment") + 1
    assert dict(zip(text.splitlines(), origin, strict=True))["more()"] == put


def test_slots_are_read_and_assigned_where_they_lie_also_in_what_was_rewritten() -> None:
    text = rewritten(
        Slots("", "m", "Box", {"count": "", "things": "list"}),
        Rewrite("", "m", "thing is None", "self.things is None"),
    )
    count, things = (f"get_slot(self, cython.address(at_{name}))" for name in ("count", "things"))
    things = f"cython.cast(list, {things}, typecheck=True)"
    assert f"if {things} is None:" in text
    assert f"set_slot(self, cython.address(at_count), {count} + \\" in text
    assert f"{things}.append(thing)" in text
    assert f"return {count} > 3" in text
    assert "\n    box.things.append(thing)" in text  # not in the class
    assert text.endswith(
        'find_slot(cython.address(at_count), Box, "count")\n'
        'find_slot(cython.address(at_things), Box, "things")\n'
    )


def test_slots_are_read_where_they_lie_in_an_heir_too() -> None:
    source = (
        "class Box: ...\nclass Big(Box):\n    def get(self): return self.count\nclass Other(Box):\n"
    )
    source += "    def get(self): return self.count\n"
    text, _ = specialise(source, [Slots("", "m", "Box", {"count": ""}, heirs=("Big",))])
    before, after = text.split("class Other")
    assert "return get_slot(self, cython.address(at_count))" in before
    assert "return self.count" in after
    assert after.count("find_slot(") == 1


def test_each_line_knows_the_line_that_it_stands_for() -> None:
    put = "self.count += 1\npass\npass\npass"
    text, origin = specialise(SOURCE, [Rewrite("", "m", "self.count = self.count + 1", put)])
    of = {line.strip(): origin[number] for number, line in enumerate(text.splitlines())}
    lines = SOURCE.splitlines()
    first = lines.index("        self.count = self.count + \\") + 1
    assert of["self.count += 1"] == first
    assert of["pass"] == first + 1  # the last of them: no line beyond the piece
    after = "box.things.append(thing)"
    assert lines[of[after] - 1].strip() == after


def test_the_table_fits_the_kernel() -> None:
    """The same as a build does before the compiler comes; so whoever changes the kernel is told."""
    seen = 0
    for module in MODULES:
        path = PACKAGE / f"{module.replace('.', '/')}.py"
        own = [rewrite for rewrite in REWRITES if rewrite.module == module]
        seen += len(own)
        if path.exists():
            text, _ = specialise(path.read_text(encoding="utf-8"), own)
            ast.parse(text)
    assert seen == len(REWRITES)


def test_the_kernel_has_no_line_for_the_compiler() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "compiled"):
            continue
        text = path.read_text(encoding="utf-8").lower()
        assert "import cython" not in text, path
        assert "cython.compiled" not in text, path
