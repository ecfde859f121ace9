"""One world: simulated, each rung's scores kept as a file of their own, and the ladders that they make."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from contracts.assignment import GROUPS
from pipeline.dataset.feed import opened
from pipeline.dataset.samples import Viewed, viewed_in
from pipeline.evaluation.ladder import ORACLE, POPULAR, WINDOW, Ladder, baseline_scores, ladder, model_scores
from pipeline.evaluation.oracle import true_scores, true_session_scores
from pipeline.evaluation.sessions import SessionRequests, requests_in, session_ladder, session_scores
from pipeline.measures.accuracy import Floats
from pipeline.tables.folder import Tables
from pipeline.training.fit import fit
from pipeline.training.models import loader, model_of
from pipeline.world.simulation import simulate
from pipeline.world.spec import WorldSpec, spec_of
from ranking.artefact import MANIFEST
from ranking.scorer import Scorer

from tests.benchmarks.worlds.plain import PLAIN, plain_scores

END = date(2026, 11, 24)
LAST = datetime(END.year, END.month, END.day, tzinfo=UTC)
CUT = LAST - WINDOW
EDGES = "edges"
"""Most popular and the oracle, between which the others lie."""
STEPS = (EDGES, *PLAIN, *GROUPS)


@dataclass
class World:
    spec: WorldSpec
    seed: int
    folder: Path

    @classmethod
    def of(cls, name: str, seed: int, home: Path, size: tuple[int, int] | None) -> World:
        """size: users and posts; None: as the world is."""
        spec = spec_of(name)
        if size is None:
            return cls(spec, seed, home / f"{name}-{seed}")
        return cls(replace(spec, users=size[0], posts=size[1]), seed, home / f"{name}-{seed}-{size[0]}x{size[1]}")

    @property
    def name(self) -> str:
        return self.spec.name

    def take(self, step: str) -> None:
        """Scores of one step, unless they are there already."""
        if self._file(step).exists():
            return
        began = time.monotonic()
        window, within = self._edges() if step == EDGES else self._plain(step) if step in PLAIN else self._model(step)
        self._file(step).parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {f"window {rung}": values for rung, values in window.items()}
        arrays |= {f"within {rung}": values for rung, values in within.items()}
        np.savez(self._file(step), **arrays)
        print(f"{self.name}, seed {self.seed}: {step} in {time.monotonic() - began:.0f} s", flush=True)

    @cached_property
    def window(self) -> Ladder:
        """Of what users viewed from the cut on."""
        return ladder(self._viewed, self._scores("window "))

    @cached_property
    def within(self) -> Ladder | None:
        """Of requests within sessions."""
        return session_ladder(self._requests, self._scores("within "))

    def _scores(self, prefix: str) -> dict[str, Floats]:
        scores: dict[str, Floats] = {}
        for step in (step for step in STEPS if self._file(step).exists()):
            with np.load(self._file(step)) as kept:
                scores |= {name.removeprefix(prefix): kept[name] for name in kept if name.startswith(prefix)}
        return scores

    def _file(self, step: str) -> Path:
        return self.folder / "scores" / f"{step}.npz"

    @cached_property
    def _tables(self) -> Tables:
        if not (self.folder / "world" / "truth").exists():
            simulate(self.spec, self.seed, END, self.folder / "world")
        return Tables.of_folder(self.folder / "world")

    @cached_property
    def _viewed(self) -> Viewed:
        with opened(self._tables, LAST) as feed:
            return viewed_in(feed, CUT, LAST)

    @cached_property
    def _requests(self) -> SessionRequests:
        with opened(self._tables, LAST) as feed:
            return requests_in(feed, CUT, LAST)

    def _edges(self) -> tuple[dict[str, Floats], dict[str, Floats]]:
        truth = self.folder / "world"
        with opened(self._tables, CUT) as feed:
            window = baseline_scores(feed, self._viewed, CUT, np.random.default_rng(self.seed))
            window[ORACLE] = true_scores(truth, feed, self._viewed, CUT)
        with opened(self._tables, LAST) as feed:
            within = session_scores(feed, self._requests, {}, CUT, self.seed)
            within[ORACLE] = true_session_scores(truth, feed, self._requests)
        return window, within

    def _plain(self, name: str) -> tuple[dict[str, Floats], dict[str, Floats]]:
        scores = plain_scores(self._tables, CUT, self._viewed, name)
        return {} if scores is None else {name: scores}, {}

    def _model(self, name: str) -> tuple[dict[str, Floats], dict[str, Floats]]:
        scorer = self._trained(name)
        with opened(self._tables, CUT) as feed:
            window = {name: model_scores(feed, self._viewed, CUT, scorer)}
        with opened(self._tables, LAST) as feed:
            within = session_scores(feed, self._requests, {name: scorer}, CUT, self.seed)
        return window, {name: within[name]}

    def _trained(self, name: str) -> Scorer:
        folder = self.folder / name
        if not (folder / MANIFEST).exists():
            with opened(self._tables, CUT) as feed:
                fitted = fit(model_of(name), feed, LAST)
            fitted.save(folder)
            (folder / MANIFEST).write_text(fitted.manifest.model_dump_json())
        return Scorer.open(folder, loader(name))


def best_plain(window: Ladder) -> str:
    """The plain model of the most hits; most popular where none is there."""
    return max([POPULAR, *(name for name in PLAIN if name in window.hits)], key=lambda name: window.hits[name].mean())
