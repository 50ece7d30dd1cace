"""What an event loop *is*: a ready queue, timers, a poller, futures and tasks.

Nothing here knows a protocol, an address, a certificate or a process, and nothing here imports
from `miniloop.net`, `miniloop.system` or `miniloop.loop`. Read in this order: `handle`, `timers`,
`poller`, `wakeup`, `scheduler`, `future`, `task`; then `debug`, which puts other classes in the
place of the usual ones. What these files ask of each other is in `contract`.

The nanoseconds in the comments are those of CPython 3.11; `python docs/decisions/hot_paths.py`
measures them on yours.
"""

import os as _os

# Whether what follows is imported from a compiled build: see miniloop/compiled. MINILOOP_PURE=1
# takes the files beside this one, whatever was built.
COMPILED = False

if not _os.environ.get("MINILOOP_PURE"):
    _built = _os.path.join(_os.path.dirname(__file__), _os.pardir, "compiled", "built", "kernel")
    if _os.path.isdir(_built):
        __path__.insert(0, _built)
        COMPILED = True
