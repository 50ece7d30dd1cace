"""The committed figures: ``python -m benchmarks.figures`` measures, writes and draws all of them.

For each part there are three files in ``results/``, named after the part and the Python version:
the rounds as JSON, the tables as Markdown, the picture as SVG; and one page for all of them.
``--draw`` makes the tables and pictures again from the JSON, without measuring. Measure on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks.ablation import rewrites
from benchmarks.cli import main as benchmarks
from benchmarks.page import write_page

__all__ = ["PARTS", "main"]

RESULTS = Path(__file__).with_name("results")

PARTS: dict[str, list[str]] = {
    "callbacks": ["--only", "callbacks/*"],
    "sockets": ["--only", "sockets/*"],
    "http": ["--only", "http/*"],
    "crawl": ["--only", "crawl/*"],
    # A hundred thousand pages take half a minute a round: on the loops in question only.
    "growth": ["--only", "growth/*", "--loops", "miniloop,uvloop"],
    "memory": ["--only", "memory/*"],
    "lateness": ["--only", "lateness/*", "--only", "fairness/*"],
    "ablation": ["--ablation"],
    "rewrites": ["--instructions"],
}
# Parts that another command than `python -m benchmarks` measures.
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"rewrites": rewrites.main}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the figures; the exit code is the highest of the parts'."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--draw", action="store_true", help="draw what was measured before")
    parser.add_argument("--quick", action="store_true", help="three short rounds: a try, no figure")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="where the files go"
    )
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    options.results.mkdir(exist_ok=True)
    worst = 0
    for part in options.parts or PARTS:
        stem = f"{part}-{sys.version_info.major}.{sys.version_info.minor}"
        data, text, picture = (options.results / f"{stem}.{kind}" for kind in ("json", "md", "svg"))
        how = ["--from", str(data)] if options.draw else [*PARTS[part], "--json", str(data)]
        if options.quick and not options.draw and part not in COMMANDS:
            how.append("--quick")
        print(f"== {part}", file=sys.stderr)
        with text.open("w", encoding="utf-8") as file, redirect_stdout(file):
            command = COMMANDS.get(part, benchmarks)
            worst = max(worst, command([*how, "--plot", str(picture)]))
    print(f"== {write_page(options.results)}", file=sys.stderr)
    return worst


if __name__ == "__main__":
    sys.exit(main())
