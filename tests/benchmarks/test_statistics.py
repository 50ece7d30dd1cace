"""The statistics on data whose answers are known, and on properties that must always hold."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import FEWEST_ROUNDS, Figure, figure, geometric_mean, percentile, ratio

costs = st.floats(min_value=1e-9, max_value=1e3)
rounds = st.lists(costs, min_size=1, max_size=40)


def test_figure_of_nine_rounds_runs_from_the_second_to_the_eighth() -> None:
    assert figure([9, 1, 8, 2, 7, 3, 6, 4, 5]) == Figure(5, 2, 8)


def test_figure_of_five_rounds_runs_from_the_smallest_to_the_largest() -> None:
    assert figure([5, 1, 4, 2, 3]) == Figure(3, 1, 5)


def test_figure_of_twenty_rounds_leaves_out_five_at_each_end() -> None:
    assert figure(list(range(1, 21))) == Figure(10.5, 6, 15)


def test_one_round_is_its_own_figure() -> None:
    assert figure([4.2]) == Figure(4.2, 4.2, 4.2)


def test_no_rounds_are_no_figure() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        figure([])


@given(rounds)
def test_median_lies_within_the_spread_and_the_spread_within_the_rounds(
    values: list[float],
) -> None:
    found = figure(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    assert found.holds(found.median)


@given(rounds, st.randoms())
def test_order_of_the_rounds_does_not_matter(values: list[float], chance: random.Random) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)
    assert figure(shuffled) == figure(values)


@pytest.mark.parametrize("number", range(FEWEST_ROUNDS, 60))
def test_spread_holds_the_true_median_with_95_percent_and_no_narrower_one_would(
    number: int,
) -> None:
    found = figure(list(range(number)))
    left_out = int(found.low)

    def confidence(trim: int) -> float:
        """By the law of the tossed coin: how surely the median lies between the rest."""
        return 1 - 2 * sum(math.comb(number, place) for place in range(trim + 1)) / 2**number

    assert confidence(left_out) >= 0.95
    assert confidence(left_out + 1) < 0.95


def test_spread_holds_the_true_median_of_a_lopsided_distribution() -> None:
    chance = random.Random(1)
    true_median = math.log(2)  # of the exponential distribution
    tries = 2000
    hits = sum(
        figure([chance.expovariate(1) for _ in range(9)]).holds(true_median) for _ in range(tries)
    )
    assert hits / tries > 0.94


def test_half_the_time_is_twice_as_good() -> None:
    assert ratio([2, 4, 6], [1, 2, 3]) == Figure(2, 2, 2)


def test_ratio_is_taken_round_by_round() -> None:
    # A machine that is ten times slower in the second round; the loops differ by nothing.
    assert ratio([1, 10, 1], [1, 10, 1]) == Figure(1, 1, 1)


def test_ratio_refuses_rounds_without_a_partner() -> None:
    with pytest.raises(ValueError, match="2 rounds against 3"):
        ratio([1, 2, 3], [1, 2])


@given(rounds)
def test_ratio_to_itself_is_one(values: list[float]) -> None:
    assert ratio(values, values) == Figure(1, 1, 1)


@given(rounds, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_ratio_grows_with_the_cost_of_the_reference(values: list[float], times: float) -> None:
    slower = [times * value for value in values]
    assert ratio(slower, values).median == pytest.approx(times)


@pytest.mark.parametrize(("part", "delay"), [(1, 2), (50, 100), (99, 198), (100, 200)])
def test_percentile_of_two_hundred_known_delays(part: int, delay: int) -> None:
    assert percentile(list(range(200, 0, -1)), part) == delay


@given(rounds, st.integers(1, 100))
def test_percentile_is_one_of_the_delays_and_so_many_do_not_exceed_it(
    delays: list[float], part: int
) -> None:
    found = percentile(delays, part)
    assert found in delays
    assert sum(delay <= found for delay in delays) * 100 >= part * len(delays)
    assert sum(delay < found for delay in delays) * 100 < part * len(delays)


@pytest.mark.parametrize(("delays", "part"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_of_nothing_or_beyond_the_worst_is_an_error(
    delays: list[float], part: int
) -> None:
    with pytest.raises(ValueError, match="a percentile"):
        percentile(delays, part)


def test_geometric_mean_of_a_number_and_its_inverse_is_one() -> None:
    assert geometric_mean([4, 0.25]) == pytest.approx(1)


@given(st.lists(costs, min_size=1, max_size=20))
def test_geometric_mean_lies_between_the_extremes(values: list[float]) -> None:
    mean = geometric_mean(values)
    assert min(values) * (1 - 1e-9) <= mean <= max(values) * (1 + 1e-9)
