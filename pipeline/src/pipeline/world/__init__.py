"""The simulated world: a platform like the original, with a known truth. Import from here."""

from __future__ import annotations

from pipeline.world.simulation import WorldSummary, simulate
from pipeline.world.spec import SPECS, WorldSpec, spec_of

__all__ = ["SPECS", "WorldSpec", "WorldSummary", "simulate", "spec_of"]
