"""Whether a test does the same in another process, where strings have other hashes.

The order of a set of strings is the same in all runs of one process, and differs between processes
unless PYTHONHASHSEED is set. So two processes are started, with two hash seeds, and each writes
down what the test does in plain FIFO order.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import runpy
import subprocess
import sys
from typing import Any

from miniloop.testing.execution import Settings, Test, execute, prepared
from miniloop.testing.schedule import Schedule
from miniloop.testing.trace import Tracing

__all__ = ["difference_between_processes"]

_CHILD = "from miniloop.testing.other_processes import _write_what_it_does as w; w()"


def difference_between_processes(test: Test, settings: dict[str, Any]) -> str | None:
    """Where the runs of two processes with other hashes differ, in words.

    Raises ValueError if another process cannot find the test, or it fails before it has run.
    """
    module, name = getattr(test, "__module__", None), getattr(test, "__qualname__", "")
    if module is None or not name or "<" in name:
        raise ValueError(f"another process can only find a function of a module, got {test!r}")
    space = vars(sys.modules[module])
    job = {
        "module": module,
        "file": space.get("__file__"),
        "name": name,
        "path": sys.path,
        "settings": settings,
    }
    one, other = (_steps_of(job, seed) for seed in ("1", "2"))
    for number, (first, second) in enumerate(zip(one, other, strict=False), 1):
        if first != second:
            return f"step {number} of two processes differs: {first}, then {second}"
    if len(one) != len(other):
        return f"one process runs {len(one)} steps, and another one {len(other)}"
    return None


def _steps_of(job: dict[str, Any], hash_seed: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(job),
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise ValueError(f"another process cannot run {job['name']}:\n{run.stderr.strip()[-2000:]}")
    steps: list[str] = json.loads(run.stdout.splitlines()[-1])
    return steps


def _write_what_it_does() -> None:
    """In the other process: run the test, and write its steps as the last line."""
    job = json.load(sys.stdin)
    sys.path[:] = job["path"]
    test: Any = _find(job["module"], job["file"], job["name"])
    settings = Settings(**job["settings"])
    tracing = Tracing(Schedule(), lateness=settings.lateness)
    with prepared(settings):
        execute(test, tracing, settings)
    steps = [step.in_words() for step in tracing.trace.steps]
    sys.stdout.write(f"\n{json.dumps(steps)}\n")


def _find(module: str, file: str | None, name: str) -> Any:
    found: Any
    if module == "__main__" and file is not None:
        # As multiprocessing does it: what stands below `if __name__ == "__main__"` is not run.
        first, *rest = name.split(".")
        found = runpy.run_path(file, run_name="__mp_main__")[first]
    else:
        try:
            found = importlib.import_module(module)
        except ImportError:  # a test's file, say, which pytest has imported in its own way
            spec = importlib.util.spec_from_file_location(module, file or "")
            if spec is None or spec.loader is None:
                raise
            found = sys.modules[module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
        rest = name.split(".")
    for part in rest:
        found = getattr(found, part)
    return found
