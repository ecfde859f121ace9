"""The editor's pure parts: forms, what a change would move, sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from console.editor import impact
from console.editor.draft import DraftError, field_of, plan_of
from console.editor.form import MOST_GUARDRAILS, beside_of, blocks_of, default_form, form_of, guard_rows
from console.editor.review import acts, review_act, review_plan
from console.editor.sessions import LIFETIME_SECONDS, MOST_DRAFTS, MOST_SESSIONS, Sessions
from contracts.experiments import Decision, Experiment, Guardrail, Pause, Plan, RampStep, Rules, WeightPeriod, periods
from contracts.layers import conflict

from tests.support.fakes.reports import NOW, report

START = datetime(2026, 3, 3, tzinfo=UTC)
USERS = range(4_000)
FULL = Plan(
    mode="ramp",
    weights={"control": 0.95, "test": 0.05},
    ramp=[RampStep(at=datetime(2026, 3, 20, 10, tzinfo=UTC), weights={"control": 0.5, "test": 0.5})],
    layer="feed",
    enrolment_from=0.1,
    enrolment=0.25,
    enrolment_salt="feed.2026",
    group_salt="again",
    forced={200: "test", 201: "control"},
    starts_at=datetime(2026, 3, 19, 8, tzinfo=UTC),
    ends_at=datetime(2026, 4, 1, tzinfo=UTC),
    exploration=0.02,
    watched=["likes_per_user"],
    guardrails=[
        Guardrail(metric="slow_share", limit=0.015, over_ms=250.5),
        Guardrail(metric="error_share", limit=0.001),
    ],
    rules=Rules(alpha=0.01, min_likers=80, planned_users=40_000, winsorised=0.995, min_users=700, join_hours=36.5),
)


@pytest.mark.parametrize("plan", [Plan(), FULL, Plan(mode="interleave"), Plan(mode="shadow", guardrails=[])])
def test_a_plan_comes_back_out_of_its_form(plan: Plan) -> None:
    assert plan_of(form_of(plan), None) == plan


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"weight_test": "60"}, "weight_test", "weights add up to 1.1"),
        ({"weight_test": "half"}, "weight_test", "“half” is not a number"),
        ({"ends_at": "tomorrow"}, "ends_at", "is not a time like"),
        ({"starts_at": "2026-03-19T08:00", "ends_at": "2026-03-18T08:00"}, "ends_at", "ends_at lies before starts_at"),
        ({"ramp": "2026-03-20T10:00 50"}, "ramp", "is not a step like"),
        ({"ramp": "2026-03-20T10:00 50 50"}, "ramp", "only a ramp has them"),
        ({"forced": "200 both"}, "forced", "is not a user and a group"),
        ({"enrolment_from": "60", "enrolment": "60"}, "enrolment", "beyond the layer's end"),
        ({"alpha": "60"}, "alpha", "less than 0.5"),
        ({"min_days": "20"}, "min_days", "more than the 14 days planned"),
        ({"group_salt": "2a"}, "group_salt", "pattern"),
        ({"guard_0_over_ms": ""}, "guard_0_over_ms", "slow_share needs over_ms"),
        ({"guard_1_limit": "x"}, "guard_1_limit", "is not a number"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(typed: dict[str, str], field: str, message: str) -> None:
    with pytest.raises(DraftError, match=message) as caught:
        plan_of(form_of(Plan()) | typed, None)
    assert [fault.field for fault in caught.value.faults] == [field]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    typed = {"weight_control": "abc", "alpha": "60", "ends_at": "never", "guard_1_limit": "x", "min_days": "0"}
    with pytest.raises(DraftError) as caught:
        plan_of(form_of(Plan()) | typed, None)
    assert {fault.field for fault in caught.value.faults} == set(typed)


def test_a_number_that_cannot_be_read_is_not_also_said_to_be_out_of_range() -> None:
    with pytest.raises(DraftError) as caught:
        plan_of(form_of(Plan()) | {"weight_test": "ten", "weight_control": "90"}, None)
    assert [fault.field for fault in caught.value.faults] == ["weight_test"]


def test_the_primary_is_not_watched_beside_itself() -> None:
    typed = form_of(Plan()) | {"primary": "likes_per_user"}
    assert "watched_likes_per_user" in typed
    assert plan_of(typed, None).watched == ["likes_per_exposure", "exposures_per_user"]


def test_a_new_plan_takes_what_is_free_of_its_layer() -> None:
    part = Experiment.started("models", Plan(enrolment=0.6), START)
    form = default_form([part])
    assert (form["enrolment_from"], form["enrolment"]) == ("60", "40")
    assert conflict(plan_of(form, None), [part], NOW) is None
    assert beside_of([part]) == "Beside models, 40% of the users of the layer models are free: this draft takes them."
    assert beside_of([]) is None


def test_where_nothing_is_free_the_editor_says_when_and_how_else() -> None:
    whole = Experiment.started("models", Plan(), START)
    said = beside_of([whole])
    assert said is not None
    assert "can start when one has ended, planned for 17 Mar, 00:00 UTC; a shadow" in said
    form = {"reason": "because"}
    review = review_plan("second", None, Plan(), form, None, NOW, [whole])
    assert review.warning is not None
    assert "It cannot start now: 0% to 100% of the layer models overlap 0% to 100%, which models has" in review.warning
    assert "planned for 17 Mar, 00:00 UTC" in review.warning
    beside = Plan(mode="shadow", layer="shadows")
    assert review_plan("second", None, beside, form, None, NOW, [whole]).warning is None


def test_what_is_locked_stays_whatever_is_sent() -> None:
    running = Experiment.started("models", Plan(), START)
    sent = form_of(Plan()) | {"group_salt": "other", "alpha": "10", "weight_control": "20", "weight_test": "80"}
    plan = plan_of(sent, running)
    assert plan == Plan(weights={"control": 0.2, "test": 0.8})


def test_locked_fields_say_so_only_while_it_runs() -> None:
    def locked(running: bool) -> set[str]:
        return {one.name for block in blocks_of(form_of(Plan()), running) for one in block.fields if one.locked}

    assert locked(False) == set()
    assert {"group_salt", "primary", "mode", "min_days", "watched", "ramp"} <= locked(True)
    notes = [block.note for block in blocks_of(form_of(Plan()), True)]
    assert "would make the two groups unlike" in notes[2].replace("\n", " ")
    assert "chosen after seeing the data" in notes[3], "a rule makes no group unlike"
    assert not {"weight_control", "weight_test", "enrolment", "ends_at", "forced"} & locked(True)


def test_there_is_always_a_row_for_one_more_guardrail() -> None:
    assert len(guard_rows(form_of(Plan()))) == 4
    assert len(guard_rows({f"guard_{place}_metric": "error_share" for place in range(20)})) == MOST_GUARDRAILS


def _shown(experiment: Experiment | None, user: int, now: datetime) -> str:
    if experiment is None:
        return "control"
    assignment = experiment.assign(user, now)
    return experiment.plan.rankers[assignment.group] if assignment.enrolled else "control"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Plan(), Plan(weights={"control": 0.2, "test": 0.8})),
        (Plan(weights={"control": 0.9, "test": 0.1}), Plan(weights={"control": 0.5, "test": 0.5})),
        (Plan(enrolment=0.4), Plan(enrolment=0.7)),
        (Plan(enrolment=0.4), Plan(enrolment_from=0.2, enrolment=0.4)),
        (Plan(), Plan(group_salt="other")),
        (Plan(enrolment=0.5), Plan(enrolment=0.5, enrolment_salt="other")),
        (Plan(), Plan(rankers={"control": "test", "test": "control"})),
        (Plan(), Plan(rankers={"control": "control", "test": "control"})),
    ],
)
def test_the_share_that_would_move_is_that_of_users_who_do(before: Plan, after: Plan) -> None:
    now = START + timedelta(days=2)
    running = Experiment.started("models", before, START)
    changed = running.model_copy(update={"plan": after, "periods": periods(after, now, running.periods)})
    share = impact.share_moved(impact.serving(running, now), impact.serving_by("models", after, running, now))
    moved = sum(_shown(running, user, now) != _shown(changed, user, now) for user in USERS)
    assert share == pytest.approx(moved / len(USERS), abs=0.025)
    assert share > 0 or after.rankers == before.rankers


def test_what_changes_no_model_moves_nobody() -> None:
    running = Experiment.started("models", Plan(), START)
    later = Plan(ends_at=datetime(2026, 5, 1, tzinfo=UTC))
    share = impact.share_moved(impact.serving(running, NOW), impact.serving_by("models", later, running, NOW))
    assert (share, impact.said(share, 50_000)) == (0.0, "No user would change model.")


def test_the_number_of_users_comes_from_those_met_so_far() -> None:
    half = report().experiment.model_copy(update={"plan": Plan(enrolment=0.5)})
    assert impact.users_known(report(experiment=half)) == 100_000
    assert impact.users_known(None) is None
    assert impact.said(0.3, 50_000) == "About 15,000 users would change model, 30% of the 50,000 seen so far."
    assert impact.said(0.3, None) == "About 30% of users would change model."


def test_a_review_shows_what_changes_and_what_it_moves() -> None:
    before = report().experiment
    form = {"reason": "more users for test", "by": "admin"}
    review = review_plan(before.name, before, Plan(weights={"control": 0.2, "test": 0.8}), form, report(), NOW)
    assert [(line.label, line.before, line.after) for line in review.lines] == [
        ("Weights", "control 50%, test 50%", "control 20%, test 80%"),
    ]
    assert review.moved == "About 15,000 users would change model, 30% of the 50,000 seen so far."
    assert review.warning is not None
    assert '"revision":1' in review.edit


def test_a_decision_moves_whoever_sees_the_other_ranker() -> None:
    before, form = report().experiment, {"act_reason": "clear for three days"}
    shipped = review_act(before, "ship", form, report(), NOW)
    assert shipped.moved == "About 25,000 users would change model, 50% of the 50,000 seen so far."
    assert '"decision":"ship"' in shipped.edit
    assert "plan" not in shipped.edit


def test_a_pause_can_be_ended_and_says_whom_that_moves() -> None:
    before, form = report().experiment, {"act_reason": "the ranker has its memory back"}
    pause = Pause(why="unreachable", until=NOW + timedelta(minutes=4))
    weights = WeightPeriod(number=1, starts_at=NOW, weights={"control": 1, "test": 0}, table="0" * 10_000, pause=pause)
    paused = before.model_copy(update={"periods": [*before.periods, weights]})
    assert list(acts(paused)) == ["resume", "ship", "keep_control", "roll_back", "stop"]
    review = review_act(paused, "resume", form, report(), NOW)
    assert [(line.before, line.after) for line in review.lines] == [("Test’s traffic pauses", "Test gets its traffic")]
    assert review.moved == "About 25,000 users would change model, 50% of the 50,000 seen so far."
    assert '"resume":true' in review.edit
    with pytest.raises(DraftError, match="choose what to do"):
        review_act(before, "resume", form, report(), NOW)


def test_a_change_needs_a_reason_and_a_change() -> None:
    before = report().experiment
    with pytest.raises(DraftError, match="say why"):
        review_plan(before.name, before, Plan(exploration=0.1), {"reason": " "}, None, NOW)
    with pytest.raises(DraftError, match="nothing is changed"):
        review_plan(before.name, before, before.plan, {"reason": "no reason"}, None, NOW)


def test_what_may_be_done_follows_the_state() -> None:
    running = report().experiment
    assert list(acts(running)) == ["ship", "keep_control", "roll_back", "stop"]
    assert list(acts(Experiment(name="new-one", plan=Plan()))) == ["start", "archive"]
    decision = Decision(outcome="ship", at=NOW, by="admin", reason="clear")
    over = running.model_copy(update={"state": "stopped", "decision": decision})
    assert list(acts(over)) == ["archive"]
    shadow = running.model_copy(update={"plan": Plan(mode="shadow")})
    assert "ship" not in acts(shadow)
    with pytest.raises(DraftError, match="choose what to do"):
        review_act(over, "start", {"act_reason": "again"}, None, NOW)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_after_half_an_hour() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    opened = sessions.open("secret")
    assert sessions.find(opened) is not None
    clock.now = LIFETIME_SECONDS
    assert sessions.find(opened) is None


def test_a_session_is_found_by_its_id_alone() -> None:
    sessions = Sessions()
    first, second = sessions.open("one"), sessions.open("two")
    result = sessions.find(first)
    assert result is not None
    assert result.key == "one"
    assert result.owns(result.csrf)
    assert not result.owns("")
    other = sessions.find(second)
    assert other is not None
    assert not result.owns(other.csrf)
    assert sessions.find(None) is sessions.find("") is sessions.find("guessed") is None
    sessions.close(first)
    assert sessions.find(first) is None


def test_the_key_is_not_in_what_a_session_prints() -> None:
    sessions = Sessions()
    assert "secret" not in repr(sessions.find(sessions.open("secret")))


def test_a_session_keeps_the_last_drafts_and_no_secret_in_them() -> None:
    sessions = Sessions()
    session = sessions.find(sessions.open("key"))
    assert session is not None
    ids = [session.keep({"name": str(number), "csrf": session.csrf}) for number in range(MOST_DRAFTS + 1)]
    assert list(session.drafts) == ids[1:]
    assert session.drafts[ids[-1]] == {"name": str(MOST_DRAFTS)}


def test_sessions_are_bounded() -> None:
    sessions = Sessions()
    first = sessions.open("key")
    for _ in range(MOST_SESSIONS):
        sessions.open("key")
    assert sessions.find(first) is None


def test_a_plans_rule_sets_are_typed_and_kept() -> None:
    plan = Plan(rule_sets={"test": "varied"})
    assert plan_of(form_of(plan), None).rule_sets == {"test": "varied"}
    assert plan_of(form_of(Plan()), None).rule_sets == {}
    assert field_of(["plan", "rule_sets", "test"]) == "rule_set_test"
