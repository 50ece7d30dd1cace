"""The environment by which interpreters that the program starts learn that they run on miniloop.

A program may give its children an environment that it has made from its own, with another
`PYTHONPATH`. That is not meant to exclude miniloop, so our folder is put back. An environment made
from nothing lacks `MINILOOP_SWAP` as well, and is left as it is.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from miniloop.swap import settings

__all__ = ["INHERITED", "pass_on", "pass_on_to_children"]

INHERITED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inherited")


def pass_on() -> None:
    """Put our folder into the environment of this process."""
    os.environ["PYTHONPATH"] = _with_folder(os.environ)


def pass_on_to_children() -> None:
    """Put our folder back into an environment that children are given instead of this one."""
    init = subprocess.Popen.__init__
    if hasattr(init, "passes_on"):
        return

    @functools.wraps(init)
    def init_in_our_environment(self: Any, *arguments: Any, **options: Any) -> None:
        if "env" in options:
            options["env"] = _put_back(options["env"])
        init(self, *arguments, **options)

    vars(init_in_our_environment)["passes_on"] = True
    subprocess.Popen.__init__ = init_in_our_environment  # type: ignore[method-assign]
    for name in _STARTERS:
        if hasattr(os, name):
            _have_pass_on(name)


# The functions of `os` that are given an environment; its others with an "e" in their names end by
# calling one of these.
_STARTERS = ("execve", "posix_spawn", "posix_spawnp")


def _have_pass_on(name: str) -> None:
    start: Callable[..., Any] = getattr(os, name)

    @functools.wraps(start)
    def start_in_our_environment(path: Any, argv: Any, env: Any, **options: Any) -> Any:
        return start(path, argv, _put_back(env), **options)

    setattr(os, name, start_in_our_environment)
    if start in os.supports_fd:
        os.supports_fd.add(start_in_our_environment)


def _put_back(env: Any) -> Any:
    """The environment for a child, with our folder if it was made from the environment of ours."""
    if isinstance(env, Mapping) and settings.VARIABLE in env:
        return {**env, "PYTHONPATH": _with_folder(env)}
    return env


def _with_folder(env: Mapping[str, str]) -> str:
    path = env.get("PYTHONPATH")
    if not path:
        return INHERITED
    return path if INHERITED in path.split(os.pathsep) else INHERITED + os.pathsep + path
