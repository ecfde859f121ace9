"""A trained model as a folder: `model.cbm`, the encoder's files, `posts.npz`, `golden.npz`, `manifest.json`.

The manifest holds size and SHA-256 of each file, `manifest.sha256` those of the manifest: nothing is opened that is not
what training wrote. Whoever may write to the store can write both: this is against damage, not against forgery.

Under a `MODEL_URI` (fsspec: a local path, s3://, ...) lie `<name>/<version>/` and the pointer `<name>/current.json`,
which names the version in service and those before it. Publishing and rolling back write only the pointer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import fsspec
from contracts.features import SCHEMA, schema_id
from contracts.own import OwnColumns
from contracts.vocabulary import Vocabulary
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.sha256"
"""As `sha256sum` writes it. The last file of a version: with it the version exists."""
POINTER = "current.json"
KEPT_VERSIONS = 10
_AGAIN = "train and publish it again"


class ArtefactError(RuntimeError):
    """An artefact that is missing, incomplete, or not made for this build. The message says which and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
"""A name that is safe as a file's and as a header's."""


class FileDigest(_Part):
    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileDigest:
        with path.open("rb") as file:
            return cls(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


class GoldenRequest(_Part):
    """A request and the scores that the model gave to every post of `golden.npz` when it was trained."""

    row: Annotated[str, Field(description="base64 of a packed user row")]
    time: int
    scores: list[float]


class Manifest(_Part):
    name: Word
    version: Word
    created_at: datetime
    schema_length: int
    """The model needs the first so many features of the schema."""
    schema_id: str
    """Of that prefix, and of the team's own columns."""
    own: OwnColumns = OwnColumns()
    """Behind the schema's features: the model needs a declaration of which this is a prefix."""
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
    files: dict[Word, FileDigest] = {}
    """All of the version's but the manifest; filled in by `ModelStore.put`."""

    @property
    def columns(self) -> list[str]:
        """Names of the candidate matrix' columns, in order."""
        return [*SCHEMA[: self.schema_length], *self.own.features, *self.encoder_columns]

    def check_schema(self) -> None:
        """Raises ArtefactError unless this build's schema holds the prefix that the model needs."""
        have = schema_id([*SCHEMA[: self.schema_length], *self.own.marks])
        if len(SCHEMA) < self.schema_length or have != self.schema_id:
            raise ArtefactError(
                f"model {self.name}@{self.version} needs feature schema {self.schema_id} "
                f"({self.schema_length} features); this build has {have} ({len(SCHEMA)}). "
                "Deploy the ranker's version that fits the model, or train it again."
            )

    def check_own(self, declared: OwnColumns) -> None:
        """Raises ArtefactError unless a platform that declared these columns holds those that the model needs."""
        if not declared.holds(self.own):
            raise ArtefactError(
                f"model {self.name}@{self.version} needs the own columns {', '.join(self.own.marks)}; declared are "
                f"{', '.join(declared.marks) or 'none'}. Import them (--mapping) and run `lenta warm`, or train it again."
            )


class Pointer(_Part):
    version: Word
    previous: list[Word] = []
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

        The manifest's digest comes last and makes the version exist: whatever dies before leaves none.
        """
        target = self._path(manifest.name, manifest.version)
        files = [path for path in sorted(folder.iterdir()) if path.name not in (MANIFEST, MANIFEST_DIGEST)]
        sealed = manifest.model_copy(update={"files": {path.name: FileDigest.of(path) for path in files}})
        text = sealed.model_dump_json(indent=1)
        with self._writing(manifest.name):
            self._files.makedirs(target, exist_ok=True)
            for path in files:
                self._files.put_file(str(path), f"{target}/{path.name}")
            self._replace(f"{target}/{MANIFEST}", text)
            self._replace(f"{target}/{MANIFEST_DIGEST}", _digest_line(text.encode()))

    def fetch(self, name: str, version: str, folder: Path) -> Manifest:
        """Downloads a version into `folder`. Raises ArtefactError for a file that is not what training wrote."""
        data, manifest = self._read_manifest(name, version)
        folder.mkdir(parents=True, exist_ok=True)
        for file, expected in manifest.files.items():
            self._fetch_file(f"{self._path(name, version)}/{file}", folder / file, expected)
        (folder / MANIFEST).write_bytes(data)
        return manifest

    def _fetch_file(self, source: str, target: Path, expected: FileDigest) -> None:
        try:
            size = self._files.size(source)
            if size == expected.size:
                self._files.get_file(source, str(target))
        except FileNotFoundError as error:
            raise ArtefactError(f"{source} is missing: {_AGAIN}") from error
        if size != expected.size:
            raise ArtefactError(f"{source} has {size} bytes, its manifest says {expected.size}: {_AGAIN}")
        if FileDigest.of(target) != expected:
            raise ArtefactError(f"{source} is damaged, its SHA-256 is not the manifest's: {_AGAIN}")

    def manifest(self, name: str, version: str) -> Manifest:
        """Raises ArtefactError for a manifest that is damaged, or another version's."""
        return self._read_manifest(name, version)[1]

    def _read_manifest(self, name: str, version: str) -> tuple[bytes, Manifest]:
        path = f"{self._path(name, version)}/{MANIFEST}"
        data = self._read(path, f"no model {name}@{version} under {self._root}")
        digest = self._read(
            f"{self._path(name, version)}/{MANIFEST_DIGEST}", f"{path} has no {MANIFEST_DIGEST}: {_AGAIN}"
        )
        if digest != _digest_line(data).encode():
            raise ArtefactError(f"{path} is damaged, its SHA-256 is not that of {MANIFEST_DIGEST}: {_AGAIN}")
        try:
            manifest = Manifest.model_validate_json(data)
        except ValueError as error:
            raise ArtefactError(f"{path} is not a manifest that this build reads: {error}") from error
        if (manifest.name, manifest.version) != (name, version):
            raise ArtefactError(f"{path} is the manifest of {manifest.name}@{manifest.version}: {_AGAIN}")
        return data, manifest

    def _read(self, path: str, missing: str) -> bytes:
        try:
            return bytes(self._files.cat_file(path))
        except FileNotFoundError as error:
            raise ArtefactError(missing) from error

    def versions(self, name: str) -> list[str]:
        """All versions kept, oldest first (versions sort by time)."""
        return sorted(path.split("/")[-2] for path in self._files.glob(f"{self._root}/{name}/*/{MANIFEST_DIGEST}"))

    def current(self, name: str) -> Pointer | None:
        """Raises ArtefactError for a pointer that names no version."""
        path = self._path(name, POINTER)
        try:
            return Pointer.model_validate_json(self._files.cat_file(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise ArtefactError(f"{path} names no version: publish one again") from error

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


def _digest_line(manifest: bytes) -> str:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n"
