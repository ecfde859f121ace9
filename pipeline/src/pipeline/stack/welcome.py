"""What `lenta up` says at the end: where everything is, and three calls to try."""

from __future__ import annotations

import httpx
from rich.console import Console
from rich.table import Table

from pipeline.errors import LentaError
from pipeline.stack.platform import Running

ANSWER_SECONDS = 5.0


def welcome(running: Running, console: Console) -> None:
    """Raises LentaError when the gateway doesn't recommend anything to a user who exists."""
    gateway, user_id = running.url("gateway"), running.user_id
    post_id = _first_post(gateway, user_id)
    table = Table.grid(padding=(0, 2))
    table.add_row("console", running.url("console"))
    table.add_row("gateway", f"{gateway}  (its API: {gateway}/docs)")
    for name in ("feature-service", "ranker-control", "ranker-test"):
        table.add_row(name, running.url(name))
    table.add_row("data", str(running.source))
    table.add_row("API key", running.api_key)
    table.add_row("admin key", running.admin_key)
    console.print("\nLenta is up.", style="bold")
    console.print(table)
    console.print("\nTry:", style="bold")
    for line in _calls(gateway, user_id, post_id, running.api_key):
        console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
    console.print("\nNext: make status, make check, make logs, make down", highlight=False)


def _calls(gateway: str, user_id: int, post_id: int, api_key: str) -> list[str]:
    event = f'{{"events":[{{"key":"try-1","user_id":{user_id},"post_id":{post_id},"action":"like"}}]}}'
    groups = "{control,test}"
    return [
        f"curl '{gateway}/post/recommendations/?id={user_id}&limit=5'",
        f"curl '{gateway}/{groups}/post/recommendations/?id={user_id}&limit=5'",
        f"curl {gateway}/events -H 'X-API-Key: {api_key}' -H 'Content-Type: application/json' -d '{event}'",
    ]


def _first_post(gateway: str, user_id: int) -> int:
    try:
        answer = httpx.get(f"{gateway}/post/recommendations/", params={"id": user_id}, timeout=ANSWER_SECONDS)
        posts = answer.raise_for_status().json()["recommendations"]
    except httpx.HTTPError as error:
        raise LentaError(f"the gateway at {gateway} does not recommend: {error}; see `make logs`") from error
    if not posts:
        raise LentaError(f"the gateway at {gateway} has no post for user {user_id}")
    first: int = posts[0]["id"]
    return first
