"""How many of the gateway's own classes have to be known to follow a recommendation from its route to its answer."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import get_type_hints

from gateway.state import RequestState

BOUND = 13
MODULES = ("routes.recommendations", "split", "request", "recommend", "rankers", "row")
"""Where the request passes. What these call is known by its class alone: an `Upstream` without its breaker."""


def test_a_recommendation_is_followed_through_thirteen_classes() -> None:
    named = {cls for name in MODULES for cls in _classes(import_module(f"gateway.{name}"))}
    own = {cls.__name__ for cls in named if cls.__module__.startswith("gateway.")} - {RequestState.__name__}
    assert {"Split", "RecommendationRequest", "Recommendation", "Fallback", "Upstream", "Shadows"} <= own
    assert len(own) <= BOUND, sorted(own)


def _classes(module: ModuleType) -> Iterator[type]:
    """Those that the module defines or imports, and those that it takes out of the state."""
    yield from (value for value in vars(module).values() if inspect.isclass(value))
    held = get_type_hints(RequestState)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Subscript(value=ast.Name(id="state"), slice=ast.Constant(value=str(key))):
                if inspect.isclass(held[key]):
                    yield held[key]
