"""From Postgres to an artefact in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from chassis.progress import OnProgress, share_of, silent

if TYPE_CHECKING:
    from ranking.artefact import Manifest


def train(
    name: str,
    postgres_url: str,
    model_uri: str,
    until: datetime | None = None,
    on_progress: OnProgress = silent,
    seed: int = 0,
    now: datetime | None = None,
    text_encoder: Path | None = None,
) -> Manifest:
    """Trains a model on what Postgres holds before `until` and puts it into the store, where it serves nobody yet.

    Nothing reaches the store before the model is whole. Raises LentaError for an unknown model, a Postgres that cannot
    be read, a feed that nothing can be learned from, a text encoder that ranker-test cannot read by, and a store that
    cannot be written.
    """
    from ranking.artefact import ModelStore

    from pipeline.dataset import export, opened
    from pipeline.training.fit import fit
    from pipeline.training.models import check_name, check_text_encoder, model_of
    from pipeline.training.store import prepare, put

    check_name(name)
    check_text_encoder(name, text_encoder)
    store = ModelStore(model_uri)
    prepare(store, name)
    with TemporaryDirectory(prefix="lenta-train-") as folder:
        tables = export(postgres_url, Path(folder) / "tables", until, share_of(on_progress, 0, 10))
        with opened(tables, until) as feed:
            fitted = fit(
                model_of(name, text_encoder), feed, now or datetime.now(UTC), seed, share_of(on_progress, 10, 100)
            )
        artefact = Path(folder) / "artefact"
        fitted.save(artefact)
        put(store, artefact, fitted.manifest)
    return fitted.manifest
