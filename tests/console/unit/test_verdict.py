"""The words of every state, from reports."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from console.experiment.verdict import stale, withheld, words_of
from console.experiment.view import json_of, view_of
from contracts.reports import Report

from tests.support.fakes import reports
from tests.support.fakes.reports import NOW, STATES

SENTENCES = {
    "ship": ("Ship test", "Hit rate is higher with test, by 0.7% to 5.5%, and every guardrail stays within its limit."),
    "hold": ("Hold", "Keep running: 3 days of 14 planned are left. The interval for hit rate still holds zero: −1.4% to +8.6%."),
    "young": ("Too early to decide", "Keep running. Day 3 of at least 7: users of the first days are not like those of a whole week."),
    "too-early": ("Too early to read", "1,297 of 2,000 users per group. First reading about 15:00 UTC."),
    "first-hours": ("Too early to read", "0 of 500 users per group."),
    "few-likers": (
        "Too early to read",
        "The likes stand on 31 of 50 users per group: too few like, or a few like far more than all others.",
    ),
    "roll-back": ("Roll back test", "1.8 to 2.4 points more of test’s answers than of control’s are slower than 200 ms; the limit is 1 point."),
    "worse": ("Roll back test", "Hit rate is lower with test, by 2.1% to 6.3%."),
    "ended": ("Keep control", "No clear difference by the planned end; any change lies between −0.6% and +0.9%."),
    "interleave": (
        "Ship test",
        "Test’s share of the votes is 51.2% to 54.6%, ties half to each, and every guardrail stays within its limit.",
    ),
    "shadow": (
        "Nothing to decide",
        "Users see control’s posts alone. Test is asked beside it, and its answers are compared with what was shown.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", SENTENCES)
def test_every_state_has_its_words(state: str) -> None:
    words = words_of(STATES[state], NOW)
    assert (words.headline, words.sentence) == SENTENCES[state]


def test_a_failed_split_says_where_the_users_are() -> None:
    words = words_of(STATES["split-failed"], NOW)
    assert words.headline == "Do not decide"
    assert words.sentence.startswith("More users landed in control than the split allows")
    assert "start again with a new salt" in words.sentence


def test_a_decision_is_told_with_its_time_reason_and_run() -> None:
    words = words_of(STATES["decided"], NOW)
    assert words.headline == "Shipped test"
    assert words.decided == (
        "Shipped test on 14 Mar, 10:02 UTC, by admin: Clear for three days in a row. Decided on run 481."
    )
    rolled = words_of(STATES["rolled-back"], NOW)
    assert (rolled.headline, rolled.tone) == ("Rolled back test", "bad")


def test_hold_and_keep_control_differ() -> None:
    hold, ended = words_of(STATES["hold"], NOW), words_of(STATES["ended"], NOW)
    assert hold.tone == ended.tone == "wait"
    assert hold.headline != ended.headline
    assert hold.sentence.startswith("Keep running")
    assert "planned end" in ended.sentence


@pytest.mark.parametrize("state", STATES)
def test_nobody_wins(state: str) -> None:
    assert "winner" not in view_of(STATES[state], NOW).model_dump_json().lower()


def test_a_stale_report_says_how_old_and_why() -> None:
    assert stale(STATES["stale"], NOW) == "Numbers are 14 min old because event lag is 12 min."
    assert stale(STATES["hold"], NOW) is None
    assert stale(STATES["decided"], NOW) is None
    assert view_of(STATES["stale"], NOW, frozen=True).stale is None


def test_old_numbers_without_a_lag_name_the_last_analysis() -> None:
    old = reports.hold().model_copy(update={"at": NOW - timedelta(hours=3)})
    assert stale(old, NOW) == "Numbers are 3 h old: the last analysis ran at 06:41 UTC."


def test_another_clock_than_ours_tells_no_age() -> None:
    """A simulated platform's days are not the console's."""
    away = STATES["stale"].model_copy(update={"at": NOW + timedelta(days=40)})
    assert stale(away, NOW) == "Numbers are 12 min old because event lag is 12 min."


@pytest.mark.parametrize("state", ["split-failed", "too-early"])
def test_what_cannot_be_read_has_no_lift_in_page_or_json(state: str) -> None:
    page, body = view_of(STATES[state], NOW), json_of(STATES[state], NOW)
    assert page.held
    assert page.course is None
    assert page.fine == page.protocol == []
    assert all(row.bar is None and row.lift == "–" and row.kind == "none" for row in page.forest.rows)
    shown = Report.model_validate_json(_report_of(body))
    assert all(one.always_valid is one.lift is one.difference is one.cuped is None for one in shown.metrics)
    assert all(one.course == [] for one in shown.metrics)


def test_too_few_days_show_their_numbers_without_a_colour() -> None:
    page = view_of(STATES["young"], NOW)
    assert not page.held
    assert page.forest.rows[0].lift == "+3.6%"
    assert {row.kind for row in page.forest.rows} == {page.course_kind} == {"none"}
    assert "good" not in {check.mark for check in page.checks}


def test_the_unreliable_numbers_are_shown_to_whoever_asks() -> None:
    page = view_of(STATES["split-failed"], NOW, reveal=True)
    assert (page.held, page.revealed) == (False, True)
    assert page.forest.rows[0].lift == "+3.1%"
    assert page.words.headline == "Do not decide"
    assert view_of(STATES["too-early"], NOW, reveal=True).held, "nothing is revealed before there is anything to read"


def test_holding_back_keeps_what_compares_nothing() -> None:
    kept = withheld(STATES["split-failed"])
    assert [one.control for one in kept.metrics] == [one.control for one in STATES["split-failed"].metrics]
    assert kept.split == STATES["split-failed"].split


def test_a_groups_models_are_those_that_have_a_version() -> None:
    made = STATES["ship"].groups[1].model_copy(update={"models": ["test@3", "test@2", "test@1", "last_slate"]})
    page = view_of(STATES["ship"].model_copy(update={"groups": [STATES["ship"].groups[0], made]}), NOW)
    assert [side.models for side in page.traffic.sides] == ["control 1.4.0", "test 3, test 2 and 1 more"]


def test_a_report_without_groups_divides_by_nothing() -> None:
    empty = STATES["first-hours"].model_copy(update={"groups": []})
    page = view_of(empty, NOW)
    assert [side.share for side in page.traffic.sides] == ["–", "–"]
    assert page.words.sentence == "0 of 500 users per group."


def _report_of(body: str) -> str:
    """The JSON leaves out the bucket tables, which a report has."""
    result = json.loads(body)["report"]
    for period in result["experiment"]["periods"]:
        assert "table" not in period
        period["table"] = "0" * 10_000
    return json.dumps(result)
