"""python -m miniloop.study: look at a recording, made by `python -m miniloop --record FILE`.

Or have the solution of one of the tour's exercises checked.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miniloop.study.causes import Story
from miniloop.study.check.command import add_command
from miniloop.study.difference import difference
from miniloop.study.file import NoRecording
from miniloop.study.perfetto import trace
from miniloop.study.reading import read


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say. Returns the exit code."""
    chosen = _parse(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names in a program may have letters that the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(chosen.run(chosen))
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        sys.stdout = None  # nothing more is to be flushed
        return 0
    except (OSError, NoRecording, IndexError) as error:
        sys.stderr.write(f"python -m miniloop.study: {error}\n")
        return 2


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def _show(chosen: argparse.Namespace) -> int:
    from miniloop.study.page import write

    path = chosen.output
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="miniloop-")) / (chosen.file.stem + ".html")
    write(read(chosen.file), path)
    _say(path)
    if chosen.output is None:
        webbrowser.open(path.absolute().as_uri())
    return 0


def _why(chosen: argparse.Namespace) -> int:
    story = Story(read(chosen.file).model())
    first, *rest = story.why(chosen.step)
    _say(first)
    for sentence in rest:
        _say(f"  because {sentence}")
    return 0


def _turns(chosen: argparse.Namespace) -> int:
    model = read(chosen.file).model()
    found = False
    for line in Story(model).turns():
        found = True
        _say(line)
    _say(f"ended: {model['ended']}" if found else f"no turn of a loop, ended: {model['ended']}")
    return 0


def _late(chosen: argparse.Namespace) -> int:
    found = Story(read(chosen.file).model()).lateness.report()
    for line in found or ["no step held the loop, and no timer was late"]:
        _say(line)
    return 0


def _perfetto(chosen: argparse.Namespace) -> int:
    text = json.dumps(trace(read(chosen.file).model()))
    path = chosen.output or chosen.file.with_suffix(".perfetto.json")
    path.write_text(text, encoding="utf-8")
    _say(f"{path}: open it at https://ui.perfetto.dev")
    return 0


def _diff(chosen: argparse.Namespace) -> int:
    one, other = read(chosen.file).model(), read(chosen.other).model()
    found = difference(one, other)
    _say("every step is the same" if found is None else found)
    return 0 if found is None else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m miniloop.study", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.add_argument("file", type=Path, metavar="FILE", help="the recording")
        added.set_defaults(run=run)
        return added

    show = command("show", _show, "make the page and open it in a browser")
    show.add_argument("-o", "--output", type=Path, help="only write the page there")
    why = command("why", _why, "why a step ran: the chain of its causes")
    why.add_argument("step", type=int, metavar="STEP", help="its number, as turns and the page say")
    command("turns", _turns, "what each turn of the loop found and ran")
    command("late", _late, "what held the loop, and which timers were late for it")
    perfetto = command("perfetto", _perfetto, "a trace for ui.perfetto.dev, with arrows")
    perfetto.add_argument("-o", "--output", type=Path, help="where (FILE.perfetto.json)")
    diff = command("diff", _diff, "the first step at which two recordings part, and why")
    diff.add_argument("other", type=Path, metavar="OTHER", help="a recording of the same program")
    add_command(commands)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
