"""Runs the checks of one exercise on one file: a process of its own, started by the command.

It prints a line for each check that the solution passes, and ends with the first that it does not.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import sys
import threading
import traceback
import warnings
from pathlib import Path
from types import ModuleType

from miniloop.study.check.catalogue import EXERCISES
from miniloop.study.check.exercise import Wrong

__all__ = ["main"]


def main(number: int, path: Path) -> int:
    """Run the checks. Returns the exit code: 0 if the solution passes all of them."""
    try:
        solution = _load(path)
    except BaseException as error:
        _say(f"no   the file does not load: {_describe(error, path)}")
        return 1
    with warnings.catch_warnings():
        # Of ours, which a solution that is not written yet does not run.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        return _check(number, path, solution)


def _check(number: int, path: Path, solution: ModuleType) -> int:
    for check in EXERCISES[number].checks:
        sentence = (check.__doc__ or "").strip()
        try:
            check(solution)
        except Wrong as wrong:
            _say(f"no   {sentence}\n     {wrong}")
            return 1
        except BaseException as error:
            _say(f"no   {sentence}\n     it raised {_describe(error, path)}")
            return 1
        _say(f"yes  {sentence}")
    _say("Right, all of it.")
    return 0


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exercise", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _describe(error: BaseException, path: Path) -> str:
    """The exception, and the last line of the solution that it came through."""
    text = "".join(traceback.format_exception_only(error)).strip()
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == path.resolve()
    ]
    return f"{text} (line {lines[-1]} of {path.name})" if lines else text


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    faulthandler.enable()
    code = main(int(sys.argv[1]), Path(sys.argv[2]))
    if threading.active_count() > 1:  # of a solution that does not end: nobody waits for it
        import os

        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
