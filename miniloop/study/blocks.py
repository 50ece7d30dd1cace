"""The `with` blocks that a frame is in, read from its code and from its source.

A suspended frame shows its stack to the garbage collector. One that runs does so from 3.14 on; up
to 3.13 the stack's height is in a register while a function of C is called, such as the
`time.sleep` that holds up a loop. Then only the source can be used: it shows which blocks are
around the line, and which object each is for, if that is a name or an attribute (`lock`,
`self.lock`).

Nothing of the program is run: attributes are looked up as they are stored.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import linecache
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

__all__ = ["lines_of_open_blocks", "managers_by_name"]

_MISSING = object()


@functools.lru_cache(1000)
def lines_of_open_blocks(code: CodeType, at: int) -> tuple[int, ...]:
    """The lines of the `with` blocks that the instruction at offset `at` is in, outermost first.

    The exception table has the handler of each instruction, the handler of that handler, and so on
    outwards. The handler of a `with` block begins with the call of its exit. A block that is being
    entered has no handler yet.
    """
    entries = vars(dis.Bytecode(code))["exception_entries"]
    instructions = list(dis.get_instructions(code))
    number_of = {each.offset: number for number, each in enumerate(instructions)}
    lines: list[int] = []
    handlers: set[int] = set()
    while True:
        handler = next((entry.target for entry in entries if entry.start <= at < entry.end), None)
        if handler is None or handler in handlers:
            return tuple(reversed(lines))
        handlers.add(handler)
        at = handler
        first = instructions[number_of[handler]]
        following = instructions[number_of[handler] : number_of[handler] + 2]
        if any(each.opname == "WITH_EXCEPT_START" for each in following):
            line = None if first.positions is None else first.positions.lineno
            lines.append(line or code.co_firstlineno)


def managers_by_name(frame: FrameType) -> Iterator[tuple[Any, int]]:
    """The context managers of the blocks that a frame is in, and their lines, outermost first.

    Only of those that are written as a name or an attribute.
    """
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    for expression, line in _blocks_around(source, frame.f_lineno):
        value = _value(expression, frame)
        if value is not _MISSING:
            yield value, line


@functools.lru_cache(100)
def _blocks_around(source: str, line: int) -> tuple[tuple[ast.expr, int], ...]:
    """The expressions of the `with` blocks around a line, in the innermost function there."""
    try:
        node: ast.AST = ast.parse(source)
    except SyntaxError:
        return ()  # it is not the source of the frame
    found: list[tuple[ast.expr, int]] = []
    inner: ast.AST | None = node
    while inner is not None:
        node = inner
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found = []
        if isinstance(node, ast.With | ast.AsyncWith) and line >= node.body[0].lineno:
            found += [(item.context_expr, item.context_expr.lineno) for item in node.items]
        inner = next((child for child in _children(node) if _has(child, line)), None)
    return tuple(found)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if hasattr(child, "lineno"):
            yield child
        else:
            yield from _children(child)


def _has(node: Any, line: int) -> bool:
    return bool(node.lineno <= line <= node.end_lineno)


def _value(expression: ast.expr, frame: FrameType) -> Any:
    if isinstance(expression, ast.Name):
        for names in (frame.f_locals, frame.f_globals):
            if expression.id in names:
                return names[expression.id]
    elif isinstance(expression, ast.Attribute):
        owner = _value(expression.value, frame)
        if owner is not _MISSING:
            return inspect.getattr_static(owner, expression.attr, _MISSING)
    return _MISSING
