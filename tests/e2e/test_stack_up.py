"""From nothing to five posts, and what happens when parts of it die. Every promise as a client sees it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest
from contracts.assignment import GROUPS
from contracts.catalogue import Catalogue
from contracts.headers import COLD_START, DEGRADED, MODEL
from pipeline.stack.ports import is_free
from pipeline.stack.processes import Processes
from pipeline.stack.servers import Postgres

from tests.support.platforms.running_platform import RunningPlatform, within

GIB_IN_MIB = 1024
FIRST_USER, FIRST_POST = 200, 1
UP_AGAIN_SECONDS = 20
COUNTS_FOLLOW_SECONDS = 2


def test_users_of_both_groups_get_five_posts(platform: RunningPlatform) -> None:
    answers = [platform.recommend(user_id) for user_id in range(FIRST_USER, FIRST_USER + 20)]
    assert {answer.json()["exp_group"] for answer in answers} == set(GROUPS)
    for answer in answers:
        posts = answer.json()["recommendations"]
        assert len({post["id"] for post in posts}) == 5
        assert all(post["text"] and post["topic"] for post in posts)
        assert answer.headers[MODEL].startswith(f"{answer.json()['exp_group']}@")
        assert DEGRADED not in answer.headers


@pytest.mark.parametrize("group", GROUPS)
def test_each_model_can_be_asked_by_name(platform: RunningPlatform, group: str) -> None:
    posts = platform.get(f"/{group}/post/recommendations/", id=FIRST_USER, limit=7).json()
    assert len({post["id"] for post in posts}) == 7
    assert posts[0].keys() == {"id", "text", "topic"}


def test_the_console_reads_every_service_and_the_experiment(platform: RunningPlatform) -> None:
    console = platform.url("console")

    def all_ready() -> bool:
        system = platform.http.get(f"{console}/console/system.json").json()
        return [row["status"] for row in system["rows"]] == ["Ready"] * 5 and all(
            row["version"] != "–" for row in system["rows"]
        )

    within(UP_AGAIN_SECONDS, all_ready)
    page = platform.http.get(f"{console}/console/experiments/models.json").json()
    assert page["report"]["experiment"]["name"] == "models"
    demo = platform.http.get(f"{console}/console/demo.json", params={"user": FIRST_USER}).json()
    assert demo["live"].startswith("Live split would give this user: ")
    assert [len(column["cards"]) for column in demo["columns"]] == [5, 5]
    assert all(card["reasons"] for column in demo["columns"] for card in column["cards"])


def test_a_liked_post_never_comes_back_in_the_very_next_request(platform: RunningPlatform) -> None:
    user_id, liked = FIRST_USER + 1, set[int]()
    for _ in range(10):
        first = platform.recommended_ids(user_id)[0]
        assert first not in liked
        platform.send(user_id, first, "like")
        liked.add(first)
        for group in GROUPS:
            posts = platform.get(f"/{group}/post/recommendations/", id=user_id, limit=20).json()
            assert not liked & {post["id"] for post in posts}


def test_counts_and_history_follow_an_event_within_two_seconds(platform: RunningPlatform) -> None:
    user_id = FIRST_USER + 2
    before = int(platform.row(user_id).counts.views.sum())
    post_id = platform.recommended_ids(user_id)[0]
    platform.send(user_id, post_id, "view")

    def newest() -> bool:
        rows = platform.get(f"/user/{user_id}/feed", limit=1).json()
        return bool(rows) and (rows[0]["post_id"], rows[0]["action"]) == (post_id, "view")

    within(COUNTS_FOLLOW_SECONDS, lambda: int(platform.row(user_id).counts.views.sum()) == before + 1)
    within(COUNTS_FOLLOW_SECONDS, newest)


def test_the_same_event_twice_counts_once(platform: RunningPlatform) -> None:
    user_id = FIRST_USER + 3
    before = int(platform.row(user_id).counts.views.sum())
    for _ in range(2):
        platform.send(user_id, FIRST_POST, "view", key="twice")
    platform.send(user_id, FIRST_POST, "view", key="behind them")
    within(COUNTS_FOLLOW_SECONDS, lambda: int(platform.row(user_id).counts.views.sum()) >= before + 2)
    assert int(platform.row(user_id).counts.views.sum()) == before + 2


def test_a_new_user_is_ranked_from_the_profile_at_once(platform: RunningPlatform) -> None:
    user_id = 1_000_001
    assert not platform.row(user_id).known
    platform.put(f"/user/{user_id}", {"age": 19, "gender": 1, "country": "Russia", "city": "Moscow", "os": "iOS"})
    assert platform.row(user_id).profile.age == 19
    assert len(platform.recommended_ids(user_id)) == 5
    within(COUNTS_FOLLOW_SECONDS, lambda: platform.get(f"/user/{user_id}").status_code == httpx.codes.OK)


def test_an_unknown_user_gets_a_flagged_cold_start_list(platform: RunningPlatform) -> None:
    answer = platform.recommend(1_000_002)
    assert len(answer.json()["recommendations"]) == 5
    assert answer.headers[COLD_START] == "1"
    assert DEGRADED not in answer.headers


def test_a_new_post_is_in_the_catalogue_within_seconds(platform: RunningPlatform) -> None:
    post_id = 2_000_001
    platform.put(f"/post/{post_id}", {"text": "A quiet evening at the tennis court.", "topic": "sport"})
    assert platform.get(f"/post/{post_id}").json()["topic"] == "sport"

    def is_listed() -> bool:
        return post_id in Catalogue.unpack(platform.inside("/catalogue").content).post_id.tolist()

    within(5, is_listed)
    assert len(platform.recommended_ids(FIRST_USER)) == 5


def test_recommendations_and_events_go_on_while_postgres_is_down(platform: RunningPlatform) -> None:
    user_id = FIRST_USER + 4
    Postgres(platform.home.postgres).stop()
    try:
        first = platform.recommended_ids(user_id)[0]
        platform.send(user_id, first, "like")
        assert first not in platform.recommended_ids(user_id)
        assert platform.get(f"/user/{user_id}/feed").status_code == httpx.codes.SERVICE_UNAVAILABLE
    finally:
        platform.lenta("up")

    def is_in_history() -> bool:
        answer = platform.get(f"/user/{user_id}/feed", limit=1)
        return answer.is_success and answer.json()[0]["post_id"] == first

    within(30, is_in_history)


@pytest.mark.parametrize("group", GROUPS)
def test_a_dead_ranker_still_yields_five_posts(platform: RunningPlatform, group: str) -> None:
    users = range(FIRST_USER, FIRST_USER + 20)
    ranker = platform.process(f"ranker-{group}")
    os.kill(ranker.pid, signal.SIGKILL)
    try:
        answers = [platform.recommend(user_id) for user_id in users]
    finally:
        platform.lenta("up")
    assert all(len(answer.json()["recommendations"]) == 5 for answer in answers)
    for answer in answers:
        assert (DEGRADED in answer.headers) == (answer.json()["exp_group"] == group)
    assert platform.process(f"ranker-{group}").pid != ranker.pid


def test_a_dead_ingest_loses_nothing(platform: RunningPlatform) -> None:
    user_id = FIRST_USER + 5
    before = int(platform.row(user_id).counts.views.sum())
    os.kill(platform.process("ingest").pid, signal.SIGKILL)
    platform.send(user_id, FIRST_POST, "view")
    platform.lenta("up")
    within(30, lambda: int(platform.row(user_id).counts.views.sum()) == before + 1)


def test_up_again_is_quick_and_touches_nothing(platform: RunningPlatform) -> None:
    before, started = Processes.read(platform.home), time.monotonic()
    said = platform.lenta("up").stdout
    assert time.monotonic() - started < UP_AGAIN_SECONDS
    assert Processes.read(platform.home) == before
    assert platform.url("gateway") in said
    assert platform.url("console") in said
    assert "Training" not in said


def test_other_data_are_refused_while_the_platform_runs(platform: RunningPlatform, tmp_path: Path) -> None:
    for table in ("user_data", "post_text_df", "feed_data"):
        (tmp_path / f"{table}.csv").write_text("x")
    refused = platform.lenta("up", DATA=str(tmp_path), check=False)
    assert refused.returncode == 1
    assert "the platform runs on the tiny world" in refused.stderr
    assert "make down" in refused.stderr


def test_status_shows_every_part_ready_and_the_sum_under_a_gigabyte(platform: RunningPlatform) -> None:
    lines = platform.lenta("status").stdout.splitlines()
    ready = {line.split()[0] for line in lines if " ready " in line}
    assert ready == {"postgres", "redis", *platform.ports}
    assert platform.get("/control/post/recommendations/", id=FIRST_USER).headers[MODEL].split("@")[1] in "".join(lines)
    assert float(next(line.split()[1] for line in lines if line.startswith("sum"))) < GIB_IN_MIB


def test_status_fails_when_a_part_is_down(platform: RunningPlatform) -> None:
    os.kill(platform.process("console").pid, signal.SIGKILL)
    broken = platform.lenta("status", check=False)
    platform.lenta("up")
    assert broken.returncode == 1
    assert "console: has ended, see" in broken.stdout


def test_a_taken_port_is_named_before_anything_starts(platform: RunningPlatform, tmp_path: Path) -> None:
    taken = platform.ports["gateway"]
    refused = platform.lenta("up", check=False, LENTA_HOME=str(tmp_path / "second"))
    assert refused.returncode == 1
    assert f"port {taken} for gateway is taken" in refused.stderr
    assert Processes.read(platform.home).alive("gateway") is not None
    assert not (tmp_path / "second/postgres").exists()


def test_down_leaves_nothing_running_and_up_finds_all_data_again(platform: RunningPlatform) -> None:
    user_id = FIRST_USER + 6
    liked = platform.recommended_ids(user_id)[0]
    platform.send(user_id, liked, "like")
    pids = [process.pid for process in Processes.read(platform.home).running.values()]
    platform.lenta("down")
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert all(is_free(port) for port in platform.ports.values())
    said = platform.lenta("up").stdout
    assert "Training" not in said
    assert "Importing" not in said
    assert liked not in platform.recommended_ids(user_id)
    assert liked in _liked_in_postgres(platform.settings["LENTA_POSTGRES_URL"], user_id)


def _liked_in_postgres(url: str, user_id: int) -> set[int]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT post_id FROM feed_data WHERE user_id = %s AND action = 'like'", (user_id,))
            return {post_id for (post_id,) in cursor.fetchall()}
    finally:
        connection.close()
