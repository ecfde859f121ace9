"""Team-draft interleaving: one list out of two rankers' lists, and whose post stands in which slot.

Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?" (CIKM 2008), algorithm 2; in use
and measured by Chapelle, Joachims, Radlinski and Yue, "Large-scale validation and analysis of interleaved search
evaluation" (TOIS 2012). Whoever knows both lists and the exposure's key finds the same draft again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import md5
from typing import NamedTuple

CONTROL, TEST = "c", "t"


class Draft(NamedTuple):
    """teams: one letter a slot."""

    posts: list[int]
    teams: str


def team_draft(control: Sequence[int], test: Sequence[int], limit: int, key: str) -> Draft:
    """The rankers take turns picking their best post not taken yet; a coin decides which of the two begins each turn.

    Ends at `limit` posts, or where the one whose turn it is has none left: no team is ever more than one ahead.
    """
    left = {CONTROL: iter(control), TEST: iter(test)}
    posts: list[int] = []
    teams = ""
    taken: set[int] = set()
    coin = _coins(key)
    while len(posts) < limit:
        ahead = 2 * teams.count(TEST) - len(teams)
        team = (TEST if next(coin) else CONTROL) if ahead == 0 else TEST if ahead < 0 else CONTROL
        post = next((post for post in left[team] if post not in taken), None)
        if post is None:
            break
        taken.add(post)
        posts.append(post)
        teams += team
    return Draft(posts, teams)


def coin(key: str, post: int) -> str:
    """Whose a post is that stands there by rule: by the last bit of md5(f"{key}.draft.{post}.pinned")."""
    digest = md5(f"{key}.draft.{post}.pinned".encode(), usedforsecurity=False).digest()
    return TEST if digest[-1] & 1 else CONTROL


def _coins(key: str) -> Iterator[bool]:
    """The bits of md5(f"{key}.draft"), lowest first; from the 129th on those of md5(f"{key}.draft.1"), and so on."""
    name, turn = f"{key}.draft", 0
    while True:
        bits = int.from_bytes(md5(name.encode(), usedforsecurity=False).digest())
        yield from (bool(bits >> place & 1) for place in range(128))
        turn += 1
        name = f"{key}.draft.{turn}"
