"""Starting the demo site in a process of its own, for as long as a ``with`` block lasts."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

from .site import Addresses, Site


@contextlib.contextmanager
def running(site: Site) -> Iterator[Addresses]:
    """The addresses of ``site``, which is being served until the block is left."""
    command = [sys.executable, "-m", "crawler.demo.site", "--with-parent"]
    command += ["--pages", str(site.pages), "--links", str(site.links)]
    command += ["--plain"] if site.plain else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the demo site did not start; what it said is above")
            yield Addresses(**json.loads(line))
        finally:
            process.stdin.close()  # it ends by itself then
            process.wait(timeout=10)
