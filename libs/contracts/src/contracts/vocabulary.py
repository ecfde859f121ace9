"""Ranks of category values by how often they occur among users: integer codes that trees can split."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

CATEGORIES = ("os", "source", "country", "city")


class Vocabulary(BaseModel):
    """Codes (`contracts.records.code`) of each category column, most frequent first. Part of a model's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    os: list[int]
    source: list[int]
    country: list[int]
    city: list[int]
    own: dict[str, list[int]] = {}
    """Of the categories that a team declared, by feature (`contracts.own`)."""

    @classmethod
    def of(
        cls, codes: Mapping[str, npt.NDArray[np.integer]], own: Mapping[str, npt.NDArray[np.integer]] | None = None
    ) -> Vocabulary:
        """From each column's codes over all users, or posts; ties go to the smaller code."""
        ranked = {column: _ranked(codes[column]) for column in CATEGORIES}
        return cls(**ranked, own={feature: _ranked(values) for feature, values in (own or {}).items()})

    def ranks(self, column: str, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """The rank of each code: NaN for a missing value, the number of known values for an unknown one."""
        known, order = self._sorted[column]
        if not len(known):
            return np.where(codes == 0, np.nan, 0.0)
        place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        is_known = known[place] == codes
        return np.where(codes == 0, np.nan, np.where(is_known, order[place], len(known)).astype(np.float64))

    @cached_property
    def _sorted(self) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]]:
        """Of each category its codes, ascending, and their ranks: sorted once, since every request looks them up."""
        lists = {name: getattr(self, name) for name in CATEGORIES} | self.own
        codes = {name: np.asarray(values, np.int64) for name, values in lists.items()}
        orders = {name: np.argsort(known) for name, known in codes.items()}
        return {name: (known[orders[name]], orders[name]) for name, known in codes.items()}


def _ranked(codes: npt.NDArray[np.integer]) -> list[int]:
    values, counts = np.unique(codes[codes > 0], return_counts=True)
    return [int(value) for value in values[np.argsort(-counts, kind="stable")]]
