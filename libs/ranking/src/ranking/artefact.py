"""A trained model as a folder: `model.cbm`, the encoder's files, `posts.npz`, `golden.npz`, `manifest.json`.

Under a `MODEL_URI` (fsspec: a local path, s3://, ...) lie `<name>/<version>/` and the pointer `<name>/current.json`,
which names the version in service and those before it. Publishing and rolling back write only the pointer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import fsspec
from contracts.features import SCHEMA, schema_id
from contracts.vocabulary import Vocabulary
from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
POINTER = "current.json"
KEPT_VERSIONS = 10


class ArtefactError(RuntimeError):
    """An artefact that is missing, incomplete, or not made for this build. The message says which and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GoldenRequest(_Part):
    """A request and the scores that the model gave to every post of `golden.npz` when it was trained."""

    row: Annotated[str, Field(description="base64 of a packed user row")]
    time: int
    scores: list[float]


class Manifest(_Part):
    name: str
    version: str
    created_at: datetime
    schema_length: int
    """The model needs the first so many features of the schema."""
    schema_id: str
    """Of that prefix."""
    encoder_columns: list[str]
    base: dict[str, float]
    """Weights of the columns whose sum the trees start from."""
    topics: list[str]
    """The catalogue's topics while training; a topic's index is its place here."""
    vocabulary: Vocabulary
    train_from: datetime
    train_until: datetime
    """No feed row at or after this time was read."""
    train_rows: int
    train_seed: int = 0
    """Of the hash that drew them."""
    data_fingerprint: str
    metrics: dict[str, float]
    retrieval: list[float]
    """Weights of the first stage's linear score, one a column, behind them the intercept."""
    fill: list[float]
    """What the first stage puts for a missing value, one a column."""
    golden: list[GoldenRequest]

    @property
    def columns(self) -> list[str]:
        """Names of the candidate matrix' columns, in order."""
        return [*SCHEMA[: self.schema_length], *self.encoder_columns]

    def check_schema(self) -> None:
        """Raises ArtefactError unless this build's schema holds the prefix that the model needs."""
        have = schema_id(SCHEMA[: self.schema_length])
        if len(SCHEMA) < self.schema_length or have != self.schema_id:
            raise ArtefactError(
                f"model {self.name}@{self.version} needs feature schema {self.schema_id} "
                f"({self.schema_length} features); this build has {have} ({len(SCHEMA)}). "
                "Deploy the ranker's version that fits the model, or train it again."
            )


class Pointer(_Part):
    version: str
    previous: list[str] = []
    """Most recent first."""


class ModelStore:
    """The models under one `MODEL_URI`."""

    def __init__(self, uri: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(uri)

    def prepare(self, name: str) -> None:
        """Creates the folder of a model's versions. Raises ArtefactError where it cannot be created."""
        with self._writing(name):
            self._files.makedirs(f"{self._root}/{name}", exist_ok=True)

    def put(self, folder: Path, manifest: Manifest) -> None:
        """Uploads a trained folder. It serves nobody before `publish`. Raises ArtefactError where it cannot be written.

        The manifest comes last and makes the version exist: whatever dies before leaves none.
        """
        target = self._path(manifest.name, manifest.version)
        with self._writing(manifest.name):
            self._files.makedirs(target, exist_ok=True)
            for file in folder.iterdir():
                if file.name != MANIFEST:
                    self._files.put_file(str(file), f"{target}/{file.name}")
            self._replace(f"{target}/{MANIFEST}", manifest.model_dump_json(indent=1))

    def fetch(self, name: str, version: str, folder: Path) -> Manifest:
        """Downloads a version into `folder`."""
        source = self._path(name, version)
        try:
            files = self._files.ls(source, detail=False)
        except FileNotFoundError as error:
            raise ArtefactError(f"no model {name}@{version} under {self._root}") from error
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            self._files.get_file(file, str(folder / file.rsplit("/", 1)[-1]))
        return self.manifest(name, version)

    def manifest(self, name: str, version: str) -> Manifest:
        path = f"{self._path(name, version)}/{MANIFEST}"
        try:
            return Manifest.model_validate_json(self._files.cat_file(path))
        except FileNotFoundError as error:
            raise ArtefactError(f"no model {name}@{version} under {self._root}") from error
        except ValueError as error:
            raise ArtefactError(f"{path} is not a manifest that this build reads: {error}") from error

    def versions(self, name: str) -> list[str]:
        """All versions kept, oldest first (versions sort by time)."""
        return sorted(path.split("/")[-2] for path in self._files.glob(f"{self._root}/{name}/*/{MANIFEST}"))

    def current(self, name: str) -> Pointer | None:
        try:
            return Pointer.model_validate_json(self._files.cat_file(self._path(name, POINTER)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def publish(self, name: str, version: str) -> Pointer:
        """Makes `version` the one in service."""
        self.manifest(name, version)
        before = self.current(name)
        previous: Sequence[str] = [] if before is None else [before.version, *before.previous]
        previous = [kept for kept in previous if kept != version][:KEPT_VERSIONS]
        return self._point(name, Pointer(version=version, previous=list(previous)))

    def roll_back(self, name: str) -> Pointer:
        """Puts the version before the current one back into service."""
        before = self.current(name)
        if before is None or not before.previous:
            raise ArtefactError(f"model {name} has no earlier version to go back to")
        return self._point(name, Pointer(version=before.previous[0], previous=before.previous[1:]))

    def _point(self, name: str, pointer: Pointer) -> Pointer:
        with self._writing(name):
            self._replace(self._path(name, POINTER), pointer.model_dump_json())
        return pointer

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtefactError(
                f"model {name} cannot be written under {self._root}: {error.strerror or repr(error)}"
            ) from error

    def _replace(self, path: str, text: str) -> None:
        """Written beside and moved into place: a reader sees what was there before or all of the new."""
        self._files.pipe_file(f"{path}.next", text.encode())
        self._files.mv(f"{path}.next", path)

    def _path(self, name: str, part: str) -> str:
        return f"{self._root}/{name}/{part}"
