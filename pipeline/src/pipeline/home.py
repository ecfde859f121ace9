"""Where the local platform keeps its state: `LENTA_HOME`, by default `.lenta` at the root of the checkout, and of the
user's home folder where `lenta` was installed without one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LentaError

CHECKOUT = Path(__file__).parents[3]


def _default() -> Path:
    """A wheel is installed without the file that it was built by."""
    return (CHECKOUT if (CHECKOUT / "pipeline/pyproject.toml").exists() else Path.home()) / ".lenta"


@dataclass(frozen=True, slots=True)
class Home:
    root: Path

    @classmethod
    def find(cls) -> Home:
        return cls(Path(os.environ.get("LENTA_HOME") or _default()).absolute())

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def world(self) -> Path:
        return self.root / "world"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def environment(self) -> Path:
        return self.run / "environment.json"

    @property
    def passwords(self) -> Path:
        return self.run / "passwords.json"

    @property
    def stack(self) -> Path:
        return self.run / "stack.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def keep_private(self) -> None:
        """From the machine's other users. Under root Postgres is one of them, who may pass through and see nothing."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.run, self.logs, self.redis, self.world, self.models):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the home for one command. Raises LentaError when another `up` or `down` holds it."""
        self.run.mkdir(parents=True, exist_ok=True)
        with (self.run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LentaError(
                    f"another `lenta up` or `lenta down` is running in {self.root}; wait for it to finish"
                ) from error
            yield


def write_private(path: Path, text: str) -> None:
    """Readable by its owner alone from its first byte on, and whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
