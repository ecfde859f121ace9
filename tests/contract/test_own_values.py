"""A declaration only grows; a value travels in four bytes and comes back as the feature it was."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.own import NOTHING_DECLARED, OwnColumn, OwnColumns, OwnValueError, pack, unpack, values_of
from contracts.records import BadRecordError, Profile, code
from contracts.vocabulary import CATEGORIES, Vocabulary
from contracts.wire import OwnValue, UserProfile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

PLAN, LOGINS = OwnColumn(name="plan", kind="categorical"), OwnColumn(name="logins", kind="numeric")
COLUMNS = (PLAN, LOGINS)
NOBODY = {name: np.zeros(0, np.int64) for name in CATEGORIES}
VOCABULARY = Vocabulary.of(NOBODY, {"user.plan": np.array([code("pro"), code("pro"), code("free")])})
numbers = st.none() | st.floats(-1e38, 1e38, allow_nan=False)
plans = st.none() | st.sampled_from(["pro", "free"])


@given(plans, numbers)
def test_a_value_comes_back_as_the_feature_that_training_sees(plan: str | None, logins: float | None) -> None:
    record = pack(COLUMNS, {"plan": plan, "logins": logins})
    assert len(record) == 4 * len(COLUMNS)
    (row,) = values_of("user", COLUMNS, unpack(COLUMNS, record), VOCABULARY)
    expected = [
        np.nan if plan is None else ["pro", "free"].index(plan),
        np.nan if logins is None else np.float32(logins),
    ]
    np.testing.assert_array_equal(row, np.array(expected, np.float64))


def test_a_record_of_before_lacks_the_columns_behind_and_a_later_one_has_more() -> None:
    before, later = pack((PLAN,), {"plan": "pro"}), pack(COLUMNS, {"plan": "pro", "logins": 3.0})
    assert values_of("user", COLUMNS, unpack(COLUMNS, before), VOCABULARY)[0, 0] == 0.0
    assert np.isnan(values_of("user", COLUMNS, unpack(COLUMNS, before), VOCABULARY)[0, 1])
    np.testing.assert_array_equal(unpack((PLAN,), later), unpack((PLAN,), before))


def test_a_category_that_training_never_saw_is_none_of_those_known() -> None:
    record = unpack((PLAN,), pack((PLAN,), {"plan": "gold"}))
    assert values_of("user", (PLAN,), record, VOCABULARY)[0, 0] == 2.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"plam": "pro"}, "plam: no such column is declared; there are plan, logins"),
        ({"plan": 3.0}, "plan: a text is needed"),
        ({"logins": "3"}, "logins: a number is needed"),
    ],
)
def test_what_was_not_declared_so_is_refused_by_name(values: dict[str, OwnValue], said: str) -> None:
    with pytest.raises(OwnValueError, match=said):
        pack(COLUMNS, values)


def test_a_declaration_only_grows() -> None:
    first, both = OwnColumns(user=(PLAN,)), OwnColumns(user=COLUMNS, post=(PLAN,))
    assert first.with_more(OwnColumns(user=(LOGINS,), post=(PLAN,))) == both
    assert both.with_more(first) == both
    assert both.holds(first)
    assert both.holds(NOTHING_DECLARED)
    assert not first.holds(both)
    assert not OwnColumns(user=(LOGINS, PLAN)).holds(first)
    with pytest.raises(ValueError, match=r"user\.plan was declared categorical; give it another name"):
        both.with_more(OwnColumns(user=(OwnColumn(name="plan", kind="numeric"),)))


def test_users_and_posts_may_have_columns_of_one_name() -> None:
    assert OwnColumns(user=(PLAN,), post=(PLAN,)).features == ["user.plan", "post.plan"]


@given(st.binary(max_size=40).filter(lambda own: len(own) % 4 == 0))
def test_a_profile_carries_them_behind_its_fields(own: bytes) -> None:
    profile = Profile.of(UserProfile(age=30), own)
    assert Profile.unpack(profile.pack()) == profile


def test_a_profile_that_is_cut_off_is_refused() -> None:
    with pytest.raises(BadRecordError, match="cut off"):
        Profile.unpack(Profile.of(UserProfile(), pack(COLUMNS, {})).pack()[:-1])


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), 1e39, "x" * 201, "a\0b", [1]])
def test_a_value_is_a_text_a_number_or_missing(value: object) -> None:
    with pytest.raises(ValidationError, match="own"):
        UserProfile.model_validate({"own": {"plan": value}})
