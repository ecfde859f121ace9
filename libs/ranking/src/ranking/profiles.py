"""A profile as inputs of a linear model: one for each level of each field, and for each gender of an age band."""

from __future__ import annotations

import numpy as np
from contracts.records import AGE_BANDS

from ranking.encoder import Column
from ranking.examples import Index

BANDS, GENDERS = len(AGE_BANDS) + 1, 3
PLACES = [1, 2, 3, 4, 5, 6]
"""In the profile: gender, exp_group, os, source, country, city."""
LEVELS = np.array([GENDERS, 6, 3, 3, 7, 9])
"""How many values of each have an input; others share the last."""
SIZES = np.array([1, BANDS, BANDS * GENDERS, *LEVELS])
FIRST = np.cumsum(SIZES) - SIZES
INPUTS = int(SIZES.sum())


def profile_inputs(profile: Column) -> Column:
    """Shape (m, inputs). profile: as `ranking.encoder.UserState.profile`; a missing field has no input at all."""
    age, fields = profile[:, :1], profile[:, PLACES]
    band = np.where(np.isnan(age), -1, np.searchsorted(AGE_BANDS, age, side="right"))
    levels = np.where(np.isnan(fields), -1, np.minimum(fields, LEVELS - 1)).astype(np.int64)
    gender = levels[:, :1]
    both = np.where((band < 0) | (gender < 0), -1, band * GENDERS + gender)
    return _one_hot(np.hstack([np.zeros_like(band), band, both, levels]))


def _one_hot(levels: Index) -> Column:
    """levels: shape (m, sizes); -1 for none."""
    hot: Column = np.zeros((len(levels), INPUTS))
    row, field = np.nonzero(levels >= 0)
    hot[row, FIRST[field] + levels[row, field]] = 1.0
    return hot
