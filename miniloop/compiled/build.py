"""Build the compiled kernel: specialise, translate to C, compile.

    python -m miniloop.compiled.build

puts the extension modules for this Python into `miniloop/compiled/built`, from where
`import miniloop` takes them.
It needs Cython and a C compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Collection
from contextlib import redirect_stderr
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TextIO

from miniloop.compiled.rewrites import IDEAS, LATE, MODULES, REWRITES
from miniloop.compiled.specialise import Slots, specialise
from miniloop.kernel.freshness import RECORD, record

HERE = Path(__file__).parent
PACKAGE = HERE.parent
BUILT = HERE / "built" / EXTENSION_SUFFIXES[0].split(".")[1]

# What Cython warns of and what is meant, with the modules where it is.
EXPECTED = {
    # The fields have their types of C from the .pxd. The annotations are for people and mypy.
    "Annotation ignored since class-level attributes must be Python objects. "
    "Were you trying to set up an instance attribute?": {
        "kernel.future",
        "kernel.task",
    },
    # Cython cannot write `Callable[[*Ts], object]` down: `inspect.signature` shows <???> for it.
    "Failed to convert code to string representation in annotation": {"kernel.scheduler"},
}
WARNING = re.compile(r"warning: miniloop/(\w+)/(\w+)\.pyx?:\d+:\d+: (.*)\n")


class Unexpected(io.TextIOBase):
    """Where Cython writes what it has to say, line by line: passes on what is not `EXPECTED`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str, /) -> int:
        """Pass on what is not expected."""
        found = WARNING.fullmatch(line)
        if not found or f"{found[1]}.{found[2]}" not in EXPECTED.get(found[3], ()):
            self._stream.write(line)
        return len(line)


def prepare(folder: Path, without: Collection[str] = ()) -> dict[str, list[int]]:
    """Write the specialised sources with their declarations. Gives the origin of their lines.

    `without` has names of ideas of the table that are left out.
    """
    origins = {}
    root = folder / "miniloop"
    for package in (root, root / "kernel", root / "net"):
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
    for module in MODULES:
        place, name = module.split(".")
        declared = root / place / f"{name}.pxd"
        if (HERE / declared.name).exists():
            shutil.copy(HERE / declared.name, declared)
        if (HERE / f"{name}.pyx").exists():
            shutil.copy(HERE / f"{name}.pyx", root / place)
            continue
        source = PACKAGE / place / f"{name}.py"
        rewrites = [
            rewrite
            for rewrite in REWRITES
            if rewrite.module == module and getattr(rewrite, "name", "") not in without
        ]
        text, origins[module] = specialise(source.read_text(encoding="utf-8"), rewrites)
        for rewrite in rewrites:
            if isinstance(rewrite, Slots):
                with declared.open("a", encoding="utf-8") as file:
                    file.write(rewrite.declarations())
        (root / place / f"{name}.py").write_text(text, encoding="utf-8")
    return origins


def translate(
    folder: Path, origins: dict[str, list[int]], without: Collection[str] = ()
) -> dict[str, Path]:
    """Have Cython make C of them."""
    from Cython.Compiler.Main import CompilationOptions, compile
    from Cython.Compiler.Options import get_directive_defaults

    made = {}
    options = CompilationOptions(
        include_path=[str(folder)],
        compiler_directives={
            **get_directive_defaults(),
            "language_level": 3,
            "binding": True,
            "annotation_typing": False,
            "embedsignature": False,
        },
        output_file=None,
    )
    before = Path.cwd()
    os.chdir(folder)
    try:
        for module in MODULES:
            place, name = module.split(".")
            kind = "py" if module in origins else "pyx"
            source = f"miniloop/{place}/{name}.{kind}"
            with redirect_stderr(Unexpected(sys.stderr)):
                result = compile(source, options, full_module_name=f"miniloop.{module}")
            if result.num_errors:
                raise SystemExit(f"Cython could not translate miniloop.{module}")
            made[module] = (folder / "miniloop" / place / f"{name}.c").resolve()
            polish(made[module], origins.get(module, []), late=LATE not in without)
    finally:
        os.chdir(before)
    return made


