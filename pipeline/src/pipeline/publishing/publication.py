"""`lenta publish`: a trained model takes the place of the one in service unless it is worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ranking.artefact import ModelStore, Pointer
from ranking.scorer import Scorer
from rich.markup import escape

from pipeline.dataset.feed import opened
from pipeline.dataset.samples import NothingToLearnError
from pipeline.errors import LentaError
from pipeline.publishing.comparison import Days, compare, name_of, unseen_days
from pipeline.tables.folder import Tables, export
from pipeline.terminal import Steps
from pipeline.training.fit import fit
from pipeline.training.models import model_of, text_encoder_of
from pipeline.training.store import publish, scorer_of, version_to_publish


def publish_unless_worse(store: ModelStore, name: str, version: str | None, postgres_url: str, steps: Steps) -> Pointer:
    """Raises WorseModelError for a model worse than the one in service, LentaError for one that cannot be opened."""
    wanted = version_to_publish(store, name, version)
    with in_service(store, name, steps) as serving:
        if serving and serving.manifest.version != wanted:
            with scorer_of(store, name, wanted) as candidate, TemporaryDirectory(prefix="lenta-publish-") as folder:
                with steps.step("Reading the feed") as on_progress:
                    tables = export(postgres_url, Path(folder), None, on_progress)
                _check(candidate, serving, tables, steps)
    return publish(store, name, wanted)


def _check(candidate: Scorer, serving: Scorer, tables: Tables, steps: Steps) -> None:
    days = days_to_compare(tables, serving, steps)
    if days is None:
        return
    has_seen = candidate.manifest.train_until > days.start
    if not has_seen or check_twin(days, lambda: _twin(candidate, days, steps), serving, steps):
        check_not_worse(days, candidate, serving, steps)


def _twin(candidate: Scorer, days: Days, steps: Steps) -> Scorer:
    name = candidate.manifest.name
    with (
        steps.step(f"Training {name} without the days to compare by") as on_progress,
        opened(days.tables, days.start) as feed,
    ):
        return fit(
            model_of(name, text_encoder_of(candidate.encoder)), feed, datetime.now(UTC), on_progress=on_progress
        ).scorer


@contextmanager
def in_service(store: ModelStore, name: str, steps: Steps) -> Iterator[Scorer | None]:
    """None where no model is in service, or none that can be opened."""
    with ExitStack() as stack:
        try:
            serving = stack.enter_context(scorer_of(store, name)) if store.current(name) else None
        except LentaError as error:
            _not_compared(steps, str(error))
            serving = None
        yield serving


def days_to_compare(tables: Tables, serving: Scorer, steps: Steps) -> Days | None:
    """None where there are none, with a line that says so."""
    days = unseen_days(tables, serving.manifest)
    if days is None:
        _not_compared(steps, f"no user has six views since {name_of(serving.manifest)} was trained")
    return days


def check_not_worse(days: Days, candidate: Scorer, serving: Scorer, steps: Steps) -> None:
    """Says the difference. Raises WorseModelError."""
    with steps.step(f"Comparing {candidate.manifest.name} with what is in service"):
        comparison = compare(days, candidate, serving)
    comparison.check()
    steps.say(str(comparison))


def check_twin(days: Days, train: Callable[[], Scorer], serving: Scorer, steps: Steps) -> bool:
    """Compares a model that is trained without `days`. Raises WorseModelError.

    False, and a line that says so, where it has nothing to learn from.
    """
    try:
        twin = train()
    except NothingToLearnError as error:
        _not_compared(steps, f"the days before leave its twin nothing to learn from ({error})")
        return False
    check_not_worse(days, twin, serving, steps)
    return True


def _not_compared(steps: Steps, reason: str) -> None:
    steps.say(f"[yellow]![/yellow] Not compared with what is in service: {escape(reason)}")
