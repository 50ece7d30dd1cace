"""The files of a command: looked at before anything is done, and none harmed by the look.

A list or an output need not be a file on a disk. To open a pipe means to wait for its other end,
and to close it again is news to whoever is there; so only regular files are opened to see whether
they can be.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from .output import FORMATS, Format

_STANDARD_INPUT = Path("/dev/stdin")
# Names of what is open already. To open it anew would start at the beginning of a file that the
# shell has opened for appending, so the descriptor itself is used.
_OPEN = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
# What looks more like a host, perhaps with a path, than like the name of a list.
_HOST = re.compile(
    r"(?!.*\.(?:txt|list|lst|csv|tsv)\Z)[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:/.*)?|localhost.*"
)
DEFAULT_OUTPUT = Path("foundurls.txt")


@dataclass(frozen=True, slots=True)
class Files:
    """The list, where the links go, and the summary: paths, or descriptors that are open.

    ``output`` is what the user calls ``found``.
    """

    urls: Path | list[str]
    output: Path
    found: Path | int
    summary: Path | int | None
    report: Path | int | None = None

    @property
    def name(self) -> str:
        """What to call the list."""
        if not isinstance(self.urls, Path):
            return "the command line"
        return "-" if self.urls == _STANDARD_INPUT else str(self.urls)

    def check_form(self, form: Format, *, goes_on: bool = False) -> None:
        """Raise OSError if that format cannot be written there, or not to what is there already."""
        if goes_on and isinstance(self.found, Path) and self.found.is_file():
            form.check(self.found)
        if not form.only_files:
            return
        if isinstance(self.found, int) or (self.found.exists() and not self.found.is_file()):
            raise OSError(
                f"{form.name} must be written to a file, not to {self.output}; formats for pipes"
                f" are {', '.join(name for name, each in FORMATS.items() if not each.only_files)}"
            )

    def write_summary(self, text: str) -> None:
        """Write the summary, if it is wanted in a file."""
        _write(self.summary, text)

    def write_report(self, text: str) -> None:
        """Write the report, if it is wanted."""
        _write(self.report, text)

    def keep_former_output(self) -> Path | None:
        """Rename what an earlier crawl wrote; returns its new name, or None if there is nothing.

        For an output that nobody asked for by name: what is in it may be wanted still.
        """
        if not self.output.is_file() or self.output.stat().st_size == 0:
            return None
        number = 1
        while (kept := self.output.with_name(f"{self.output.name}.{number}")).exists():
            number += 1
        return self.output.rename(kept)


def _write(target: Path | int | None, text: str) -> None:
    if isinstance(target, Path):
        target.write_text(text, encoding="utf-8")
    elif target is not None:
        with open(target, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)


def check_files(
    urls: Path | list[str],
    output: Path | None,
    summary: Path | None,
    report: Path | None = None,
    state: Path | None = None,
    *,
    apart: bool = False,
) -> Files:
    """Raise OSError, in words, for a list that cannot be read or an output that makes no sense.

    ``apart`` says that nothing is written to the output itself, but to files beside it.
    """
    _check_different(
        {"output": output or DEFAULT_OUTPUT, "summary": summary, "report": report, "state": state}
    )
    if urls == Path("-"):
        urls = _STANDARD_INPUT
    output = output or DEFAULT_OUTPUT
    listed = None
    if isinstance(urls, Path):
        try:
            listed = _check_readable(urls)
        except OSError as error:
            text = f"cannot read the list of URLs {urls}: {error.strerror}"
            if isinstance(error, FileNotFoundError) and _HOST.fullmatch(str(urls)):
                text += f"; if it is a page, write https://{urls}"
            raise OSError(text) from error
    found = _opened(output)
    summed = None if summary is None else _opened(summary)
    drawn = None if report is None else _opened(report)
    for name, shown, target in (
        ("output", output, found),
        ("summary", summary, summed),
        ("report", report, drawn),
    ):
        if target is None:
            continue
        try:
            written = os.stat(target)
        except FileNotFoundError:
            written = None
        except OSError as error:
            raise OSError(f"cannot write {shown}: {error.strerror}") from error
        if written is None or listed is None or not stat.S_ISREG(written.st_mode):
            pass
        elif _same(written, listed):
            raise OSError(f"the {name} {shown} is the list of URLs itself")
        try:
            if apart and target is found and isinstance(target, Path):
                _check_room_beside(target)
            else:
                _check_writable(target, written)
        except OSError as error:
            raise OSError(f"cannot write {shown}: {error.strerror}") from error
    return Files(urls, output, found, summed, drawn)


def _check_different(files: dict[str, Path | None]) -> None:
    """No two of them are one file: each would destroy what the other says."""
    names: dict[Path, str] = {}
    for name, path in files.items():
        if path is None or _opened(path) != path or (path.exists() and not path.is_file()):
            continue
        other = names.setdefault(path.resolve(), name)
        if other != name:
            raise OSError(f"the {other} and the {name} are the same file, {path}")


def _opened(path: Path) -> Path | int:
    """The path, or the descriptor that it is a name of."""
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _OPEN.get(str(path), path)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _check_readable(path: Path) -> os.stat_result:
    status = path.stat()
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        path.open("rb").close()
    elif not os.access(path, os.R_OK):
        raise PermissionError(0, "Permission denied")
    return status


def _check_room_beside(target: Path) -> None:
    folder = target.absolute().parent
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(0, "Not a directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "Permission denied")


def _check_writable(target: Path | int, status: os.stat_result | None) -> None:
    if isinstance(target, int):
        return  # it is open; fstat has just said so
    if status is None or stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        target.open("ab").close()
    elif not os.access(target, os.W_OK):
        raise PermissionError(0, "Permission denied")
