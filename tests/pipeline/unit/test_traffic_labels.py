"""Which group a simulated user's answer counts for."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.clock import Clock
from contracts.experiments import Experiment, Plan
from pipeline.traffic.client import Slate
from pipeline.traffic.clock import Pace
from pipeline.traffic.run import label_of

NOW = datetime(2026, 11, 9, tzinfo=UTC)
SLATE = Slate("key", "control", [1, 2], "")
USERS = range(200, 1_200)


def labels(*experiments: Experiment) -> set[str]:
    pace = Pace(Clock(since=NOW, then=NOW), lambda clock: None)
    label = label_of(experiments, pace)
    return {label(user, SLATE) for user in USERS}


def started(name: str, **plan: object) -> Experiment:
    return Experiment.started(name, Plan.model_validate(plan), NOW)


def test_one_experiment_has_its_groups_and_those_who_are_not_in_it() -> None:
    assert labels(started("models")) == {"control", "test"}
    assert labels(started("models", enrolment=0.5)) == {"control", "test", "not enrolled"}


def test_several_are_told_apart_by_their_names() -> None:
    names = labels(
        started("ab", enrolment=0.5),
        started("mixed", mode="interleave", enrolment_from=0.5, enrolment=0.5),
        started("quiet", mode="shadow"),
    )
    assert names == {"ab: control", "ab: test", "mixed: interleaved"}


def test_without_any_what_the_answer_says_counts() -> None:
    assert labels() == {"control"}
    assert labels(started("quiet", mode="shadow")) == {"control"}
