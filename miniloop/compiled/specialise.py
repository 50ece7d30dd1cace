"""The specialiser: the kernel's own files, with a few named places rewritten for the compiler.

What people read and step through is the `.py`. Cython compiles that very text, but for the places
in the table of `rewrites`: there a call of Python is put as what it is in C, such as "a step of a
coroutine" or "enter a context". So a reader never meets a line that is there for the compiler.

A rewrite names its place by a piece of the source, compared as syntax: comments, line breaks and
quotes do not matter. It must be found exactly as often as the table says, or the build fails: when
the source changes under a rewrite, somebody has to look.

In a piece to be found a body of only `...` stands for any body.

Lines are kept: what the specialiser puts in place of five lines is mapped back to those five, so
that a traceback of the compiled build shows the lines of the `.py`.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

__all__ = ["Addition", "Bases", "NotFoundError", "Rewrite", "Slots", "specialise"]

CONTRACT = "miniloop.kernel.contract"


@dataclass(frozen=True)
class Rewrite:
    """One place of a module and what stands there in the compiled build.

    `times` is how often the
    piece occurs in the module; each is rewritten.
    """

    name: str
    module: str  # below `miniloop`, such as "kernel.task"
    find: str
    put: str
    within: str = ""  # a class or a function of the module: look only there
    times: int = 1


@dataclass(frozen=True)
class Bases:
    """What a class inherits from in the compiled build, which knows no type variables."""

    module: str
    of: str
    put: str


@dataclass(frozen=True)
class Addition:
    """What stands at the end of a module of the compiled build.

    Tracebacks show it as the first line of `like`, the function for which it stands.
    """

    name: str
    module: str
    put: str
    like: str = ""  # dotted, as `within` of a rewrite: "" for the end of the module


@dataclass(frozen=True)
class Slots:
    """Slots of a class of Python, which its methods read and write where they lie.

    Such a class stays what it is, with its bases and its memory. Where a method of it says
    `self.name`, and plainly reads or assigns it, the compiled one takes the pointer from its place
    in the object, which is looked up when the module is imported: see `places.h`.
    """

    name: str
    module: str
    of: str
    slots: Mapping[str, str]  # each slot, and the type that it holds: "" for any
    heirs: tuple[str, ...] = ()  # of that class, in the same module: their methods as well

    def declarations(self) -> str:
        """What the `.pxd` of the module needs besides."""
        return "".join(f"cdef Slot at_{name}\n" for name in self.slots)

    def places(self) -> str:
        """The end of the module: where the slots lie."""
        return "\n".join(f'find_slot({_place(name)}, {self.of}, "{name}")' for name in self.slots)


class NotFoundError(Exception):
    """A rewrite does not fit the source any more."""


@dataclass(frozen=True)
class _Splice:
    """Lines `first` to `last` (from 1, both included), between two columns, become `text`."""

    first: int
    first_column: int
    last: int
    last_column: int
    text: str


def specialise(
    source: str, rewrites: Sequence[Rewrite | Bases | Addition | Slots]
) -> tuple[str, list[int]]:
    """The source for the compiler, and for each of its lines the line of the `.py` it stands for.

    Raises NotFoundError if a rewrite is not found as often as it says, or if two overlap.
    """
    tree = ast.parse(source)
    lines = source.splitlines()
    splices = [
        *_without_type_checking(tree, lines),
        *_without_contract(tree, lines),
        *_without_globals_of_classes(tree, lines),
    ]
    additions: list[tuple[str, int]] = []  # and the line that each is shown as
    tables = [rewrite for rewrite in rewrites if isinstance(rewrite, Slots)]
    additions += [(table.places(), len(lines)) for table in tables]
    for rewrite in rewrites:
        if isinstance(rewrite, Slots):
            continue
        if isinstance(rewrite, Addition):
            shown = _scope(rewrite.like, tree)
            line = shown.lineno if isinstance(shown, ast.FunctionDef) else len(lines)
            additions.append((textwrap.dedent(rewrite.put).strip("\n"), line))
            continue
        if isinstance(rewrite, Bases):
            splices.append(_other_bases(rewrite, tree, lines))
            splices.append(_shown_signature(rewrite, tree, lines))
            continue
        found = list(_find(rewrite, tree, lines))
        if len(found) != rewrite.times:
            raise NotFoundError(
                f"rewrite {rewrite.name!r} is to be found {rewrite.times} times in miniloop."
                f"{rewrite.module}, and was found {len(found)} times: look at what has changed "
                f"there, and at the table in miniloop/compiled/rewrites"
            )
        splices += found
    splices.sort(key=_where)
    for one, other in pairwise(splices):
        if (other.first, other.first_column) < (one.last, one.last_column):
            raise NotFoundError(f"two rewrites overlap at line {other.first}: {other.text!r}")
    made, origin = _apply(lines, splices)
    for addition, line in additions:
        added = ["", "", *addition.split("\n")]
        made += added
        origin += [line] * len(added)
    for table in tables:  # also in what has just been put there
        splices = sorted(_in_place(table, ast.parse("\n".join(made)), made), key=_where)
        made, again = _apply(made, splices)
        origin = [origin[number - 1] for number in again]
    return "\n".join(made) + "\n", origin


def _where(splice: _Splice) -> tuple[int, int]:
    return splice.first, splice.first_column


def _place(name: str) -> str:
    return f"cython.address(at_{name})"


def _in_place(table: Slots, tree: ast.Module, lines: list[str]) -> Iterator[_Splice]:
    """Read and write the slots of `table` where they lie.

    What assigns several at once, or deletes one, is left as it is: the same by its name.
    """
    scopes = [_scope(name, tree) for name in (table.of, *table.heirs)]
    for node in chain.from_iterable(map(ast.walk, scopes)):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target = node.target
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if _slot_of(table, node):
                kind = table.slots[node.attr]
                text = f"get_slot(self, {_place(node.attr)})"
                if kind:
                    text = f"cython.cast({kind}, {text}, typecheck=True)"
                yield _splice(node, node, text, lines)
            continue
        else:
            continue
        if isinstance(target, ast.Attribute) and _slot_of(table, target):
            before = node.annotation if isinstance(node, ast.AnnAssign) else target
            whole = _splice(target, before, "", lines)
            sign = lines[whole.last - 1].index("=", whole.last_column) + 1
            text = f"set_slot(self, {_place(target.attr)},"
            yield replace(whole, last_column=sign, text=text)
            end = _splice(node, node, ")", lines)
            yield replace(end, first=end.last, first_column=end.last_column)


def _slot_of(table: Slots, node: ast.Attribute) -> bool:
    owner = node.value
    return isinstance(owner, ast.Name) and owner.id == "self" and node.attr in table.slots


def _other_bases(bases: Bases, tree: ast.Module, lines: list[str]) -> _Splice:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == bases.of and node.bases:
            return _splice(node.bases[0], node.bases[-1], bases.put, lines)
    raise NotFoundError(f"miniloop.{bases.module} has no class {bases.of} with a base")


def _shown_signature(bases: Bases, tree: ast.Module, lines: list[str]) -> _Splice:
    """Say before the docstring what `inspect.signature` shows: a type of C has nothing else."""
    made = _scope(bases.of, tree)
    assert isinstance(made, ast.ClassDef)
    arguments = ""
    for node in made.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
            arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    text = made.body[0]
    if ast.get_docstring(made) is None or not isinstance(text, ast.Expr):
        raise NotFoundError(f"miniloop.{bases.module}: {bases.of} has no docstring")
    quotes = lines[text.lineno - 1].index('"""') + 3
    signature = f"{bases.of}({arguments})\n--\n\n"
    return _Splice(text.lineno, quotes, text.lineno, quotes, signature)


