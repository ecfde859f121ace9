"""Buckets and groups: the arithmetic by which `contracts.experiments` assigns a user.

`bucket` is the platform's published hash and must never change: `docs/experiments.md` lists its test
vectors. The bucket-to-group table is stored, so that a change of weights moves as few buckets as
arithmetic allows (`reweight`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from typing import Annotated, Literal

from pydantic import Field

BUCKETS = 10_000

CONTROL = "control"
"""The group that all others are compared with."""
Group = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]
"""A group of an experiment, and a ranker: `control` gets the ranker `control`, unless the plan says otherwise."""
GROUPS: tuple[Group, ...] = (CONTROL, "test")
"""Those of a plan that names no others; and the rankers that the platform brings."""
MOST_GROUPS = 10
"""A bucket table has one digit a bucket."""
Mode = Literal["ab", "ramp", "interleave", "shadow"]
"""How an experiment compares two rankers; `contracts.experiments.Plan` says what each does."""
Salt = Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$", max_length=64)]


def bucket(user_id: int, salt: str) -> int:
    """The user's bucket, 0 to 9,999: `int(md5(f"{user_id}{salt}").hexdigest(), 16) % 10_000`.

    The salt starts with a letter, so that user 1 with salt "2a" is not user 12 with salt "a".
    """
    return int(md5(f"{user_id}{salt}".encode(), usedforsecurity=False).hexdigest(), 16) % BUCKETS


def in_order(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Control first, then by name: a bucket table names a group by its place here."""
    return (CONTROL, *sorted(set(groups) - {CONTROL}))


def reweight(table: str, weights: Mapping[Group, float], groups: Sequence[Group] = GROUPS) -> str:
    """The bucket table for `weights` that moves the fewest buckets of `table` ("" for none). groups: `in_order`.

    Groups that shrink give up their last buckets, groups that grow take them, in order.
    """
    quotas = _quotas([weights.get(group, 0.0) for group in groups])
    if not table:
        return "".join(str(index) * quota for index, quota in enumerate(quotas))
    excess = {str(i): have - quotas[i] for i in range(len(groups)) if (have := Counter(table)[str(i)])}
    missing = [str(i) for i, quota in enumerate(quotas) for _ in range(quota - Counter(table)[str(i)])]
    letters = list(table)
    for position in range(BUCKETS - 1, -1, -1):
        if missing and excess.get(letters[position], 0) > 0:
            excess[letters[position]] -= 1
            letters[position] = missing.pop()
    return "".join(letters)


def _quotas(weights: Sequence[float]) -> list[int]:
    """Whole buckets a group, by largest remainder."""
    exact = [weight * BUCKETS for weight in weights]
    whole = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for index in by_remainder[: BUCKETS - sum(whole)]:
        whole[index] += 1
    return whole
