"""How large a simulated world is, and how its people and posts behave. Values: docs/world.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.errors import LentaError

DAYS = 90
DRIFT_DAYS = 15.0
"""Between two moments at which drifting tastes are drawn."""
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
    exposure_days: float = 0.0
    """Mean age of a post that is shown, where a feed shows fresh ones; 0: all that exist are shown alike."""
    best_first: float = 0.0
    """Correlation of a post's quality with how early it stands in a session; 0: any order."""
    communities: int = 0
    """Of posts with like vectors, of which texts and topics tell nothing; 0: vectors come from texts' sub-themes."""
    momentum: float = 0.0
    """What a like adds to the mood for alike posts during the session."""
    drift: float = 0.0
    """Share of a taste's variance that is drawn anew within DRIFT_DAYS."""
    trend_share: float = 0.0
    """Of posts that are popular for some days."""
    trend_sd: float = 1.5
    trend_days: float = 2.0
    cohort_quality_sd: float = 0.0
    """How differently the cohorts (age and gender) find the same post."""
    creators: int = 0
    follow_effect: float = 1.5
    repost_share: float = 0.0
    """Of posts that repeat an earlier one; nobody likes the same twice."""

    @property
    def is_still(self) -> bool:
        """Whether a like depends on the user's fixed tastes and on the post alone, place, hour and freshness aside."""
        more = self.momentum, self.drift, self.trend_share, self.cohort_quality_sd, self.creators, self.repost_share
        return not any(more)

    @property
    def rows(self) -> int:
        """About how many feed rows the world will have."""
        return int(self.users * self.sessions_mean * self.session_views_mean * (1 + self.like_rate))

    @property
    def bytes_on_disk(self) -> int:
        """A generous estimate: Parquet, and the same rows again in Postgres with two indexes."""
        return self.rows * 180 + self.posts * 8_000 + 300 * 2**20


_KIND = WorldSpec("kind", 6_000, 2_000)
"""Large enough to learn from, small enough to be made, trained on and judged within two minutes."""
_WORLDS = (
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
    replace(
        _KIND,
        name="communities",
        users=9_000,
        communities=60,
        dimensions=12,
        topic_profile_sd=0.0,
        topic_own_sd=0.0,
        theme_profile_sd=0.0,
        theme_own_sd=1.1,
    ),
    replace(_KIND, name="momentum", momentum=1.5, theme_own_sd=0.3),
    replace(_KIND, name="trends", trend_share=0.4),
    replace(_KIND, name="cohorts", cohort_quality_sd=0.5),
    replace(_KIND, name="drift", drift=0.6, theme_own_sd=0.7),
    replace(_KIND, name="news", posts=6_000, born_share=1.0, freshness=1.5, freshness_days=0.4, exposure_days=0.7),
    replace(
        _KIND,
        name="fresh",
        users=1_500,
        posts=1_500,
        born_share=1.0,
        quality_sd=0.5,
        freshness=1.5,
        freshness_days=6.0,
        exposure_days=4.0,
    ),
    replace(_KIND, name="creators", creators=200),
    replace(_KIND, name="positions", best_first=0.5, quality_sd=0.2, exposure_by_quality=0.5),
    replace(_KIND, name="reposts", repost_share=0.5),
)
SPECS = {spec.name: spec for spec in _WORLDS}


def spec_of(name: str) -> WorldSpec:
    """Raises LentaError for a name that is none."""
    if name not in SPECS:
        raise LentaError(f"there is no world {name}; choose {', '.join(SPECS)}")
    return SPECS[name]
