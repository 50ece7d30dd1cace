"""``python -m benchmarks``: see ``cli.py``, ``program`` and ``compare.py``."""

import sys

from benchmarks import cli, compare
from benchmarks.program import command

COMMANDS = {"program": command.main, "compare": compare.main}


def main() -> int:
    """Run one of the commands, or the benchmarks."""
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        return COMMANDS[sys.argv[1]](sys.argv[2:])
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
