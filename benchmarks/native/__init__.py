"""What is written in C, so that the far end is never slower than what it measures.

The sources stand here as they are and are compiled when they are first needed, if the machine has a
C compiler; without one the same is done in Python, and the result says so. Neither file knows of
Python: they are given file descriptors and buffers, by `ctypes`, which lets go of the interpreter's
lock for the time of the call.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["CannotCompileError", "compiler", "library"]

FLAGS = ("-O2", "-Wall", "-Wextra", "-shared", "-fPIC")


class CannotCompileError(Exception):
    """There is no C compiler, or it refused the source."""


def compiler() -> str | None:
    """The C compiler of this machine: ``$CC``, or ``cc``."""
    return shutil.which(os.environ.get("CC", "cc"))


@functools.cache
def library(name: str) -> ctypes.CDLL:
    """The compiled ``native/NAME.c``. Raises `CannotCompileError`.

    It is kept in the user's directory for temporary files under a name that the source and the
    flags decide, so a second process does not compile it again.
    """
    source = Path(__file__).with_name(f"{name}.c")
    if (cc := compiler()) is None:
        raise CannotCompileError(f"no C compiler for {source.name}: install cc or set CC")
    digest = hashlib.sha256(source.read_bytes() + " ".join((cc, *FLAGS)).encode()).hexdigest()
    directory = Path(tempfile.gettempdir()) / f"miniloop-benchmarks-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise CannotCompileError(f"{directory} belongs to somebody else: remove it")
    target = directory / f"{name}-{digest[:16]}.so"
    if not target.exists():
        # Under a name of its own first: another process may be compiling the same file now.
        unfinished = target.with_suffix(f".{os.getpid()}")
        result = subprocess.run(
            [cc, *FLAGS, str(source), "-o", str(unfinished)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise CannotCompileError(f"{cc} refused {source.name}: {result.stderr.strip()}")
        unfinished.rename(target)
    return ctypes.CDLL(str(target), use_errno=True)
