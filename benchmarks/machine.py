"""Where and with what a run was made: it stands in every result."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import resource
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from benchmarks import processors

__all__ = ["describe", "open_many_files", "versions"]


def describe() -> dict[str, str]:
    """The machine, the interpreter and the date, for the head of a report."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler() + _optimised(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "processors": str(os.cpu_count()),
        "places": _places(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution that is installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not taking part
    return found


def open_many_files() -> int:
    """Raise this process's limit on open files as far as it may, and return the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _optimised() -> str:
    """How the interpreter was built, as far as it says so itself.

    Distributions build with profiles too, and by other means than the option of `configure`.
    """
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    if "--enable-optimizations" in arguments:
        return ", with profiles (PGO)"
    if "'--prefix=/usr'" in arguments:
        return ", as its distribution builds it"
    return ", without profiles (PGO)"


def _places() -> str:
    """Where the two ends of the sockets layer are."""
    places = processors.apart()
    if places is None:
        return "wherever the kernel puts them"
    return "the loop on processor {}, the far end on processor {}".format(*places)


def _processor() -> str:
    """The processor's name as Linux gives it, or what Python knows elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor()
