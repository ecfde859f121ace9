"""Golden requests: what the model answered when it was trained. A ranker is ready only after it answers the same."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from contracts.catalogue import Catalogue
from contracts.records import BadRecordError, UserRow

from ranking.artefact import ArtefactError, GoldenRequest
from ranking.scorer import Scorer

FILE = "golden.npz"
TOLERANCE = 1e-6
POSTS = 64


def excerpt(catalogue: Catalogue, posts: int = POSTS) -> Catalogue:
    """The first posts of a catalogue, with their topics."""
    return replace(catalogue.only(slice(posts)), version=0)


def make_golden(scorer: Scorer, catalogue: Catalogue, rows: Sequence[bytes], now: int) -> list[GoldenRequest]:
    """catalogue: an excerpt of posts that the model's own vectors hold. rows: packed user rows."""
    bound = scorer.bind(catalogue)
    return [
        GoldenRequest(
            row=base64.b64encode(row).decode(), time=now, scores=bound.score_all(UserRow.unpack(row), now).tolist()
        )
        for row in rows
    ]


def save_golden(folder: Path, catalogue: Catalogue) -> None:
    (folder / FILE).write_bytes(catalogue.pack())


def replay(scorer: Scorer, folder: Path) -> None:
    """Raises ArtefactError where a score differs from the one computed in training."""
    try:
        bound = scorer.bind(Catalogue.unpack((folder / FILE).read_bytes()))
    except (OSError, BadRecordError) as error:
        raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error
    name = f"{scorer.manifest.name}@{scorer.manifest.version}"
    if not scorer.manifest.golden:
        raise ArtefactError(f"model {name} has no golden requests")
    for number, golden in enumerate(scorer.manifest.golden):
        scores = bound.score_all(UserRow.unpack(base64.b64decode(golden.row)), golden.time)
        worst = float(np.max(np.abs(scores - np.array(golden.scores)), initial=0.0))
        if len(scores) != len(golden.scores) or not worst <= TOLERANCE:
            raise ArtefactError(f"model {name}: golden request {number} differs by {worst:.2g}")
