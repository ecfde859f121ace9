"""What a ranker reads from the environment."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

from chassis.settings import InternalSettings, prefixed


class RankerSettings(InternalSettings):
    model_config = prefixed("RANKER_")

    model_uri: str
    """Where the models lie (fsspec: a local path, s3://, ...)."""
    features_url: str
    cache_dir: Path = Path(gettempdir())
    """Where a version is unpacked while it is loaded; removed afterwards."""
    trial_seconds: float = 60.0
    """That a new version may take to open in a process of its own, before the ranker opens it; 0: without a trial."""
    poll_seconds: float = 2.0
    """How often the store is asked for a newly published version."""
    catalogue_poll_seconds: float = 1.0
    max_queue: int = 32
    """Requests that may wait for the scoring thread; more are shed with 503."""
