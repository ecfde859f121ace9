"""The store gives out what training wrote, byte by byte, or nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from ranking.artefact import MANIFEST, MANIFEST_DIGEST, POINTER, ArtefactError, Manifest, ModelStore
from ranking.trial import try_model

from tests.support.data.toy_model import LengthEncoder, publish_toy, toy_artefact, toy_catalogue
from tests.support.fuzz import FUZZ

DAMAGES = 1_000
TRIALS = 2 * FUZZ
"""Damages that a process of its own is given to open: each takes seconds."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two versions, of which 2 is in service."""
    root = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        publish_toy(root / "store", root / "work", toy_catalogue(80), name="toy", version=version, seed=int(version))
    return root / "store"


@pytest.fixture
def store(published: Path, tmp_path: Path) -> Path:
    shutil.copytree(published, tmp_path / "store")
    return tmp_path / "store"


Damage = Callable[[np.random.Generator, Path, Path], None]


def _flip(rng: np.random.Generator, path: Path, _: Path) -> None:
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    places = rng.choice(len(data), min(len(data), int(rng.integers(1, 21))), replace=False)
    data[places] ^= np.uint8(1) << rng.integers(0, 8, len(places)).astype(np.uint8)
    path.write_bytes(data.tobytes())


def _truncate(rng: np.random.Generator, path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[: int(rng.integers(path.stat().st_size))])


def _lengthen(rng: np.random.Generator, path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes() + rng.bytes(int(rng.integers(1, 50))))


def _swap(_: np.random.Generator, path: Path, other: Path) -> None:
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def _remove(_: np.random.Generator, path: Path, __: Path) -> None:
    path.unlink()


def test_a_thousand_random_damages_are_refused_before_anything_is_opened(store: Path, tmp_path: Path) -> None:
    rng, models = np.random.default_rng(0), ModelStore(str(store))
    whole = {path: path.read_bytes() for path in sorted((store / "toy").glob("*/*"))}
    names = sorted(path for path in whole if path.parent.name == "2")
    damages: list[Damage] = [_flip, _truncate, _lengthen, _swap, _remove]
    for number in range(DAMAGES):
        path, other = names[rng.integers(len(names))], list(whole)[rng.integers(len(whole))]
        damages[number % len(damages)](rng, path, other)
        if any(file.read_bytes() != whole[file] for file in names if file.exists()) or not path.exists():
            with pytest.raises(ArtefactError, match=r"toy"):
                models.fetch("toy", "2", tmp_path / "fetched")
        for file in (path, other):
            file.write_bytes(whole[file])
    assert models.fetch("toy", "2", tmp_path / "fetched").version == "2"


def _sealed_anew(folder: Path) -> None:
    """As somebody would who can write to the store: the checksums fit what lies there."""
    said = json.loads((folder / MANIFEST).read_text())
    for name in said["files"]:
        data = (folder / name).read_bytes()
        said["files"][name] = {"size": len(data), "sha256": sha256(data).hexdigest()}
    text = json.dumps(said)
    (folder / MANIFEST).write_text(text)
    (folder / MANIFEST_DIGEST).write_text(f"{sha256(text.encode()).hexdigest()}  {MANIFEST}\n")


def test_damages_whose_checksums_fit_kill_only_the_process_that_tries_them(store: Path, tmp_path: Path) -> None:
    rng, models = np.random.default_rng(1), ModelStore(str(store))
    model = store / "toy/2/model.cbm"
    whole, ends = model.read_bytes(), list[str]()
    for _ in range(TRIALS):
        model.write_bytes(whole)
        _flip(rng, model, model)
        _sealed_anew(model.parent)
        models.fetch("toy", "2", tmp_path / "fetched")
        try:
            try_model(tmp_path / "fetched", LengthEncoder.load, 60)
            ends.append("answers as trained")
        except ArtefactError as error:
            ends.append(str(error))
    assert len(ends) == TRIALS
    assert sum(end != "answers as trained" for end in ends) >= TRIALS // 2, ends


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"version": "1"}, {"name": "a\r\nb"}, {"version": "../1"}, {"version": ".."}, {"name": ""}],
)
def test_a_manifest_of_another_name_or_version_is_refused(store: Path, tmp_path: Path, change: dict[str, str]) -> None:
    manifest = store / "toy/2" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    _sealed_anew(manifest.parent)
    with pytest.raises(ArtefactError, match=r"toy/2/manifest.json is"):
        ModelStore(str(store)).fetch("toy", "2", tmp_path / "fetched")


@pytest.mark.parametrize("version", ["../../elsewhere", "a\r\nb", ""])
def test_a_pointer_that_names_no_version_is_refused(store: Path, version: str) -> None:
    (store / "toy" / POINTER).write_text(json.dumps({"version": version}))
    with pytest.raises(ArtefactError, match=r"current.json names no version"):
        ModelStore(str(store)).current("toy")


def test_what_the_first_stage_and_the_metrics_say_is_under_the_manifests_digest(store: Path, tmp_path: Path) -> None:
    manifest = store / "toy/2" / MANIFEST
    whole = json.loads(manifest.read_text())
    for field, wrong in (("retrieval", [0.0]), ("fill", [1.0]), ("metrics", {"auc": 1.0}), ("train_rows", 2)):
        manifest.write_text(json.dumps(whole | {field: wrong}))
        with pytest.raises(ArtefactError, match=r"manifest.json is damaged"):
            ModelStore(str(store)).fetch("toy", "2", tmp_path / "fetched")


def test_a_version_without_checksums_does_not_exist_and_says_what_to_do(store: Path, tmp_path: Path) -> None:
    (store / "toy/1" / MANIFEST_DIGEST).unlink()
    models = ModelStore(str(store))
    assert models.versions("toy") == ["2"]
    with pytest.raises(ArtefactError, match=r"has no manifest.sha256: train and publish it again"):
        models.fetch("toy", "1", tmp_path / "fetched")


def test_a_name_that_no_header_holds_is_no_manifests(tmp_path: Path) -> None:
    manifest = toy_artefact(tmp_path / "toy", toy_catalogue(80))
    for wrong in ("a b", "я", "-a", "a\n", "x" * 101):
        with pytest.raises(ValidationError, match="name"):
            Manifest.model_validate(manifest.model_dump() | {"name": wrong})
