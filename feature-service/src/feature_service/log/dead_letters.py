"""Log entries that could not be counted: to list, to read, and to replay once the cause is gone.

A replayed letter is a new entry of its old shard. The ledger decides: an event that was counted meanwhile (its client
sent it again) is not counted twice; one that fails again becomes a letter again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import DEAD_LETTERS
from feature_service.keyspace.scripts import REPLAY
from feature_service.log.entries import effect_of, order, parse


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """id: `<shard>:<position>`, its place in the log. reason: `unknown_post`, `unreadable: ...`, `refused: ...`."""

    id: str
    reason: str
    body: bytes

    @property
    def appended_at(self) -> datetime:
        return datetime.fromtimestamp(order(self.id.split(":")[1])[0] / 1000, UTC)

    @property
    def shard(self) -> int:
        return int(self.id.split(":")[0])


def list_dead_letters(client: Client) -> list[DeadLetter]:
    """Oldest first; at most the 10,000 that are kept."""
    letters = [DeadLetter(name.decode(), *_parts(value)) for name, value in client.hgetall(DEAD_LETTERS).items()]
    return sorted(letters, key=lambda letter: (order(letter.id.split(":")[1]), letter.shard))


def read_dead_letter(client: Client, letter_id: str) -> DeadLetter | None:
    value = client.hget(DEAD_LETTERS, letter_id)
    return None if value is None else DeadLetter(letter_id, *_parts(value))


def replay(client: Client, ids: Sequence[str]) -> list[str]:
    """Appends letters to their shards again and takes them out of the letters, in one script.

    The ids that were replayed, without those that are no (longer) dead letters.
    """
    arguments: list[str | int | bytes] = []
    for letter_id in ids:
        if (letter := read_dead_letter(client, letter_id)) is not None:
            arguments += [letter_id, *effect_of(parse("0-0", letter.body).body)]
    return [name.decode() for name in client.eval(REPLAY, 0, *arguments)] if arguments else []


def _parts(value: bytes) -> tuple[str, bytes]:
    reason, _, body = value.partition(b"\n")
    return reason.decode(errors="replace"), body
