"""Which tests a run may leave to another Python, where they would say just the same.

CI runs the suite on many Pythons. A test of how a page looks, or of what is packed, has one answer,
whichever Python asks. `--share` tells a run what its Python alone can say:

    all       every test, and the default
    python    all but those whose outcome cannot depend on the Python
    release   of these, all but those of programs that stand on the loop. It is for the second
              of two releases of one minor version, as 3.13.0 and 3.13.18, which differ in asyncio
              and hardly anywhere else.

A run says at its end how many tests it left to others. A test joins them here, by its file or
folder, or by the marker `one_python`, or by asking for the browser.
"""

from __future__ import annotations

from collections import Counter

import pytest

SHARES = ("all", "python", "release")

# The outcome cannot depend on the Python. What runs on each loop is not among these: it may.
ONE_PYTHON = (
    # Tables, drawings and figures, and that which starts processes and counts rounds.
    "tests/benchmarks/test_cli.py",
    "tests/benchmarks/test_figures.py",
    "tests/benchmarks/test_machine.py",
    "tests/benchmarks/test_pictures.py",
    "tests/benchmarks/test_program.py",
    "tests/benchmarks/test_results.py",
    "tests/benchmarks/test_runner.py",
    "tests/benchmarks/test_statistics.py",
    # Engines that fail over, are full, slow or cut off. What asks them is tested on each Python.
    "tests/crawler/test_engine.py",
    "tests/crawler/test_failover.py",
    "tests/crawler/test_partition.py",
    # Whether the comparison with asyncio would find a bug.
    "tests/differential/test_mutants.py",
    # The site, its links and its pictures.
    "tests/docs/test_doors.py",
    "tests/docs/test_links.py",
    "tests/docs/test_pictures.py",
    "tests/docs/test_site.py",
    # Pages, beyond those that are opened in a browser.
    "tests/study/test_page_written.py",
    "tests/test_tour_pages.py",
    # A wheel without anything compiled is the same everywhere.
    "tests/test_packaging.py",
    # This mechanism.
    "tests/test_share.py",
)
# A page is the same whichever Python wrote it.
ONE_PYTHON_FIXTURE = "browser"

# Programs on top of the loop, and their tools.
ONE_RELEASE = ("tests/benchmarks/", "tests/crawler/", "tests/docs/", "tests/ecosystem/")

LEFT = pytest.StashKey[Counter[str]]()


def is_for_one_python(item: pytest.Item) -> bool:
    """Whether this test has the same outcome on every Python."""
    return (
        item.nodeid.startswith(ONE_PYTHON)
        or item.get_closest_marker("one_python") is not None
        or ONE_PYTHON_FIXTURE in getattr(item, "fixturenames", ())
    )


def leave_to_others(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out of `items` what is not of the share of this run, and remember how much that is."""
    share = config.getoption("share")
    left: list[pytest.Item] = []
    if share != "all":
        left += [item for item in items if is_for_one_python(item)]
    if share == "release":
        left += [item for item in items if item.nodeid.startswith(ONE_RELEASE)]
    without = set(left)
    config.stash[LEFT] = Counter(item.nodeid.split("::")[0] for item in without)
    if without:
        items[:] = [item for item in items if item not in without]
        config.hook.pytest_deselected(items=list(without))


def what_was_left(config: pytest.Config) -> list[str]:
    """Lines about the tests that were left to another Python; none if there were none."""
    left = config.stash.get(LEFT, Counter())
    if not left:
        return []
    lines = [f"left to another Python: {left.total()} tests (--share {config.getoption('share')})"]
    return [*lines, *(f"  {count:4} {file}" for file, count in sorted(left.items()))]
