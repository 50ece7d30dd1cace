"""What happened when, in a few hundred steps however long it takes.

The steps are short at first. When there are too many, each two become one.
"""

FIRST_STEP = 0.02  # seconds
MOST_STEPS = 400


class Timeline:
    """Sums over time, by name; times are seconds since 1970."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.step = FIRST_STEP
        self.begin: float | None = None
        self._sums: dict[str, list[float]] = {name: [] for name in names}
        self._last: dict[str, list[float]] = {}

    def at(self, time: float) -> int:
        """The step that this time is in; there is room for it afterwards."""
        if self.begin is None:
            self.begin = time
        while (step := max(0, int((time - self.begin) / self.step))) >= MOST_STEPS:
            self.step *= 2
            for name, sums in self._sums.items():
                pairs = zip(sums[::2], [*sums[1::2], 0.0], strict=False)
                self._sums[name] = [one + other for one, other in pairs]
        for sums in self._sums.values():
            while len(sums) <= step:
                sums.append(0.0)
        return step

    def add(self, step: int, name: str, amount: float = 1) -> None:
        """Add to what is so named."""
        self._sums[name][step] += amount

    def data(self) -> dict[str, object]:
        """What the page shows of it."""
        return {"begin": self.begin, "step": self.step, **self._sums}
