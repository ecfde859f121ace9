"""Fills an empty platform: world, import, both models, Redis. A step that has been done is not done again.

Heavy libraries are imported inside the step that needs them, so that a second `lenta up` costs none of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import psycopg2
from contracts.assignment import GROUPS
from pydantic import BaseModel, ConfigDict, ValidationError
from ranking.artefact import ModelStore

from pipeline.errors import LentaError
from pipeline.home import Home, write_private
from pipeline.stack.embedded import Servers
from pipeline.tables.source import Source
from pipeline.terminal import Steps


class Part(StrEnum):
    """What a container of its own does; in this order."""

    LOAD = "load"
    TRAIN = "train"
    WARM = "warm"


class Filled(BaseModel):
    """How far filling has got; kept beside what was filled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    simulated: bool = False
    imported: bool = False
    models: dict[str, str] = {}
    """Versions trained on this source, by model."""
    warmed: bool = False

    @classmethod
    def read(cls, home: Home) -> Filled | None:
        """Raises LentaError when the file is broken."""
        path = home.run / "filled.json"
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise LentaError(f"{path} is broken; `make clean` starts afresh: {error}") from error

    def write(self, home: Home) -> Filled:
        write_private(home.run / "filled.json", self.model_dump_json(indent=1))
        return self


def fill(home: Home, filled: Filled, servers: Servers, steps: Steps, parts: Sequence[Part] = tuple(Part)) -> Filled:
    """Does what is missing, in order. Raises LentaError when a step fails; what was done before it is kept."""
    for part in parts:
        if part is Part.LOAD:
            _migrate(servers, steps)
        for step in _STEPS[part]:
            filled = step(home, filled, servers, steps)
    return filled


def an_existing_user(servers: Servers) -> int:
    """The lowest id that has a profile, to try the platform with; 0 where nobody has one."""
    connection = psycopg2.connect(servers.postgres_url, connect_timeout=10)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(min(user_id), 0) FROM user_data")
            row = cursor.fetchone()
            return int(row[0]) if row is not None else 0
    finally:
        connection.close()


def _migrate(servers: Servers, steps: Steps) -> None:
    from feature_service.database.schema import migrate

    with steps.step("Database schema"):
        migrate(servers.postgres_url)


def _simulate(home: Home, filled: Filled, servers: Servers, steps: Steps) -> Filled:
    source = filled.source
    if filled.simulated or source.world is None or source.seed is None or source.end is None:
        return filled
    from pipeline.world.simulation import simulate
    from pipeline.world.spec import spec_of

    shutil.rmtree(home.world, ignore_errors=True)
    with steps.step(f"Simulating {source}") as on_progress:
        simulate(spec_of(source.world), source.seed, source.end, home.world, on_progress)
    return filled.model_copy(update={"simulated": True}).write(home)


def _import(home: Home, filled: Filled, servers: Servers, steps: Steps) -> Filled:
    if filled.imported:
        return filled
    from pipeline.tables.mapping import TableMapping
    from pipeline.tables.to_postgres import import_tables

    source, mapping = filled.source, TableMapping.read(filled.source.mapping)
    with steps.step("Importing into Postgres") as on_progress:
        import_tables(source.folder, servers.postgres_url, source.until, on_progress, mapping=mapping)
    return filled.model_copy(update={"imported": True}).write(home)


def _train(home: Home, filled: Filled, servers: Servers, steps: Steps) -> Filled:
    store = ModelStore(str(home.models))
    for name in GROUPS:
        if filled.models.get(name) in store.versions(name):
            continue
        from pipeline.training.train import train

        with steps.step(f"Training {name}") as on_progress:
            manifest = train(name, servers.postgres_url, str(home.models), filled.source.until, on_progress)
        store.publish(name, manifest.version)
        filled = filled.model_copy(update={"models": {**filled.models, name: manifest.version}}).write(home)
    return filled


def _warm(home: Home, filled: Filled, servers: Servers, steps: Steps) -> Filled:
    from feature_service.keyspace.connection import connect_redis
    from feature_service.keyspace.generations import is_warm

    with connect_redis(servers.redis_url) as client:
        if filled.warmed and is_warm(client):
            return filled
    from feature_service.settings import Settings
    from feature_service.warm.build import WarmError, warm

    settings = Settings(redis_url=servers.redis_url, postgres_url=servers.postgres_url)
    with steps.step("Warming Redis") as on_progress:
        try:
            warm(
                settings.redis_url,
                settings.postgres_url,
                shards=settings.shards,
                progress=lambda what, done, total: on_progress(done, total),
            )
        except WarmError as error:
            raise LentaError(f"Redis could not be warmed: {error}") from error
    return filled.model_copy(update={"warmed": True}).write(home)


_STEPS: Mapping[Part, Sequence[Callable[[Home, Filled, Servers, Steps], Filled]]] = {
    Part.LOAD: (_simulate, _import),
    Part.TRAIN: (_train,),
    Part.WARM: (_warm,),
}
