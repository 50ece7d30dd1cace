"""Who may import whom, as a table, and a checker that reads a source tree against it.

Rules:

1. Arrows point down: ``study`` → ``loop`` → ``net``, ``system`` → ``kernel`` → the standard
   library. ``net`` and ``system`` are neighbours that do not know each other; the loop hands parts
   across.
2. ``miniloop`` imports the standard library and itself, and of asyncio only what no loop owns.
3. No file imports one that imports it, directly or by way of others. So the arrows point down
   inside of each part too.
4. ``crawler`` runs on any loop: it uses asyncio's public names, what its extra declares, and
   ``miniloop`` in one file.

The source is parsed and never imported, so an import inside a function, or one that is there for
type checkers only, counts as well: a reader follows it just the same.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# A part of miniloop, and the parts that it may import. Each may import itself.
BELOW: dict[str, set[str]] = {
    "kernel": set(),
    "net": {"kernel"},
    "system": {"kernel"},
    "loop": {"kernel", "net", "system"},
    "compiled": {"kernel"},  # the record of what a build was made from
    "policy": {"kernel", "net", "system", "loop"},
    "study": {"kernel", "net", "system", "loop"},
    "testing": {"kernel", "net", "system", "loop", "study", "__init__"},
    "swap": {"kernel", "loop", "study"},
    "__init__": {"kernel", "net", "system", "loop", "policy"},
    "__main__": {
        *("kernel", "net", "system", "loop", "policy", "study", "testing", "swap", "__init__"),
    },
}

# The parts of which a program's loop is made; the others look at it, or put it in place.
OF_THE_LOOP = ("kernel", "net", "system")

# What these use of the standard library although its name is private: of a socket, to accept
# without making a slow object first, and of a StreamReader, to see and take what nobody has read.
PRIVATE_IN_PYTHON = {"_accept", "_buffer", "_paused"}

# What is loaded by another package, and only where that is installed: its plugin.
FOR_OTHERS = {
    "miniloop/testing/pytest_plugin.py": {"pytest"},
    "miniloop/testing/with_hypothesis.py": {"hypothesis"},
}

# The modules of asyncio which do not know what loop they run on. `trsock` is what a transport shows
# of its socket, and no part of a loop.
LOOP_INDEPENDENT = {
    "coroutines",
    "events",
    "exceptions",
    "futures",
    "locks",
    "protocols",
    "queues",
    "runners",
    "streams",
    "subprocess",
    "taskgroups",
    "tasks",
    "threads",
    "timeouts",
    "transports",
    "trsock",
}
ASYNCIO_INTERNALS = {
    "base_events",
    "base_futures",
    "base_subprocess",
    "base_tasks",
    "constants",
    "format_helpers",
    "graph",
    "log",
    "mixins",
    "proactor_events",
    "selector_events",
    "sslproto",
    "staggered",
    "tools",
    "unix_events",
    "windows_events",
    "windows_utils",
}
# Loops, and parts of loops, that asyncio also offers at its top. Its default policy is not one: it
# remembers a loop per thread, and miniloop's policy differs from it in which loop it makes.
ASYNCIO_LOOPS = {
    "BaseEventLoop",
    "EventLoop",
    "IocpProactor",
    "ProactorEventLoop",
    "SelectorEventLoop",
}

# What the compiled build is made with. Nothing that runs imports that part: see BELOW.
BUILD_TOOLS = {"Cython", "setuptools"}

CRAWLER_LOOPS = "crawler/loops.py"

# The rooms of the crawler, and what each may import of the others. What lies beside the rooms puts
# them together.
CRAWLER_ROOMS: dict[str, set[str]] = {
    "markup": set(),
    "http": {"markup"},
    "page": {"markup", "http"},
    "frontier": {"http"},
    "output": {"http", "frontier"},
    "report": {"http", "output"},
}

# What the standard library has on a Python newer than this one may be.
LATER_STDLIB = {"compression"}


@dataclass(frozen=True)
class Import:
    """One name that a file brings in, dotted and absolute."""

    file: str
    line: int
    name: str

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def breaches(root: Path, crawler_may_import: set[str]) -> list[str]:
    """Each breach, circles too, in the packages under ``root``, as ``file:line: what is wrong``."""
    imports = [found for package in ("miniloop", "crawler") for found in imports_in(root, package)]
    return [
        f"{found.file}:{found.line}: {complaint}"
        for found in imports
        if (complaint := complaint_about(found, crawler_may_import))
    ] + [
        f"{circle[0].file}:{circle[0].line}: a circle of imports: "
        + " -> ".join(found.file for found in [*circle, circle[0]])
        for circle in circles_among(imports, root)
    ]


def circles_among(imports: list[Import], root: Path) -> Iterator[list[Import]]:
    """Circles of imports between files: of those that touch each other, one.

    Importing a module also runs the ``__init__`` of its package. That is no arrow: a reader does
    not follow it.
    """
    arrows: dict[str, dict[str, Import]] = {}
    for found in imports:
        target = _file_named(found.name, root)
        if target not in (None, found.file):
            arrows.setdefault(found.file, {}).setdefault(target, found)
    done: set[str] = set()
    for start in sorted(arrows):
        way = None if start in done else _way_back(start, arrows)
        if way is not None:
            done |= {found.file for found in way}
            yield way


def _way_back(start: str, arrows: dict[str, dict[str, Import]]) -> list[Import] | None:
    """The shortest way along the arrows from a file to itself."""
    ways: dict[str, list[Import]] = {start: []}
    for here in (queue := [start]):
        for there, found in arrows.get(here, {}).items():
            if there == start:
                return [*ways[here], found]
            if there not in ways:
                ways[there] = [*ways[here], found]
                queue.append(there)
    return None


def complaint_about(found: Import, crawler_may_import: set[str]) -> str | None:
    package = found.file.partition("/")[0]
    if package == "miniloop":
        return _complaint_in_miniloop(found)
    if package == "crawler":
        return _complaint_in_crawler(found, crawler_may_import)
    return None


def _complaint_in_miniloop(found: Import) -> str | None:
    if found.top == "miniloop":
        here, there = part_of(found.file), _part_named(found.name)
        if here not in BELOW:
            return f"the layering table does not know the part {here!r}; give it a place there"
        if there != here and there not in BELOW[here]:
            return f"{here} may not import {there} ({found.name}): arrows point down"
        return None
    if found.top in FOR_OTHERS.get(found.file, ()):
        return None
    if found.top not in sys.stdlib_module_names:
        if part_of(found.file) == "compiled" and found.top in BUILD_TOOLS:
            return None
        return f"miniloop has no dependencies, but this imports {found.name}"
    return _complaint_about_asyncio(found)


def _complaint_about_asyncio(found: Import) -> str | None:
    if found.top != "asyncio" or found.name == "asyncio":
        return None
    second = found.name.split(".")[1]
    if second in ASYNCIO_INTERNALS:
        return f"{found.name} belongs to asyncio's own loops; miniloop is written from scratch"
    if second in ASYNCIO_LOOPS:
        return f"{found.name} is a loop of asyncio's; miniloop is written from scratch"
    return None


def _room_of(file: str) -> str:
    return file.split("/")[1]


def _complaint_in_crawler(found: Import, may_import: set[str]) -> str | None:
    if found.top == "miniloop":
        if found.file == CRAWLER_LOOPS:
            return None
        return f"the crawler runs on any loop: only {CRAWLER_LOOPS} may name miniloop"
    if found.top == "asyncio":
        inner = found.name.split(".")[1:]
        if any(name.startswith("_") or name in ASYNCIO_INTERNALS for name in inner):
            return f"{found.name} is not public; the crawler runs on any loop"
        return None
    if found.top == "crawler":
        here, there = _room_of(found.file), found.name.split(".")[1:2]
        allowed = CRAWLER_ROOMS.get(here)
        if allowed is not None and there and there[0] not in allowed | {here}:
            return f"crawler/{here} may not import {found.name}: arrows point down"
        return None
    if found.top in sys.stdlib_module_names | LATER_STDLIB | may_import:
        return None
    return f"{found.top} is not in the crawler extra of pyproject.toml"


def part_of(file: str) -> str:
    """The part of miniloop that a file is in: ``miniloop/net/tls.py`` is in ``net``."""
    return file.split("/")[1].removesuffix(".py")


def _part_named(module: str) -> str:
    """The part that an import reaches; the package itself is its face, ``__init__``."""
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in BELOW:
        return parts[1]
    return "__init__"


def _file_named(name: str, root: Path) -> str | None:
    """The file under ``root`` that an import reaches; the name may be of something in it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = "/".join(parts[:length])
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if (root / file).is_file():
                return file
    return None