def _scope(name: str, tree: ast.Module) -> ast.AST:
    """The class or function of that name (dotted: one in the other)."""
    scope: ast.AST = tree
    for part in name.split(".") if name else []:
        for node in ast.iter_child_nodes(scope):
            if (
                isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and node.name == part
            ):
                scope = node
                break
        else:
            raise NotFoundError(f"there is no {name!r} to look into")
    return scope


def _find(rewrite: Rewrite, tree: ast.Module, lines: list[str]) -> Iterator[_Splice]:
    pattern = ast.parse(textwrap.dedent(rewrite.find)).body
    put = textwrap.dedent(rewrite.put).strip("\n")
    scope = _scope(rewrite.within, tree)
    if len(pattern) == 1 and isinstance(pattern[0], ast.Expr):
        wanted = pattern[0].value
        for node in ast.walk(scope):
            bound = isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
            if isinstance(node, ast.expr) and not bound and _same(wanted, node):
                yield _splice(node, node, put, lines)
        return
    for block in _blocks(scope):
        for start in range(len(block) - len(pattern) + 1):
            window = block[start : start + len(pattern)]
            if all(map(_same, pattern, window)):
                indent = " " * window[0].col_offset
                text = textwrap.indent(put, indent)[window[0].col_offset :] if put else "pass"
                yield _splice(window[0], window[-1], text, lines)


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                yield block


