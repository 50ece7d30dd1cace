"""What stands in for what under `python -m miniloop`, in this process and in those that it starts.

Nothing here is loaded by `import miniloop`; a program must be started by `python -m miniloop`.

* `names.py`: the loop classes of asyncio, by every name that they have.
* `foreign.py`: uvloop and similar libraries, where they are installed.
* `replacement.py`: which of these two acts on which module.
* `imports.py`: acts as soon as a module has been imported, and not before.
* `inherited/`: a folder for PYTHONPATH. Interpreters that the program starts find a
  `sitecustomize` there, and do the same. `environment.py` hands it on.
* `settings.py`: what the user asked for, and how children learn of it.
* `report.py`: `-v`, which loops ran.
* `watching.py`: `--deadlock` and `--dump-signal`, what is put into each loop.
* `program.py`: runs a script, a module or a piece of code as `python` does.

There are three kinds of children. A forked one inherits everything from its parent. A spawned one,
and any other interpreter, inherits the environment, and the folder in it. One that is started with
`-E`, `-I` or `-S`, or with an environment made from nothing, does not look there, and keeps its own
loops.
"""

from __future__ import annotations

import sys

from miniloop.swap import environment, report, settings
from miniloop.swap.imports import LIBRARIES, AfterImport
from miniloop.swap.replacement import imported

__all__ = ["take_over"]


def take_over(wanted: settings.Settings) -> None:
    """Have every way to get a loop give a miniloop, here and in the processes started from here.

    Says on standard error if interpreters started from here will not inherit it.
    """
    settings.put_in_force(wanted)
    sys.meta_path.insert(0, AfterImport(imported, LIBRARIES))
    for name in ("asyncio", *LIBRARIES):
        if name in sys.modules:
            imported(sys.modules[name])
    environment.pass_on()
    if sys.flags.ignore_environment or sys.flags.no_site:
        report.say("with -E, -I or -S, interpreters that the program starts keep their own loops")
