"""`python -m feature_service.warm`."""

from __future__ import annotations

import sys

from chassis.settings import SettingsError

from feature_service.settings import Settings
from feature_service.warm.build import WarmError, warm


def main() -> None:
    try:
        settings = Settings.read()
        report = warm(settings.redis_url, settings.postgres_url, shards=settings.shards)
    except (SettingsError, WarmError) as error:
        sys.exit(f"feature-service: {error}")
    print(f"generation {report.generation}: {report.users} users, {report.posts} posts in {report.seconds:.1f} s")


if __name__ == "__main__":
    main()
