"""10,000 simulated experiments: intervals cover what they say, at one look and at all looks at once; nothing is found
where nothing differs.

A user has a like rate (beta) that all of the user's views share, so views are not independent. The truth of a metric is
known by construction: the rate's mean, since a user's views don't depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.stats
from experiments import cuped, ratios, sequential, strata
from experiments.checks import uniformity
from experiments.corrections import benjamini_hochberg, holm
from experiments.cuped import CupedSums
from experiments.decision import Evidence, decide
from experiments.effects import Effect, Interval, NotEnough
from experiments.interleaving import Votes, win_share
from experiments.interleaving import p_value as sign_test
from experiments.planning import days_needed, users_needed
from experiments.quantiles import Histogram, design_effect, difference, interval
from experiments.ratios import RatioSums
from experiments.srm import THRESHOLD, Period, SplitCheck, sequential_p_value
from numpy.typing import NDArray

RUNS = 10_000
CHUNK = 200
RATE, BETTER = 0.2, 0.05
Array = NDArray[np.float64]

pytestmark = pytest.mark.timeout(300)


def likes(rng: np.random.Generator, shape: tuple[int, ...], better: float) -> tuple[Array, Array, Array, Array]:
    """Likes, views, views before and likes before; a user an entry, and three in ten were not there before."""
    lean = rng.beta(2, 8, shape)
    x = rng.integers(1, 12, shape)
    y = rng.binomial(x, lean + better * (1 - lean) / (1 - RATE))  # mean: RATE + better
    a = np.where(rng.random(shape) < 0.3, 0, 20)
    return y.astype(float), x.astype(float), a.astype(float), rng.binomial(a, lean).astype(float)


def products(*pairs: tuple[Array, Array]) -> list[Array]:
    return [np.einsum("...i,...i->...", a, b) for a, b in pairs]


def ratio_columns(y: Array, x: Array) -> Array:
    """y, x, yy, xx, xy summed over the last axis, side by side in a new last one."""
    return np.stack([y.sum(-1), x.sum(-1), *products((y, y), (x, x), (x, y))], -1)


def cuped_columns(y: Array, x: Array, a: Array, b: Array) -> Array:
    """Those and a, b, aa, bb, ab, ya, yb, xa, xb."""
    squares = products((a, a), (b, b), (a, b), (y, a), (y, b), (x, a), (x, b))
    before = np.stack([a.sum(-1), b.sum(-1), *squares], -1)
    return np.concatenate([ratio_columns(y, x), before], -1)


def experiments(seed: int, control: int, test: int, better: float) -> Iterator[tuple[CupedSums, CupedSums]]:
    """Of each run, both groups' sums at the horizon."""
    rng = np.random.default_rng(seed)
    groups = [(control, 0.0), (test, better)]
    for _ in range(RUNS // CHUNK):
        for rows in zip(
            *(cuped_columns(*likes(rng, (CHUNK, users), by)).tolist() for users, by in groups), strict=True
        ):
            first, second = (CupedSums(users, *row) for (users, _), row in zip(groups, rows, strict=True))
            yield first, second


def share(result: list[bool]) -> float:
    return sum(result) / len(result)


@pytest.fixture(scope="module")
def better() -> list[tuple[CupedSums, CupedSums]]:
    """Uneven groups, test better."""
    return list(experiments(1, control=700, test=300, better=BETTER))


@pytest.fixture(scope="module")
def alike() -> list[tuple[CupedSums, CupedSums]]:
    return list(experiments(2, control=800, test=800, better=0.0))


def test_fixed_intervals_cover_94_to_96_percent(better: list[tuple[CupedSums, CupedSums]]) -> None:
    covered = {
        "difference": share([ratios.difference(c.ratios, t.ratios).holds(BETTER) for c, t in better]),
        "lift": share([ratios.lift(c.ratios, t.ratios).holds(BETTER / RATE) for c, t in better]),
        "adjusted difference": share([cuped.difference(c, t).holds(BETTER) for c, t in better]),
        "likes a user": share([ratios.difference(per_user(c), per_user(t)).holds(6 * BETTER) for c, t in better]),
    }
    print(covered)
    assert all(0.94 < each < 0.96 for each in covered.values()), covered


def per_user(sums: CupedSums) -> RatioSums:
    return RatioSums(sums.users, sums.y, sums.users, sums.yy, sums.users, sums.y)


def test_adjusting_moves_nothing_and_narrows(better: list[tuple[CupedSums, CupedSums]]) -> None:
    plain = np.array([ratios.effect(c.ratios, t.ratios).estimate for c, t in better])
    adjusted = np.array([cuped.effect(c, t).effect.estimate for c, t in better])
    said = np.mean([cuped.effect(c, t).removed for c, t in better])
    print({"bias": adjusted.mean() - BETTER, "variance removed": 1 - adjusted.var() / plain.var(), "said": said})
    assert abs(adjusted.mean() - BETTER) < 4 * adjusted.std() / RUNS**0.5
    assert 1 - adjusted.var() / plain.var() == pytest.approx(said, abs=0.03)


def test_p_values_are_uniform_where_nothing_differs(alike: list[tuple[CupedSums, CupedSums]]) -> None:
    result = {
        "plain": uniformity([ratios.p_value(c.ratios, t.ratios) for c, t in alike]).p,
        "adjusted": uniformity([cuped.effect(c, t).effect.p_value() for c, t in alike]).p,
        "lift": uniformity([ratios.relative_effect(c.ratios, t.ratios).p_value() for c, t in alike]).p,
    }
    print(result)
    assert min(result.values()) > 0.01, result


def test_planned_users_find_the_change_as_often_as_planned() -> None:
    past = RatioSums.of(*(part.tolist() for part in likes(np.random.default_rng(3), (200_000,), 0.0)[:2]))
    needed = users_needed(past, BETTER, power=0.8, test_share=0.3)
    pairs = experiments(4, needed.control, needed.test, BETTER)
    power = share([ratios.p_value(c.ratios, t.ratios) < 0.05 for c, t in pairs])
    print({"users": needed, "power": power})
    assert 0.8 <= power < 0.93  # cautious: here what varies is how often, hardly by whom


def arriving(rng: np.random.Generator, days: int, users: int, better: float) -> Array:
    """New users each day, all views on it: (CHUNK, days, 5) sums so far."""
    y, x, _, _ = likes(rng, (CHUNK, days, users), better)
    return ratio_columns(y, x).cumsum(1)


def returning(rng: np.random.Generator, days: int, users: int, better: float) -> Array:
    """The same users each day: (CHUNK, days, 5) sums so far, of each user's totals so far."""
    lean = rng.beta(2, 8, (CHUNK, 1, users))
    x = rng.poisson(1.0, (CHUNK, days, users))
    x[:, 0] += 1
    y = rng.binomial(x, lean + better * (1 - lean) / (1 - RATE))
    return ratio_columns(y.cumsum(1).astype(float), x.cumsum(1).astype(float))


def looks(seed: int, kind: str, days: int, users: int, better: float) -> Iterator[list[Effect]]:
    """Of each run, the effect at each day's look; users: of each group, a day or altogether."""
    rng = np.random.default_rng(seed)
    draw = arriving if kind == "arriving" else returning
    for _ in range(RUNS // CHUNK):
        groups = [draw(rng, days, users, by).tolist() for by in (0.0, better)]
        for control, test in zip(*groups, strict=True):
            seen = [users * (day + 1) if kind == "arriving" else users for day in range(days)]
            rows = zip(seen, control, test, strict=True)
            yield [ratios.effect(RatioSums(n, *c), RatioSums(n, *t)) for n, c, t in rows]


@pytest.mark.parametrize(
    ("kind", "days", "users", "planned"),
    [("arriving", 14, 60, 1_680), ("arriving", 30, 50, 1_500), ("returning", 14, 200, 400)],
)
def test_sequential_intervals_hold_the_truth_at_all_daily_looks_at_once(
    kind: str, days: int, users: int, planned: int
) -> None:
    runs = list(looks(5, kind, days, users, BETTER))
    held = share([all(sequential.interval(effect, planned).holds(BETTER) for effect in run) for run in runs])
    naive = share([all(effect.interval().holds(BETTER) for effect in run) for run in runs])
    print({"kind": kind, "days": days, "sequential": held, "fixed": naive})
    assert held >= 0.95
    assert naive < 0.9  # the same looks with intervals made for one


@pytest.mark.parametrize("kind", ["arriving", "returning"])
def test_daily_looks_find_nothing_where_nothing_differs(kind: str) -> None:
    users, planned = (60, 1_680) if kind == "arriving" else (200, 400)
    false = []
    for run in looks(6, kind, 14, users, 0.0):
        false.append(min(sequential.p_value(effect, planned) for effect in run) < 0.05)
    print({"kind": kind, "false positives": share(false)})
    assert share(false) < 0.05


def ramped(seed: int, better: float) -> Iterator[list[Effect]]:
    """Of each run, each day's adjusted effect, by period: two days at 80:20 with keen users, four at 50:50 without.

    600 new users a day.
    """
    rng = np.random.default_rng(seed)
    periods = [(2, (480, 120), 0.15), (4, (300, 300), 0.0)]  # days, users of each group, keenness
    for _ in range(RUNS // CHUNK):
        drawn = []
        for days, sizes, extra in periods:
            for users, by in zip(sizes, (0.0, better), strict=True):
                y, x, a, b = likes(rng, (CHUNK, days, users), by)
                more = np.minimum(y + rng.binomial(x.astype(int), extra), x)
                drawn.append((users, cuped_columns(more, x, a, b).cumsum(1).tolist()))
        for run in range(CHUNK):
            early_c, early_t, late_c, late_t = (
                [CupedSums(users * (day + 1), *row) for day, row in enumerate(rows[run])] for users, rows in drawn
            )
            looks = [[pair] for pair in zip(early_c, early_t, strict=True)]
            looks += [[(early_c[-1], early_t[-1]), pair] for pair in zip(late_c, late_t, strict=True)]
            yield [strata.stratified(look, lambda c, t: cuped.effect(c, t).effect, "overlap") for look in looks]


def test_daily_verdicts_on_an_adjusted_ramp_rarely_err_where_nothing_differs() -> None:
    err, fixed = [], []
    for run in ramped(12, 0.0):
        kinds = {decide(seen(sequential.interval(effect, 3_600), day)).kind for day, effect in enumerate(run, 1)}
        err.append(bool(kinds & {"ship", "roll_back"}))
        fixed.append(any(not effect.interval().holds(0.0) for effect in run))
    print({"ever shipped or rolled back": share(err), "fixed intervals": share(fixed)})
    assert share(err) < 0.05
    assert share(fixed) > 0.1


def seen(primary: Interval, days: int) -> Evidence:
    return Evidence(
        split=SplitCheck(1.0, 3_600, THRESHOLD),
        primary=primary,
        guardrails={},
        users=300 * days,
        days=days,
        least_users=300,
        least_days=1,
    )


def test_users_planned_for_daily_looks_find_the_change_by_the_end() -> None:
    past = RatioSums.of(*(part.tolist() for part in likes(np.random.default_rng(3), (200_000,), 0.0)[:2]))
    needed = users_needed(past, BETTER, power=0.8, looks="daily")
    days = days_needed(needed, 200)
    result = []
    for run in looks(13, "arriving", days, 100, BETTER):
        result.append(any(sequential.p_value(effect, needed.total) < 0.05 for effect in run))
    print({"users": needed, "days": days, "power": share(result)})
    assert 0.8 <= share(result) < 0.96  # at the plan 0.8, and the looks before it add some


def test_of_twelve_metrics_the_corrected_ones_keep_their_promise() -> None:
    rng = np.random.default_rng(14)
    false, true = rng.random((RUNS, 8)), scipy.stats.norm.sf(rng.normal(2.5, 1, (RUNS, 4)))
    family, discoveries = [], []
    for run in np.concatenate([false, true], 1).tolist():
        family.append(min(holm(run)[:8]) < 0.05)
        rejected = [p < 0.05 for p in benjamini_hochberg(run)]
        discoveries.append(sum(rejected[:8]) / max(sum(rejected), 1))
    print({"any false, Holm": share(family), "share false, Benjamini-Hochberg": float(np.mean(discoveries))})
    assert share(family) < 0.05
    assert np.mean(discoveries) < 0.05


def test_a_ramp_is_covered_by_period_and_not_when_pooled() -> None:
    """Two days at 90:10 with keen users, then three at 50:50 without."""
    rng = np.random.default_rng(7)
    result: dict[str, list[bool]] = {"users": [], "overlap": [], "pooled": []}
    for _ in range(RUNS // CHUNK):
        columns = [
            [ratio_columns(*keen(rng, users, by, extra)).tolist() for users, by in ((c, 0.0), (t, BETTER))]
            for c, t, extra in ((900, 100, 0.15), (500, 500, 0.0))
        ]
        for early_c, early_t, late_c, late_t in zip(*columns[0], *columns[1], strict=True):
            periods = [
                (RatioSums(900, *early_c), RatioSums(100, *early_t)),
                (RatioSums(500, *late_c), RatioSums(500, *late_t)),
            ]
            result["users"].append(strata.effect(periods, "users").interval().holds(BETTER))
            result["overlap"].append(strata.effect(periods, "overlap").interval().holds(BETTER))
            pooled = ratios.difference(periods[0][0] + periods[1][0], periods[0][1] + periods[1][1])
            result["pooled"].append(pooled.holds(BETTER))
    covered = {name: share(held) for name, held in result.items()}
    print(covered)
    assert 0.94 < covered["users"] < 0.96
    assert 0.94 < covered["overlap"] < 0.96
    assert covered["pooled"] < 0.5


def keen(rng: np.random.Generator, users: int, better: float, extra: float) -> tuple[Array, Array]:
    """Views 5 a user; likes by a like rate of mean RATE + extra + better."""
    lean = rng.beta(2, 8, (CHUNK, users)) + extra + better
    return rng.binomial(5, np.minimum(lean, 1.0)).astype(float), np.full((CHUNK, users), 5.0)


def test_the_split_check_leaves_sound_splits_in_peace_and_finds_skewed_ones() -> None:
    rng = np.random.default_rng(8)
    days, users = 14, 2_000

    def looked(shares: tuple[float, float]) -> Array:
        """The least p-value of the looks so far, after each day: three at 90:10, then the given shares."""
        early = rng.binomial(users, 0.1, (RUNS, 3)).cumsum(1)
        late = rng.binomial(users, shares[1], (RUNS, days - 3)).cumsum(1)
        p = np.ones((RUNS, days))
        for run in range(RUNS):
            for day in range(days):
                n, t = users * min(day + 1, 3), int(early[run, min(day, 2)])
                periods = [Period((n - t, t), (90, 10))]
                if day >= 3:
                    n, t = users * (day - 2), int(late[run, day - 3])
                    periods.append(Period((n - t, t), (50, 50)))
                p[run, day] = sequential_p_value(periods)
        return np.minimum.accumulate(p, 1)

    sound, skewed = looked((0.5, 0.5))[:, -1], looked((0.48, 0.52))[:, -1]
    result = {
        "under 5 %": float((sound < 0.05).mean()),
        "under the threshold": float((sound < THRESHOLD).mean()),
        "skew of 48:52 found": float((skewed < THRESHOLD).mean()),
    }
    print(result)
    assert result["under 5 %"] < 0.05
    assert result["under the threshold"] < THRESHOLD
    assert result["skew of 48:52 found"] > 0.95


def test_interleaving_votes_are_covered_and_no_preference_is_rarely_found() -> None:
    rng = np.random.default_rng(9)
    preferred = rng.multinomial(400, [0.3, 0.2, 0.5], RUNS)
    even = rng.multinomial(400, [0.25, 0.25, 0.5], RUNS)
    covered = share([win_share(Votes(*row), rng, samples=2_000).holds(0.55) for row in preferred.tolist()])
    false = share([sign_test(Votes(*row)) < 0.05 for row in even.tolist()])
    print({"share covered": covered, "false positives": false})
    assert 0.94 < covered < 0.96
    assert 0.03 < false <= 0.05


def test_a_quantiles_difference_is_covered() -> None:
    """p95 of latencies that are exponential, in bins of 2 ms: test slower by a fifth."""
    rng = np.random.default_rng(10)
    bounds = tuple(np.arange(2.0, 602.0, 2.0).tolist())
    held = []
    truth = 40 * np.log(20) * 0.2

    def latency(mean: float) -> Interval:
        counts = np.bincount(np.minimum(np.ceil(rng.exponential(mean, 2_000) / 2).astype(int) - 1, 300), minlength=301)
        return interval(Histogram(bounds, tuple(counts.tolist())), 0.95)

    for _ in range(RUNS):
        held.append(difference(latency(40), latency(48)).holds(truth))
    print({"covered": share(held)})
    assert 0.94 < share(held) < 0.96


def test_a_quantiles_difference_is_covered_at_all_looks_although_a_users_requests_are_alike() -> None:
    """p90 of latencies that are log-normal around a user's own; looks from day 3 to 7, 60 new users a day and group, 4
    requests each."""
    rng = np.random.default_rng(15)
    days, users, requests, width, bins = 7, 60, 4, 5.0, 120
    bounds = tuple((width * np.arange(1, bins)).tolist())
    p90 = float(50 * np.exp(1.2815515655446004 * 0.5))
    once, always, blind = [], [], []
    for _ in range(RUNS):
        sides = []
        for _ in range(2):
            own = rng.normal(0, 0.4, (days, users, 1))
            latency = 50 * np.exp(own + rng.normal(0, 0.3, (days, users, requests)))
            index = np.minimum(latency // width, bins - 1).astype(int) + bins * np.arange(days)[:, None, None]
            counts = np.bincount(index.ravel(), minlength=days * bins).reshape(days, bins).cumsum(0)
            over = ratio_columns((latency > p90).sum(2).astype(float), np.full((days, users), float(requests))).cumsum(
                0
            )
            sides.append((counts.tolist(), over.tolist()))
        held = []
        for day in range(2, days):
            n = users * (day + 1)
            values = [Histogram(bounds, tuple(counts[day])) for counts, _ in sides]
            designs = [design_effect(RatioSums(n, *over[day])) for _, over in sides]
            bound = sequential.bound(2 * n, 2 * users * days)
            looked = [interval(v, 0.9, design=d, bound=bound) for v, d in zip(values, designs, strict=True)]
            held.append(difference(*looked).holds(0.0))
        always.append(all(held))
        once.append(difference(*(interval(v, 0.9, design=d) for v, d in zip(values, designs, strict=True))).holds(0.0))
        blind.append(difference(*(interval(v, 0.9) for v in values)).holds(0.0))
    print({"at the last look": share(once), "at all looks": share(always), "as if independent": share(blind)})
    assert 0.94 < share(once) < 0.96
    assert share(always) >= 0.95
    assert share(blind) < 0.92


def test_an_experiment_without_exposures_says_nothing() -> None:
    for groups in ((CupedSums(), CupedSums()), (next(experiments(11, 50, 50, 0.0))[0], CupedSums())):
        with pytest.raises(NotEnough):
            cuped.effect(*groups)
