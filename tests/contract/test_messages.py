"""What a message from outside may say: ids are numbers, times are written out."""

from __future__ import annotations

import json

import pytest
from contracts.wire import Event, UserProfile
from pydantic import ValidationError

WHOLE: dict[str, object] = {"key": "a", "user_id": 1, "post_id": 2, "action": "view"}


@pytest.mark.parametrize("field", ["user_id", "post_id"])
@pytest.mark.parametrize("odd", [True, "5", " 5_0 ", 5.0, 5.5, None, [5], -1, 2**31])
def test_an_id_is_a_whole_number(field: str, odd: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Event.model_validate(WHOLE | {field: odd})
    with pytest.raises(ValidationError, match=field):
        Event.model_validate_json(json.dumps(WHOLE | {field: odd}))


@pytest.mark.parametrize("odd", [True, 1_638_352_800, 1_638_352_800_000, 1.5, "1638352800", "", "soon", [2021]])
def test_a_time_is_written_out(odd: object) -> None:
    with pytest.raises(ValidationError, match="timestamp"):
        Event.model_validate(WHOLE | {"timestamp": odd})


def test_of_a_profile_numbers_are_numbers_too() -> None:
    for field in ("age", "gender", "exp_group"):
        with pytest.raises(ValidationError, match=field):
            UserProfile.model_validate({field: True})
