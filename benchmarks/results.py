"""What a run found, and its file: ``--json`` writes it, ``--from`` reads it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.catalogue import Row
from benchmarks.job import Sample, Shape
from benchmarks.statistics import FEWEST_ROUNDS, Figure, figure, ratio

__all__ = ["FORMAT", "ON", "BadResultsError", "RowResult", "Run"]

# Between a program and a loop in the label of a contestant.
ON = " on "
FORMAT = 1  # of the file; goes up when an older reader would misread it


class BadResultsError(ValueError):
    """A file is not a result of this suite, or of a version of it that is not understood."""


@dataclass
class RowResult:
    """All rounds of one row."""

    name: str
    about: str
    counts: str
    unit: str
    shape: Shape
    reference: str
    control: str
    n: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)  # by label: cost of one operation
    cpu: dict[str, list[float]] = field(default_factory=dict)  # seconds of processor an operation
    far_end_cpu: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)  # by label: why it was left out

    @classmethod
    def empty(cls, row: Row, *, reference: str, control: str) -> RowResult:
        """A row before its first round."""
        return cls(row.name, row.about, row.counts, row.unit, row.shape, reference, control)

    @property
    def layer(self) -> str:
        """The first word of the name."""
        return self.name.split("/", 1)[0]

    @property
    def labels(self) -> list[str]:
        """Who finished, without the control."""
        return [label for label in self.values if label != self.control]

    @property
    def programs(self) -> list[str]:
        """The programs of the row, where it compares programs as well as loops."""
        return list(dict.fromkeys(label.partition(ON)[0] for label in self.values if ON in label))

    def add(self, label: str, sample: Sample) -> None:
        """Note one round of one contestant."""
        self.n = sample.n
        self.values.setdefault(label, []).append(_short(sample.value / sample.n))
        self.cpu.setdefault(label, []).append(_short(sample.cpu / sample.n))
        if sample.far_end_cpu:
            self.far_end_cpu.setdefault(label, []).append(_short(sample.far_end_cpu / sample.n))

    def fail(self, label: str, reason: str) -> None:
        """Leave a contestant out. What it had measured before goes too: it is not a whole run."""
        self.errors[label] = reason
        for figures in (self.values, self.cpu, self.far_end_cpu):
            figures.pop(label, None)

    def cost(self, label: str) -> Figure:
        """What one operation costs: seconds, or bytes."""
        return figure(self.values[label])

    def ratio(self, label: str, to: str | None = None) -> Figure | None:
        """How many times as good as the reference (or `to`) that contestant is.

        None where either of the two did not finish.
        """
        base = self.reference if to is None else to
        if base not in self.values or label not in self.values:
            return None
        return ratio(self.values[base], self.values[label])

    @property
    def strayed(self) -> bool:
        """Whether the control's ratio differs from 1 by more than its spread."""
        control = self.ratio(self.control)
        enough = len(self.values.get(self.control, ())) >= FEWEST_ROUNDS
        return control is not None and enough and not control.holds(1.0)

    def by_processor(self) -> RowResult:
        """The same row, with processor time of the loop's process in the place of elapsed time.

        It says less (a loop that waits where it need not looks as good as one that does not), but
        on a machine that others use as well it says it with less noise.
        """
        if self.unit != "s":
            return self
        return replace(self, values=self.cpu, far_end_cpu={})

    def far_end_busy(self, label: str) -> float:
        """Which part of the time the far end was computing: near 1, it was what set the pace."""
        if label not in self.far_end_cpu:
            return 0.0
        return figure(self.far_end_cpu[label]).median / self.cost(label).median


@dataclass
class Run:
    """One run of the suite: where, with what, and every row."""

    machine: dict[str, str]
    loops: dict[str, str]  # name to version
    reference: str
    rounds: int
    rows: list[RowResult] = field(default_factory=list)

    @property
    def is_ablation(self) -> bool:
        """Whether it compares miniloop with itself less a trick."""
        return self.reference.startswith("miniloop")

    def dump(self, path: Path) -> None:
        """Write the run to `path` as JSON."""
        document = {"format": FORMAT, **asdict(self)}
        lines = json.dumps(document, indent=1)
        path.write_text(_lists_on_one_line(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Run:
        """Read a run back. Raises `BadResultsError` for a file that is something else."""
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise BadResultsError(f"{path} is not JSON: {error}") from error
        if not isinstance(document, dict) or "format" not in document:
            raise BadResultsError(f"{path} is not a result of `python -m benchmarks --json`")
        if (found := document.pop("format")) != FORMAT:
            raise BadResultsError(
                f"{path} has format {found}, this suite reads {FORMAT}: run it anew"
            )
        try:
            rows = [
                RowResult(**{**row, "shape": Shape(**row["shape"])}) for row in document.pop("rows")
            ]
            return cls(**document, rows=rows)
        except (KeyError, TypeError) as error:
            raise BadResultsError(f"{path} lacks a part of a result: {error}") from error


def _short(value: float) -> float:
    """Five digits: more is noise, and makes the committed files large."""
    return float(f"{value:.5g}")


def _lists_on_one_line(text: str) -> str:
    """Put each list of numbers on one line, so that a diff of two files can be read."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside:
            lines[-1] += line.strip() if line.strip().startswith("]") else line.strip() + " "
            inside = not line.strip().startswith("]")
            if not inside:
                lines[-1] = lines[-1].replace(" ]", "]")
        else:
            lines.append(line)
            inside = line.endswith("[") and '"rows"' not in line
    return "\n".join(lines)
