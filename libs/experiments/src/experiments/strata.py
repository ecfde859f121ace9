"""One effect from the periods of a ramp, each compared within itself.

A ramp changes the weights while the users change too: on a day at 90:10 most of control's users come, on a day at 50:50
most of test's. Pooled over both, a group's rate mixes the days in the group's own proportions, so test can win on each
day and lose in the sum. That is Simpson's paradox; in experiments: Crook, Frasca, Kohavi & Longbotham, "Seven Pitfalls
to Avoid when Running Controlled Experiments on the Web" (KDD 2009), the pitfall of varying proportions.

Within a period of constant weights the split is random. So: an effect a period, then their weighted mean, as in
post-stratification (Miratrix, Sekhon & Yu, "Adjusting treatment effect estimates by post-stratification in randomized
experiments", JRSS B 2013, section 2):

    estimate = sum_p w_p estimate_p,    variance = sum_p w_p^2 variance_p

A user belongs to the period of the first assignment and stays there, so the periods hold different users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum
from typing import Literal, Protocol, TypeVar

from experiments.effects import Effect, NotEnough
from experiments.ratios import RatioSums
from experiments.ratios import effect as _effect
from experiments.ratios import relative_effect as _relative_effect

Weighing = Literal["users", "overlap"]
"""users: the effect on all users, n_p. overlap: where there is most to compare, n_c n_t / (n_c + n_t): Cochran's
weights (Mantel & Haenszel 1959), far narrower when a period gave one group few users, and the same effect where periods
agree."""

FEWEST = 100
"""A period in which a group has fewer users is left out, with its users; set in advance, so blind to the outcome."""


class Sums(Protocol):
    @property
    def users(self) -> int: ...


S = TypeVar("S", bound=Sums)


def combine(effects: Sequence[Effect], weights: Sequence[float]) -> Effect:
    """The weighted mean of independent effects. Raises NotEnough without weight; ValueError for a negative one."""
    if any(weight < 0 for weight in weights):
        raise ValueError(f"weights that are not negative, not {list(weights)}")
    total = fsum(weights)
    if not total:
        raise NotEnough("no period to compare in")
    shares = [weight / total for weight in weights]
    return Effect(
        fsum(share * each.estimate for share, each in zip(shares, effects, strict=True)),
        fsum(share**2 * each.variance for share, each in zip(shares, effects, strict=True)),
        sum(each.users for each in effects),
    )


def stratified(
    periods: Sequence[tuple[S, S]],
    compare: Callable[[S, S], Effect],
    weighing: Weighing = "users",
    fewest: int = FEWEST,
) -> Effect:
    """One effect of (control, test) a period, by any comparison: of CupedSums too.

    fewest: a period with fewer users in a group is left out; so is one that does not say, as a ramp's first stage
    in which nobody has liked. Raises NotEnough where none is left, for what the last one lacks.
    """
    effects, weights, lacks = list[Effect](), list[float](), NotEnough("no period to compare in")
    for control, test in periods:
        if min(control.users, test.users) < max(fewest, 1):
            continue
        try:
            effects.append(compare(control, test))
        except NotEnough as error:
            lacks = error
        else:
            weights.append(_weight(control, test, weighing))
    if not effects:
        raise lacks
    return combine(effects, weights)


def effect(
    periods: Sequence[tuple[RatioSums, RatioSums]], weighing: Weighing = "users", fewest: int = FEWEST
) -> Effect:
    """test - control, from (control, test) a period. Raises as `stratified`."""
    return stratified(periods, _effect, weighing, fewest)


def relative_effect(
    periods: Sequence[tuple[RatioSums, RatioSums]], weighing: Weighing = "users", fewest: int = FEWEST
) -> Effect:
    """test / control - 1, from (control, test) a period: the mean of the periods' lifts. Raises as `stratified`."""
    return stratified(periods, _relative_effect, weighing, fewest)


def _weight(control: Sums, test: Sums, weighing: Weighing) -> float:
    users = control.users + test.users
    return users if weighing == "users" else control.users * test.users / users
