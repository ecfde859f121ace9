"""Five posts that are good together: the best one first, then what is good and unlike those already chosen.

Maximal marginal relevance (Carbonell & Goldstein 1998), in log-odds: a post loses `penalty` times its likeness to the
most alike of those chosen before it, so that a penalty of 0 leaves the ranking as it is, and one of 1 puts a copy of a
chosen post behind any post that is up to 1 worse in log-odds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ranking.encoder import Column, Matrix

TINY = 1e-9


def diversified(scores: Column, vectors: Matrix, limit: int, penalty: float) -> npt.NDArray[np.intp]:
    """Places of at most `limit` posts, first what stands first; of equals the earlier one.

    scores: log-odds, best or otherwise, shape (n,); vectors: of the same posts, shape (n, dimensions). Likeness is
    the cosine, and 0 where it is less or a vector has no length.
    """
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
    left, likeness = np.array(scores, np.float64), np.zeros(len(scores))
    chosen = np.zeros(min(limit, len(scores)), np.intp)
    for number in range(len(chosen)):
        chosen[number] = place = int(np.argmax(left - penalty * likeness))
        left[place] = -np.inf
        likeness = np.maximum(likeness, directions @ directions[place])
    return chosen
