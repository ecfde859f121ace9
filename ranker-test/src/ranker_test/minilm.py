"""Sentences as vectors by a MiniLM transformer, for real text: an option, and the only module that needs onnxruntime.

Weights come from a folder with `model.onnx` and `tokenizer.json` of all-MiniLM-L6-v2 (Wang et al. 2020; Reimers &
Gurevych 2019) and travel in the artefact, so that a ranker gives a new post its vector by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from chassis.progress import OnProgress, silent
from ranking.artefact import ArtefactError
from ranking.encoder import Matrix

MODEL, TOKENIZER, TURN = "model.onnx", "tokenizer.json", "minilm.npz"
LONGEST = 256
"""Tokens of a text that are read, as the model was trained."""
AT_ONCE = 32
DIMENSIONS = 128
"""How many of the vectors' strongest directions are kept."""


@dataclass(frozen=True)
class MiniLM:
    """turn: what folds the transformer's vectors onto their strongest directions, shape (384, dimensions);
    known: vectors of the texts that it was fitted on, so that training computes them once."""

    transformer: Transformer
    turn: npt.NDArray[np.float32]
    known: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict, repr=False)

    @property
    def dimensions(self) -> int:
        return int(self.turn.shape[1])

    @classmethod
    def fit(cls, folder: Path, texts: Sequence[str], on_progress: OnProgress) -> MiniLM:
        """Weights of a folder, folded for these texts. Raises ArtefactError where a file or a package is missing."""
        transformer = Transformer.open(folder)
        whole = np.vstack(list(transformer.chunks(texts, on_progress)))
        _, axes = np.linalg.eigh(np.cov(whole, rowvar=False))
        turn = axes[:, ::-1][:, :DIMENSIONS].astype(np.float32)
        return cls(transformer, turn, dict(zip(texts, whole @ turn, strict=True)))

    def vectors(self, texts: Sequence[str]) -> Matrix:
        """Shape (len(texts), dimensions)."""
        new = [text for text in texts if text not in self.known]
        rows_of_new = (row for part in self.transformer.chunks(new) for row in part @ self.turn)
        vectors = {**self.known, **dict(zip(new, rows_of_new, strict=True))}
        rows = [vectors[text] for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), self.dimensions)

    def save(self, folder: Path) -> None:
        """The weights too: a model's folder is a folder of weights."""
        for name in (MODEL, TOKENIZER):
            shutil.copyfile(self.transformer.folder / name, folder / name)
        np.savez(folder / TURN, turn=self.turn)

    @classmethod
    def load(cls, folder: Path) -> MiniLM:
        """Raises ArtefactError where a file or a package is missing."""
        with np.load(folder / TURN, allow_pickle=False) as arrays:
            return cls(Transformer.open(folder), arrays["turn"])


@dataclass(frozen=True)
class Transformer:
    """Vectors of length 1, shape (n, 384): the mean over a text's tokens (Reimers & Gurevych 2019)."""

    folder: Path
    _session: Any
    _tokens: Any

    @classmethod
    def open(cls, folder: Path) -> Transformer:
        """Raises ArtefactError where a file or a package is missing, or a file cannot be read."""
        try:
            from onnxruntime import InferenceSession, SessionOptions
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ArtefactError(
                "MiniLM needs onnxruntime and tokenizers: pip install lenta-ranker-test[minilm]"
            ) from error
        for name in (MODEL, TOKENIZER):
            if not (folder / name).is_file():
                raise ArtefactError(f"MiniLM needs {name} in {folder}; it is not there")
        options = SessionOptions()
        options.intra_op_num_threads, options.enable_cpu_mem_arena = 1, False
        try:
            tokens = Tokenizer.from_file(str(folder / TOKENIZER))
            session = InferenceSession(str(folder / MODEL), options, ["CPUExecutionProvider"])
        except Exception as error:  # both libraries raise it bare
            raise ArtefactError(f"MiniLM's {MODEL} and {TOKENIZER} in {folder} cannot be read: {error}") from error
        tokens.enable_truncation(LONGEST)
        tokens.enable_padding()
        return cls(folder, session, tokens)

    def chunks(self, texts: Sequence[str], on_progress: OnProgress = silent) -> Iterator[Matrix]:
        for low in range(0, len(texts), AT_ONCE):
            yield self._vectors(texts[low : low + AT_ONCE])
            on_progress(min(low + AT_ONCE, len(texts)), len(texts))

    def _vectors(self, texts: Sequence[str]) -> Matrix:
        encoded = self._tokens.encode_batch(list(texts))
        ids = np.array([text.ids for text in encoded], np.int64)
        mask = np.array([text.attention_mask for text in encoded], np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(["last_hidden_state"], inputs)
        mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)
