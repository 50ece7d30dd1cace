"""The loops that can be measured: by name, or any ``module:factory``."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import native
from benchmarks.ablation import TRICKS, Trick

__all__ = ["REFERENCE", "Loop", "UnknownLoopError", "control_of", "find", "installed", "without"]

REFERENCE = "asyncio"
_CONTROL = " (control)"
_WITHOUT = "without "


class UnknownLoopError(LookupError):
    """The loop that was asked for is not known, not installed, or is not a factory."""


@dataclass(frozen=True)
class Loop:
    """A loop by its name in the table and the place of its factory."""

    name: str
    module: str
    factory: str
    distribution: str = ""  # the name under which its version is on record
    limit: bool = False  # a bare server of benchmarks.limits, in the place of a loop
    # Of the process in which it runs, beside what all processes have.
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def available(self) -> bool:
        """Whether its module can be found."""
        try:
            if self.name == _COMPILED:
                return miniloop_is_built()
            spec = importlib.util.find_spec(self.module)
        except ModuleNotFoundError:  # a parent package is missing
            return False
        if self.module == "benchmarks.limits.native" and native.compiler() is None:
            return False
        return spec is not None and spec.origin is not None  # None: a directory without code

    @property
    def version(self) -> str:
        """Its own version; for asyncio and for loops off the record, that of Python or nothing."""
        if self.module == "asyncio":
            return platform.python_version()
        if self.limit:
            return ""
        try:
            return importlib.metadata.version(self.distribution or self.module.split(".")[0])
        except importlib.metadata.PackageNotFoundError:
            return ""

    def load(self) -> Any:
        """Import the module and return the factory of the loop, or the function of the limit.

        Raises `UnknownLoopError` where that fails.
        """
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            raise UnknownLoopError(
                f"loop {self.name!r}: cannot import {self.module}: {error}"
            ) from error
        factory = getattr(module, self.factory, None)
        if not callable(factory):
            raise UnknownLoopError(
                f"loop {self.name!r}: {self.module} has no callable {self.factory!r}"
            )
        return factory


_COMPILED = "miniloop-compiled"
_PURE = (("MINILOOP_PURE", "1"),)

_KNOWN = (
    Loop("asyncio", "asyncio", "new_event_loop"),
    # The files that people read, also where a compiled build of them lies beside.
    Loop("miniloop", "miniloop", "new_event_loop", environment=_PURE),
    Loop(_COMPILED, "miniloop", "new_event_loop"),
    Loop("uvloop", "uvloop", "new_event_loop"),
    Loop("rloop", "rloop", "new_event_loop"),
    Loop("zuvloop", "zuvloop", "new_event_loop"),
    Loop("winloop", "winloop", "new_event_loop"),
    Loop("epoll-python", "benchmarks.limits.bare", "serve", limit=True),
    Loop("epoll-c", "benchmarks.limits.native", "serve", limit=True),
)


def without(trick: Trick) -> Loop:
    """Miniloop with one of its tricks taken out."""
    return Loop(f"{_WITHOUT}{trick.name}", trick.module, trick.factory, environment=_PURE)


def miniloop_is_built() -> bool:
    """Whether there is a compiled build of miniloop for this Python."""
    from miniloop.kernel import built

    return bool(built("kernel"))


def installed() -> list[Loop]:
    """The loops by name that can be imported here."""
    return [loop for loop in _KNOWN if loop.available]


def control_of(loop: Loop) -> Loop:
    """The same loop once more, under the name by which `find` knows it for a control.

    The difference between the two is the noise of this machine today, in every figure.
    """
    return replace(loop, name=loop.name + _CONTROL)


def find(name: str) -> Loop:
    """The loop called `name`, or the one that ``module:factory`` points to.

    Raises `UnknownLoopError`, with what would do instead, where there is none.
    """
    if name.endswith(_CONTROL):
        return control_of(find(name.removesuffix(_CONTROL)))
    for trick in TRICKS:
        if name == _WITHOUT + trick.name:
            return without(trick)
    for loop in _KNOWN:
        if loop.name == name:
            if not loop.available:
                if loop.limit:
                    raise UnknownLoopError(f"{name!r} needs a C compiler: install cc or set CC")
                how = "make compiled" if name == _COMPILED else f"pip install {name}"
                raise UnknownLoopError(f"loop {name!r} is not installed: {how}")
            return loop
    module, colon, factory = name.partition(":")
    if not (colon and module and factory):
        names = ", ".join(loop.name for loop in _KNOWN)
        raise UnknownLoopError(f"loop {name!r} is neither one of {names} nor a module:factory")
    loop = Loop(name, module, factory)
    if not loop.available:
        raise UnknownLoopError(f"loop {name!r}: there is no module {module!r}")
    return loop
