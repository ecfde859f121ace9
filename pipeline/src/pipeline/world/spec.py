"""How large a simulated world is, and how its people and posts behave. Values: docs/world.md."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import LentaError

DAYS = 90
FIRST_USER, FIRST_POST = 200, 1


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """sd: standard deviation, in log-odds of a like."""

    name: str
    users: int
    posts: int
    like_rate: float = 0.112
    sessions_mean: float = 14.7
    sessions_sd: float = 6.0
    session_views_mean: float = 28.8
    session_views_sd: float = 4.4
    level_sd: float = 0.40
    quality_sd: float = 0.15
    topic_profile_sd: float = 0.14
    topic_own_sd: float = 0.18
    theme_profile_sd: float = 0.16
    theme_own_sd: float = 0.50
    dimensions: int = 5
    noise_sd: float = 0.30
    freshness: float = 0.20
    freshness_days: float = 12.0
    born_share: float = 0.35
    """The share of posts that appear during the 90 days; the others were there before."""
    never_shown_share: float = 192 / 7023
    theme_word_share: float = 0.40
    topic_word_share: float = 0.25
    exposure_by_quality: float = 0.0
    """How much a standard deviation of quality adds to the logarithm of a post's exposure."""

    @property
    def rows(self) -> int:
        """About how many feed rows the world will have."""
        return int(self.users * self.sessions_mean * self.session_views_mean * (1 + self.like_rate))

    @property
    def bytes_on_disk(self) -> int:
        """A generous estimate: Parquet, and the same rows again in Postgres with two indexes."""
        return self.rows * 180 + self.posts * 8_000 + 300 * 2**20


SPECS = {
    spec.name: spec
    for spec in (
        WorldSpec("tiny", 300, 200),
        WorldSpec("demo", 2_000, 1_000),
        WorldSpec("reference", 12_000, 7_023),
        WorldSpec("full", 163_205, 7_023),
        WorldSpec(
            "hard",
            12_000,
            7_023,
            dimensions=8,
            theme_own_sd=0.42,
            theme_word_share=0.30,
            quality_sd=0.19,
            exposure_by_quality=0.5,
        ),
    )
}


def spec_of(name: str) -> WorldSpec:
    """Raises LentaError for a name that is none."""
    if name not in SPECS:
        raise LentaError(f"there is no world {name}; choose {', '.join(SPECS)}")
    return SPECS[name]
