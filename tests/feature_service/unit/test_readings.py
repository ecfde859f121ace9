"""From sums to a report's readings: every number beside one that was worked out from the users themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from typing import Literal

import numpy as np
import pytest
import scipy.stats
from contracts.experiments import Experiment, Guardrail, Metric, Plan, Rules
from contracts.reports import MetricReading
from experiments import cuped, sequential
from experiments.cuped import CupedSums
from experiments.effects import Effect
from experiments.planning import Users, minimal_effect, users_needed
from experiments.ratios import RatioSums
from feature_service.reports import readings
from feature_service.reports.aggregates import Place, UserSums
from feature_service.reports.reach import LIFTS, _so_far, reached
from feature_service.reports.readings import Scale
from numpy.typing import NDArray

Array = NDArray[np.float64]
START = datetime(2026, 3, 1, tzinfo=UTC)
AT = START + timedelta(days=9, hours=7)
RULES = Rules(min_users=200, min_likers=50, min_days=1, days=14, planned_users=1_500)
PLAN = Plan(rules=RULES)


def scale_of(**rules: float) -> Scale:
    return Scale(PLAN.model_copy(update={"rules": RULES.model_copy(update=rules)}))


SCALE = scale_of()
METRICS: list[Metric] = ["hit_rate", "likes_per_exposure", "likes_per_user", "exposures_per_user"]
LETTERS = "nhlrabfks"
"""As in UserSums."""


def crowd(size: int, chance: float, seed: int, *, known: bool = True) -> dict[str, Array]:
    """Users of whom each has a taste; known: what they did before tells it."""
    rng = np.random.default_rng(seed)
    taste = rng.beta(2, 2 / chance - 2, size)
    n = 1.0 + rng.poisson(6, size)
    h = rng.binomial(n.astype(int), taste).astype(float)
    likes = h + rng.binomial(h.astype(int), 0.4)
    a = rng.poisson(8, size).astype(float) if known else np.zeros(size)
    b = rng.binomial(a.astype(int), taste).astype(float)
    trouble = {letter: rng.binomial(n.astype(int), 0.02).astype(float) for letter in "fks"}
    return {"n": n, "h": h, "l": likes, "r": np.minimum(likes, 9.0), "a": a, "b": b, **trouble}


def summed(users: Mapping[str, Array]) -> UserSums:
    pairs = [x + y for x in LETTERS for y in LETTERS if x <= y or x + y in ("nh", "nf", "nk", "la", "lb", "ra", "rb")]
    values = {letter: float(users[letter].sum()) for letter in LETTERS}
    values |= {pair: float(users[pair[0]] @ users[pair[1]]) for pair in {*pairs, *(pair[::-1] for pair in pairs)}}
    return UserSums(len(users["n"]), values)


CONTROL, TEST = crowd(420, 0.20, 1), crowd(400, 0.26, 2)
TOTALS: dict[Place, UserSums] = {(0, "control"): summed(CONTROL), (0, "test"): summed(TEST)}


def columns(metric: Metric, users: Mapping[str, Array]) -> tuple[Array, Array]:
    """Numerator and denominator of each user."""
    y = users[{"hit_rate": "h", "likes_per_exposure": "l", "likes_per_user": "r", "exposures_per_user": "n"}[metric]]
    return y, (np.ones_like(y) if metric.endswith("per_user") else users["n"])


def rate(metric: Metric, users: Mapping[str, Array]) -> tuple[float, float]:
    """A ratio of sums and its variance, by the delta method."""
    y, x = columns(metric, users)
    r = y.sum() / x.sum()
    return float(r), float(len(y) * np.var(y - r * x, ddof=1) / x.sum() ** 2)


def read(
    totals: Mapping[Place, UserSums] = TOTALS,
    days: Mapping[date, Mapping[Place, UserSums]] | None = None,
    scale: Scale = SCALE,
    wanted: list[Metric] = METRICS,
) -> list[MetricReading]:
    return readings.metrics(wanted, totals, days or {}, AT, scale)


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_read_once_is_the_difference_of_two_rates(metric: Metric) -> None:
    (reading,) = read(wanted=[metric])
    (c, c_variance), (t, t_variance) = rate(metric, CONTROL), rate(metric, TEST)
    half = 1.959963984540054 * sqrt(c_variance + t_variance)
    assert reading.control == pytest.approx(c)
    assert reading.test == pytest.approx(t)
    assert reading.difference is not None
    assert reading.lift is not None
    ends = reading.difference.estimate, reading.difference.low, reading.difference.high
    assert ends == pytest.approx((t - c, t - c - half, t - c + half))
    assert (reading.lift.estimate, reading.lift.low) == pytest.approx(((t - c) / c, (t - c - half) / c))
    assert reading.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(t - c) / sqrt(c_variance + t_variance)))


@pytest.mark.parametrize("metric", METRICS)
def test_what_decides_is_adjusted_by_what_users_did_before_and_valid_every_day(metric: Metric) -> None:
    (reading,) = read(wanted=[metric])
    sides = [CupedSums.of(*columns(metric, users), users["a"], users["b"]) for users in (CONTROL, TEST)]  # type: ignore[arg-type]
    adjusted, c = cuped.effect(*sides), rate(metric, CONTROL)[0]
    ever = sequential.interval(adjusted.effect, 1_500, 0.95)
    assert reading.always_valid is not None
    assert reading.cuped is not None
    assert (reading.always_valid.estimate, reading.always_valid.low, reading.always_valid.high) == pytest.approx(
        (ever.estimate / c, ever.low / c, ever.high / c)
    )
    assert reading.always_valid_p_value == pytest.approx(sequential.p_value(adjusted.effect, 1_500))
    assert (reading.cuped.low, reading.cuped.high) == pytest.approx((adjusted.interval().low, adjusted.interval().high))
    assert reading.variance_removed == pytest.approx(adjusted.removed)


def test_of_users_who_are_all_new_the_plain_difference_decides() -> None:
    control, test = crowd(420, 0.20, 1, known=False), crowd(400, 0.26, 2, known=False)
    (reading,) = read({(0, "control"): summed(control), (0, "test"): summed(test)}, wanted=["hit_rate"])
    (c, c_variance), (t, t_variance) = rate("hit_rate", control), rate("hit_rate", test)
    ever = sequential.interval(Effect(t - c, c_variance + t_variance, 820), 1_500)
    assert reading.always_valid is not None
    assert reading.always_valid.low == pytest.approx(ever.low / c)
    assert reading.cuped is None
    assert reading.variance_removed is None


@pytest.mark.parametrize(
    ("rules", "reading"),
    [
        ({"min_users": 400}, "better"),
        ({"min_users": 401}, "unclear"),
        ({"min_likers": 100}, "better"),
        ({"min_likers": 400}, "unclear"),
        ({"alpha": 1e-9}, "unclear"),
    ],
)
def test_the_primary_is_read_from_its_least_users_and_likers_on(rules: dict[str, float], reading: str) -> None:
    (one,) = read(scale=scale_of(**rules), wanted=["hit_rate"])
    assert one.reading == reading
    assert one.always_valid is not None


def test_what_is_lower_is_worse_and_what_is_alike_is_unclear() -> None:
    turned = {(0, "control"): TOTALS[0, "test"], (0, "test"): TOTALS[0, "control"]}
    alike = {(0, "control"): summed(CONTROL), (0, "test"): summed(crowd(400, 0.20, 3))}
    assert [one.reading for one in read(turned, wanted=["hit_rate"])] == ["worse"]
    assert [one.reading for one in read(alike, wanted=["hit_rate"])] == ["unclear"]


def test_users_are_counted_over_all_periods_of_the_smaller_group() -> None:
    halves = {
        (number, group): summed({letter: column[number::2] for letter, column in users.items()})
        for number in (0, 1)
        for group, users in (("control", CONTROL), ("test", TEST))
    }
    (one,) = read(halves, scale=scale_of(min_users=400), wanted=["hit_rate"])
    assert one.reading == "better"
    assert one.control == pytest.approx(rate("hit_rate", CONTROL)[0])
    likers = min(float(users["h"].sum() ** 2 / (users["h"] @ users["h"])) for users in (CONTROL, TEST))
    assert readings.likers("hit_rate", halves) == pytest.approx(likers)
    assert readings.likers("hit_rate", {}) == 0.0


def test_the_primary_stands_alone_and_the_watched_are_adjusted_for_how_many_there_are() -> None:
    primary, *watched = read()
    assert primary.adjusted_p_value == primary.always_valid_p_value
    assert [one.reading for one in watched] == ["watched"] * 3
    ps = sorted(one.always_valid_p_value or 0.0 for one in watched)
    smallest = min(watched, key=lambda one: one.always_valid_p_value or 0.0)
    assert smallest.adjusted_p_value == pytest.approx(min(1.0, 3 * ps[0]))


def test_a_watched_metric_that_cannot_be_told_takes_no_part() -> None:
    nobody = {
        place: UserSums(sums.users, {name: value for name, value in sums.values.items() if "r" not in name})
        for place, sums in TOTALS.items()
    }
    _, per_exposure, per_user, exposures = read(nobody)
    assert per_user.adjusted_p_value is None
    assert per_user.reading == "cannot_tell"
    least = min(one.always_valid_p_value or 0.0 for one in (per_exposure, exposures))
    assert min(one.adjusted_p_value or 0.0 for one in (per_exposure, exposures)) == pytest.approx(min(1.0, 2 * least))


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("", "nobody is assigned to test yet"),
        ("nhlr", "test has no exposures yet"),
        ("hlr", "test has no likes yet"),
    ],
)
def test_what_is_missing_is_said_of_the_group_that_lacks_it(missing: str, why: str) -> None:
    test = {letter: column * (letter not in missing) for letter, column in TEST.items()}
    totals = {(0, "control"): TOTALS[0, "control"]} | ({(0, "test"): summed(test)} if missing else {})
    (one,) = read(totals, wanted=["hit_rate"])
    assert (one.why, one.control, one.test, one.reading) == (why, None, None, "cannot_tell")
    (turned,) = read({(0, "test"): TOTALS[0, "test"]}, wanted=["hit_rate"])
    assert turned.why == "nobody is assigned to control yet"


def test_a_rate_of_nothing_has_no_lift() -> None:
    control = {letter: column * (letter != "h") for letter, column in CONTROL.items()}
    control["h"][:] = 0.0
    (one,) = read({(0, "control"): summed(control), (0, "test"): TOTALS[0, "test"]}, wanted=["hit_rate"])
    assert one.why == "a group whose users don't differ: no variance"


def test_a_period_of_a_few_users_is_left_out_unless_it_is_the_only_one() -> None:
    few = {letter: column[:60] for letter, column in crowd(60, 0.9, 5).items()}
    extra = {(1, "control"): summed(few), (1, "test"): summed(few)}
    with_few, without = read({**TOTALS, **extra}, wanted=["hit_rate"]), read(wanted=["hit_rate"])
    assert with_few[0].difference == without[0].difference
    alone = {(0, "control"): summed(few), (0, "test"): summed(crowd(60, 0.5, 6))}
    assert read(alone, wanted=["hit_rate"])[0].difference is not None


def test_a_course_holds_all_data_up_to_each_day() -> None:
    def part(number: int) -> dict[Place, UserSums]:
        return {
            (0, group): summed({letter: column[number::3] for letter, column in users.items()})
            for group, users in (("control", CONTROL), ("test", TEST))
        }

    silent: dict[Place, UserSums] = {(0, "control"): UserSums(3), (0, "test"): UserSums(2)}
    first = START.date()
    days = {first: silent, first + timedelta(days=1): part(0), AT.date(): part(1)}
    (one,) = read(days=days, wanted=["hit_rate"])
    assert [day.day for day in one.course] == [START + timedelta(days=1), START + timedelta(days=2), AT]
    assert [day.users for day in one.course] == [5, 5 + 140 + 134, 5 + 280 + 267]
    assert one.course[0].lift is None
    assert one.course[0].p_value is None
    both = {letter: np.concatenate([column[0::3], column[1::3]]) for letter, column in CONTROL.items()}
    last = one.course[-1]
    assert last.lift is not None
    totals = {place: silent[place] + part(0)[place] + part(1)[place] for place in silent}
    (whole,) = read(totals, wanted=["hit_rate"])
    assert (last.lift, last.p_value) == (whole.always_valid, whole.always_valid_p_value)
    assert both["n"].sum() == part(0)[0, "control"].values["n"] + part(1)[0, "control"].values["n"]


EXPERIMENT = Experiment.started("models", Plan(rules=RULES), START)


def test_a_split_counts_users_by_period_and_strays_apart() -> None:
    reading, checked = readings.split(EXPERIMENT, {(0, "control"): 1_000, (0, "test"): 1_010, (7, "test"): 4})
    assert checked is not None
    assert (reading.failed, reading.strays, reading.alpha) == (False, 4, 0.01)
    assert reading.p_value == checked.p > 0.5
    (period,) = reading.periods
    assert (period.weight_period, period.starts_at) == (0, START)
    assert period.expected == {"control": 0.5, "test": 0.5}
    assert period.assigned == {"control": 1_000, "test": 1_010}


def test_a_split_that_is_not_by_its_weights_or_holds_strangers_fails() -> None:
    uneven, _ = readings.split(EXPERIMENT, {(0, "control"): 1_000, (0, "test"): 1_400})
    strange, _ = readings.split(EXPERIMENT, {(0, "control"): 1_000, (0, "test"): 1_010, (7, "test"): 40})
    assert uneven.failed
    assert (strange.failed, strange.strays, strange.p_value) == (True, 40, 0.0)
    nobody, checked = readings.split(EXPERIMENT, {(7, "test"): 3})
    assert (nobody.p_value, nobody.failed, nobody.strays, checked) == (None, False, 3, None)


def troubled(share: float, size: int = 400, seed: int = 9) -> UserSums:
    users = crowd(size, 0.2, seed)
    rng = np.random.default_rng(seed)
    return summed({**users, "s": rng.binomial(users["n"].astype(int), share).astype(float)})


@pytest.mark.parametrize(
    ("control", "test", "limit", "state"),
    [
        (0.01, 0.01, 0.05, "holds"),
        (0.01, 0.30, 0.05, "breached"),
        (0.01, 0.06, 0.05, "unclear"),
        (0.30, 0.01, 0.05, "holds"),
        (0.30, 0.30, 0.05, "holds"),
    ],
)
def test_a_guardrail_holds_test_s_trouble_against_control_s(
    control: float, test: float, limit: float, state: str
) -> None:
    rule = Guardrail(metric="slow_share", limit=limit, over_ms=200.0)
    totals = {(0, "control"): troubled(control), (0, "test"): troubled(test, seed=10)}
    reading = readings.guardrail(rule, totals, SCALE)
    assert (reading.state, reading.limit, reading.over_ms, reading.metric) == (state, limit, 200.0, "slow_share")
    assert reading.more is not None
    assert reading.control is not None
    assert reading.test is not None
    assert reading.more.estimate == pytest.approx(reading.test.estimate - reading.control.estimate)
    assert reading.more.low < reading.more.estimate < reading.more.high
    assert 0 <= reading.control.low <= reading.control.estimate <= reading.control.high <= 1


def test_a_guardrail_s_interval_is_that_of_99_percent_and_every_look() -> None:
    rule = Guardrail(metric="slow_share", limit=0.05, over_ms=200.0)
    control, test = troubled(0.02), troubled(0.05, seed=10)
    reading = readings.guardrail(rule, {(0, "control"): control, (0, "test"): test}, SCALE)
    effect = Effect(
        test.trouble("slow_share").ratio - control.trouble("slow_share").ratio,
        test.trouble("slow_share").variance + control.trouble("slow_share").variance,
        800,
    )
    ever = sequential.interval(effect, 1_500, 0.99)
    assert reading.more is not None
    assert (reading.more.low, reading.more.high) == pytest.approx((ever.low, ever.high))
    assert reading.test is not None
    alone = Effect(test.trouble("slow_share").ratio, test.trouble("slow_share").variance, 400)
    assert reading.test.high == pytest.approx(sequential.interval(alone, 1_500, 0.99).high)


def test_no_trouble_at_all_says_something_too() -> None:
    rule = Guardrail(metric="slow_share", limit=0.05, over_ms=200.0)
    totals = {(0, "control"): troubled(0.0), (0, "test"): troubled(0.0, seed=10)}
    reading = readings.guardrail(rule, totals, SCALE)
    assert reading.state == "holds"
    assert reading.more is not None
    assert 0 < reading.more.high < 0.01


def test_a_guardrail_waits_for_a_hundred_users_of_each_group() -> None:
    rule = Guardrail(metric="slow_share", limit=0.05, over_ms=200.0)
    for size, state in ((99, "cannot_tell"), (100, "breached")):
        totals = {(0, "control"): troubled(0.0), (0, "test"): troubled(0.9, size, seed=10)}
        assert readings.guardrail(rule, totals, SCALE).state == state
    assert readings.guardrail(rule, {}, SCALE).state == "cannot_tell"


def test_where_nothing_stands_beside_test_its_own_share_is_held_against_the_limit() -> None:
    rule = Guardrail(metric="slow_share", limit=0.05, over_ms=200.0)
    for share, state in ((0.3, "breached"), (0.01, "holds"), (0.05, "unclear")):
        totals = {(0, "control"): troubled(share), (0, "test"): troubled(share, seed=10)}
        reading = readings.guardrail_alone(rule, totals, SCALE)
        assert (reading.state, reading.control, reading.more) == (state, None, None)
        assert reading.test is not None
    few = {(0, "control"): troubled(0.3, 49), (0, "test"): troubled(0.3, 50, seed=10)}
    assert readings.guardrail_alone(rule, few, SCALE).state == "cannot_tell"
    enough = {(0, "control"): troubled(0.9, 50), (0, "test"): troubled(0.9, 50, seed=10)}
    assert readings.guardrail_alone(rule, enough, SCALE).state == "breached"


def test_of_a_shadow_only_whether_it_answered_is_known_from_a_thousand_answers_on() -> None:
    rule = Guardrail(metric="error_share", limit=0.02)
    few, broken, sound = (
        readings.guardrail_of_shadow(rule, *asked) for asked in ((999, 900), (1_000, 100), (9_000, 9))
    )
    assert [one.state for one in (few, broken, sound)] == ["cannot_tell", "breached", "holds"]
    assert few.test is None
    assert broken.test is not None
    low, high = scipy.stats.binomtest(100, 1_000).proportion_ci(0.99, "wilson")
    assert (broken.test.estimate, broken.test.low, broken.test.high) == pytest.approx((0.1, low, high))
    assert (broken.metric, broken.limit, broken.over_ms, broken.control) == ("error_share", 0.02, None, None)
    slow = Guardrail(metric="slow_share", limit=0.02, over_ms=200.0)
    assert readings.guardrail_of_shadow(slow, 9_000, 900).state == "cannot_tell"


def test_votes_are_read_as_a_share_with_ties_half_to_each() -> None:
    reading, ever = readings.interleaved({"test": 240, "control": 160, "ties": 100, "excluded": 7}, SCALE, seed=3)
    assert (reading.for_test, reading.for_control, reading.ties, reading.excluded) == (240, 160, 100, 7)
    assert reading.share is not None
    assert reading.share.estimate == pytest.approx(0.58)
    assert reading.share.low < 0.55 < reading.share.estimate < 0.61 < reading.share.high
    assert reading.p_value == pytest.approx(scipy.stats.binomtest(240, 400).pvalue)
    assert reading.why is None
    assert ever is not None
    assert ever.estimate == pytest.approx(0.08)
    assert ever.confidence == 0.95
    again, _ = readings.interleaved({"test": 240, "control": 160, "ties": 100, "excluded": 7}, SCALE, seed=3)
    assert again == reading, "the same run says the same"


@pytest.mark.parametrize(
    ("votes", "why"),
    [((0, 0, 0), "nobody liked an interleaved post yet"), ((1, 0, 0), "a variance needs two users")],
)
def test_votes_that_say_nothing_yet_say_why(votes: tuple[int, int, int], why: str) -> None:
    test, control, ties = votes
    reading, ever = readings.interleaved({"test": test, "control": control, "ties": ties, "excluded": 2}, SCALE, 1)
    assert (reading.share, reading.p_value, ever) == (None, None, None)
    assert (reading.why, reading.excluded, reading.for_test) == (why, 2, test)


def test_a_shadow_s_answers_are_means_over_users() -> None:
    rng = np.random.default_rng(4)
    x = 1.0 + rng.poisson(5, 300)
    y = rng.binomial(x.astype(int), 0.4).astype(float)
    sums = [300, float(y.sum()), float(x.sum()), float(y @ y), float(x @ x), float(x @ y)]
    nothing = [None] * 6
    reading = readings.shadow(
        {"asked": 1_500, "failed": 3, "quantiles": [4.5, 31.0], "overlap": sums, "correlation": nothing}, SCALE
    )
    assert (reading.asked, reading.failed, reading.p50_ms, reading.p99_ms) == (1_500, 3, 4.5, 31.0)
    assert reading.rank_correlation is None
    assert reading.overlap is not None
    error = sqrt(RatioSums.of(y, x).variance)  # type: ignore[arg-type]
    assert reading.overlap.estimate == pytest.approx(y.sum() / x.sum())
    assert reading.overlap.high - reading.overlap.low == pytest.approx(2 * 1.959963984540054 * error)
    empty = readings.shadow(
        {"asked": 0, "failed": 0, "quantiles": None, "overlap": nothing, "correlation": sums}, SCALE
    )
    assert (empty.p50_ms, empty.p99_ms, empty.overlap) == (None, None, None)
    assert empty.rank_correlation == reading.overlap


def test_a_metric_that_is_not_read_says_why() -> None:
    one = readings.unread("hit_rate", "every user sees both")
    assert (one.metric, one.why, one.control, one.test) == ("hit_rate", "every user sees both", None, None)


PAST = TOTALS[0, "control"].ratios("hit_rate") + TOTALS[0, "test"].ratios("hit_rate")


@pytest.mark.parametrize(
    ("weights", "share"), [({"control": 0.5, "test": 0.5}, 0.5), ({"control": 0.9, "test": 0.1}, 0.1)]
)
def test_what_a_plan_can_show_is_that_of_daily_looks_at_its_own_split(weights: dict[str, float], share: float) -> None:
    plan = Plan.model_validate({"weights": weights, "rules": {"alpha": 0.1}})
    known = reached(plan, PAST, [500, 3_000, 4_000])
    assert known.rate == pytest.approx(PAST.ratio)
    assert (known.days, known.users) == (3, [500, 3_000, 4_000])
    groups = Users(round(4_000 * (1 - share)), round(4_000 * share))
    smallest = minimal_effect(PAST, groups, confidence=0.9, looks="daily")
    assert known.smallest_lift == pytest.approx(smallest / PAST.ratio)
    assert [each.lift for each in known.lifts] == list(LIFTS)
    for each in known.lifts:
        needed = users_needed(PAST, each.lift * PAST.ratio, confidence=0.9, test_share=share, looks="daily").total
        days: int | None = next((day for day, so_far in enumerate((500, 3_000, 4_000), 1) if so_far >= needed), None)
        assert (each.users, each.days) == (needed, days)
    assert known.why is None


def test_a_ramp_is_planned_by_its_last_weights() -> None:
    at: Literal["2026-03-20T00:00:00Z"] = "2026-03-20T00:00:00Z"
    step = {"at": at, "weights": {"control": 0.5, "test": 0.5}}
    ramp = Plan.model_validate({"mode": "ramp", "weights": {"control": 0.9, "test": 0.1}, "ramp": [step]})
    assert reached(ramp, PAST, [4_000]).smallest_lift == reached(Plan(), PAST, [4_000]).smallest_lift


@pytest.mark.parametrize(("past", "users"), [(RatioSums(), [400]), (PAST, []), (PAST, [0])])
def test_a_past_that_says_nothing_plans_nothing(past: RatioSums, users: list[int]) -> None:
    known = reached(Plan(), past, users)
    assert (known.rate, known.smallest_lift, known.lifts) == (None, None, [])
    assert known.why == "the platform's past says too little: nobody came, or nobody liked"
    assert known.users == users


def test_users_so_far_are_those_of_the_plan_from_the_first_day_on() -> None:
    first = START.date()
    came = {first + timedelta(days=2): 100, first: 301}
    assert _so_far(came, first + timedelta(days=4), 0.5) == [150, 150, 200, 200]
    assert _so_far(came, first + timedelta(days=4), 1.0) == [301, 301, 401, 401]
    assert _so_far({}, first, 1.0) == []


def test_a_share_lies_between_nothing_and_all() -> None:
    rule = Guardrail(metric="slow_share", limit=0.05, over_ms=200.0)
    totals = {(0, "control"): troubled(0.002, 100), (0, "test"): troubled(0.998, 100, seed=10)}
    reading = readings.guardrail(rule, totals, SCALE)
    assert reading.control is not None
    assert reading.test is not None
    assert reading.control.low == 0.0
    assert reading.test.high == 1.0


def test_a_guardrail_weighs_a_ramp_s_periods_by_where_there_is_most_to_compare() -> None:
    rule = Guardrail(metric="slow_share", limit=0.05, over_ms=200.0)
    early = troubled(0.02, 900, seed=11), troubled(0.30, 100, seed=12)
    late = troubled(0.02, 500, seed=13), troubled(0.02, 500, seed=14)
    totals = {
        (number, group): sums
        for number, pair in enumerate((early, late))
        for group, sums in zip(("control", "test"), pair, strict=True)
    }
    more = [test.trouble("slow_share").ratio - control.trouble("slow_share").ratio for control, test in (early, late)]
    overlap = [900 * 100 / 1_000, 500 * 500 / 1_000]
    reading = readings.guardrail(rule, totals, SCALE)
    assert reading.more is not None
    assert reading.more.estimate == pytest.approx(np.average(more, weights=overlap))
