"""Intervals that hold at all looks at once, so that one may look each day and stop when one likes.

Robbins' normal mixture, here as an asymptotic confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences" (Annals of Statistics 2024; arXiv 2103.06476),
Theorem 2.2, equation 9 (v7); its p-value is the inverted mixture likelihood ratio, equation 155 (v7), the mixture
sequential probability ratio test of Johari, Koomen, Pekelis & Walsh, "Peeking at A/B Tests" (KDD 2017).

With N users so far, v the variance of the estimate and rho > 0 fixed before the first look, k = N rho^2:

    estimate -+ sqrt(v * 2 (k + 1) / k * log(sqrt(k + 1) / alpha))
    evidence = exp(estimate^2 / v * k / (2 (k + 1))) / sqrt(k + 1),    p = min(1, 1 / evidence)

`planned_users` sets rho: the interval is tightest when N is about that, and valid whatever it is. "Asymptotic": the
first look wants some hundred users in each group, as every interval from the central limit theorem does. The p-value is
that of this look's data; the least so far, over all looks, is valid too.

The theory adds users one by one. Where the same users come back and their sums grow instead, N stands still while v
falls; the bound is never below 3.03 (at 95 %), which the normal process passes with a chance of 5 % at most while 1 / v
grows up to some 60-fold (Siegmund, "Sequential Analysis", 1985). Simulated, too.
"""

from __future__ import annotations

from math import exp, inf, log, log1p, sqrt

from experiments.effects import Effect, Interval, proper


def interval(effect: Effect, planned_users: int, confidence: float = 0.95) -> Interval:
    """Holds the truth at every look at once with this confidence.

    planned_users: of both groups together at the planned end; fixed before the first look. Raises NotEnough for an
    effect without variance; ValueError for a confidence outside (0, 1), for no users, or a plan of none.
    """
    half = bound(effect.users, planned_users, confidence) * effect.error
    return Interval(effect.estimate, effect.estimate - half, effect.estimate + half, confidence)


def bound(users: int, planned_users: int, confidence: float = 0.95) -> float:
    """What an estimate over its standard error must pass, as z does at one look: 3.03 at the plan, at 95 %.

    Raises ValueError for a confidence outside (0, 1), for no users, or a plan of none.
    """
    k = _mixture(users, planned_users, 1 - proper(confidence))
    return sqrt(2 * (k + 1) / k * (log1p(k) / 2 - log(1 - confidence)))


def log_evidence(effect: Effect, planned_users: int, of: float = 0.0, confidence: float = 0.95) -> float:
    """The logarithm of `evidence`, which can't overflow. Raises as `interval`."""
    k = _mixture(effect.users, planned_users, 1 - proper(confidence))
    z = (effect.estimate - of) / effect.error
    return z * z * k / (2 * (k + 1)) - log1p(k) / 2


def evidence(effect: Effect, planned_users: int, of: float = 0.0, confidence: float = 0.95) -> float:
    """Against "the truth is `of`": a likelihood ratio, which ever reaches 1 / alpha with a chance of alpha at most.

    It reaches 1 / (1 - confidence) at just the looks at which `of` is at or outside the interval of this confidence.
    Raises as `interval`.
    """
    log_ratio = log_evidence(effect, planned_users, of, confidence)
    return exp(log_ratio) if log_ratio < 700 else inf


def p_value(effect: Effect, planned_users: int, of: float = 0.0, confidence: float = 0.95) -> float:
    """Always valid: ever under alpha with a chance of alpha at most, if the truth is `of`. Raises as `interval`."""
    return exp(min(0.0, -log_evidence(effect, planned_users, of, confidence)))


def _mixture(users: int, planned_users: int, alpha: float) -> float:
    """k = N rho^2, with rho that makes the boundary near its tightest at the plan: equation 161 (v7) of the paper."""
    if planned_users < 1 or users < 1:
        raise ValueError(f"users of a plan and so far, not {planned_users} and {users}")
    rho_squared = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned_users
    return users * rho_squared
