"""python -m tests.differential.io SEED: the program of that number, and what it does on both."""

from __future__ import annotations

import argparse

from tests.differential.io.comparing import compare
from tests.differential.io.generating import program_of_seed


def main() -> int:
    """Show one program. The exit status is 1 if the loops differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.io", description=__doc__)
    parser.add_argument("seed", type=int, help="the number of the program")
    difference = compare(program_of_seed(parser.parse_args().seed))
    if difference.entries:
        print(difference, "", "The smallest that differs:", "", difference.smallest(), sep="\n")
        return 1
    print(difference.program, "")
    for (step, who), notes in sorted(difference.found.items()):
        print(f"step {step}, {who}: {notes}")
    names = ", ".join(difference.known) or "none"
    print("", f"Both loops agree, but for known differences: {names}.", sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
