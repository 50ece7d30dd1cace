"""The catalogue: every benchmark, under the name by which ``--only`` finds it.

A *row* is one line of the table, such as ``sockets/protocol-echo/1KiB-x10``. Its first word is the
layer. Most rows hold one program, run on every loop. A few compare programs as well (three HTTP
clients, three crawlers): then the row holds several, and each is run on each loop.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from benchmarks.job import Job, Shape

__all__ = ["LAYERS", "Body", "Program", "Row", "UnknownRowError", "all_rows", "benchmark", "select"]

Body = Callable[[Job], Awaitable[int]]

# The four layers of the result page, then the studies that are run when they are asked for.
LAYERS = ("callbacks", "sockets", "http", "crawl")
STUDIES = ("growth", "memory", "lateness", "fairness")
# Where a loop and its far end keep to a processor each, if they can.
APART = ("sockets", "fairness")

_MODULES = (
    "benchmarks.layers.callbacks",
    "benchmarks.layers.tasks",
    "benchmarks.layers.trees",
    "benchmarks.layers.echo",
    "benchmarks.layers.transfers",
    "benchmarks.layers.http",
    "benchmarks.layers.crawl",
    "benchmarks.studies.frontier",
    "benchmarks.studies.growth",
    "benchmarks.studies.memory",
    "benchmarks.studies.lateness",
    "benchmarks.studies.fairness",
)

_rows: dict[str, Row] = {}


class UnknownRowError(LookupError):
    """No row has the name that was asked for."""


@dataclass(frozen=True)
class Program:
    """One way of doing a row's work. `name` is empty where the row has only one."""

    name: str
    body: Body
    loops: tuple[str, ...] = ()  # the loops it can run on, where it cannot run on all
    requires: tuple[str, ...] = ()  # modules that must be importable


@dataclass
class Row:
    """One line of the table."""

    name: str
    about: str  # the first line of the docstring
    counts: str  # what one operation is: "yield", "message", "page"
    shape: Shape
    step: int  # `n` is a multiple of this
    unit: str  # "s" for time, "B" for memory, `LATE` for a delay
    far_end: bool  # whether it needs the process at the far end
    fresh: bool  # whether each sample needs a process of its own
    slow: bool  # whether a sample takes so long that there can only be few
    limit: str  # what the servers in limits/ must speak to run here; empty: they cannot
    reference: str  # the program whose run on asyncio is 1.00
    programs: list[Program] = field(default_factory=list)

    @property
    def layer(self) -> str:
        """The first word of the name."""
        return self.name.split("/", 1)[0]

    @property
    def apart(self) -> bool:
        """Whether the loop and its far end each keep to a processor: see `processors`."""
        return self.far_end and self.layer in APART

    def program(self, name: str) -> Program:
        """The program of that name. Raises `UnknownRowError` where there is none."""
        for program in self.programs:
            if program.name == name:
                return program
        raise UnknownRowError(f"{self.name} has no program {name!r}")


def benchmark(
    name: str,
    *,
    counts: str,
    shapes: Iterable[Shape] = (Shape(),),
    step: int | Callable[[Shape], int] = 1,
    unit: str = "s",
    far_end: bool = False,
    fresh: bool = False,
    slow: bool = False,
    limit: str = "",
    program: str = "",
    reference: bool = False,
    loops: tuple[str, ...] = (),
    requires: tuple[str, ...] = (),
) -> Callable[[Body], Body]:
    """Enter the decorated function into the catalogue, once for each shape.

    The first line of its docstring becomes the description. Functions that are given the same
    `name` and different `program` names stand in the same row; the one with `reference`, or else
    the first, is what the ratio of that row is measured against.
    """

    def enter(body: Body) -> Body:
        about = (body.__doc__ or "").strip().splitlines()
        if not about:
            raise ValueError(f"benchmark {name} has no docstring to say what it measures")
        for shape in shapes:
            label = shape.label()
            full = f"{name}/{label}" if label else name
            row = _rows.get(full)
            if row is None:
                row = _rows[full] = Row(
                    name=full,
                    about=about[0],
                    counts=counts,
                    shape=shape,
                    step=step(shape) if callable(step) else step,
                    unit=unit,
                    far_end=far_end,
                    fresh=fresh,
                    slow=slow,
                    limit=limit,
                    reference=program,
                )
            elif any(known.name == program for known in row.programs):
                raise ValueError(f"{full} is in the catalogue twice (program {program!r})")
            if reference:
                row.reference = program
            row.programs.append(Program(program, body, loops, requires))
        return body

    return enter


def all_rows() -> Sequence[Row]:
    """Every row there is, layer by layer, in the order in which the modules define them."""
    for module in _MODULES:
        importlib.import_module(module)
    order = {layer: place for place, layer in enumerate(LAYERS + STUDIES)}
    return sorted(_rows.values(), key=lambda row: order[row.layer])


def select(globs: Sequence[str]) -> Sequence[Row]:
    """The rows that match any of `globs`; with none, the four layers and not the studies.

    Raises `UnknownRowError` for a glob that matches nothing: a slip of the pen is no run.
    """
    rows = all_rows()
    if not globs:
        return [row for row in rows if row.layer in LAYERS]
    for glob in globs:
        if not any(fnmatchcase(row.name, glob) for row in rows):
            raise UnknownRowError(
                f"--only {glob!r} matches no benchmark: see `python -m benchmarks --list`"
            )
    return [row for row in rows if any(fnmatchcase(row.name, glob) for glob in globs)]
