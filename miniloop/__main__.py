"""python -m miniloop script.py args… | -m module args… | -c code args… | -: a program on this loop.

The program is not changed and need not know: however it makes its loop, by `asyncio.run`, by the
name of a class, by uvloop, it gets a miniloop, and so do the processes that it starts. It sees its
own `sys.argv`, and its exit code and tracebacks are its own. `miniloop.swap` says how.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from typing import Any, NoReturn

import miniloop
from miniloop.swap import program, report, settings, take_over

USAGE = """\
usage: python -m miniloop [option ...] script.py [argument ...]
       python -m miniloop [option ...] -m module [argument ...]
       python -m miniloop [option ...] -c code [argument ...]
       python -m miniloop [option ...] - [argument ...]

Run an asyncio program, unchanged, on miniloop: a script, a module, a piece of code, or what comes
from standard input. Processes that it starts run on miniloop as well.

  --deadlock     raise EverybodyWaits, with who waits for whom, instead of sleeping for ever
  --dump-signal NAME
                 on this signal (USR1, say), write who waits for whom to standard error
  --strict       to ask for another loop by its name, such as uvloop, is an error
  -v, --verbose  tell at exit which loops ran, in which process
  --debug        run the loop in asyncio's debug mode
  --version      print the version and exit
  -h, --help     print this text and exit

Options of the interpreter itself, such as -X and -W, stand before -m miniloop.
"""


def main(arguments: list[str]) -> None:
    """Run what the arguments name. Raises SystemExit(2) for bad usage."""
    rest = list(arguments)
    asked: dict[str, Any] = {}  # of the settings
    verbose = False
    while rest and rest[0].startswith("-") and rest[0] != "-":
        option = rest.pop(0)
        if option == "--debug":
            # asyncio and everything below it read this when a loop is made.
            os.environ["PYTHONASYNCIODEBUG"] = "1"
        elif option == "--strict":
            asked["strict"] = True
        elif option in ("-v", "--verbose"):
            verbose = True
        elif option == "--deadlock":
            asked["deadlock"] = True
        elif option.partition("=")[0] == "--dump-signal":
            asked["dump_signal"] = _signal(option.partition("=")[2] or "".join(rest[:1]))
            if "=" not in option:
                del rest[:1]
        elif option in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return
        elif option == "--version":
            sys.stdout.write(
                f"miniloop {miniloop.__version__} on Python {sys.version.split()[0]}\n"
            )
            return
        elif option[:2] in ("-m", "-c"):
            if len(option) > 2:  # -mmodule, as python has it
                rest.insert(0, option[2:])
            if not rest:
                _refuse("-m wants the name of a module" if option == "-m" else "-c wants code")
            _take_over(asked, verbose)
            if option[:2] == "-m":
                program.run_module(rest)
            else:
                program.run_code(rest[0], rest[1:])
            return
        elif option == "--":
            break
        else:
            _refuse(f"unknown option {option}")
    if not rest:
        _refuse("nothing to run")
    if rest[0] == "-":
        _take_over(asked, verbose)
        program.run_standard_input(rest[1:])
        return
    if not os.path.exists(rest[0]):
        _refuse(f"can't open file {rest[0]!r}: no such file")
    _take_over(asked, verbose)
    program.run_script(rest)


def _take_over(asked: dict[str, Any], verbose: bool) -> None:
    wanted = settings.in_force()  # by whoever started this program, if that runs under us too
    wanted = replace(wanted, **asked)
    if verbose:
        wanted = replace(wanted, report=report.new_file(), main=os.getpid())
    take_over(wanted)


def _signal(name: str) -> int:
    """The number of the signal called `USR1`, `SIGUSR1` or `10`, if a program can catch it."""
    try:
        if name.isdecimal():
            number = signal.Signals(int(name))
        else:
            full = name.upper()
            number = signal.Signals[full if full.startswith("SIG") else f"SIG{full}"]
    except (KeyError, ValueError):
        _refuse(f"--dump-signal wants a signal, such as USR1, got {name!r}")
    if number in (signal.SIGKILL, signal.SIGSTOP):
        _refuse(f"--dump-signal: no program can catch {number.name}")
    return number


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"{USAGE}\npython -m miniloop: {reason}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    # `python -m` has put the current directory at the front of the path; the program would not
    # have it there.
    if sys.path and not sys.flags.safe_path:
        del sys.path[0]
    main(sys.argv[1:])
