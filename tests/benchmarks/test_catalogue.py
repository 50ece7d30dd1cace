"""Finding rows by name, and what may be entered under one."""

from __future__ import annotations

import pytest

from benchmarks import catalogue
from benchmarks.catalogue import LAYERS, Row, UnknownRowError
from benchmarks.job import Job, Shape


def test_names_are_unique_and_begin_with_a_known_layer() -> None:
    rows = catalogue.all_rows()
    assert len({row.name for row in rows}) == len(rows)
    assert {row.layer for row in rows} == {*LAYERS, *catalogue.STUDIES}


def test_without_globs_the_four_layers_run_and_the_studies_do_not() -> None:
    assert {row.layer for row in catalogue.select([])} == set(LAYERS)


def test_globs_choose_rows() -> None:
    names = {row.name for row in catalogue.select(["sockets/udp/*", "memory/task"])}
    assert "memory/task" in names
    assert "sockets/udp/1KiB-x10" in names
    assert all(name.startswith(("sockets/udp/", "memory/")) for name in names)


def test_glob_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(UnknownRowError, match=r"'tcp\*' matches no benchmark"):
        catalogue.select(["callbacks/*", "tcp*"])


def test_unknown_program_is_an_error() -> None:
    (row,) = catalogue.select(["memory/task"])
    with pytest.raises(UnknownRowError, match="has no program 'curl'"):
        row.program("curl")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Row]:
    """An empty catalogue."""
    rows: dict[str, Row] = {}
    monkeypatch.setattr(catalogue, "_rows", rows)
    return rows


def test_benchmark_must_say_what_it_measures(shelf: dict[str, Row]) -> None:
    with pytest.raises(ValueError, match="no docstring"):

        @catalogue.benchmark("callbacks/silent", counts="call")
        async def silent(job: Job) -> int:
            return 0

    assert not shelf


def test_same_name_twice_is_an_error(shelf: dict[str, Row]) -> None:
    async def body(job: Job) -> int:
        """Something."""
        return 0

    catalogue.benchmark("callbacks/one", counts="call")(body)
    with pytest.raises(ValueError, match="in the catalogue twice"):
        catalogue.benchmark("callbacks/one", counts="call")(body)


def test_programs_of_one_name_share_a_row(shelf: dict[str, Row]) -> None:
    async def body(job: Job) -> int:
        """Something."""
        return 0

    catalogue.benchmark("http/x", counts="call", program="a")(body)
    catalogue.benchmark("http/x", counts="call", program="b", reference=True)(body)
    assert [program.name for program in shelf["http/x"].programs] == ["a", "b"]
    assert shelf["http/x"].reference == "b"


@pytest.mark.parametrize(
    ("shape", "label"),
    [
        (Shape(), ""),
        (Shape(size=100), "100B"),
        (Shape(size=10 * 1024, connections=10), "10KiB-x10"),
        (Shape(count=1000), "1000"),
        (Shape(percentile=50), "median"),
        (Shape(percentile=99), "p99"),
        (Shape(percentile=100), "worst"),
    ],
)
def test_shape_has_a_label(shape: Shape, label: str) -> None:
    assert shape.label() == label
