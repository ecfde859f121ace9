"""The rules that hold for one request, and what they make of ranked posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from contracts.arrangement import Arrangement, Candidate, arrange, may_stand_last, moves
from contracts.rules import RuleSet, SlateRules
from contracts.wire import Move, Rule


@dataclass(frozen=True, slots=True)
class Ruling:
    """now: for which posts are ranked, seconds since the epoch. shown: ids of the user's last answers, uint32."""

    rule_set: RuleSet
    now: float
    shown: bytes = b""

    @property
    def rules(self) -> SlateRules:
        return self.rule_set.rules

    def arrange(self, candidates: Sequence[Candidate], limit: int) -> Arrangement:
        return arrange(candidates, self.rules, limit, self.now, frozenset(np.frombuffer(self.shown, "<u4").tolist()))

    def apply(
        self, candidates: Sequence[Candidate], limit: int, own: Sequence[int], kept_out: Mapping[int, Rule]
    ) -> tuple[list[int], list[Move]]:
        """Places of the candidates, one a slot, and what was moved.

        own: the list without rules; kept_out: why posts of it are no candidates.
        """
        arrangement = self.arrange(candidates, limit)
        return arrangement.places, moves(own, candidates, arrangement, self.rules, kept_out)

    def may_stand_last(self, slate: Sequence[Candidate], other: Candidate, limit: int) -> bool:
        return bool(slate) and may_stand_last(slate, other, self.rules, limit, self.now)
