"""Run by each interpreter that is started from a program under `python -m miniloop`.

That puts the folder of this file on PYTHONPATH, and each interpreter imports a `sitecustomize` when
it starts. We take the folder off the path again, wait until asyncio is imported, if ever, and hand
over to the `sitecustomize` that the interpreter would have had without us, or to none.

It may be any interpreter, Python 2 included. So this file is written in what they all understand,
and does nothing in one that is too old for miniloop.
"""
# mypy: ignore-errors
# ruff: noqa: UP031, UP036

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _here]
if sys.version_info >= (3, 11):
    _swap, _name = os.path.dirname(_here), "miniloop.swap.imports"
    _space = {"__name__": _name}
    try:
        # The file is run, and not imported: that would import the package, and so asyncio.
        _loader = type(__loader__)(_name, os.path.join(_swap, "imports.py"))
        exec(_loader.get_code(_name), _space)
        _space["follow_parent"](os.path.dirname(_swap))
    except Exception as error:
        sys.stderr.write("python -m miniloop: not in process %d: %r\n" % (os.getpid(), error))

# Now import the other one. If there is none, `site` must get the ImportError that says so.
_self = sys.modules.pop(__name__)  # kept, or Python 2 would empty it here
__import__(__name__)
