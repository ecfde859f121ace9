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

    @classmethod
    def of(cls, codes: Mapping[str, npt.NDArray[np.integer]]) -> Vocabulary:
        """From each column's codes over all users; ties go to the smaller code."""
        ranked: dict[str, list[int]] = {}
        for column in CATEGORIES:
            values, counts = np.unique(codes[column][codes[column] > 0], return_counts=True)
            ranked[column] = [int(value) for value in values[np.argsort(-counts, kind="stable")]]
        return cls(**ranked)

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
        codes = {name: np.asarray(getattr(self, name), np.int64) for name in CATEGORIES}
        orders = {name: np.argsort(known) for name, known in codes.items()}
        return {name: (known[orders[name]], orders[name]) for name, known in codes.items()}
