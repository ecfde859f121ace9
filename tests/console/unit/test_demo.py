"""The demo page's value, from what the gateway said: no network here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from chassis.errors import InvalidParameter
from console.demo.answers import LIKED_SHOWN, Answers, liked_lately
from console.demo.view import Demo, Query, demo_of
from console.gateway import GatewayError, GatewayUnavailable, Preview
from contracts.clock import Clock
from contracts.experiments import Experiment, Plan, RampStep, RunningExperiments
from contracts.wire import Explanation, FeedRow, Post, Reason, User

NOW = datetime(2026, 3, 14, 9, 41, tzinfo=UTC)
DOWN = GatewayUnavailable("could not be reached")


def preview(*ids: int, model: str = "control", degraded: tuple[str, ...] = (), cold: bool = False) -> Preview:
    posts = tuple(Post(id=one, text=f"Post {one}.", topic="movie") for one in ids)
    return Preview(posts, model=model, version="7", degraded=degraded, cold_start=cold, seconds=0.02)


def row(post_id: int, action: str, hours_ago: int) -> FeedRow:
    fields = {"user_id": 1, "post_id": post_id, "action": action, "target": None}
    return FeedRow.model_validate(fields | {"timestamp": NOW - timedelta(hours=hours_ago)})


def result(control: Preview | GatewayUnavailable, test: Preview | GatewayUnavailable) -> Answers:
    return Answers(User(user_id=1, age=30), [], {}, {"control": control, "test": test})


def shown(result: Answers, k: int = 3) -> Demo:
    return demo_of(Query(user=1, k=k), 1, result, NOW)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"user": "abc"}, "user"),
        ({"user": "-1"}, "user"),
        ({"user": "1.5"}, "user"),
        ({"user": "٣"}, "user"),
        ({"user": "2147483648"}, "user"),
        ({"user": "9" * 5_000}, "user"),
        ({"k": "0"}, "k"),
        ({"k": "11"}, "k"),
    ],
)
def test_a_bad_query_names_its_field(params: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        Query.of(params)
    assert error.value.field == field


def test_empty_fields_count_as_left_out() -> None:
    assert Query.of({"user": " ", "k": ""}) == Query(user=None, k=5)


def test_every_post_says_where_it_stands_in_the_other_list() -> None:
    control, test = shown(result(preview(1, 2, 3), preview(3, 4, 1, model="test"))).columns
    assert [card.standing for card in control.cards] == ["test: 3", "not in test’s top 3", "test: 1"]
    assert [card.standing for card in test.cards] == ["control: 3", "not in control’s top 3", "control: 1"]


def test_posts_in_both_lists_are_counted() -> None:
    demo = shown(result(preview(1, 2, 3), preview(3, 4, 1, model="test")))
    assert demo.agreement is not None
    assert demo.agreement.text == "2 of 3 posts in both"


def test_a_fallback_is_not_compared_with_a_model() -> None:
    fallback = preview(1, 2, 3, model="popular", degraded=("ranker_timeout",))
    demo = shown(result(preview(1, 2, 3), fallback))
    assert demo.agreement is None
    assert [notice.kind for notice in demo.columns[1].notices] == ["warn"]


def test_a_silent_model_leaves_the_other_feed_readable() -> None:
    demo = shown(result(preview(1, 2, 3), GatewayUnavailable("did not answer in 1 s")))
    assert [card.post.id for card in demo.columns[0].cards] == [1, 2, 3]
    assert {card.standing for card in demo.columns[0].cards} == {None}
    assert demo.columns[1].notices[0].text == "test did not answer in 1 s. There are no posts to show."


def test_fewer_posts_than_asked_are_explained() -> None:
    demo = shown(result(preview(1, 2), preview(model="test")))
    texts = [column.notices[0].text for column in demo.columns]
    assert texts == [
        "control has only 2 of 3 posts left for this user: liked posts never come back.",
        "test has no post left for this user: liked posts never come back.",
    ]


def test_an_empty_fallback_is_not_said_to_show_anything() -> None:
    empty = preview(model="last_slate", degraded=("features_timeout",))
    column = shown(result(preview(1, 2, 3), empty)).columns[1]
    assert [notice.text for notice in column.notices] == [
        "test could not be asked (features timeout). There are no posts to show."
    ]


def test_a_cold_start_is_said() -> None:
    demo = shown(result(preview(1, 2, 3, cold=True), preview(1, 2, 3, model="test")))
    assert [len(column.notices) for column in demo.columns] == [1, 0]


def test_nothing_read_is_one_sentence() -> None:
    demo = shown(Answers(DOWN, DOWN, {}, {"control": DOWN, "test": DOWN}))
    assert demo.problem == "The console cannot read its data. Feeds are not affected."
    assert demo.person is None


def test_a_profile_that_cannot_be_read_is_not_called_unknown() -> None:
    demo = shown(Answers(DOWN, DOWN, {}, {"control": preview(1), "test": preview(1)}))
    assert demo.person is not None
    assert demo.person.known is None
    assert demo.person.headline == "The profile cannot be read: the gateway could not be reached."


def test_a_user_with_events_but_without_profile_is_known() -> None:
    demo = shown(Answers(None, [row(5, "view", 1)], {}, {"control": preview(1), "test": preview(1)}))
    assert demo.person is not None
    assert demo.person.headline == "Events, but no profile"
    assert demo.likes is not None
    assert demo.likes.note == "No like among the last 1 event."


def test_the_latest_likes_come_first_and_once() -> None:
    history = [row(8, "view", 0), row(7, "like", 1), row(6, "like", 2), row(7, "like", 3)]
    history += [row(post_id, "like", 9) for post_id in range(10, 20)]
    liked = liked_lately(history)
    assert [one.post_id for one in liked] == [7, 6, 10, 11, 12][:LIKED_SHOWN]
    assert liked[0].timestamp == NOW - timedelta(hours=1)


def test_a_liked_post_that_cannot_be_read_is_counted_as_missing() -> None:
    history = [row(7, "like", 1), row(6, "like", 2)]
    posts: dict[int, Post | GatewayError | None] = {7: DOWN, 6: Post(id=6, text="Six.", topic="tech")}
    demo = shown(Answers(User(user_id=1), history, posts, {"control": preview(1), "test": preview(1)}))
    assert demo.likes is not None
    assert [liked.post_id for liked in demo.likes.posts] == [6]
    assert demo.likes.note == "1 liked post could not be read."


def test_the_live_split_goes_by_the_platforms_clock() -> None:
    steps = [RampStep(at=NOW + timedelta(days=1), weights={"control": 0, "test": 1})]
    plan = Plan(mode="ramp", weights={"control": 1, "test": 0}, ramp=steps)
    running = RunningExperiments(experiments=[Experiment.started("slow", plan, NOW - timedelta(days=1))])
    ahead = running.model_copy(update={"clock": Clock(since=NOW, then=NOW + timedelta(days=2))})
    asked = result(preview(1), preview(2))
    assert shown(replace(asked, running=running)).live == "Live split would give this user: control (experiment slow)"
    assert shown(replace(asked, running=ahead)).live == "Live split would give this user: test (experiment slow)"


def test_whoever_is_in_no_experiment_gets_what_was_decided_last() -> None:
    said = shown(replace(result(preview(1), preview(2)), running=RunningExperiments(otherwise="test"))).live
    assert said == "Live split: this user is in no running experiment, and gets test."


def test_likes_on_the_page_stand_in_its_address_and_each_can_be_taken_back() -> None:
    query = Query.of({"user": "1", "k": "3", "liked": "7, 9,7"})
    answers = replace(result(preview(1, 2), preview(2, 3)), posts={7: Post(id=7, text="A goal.", topic="sport")})
    demo = demo_of(query, 1, answers, NOW)
    assert [(one.post_id, one.lede, one.without) for one in demo.liked_here] == [
        (7, "A goal.", "?user=1&k=3&liked=9"),
        (9, "post 9", "?user=1&k=3&liked=7"),
    ]
    assert demo.columns[0].cards[0].like == "?user=1&k=3&liked=7,9,1"
    full = Query.of({"user": "1", "liked": ",".join(map(str, range(20)))})
    assert demo_of(full, 1, answers, NOW).columns[0].cards[0].like is None


@pytest.mark.parametrize("odd", ["x", "-1", "1;2", "2147483648", ",".join(map(str, range(21)))])
def test_odd_likes_are_named(odd: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        Query.of({"liked": odd})
    assert error.value.field == "liked"


def test_a_reason_names_the_liked_post() -> None:
    reason = Reason(feature="text_taste", value=0.4, contribution=0.3)
    why = Explanation(post_id=1, score=0.1, bias=0.0, reasons=[reason], like=7, rule="pinned")
    answers = replace(
        result(preview(1), preview(2)),
        posts={7: Post(id=7, text="A goal.", topic="sport")},
        reasons={"control": [why]},
    )
    (card,) = shown(answers).columns[0].cards
    assert [one.text for one in card.reasons] == [
        "a rule: it is pinned to this slot",
        "because the user liked “A goal.”",
        "its text is like what the user liked",
    ]


def test_of_nobody_no_reason_speaks() -> None:
    reasons = [Reason(feature=name, value=1.0, contribution=0.3) for name in ("age", "mood", "post_rate")]
    why = Explanation(post_id=1, score=0.1, bias=0.0, reasons=reasons)
    answers = replace(result(preview(1, cold=True), preview(2)), reasons={"control": [why]})
    (card,) = shown(answers).columns[0].cards
    assert [one.text for one in card.reasons] == ["how often the post is liked"]
