"""`python -m feature_service.ingest`."""

from __future__ import annotations

import signal
import sys
import threading

import redis.exceptions
import structlog
from chassis.logs import configure_logs
from chassis.settings import SettingsError

from feature_service.ingest.health import Health, serve_health
from feature_service.ingest.rounds import run
from feature_service.keyspace.connection import connect_redis, wrong_settings
from feature_service.settings import Settings

log = structlog.get_logger()


def main() -> None:
    try:
        settings = Settings.read()
    except SettingsError as error:
        sys.exit(f"ingest: {error}")
    configure_logs("ingest", settings.log_level, settings.log_file)
    try:
        with connect_redis(settings.redis_url) as client:
            if fault := wrong_settings(client.config_get("*")):
                sys.exit(f"ingest: {fault}")
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        log.warning("redis_not_there_yet")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health = Health()
    with serve_health(health, settings.ingest_host, settings.ingest_port):
        log.info("ingest_started", shards=settings.shards)
        try:
            run(settings, stop, health)
        except Exception:
            log.exception("ingest_died")
            sys.exit(1)


if __name__ == "__main__":
    main()
