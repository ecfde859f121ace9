"""Keeps a ranker on the published model and the live catalogue, and swaps them between two requests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from logging import ERROR, WARNING
from pathlib import Path

import anyio.to_thread
import httpx
import numpy as np
import structlog
from contracts.catalogue import Catalogue
from contracts.records import BadRecordError
from contracts.wire import Post, PostIds, Posts
from prometheus_client import Counter, Gauge

from ranking.artefact import ArtefactError, ModelStore
from ranking.scorer import BoundScorer, LoadEncoder, Scorer
from ranking.settings import RankerSettings
from ranking.trial import open_model, try_model
from ranking.vectors import PostVectors

log = structlog.get_logger()

JSON = {"Content-Type": "application/json"}

SWAPS = Counter("ranker_swaps_total", "New versions put into service.")
FAILED_SWAPS = Counter("ranker_failed_swaps_total", "Versions that could not be put into service; the old one went on.")
CATALOGUE = Gauge("ranker_catalogue_version", "Version of the catalogue that is ranked.")
MODEL_INFO = Gauge("ranker_model_info", "1 for the version in service.", ["model", "version"])

TEXTS_AT_ONCE = 500
BESIDE_REQUESTS = 10
"""Niceness of a trial while an older version serves."""


@dataclass
class ServedModel:
    """What is in service. Only `ModelLoader` changes it, and replaces `bound` at once."""

    name: str
    bound: BoundScorer | None = None
    """The model and the catalogue that requests see: always a pair that fits."""
    faults: dict[str, str] = field(default_factory=dict)
    """Why the model or the catalogue is not the newest: keys `model`, `catalogue`."""

    @property
    def reason(self) -> str | None:
        """Why nothing can be ranked; None when it can."""
        if self.bound is not None:
            return None
        return "; ".join(self.faults.values()) or "starting"

    @property
    def stale(self) -> str | None:
        """Why what is ranked is not the newest; None when it is, or nothing is ranked at all."""
        return None if self.bound is None else "; ".join(self.faults.values()) or None


class ModelLoader:
    def __init__(
        self, served: ServedModel, load_encoder: LoadEncoder, features: httpx.AsyncClient, settings: RankerSettings
    ) -> None:
        self._served, self._load_encoder, self._features, self._settings = served, load_encoder, features, settings
        self._store = ModelStore(settings.model_uri)
        self._scorer: Scorer | None = None
        """The newest model that loaded; in service once it is bound to the catalogue."""
        self._catalogue: Catalogue | None = None
        self._vectors: PostVectors | None = None
        """The model's own and those of posts that came later."""
        self._refused: tuple[str, str] | None = None
        """A version that failed, and why: not tried again until another is published."""
        self._binding = asyncio.Lock()

    async def run(self) -> None:
        """Polls for new models and catalogues until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(self._settings.poll_seconds, "model", self.look_for_model))
            group.create_task(self._every(self._settings.catalogue_poll_seconds, "catalogue", self.look_for_catalogue))

    async def _every(self, seconds: float, what: str, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await look()
                self._served.faults.pop(what, None)
            except (ArtefactError, BadRecordError, httpx.HTTPError, OSError) as error:
                reason, level = self._reason(error), ERROR if isinstance(error, ArtefactError) else WARNING
                if self._served.faults.get(what) != reason:
                    log.log(level, "ranker_not_renewed", what=what, reason=reason)
                self._served.faults[what] = reason
            except Exception:  # a bug must be loud, and must not end the renewal for good
                log.exception("ranker_renewal_bug", what=what)
                self._served.faults[what] = f"{what} cannot be renewed; the log has the reason"
            await asyncio.sleep(seconds)

    def _reason(self, error: Exception) -> str:
        where = f"feature-service at {self._settings.features_url}"
        match error:
            case httpx.HTTPStatusError():
                return f"{where} answered {error.request.url.path} with {error.response.status_code}"
            case httpx.HTTPError():
                return f"{where} cannot be reached: {str(error) or type(error).__name__}"
        return str(error)

    async def look_for_model(self) -> None:
        """Raises ArtefactError when the published version cannot serve."""
        name = self._served.name
        pointer = await anyio.to_thread.run_sync(self._store.current, name)
        if pointer is None:
            raise ArtefactError(f'no model {name} is published: run "lenta train {name}" and "lenta publish {name}"')
        if self._scorer is None or pointer.version != self._scorer.manifest.version:
            scorer = await self._opened(pointer.version)
            async with self._binding:
                self._scorer, self._vectors = scorer, scorer.vectors
        await self._bind()

    async def _opened(self, version: str) -> Scorer:
        if self._refused is not None and self._refused[0] == version:
            raise ArtefactError(self._refused[1])
        try:
            scorer = await anyio.to_thread.run_sync(self._load, version)
        except ArtefactError as error:
            self._refused = version, str(error)
            FAILED_SWAPS.inc()
            raise
        self._refused = None
        return scorer

    def _load(self, version: str) -> Scorer:
        """Returns only a model that a process of its own has opened and that has answered its golden requests.

        Raises ArtefactError whatever the files hold.
        """
        with tempfile.TemporaryDirectory(prefix="lenta-model-", dir=self._settings.cache_dir) as temporary:
            folder = Path(temporary)
            self._store.fetch(self._served.name, version, folder)
            try:
                if self._settings.trial_seconds:
                    niceness = 0 if self._served.bound is None else BESIDE_REQUESTS
                    try_model(folder, self._load_encoder, self._settings.trial_seconds, niceness)
                return open_model(folder, self._load_encoder)
            except ArtefactError as error:
                raise ArtefactError(f"{self._served.name}@{version}: {error}") from error

    async def look_for_catalogue(self) -> None:
        """Raises httpx.HTTPError when feature-service cannot be asked."""
        held = self._catalogue
        headers = {"If-None-Match": f'"{held.version}"'} if held is not None else {}
        answer = await self._features.get("/catalogue", headers=headers)
        if answer.status_code != httpx.codes.NOT_MODIFIED:
            answer.raise_for_status()
            self._catalogue = Catalogue.unpack(answer.content)
        await self._bind()

    async def _bind(self) -> None:
        """Makes the pair of model and catalogue that requests see, unless they see it already.

        Called at every look, so that what failed half-way (the texts of new posts) is made good at the next.
        """
        async with self._binding:
            scorer, catalogue, before = self._scorer, self._catalogue, self._served.bound
            if scorer is None or catalogue is None:
                return
            if before is not None and before.scorer is scorer and before.catalogue is catalogue:
                return
            known = self._vectors or scorer.vectors
            self._vectors = await self._with_new_posts(scorer, known, known.missing(catalogue.post_id))
            self._served.bound = await anyio.to_thread.run_sync(scorer.bind, catalogue, self._vectors)
        CATALOGUE.set(catalogue.version)
        if before is None or before.scorer is not scorer:
            self._log_swap(scorer)

    def _log_swap(self, scorer: Scorer) -> None:
        name, version = self._served.name, scorer.manifest.version
        SWAPS.inc()
        MODEL_INFO.clear()
        MODEL_INFO.labels(name, version).set(1)
        log.info("model_in_service", model=name, version=version)

    async def _with_new_posts(self, scorer: Scorer, known: PostVectors, missing: list[int]) -> PostVectors:
        """Posts that training never saw get their vectors from their texts."""
        for start in range(0, len(missing), TEXTS_AT_ONCE):
            wanted = PostIds(ids=missing[start : start + TEXTS_AT_ONCE])
            answer = await self._features.post("/posts", content=wanted.model_dump_json(), headers=JSON)
            answer.raise_for_status()
            posts = Posts.model_validate_json(answer.content).posts
            known = await anyio.to_thread.run_sync(_encoded, scorer, known, posts)
        return known


def _encoded(scorer: Scorer, known: PostVectors, posts: Sequence[Post]) -> PostVectors:
    ids = np.array([post.id for post in posts], np.int64)
    vectors = scorer.encoder.vectors(ids, [post.text for post in posts], [post.topic for post in posts])
    return known.with_posts([post.id for post in posts], vectors)
