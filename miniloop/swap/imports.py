"""Act as soon as a module has been imported, and not before.

`AfterImport` stands first in `sys.meta_path`. It finds nothing by itself: it asks the other finders
for the few modules that it waits for, and wraps the loader that they give in one that calls the
action once the module is complete. By then the module has its own loader again, so that nobody sees
a difference.

`inherited/sitecustomize.py` runs this file in every interpreter that a program starts, most of
which never import asyncio. So it imports only what every interpreter has loaded already.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing `typing` would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

__all__ = ["LIBRARIES", "AfterImport", "follow_parent"]

# Event loops that a program may ask for by name.
LIBRARIES = ("uvloop", "winloop", "rloop", "zuvloop")


def follow_parent(package: str) -> None:
    """In a process whose parent runs on miniloop: do the same, once asyncio is imported.

    `package` is the folder of miniloop.
    """

    def follow(module: ModuleType) -> None:
        if "miniloop" not in sys.modules:
            _import_from(package)
        from miniloop.swap.replacement import imported

        imported(module)

    sys.meta_path.insert(0, AfterImport(follow, ("asyncio", *LIBRARIES)))
    if "asyncio" in sys.modules:  # by a .pth file
        follow(sys.modules["asyncio"])


def _import_from(package: str) -> None:
    """Import miniloop from its folder. The path may lead to another package of that name."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("miniloop", f"{package}/__init__.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["miniloop"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["miniloop"])


class AfterImport:
    """A finder that calls `action(module)` after one of the modules `names` was imported."""

    def __init__(self, action: Callable[[ModuleType], object], names: Iterable[str]) -> None:
        self.action = action
        self.names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find. None, for other modules, leaves it to those finders."""
        if name not in self.names:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(self, spec.loader)  # type: ignore[assignment]  # by duck
                return spec
        return None


class _Loader:
    """The loader of another finder, with the action after it."""

    def __init__(self, finder: AfterImport, loader: Any) -> None:
        self._finder = finder
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # who found a spec may ask it for a file name, or more

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._finder.action(module)
