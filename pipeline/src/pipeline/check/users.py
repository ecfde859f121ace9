"""Users that the platform knows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import psycopg2

from pipeline.errors import LentaError

MOST = 20_000


def known_users(postgres_url: str) -> npt.NDArray[np.int64]:
    """With a profile, else in the feed. Raises LentaError where there is nobody."""
    try:
        connection = psycopg2.connect(postgres_url, connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise LentaError(f"Postgres does not answer: {str(error).splitlines()[0]}; see `lenta status`") from error
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT user_id FROM user_data UNION SELECT DISTINCT user_id FROM feed_data LIMIT %s",
                (MOST,),
            )
            users = np.array([user for (user,) in cursor.fetchall()], np.int64)
    finally:
        connection.close()
    if not len(users):
        raise LentaError("the platform knows no user; load some data: make up DATA=folder")
    return users
