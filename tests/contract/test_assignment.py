"""The assignment is published: its vectors never change, and a change of weights moves as few buckets as it can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from contracts.assignment import BUCKETS, Experiment, bucket, reweight
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

VECTORS = {
    (200, "models.enrolment"): 5160,
    (200, "models.group"): 1157,
    (201, "models.group"): 5937,
    (1, "a"): 828,
    (163405, "models.group"): 3720,
}


@pytest.mark.parametrize(
    ("user_id", "salt", "expected"), [(user, salt, value) for (user, salt), value in VECTORS.items()]
)
def test_buckets_are_the_published_ones(user_id: int, salt: str, expected: int) -> None:
    assert bucket(user_id, salt) == expected


def test_the_documentation_publishes_the_same_vectors() -> None:
    text = (Path(__file__).parents[2] / "docs/experiments.md").read_text()
    found = re.findall(r"^\| (\d+) \| `([\w.]+)` \| (\d+) \|", text, re.MULTILINE)
    assert {(int(user), salt): int(value) for user, salt, value in found} == VECTORS


shares = st.integers(0, BUCKETS).map(lambda control: {"control": control / BUCKETS, "test": 1 - control / BUCKETS})


@given(shares, shares)
def test_a_change_of_weights_moves_no_more_buckets_than_the_weights_changed(before: dict, after: dict) -> None:  # type: ignore[type-arg]
    first = reweight("", before)
    second = reweight(first, after)
    assert second.count("0") == round(after["control"] * BUCKETS)
    moved = sum(a != b for a, b in zip(first, second, strict=True))
    assert moved == abs(first.count("0") - second.count("0"))


@given(st.integers(0, 2**31 - 1))
def test_enrolment_grows_without_losing_anybody(user_id: int) -> None:
    enrolled = [
        Experiment.start("models", {"control": 0.5, "test": 0.5}, enrolment=share).assign(user_id).enrolled
        for share in (0.0, 0.1, 0.5, 1.0)
    ]
    assert enrolled == sorted(enrolled)
    assert enrolled[-1]


def test_a_forced_user_is_in_his_group() -> None:
    experiment = Experiment.start("models", {"control": 1.0, "test": 0.0})
    forced = experiment.model_copy(update={"forced": {7: "test"}})
    assert forced.assign(7).group == "test"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights": {"control": 0.5, "test": 0.6}}, "add up to 1.1"),
        ({"group_salt": "models.enrolment"}, "must differ"),
        ({"group_salt": "2a"}, "pattern"),
        ({"table": "0" * 9_999}, "at least 10000"),
        ({"table": "7" * 10_000}, "no group"),
    ],
)
def test_an_experiment_that_does_not_hang_together_is_refused(change: dict[str, object], reason: str) -> None:
    good = Experiment.start("models", {"control": 0.5, "test": 0.5}).model_dump()
    with pytest.raises(ValidationError, match=reason):
        Experiment.model_validate({**good, **change})
