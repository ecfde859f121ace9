"""The mapping from public files to the platform's tables, the split, and the peers that need nothing installed."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest
from pipeline.errors import LentaError
from scipy.sparse import csr_matrix

from tests.benchmarks.public.mapping import Mapping, convert
from tests.benchmarks.public.peers import PEERS, ease_weights
from tests.benchmarks.public.split import Peer, Public, Side, Split, Views, at, tuned

MAPPING = """
name = "films"
folder = "films"

[feed]
file = "ratings.txt"
separator = "|"
columns = { user_id = "who", post_id = "film", timestamp = "seconds" }
liked = { column = "stars", at_least = 4 }

[posts]
file = "films.txt"
separator = "|"
columns = { id = "film", text = ["title", "genres"], topic = "genres" }
topic_ends_at = " "

[users]
file = "people.txt"
separator = "|"
columns = { user_id = "who", age = "age", gender = "sex", source = "work" }
gender = { M = 1, F = 0 }
"""


def films(
    root: Path, mapping: str = MAPPING, ratings: str = "ann|alien|5|100\nbob|brazil|3|200\nann|nowhere|4|300\n"
) -> Mapping:
    folder = root / "films"
    folder.mkdir(exist_ok=True)
    (folder / "ratings.txt").write_text(f"who|film|stars|seconds\n{ratings}")
    (folder / "films.txt").write_text("film|title|genres\nalien|Alien|Horror Space\nbrazil|Brazil|Comedy\n")
    (folder / "people.txt").write_text('who|age|sex|work\nann|25-34|F|artist\nbob|60+|M|"clerk"\neve|30|F|spy\n')
    (root / "films.toml").write_text(mapping)
    return Mapping.load(root / "films.toml")


def rows(folder: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as database:
        return database.execute(f"SELECT {columns} FROM '{folder / table}.parquet' ORDER BY ALL").fetchall()


def test_a_mapping_makes_the_three_tables_of_ratings(tmp_path: Path) -> None:
    convert(films(tmp_path), tmp_path, tmp_path / "out")
    answer = rows(tmp_path / "out", "feed_data", "epoch(timestamp)::INT, user_id, post_id, action, target")
    assert answer == [(100, 0, 0, "like", None), (100, 0, 0, "view", 1), (200, 1, 1, "view", 0)]
    assert rows(tmp_path / "out", "post_text_df", "id, text, topic") == [
        (0, "Alien Horror Space", "Horror"),
        (1, "Brazil Comedy", "Comedy"),
    ]
    assert rows(tmp_path / "out", "user_data", "user_id, age, gender, source, city") == [
        (0, 25, 0, "artist", None),
        (1, 60, 1, '"clerk"', None),
    ]


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    mapping = films(tmp_path, MAPPING.replace('column = "stars"', 'column = "score"'))
    with pytest.raises(LentaError, match=r"ratings\.txt has no column score; it has who, film, stars, seconds"):
        convert(mapping, tmp_path, tmp_path / "out")


def test_a_mapping_that_does_not_say_what_a_column_is_names_it(tmp_path: Path) -> None:
    mapping = films(tmp_path, MAPPING.replace(', timestamp = "seconds"', ""))
    with pytest.raises(LentaError, match=r"films\.toml, \[feed\]: columns does not say what timestamp is"):
        convert(mapping, tmp_path, tmp_path / "out")


def test_ratings_in_place_of_likes_are_refused(tmp_path: Path) -> None:
    mapping = films(tmp_path, MAPPING.replace(", at_least = 4", ""))
    with pytest.raises(LentaError, match=r"column stars: 3 to 5 are ratings, not likes .* at_least"):
        convert(mapping, tmp_path, tmp_path / "out")


def test_a_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match=r"ratings\.txt, column stars: good is not a number"):
        convert(films(tmp_path, ratings="ann|alien|good|100\n"), tmp_path, tmp_path / "out")


def test_a_feed_whose_posts_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match=r"no row of ratings\.txt is of a post in films\.txt"):
        convert(films(tmp_path, ratings="ann|nowhere|4|100\n"), tmp_path, tmp_path / "out")


def test_views_that_came_to_nothing_are_drawn_among_what_the_user_has_not_had(tmp_path: Path) -> None:
    mapping = MAPPING.replace('liked = { column = "stars", at_least = 4 }', "drawn = { views = 1 }")
    ratings = "".join(
        f"u{user}|{film}|1|{10 * user + step}\n"
        for user in range(40)
        for step, film in enumerate(("alien", "brazil", "alien"))
    )
    convert(films(tmp_path, mapping, ratings), tmp_path, tmp_path / "out")
    shown = rows(
        tmp_path / "out", "feed_data", "user_id, post_id, target, count(*) OVER (PARTITION BY user_id, post_id, action)"
    )
    likes = [row for row in shown if row[2] is None]
    assert len(likes) == 80, "a second purchase is none"
    missed = [row for row in shown if row[2] == 0]
    assert missed, "something was drawn"
    assert {post for _, post, _, _ in missed} == {1}, "whoever has alien can only be shown brazil"


def views() -> Views:
    """User 0 has a history; after the cut at 100 both view twelve posts, one a second."""
    early = [(0, 0, 10, True), (0, 1, 20, False)]
    late = [(user, post, 100 + post, post % 2 == 0) for post in range(12) for user in (0, 1)]
    user, post, time, liked = (np.array(column) for column in zip(*early, *late, strict=True))
    return Views(user.astype(np.int64), post.astype(np.int64), time.astype(np.int64), liked.astype(np.bool_))


def test_a_user_is_known_until_a_cut_of_their_own_and_models_learn_until_the_common_one() -> None:
    split = Split.of(views(), 2, 12, cut=100)
    assert split.train.time.tolist() == [10, 20]
    assert split.judged.post.tolist() == [6, 7, 8, 9, 10, 11] * 2
    assert split.judged.cut.tolist() == [106] * 12
    assert split.known.time.max() == 105
    assert np.bincount(split.known.user).tolist() == [8, 6]


def test_a_user_with_fewer_than_six_posts_to_judge_is_not_judged() -> None:
    split = Split.of(views().where(views().post < 10), 2, 12, cut=100)
    assert len(split.judged.user) == 0
    assert len(split.known) == 0


def test_ease_of_a_matrix_that_can_be_done_by_hand() -> None:
    """Gram [[2, 1], [1, 2]] plus 1: its inverse is [[3, -1], [-1, 3]] / 8, so each post says a third of the other."""
    liked = csr_matrix(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
    assert ease_weights(liked, 1.0) == pytest.approx(np.array([[0.0, 1 / 3], [1 / 3, 0.0]]))


def test_scores_are_of_the_judged_rows_in_their_order() -> None:
    split = Split.of(views(), 2, 12, cut=100)
    scores = at(split, csr_matrix(np.array([[1.0], [10.0]])), np.arange(12.0)[None])
    assert scores.tolist() == [6, 7, 8, 9, 10, 11, 60, 70, 80, 90, 100, 110]


@pytest.fixture(scope="module")
def communities() -> Public:
    """Two halves of 40 users like one half of 30 posts each."""
    rng = np.random.default_rng(0)
    user = rng.permutation(np.repeat(np.arange(40), 60)).astype(np.int64)
    post = rng.integers(0, 30, len(user))
    none = np.zeros(0, np.int64)
    seen = Views(user, post, np.arange(len(user), dtype=np.int64), user % 2 == post % 2)
    return Public(seen, Side(none, none, none, none), 40, 30, valid_cut=800, cut=1500)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_ranks_what_a_community_likes_first(peer: Peer, communities: Public) -> None:
    small = Peer(peer.name, peer.score, [{**peer.tries[0], **({"l2": 10.0} if "l2" in peer.tries[0] else {})}])
    result = tuned(small, communities)
    judged = communities.test.judged
    assert result.scores[judged.liked].mean() > result.scores[~judged.liked].mean()
    assert result.valid_ndcg > 0.8


def test_the_settings_that_are_best_on_the_validation_rows_are_taken(communities: Public) -> None:
    def score(split: Split, side: Side, sign: float) -> np.ndarray:
        return sign * split.judged.liked

    assert tuned(Peer("sign", score, [{"sign": -1.0}, {"sign": 1.0}]), communities).chosen == {"sign": 1.0}


def test_what_peers_get_survives_a_file(communities: Public, tmp_path: Path) -> None:
    communities.save(tmp_path / "set.npz")
    answer = Public.load(tmp_path / "set.npz")
    assert answer.cut == communities.cut
    assert answer.views.liked.tolist() == communities.views.liked.tolist()