def imports_in(root: Path, package: str) -> Iterator[Import]:
    for path in sorted((root / package).rglob("*.py")):
        file = path.relative_to(root).as_posix()
        yield from _imports_of(file, ast.parse(path.read_text(encoding="utf-8"), filename=file))


def _imports_of(file: str, tree: ast.Module) -> Iterator[Import]:
    asyncio_names = {"asyncio"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name)
                if alias.name == "asyncio" and alias.asname:
                    asyncio_names.add(alias.asname)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(file, node)
            for alias in node.names:
                yield Import(file, node.lineno, f"{module}.{alias.name}")
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            yield Import(file, node.lineno, name)
    # asyncio.sslproto needs no import statement of its own.
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner)) if owner in asyncio_names:
                yield Import(file, node.lineno, f"asyncio.{node.attr}")


def _absolute(file: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = file.removesuffix(".py").split("/")[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


def _imported_by_call(node: ast.Call) -> str | None:
    """The module that ``import_module("…")`` or ``__import__("…")`` names, if it is spelled out."""
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    if called not in {"import_module", "__import__"} or not node.args:
        return None
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return None


def private_names_from_elsewhere(root: Path) -> Iterator[str]:
    """The private attributes that a file of the loop uses of another file's objects.

    Left out is what `kernel/contract.py` declares, what belongs to a module (of asyncio, say), and
    what is private in the standard library.
    """
    package = root / "miniloop"
    declared = _private_names_of_classes(package / "kernel" / "contract.py")
    for path in sorted(path for part in OF_THE_LOOP for path in (package / part).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if (alias.asname or alias.name).islower()
        }
        known = declared | _private_names_of_classes(path) | PRIVATE_IN_PYTHON
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
                and node.attr not in known
                and _first_name(node) not in modules | {"self", "cls", "super"}
            ):
                yield f"{path.name}:{node.lineno}: {node.attr}"


def _private_names_of_classes(path: Path) -> set[str]:
    """What the classes of a file define: methods, annotated fields, slots, what `self` is given."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    names.add(part.name)
                elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    names.add(part.target.id)
                elif isinstance(part, ast.Assign) and "__slots__" in map(_first_name, part.targets):
                    texts = [
                        text for text in ast.walk(part.value) if isinstance(text, ast.Constant)
                    ]
                    names |= {str(text.value) for text in texts}
    return names


def _first_name(node: ast.expr) -> str:
    """Of `a.b().c` it is `a`."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""
