"""ranker-test over the vectors of a real MiniLM."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pipeline.dataset.feed import opened
from pipeline.dataset.samples import viewed_in
from pipeline.evaluation.ladder import baseline_scores, ladder, model_scores
from pipeline.tables.folder import Tables
from pipeline.training.fit import fit
from pipeline.training.models import loader, model_of, text_encoder_of
from ranker_test.encoder import TowerEncoder
from ranker_test.minilm import MiniLM, Transformer
from ranking.artefact import ArtefactError, ModelStore
from ranking.golden import replay
from ranking.hybrid import HybridEncoder
from ranking.scorer import Scorer

from tests.support.data.small_feed import START, lively, text_of, write_tables

CUT = START + timedelta(days=16)
USERS, POSTS = 60, 40


@pytest.mark.minilm
def test_sentences_of_one_meaning_are_near_whatever_their_words(minilm_weights: Path) -> None:
    transformer = Transformer.open(minilm_weights)
    texts = [
        "A quiet evening at the tennis court.",
        "Playing a calm racket game after sunset",
        "Stocks fell sharply on Monday",
    ]
    (result,) = transformer.chunks(texts)
    near, far = result[0] @ result[1], result[0] @ result[2]
    assert near > far + 0.3
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), 1.0, rtol=1e-5)


@pytest.mark.minilm
def test_a_text_may_be_empty_long_or_of_no_latin_letter(minilm_weights: Path) -> None:
    (result,) = Transformer.open(minilm_weights).chunks(["", "привет, мир", "🎾🎾", "word " * 5_000])
    assert np.isfinite(result).all()


@pytest.mark.minilm
def test_a_model_over_minilm_is_saved_replayed_and_sees_new_posts(minilm_weights: Path, tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "tables", lively(np.random.default_rng(7), USERS, POSTS), USERS, POSTS)
    with opened(Tables.of_folder(folder), CUT + timedelta(days=15)) as whole:
        viewed = viewed_in(whole, CUT, CUT + timedelta(days=15))
    with opened(Tables.of_folder(folder), CUT) as feed:
        fitted = fit(model_of("test", minilm_weights), feed, datetime(2026, 4, 1, tzinfo=UTC))
        scores = baseline_scores(feed, viewed, CUT, np.random.default_rng(0))
        scores["test"] = model_scores(feed, viewed, CUT, fitted.scorer)
    result = ladder(viewed, scores)
    assert result.hits["test"].mean() > result.hits["most popular"].mean()

    store = ModelStore(str(tmp_path / "models"))
    fitted.save(tmp_path / "artefact")
    store.put(tmp_path / "artefact", fitted.manifest)
    store.fetch("test", fitted.manifest.version, tmp_path / "served")
    scorer = Scorer.open(tmp_path / "served", loader("test"))
    replay(scorer, tmp_path / "served")
    assert text_encoder_of(scorer.encoder) == tmp_path / "served"
    new, known = scorer.encoder.vectors(np.array([999, 1]), [text_of(1), text_of(1)], ["sport", "sport"])
    assert isinstance(scorer.encoder, HybridEncoder)
    assert isinstance(scorer.encoder.content, TowerEncoder)
    rank = scorer.encoder.content.text.rank
    np.testing.assert_allclose(new[:rank], known[:rank], atol=1e-5)


def test_what_minilm_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArtefactError, match=r"needs model.onnx in .*; it is not there"):
        MiniLM.fit(tmp_path, ["text"], lambda done, total: None)
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_text("nonsense")
    with pytest.raises(ArtefactError, match=r"MiniLM's model.onnx and tokenizer.json in .* cannot be read"):
        Transformer.open(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArtefactError, match=r"pip install lenta-ranker-test\[minilm\]"):
        Transformer.open(tmp_path)
