"""ranker-control: the shared server with this model's encoder."""

from __future__ import annotations

from fastapi import FastAPI
from ranking.hybrid import HybridEncoder
from ranking.server import create_ranker
from ranking.settings import RankerSettings

from ranker_control.encoder import TextEncoder


def create(settings: RankerSettings | None = None) -> FastAPI:
    return create_ranker("control", HybridEncoder.loader(TextEncoder.load), settings)
