"""A profile as inputs of a linear model: one for each level of each field, and for each gender of an age band."""

from __future__ import annotations

import numpy as np
from contracts.records import AGE_BANDS

from ranking.encoder import Column
from ranking.examples import Index

BANDS, GENDERS = len(AGE_BANDS) + 1, 3
LEVELS = {1: GENDERS, 2: 6, 3: 3, 4: 3, 5: 7, 6: 9}
"""Place in the profile (gender, exp_group, os, source, country, city): how many values have an input; others share the last."""


def profile_inputs(profile: Column) -> Column:
    """Shape (m, inputs). profile: as `ranking.encoder.UserState.profile`; a missing field has no input at all."""
    age = profile[:, 0]
    band = np.where(np.isnan(age), -1, np.searchsorted(AGE_BANDS, age, side="right"))
    levels = {place: _level(profile[:, place], count) for place, count in LEVELS.items()}
    both = np.where((band < 0) | (levels[1] < 0), -1, band * GENDERS + levels[1])
    parts = [np.ones((len(profile), 1)), _one_hot(band, BANDS), _one_hot(both, BANDS * GENDERS)]
    return np.hstack([*parts, *(_one_hot(levels[place], count) for place, count in LEVELS.items())])


def _level(values: Column, count: int) -> Index:
    """-1 where the value is missing."""
    return np.where(np.isnan(values), -1, np.minimum(np.nan_to_num(values), count - 1)).astype(np.int64)


def _one_hot(place: Index, size: int) -> Column:
    """All zeros for -1."""
    hot: Column = (place[:, None] == np.arange(size)).astype(np.float64)
    return hot
