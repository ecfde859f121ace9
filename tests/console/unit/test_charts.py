"""Charts as coordinates: what stands where a number says, and what is cut is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from console.experiment.charts import Moment
from console.experiment.course import MOST_POINTS, course_of, crossing, day_number
from console.scales import bar, nice, reach, ticks
from contracts.reports import Day, Range
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes.reports import START, course

SMALL = st.floats(-0.5, 0.5)
RANGES = st.tuples(SMALL, SMALL, SMALL).map(sorted).map(lambda v: Range(low=v[0], estimate=v[1], high=v[2]))


@pytest.mark.parametrize(("value", "at_least"), [(0.013, 0.02), (0.02, 0.02), (3.0, 5.0), (0.0, 1.0), (0.21, 0.25)])
def test_a_nice_number_is_round_and_not_below(value: float, at_least: float) -> None:
    assert nice(value) == pytest.approx(at_least)


@given(RANGES)
def test_a_bar_ends_where_its_numbers_say(result: Range) -> None:
    drawn = bar(result, -0.5, 0.5)
    assert drawn.x == pytest.approx(100 * (result.low + 0.5), abs=1e-3)
    assert drawn.x + drawn.width == pytest.approx(100 * (result.high + 0.5), abs=2e-3)
    assert (drawn.cut_left, drawn.cut_right) == (False, False)
    assert drawn.settled == (result.low > 0 or result.high < 0)


def test_what_runs_off_the_axis_is_cut_with_an_arrow() -> None:
    drawn = bar(Range(estimate=0.61, low=0.09, high=1.13), -0.2, 0.2)
    assert drawn.cut_right
    assert not drawn.cut_left
    assert drawn.x + drawn.width == pytest.approx(100)
    assert drawn.point is None


def test_one_wide_interval_does_not_squeeze_the_others() -> None:
    narrow = [Range(estimate=0.03, low=0.007, high=0.055) for _ in range(5)]
    assert reach([*narrow, Range(estimate=0.5, low=-1, high=2)]) == reach(narrow)


@given(st.lists(RANGES, min_size=1, max_size=12))
def test_the_primary_is_never_cut(result: list[Range]) -> None:
    far = reach(result)
    drawn = bar(result[0], -far, far)
    assert (drawn.cut_left, drawn.cut_right) == (False, False)


@given(st.floats(-1, 0.9), st.floats(0.01, 2))
def test_ticks_are_few_and_within_the_axis(low: float, span: float) -> None:
    result = ticks(low, low + span, 6)
    assert 2 <= len(result) <= 7
    assert all(low - 1e-9 <= one <= low + span + 1e-9 for one in result)


def test_a_course_is_drawn_twice_from_the_same_numbers() -> None:
    drawn = course_of("Hit rate", course(0.031, 0.024), START, 14, 0.05)
    assert drawn is not None
    wide, narrow = drawn.charts
    assert (wide.width, narrow.width) == (1040, 346)
    assert len(wide.lift.line) == len(narrow.lift.line) == len(drawn.lines) == 11
    assert drawn.lines[-1].lift == "+3.1%"
    assert drawn.lines[-1].interval == "+0.7 to +5.5%"
    for chart in drawn.charts:
        assert all(chart.left <= point.x <= chart.right for point in (*chart.band, *chart.lift.line))
        assert all(chart.lift.top <= point.y <= chart.lift.bottom for point in (*chart.band, *chart.lift.line))
        assert chart.future is not None
        assert chart.future == chart.lift.line[-1].x


def test_the_crossing_of_the_bound_is_marked_on_its_day() -> None:
    days = course(0.031, 0.024, p_at_end=0.011)
    crossed = crossing(days, 0.05)
    assert crossed is not None
    assert day_number(crossed.day, START) == 9
    drawn = course_of("Hit rate", days, START, 14, 0.05)
    assert drawn is not None
    assert [mark.text for mark in drawn.charts[0].marks] == ["bound crossed, day 9"]


def test_marks_stand_each_on_a_line_of_its_own() -> None:
    moments = [Moment(at=START + timedelta(days=day), text=f"weights {day}") for day in (2, 3)]
    drawn = course_of("Hit rate", course(0.031, 0.024), START, 14, 0.05, moments)
    assert drawn is not None
    for chart in drawn.charts:
        assert len({mark.y for mark in chart.marks}) == len(chart.marks) == 3


def test_a_long_course_is_thinned_and_keeps_its_last_day() -> None:
    days = course(0.02, 0.01, 200.0)
    drawn = course_of("Hit rate", days, START, 200, 0.05)
    assert drawn is not None
    assert len(drawn.charts[0].lift.line) <= MOST_POINTS
    assert drawn.charts[0].lift.line[-1].x == drawn.charts[0].right
    assert len(drawn.lines) == 200
    assert len(drawn.charts[1].days) <= 8


def test_a_cut_axis_is_told() -> None:
    drawn = course_of("Hit rate", course(0.031, 0.05), START, 14, 0.05)
    assert drawn is not None
    assert drawn.notes
    assert drawn.notes[0].startswith("The axis is cut: the interval runs past it on day 1")


def test_a_single_day_is_a_course_too() -> None:
    day = Day(day=START + timedelta(hours=14), users=40, lift=Range(estimate=0.0, low=0.0, high=0.0), p_value=0.0)
    drawn = course_of("Hit rate", [day], START, 14, 0.05)
    assert drawn is not None
    assert drawn.lines[0].evidence == "over 10,000×"


def test_days_without_a_lift_make_no_course() -> None:
    day = Day(day=START + timedelta(days=1), users=3, lift=None, p_value=None)
    assert course_of("Hit rate", [day], START, 14, 0.05) is None
