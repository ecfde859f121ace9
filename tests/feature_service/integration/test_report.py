"""The report: equal to what the rows say, honest where they say nothing, stored as runs, frozen with the experiment."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import numpy as np
import pytest
from contracts.clock import Clock
from contracts.experiments import Experiment
from contracts.reports import Day, ExperimentLine, Range, Reach, Report
from contracts.wire import Assigned, Exposure, Shadowed
from experiments import corrections, cuped, ratios, sequential
from experiments.cuped import CupedSums
from experiments.planning import Users, power, users_needed
from experiments.ratios import RatioSums
from feature_service.database.engine import connect
from feature_service.ingest.exposures import record_shadows
from feature_service.keyspace.clock import set_clock
from feature_service.log.entries import StreamLog
from feature_service.reports.analysis import analyse
from feature_service.reports.export import as_csv
from feature_service.reports.runs import Analyst, store
from sqlalchemy import Engine, text

from tests.support.data.experiment_rows import POSTS, START, exposure, put, start, visits, write
from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, feature_platform

USERS = range(1_000, 1_400)
LATER = START + timedelta(days=3)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    opened = connect(postgres_url, pool_size=5)
    yield opened
    opened.dispose()


def _assigned(experiment: Experiment, users: range, at: datetime = START) -> list[Assigned]:
    return [
        Assigned(
            experiment=experiment.name,
            user_id=user,
            group=experiment.assign(user, at).group,
            weight_period=experiment.period(at),
            at=at,
        )
        for user in users
    ]


def _by_user(
    exposures: list[Exposure], likes: list[tuple[str, int]], *, undegraded: bool = False
) -> dict[int, list[int]]:
    """n, h, l of each user, counted by hand."""
    liked: dict[str, int] = defaultdict(int)
    for key, _ in likes:
        liked[key] += 1
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in exposures:
        if undegraded and each.degraded:
            continue
        mine = counts[each.user_id]
        mine[0], mine[1], mine[2] = mine[0] + 1, mine[1] + (liked[each.key] > 0), mine[2] + liked[each.key]
    return counts


def _views_before(user: int) -> int:
    return 1 + user % 5 if user % 4 else 0


def _near(value: object, wanted: float) -> None:
    assert value == pytest.approx(wanted, rel=1e-9)


def test_every_number_is_the_one_that_the_rows_give(engine: Engine) -> None:
    experiment = start(engine, "lift", {"rules": {"winsorised": 1}})
    with engine.begin() as connection:  # what users did before
        connection.execute(
            text(
                "INSERT INTO feed_data SELECT CAST(:at AS timestamp) - n * interval '1 hour', u, n, a, NULL "
                "FROM generate_series(1000, 1399) u, generate_series(1, 1 + u % 5) n, unnest(ARRAY['view', 'like']) a "
                "WHERE u % 4 > 0 AND (a = 'view' OR n <= u % 3)"
            ),
            {"at": START.replace(tzinfo=None)},
        )
    exposures, likes = visits(experiment, USERS, np.random.default_rng(3))
    write(engine, exposures, likes, _assigned(experiment, USERS))
    report = analyse(engine, "lift", LATER)

    group = {user: experiment.assign(user, START).group for user in USERS}
    rows, kept = _by_user(exposures, likes), _by_user(exposures, likes, undegraded=True)
    columns = {"hit_rate": (1, 0), "likes_per_exposure": (2, 0), "likes_per_user": (2, None)}
    columns |= {"exposures_per_user": (0, None)}
    for name, (y, x) in columns.items():
        for told, counted in ((report.metrics, rows), (report.per_protocol, kept)):
            sums = {
                name: RatioSums.of(
                    [counted[user][y] for user in USERS if group[user] == name],
                    None if x is None else [counted[user][x] for user in USERS if group[user] == name],
                )
                for name in ("control", "test")
            }
            reading = next(reading for reading in told if reading.metric == name)
            adjusted = cuped.effect(
                *(
                    CupedSums.of(
                        [counted[user][y] for user in USERS if group[user] == name],
                        [1 if x is None else counted[user][x] for user in USERS if group[user] == name],
                        [_views_before(user) for user in USERS if group[user] == name],
                        [min(_views_before(user), user % 3) for user in USERS if group[user] == name],
                    )
                    for name in ("control", "test")
                )
            )
            difference, rate = ratios.effect(sums["control"], sums["test"]), sums["control"].ratio
            ever = sequential.interval(adjusted.effect if told is report.metrics else difference, 2_000)
            assert reading.difference is not None
            assert reading.lift is not None
            assert reading.always_valid is not None
            _near(reading.control, rate)
            _near(reading.difference.low, difference.interval().low)
            _near(reading.lift.low, difference.interval().low / rate)
            _near(reading.p_value, difference.p_value())
            _near(reading.always_valid.low, ever.low / rate)
            _near(reading.always_valid.high, ever.high / rate)
            if told is report.metrics:
                assert reading.cuped is not None
                _near(reading.cuped.low, adjusted.interval().low)
                assert reading.variance_removed == pytest.approx(adjusted.removed, abs=1e-9)
                assert reading.course[-1].lift is not None
                _near(reading.course[-1].lift.low, ever.low / rate)
    watched = [reading.always_valid_p_value or 0.0 for reading in report.metrics[1:]]
    told_p = [reading.adjusted_p_value for reading in report.metrics]
    assert told_p == [report.metrics[0].always_valid_p_value, *corrections.holm(watched)]
    assert told_p[1:] != watched


def test_each_day_of_the_course_is_the_report_of_that_day(engine: Engine) -> None:
    experiment = start(engine, "daily", {"rules": {"winsorised": 1}})
    exposures, likes = visits(experiment, USERS, np.random.default_rng(4))
    whole = _assigned(experiment, USERS)
    courses: list[list[list[Day]]] = []
    for day in range(3):
        end = START + timedelta(days=day + 1)
        today = [each for each in exposures if end - timedelta(days=1) <= each.served_at < end]
        keys = {each.key for each in today}
        write(engine, today, [like for like in likes if like[0] in keys], whole)
        report = analyse(engine, "daily", end)
        assert [point.day for point in report.metrics[0].course] == [
            START + timedelta(days=d + 1) for d in range(day + 1)
        ]
        if day:
            assert [metric.course[:-1] for metric in report.metrics] == courses[-1]
        courses.append([metric.course for metric in report.metrics])
    counts = {group.group: (group.assigned, group.exposures, group.likes) for group in report.groups}
    assert sum(assigned for assigned, _, _ in counts.values()) == len(USERS)
    assert sum(shown for _, shown, _ in counts.values()) == len(exposures)
    assert sum(liked for _, _, liked in counts.values()) == len(likes)


@pytest.mark.parametrize(
    ("chance", "users", "why"),
    [
        ({"control": 0.0, "test": 0.0}, USERS, "control has no likes yet"),
        ({"control": 0.1, "test": 0.0}, USERS, "test has no likes yet"),
        (None, range(0), "nobody is assigned to control yet"),
    ],
)
def test_what_the_data_do_not_say_is_no_number(
    engine: Engine, chance: dict[str, float] | None, users: range, why: str
) -> None:
    experiment = start(engine, "silent")
    write(engine, *visits(experiment, users, np.random.default_rng(1), chance=chance, degraded=0.0))
    report = analyse(engine, "silent", LATER)
    primary = report.metrics[0]
    assert (primary.reading, primary.why) == ("cannot_tell", why)
    told = primary.model_dump(exclude={"metric", "lower_is_better", "reading", "why", "course", "adjusted_p_value"})
    assert set(told.values()) == {None}
    assert all(day.lift is None and day.p_value is None for day in primary.course)
    assert report.verdict.kind == "too_early"


def test_an_empty_group_and_users_who_are_all_alike_tell_nothing(engine: Engine) -> None:
    experiment = start(engine, "halves")
    control = [user for user in USERS if experiment.assign(user, START).group == "control"]
    write(engine, *visits(experiment, control, np.random.default_rng(1)))
    assert analyse(engine, "halves", LATER).metrics[0].why == "nobody is assigned to test yet"
    put(engine, "halves", LATER, state="stopped")
    same = start(engine, "alike")
    shown = [exposure(same, f"a{user}", user, START) for user in USERS]
    write(engine, shown, [(each.key, 1) for each in shown])
    primary = analyse(engine, "alike", LATER).metrics[0]
    assert primary.reading == "cannot_tell"
    assert primary.why is not None
    assert "no variance" in primary.why


def test_users_without_exposures_count_zeros_and_forced_ones_do_not_count(engine: Engine) -> None:
    experiment = start(engine, "zeros", {"forced": {"1000": "test", "1001": "test"}, "rules": {"winsorised": 1}})
    exposures, likes = visits(experiment, USERS, np.random.default_rng(5))
    absent = range(2_000, 2_100)
    write(engine, exposures, likes, _assigned(experiment, absent))
    report = analyse(engine, "zeros", LATER)
    seen = {each.user_id for each in exposures} - {1000, 1001}
    assert sum(group.assigned for group in report.groups) == len(seen) + len(absent)
    per_user = next(reading for reading in report.metrics if reading.metric == "exposures_per_user")
    users = [user for user in [*seen, *absent] if experiment.assign(user, START).group == "control"]
    rows = _by_user(exposures, likes)
    assert per_user.control == pytest.approx(sum(rows[user][0] for user in users) / len(users))


def test_a_user_who_outweighs_all_counts_no_more_than_the_next(engine: Engine) -> None:
    """A robot of test comes 300 times and likes whatever it sees: the heaviest of 400 users is one."""
    experiment = start(engine, "robot")
    exposures, likes = visits(experiment, USERS, np.random.default_rng(11), chance={"control": 0.05, "test": 0.05})
    robot = next(user for user in range(5_000, 6_000) if experiment.assign(user, START).group == "test")
    tireless = [exposure(experiment, f"r{n}", robot, START + timedelta(minutes=n)) for n in range(300)]
    write(engine, [*exposures, *tireless], [*likes, *((each.key, post) for each in tireless for post in POSTS)])
    report = analyse(engine, "robot", LATER)
    rows = _by_user([*exposures, *tireless], [*likes, *((each.key, post) for each in tireless for post in POSTS)])
    next_n, next_l = (sorted(row[place] for row in rows.values())[-2] for place in (0, 2))
    mine = [rows[user] for user in rows if experiment.assign(user, START).group == "test"]
    weighed = [(min(n, next_n), h * min(1, next_n / n)) for n, h, _ in mine]
    told = {reading.metric: reading for reading in report.metrics}
    _near(told["hit_rate"].test, sum(h for _, h in weighed) / sum(n for n, _ in weighed))
    _near(told["exposures_per_user"].test, sum(n for n, _ in weighed) / len(mine))
    _near(told["likes_per_user"].test, sum(min(likes, next_l) for _, _, likes in mine) / len(mine))
    for reading in report.metrics:
        assert reading.course[-1].lift is not None
        assert reading.always_valid is not None
        _near(reading.course[-1].lift.low, reading.always_valid.low)
    assert report.groups[1].likes == sum(likes for _, _, likes in mine), "what came is counted as it came"


def test_likes_of_a_few_do_not_decide_however_clear(engine: Engine) -> None:
    """Four in five of test's likes are one user's: too few stand behind the primary."""
    plan: dict[str, object] = {"rules": {"min_users": 2, "min_days": 1, "winsorised": 1}}
    experiment = start(engine, "few", plan)
    exposures, likes = visits(experiment, USERS, np.random.default_rng(12), chance={"control": 0.2, "test": 0.004})
    write(engine, exposures, likes)
    report = analyse(engine, "few", LATER)
    assert report.metrics[0].always_valid is not None
    assert report.metrics[0].always_valid.high < 0
    assert report.metrics[0].reading == "unclear"
    assert report.verdict.kind == "too_early"
    assert "of 50 at least: too few like" in report.verdict.reasons[0]


def test_a_split_that_is_not_by_the_weights_fails_and_nothing_else_is_decided(engine: Engine) -> None:
    experiment = start(engine, "lopsided")
    lost = [a for a in _assigned(experiment, range(1_000, 4_000)) if a.group == "control" or a.user_id % 3]
    write(engine, [], [], lost)
    report = analyse(engine, "lopsided", LATER)
    assert report.split.failed
    assert report.verdict.kind == "split_failed"
    assert "sample ratio mismatch" in report.verdict.reasons[0]


def test_a_changed_weight_is_read_period_by_period_without_whom_it_moved(engine: Engine) -> None:
    before = start(engine, "moves", {"weights": {"control": 0.8, "test": 0.2}})
    early = visits(before, USERS, np.random.default_rng(6), days=1)
    write(engine, *early)
    change = START + timedelta(days=1)
    after = put(engine, "moves", change, plan={"weights": {"control": 0.5, "test": 0.5}})
    late_users = range(1_000, 1_800)
    late = visits(after, late_users, np.random.default_rng(7), days=2, begin=change + timedelta(seconds=1))
    write(engine, [each.model_copy(update={"key": f"late {each.key}"}) for each in late[0]],
          [(f"late {key}", post) for key, post in late[1]])  # fmt: skip
    report = analyse(engine, "moves", LATER)
    assert [sum(period.assigned.values()) for period in report.split.periods] == [
        len({each.user_id for each in early[0]}),
        len({each.user_id for each in late[0]} - {each.user_id for each in early[0]}),
    ]
    assert not report.split.failed
    moved = {u for u in late_users if before.assign(u, START).group != after.assign(u, LATER).group}
    first = {each.user_id: before for each in early[0]}
    everyone = {each.user_id for each in [*early[0], *late[0]]}
    compared = [user for user in everyone if not (user in first and user in moved)]
    assert len(everyone) - len(compared) > 0
    assert report.metrics[0].course[-1].users == len(compared)


def test_after_a_rollback_the_comparison_stays_what_it_was(engine: Engine) -> None:
    experiment = start(engine, "back")
    exposures, likes = visits(experiment, USERS, np.random.default_rng(8), days=1)
    write(engine, exposures, likes)
    before = analyse(engine, "back", START + timedelta(days=1))
    plan = {"weights": {"control": 1.0, "test": 0.0}}
    after = put(engine, "back", START + timedelta(days=1), plan=plan)
    more = visits(after, USERS, np.random.default_rng(9), days=1, begin=START + timedelta(days=1, seconds=1))
    write(engine, [each.model_copy(update={"key": f"m{each.key}"}) for each in more[0]])
    report = analyse(engine, "back", LATER)
    assert report.metrics[0].lift == before.metrics[0].lift
    assert not report.split.failed


def test_answers_of_a_dead_log_are_counted_by_group(engine: Engine) -> None:
    experiment = start(engine, "dead")
    made = [exposure(experiment, f"u{user}", user, START, degraded="unlogged" if user % 3 else None) for user in USERS]
    write(engine, made)
    unlogged = Counter(each.group for each in made if each.degraded)
    report = analyse(engine, "dead", LATER)
    assert {group.group: group.unlogged for group in report.groups} == unlogged
    assert all(0 < group.unlogged == group.degraded < group.exposures for group in report.groups)
    assert [line for line in as_csv(report).splitlines() if line.startswith("group,unlogged,test")]


def test_interleaved_users_vote_once_and_a_failed_ranker_excludes_the_exposure(engine: Engine) -> None:
    experiment = start(engine, "drafts", {"mode": "interleave"})
    rng = np.random.default_rng(10)
    exposures, likes = list[Exposure](), list[tuple[str, int]]()
    for user in range(1_000, 1_300):
        for visit in range(3):
            failed = user % 10 == 0 and visit == 0
            teams = None if failed else "ctctc"
            made = exposure(experiment, f"{user}-{visit}", user, START + timedelta(hours=visit), teams=teams,
                            degraded="ranker_timeout" if failed else None)  # fmt: skip
            exposures.append(made)
            likes += [(made.key, post) for post in POSTS if rng.random() < (0.2 if post in (2, 4) else 0.02)]
    write(engine, exposures, likes)
    votes: dict[int, int] = defaultdict(int)
    counted = {each.key: each for each in exposures if each.teams}
    voters = set[int]()
    for key, post in likes:
        if key in counted:
            votes[counted[key].user_id] += 1 if post in (2, 4) else -1
            voters.add(counted[key].user_id)
    report = analyse(engine, "drafts", LATER)
    reading = report.interleaving
    assert reading is not None
    assert reading.for_test == sum(vote > 0 for vote in votes.values())
    assert reading.for_control == sum(vote < 0 for vote in votes.values())
    assert reading.ties == sum(votes[user] == 0 for user in voters)
    assert reading.excluded == 30
    assert reading.share is not None
    assert reading.share.low > 0.5
    assert reading.p_value is not None
    assert reading.p_value < 1e-6
    assert all(reading.reading == "cannot_tell" for reading in report.metrics)


def test_interleaving_without_likes_says_so(engine: Engine) -> None:
    experiment = start(engine, "nobody", {"mode": "interleave"})
    write(engine, [exposure(experiment, "a", 1_000, START, teams="ctctc")])
    reading = analyse(engine, "nobody", LATER).interleaving
    assert reading is not None
    assert (reading.share, reading.p_value, reading.why) == (None, None, "nobody liked an interleaved post yet")


def test_a_shadow_is_read_by_latency_failures_overlap_and_rank(engine: Engine) -> None:
    experiment = start(engine, "beside", {"mode": "shadow"})
    shown = [exposure(experiment, f"s{user}", user, START) for user in range(1_000, 1_100)]
    answers = [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 2, 3, 8, 9], [6, 7, 8, 9, 10]]
    shadows = [
        Shadowed(key=each.key, user_id=each.user_id, experiment="beside", ranker="test", took_ms=float(place),
                 posts=answers[place % 4] if place < 96 else [], failed=None if place < 96 else "ranker_timeout")
        for place, each in enumerate(shown)
    ]  # fmt: skip
    write(engine, shown)
    with engine.begin() as connection:
        record_shadows(connection, shadows)
    report = analyse(engine, "beside", LATER)
    reading = report.shadow
    assert reading is not None
    assert (reading.asked, reading.failed) == (100, 4)
    assert reading.p50_ms == pytest.approx(47.5)
    assert reading.p99_ms == pytest.approx(0.99 * 95)
    assert reading.overlap is not None
    assert reading.overlap.estimate == pytest.approx((5 + 5 + 3 + 0) / 20)
    assert reading.rank_correlation is not None
    assert reading.rank_correlation.estimate == pytest.approx((1 - 1 + 1) / 3)
    assert report.verdict.kind == "hold"


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def test_runs_are_stored_read_by_number_and_frozen_by_the_last_one(platform: FeaturePlatform, engine: Engine) -> None:
    analyst = Analyst(engine, platform.client, StreamLog(platform.client), SHARDS)
    assert platform.http.get("/experiments/models/runs").json() == []
    at_once = Report.model_validate_json(platform.http.get("/experiments/models/report").content)
    assert (at_once.run, at_once.metrics[0].reading) == (0, "cannot_tell")
    assert analyst.round() == ["models"]
    assert analyst.round() == [], "nothing is new"
    first = Report.model_validate_json(platform.http.get("/experiments/models/report").content)
    assert first.run > 0
    assert platform.http.put("/experiments/models", json={"decision": "keep_control", "reason": "enough"}).is_success
    platform.send({"key": "w", "user_id": 200, "post_id": 1, "action": "view"})
    platform.settle()
    assert analyst.round() == [], "the next one waits its time, and likes may join for a day"
    set_clock(platform.client, Clock(since=datetime.now(UTC), then=datetime.now(UTC) + timedelta(hours=24.1), speed=1))
    platform.send({"key": "v", "user_id": 200, "post_id": 1, "action": "view"})
    assert analyst.round() == [], "the log is not drained yet"
    platform.settle()
    assert analyst.round() == ["models"]
    assert analyst.round() == []
    last = Report.model_validate_json(platform.http.get("/experiments/models/report").content)
    assert (first.final, last.final) == (False, True)
    assert last.run == first.run + 1
    assert last.at == last.experiment.stopped_at
    assert last.history[-1].what.startswith("decided")
    runs = platform.http.get("/experiments/models/runs").json()
    assert [line["run"] for line in runs] == [last.run, first.run]
    earlier = platform.http.get("/experiments/models/report", params={"run": first.run}).content
    assert Report.model_validate_json(earlier) == first
    assert platform.http.get("/experiments/models/report", params={"run": 999}).status_code == 404
    for call in ("runs", "report", "report.csv"):
        assert platform.http.get(f"/experiments/unknown/{call}").status_code == 404
    (line,) = [ExperimentLine.model_validate(line) for line in platform.http.get("/experiments").json()]
    assert (line.name, line.verdict, line.decision) == ("models", last.verdict.kind, "keep_control")
    assert line.users == sum(group.assigned for group in last.groups)
    assert line.lift is None, "a lift that the page holds back is in no list"
    assert line.days == pytest.approx(last.days)


def test_the_list_shows_the_lift_of_the_newest_run_where_it_may_be_read(
    platform: FeaturePlatform, engine: Engine
) -> None:
    report = Report.model_validate_json(platform.http.get("/experiments/models/report").content)
    lift = Range(estimate=0.03, low=-0.01, high=0.07)
    reading = report.metrics[0].model_copy(update={"always_valid": lift})
    for kind, shown in (("hold", lift), ("split_failed", None)):
        verdict = report.verdict.model_copy(update={"kind": kind})
        store(engine, report.model_copy(update={"metrics": [reading], "verdict": verdict}), final=False)
        (line,) = platform.http.get("/experiments").json()
        assert ExperimentLine.model_validate(line).lift == shown


def test_of_old_runs_each_days_last_one_is_kept(platform: FeaturePlatform, engine: Engine) -> None:
    report = Report.model_validate_json(platform.http.get("/experiments/models/report").content)
    for number in range(230):
        at = START + timedelta(hours=number)
        store(engine, report.model_copy(update={"at": at}), final=False)
    kept = [datetime.fromisoformat(line["at"]) for line in platform.http.get("/experiments/models/runs").json()]
    assert len(kept) == 201
    assert kept[-1] == START + timedelta(hours=23)


def test_a_report_exports_as_csv(platform: FeaturePlatform) -> None:
    experiment = start(platform.engine, "exported", now=datetime.now(UTC) - timedelta(days=3))
    begin = datetime.now(UTC) - timedelta(days=3)
    write(platform.engine, *visits(experiment, USERS, np.random.default_rng(2), begin=begin, days=2))
    answer = platform.http.get("/experiments/exported/report.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(answer.text)))
    report = Report.model_validate_json(platform.http.get("/experiments/exported/report").content)
    lift = next(
        row for row in rows if row["name"] == "hit_rate: lift, always valid" and row["part"] == "intent to treat"
    )
    assert report.metrics[0].always_valid is not None
    assert float(lift["low"]) == report.metrics[0].always_valid.low
    assert sum(row["name"] == "hit_rate: course" for row in rows) == len(report.metrics[0].course)


def test_the_platforms_clock_dates_a_report(platform: FeaturePlatform) -> None:
    moved = datetime(2031, 1, 1, tzinfo=UTC)
    set_clock(platform.client, Clock(since=datetime.now(UTC), then=moved, speed=1))
    assert analyse(platform.engine, "models", moved).at == moved
    set_clock(platform.client, None)


def test_a_draft_says_what_it_can_show_by_what_users_did(platform: FeaturePlatform) -> None:
    past = start(platform.engine, "past")
    exposures, likes = visits(past, USERS, np.random.default_rng(13))
    write(platform.engine, exposures, likes)
    set_clock(platform.client, Clock(since=datetime.now(UTC), then=LATER, speed=1))
    plan = {"enrolment": 0.5, "weights": {"control": 0.8, "test": 0.2}, "rules": {"winsorised": 1, "days": 14}}
    assert platform.http.put("/experiments/next", json={"plan": plan, "reason": "what next"}).is_success
    told = Reach.model_validate_json(platform.http.get("/experiments/next/reach").raise_for_status().content)
    rows = _by_user(exposures, likes)
    by_hand = RatioSums.of([row[1] for row in rows.values()], [row[0] for row in rows.values()])
    first = {user: min(each.served_at for each in exposures if each.user_id == user) for user in rows}
    ends = [START + timedelta(days=day) for day in (1, 2, 3)]
    assert told.users == [round(sum(at < end for at in first.values()) / 2) for end in ends]
    _near(told.rate, by_hand.ratio)
    for each in told.lifts:
        needed = users_needed(by_hand, each.lift * by_hand.ratio, test_share=0.2, looks="daily")
        assert each.users == needed.total
        assert each.days == next((day for day, so_far in enumerate(told.users, 1) if so_far >= needed.total), None)
    assert told.smallest_lift is not None
    users = Users(round(told.users[-1] * 0.8), round(told.users[-1] * 0.2))
    assert power(by_hand, told.smallest_lift * by_hand.ratio, users, looks="daily") == pytest.approx(0.8, abs=1e-3)
    set_clock(platform.client, None)


def test_without_a_past_nothing_is_planned_by_it(platform: FeaturePlatform) -> None:
    told = Reach.model_validate_json(platform.http.get("/experiments/models/reach").content)
    assert (told.rate, told.smallest_lift, told.lifts, told.users) == (None, None, [], [])
    assert told.why is not None
    assert platform.http.get("/experiments/unknown/reach").status_code == 404
