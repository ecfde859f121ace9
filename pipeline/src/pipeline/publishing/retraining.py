"""`lenta retrain`: train, compare, publish, in one command that can be killed at any time.

It works in a folder of its own. Each part is moved into place when it is whole, so that a run that was killed resumes
with what is there; the pointer to the model in service moves last.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from ranking.artefact import MANIFEST, Manifest, ModelStore, Pointer
from ranking.scorer import Scorer

from pipeline.dataset.feed import opened
from pipeline.errors import LentaError
from pipeline.publishing.comparison import MINUTE
from pipeline.publishing.publication import check_not_worse, check_twin, days_to_compare, in_service
from pipeline.tables.folder import Tables, export
from pipeline.terminal import Steps
from pipeline.training.fit import fit
from pipeline.training.models import check_name, loader, model_of
from pipeline.training.store import prepare, publish, put

STALE = timedelta(hours=12)
"""What a killed run left is of no use after this long: its feed is too old."""
BEGUN, TABLES, TWIN, WHOLE = "begun", "tables", "twin", "model"


class Begun(BaseModel):
    """When a retraining began, and from what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    postgres: str
    """Its URL, hashed: there may be a password in it."""
    text_encoder: Path | None

    @classmethod
    def now(cls, at: datetime, postgres_url: str, text_encoder: Path | None) -> Begun:
        place = text_encoder.absolute() if text_encoder else None
        return cls(at=at, postgres=sha256(postgres_url.encode()).hexdigest(), text_encoder=place)

    @classmethod
    def read(cls, file: Path) -> Begun | None:
        """None where there is none that this version can read."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def goes_on_with(self, before: Begun) -> bool:
        return (self.postgres, self.text_encoder) == (before.postgres, before.text_encoder)


@dataclass(frozen=True)
class Work:
    """The folder of one model's retraining."""

    name: str
    folder: Path
    steps: Steps
    text_encoder: Path | None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises LentaError while another retraining of this model is at work here."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LentaError(
                    f"{self.name} is already being retrained, in {self.folder}; wait for it to finish"
                ) from error
            yield

    def begin(self, now: datetime, anew: bool, postgres_url: str) -> None:
        """Resumes what a killed run left, unless that is stale or of another feed or text encoder, or `anew`."""
        wanted = Begun.now(now, postgres_url, self.text_encoder)
        before = None if anew else Begun.read(self.folder / BEGUN)
        if before and now - before.at < STALE:
            which = f"the retraining of {self.name} begun at {before.at:{MINUTE}}"
            if wanted.goes_on_with(before):
                self.steps.say(f"Resuming {which}; --anew starts over")
                return
            self.steps.say(f"Starting over: {which} had another --postgres-url or --text-encoder")
        self.end()
        self.folder.mkdir(parents=True)
        (self.folder / BEGUN).write_text(wanted.model_dump_json())

    def end(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def tables(self, postgres_url: str) -> Tables:
        place = self.folder / TABLES
        if not place.exists():
            beside = place.with_suffix(".new")
            with self.steps.step("Reading the feed") as on_progress:
                export(postgres_url, beside, None, on_progress)
            beside.rename(place)
        return Tables.of_export(place)

    def model(self, part: str, title: str, tables: Tables, until: datetime | None) -> Scorer:
        """Trained on what was before `until`, or opened where it has been."""
        place = self.folder / part
        if not _is_whole(place, until):
            shutil.rmtree(place, ignore_errors=True)
            with self.steps.step(title) as on_progress, opened(tables, until) as feed:
                fitted = fit(model_of(self.name, self.text_encoder), feed, datetime.now(UTC), on_progress=on_progress)
            fitted.save(place)
            beside = place / f"{MANIFEST}.new"
            beside.write_text(fitted.manifest.model_dump_json())
            beside.rename(place / MANIFEST)
        return Scorer.open(place, loader(self.name))


def _is_whole(place: Path, until: datetime | None) -> bool:
    """Whether a model is there that was trained until then; the days to compare by move with the model in service."""
    manifest = place / MANIFEST
    if not manifest.exists():
        return False
    return until is None or Manifest.model_validate_json(manifest.read_bytes()).train_until == until


def retrain(
    name: str,
    postgres_url: str,
    store: ModelStore,
    folder: Path,
    steps: Steps,
    now: datetime,
    anew: bool = False,
    text_encoder: Path | None = None,
) -> Pointer:
    """Trains on all that Postgres holds, and puts the model into service unless it is worse than the one there.

    Raises WorseModelError when it is, and LentaError when Postgres cannot be read or nothing can be learned from the
    feed.
    """
    check_name(name)
    prepare(store, name)
    work = Work(name, folder / name, steps, text_encoder)
    with work.alone():
        work.begin(now, anew, postgres_url)
        try:
            model = _not_worse(work, work.tables(postgres_url), store)
        except LentaError:
            work.end()
            raise
        put(store, work.folder / WHOLE, model.manifest)
        pointer = publish(store, name, model.manifest.version)
        work.end()
    return pointer


def _not_worse(work: Work, tables: Tables, store: ModelStore) -> Scorer:
    """Trained on all of the tables. Raises WorseModelError."""
    name, steps = work.name, work.steps
    with in_service(store, name, steps) as serving:
        days = days_to_compare(tables, serving, steps) if serving else None
        comparable = False
        if serving and days:
            start, title = days.start, f"Training {name} without the days to compare by"
            comparable = check_twin(days, lambda: work.model(TWIN, title, tables, start), serving, steps)
        model = work.model(WHOLE, f"Training {name}", tables, None)
        if serving and days and comparable:
            check_not_worse(days, model, serving, steps)
    return model
