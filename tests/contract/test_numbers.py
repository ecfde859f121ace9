"""How numbers are written: cases that one can check by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from contracts import numbers
from contracts.reports import Range
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 3, 14, 9, 41, tzinfo=UTC)
LIFT = Range(estimate=0.031, low=0.007, high=0.055)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.031, "+3.1%"), (-0.072, "−7.2%"), (0.0, "0.0%"), (-0.0004, "0.0%"), (1.13, "+113.0%"), (0.0005, "+0.1%")],
)
def test_a_lift_has_its_sign_and_one_decimal(value: float, said: str) -> None:
    assert numbers.percent(value) == said


def test_an_interval_reads_from_low_to_high() -> None:
    assert numbers.interval(LIFT) == "+0.7 to +5.5%"
    assert numbers.interval(Range(estimate=-0.072, low=-0.09, high=-0.054)) == "−9.0 to −5.4%"
    assert numbers.full_interval(Range(estimate=0.036, low=-0.014, high=0.086)) == "−1.4% to +8.6%"


def test_a_size_forgets_the_direction() -> None:
    assert numbers.size(0.007, 0.055) == numbers.size(-0.055, -0.007) == "0.7% to 5.5%"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.312, "31.2%"), (0.0084, "0.84%"), (0.00021, "0.021%"), (0.0, "0%"), (1.0, "100%"), (None, "–"), (0.05, "5.0%")],
)
def test_a_share_has_two_or_three_digits(value: float | None, said: str) -> None:
    assert numbers.share(value) == said


def test_an_interval_of_a_share_does_not_reach_below_nothing() -> None:
    assert numbers.shares(Range(estimate=0.001, low=-0.002, high=0.004)) == "0% to 0.40%"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.44, "p = 0.44"), (0.0004, "p < 0.001"), (0.0123, "p = 0.012"), (None, "p –"), (1.0, "p = 1.0")],
)
def test_a_probability_has_two_digits(value: float | None, said: str) -> None:
    assert numbers.probability(value) == said


@pytest.mark.parametrize(
    ("p", "said"), [(1.0, "1.0×"), (1 / 4.6, "4.6×"), (1 / 91, "91×"), (1e-9, "over 10,000×"), (0.0, "over 10,000×")]
)
def test_evidence_is_one_over_p(p: float, said: str) -> None:
    assert numbers.evidence(p) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("hit_rate", 0.312, "31.2%"),
        ("likes_per_user", 4.82, "4.82"),
        ("likes_per_user", 1204.7, "1,205"),
        ("hit_rate", None, "–"),
    ],
)
def test_a_metric_is_written_in_its_unit(name: object, value: float | None, said: str) -> None:
    assert numbers.metric(name, value) == said  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "said"), [(4, "4 s"), (59.4, "59 s"), (840, "14 min"), (3 * 3600, "3 h"), (86400 * 3, "3 days")]
)
def test_ages_read_as_people_say_them(seconds: float, said: str) -> None:
    assert numbers.age(seconds) == said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0.001, "1 minute"),
        (0.01, "14 minutes"),
        (0.05, "1 hour"),
        (8 / 24, "8 hours"),
        (1.2, "1 day"),
        (10.6, "10 days"),
    ],
)
def test_days_hours_and_minutes_are_whole_ones_that_are_over(days: float, said: str) -> None:
    assert numbers.days(days) == said


def test_a_time_to_come_is_rounded_up_to_the_hour() -> None:
    assert numbers.about(datetime(2026, 3, 14, 13, 20, tzinfo=UTC), NOW) == "14:00 UTC"
    assert numbers.about(datetime(2026, 3, 14, 14, 0, tzinfo=UTC), NOW) == "14:00 UTC"
    assert numbers.about(datetime(2026, 3, 15, 23, 1, tzinfo=UTC), NOW) == "16 Mar, 00:00 UTC"


@given(st.floats(-10, 10))
def test_no_number_of_ours_holds_a_hyphen_for_a_minus(value: float) -> None:
    assert re.fullmatch(r"[+−]?\d+\.\d%", numbers.percent(value))


@given(st.floats(1e-7, 1))
def test_a_share_never_reads_as_zero_unless_it_is(value: float) -> None:
    assert float(numbers.share(value).rstrip("%")) > 0


def test_the_difference_of_two_shares_is_in_points_and_never_in_percent() -> None:
    bounds = Range(estimate=0.0097, low=-0.0022, high=0.017)
    assert numbers.difference("hit_rate", bounds) == "+0.97 points, −0.22 to +1.7"
    assert numbers.difference("likes_per_user", bounds) == "+0.0097, −0.0022 to +0.017"
    assert numbers.difference("hit_rate", None) == "–"
    assert numbers.points(Range(estimate=0.021, low=0.018, high=0.024)) == "1.8 to 2.4 points"
    assert numbers.points(Range(estimate=1.0, low=0.99, high=1.01)) == "99 to 100 points"
    assert numbers.points(Range(estimate=0.0, low=-0.1, high=0.004)) == "0 to 0.40 points"
    assert [numbers.limit_points(limit) for limit in (0.01, 0.02, 0.005)] == ["1 point", "2 points", "0.5 points"]
