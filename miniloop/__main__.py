"""python -m miniloop [--debug] script.py args… | -m module args…: a program on this loop.

The program is not changed and need not know: whether it gets its loop by `asyncio.run`, `Runner`,
`new_event_loop` or `get_event_loop`, it gets a miniloop. It sees its own `sys.argv`, and its exit
code and tracebacks are its own. Only a program that makes a loop by the name of its class, as
uvicorn does with `asyncio.SelectorEventLoop` unless told `--loop none`, keeps the one it has named.

Up to Python 3.15 the event loop policy decides what all of these make. From 3.16 on there are no
policies, and `asyncio.new_event_loop`, which they all call, is replaced instead.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
from typing import NoReturn

import miniloop

USAGE = """\
usage: python -m miniloop [--debug] script.py [argument ...]
       python -m miniloop [--debug] -m module [argument ...]

Run an asyncio program, unchanged, on miniloop.

  --debug    run the loop in asyncio's debug mode
  -m module  run a module, as python -m does
  --version  print the version and exit
  --help     print this text and exit
"""


def main(arguments: list[str]) -> None:
    """Run what the arguments name. Raises SystemExit(2) for bad usage."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--debug":
            # asyncio and everything below it read this when a loop is made.
            os.environ["PYTHONASYNCIODEBUG"] = "1"
        elif option in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return
        elif option == "--version":
            sys.stdout.write(
                f"miniloop {miniloop.__version__} on Python {sys.version.split()[0]}\n"
            )
            return
        elif option == "-m":
            if not rest:
                _refuse("-m wants the name of a module")
            use_miniloop_everywhere()
            _run_module(rest)
            return
        elif option == "--":
            break
        else:
            _refuse(f"unknown option {option}")
    if not rest:
        _refuse("nothing to run")
    use_miniloop_everywhere()
    _run_script(rest)


def use_miniloop_everywhere() -> None:
    """Have every way to get a loop in this process give a miniloop."""
    if sys.version_info < (3, 16):
        miniloop.install()
    else:
        asyncio.new_event_loop = asyncio.events.new_event_loop = miniloop.new_event_loop


def _run_module(words: list[str]) -> None:
    sys.argv = words
    sys.path.insert(0, os.getcwd())
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def _run_script(words: list[str]) -> None:
    script = words[0]
    if not os.path.exists(script):
        _refuse(f"can't open file {script!r}: no such file")
    sys.argv = words
    # A script finds the modules beside it; a directory or a zip file is put on the path by runpy.
    if os.path.isfile(script):
        sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    runpy.run_path(script, run_name="__main__")


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"{USAGE}\npython -m miniloop: {reason}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    # `python -m` has put the current directory at the front of the path; the program would not
    # have it there.
    if sys.path and not sys.flags.safe_path:
        del sys.path[0]
    main(sys.argv[1:])
