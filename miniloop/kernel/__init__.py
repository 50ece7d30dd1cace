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
import sys as _sys


def _find_build() -> str | None:
    """The folder of what was compiled for this Python, if it is to run: see miniloop/compiled."""
    if _os.environ.get("MINILOOP_PURE"):
        return None
    package = _os.path.dirname(_os.path.dirname(__file__))
    folder = _os.path.join(package, "compiled", "built", str(_sys.implementation.cache_tag))
    if not _os.path.isdir(folder):
        return None
    from miniloop.kernel.freshness import is_current

    if is_current(package, folder):
        return folder
    import warnings

    warnings.warn(
        "miniloop was compiled from other files than are here now, and runs those in plain Python: "
        "'make compiled' builds it again, 'make pure' removes what was built",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


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
