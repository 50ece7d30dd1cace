"""For the interpreters that a program starts which runs under `python -m miniloop`.

That puts the folder of this file on PYTHONPATH, and each interpreter imports a `sitecustomize` when
it starts. We take the folder off the path again, wait until asyncio is imported, if ever, and hand
over to the `sitecustomize` that the interpreter would have had without us, or to none.

It may be any interpreter, Python 2 included. So this file is written in what they all understand,
and does nothing in one that is too old for miniloop.
"""

import os
import sys


def _wait_for_asyncio(swap):
    # The file is run, and not imported: that would import the package, and so asyncio.
    name = "miniloop.swap.imports"
    space = {"__name__": name}
    exec(type(__loader__)(name, os.path.join(swap, "imports.py")).get_code(name), space)

    def follow(module):
        if "miniloop" not in sys.modules:
            # By its place, and not by the path: there may be another package of that name.
            from importlib.util import module_from_spec, spec_from_file_location

            init = os.path.join(os.path.dirname(swap), "__init__.py")
            spec = spec_from_file_location("miniloop", init)
            sys.modules["miniloop"] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules["miniloop"])
        from miniloop.swap import imported

        imported(module)

    names = ("asyncio",) + space["LIBRARIES"]  # noqa: RUF005  # in Python 2, too
    sys.meta_path.insert(0, space["AfterImport"](follow, names))
    if "asyncio" in sys.modules:  # by a .pth file
        follow(sys.modules["asyncio"])


_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _here]
if sys.version_info >= (3, 11):
    try:
        _wait_for_asyncio(os.path.dirname(_here))
    except Exception as error:
        sys.stderr.write("python -m miniloop: not in process %d: %r\n" % (os.getpid(), error))

# If there is no other, `site` is to see the very error that tells it so.
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401
