"""The running experiments, copied from Postgres into Redis: they are served with Postgres down."""

from __future__ import annotations

import json

from sqlalchemy import Connection, text

from feature_service.client import Client
from feature_service.layout import Keys

_RUNNING = text("SELECT definition FROM experiments WHERE running ORDER BY name")


def publish_experiments(connection: Connection, client: Client, keys: Keys) -> None:
    definitions = connection.execute(_RUNNING).scalars().all()
    client.set(keys.experiments, json.dumps(definitions, ensure_ascii=False))
