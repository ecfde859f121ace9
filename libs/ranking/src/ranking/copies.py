"""Whether a user liked a post before, and whether one that says the same: hardly anybody likes the same thing twice.

Two posts say the same if they have the same words, in whatever order, case and punctuation. A post's vector carries a
mark of its words and one of its id, numbers of 24 bits, which float32 holds exactly: of a million posts, 3 in a million
pairs share a mark by chance. A text without words has the mark 0, which is like none.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from ranking.encoder import Matrix
from ranking.text import TOKEN

MARKS = ("liked_before", "liked_copy")
"""The columns, in the order of the marks: the very post, and another one that says the same."""
VALUES = 2**24 - 1


def marks(ids: npt.NDArray[np.integer], texts: Sequence[str]) -> Matrix:
    """Of id and of words, shape (n, 2)."""
    own = [_mark(str(number)) for number in ids.tolist()]
    said = [_mark(" ".join(sorted(set(TOKEN.findall(text.lower()))))) for text in texts]
    return np.array([own, said], np.float32).reshape(2, len(texts)).T


def _mark(text: str) -> int:
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=6).digest()
    return 1 + int.from_bytes(digest, "big") % VALUES if text else 0
