"""The models in the store, as commands want them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ranking.artefact import ArtefactError, Manifest, ModelStore, Pointer

from pipeline.errors import LentaError
from pipeline.training.models import check_name, loader

if TYPE_CHECKING:
    from ranking.scorer import Scorer


def version_of(store: ModelStore, name: str, version: str | None) -> str:
    """`version`, or the published one. Raises LentaError when there is none."""
    check_name(name)
    if version:
        if version not in store.versions(name):
            raise LentaError(f"there is no {name}@{version}; there are {', '.join(store.versions(name)) or 'none'}")
        return version
    published = store.current(name)
    if published is None:
        raise LentaError(f"no {name} is published; run `lenta train {name}`, then `lenta publish {name}`")
    return published.version


def version_to_publish(store: ModelStore, name: str, version: str | None) -> str:
    """`version`, or the latest. Raises LentaError when there is none."""
    check_name(name)
    versions = store.versions(name)
    if not versions:
        raise LentaError(f"no {name} has been trained; run `lenta train {name}`")
    return version_of(store, name, version or versions[-1])


def prepare(store: ModelStore, name: str) -> None:
    """Raises LentaError where the store cannot be written: before a training, not after it."""
    with _as_lenta_error():
        store.prepare(name)


def put(store: ModelStore, folder: Path, manifest: Manifest) -> None:
    """Raises LentaError where the store cannot be written."""
    with _as_lenta_error():
        store.put(folder, manifest)


@contextmanager
def _as_lenta_error() -> Iterator[None]:
    try:
        yield
    except ArtefactError as error:
        raise LentaError(str(error)) from error


def publish(store: ModelStore, name: str, version: str | None) -> Pointer:
    """Puts `version`, or the latest, into service. Raises LentaError when there is none that can be read."""
    wanted = version_to_publish(store, name, version)
    with _as_lenta_error():
        return store.publish(name, wanted)


def roll_back(store: ModelStore, name: str) -> Pointer:
    """Raises LentaError when there is no earlier version."""
    check_name(name)
    with _as_lenta_error():
        return store.roll_back(name)


@contextmanager
def scorer_of(store: ModelStore, name: str, version: str | None = None) -> Iterator[Scorer]:
    """A model from the store, opened. Raises LentaError when it cannot be."""
    from ranking.scorer import Scorer

    wanted = version_of(store, name, version)
    with TemporaryDirectory(prefix="lenta-model-") as folder:
        try:
            store.fetch(name, wanted, Path(folder))
            yield Scorer.open(Path(folder), loader(name))
        except ArtefactError as error:
            raise LentaError(f"{name}@{wanted}: {error}") from error
