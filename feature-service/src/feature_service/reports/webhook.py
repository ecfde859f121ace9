"""Tells a team's own tools when a verdict, a guardrail's state or the traffic changes: a log line, and a signed call.

Sent in order, at least once, until it is taken: a receiver that is down gets all it missed, and knows a repetition by
its `key`. How far it is told stands in Redis. The signature is that of Stripe and GitHub in kind: HMAC-SHA256 over the
time, a dot and the body, so that a call can be neither made up nor played again later.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

import structlog
from contracts.reports import Notice
from contracts.wire import Message
from prometheus_client import Counter
from sqlalchemy import Connection, Engine, text

from feature_service.database.queries import query
from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import WEBHOOK

TIMEOUT_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 300.0
TIMESTAMP, SIGNATURE = "X-Lenta-Timestamp", "X-Lenta-Signature"
CALLS = Counter("ingest_webhook_calls_total", "Calls of the webhook, by what became of them.", ["outcome"])

_RUNS = query(__package__, "changed_runs")
_CHANGES = text(
    "SELECT id, name, at, what, reason FROM experiment_history WHERE id > :change AND by = 'guardrail' ORDER BY id"
)
_NEWEST = text(
    "SELECT coalesce((SELECT max(id) FROM analysis_runs), 0) AS run, "
    "coalesce((SELECT max(id) FROM experiment_history), 0) AS change"
)
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(8004)")
"""Of several ingest processes only one tells."""

log = structlog.get_logger()


class Told(Message):
    """The newest run and line of a history that are told or say nothing new."""

    run: int
    change: int


class Webhook:
    def __init__(self, engine: Engine, client: Client, url: str = "", secret: str = "") -> None:
        """url: "" for the log alone."""
        self._engine, self._client, self._url, self._secret = engine, client, url, secret.encode()
        self._next, self._failures, self._logged = 0.0, 0, ""

    def round(self) -> list[Notice]:
        """Those that were told. After a failure it waits, longer each time."""
        if time.monotonic() < self._next:
            return []
        with self._engine.begin() as connection:
            if not connection.execute(_TRY_LOCK).scalar_one():
                return []
            return list(self._tell(connection))

    def _tell(self, connection: Connection) -> Iterator[Notice]:
        """From now on where nothing is told yet: what is long past is no news."""
        kept = self._client.get(WEBHOOK)
        newest = Told.model_validate(dict(connection.execute(_NEWEST).mappings().one()))
        if kept is None:
            self._keep(newest)
            return
        told = Told.model_validate_json(kept)
        for notice, after in _news(connection, told):
            if not self._deliver(notice):
                return
            self._keep(after)
            yield notice
        self._keep(newest)

    def _keep(self, told: Told) -> None:
        self._client.set(WEBHOOK, told.model_dump_json())

    def _deliver(self, notice: Notice) -> bool:
        if notice.key != self._logged:
            log.warning("experiment_news", **notice.model_dump(mode="json", exclude_none=True))
            self._logged = notice.key
        fault = self._call(notice.model_dump_json(exclude_none=True).encode()) if self._url else None
        if fault is None:
            self._failures = 0
            return True
        pause = min(FIRST_PAUSE_SECONDS * 2.0**self._failures, LONGEST_PAUSE_SECONDS)
        self._failures, self._next = self._failures + 1, time.monotonic() + pause
        log.warning("webhook_waits", key=notice.key, fault=fault, again_in_seconds=pause)
        return False

    def _call(self, body: bytes) -> str | None:
        """None if it was taken, else why not."""
        stamp = str(int(datetime.now(UTC).timestamp()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP: stamp,
            SIGNATURE: signature(self._secret, stamp, body),
        }
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
                CALLS.labels("taken").inc()
                return None
        except (OSError, ValueError) as error:  # HTTPError, for any status from 400 on, is an OSError
            CALLS.labels("failed").inc()
            return str(error)


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """`sha256=<hex>` of HMAC over `stamp.body`."""
    return f"sha256={hmac.new(secret, stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def _news(connection: Connection, told: Told) -> Iterator[tuple[Notice, Told]]:
    """Traffic first: it cannot wait."""
    for row in connection.execute(_CHANGES, {"change": told.change}).all():
        told = told.model_copy(update={"change": row.id})
        at = row.at.replace(tzinfo=UTC)
        yield Notice(key=f"change-{row.id}", experiment=row.name, at=at, change=row.what, reason=row.reason), told
    for run in connection.execute(_RUNS, {"run": told.run}).mappings().all():
        told = told.model_copy(update={"run": run["id"]})
        at = run["at"].replace(tzinfo=UTC)
        yield Notice.model_validate({**run, "key": f"run-{run['id']}", "at": at}, extra="ignore"), told
