"""`lenta evaluate --off-policy`: what the models would have got on the days that were withheld, had they served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from chassis.progress import OnProgress, share_of, silent
from contracts.assignment import GROUPS
from contracts.features import SCHEMA
from contracts.records import UserRow
from ranking.scorer import BoundScorer, Scorer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from pipeline.dataset.feed import microseconds, opened
from pipeline.dataset.snapshots import catalogue_at, rows_at
from pipeline.evaluation.ladder import POPULAR, WINDOW, check_unseen
from pipeline.evaluation.off_policy import Slates, Value, logged_views, value_of
from pipeline.evaluation.oracle import has_truth
from pipeline.evaluation.report import with_half
from pipeline.measures.accuracy import Estimate, K
from pipeline.tables.folder import Tables
from pipeline.tables.mapping import PLAIN, TableMapping

if TYPE_CHECKING:
    from ranking.artefact import ModelStore


@dataclass(frozen=True)
class OffPolicy:
    """logged: the feed's own like rate; values: by policy.

    truth: of a simulated world, like rate and hit probability by policy.
    """

    users: int
    views: int
    logged: Estimate
    values: Mapping[str, Value]
    truth: Mapping[str, tuple[float, float]]


def off_policy_published(
    folder: Path,
    until: datetime,
    store: ModelStore,
    seed: int = 0,
    on_progress: OnProgress = silent,
    mapping: TableMapping = PLAIN,
) -> OffPolicy:
    """Of the published models, on the 15 days from `until` on.

    Raises LentaError when a model is missing, or has seen these days.
    """
    from pipeline.training.store import scorer_of

    with ExitStack() as stack:
        scorers: dict[str, Scorer] = {name: stack.enter_context(scorer_of(store, name)) for name in GROUPS}
        return off_policy(folder, until, scorers, seed, on_progress, mapping)


def off_policy(
    folder: Path,
    cut: datetime,
    scorers: Mapping[str, Scorer],
    seed: int = 0,
    on_progress: OnProgress = silent,
    mapping: TableMapping = PLAIN,
) -> OffPolicy:
    """Most popular and the models, as they would have served the 15 days from `cut` on, by the views in `folder`.

    Raises LentaError for a model that has learned from these days, and for days without views.
    """
    for scorer in scorers.values():
        check_unseen(scorer, cut)
    tables, now = Tables.of_folder(folder, mapping), microseconds(cut) // 1_000_000
    rng = np.random.default_rng(seed)
    with opened(tables, cut) as feed:
        catalogue = catalogue_at(feed, cut)
        catalogue = catalogue.only(np.flatnonzero(catalogue.post_views > 0))
        with opened(tables, cut + WINDOW) as whole:
            logged = logged_views(whole, cut, cut + WINDOW, catalogue.post_id, seed)
        rows = [UserRow.unpack(row) for row in rows_at(feed, logged.users.tolist(), cut)]
    slates: dict[str, Slates] = {}
    for place, (name, scorer) in enumerate(scorers.items()):
        bound = scorer.bind(catalogue)
        slates.setdefault(POPULAR, popular_slates(bound, rows, now))
        told = share_of(on_progress, 100 * place // len(scorers), 100 * (place + 1) // len(scorers))
        slates[name] = model_slates(bound, rows, now, told)
    truth: dict[str, tuple[float, float]] = {}
    if has_truth(folder):
        from pipeline.evaluation.served_truth import true_value

        truth = {name: true_value(folder, logged, own, cut) for name, own in slates.items()}
    return OffPolicy(
        users=len(logged.users),
        views=len(logged.user),
        logged=logged.rate(rng),
        values={name: value_of(logged, own, rng) for name, own in slates.items()},
        truth=truth,
    )


def model_slates(bound: BoundScorer, rows: Sequence[UserRow], now: int, on_progress: OnProgress = silent) -> Slates:
    """As a ranker answers: its first stage, and no hidden posts."""
    slates = Slates.empty(len(rows))
    for place, row in enumerate(rows):
        slates.put(place, *bound.rank(row, now, K))
        on_progress(place + 1, len(rows))
    return slates


def popular_slates(bound: BoundScorer, rows: Sequence[UserRow], now: int) -> Slates:
    """The same posts for everybody, less what is hidden.

    A like is as probable as the user's rate of the topic and the post's own make it.
    """
    rate, own = SCHEMA.index("post_rate"), SCHEMA.index("user_topic_by_post")
    slates, ids = Slates.empty(len(rows)), bound.catalogue.post_id
    for place, row in enumerate(rows):
        matrix = bound.candidates.matrix(row, now)
        best = np.lexsort((ids, -matrix[:, rate]))
        best = best[~np.isin(ids[best], row.hidden)][:K]
        slates.put(place, ids[best], matrix[best, own].astype(np.float64))
    return slates


def off_policy_table(estimates: OffPolicy, title: str) -> Table:
    heading = (
        f"{title}: had they served, by {estimates.views:,} views of {estimates.users:,} users; ± half a 95 % interval"
    )
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    heads = ("views matched", "replay", "like rate", "hit at five")
    for head in (*heads, "true like rate", "true hit at five") if estimates.truth else heads:
        table.add_column(head, justify="right")
    table.add_row("the feed itself", f"{estimates.views:,}", "", with_half(estimates.logged))
    for name, value in estimates.values.items():
        truth = (f"{figure:.3f}" for figure in estimates.truth.get(name, ()))
        figures = map(with_half, (value.replay, value.like_rate, value.hits))
        table.add_row(name, f"{value.matched:,}", *figures, *truth)
    return table


def off_policy_json(estimates: OffPolicy) -> dict[str, Any]:
    return asdict(estimates)
