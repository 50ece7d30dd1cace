"""Drawing the report of a crawl, at its end or later from what it wrote: ``crawler report FILE``.

Exit codes of the command: 0 it was drawn, 2 bad usage, a file that cannot be read included, 3 it
could not be written.
"""

import contextlib
import json
import shlex
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .arguments import Parser
from .files import Files
from .frontier.reasons import reason
from .http.trace import STEPS
from .merging import merge
from .output import FIELDS, Format, Record, format_for
from .progress import say
from .report import About, Reporter, Tally, render, without_secret
from .summary import Summary

DRAWN, BAD_USAGE, NOT_WRITTEN = 0, 2, 3
# Files, and how much of each counts.
Parts = Sequence[tuple[Path, int]]


def draw(
    reporter: Reporter,
    files: Files,
    summary: Summary,
    *,
    form: Format,
    partly: bool,
    parts: Parts | None = None,
) -> None:
    """Write the report of a crawl that has just ended; raises OSError.

    ``partly`` says that the reporter knows a part of it only: it was gone on with, or others were
    at it as well. It is drawn as a whole then if what it wrote are records that can be read.
    ``parts`` are the files of all workers, if each has its own.
    """
    tally = reporter.tally
    notes: list[str] = []
    if parts is not None:
        tally, notes = tally_of(parts, form.name)
        partly = False
    elif partly and can_be_drawn(form) and isinstance(files.found, Path):
        try:
            tally = _tally(files.found, form.name)
            partly = False
        except (ValueError, sqlite3.Error) as error:
            raise OSError(f"{files.output} cannot be read again: {reason(error)}") from error
    urls = files.urls
    if isinstance(urls, Path):
        what = f"the URLs in {files.name}"
    else:
        what = without_secret(urls[0]) + (f" and {len(urls) - 1} more" if len(urls) > 1 else "")
    notes += ["Only what was done since the crawl was gone on with."] * partly
    notes += ["The crawl was interrupted."] * summary.interrupted
    command = shlex.join(["crawler", *map(without_secret, sys.argv[1:])])
    about = About(what, command, summary.seconds, " ".join(notes))
    files.write_report(render(tally, about))


def tally_of(parts: Parts, form: str) -> tuple[Tally, list[str]]:
    """All that workers have written, each page counted once, and what there is to note about it.

    Raises OSError. Files that are not here are left out.
    """
    here = [(path, length) for path, length in parts if length and path.exists()]
    missing = sum(1 for _, length in parts if length) - len(here)
    text = f"Without {missing} files of workers on other machines."
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, f"all.{form}")
        merge(here, whole, form)
        try:
            return _tally(whole, form), [text] * bool(missing)
        except ValueError as error:
            raise OSError(f"the workers' files cannot be read again: {error}") from error


def can_be_drawn(form: Format) -> bool:
    """Whether a crawl can be drawn from what it wrote in this format."""
    return form.name in _READABLE


def report(arguments: Sequence[str]) -> int:
    """Run the command ``crawler report`` and return its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        form = format_for(options.records)
        if not can_be_drawn(form):
            raise ValueError("its name must end in .jsonl, .json, .db or .sqlite")
        tally = _tally(options.records, form.name)
    except (OSError, ValueError, sqlite3.Error) as error:
        if isinstance(error, OSError):
            error.filename = None
        say(f"{parser.prog}: error: cannot read {options.records}: {reason(error)}", sys.stderr)
        return BAD_USAGE
    about = About(f"the URLs in {options.records.name}", took=tally.lasted)
    try:
        options.output.write_text(render(tally, about), encoding="utf-8")
    except OSError as error:
        say(f"{parser.prog}: cannot write {options.output}: {error.strerror}", sys.stderr)
        return NOT_WRITTEN
    return DRAWN


def make_parser() -> Parser:
    """The parser of the command's arguments."""
    parser = Parser(
        prog="crawler report",
        description="Draw a crawl from the records that it wrote, all of its parts together.",
    )
    parser.add_argument(
        "records", type=Path, metavar="FILE", help="what was written as jsonl or sqlite"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="where to write the page (default: %(default)s)",
    )
    return parser


def _tally(path: Path, form: str) -> Tally:
    """The records in a file, counted; raises OSError, ValueError or sqlite3.Error."""
    tally = Tally()
    for record in _READABLE[form](path):
        tally.add(record)
    return tally


def _lines(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            yield _record(line, number)


def _record(line: str, number: int) -> Record:
    try:
        fields = json.loads(line)
        return Record(**{name: fields[name] for name in FIELDS})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"line {number} is no record: {error}") from error


def _rows(path: Path) -> Iterator[Record]:
    own = [name for name in FIELDS if name not in ("links", "timings")]
    columns = ", ".join([*own, *STEPS])
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    ) as database:
        pages = database.execute(f"select id, {columns} from pages order by time + seconds")
        for number, *values in pages:
            fields = dict(zip(own, values, strict=False))
            fields["redirects"] = json.loads(fields["redirects"])
            fields["flags"] = json.loads(fields["flags"])
            steps = zip(STEPS, values[len(own) :], strict=True)
            links = database.execute(
                "select url from links where page = ? order by position", (number,)
            )
            yield Record(
                **fields,
                timings={name: seconds for name, seconds in steps if seconds is not None},
                links=[url for (url,) in links],
            )


_READABLE = {"jsonl": _lines, "sqlite": _rows}
