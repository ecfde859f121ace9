"""Which users are free beside the experiments that run, and what is said where none are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from contracts.experiments import Experiment, Plan
from contracts.layers import conflict, free

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=2)


def running(name: str, **plan: object) -> Experiment:
    return Experiment.started(name, Plan.model_validate(plan), START)


FIRST = running("first", enrolment=0.2)
MIDDLE = running("middle", enrolment_from=0.5, enrolment=0.25)


def test_what_is_free_lies_between_the_slices_that_are_taken() -> None:
    assert free("models", [MIDDLE, FIRST]) == [range(2_000, 5_000), range(7_500, 10_000)]
    assert free("other", [MIDDLE, FIRST]) == [range(10_000)]
    assert free("models", [running("all")]) == []


@pytest.mark.parametrize(
    ("plan", "field", "said"),
    [
        (
            {"enrolment": 0.6},
            "enrolment_from",
            "0% to 60% of the layer models overlap 0% to 20%, which first has; free is 20% to 50% and 75% to 100%",
        ),
        ({"layer": "other"}, "layer", "first in the layer models decides what users see already; take a free slice"),
    ],
)
def test_what_stands_in_the_way_is_said_with_a_way_out(plan: dict[str, object], field: str, said: str) -> None:
    result = conflict(Plan.model_validate(plan), [FIRST, MIDDLE], NOW)
    assert result is not None
    assert result.field == field
    assert result.message.startswith(said)


@pytest.mark.parametrize(
    "plan",
    [
        {"enrolment_from": 0.2, "enrolment": 0.3},
        {"enrolment_from": 0.75, "enrolment": 0.25},
        {"layer": "other", "mode": "shadow"},
    ],
)
def test_a_free_slice_and_a_shadow_elsewhere_may_run_beside(plan: dict[str, object]) -> None:
    assert conflict(Plan.model_validate(plan), [FIRST, MIDDLE], NOW) is None


def test_where_nothing_is_free_it_says_when_something_is() -> None:
    ends = running("ends", ends_at=START + timedelta(days=5))
    result = conflict(Plan(), [ends], NOW)
    assert result is not None
    assert "start it when one of its experiments has ended (planned for 6 Mar, 00:00 UTC)" in result.message
    by_days = conflict(Plan(), [running("days")], NOW)
    assert by_days is not None
    assert "(planned for 15 Mar, 00:00 UTC)" in by_days.message


def test_what_has_ended_or_never_began_holds_nobody() -> None:
    over = running("over", ends_at=NOW)
    stopped = running("stopped").model_copy(update={"state": "stopped"})
    assert conflict(Plan(), [over, stopped, Experiment(name="drafted", plan=Plan())], NOW) is None
