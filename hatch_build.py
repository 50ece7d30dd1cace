"""What `pip install` does with MINILOOP_COMPILED=1: build the compiled kernel into the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledBuildHook(BuildHookInterface):
    """Without MINILOOP_COMPILED the wheel is pure, and needs neither Cython nor a compiler."""

    made = ""  # the folder that is packed, until the wheel is written

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return ["cython>=3.3", "setuptools>=80"] if os.environ.get("MINILOOP_COMPILED") else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say what belongs into the wheel. Raises RuntimeError if the build fails."""
        if self.target_name != "wheel" or not os.environ.get("MINILOOP_COMPILED"):
            return
        command = [sys.executable, "-m", "miniloop.compiled.build"]
        if version == "editable":  # what lies in the checkout is what runs
            self._run(command)
            return
        self.made = tempfile.mkdtemp()
        name = EXTENSION_SUFFIXES[0].split(".")[1]
        self._run([*command, "--into", os.path.join(self.made, name)])
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"][self.made] = "miniloop/compiled/built"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was packed."""
        if self.made:
            shutil.rmtree(self.made)

    def _run(self, command: list[str]) -> None:
        environment = {**os.environ, "MINILOOP_PURE": "1"}
        if subprocess.run(command, cwd=self.root, env=environment, check=False).returncode:
            raise RuntimeError("the compiled build of miniloop failed: see above")
