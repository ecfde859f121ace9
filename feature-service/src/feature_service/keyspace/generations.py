"""The life of a generation: begun, built under a lease, put into service, retired, deleted.

Thanks to the lease a warm-up that dies costs nothing: when it expires, nobody writes into the unfinished generation any
more, the log is trimmed again, and ingest deletes what was built.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import GENERATION, RETIRED, Keys
from feature_service.keyspace.scripts import ABANDON, BEGIN, FLIP, RENEW

LEASE_SECONDS = 30.0
ABANDONED_AFTER_SECONDS = 300.0
OLD_GENERATION_LIVES_SECONDS = 60.0
CHUNK = 5_000


@contextmanager
def building(client: Client, lease_seconds: float = LEASE_SECONDS) -> Iterator[int]:
    """Begins the next generation; likes, profiles and texts go into both from here on. Deleted if building fails."""
    milliseconds = int(1000 * lease_seconds)
    generation = int(client.eval(BEGIN, 0, milliseconds, time.time() + ABANDONED_AFTER_SECONDS))
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease_seconds / 4):
            client.eval(RENEW, 0, generation, milliseconds, time.time() + ABANDONED_AFTER_SECONDS)

    renewing = threading.Thread(target=renew, name="lease", daemon=True)
    renewing.start()
    try:
        yield generation
    except BaseException:
        client.eval(ABANDON, 0, generation)
        delete_generation(client, generation)
        client.zrem(RETIRED, generation)
        raise
    finally:
        done.set()
        renewing.join()


def is_warm(client: Client) -> bool:
    """Whether any generation is in service."""
    return bool(client.exists(GENERATION))


def flip(client: Client, generation: int, shards: int) -> int:
    """1: in service. 0: it lags behind the one in service. -1: it is no longer the one being built."""
    return int(client.eval(FLIP, 0, generation, time.time() + OLD_GENERATION_LIVES_SECONDS, shards))


def delete_retired(client: Client, now: float) -> None:
    """Deletes the generations that are due."""
    for generation in client.zrangebyscore(RETIRED, "-inf", now):
        delete_generation(client, int(generation))
        client.zrem(RETIRED, generation)


def delete_generation(client: Client, generation: int) -> None:
    batch: list[bytes] = []
    for key in client.scan_iter(match=f"{Keys(generation).prefix}:*", count=1000):
        batch.append(key)
        if len(batch) == CHUNK:
            client.unlink(*batch)
            batch.clear()
    if batch:
        client.unlink(*batch)
