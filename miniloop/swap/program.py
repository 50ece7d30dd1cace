"""Run a script, a module or a piece of code as `python` itself does.

The program is `__main__`, a module of its own that stays in `sys.modules`, so that threads, exit
handlers, `pickle` and `multiprocessing` find it there. Its arguments and its path are what they are
without us, and tracebacks begin with its first line.
"""

from __future__ import annotations

import builtins
import io
import linecache
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

__all__ = ["run_code", "run_module", "run_script", "run_standard_input"]

_former: list[ModuleType] = []


def run_script(words: list[str]) -> None:
    """`python script.py arguments…`: a source or compiled file, or a folder or zip file to run."""
    script = words[0]
    sys.argv = words
    path = os.path.join(_current_folder(), script)  # as it is written, dots and all
    if pkgutil.get_importer(script) is not None:  # a folder or a zip file
        sys.path.insert(0, path)
        _new_main()
        with _TracebackOfTheProgram():
            _run_as_main("__main__", False)
        return
    # What lies beside the script itself is found, and not what lies beside a link to it.
    _put_on_path(os.path.dirname(os.path.realpath(script)))
    if script.endswith(".pyc"):
        compiled = SourcelessFileLoader("__main__", path)
        space = _new_main(compiled, path)
        with _TracebackOfTheProgram():
            exec(compiled.get_code("__main__") or "", space)
        return
    space = _new_main(SourceFileLoader("__main__", path), path)
    with io.open_code(path) as file:
        source = file.read()
    with _TracebackOfTheProgram():
        exec(compile(source, path, "exec", dont_inherit=True), space)


def run_module(words: list[str]) -> None:
    """`python -m module arguments…`."""
    sys.argv = ["-m", *words[1:]]
    _put_on_path(_current_folder())
    _new_main()
    with _TracebackOfTheProgram():
        _run_as_main(words[0], True)


def run_code(text: str, arguments: list[str]) -> None:
    """`python -c text arguments…`."""
    sys.argv = ["-c", *arguments]
    _put_on_path("")
    space = _new_main(BuiltinImporter)
    with _TracebackOfTheProgram():
        code = compile(text, "<string>", "exec", dont_inherit=True)
        _show_lines_of(code, text)
        exec(code, space)


def run_standard_input(arguments: list[str]) -> None:
    """`python - arguments…`: a program from standard input, or a conversation with a terminal."""
    sys.argv = ["-", *arguments]
    _put_on_path("")
    space = _new_main(BuiltinImporter, "<stdin>")
    if sys.stdin.isatty():
        import code

        code.interact(local=space, exitmsg="")
        return
    source = sys.stdin.buffer.read()
    with _TracebackOfTheProgram():
        exec(compile(source, "<stdin>", "exec", dont_inherit=True), space)


# What the interpreter itself calls for `-m`, for a folder and for a zip file.
_run_as_main: Callable[[str, bool], object] = vars(runpy)["_run_module_as_main"]


def _show_lines_of(code: CodeType, text: str) -> None:
    """Have tracebacks show the lines of a text, as they do from Python 3.13 on."""
    if "_interactive_cache" in vars(linecache):
        vars(linecache)["_register_code"](code, text, "<string>")
    elif sys.version_info >= (3, 13):  # its first releases
        linecache.cache["<string>"] = (len(text), None, text.splitlines(True), "<string>")


def _new_main(loader: Any = None, file: str | None = None) -> dict[str, Any]:
    """Make an empty `__main__`, as the interpreter does, and give its names."""
    _former.append(sys.modules["__main__"])  # whose functions are running
    main = sys.modules["__main__"] = ModuleType("__main__")
    space = vars(main)
    space.update(__builtins__=builtins, __loader__=loader)
    if sys.version_info < (3, 14):
        space["__annotations__"] = {}
    if file is not None:
        space["__file__"] = file
        if sys.version_info < (3, 15):
            space["__cached__"] = None
    return space


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return ""


def _put_on_path(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path.insert(0, folder)


class _TracebackOfTheProgram:
    """Has an exception that ends the program shown without the frames that started it.

    The exception must go on as it is: the interpreter makes the exit code of it, and that of Ctrl-C
    is a signal. So the frames are taken off by the hook that shows it.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
            traceback = traceback.tb_next
        programs_hook = sys.excepthook

        def show(kind: type[BaseException], value: BaseException, whole: Any) -> None:
            sys.excepthook = programs_hook
            if value is error:
                whole = sys.last_traceback = value.__traceback__ = traceback
            programs_hook(kind, value, whole)

        sys.excepthook = show
