"""Both forms of HitRate@5 against the running platform.

*offline, viewed* and, where the world is simulated, *served, truth*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from chassis.progress import OnProgress
from contracts.assignment import GROUPS
from ranking.artefact import ModelStore

from pipeline.check.served import Served, ask, judge
from pipeline.dataset.feed import Feed, fetch, microseconds, opened
from pipeline.dataset.samples import viewed_in
from pipeline.dataset.snapshots import catalogue_at
from pipeline.evaluation.ladder import WINDOW, Ladder, baseline_scores, ladder, model_scores
from pipeline.evaluation.oracle import has_truth, true_scores
from pipeline.tables.folder import Tables, export
from pipeline.tables.mapping import PLAIN, TableMapping
from pipeline.training.store import scorer_of


@dataclass(frozen=True)
class Loaded:
    """What the platform was loaded with, and what was withheld from it."""

    folder: Path
    until: datetime
    mapping: TableMapping = PLAIN

    @property
    def is_simulated(self) -> bool:
        return has_truth(self.folder)


@contextmanager
def platform_feed(postgres_url: str, until: datetime, on_progress: OnProgress) -> Iterator[Feed]:
    """What Postgres holds before `until`."""
    with (
        TemporaryDirectory(prefix="lenta-check-") as folder,
        opened(export(postgres_url, Path(folder), until, on_progress), until) as feed,
    ):
        yield feed


def offline_viewed(feed: Feed, loaded: Loaded, store: ModelStore, rng: np.random.Generator) -> Ladder:
    """On the withheld 15 days. Raises LentaError when nobody can be judged."""
    with opened(Tables.of_folder(loaded.folder, loaded.mapping), loaded.until + WINDOW) as whole:
        viewed = viewed_in(whole, loaded.until, loaded.until + WINDOW)
    scores = baseline_scores(feed, viewed, loaded.until, rng)
    for name in GROUPS:
        with scorer_of(store, name) as scorer:
            scores[name] = model_scores(feed, viewed, loaded.until, scorer)
    if loaded.is_simulated:
        scores["oracle"] = true_scores(loaded.folder, feed, viewed, loaded.until)
    return ladder(viewed, scores)


def served_truth(
    feed: Feed, loaded: Loaded, gateway: httpx.Client, users: int, rng: np.random.Generator,
    on_progress: Callable[[int], None],
) -> Served:  # fmt: skip
    """Of `users` users drawn at random, asked as of the moment where the loaded feed ends."""
    from pipeline.world.truth import Truth

    truth = Truth.load(loaded.folder)
    chosen = [int(user) for user in rng.choice(feed.people.ids, min(users, len(feed.people.ids)), replace=False)]
    answers = ask(gateway, chosen, loaded.until.isoformat(), on_progress)
    catalogue = catalogue_at(feed, loaded.until)
    popularity = (catalogue.post_likes + 10.0) / (catalogue.post_views + 100.0)

    def likes_of(user: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        query = f"SELECT post_id FROM likes WHERE user_id = {user} AND instant < {microseconds(loaded.until)}"
        return fetch(feed.database, query)["post_id"].astype(np.int64)

    return judge(
        answers,
        chosen,
        catalogue.post_id,
        popularity,
        [likes_of(user) for user in chosen],
        lambda user: truth.like_probability(np.array([user]), catalogue.post_id, loaded.until),
        rng,
    )
