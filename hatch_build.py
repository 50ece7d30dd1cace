"""What `pip install` does with MINILOOP_COMPILED=1: build the compiled kernel into the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledBuildHook(BuildHookInterface):
    """Without MINILOOP_COMPILED the wheel is pure, and needs neither Cython nor a compiler."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return ["cython>=3.3", "setuptools>=80"] if os.environ.get("MINILOOP_COMPILED") else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say what belongs into the wheel. Raises RuntimeError if the build fails."""
        if self.target_name != "wheel" or not os.environ.get("MINILOOP_COMPILED"):
            return
        made = subprocess.run(
            [sys.executable, "-m", "miniloop.compiled.build", "--unrecorded"],
            cwd=self.root,
            env={**os.environ, "MINILOOP_PURE": "1"},
            check=False,
        )
        if made.returncode:
            raise RuntimeError("the compiled build of miniloop failed: see above")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append("miniloop/compiled/built/")