def _same(pattern: object, found: object) -> bool:
    """Whether two pieces of syntax are the same, or `pattern` leaves the difference open."""
    if isinstance(pattern, ast.AST):
        if type(pattern) is not type(found):
            return False
        return all(
            _same(getattr(pattern, field, None), getattr(found, field, None))
            for field in pattern._fields
            if field not in ("ctx", "type_comment")
        )
    if isinstance(pattern, list):
        if not isinstance(found, list):
            return False
        if len(pattern) == 1 and _is_open(pattern[0]):
            return True
        return len(pattern) == len(found) and all(map(_same, pattern, found))
    return pattern == found


def _is_open(statement: object) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is ...
    )


def _splice(
    first: ast.stmt | ast.expr, last: ast.stmt | ast.expr, text: str, lines: list[str]
) -> _Splice:
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    line, column = first.lineno, first.col_offset
    decorators = getattr(first, "decorator_list", [])
    if decorators:
        line = decorators[0].lineno
    return _Splice(
        line,
        _characters(lines[line - 1], column),
        last.end_lineno,
        _characters(lines[last.end_lineno - 1], last.end_col_offset),
        text,
    )


def _characters(line: str, offset: int) -> int:
    """Columns of `ast` are bytes of UTF-8."""
    return len(line.encode()[:offset].decode())


def _without_type_checking(tree: ast.Module, lines: list[str]) -> Iterator[_Splice]:
    """Leave out what only type checkers read."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        ):
            kept = "pass"
            if node.orelse:
                kept = "\n".join(lines[node.orelse[0].lineno - 1 : node.orelse[-1].end_lineno])
                kept = textwrap.indent(textwrap.dedent(kept), " " * node.col_offset)
            yield _splice(node, node, kept.strip(), lines)


def _without_contract(tree: ast.Module, lines: list[str]) -> Iterator[_Splice]:
    """Leave out the import of the contract, which annotations alone refer to.

    It imports modules that import others of C than their files of Python do, and so would be part
    of a circle, which breaks where the first import of all is one of its inner modules.
    """
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == CONTRACT:
            yield _splice(node, node, "pass", lines)


def _without_globals_of_classes(tree: ast.Module, lines: list[str]) -> Iterator[_Splice]:
    """Leave out what a class says to CPython's compiler: a type of C has no `global` in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Global):
                    yield _splice(line, line, "pass", lines)


def _apply(lines: list[str], splices: list[_Splice]) -> tuple[list[str], list[int]]:
    made: list[str] = []
    origin: list[int] = []
    number = 1  # the next line of the source
    column = 0  # how much of it has been taken
    pending = ""  # the beginning of a line that is not whole yet
    for splice in splices:
        while number < splice.first:
            made.append(pending + lines[number - 1][column:])
            origin.append(number)
            number, column, pending = number + 1, 0, ""
        pending += lines[number - 1][column : splice.first_column]
        texts = splice.text.split("\n")
        for offset, text in enumerate(texts[:-1]):
            made.append(pending + text)
            origin.append(min(splice.first + offset, splice.last))
            pending = ""
        pending += texts[-1]
        number, column = splice.last, splice.last_column
    while number <= len(lines):
        made.append(pending + lines[number - 1][column:])
        origin.append(number)
        number, column, pending = number + 1, 0, ""
    return made, origin
