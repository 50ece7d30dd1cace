"""A run in pyperf's file format, a file for each loop, for ``python -m pyperf compare_to``.

pyperf's own runner measures one program after the other, which this suite must not do; but its
files are read by many tools. A file holds a benchmark for each row that the loop has finished, with
a value for each round. Which rounds belong together is lost on the way: pyperf compares means of
whole runs, so the ratios it shows are not those of our tables.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks.results import Run

__all__ = ["write"]


def write(run: Run, directory: Path) -> list[Path]:
    """Write ``LOOP.json`` for each contestant into `directory`; returns the files."""
    import pyperf  # here, since nothing else needs it

    directory.mkdir(parents=True, exist_ok=True)
    suites: dict[str, list[Any]] = {}
    for row in run.rows:
        for label, values in row.values.items():
            metadata = {
                "name": row.name,
                "description": row.about,
                "unit": "byte" if row.unit == "B" else "second",
                "loops": row.n,
                "date": run.machine["date"].removesuffix("+00:00").replace("T", " "),
                "cpu_model_name": run.machine["processor"],
                "platform": run.machine["system"],
                "python_version": run.machine["python"],
            }
            runs = [
                pyperf.Run([value], metadata=metadata, collect_metadata=False) for value in values
            ]
            suites.setdefault(label, []).append(pyperf.Benchmark(runs))
    written = []
    for label, benchmarks in suites.items():
        path = directory / (re.sub(r"\W+", "-", label).strip("-") + ".json")
        pyperf.BenchmarkSuite(benchmarks).dump(str(path), replace=True)
        written.append(path)
    return written
