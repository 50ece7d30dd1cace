"""python -m tests.testing.corpus: print the table that docs/bugs-found.md shows."""

from __future__ import annotations

from tests.testing.corpus.table import all_lines

if __name__ == "__main__":
    for line in all_lines():
        print(line, flush=True)
