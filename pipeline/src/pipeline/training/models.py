"""The models that `lenta` trains: the one place where a model's name meets its package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chassis.progress import OnProgress
from contracts.assignment import GROUPS
from ranking.artefact import ArtefactError
from ranking.encoder import Encoder
from ranking.examples import Examples
from ranking.hybrid import ContentEncoder, HybridEncoder

from pipeline.errors import LentaError

TrainContent = Callable[[Examples, int, OnProgress], ContentEncoder]


@dataclass(frozen=True)
class Model:
    name: str
    train_content: TrainContent
    load_encoder: Callable[[Path], HybridEncoder]


def check_name(name: str) -> None:
    """Raises LentaError for a model that does not exist."""
    if name not in GROUPS:
        raise LentaError(f"there is no model {name}; there are {' and '.join(GROUPS)}")


def check_text_encoder(name: str, folder: Path | None) -> None:
    """Raises LentaError for a folder that ranker-test cannot read texts by; control reads none."""
    if name == "control" or folder is None:
        return
    from ranker_test.minilm import Transformer

    try:
        Transformer.open(folder)
    except ArtefactError as error:
        raise LentaError(f"the text encoder cannot be used: {error}") from error


def loader(name: str) -> Callable[[Path], HybridEncoder]:
    """What opens a model's encoder; it needs no training library."""
    check_name(name)
    if name == "control":
        from ranker_control.encoder import TextEncoder

        return HybridEncoder.loader(TextEncoder.load)
    from ranker_test.encoder import TowerEncoder

    return HybridEncoder.loader(TowerEncoder.load)


def model_of(name: str, text_encoder: Path | None = None) -> Model:
    """Raises LentaError for a model that does not exist.

    text_encoder: a folder of MiniLM's weights, which only ranker-test uses.
    """
    check_name(name)
    if name == "control":
        from ranker_control import training as control

        return Model(name, control.train_encoder, loader(name))
    from ranker_test import training as test

    train_encoder = test.WithMiniLM(text_encoder) if text_encoder else test.train_encoder
    return Model(name, train_encoder, loader(name))


def text_encoder_of(encoder: Encoder) -> Path | None:
    """The weights that a model was trained with, as `model_of` takes them."""
    from ranker_test.encoder import TowerEncoder
    from ranker_test.minilm import MiniLM

    content = encoder.content if isinstance(encoder, HybridEncoder) else None
    texts = content.texts if isinstance(content, TowerEncoder) else None
    return texts.transformer.folder if isinstance(texts, MiniLM) else None
