"""What users like: by topic, by sub-theme, and overall. Part follows from the profile, part is the user's own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.world.appeal import Tastes
from pipeline.world.people import Profiles
from pipeline.world.spec import DAYS, DRIFT_DAYS, WorldSpec
from pipeline.world.vocabulary import TOPICS

Floats = npt.NDArray[np.float64]
AGE_ENDS = (18, 22, 27, 35, 45)
GROUP_RATES = (0.098, 0.142, 0.142, 0.099, 0.114)
BIG_CITY_RATE, SMALL_CITY_RATE = 0.147, 0.113
LEAN_SHARE = 0.7
"""The share of the profile's part of topic taste that the platform's known leanings by age make up."""


COHORT_AGES = (19, 24, 33)
COHORTS = 2 * (len(COHORT_AGES) + 1)
FOLLOWED = 8
"""Creators whom a user follows, in the mean."""


def make_tastes(people: Profiles, spec: WorldSpec, rng: np.random.Generator) -> Tastes:
    by_profile = _profile_part(people, len(TOPICS) + spec.dimensions, rng)
    lean = np.outer(_unit(people.age.astype(float)), [topic.age_lean for topic in TOPICS.values()])
    topic = _unit(LEAN_SHARE * _unit(lean) + (1 - LEAN_SHARE) * by_profile[:, : len(TOPICS)]) * spec.topic_profile_sd
    theme = by_profile[:, len(TOPICS) :] * spec.theme_profile_sd
    drifting, following = rng.spawn(2)
    topic = topic + rng.normal(0, spec.topic_own_sd, topic.shape)
    own = rng.normal(0, spec.theme_own_sd, theme.shape)
    return Tastes(
        topic=topic,
        theme=theme + own,
        level=_level(people, spec, rng),
        drift=theme[:, None, :] + _drift(own, spec, drifting),
        cohort=np.searchsorted(COHORT_AGES, people.age, side="right") * 2 + people.gender,
        follows=_follows(len(people), spec, following),
    )


def _drift(own: Floats, spec: WorldSpec, rng: np.random.Generator) -> Floats:
    """A walk that keeps the spread of tastes, from `own` on; shape (users, times, dimensions)."""
    if not spec.drift:
        return np.zeros((len(own), 0, own.shape[1]))
    walk = [own]
    for _ in range(int(np.ceil(DAYS / DRIFT_DAYS))):
        new = rng.normal(0, spec.theme_own_sd, own.shape)
        walk.append(np.sqrt(1 - spec.drift) * walk[-1] + np.sqrt(spec.drift) * new)
    return np.stack(walk, axis=1)


def _follows(users: int, spec: WorldSpec, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A few creators have many followers, as everywhere."""
    fame = 1.0 / np.arange(1, spec.creators + 1) ** 0.7
    return np.asarray(rng.random((users, spec.creators)) < np.minimum(FOLLOWED * fame / max(fame.sum(), 1.0), 0.5))


def _profile_part(people: Profiles, columns: int, rng: np.random.Generator) -> Floats:
    """Standard normal scores that only depend on age band, gender, big city, exp_group, and pairs of these."""
    band = np.searchsorted(AGE_ENDS, people.age, side="right")
    city = people.in_big_city.astype(np.int64)
    cells = (band, people.gender, city, people.exp_group, band * 2 + people.gender, people.exp_group * 2 + city)
    parts = [rng.normal(size=(int(cell.max(initial=0)) + 1, columns))[cell] for cell in cells]
    return np.asarray(_unit(np.sum(parts, axis=0)))


def _level(people: Profiles, spec: WorldSpec, rng: np.random.Generator) -> Floats:
    """exp_group and big city shift it by what the platform shows; the rest is the user's own."""
    known = _logit(np.array(GROUP_RATES))[people.exp_group]
    known = known + np.where(people.in_big_city, _logit(BIG_CITY_RATE), _logit(SMALL_CITY_RATE))
    known = known - known.mean()
    own = np.sqrt(max(spec.level_sd**2 - float(known.var()), 0.0))
    return np.asarray(known + rng.normal(0, own, len(people)))


def _unit(values: Floats) -> Floats:
    """Mean 0 and variance 1 over all users, a column or the whole."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / max(float(np.sqrt((centred**2).mean())), 1e-9))


def _logit(share: Floats | float) -> Floats:
    return np.asarray(np.log(share) - np.log1p(-np.asarray(share)))
