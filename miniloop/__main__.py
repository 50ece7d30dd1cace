"""python -m miniloop script.py args… | -m module args… | -c code args… | -: a program on this loop.

The program is not changed and need not know: however it makes its loop, by `asyncio.run`, by the
name of a class, by uvloop, it gets a miniloop, and so do the processes that it starts. It sees its
own `sys.argv`, and its exit code and tracebacks are its own. `miniloop.swap` says how.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
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
  --replay FILE  follow the schedule in FILE, which a failed test of miniloop.testing has left
  --strict       to ask for another loop by its name, such as uvloop, is an error
  -v, --verbose  tell at exit which loops ran, in which process
  --debug        run the loop in asyncio's debug mode
  --record FILE  record what the loop does; look at FILE with python -m miniloop.study,
                 or, if its name ends in .html, in a browser
  --last N       keep the last N turns only, and write them at the end and on SIGUSR2
  --version      print the version and exit
  -h, --help     print this text and exit

Options of the interpreter itself, such as -X and -W, stand before -m miniloop.
"""


def main(arguments: list[str]) -> None:
    """Run what the arguments name. Raises SystemExit(2) for bad usage."""
    rest = list(arguments)
    asked: dict[str, Any] = {}  # of the settings
    verbose = False
    replayed: str | None = None  # the file of a schedule
    record: str | None = None
    last: int | None = None
    while rest and rest[0].startswith("-") and rest[0] != "-":
        option = rest.pop(0)
        if option == "--debug":
            # asyncio and everything below it read this when a loop is made.
            os.environ["PYTHONASYNCIODEBUG"] = "1"
        elif option == "--strict":
            asked["strict"] = True
        elif option in ("-v", "--verbose"):
            verbose = True
        elif option.partition("=")[0] == "--replay":
            replayed = _value(option, rest, "a file")
        elif option == "--deadlock":
            asked["deadlock"] = True
        elif option.partition("=")[0] == "--dump-signal":
            asked["dump_signal"] = _signal(_value(option, rest, "a signal, such as USR1"))
        elif option in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return
        elif option == "--version":
            sys.stdout.write(
                f"miniloop {miniloop.__version__}{' (compiled)' if miniloop.COMPILED else ''} "
                f"on Python {sys.version.split()[0]}\n"
            )
            return
        elif option.partition("=")[0] == "--record":
            record = _value(option, rest, "the name of a file")
        elif option.partition("=")[0] == "--last":
            last = _number(_value(option, rest, "a number of turns"))
        elif option[:2] in ("-m", "-c"):
            if len(option) > 2:  # -mmodule, as python has it
                rest.insert(0, option[2:])
            if not rest:
                _refuse("-m wants the name of a module" if option == "-m" else "-c wants code")
            _take_over(asked, verbose, replayed)
            with _recording(record, last, [option[:2], *rest]):
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
        _take_over(asked, verbose, replayed)
        with _recording(record, last, rest):
            program.run_standard_input(rest[1:])
        return
    if not os.path.exists(rest[0]):
        _refuse(f"can't open file {rest[0]!r}: no such file")
    _take_over(asked, verbose, replayed)
    with _recording(record, last, rest):
        program.run_script(rest)


def _value(option: str, rest: list[str], what: str) -> str:
    """The value of an option: behind an equals sign, or the next argument."""
    name, equals, value = option.partition("=")
    if not equals and rest:
        value = rest.pop(0)
    if not value:
        _refuse(f"{name} wants {what}")
    return value


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        _refuse(f"--last wants a number of turns, 1 or more, got {text!r}")
    return int(text)


def _recording(
    path: str | None, last: int | None, words: list[str]
) -> AbstractContextManager[object]:
    if path is None:
        if last is not None:
            _refuse("--last goes with --record")
        return nullcontext()
    from miniloop.study.whole_program import record_program  # most programs are not recorded

    try:
        return record_program(path, last=last, program=shlex.join(words))
    except (OSError, RuntimeError) as error:
        _refuse(f"cannot record: {error}")


def _take_over(asked: dict[str, Any], verbose: bool, replayed: str | None) -> None:
    wanted = settings.in_force()  # by the parent process, if that runs on miniloop too
    wanted = replace(wanted, **asked)
    if verbose:
        wanted = replace(wanted, report=report.new_file(), main=os.getpid())
    take_over(wanted)
    if replayed is not None:
        from miniloop.testing.replay_program import replay_in_this_process

        try:
            replay_in_this_process(replayed)
        except (OSError, ValueError) as error:
            _refuse(f"--replay: {error}")


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
    usage, _, _ = USAGE.partition("\n\n")  # without the options, which would hide the reason
    sys.stderr.write(f"{usage}\npython -m miniloop: {reason} (--help tells the options)\n")
    raise SystemExit(2)


if __name__ == "__main__":
    # `python -m` has put the current directory at the front of the path; the program would not
    # have it there.
    if sys.path and not sys.flags.safe_path:
        del sys.path[0]
    main(sys.argv[1:])
