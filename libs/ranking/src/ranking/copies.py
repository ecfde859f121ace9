"""What a post is and says in a few numbers, by which copies are told: hardly anybody likes the same thing twice.

A post's vector carries a mark of its id and two of its words. A mark of words is that of the KEPT among them whose hash
values are the least (a bottom-k sketch; Broder 1997, "On the resemblance and containment of documents"), by two hashes:
copies share both, whatever the order, case and punctuation, and a copy with a word more, or less, mostly one of them;
two texts that share four of ten words do so once in some five thousand pairs. Marks have 24 bits, which float32 holds
exactly. A text without words has the mark 0, which is like none.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from ranking.encoder import Matrix
from ranking.text import TOKEN

MARKS = 3
"""Of id, and of words by each hash."""
COPIES = ("liked_before", "liked_copy")
"""The columns: whether the user liked the very post, or another one that says the same."""
KEPT = 10
VALUES = 2**24 - 1


def marks(ids: npt.NDArray[np.integer], texts: Sequence[str]) -> Matrix:
    """Shape (n, MARKS)."""
    rows = [(_mark(str(number)), *_said(text)) for number, text in zip(ids.tolist(), texts, strict=True)]
    return np.array(rows, np.float32).reshape(len(texts), MARKS)


def _said(text: str) -> list[int]:
    hashed = [_digest(word) for word in {*TOKEN.findall(text.lower())}]
    halves = [digest[:8] for digest in hashed], [digest[8:] for digest in hashed]
    return [_mark(b"".join(sorted(half)[:KEPT]).hex()) for half in halves]


def _mark(text: str) -> int:
    return 1 + int.from_bytes(_digest(text)[:6], "big") % VALUES if text else 0


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
