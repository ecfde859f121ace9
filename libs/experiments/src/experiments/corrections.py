"""Several metrics, each with its chance of a false alarm: p-values adjusted for how many were looked at.

The primary metric and the guardrails stand alone; what else a report shows is adjusted. Always-valid p-values stay
always valid under Holm, whatever depends on what.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from experiments.effects import proper


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: rejecting those under alpha keeps the family-wise error rate at alpha.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979): p_(i) times (m - i + 1), made monotone.
    Holds under any dependence. Raises ValueError for what is no p-value.
    """
    order = _ordered(p_values)
    scaled = (min(1.0, p_values[index] * (len(order) - rank)) for rank, index in enumerate(order))
    return _put_back(order, list(accumulate(scaled, max)))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given; of those under alpha, a share of alpha is expected false, at most.

    Benjamini & Hochberg, "Controlling the False Discovery Rate" (1995), as adjusted p-values: p_(i) m / i, made
    monotone from the largest down. Holds for independent metrics and those that rise together (Benjamini & Yekutieli
    2001, Theorem 1.2). Raises ValueError for what is no p-value.
    """
    order = _ordered(p_values)[::-1]
    m = len(order)
    scaled = (min(1.0, p_values[index] * (m / (m - step))) for step, index in enumerate(order))
    return _put_back(order, list(accumulate(scaled, min)))


def bonferroni_confidence(confidence: float, metrics: int) -> float:
    """Of each of so many intervals, for all of them to hold at once with this confidence (Dunn 1961).

    Raises ValueError for a confidence outside (0, 1) or no metric.
    """
    if metrics < 1:
        raise ValueError(f"at least one metric, not {metrics}")
    return 1 - (1 - proper(confidence)) / metrics


def _ordered(p_values: Sequence[float]) -> list[int]:
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values between 0 and 1, not {list(p_values)}")
    return sorted(range(len(p_values)), key=lambda index: p_values[index])


def _put_back(order: Sequence[int], values: Sequence[float]) -> list[float]:
    return [value for _, value in sorted(zip(order, values, strict=True))]
