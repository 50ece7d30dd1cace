"""python -m tests.differential SEED: the program of that number, and what it does on both loops."""

from __future__ import annotations

import argparse

from tests.differential.clocks import LOOPS
from tests.differential.comparison import compare, side_by_side
from tests.differential.generator import program_of_seed
from tests.differential.interpreter import run_program


def main() -> int:
    """Show one program. The exit status is 1 if the loops differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("seed", type=int, help="the number of the program")
    program = program_of_seed(parser.parse_args().seed)
    difference = compare(program)
    if difference is None:
        trace = run_program(program, LOOPS["miniloop"])
        print(program, "", *side_by_side(trace, trace), "", "Both loops agree.", sep="\n")
        return 0
    print(difference, "", "The smallest that differs:", "", difference.smallest(), sep="\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