def polish(path: Path, origin: list[int], *, late: bool = True) -> None:
    """Mend what Cython has made, in four places."""
    text = path.read_text(encoding="utf-8")

    # 1. Tracebacks show the lines that people read.
    def line(found: re.Match[str]) -> str:
        number = int(found[2])
        shown = origin[number - 1] if 0 < number <= len(origin) else number
        return f"{found[1]}{shown}{found[3]}"

    text = re.sub(r"(__PYX_ERR\(\d+, )(\d+)(, )", line, text)

    # 2. They name files as those of Python do, so that editors and tools find them from any folder.
    made = "py_code = PyCode_NewEmpty(filename, funcname, py_line);"
    shown = "py_code = miniloop_code_of(__pyx_mstate_global->__pyx_d, filename, funcname, py_line);"
    if text.count(made) != 1:
        raise SystemExit(f"{path.name}: Cython makes tracebacks in another way: look there")
    before = "static PyCodeObject* __Pyx_CreateCodeObjectForTraceback("
    text = text.replace(made, shown).replace(before, f'#include "files.h"\n{before}', 1)

    # 3. The dictionary of an object is made when somebody puts something into it.
    if late:
        made = "p->__dict__ = PyDict_New(); if (unlikely(!p->__dict__)) goto bad;"
        if "p->__dict__" in text and made not in text:
            raise SystemExit(f"{path.name}: Cython makes dictionaries in another way: look there")
        text = text.replace(made, "p->__dict__ = NULL; if (0) goto bad;")

    # 4. A `try` saves what is being handled, and puts it back if it has caught something. Cython
    # saves what the innermost *handler* has, be it of a coroutine further out, and puts it back as
    # that of the innermost coroutine, which then believes that it handles an exception.
    if "__Pyx__ExceptionSave(PyThreadState *tstate" in text:
        saving = re.compile(
            r"(__Pyx__ExceptionSave\(PyThreadState \*tstate[^;{]*\{.*?)"
            r"__Pyx_PyErr_GetTopmostException\(tstate\)",
            re.DOTALL,
        )
        text, found = saving.subn(r"\1tstate->exc_info", text, count=1)
        if not found:
            raise SystemExit(f"{path.name}: Cython saves exceptions in another way: look there")
    path.write_text(text, encoding="utf-8")


def compile_c(sources: dict[str, Path], into: Path) -> None:
    """Compile and link each of them."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    extensions = [
        Extension(
            f"miniloop.{module}",
            [str(source)],
            # Debian's Python.h refers to a folder beside its own.
            include_dirs=[str(HERE), str(Path(sysconfig.get_path("include")).parent)],
            extra_compile_args=["-O2", "-g1", "-fno-semantic-interposition", "-Wno-unused"],
        )
        for module, source in sources.items()
    ]
    distribution = Distribution({"name": "miniloop", "ext_modules": extensions})
    command = build_ext(distribution)
    command.build_lib = str(into.parent / "lib")
    command.build_temp = str(into.parent / "temp")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()


def compile_kept(sources: dict[str, Path], into: Path, kept: Path) -> None:
    """As `compile_c`, but what was compiled of the same C before is taken from `kept`."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    headers = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.h")))
    places = {
        module: kept / (hashlib.sha256(headers + source.read_bytes()).hexdigest() + suffix)
        for module, source in sources.items()
    }
    compile_c({module: sources[module] for module in sources if not places[module].exists()}, into)
    kept.mkdir(parents=True, exist_ok=True)
    for module, place in places.items():
        package, name = module.split(".")
        made = into.parent / "lib" / "miniloop" / package / f"{name}{suffix}"
        if place.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, made)
        else:
            shutil.copy(made, place)


def install(made: Path, into: Path, seen: str) -> None:
    """Put what was made below `made` into the folder `into`, in place of what was built before.

    `seen` is the record that lies beside it, if it is to have one. Programs may run on what was
    built before: a module that is written over while it is mapped ends them. So the folder is made
    beside that one, and takes its name.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    with tempfile.TemporaryDirectory(prefix=f"{into.name}.", dir=into.parent) as beside:
        new, old = Path(beside, "new"), Path(beside, "old")
        for module in MODULES:
            place, name = module.split(".")
            (new / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(made / place / f"{name}{suffix}", new / place)
        if seen:
            (new / RECORD).write_text(seen, encoding="utf-8")
        if into.exists():
            into.rename(old)
        new.rename(into)


def _sources() -> list[str]:
    files = (f"{module.replace('.', '/')}.py" for module in MODULES)
    return [file for file in files if (PACKAGE / file).exists()]


def main() -> None:
    """Read the command line, and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="where to leave what is made on the way")
    parser.add_argument(
        "--objects", type=Path, help="a folder of what was compiled before, which is used again"
    )
    parser.add_argument(
        "--into",
        type=Path,
        help="put it there, and let it not notice at run time that the sources have changed: "
        "for a wheel",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=IDEAS,
        metavar="IDEA",
        help="leave an idea of the table out, to see what it is worth",
    )
    arguments = parser.parse_args()
    if not shutil.which(os.environ.get("CC", "cc")):
        raise SystemExit("there is no C compiler: install one (on Debian: gcc), or name it in CC")
    into = arguments.into.resolve() if arguments.into else BUILT
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=into.parent).close()
    except OSError as error:
        raise SystemExit(f"cannot build into {into.parent}: {error.strerror}") from None
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        seen = record(str(PACKAGE), _sources())  # before they are read
        sources = translate(folder, prepare(folder, arguments.without), arguments.without)
        if arguments.objects:
            compile_kept(sources, folder / "x", arguments.objects.resolve())
        else:
            compile_c(sources, folder / "x")
        install(folder / "lib" / "miniloop", into, "" if arguments.into else seen)
    sys.stdout.write(f"built {len(MODULES)} modules in {into}\n")


if __name__ == "__main__":
    main()
