"""The keys in Redis: shards of the log, generations."""

from __future__ import annotations

from feature_service.keyspace.keys import Keys, all_shards, shard_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 2**31 - 1), st.integers(1, 16))
def test_every_user_has_a_shard_and_posts_have_their_own(user: int, shards: int) -> None:
    assert shard_of(user, shards) in list(all_shards(shards))[1:]


def test_the_keys_of_one_generation_are_not_found_by_the_pattern_of_another() -> None:
    assert not Keys(10).catalogue.startswith(f"{Keys(1).prefix}:")
