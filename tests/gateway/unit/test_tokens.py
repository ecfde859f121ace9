"""A user's token opens what its user's page needs, for as long as it says, whoever of our secrets signed it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from chassis.errors import Unauthorized
from gateway.tokens import LEEWAY_SECONDS, LONGEST_SECONDS, Tokens

OLD, NEW, THEIRS = "old" * 22, "new" * 22, "theirs" * 11


def signed(secret: str = NEW, algorithm: str = "HS256", seconds: float | None = 600, **claims: Any) -> str:
    expires = {} if seconds is None else {"exp": int(time.time() + seconds)}
    return jwt.encode({name: value for name, value in claims.items() if value} | expires, secret, algorithm)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_of_several_secrets_may_have_signed(secret: str) -> None:
    assert Tokens(f"{NEW},{OLD}").user(signed(secret, sub="200")) == "200"


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"secret": THEIRS, "sub": "200"}, "a secret that is not ours"),
        ({"seconds": -LEEWAY_SECONDS - 2, "sub": "200"}, "expired"),
        ({"seconds": LONGEST_SECONDS + 60, "sub": "200"}, "more than 24 hours ahead"),
        ({"sub": None}, '"sub"'),
        ({"seconds": None, "sub": "200"}, '"exp"'),
        ({"algorithm": "HS512", "sub": "200"}, "alg"),
        ({"secret": "", "algorithm": "none", "sub": "200"}, "alg"),
    ],
)
def test_any_other_is_refused_with_the_reason(made: dict[str, Any], why: str) -> None:
    with pytest.raises(Unauthorized, match=why):
        Tokens(f"{NEW},{OLD}").user(signed(**made))


@pytest.mark.parametrize("odd", ["", "a", "a.b.c", "..", "é", "a" * 10_000])
def test_what_is_no_token_is_refused(odd: str) -> None:
    with pytest.raises(Unauthorized):
        Tokens(NEW).user(odd)


def test_a_token_that_was_changed_is_refused() -> None:
    head, claims, signature = signed(sub="200").split(".")
    _, others, _ = signed(sub="201").split(".")
    assert claims != others
    with pytest.raises(Unauthorized, match="not ours"):
        Tokens(NEW).user(f"{head}.{others}.{signature}")


def test_without_secrets_no_token_is_taken() -> None:
    with pytest.raises(Unauthorized, match="GATEWAY_TOKEN_SECRETS"):
        Tokens("").user(signed(sub="200"))


def test_a_short_secret_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("short")
    for secrets, of_file in (("short", None), ("", file)):
        with pytest.raises(ValueError, match="fewer than 32 bytes"):
            Tokens(secrets, of_file)
