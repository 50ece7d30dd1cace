"""What an event loop *is*: a ready queue, timers, a poller, futures and tasks.

Nothing here knows a protocol, an address, a certificate or a process, and nothing here imports
from `miniloop.net`, `miniloop.system` or `miniloop.loop`. Read in this order: `handle`, `timers`,
`poller`, `wakeup`, `scheduler`, `future`, `task`; then `debug`, which puts other classes in the
place of the usual ones. What these files ask of each other is in `contract`.

The nanoseconds in the comments are those of CPython 3.11; `python docs/decisions/hot_paths.py`
measures them on yours.

Invariant: an import in here leads to the kernel or to the standard library, and there is no circle.

The trap: the same sources may have been compiled (`COMPILED`). What a test or a tool replaces in a
module in Python may then be a field of C, which nobody looks up by its name.
"""

import os as _os
from importlib.machinery import EXTENSION_SUFFIXES as _SUFFIXES


def _find_build() -> str | None:
    """The folder of what was compiled for this Python, if it is to run: see miniloop/compiled."""
    if _os.environ.get("MINILOOP_PURE"):
        return None
    package = _os.path.dirname(_os.path.dirname(__file__))
    # Release, debug and free-threaded Pythons of one version have modules of different kinds.
    folder = _os.path.join(package, "compiled", "built", _SUFFIXES[0].split(".")[1])
    if not _os.path.isdir(folder):
        return None
    from miniloop.kernel.freshness import is_current

    if not is_current(package, folder):
        _warn(
            "miniloop was compiled from other files than are here now, and runs those in plain "
            "Python: 'make compiled' builds it again, 'make pure' removes what was built"
        )
        return None
    # All of them are loaded, or none.
    from importlib import import_module

    __path__.insert(0, _os.path.join(folder, "kernel"))
    try:
        import_module("miniloop.kernel.core")
    except ImportError as error:
        _warn(
            f"the compiled miniloop cannot be loaded here, and the files of Python run: {error}. "
            "MINILOOP_PURE=1 asks for them"
        )
        return None
    finally:
        del __path__[0]
    return folder


def _warn(message: str) -> None:
    import warnings

    warnings.warn(message, RuntimeWarning, stacklevel=3)


_build = _find_build()

COMPILED = _build is not None
"""Whether the kernel that runs is the compiled one."""


def built(package: str) -> list[str]:
    """The folder of what was compiled of `package`, if that runs.

    It comes before the package's own files in their `__path__`. With MINILOOP_PURE set, those of
    Python are imported, whatever was built.
    """
    return [] if _build is None else [_os.path.join(_build, package)]


__path__[:0] = built("kernel")
