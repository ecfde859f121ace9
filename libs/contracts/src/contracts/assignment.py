"""Which group a user belongs to: a pure function of the user's id and the experiment.

`bucket` is the platform's published hash and must never change: `docs/experiments.md` lists its test
vectors. The bucket-to-group table is stored, so that a change of weights moves as few buckets as
arithmetic allows (`reweight`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

BUCKETS = 10_000

Group = Literal["control", "test"]
GROUPS: tuple[Group, ...] = ("control", "test")
Salt = Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$", max_length=64)]


def bucket(user_id: int, salt: str) -> int:
    """The user's bucket, 0 to 9,999: `int(md5(f"{user_id}{salt}").hexdigest(), 16) % 10_000`.

    The salt starts with a letter, so that user 1 with salt "2a" is not user 12 with salt "a".
    """
    return int(md5(f"{user_id}{salt}".encode(), usedforsecurity=False).hexdigest(), 16) % BUCKETS


class Experiment(BaseModel):
    """One split of the users into groups, as the gateway needs it.

    `enrolment` is the share of users who take part; who they are is decided by a salt of its own, so
    that widening it later keeps those who are in. Users outside get control and no exposure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
    enrolment: Annotated[float, Field(ge=0, le=1)] = 1.0
    enrolment_salt: Salt
    group_salt: Salt
    weights: dict[Group, Annotated[float, Field(ge=0, le=1)]]
    table: Annotated[str, Field(min_length=BUCKETS, max_length=BUCKETS, repr=False)]
    """One letter a bucket: the index of its group in `GROUPS`."""
    forced: dict[int, Group] = {}
    weight_period: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if abs(sum(self.weights.values()) - 1) > 1e-9:
            raise ValueError(f"weights add up to {sum(self.weights.values()):g}, not 1")
        if self.enrolment_salt == self.group_salt:
            raise ValueError("enrolment_salt and group_salt must differ")
        if set(self.table) - {str(index) for index in range(len(GROUPS))}:
            raise ValueError("table holds a bucket of no group")
        return self

    @classmethod
    def start(cls, name: str, weights: Mapping[Group, float], *, enrolment: float = 1.0) -> Self:
        """A new experiment with salts of its own and a fresh table."""
        return cls(
            name=name,
            enrolment=enrolment,
            enrolment_salt=f"{name}.enrolment",
            group_salt=f"{name}.group",
            weights=dict(weights),
            table=reweight("", weights),
        )

    def assign(self, user_id: int) -> Assignment:
        if user_id in self.forced:
            return Assignment(group=self.forced[user_id], enrolled=True)
        if bucket(user_id, self.enrolment_salt) >= round(self.enrolment * BUCKETS):
            return Assignment(group="control", enrolled=False)
        group = GROUPS[int(self.table[bucket(user_id, self.group_salt)])]
        return Assignment(group=group, enrolled=True)


class Assignment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Group
    enrolled: bool


def reweight(table: str, weights: Mapping[Group, float]) -> str:
    """The bucket table for `weights` that moves the fewest buckets of `table` ("" for none).

    Groups that shrink give up their last buckets, groups that grow take them, in order.
    """
    quotas = _quotas([weights.get(group, 0.0) for group in GROUPS])
    if not table:
        return "".join(str(index) * quota for index, quota in enumerate(quotas))
    excess = {str(i): have - quotas[i] for i in range(len(GROUPS)) if (have := Counter(table)[str(i)])}
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
