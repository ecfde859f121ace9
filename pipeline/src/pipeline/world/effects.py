"""What moves a like besides taste: place in the session and hour of the day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MEAN_RATE = 0.114

# Like rate by place in the session: first nine views, then falling to the 19th.
_PLACE_RATES = np.concatenate(
    [np.full(9, 0.19), [0.16, 0.152, 0.145, 0.137, 0.13, 0.12, 0.11, 0.10, 0.08], np.full(200, 0.06)]
)
_HOUR_RATES = np.interp(np.arange(24), [0, 6, 9, 13, 18, 21, 24], [0.10, 0.09, 0.105, 0.12, 0.14, 0.15, 0.10])
HOURS = np.arange(6, 24)
"""When sessions begin."""


def _log_odds(rates: npt.ArrayLike) -> Floats:
    rates = np.asarray(rates, float)
    return np.asarray(np.log(rates / (1 - rates)) - np.log(MEAN_RATE / (1 - MEAN_RATE)))


PLACE = _log_odds(_PLACE_RATES)
HOUR = _log_odds(_HOUR_RATES)
