"""The system page: readings, gaps, quantiles and the words for them."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from console.system.sample import Sample, read, silent
from console.system.series import differences, quantile, slots, thinned
from console.system.view import System, system_of
from console.system.watch import MOST_REPLICAS, Replica, Watch

from tests.support.fakes.services import POLL_SECONDS, Process, watched

NOW = datetime(2026, 3, 14, 9, 41, tzinfo=UTC)
LONGEST = timedelta(seconds=2.5 * POLL_SECONDS)


def keep(watch: Watch, process: Process, steps_ago: int) -> None:
    at = NOW - timedelta(seconds=POLL_SECONDS * steps_ago)
    watch.keep(Replica("gateway", "g:1"), read(at, 200, process.health(), process.metrics()))


def seen(watch: Watch, chosen: str = "1h") -> System:
    return system_of(watch.names, watch.since(NOW - timedelta(hours=1)), NOW, chosen, POLL_SECONDS)


def plot(system: System, key: str) -> list[str]:
    return next(one for one in system.plots if one.key == key).lines[0].segments


def test_a_reading_takes_from_the_metrics_what_the_page_shows() -> None:
    process = Process("gateway", asked=100, failed=2, lag=3.5, model="7")
    process.served["test", "popular"] = 4
    process.replies["ranker-test"] = [0.003, 0.2]
    sample = read(NOW, 200, process.health(), process.metrics())
    assert (sample.ready, sample.version, sample.models) == (True, "0.1.0", ("gateway 7",))
    assert (sample.asked, sample.errors, sample.lag, sample.budget) == (100, 2, 3.5, 0.12)
    assert sample.served == {("test", "popular"): 4}
    assert sample.replies["ranker-test"][0.004] == 1
    assert sample.replies["ranker-test"][math.inf] == 2


def test_probes_are_not_counted_as_requests() -> None:
    assert read(NOW, 200, {}, Process("gateway", asked=3).metrics()).asked == 3


def test_metrics_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(NOW, 200, {}, "this is { no metric\n")


def test_a_difference_needs_two_readings_of_one_process() -> None:
    first = read(NOW, 200, {}, Process("gateway", asked=10).metrics())
    later = replace(read(NOW, 200, {}, Process("gateway", asked=40).metrics()), at=NOW + timedelta(seconds=15))
    assert [step.asked for step in differences("a", [first, later], LONGEST)] == [30]
    assert differences("a", [first, replace(later, started_at=1.0)], LONGEST) == []
    assert differences("a", [first, replace(later, at=NOW + timedelta(minutes=5))], LONGEST) == []
    assert differences("a", [first, silent(NOW + timedelta(seconds=15)), later], LONGEST) == []


def test_nothing_measured_is_none_and_never_zero() -> None:
    made = slots(NOW - timedelta(hours=1), NOW, [], [])
    assert len(made) == 40
    assert all(slot.lag is None and slot.seconds == 0 for slot in made)
    empty = system_of(["gateway"], {}, NOW, "1h", POLL_SECONDS)
    assert [one.now for one in empty.plots] == ["–"] * len(empty.plots)
    assert {cell for row in empty.table.rows for cell in row[1:]} == {"–"}


def test_a_quantile_lies_between_two_bounds() -> None:
    buckets = {0.01: 50.0, 0.02: 100.0, math.inf: 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.01)
    assert quantile(buckets, 0.75) == pytest.approx(0.015)
    assert quantile({0.01: 10.0, math.inf: 100.0}, 0.99) == 0.01
    assert quantile({0.01: 0.0, math.inf: 0.0}, 0.5) is None


def test_a_healthy_platform_reads_so() -> None:
    system = seen(watched(NOW))
    assert (system.headline, system.tone, system.worst) == ("All serving normally", "good", "worst now: event lag 4 s")
    assert [row.service for row in system.rows] == [
        "gateway", "gateway", "feature-service", "ingest", "ranker-control", "ranker-test",
    ]  # fmt: skip
    assert {row.status for row in system.rows} == {"Ready"}
    assert system.rows[-1].model == "ranker-test 2026-03-13.4"
    assert system.rows[0].since == "12 Mar 06:41 UTC"


def test_a_silent_replica_leaves_a_gap_in_what_all_do_together() -> None:
    assert len(plot(seen(watched(NOW)), "asked")) == 2
    assert len(plot(seen(watched(NOW)), "lag")) == 1


def test_a_degradation_is_one_spell_in_words() -> None:
    (result,) = seen(watched(NOW)).degradations
    assert result.when == "09:05–09:08"
    assert result.text == "test: ranker timeout → popular posts, 26.7% of test’s answers"


def test_an_answer_that_was_not_logged_was_the_models_own() -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    process = Process("gateway", asked=10)
    for step, (reason, model) in enumerate((("", ""), ("unlogged", "test"), ("features_open", "popular"))):
        process.asked += 10
        if reason:
            process.served["test", model] += 10
            process.degraded["test", reason] += 2
            process.degraded_answers["test"] += 2
        at = NOW - timedelta(seconds=POLL_SECONDS * (2 - step))
        watch.keep(Replica("gateway", "g:1"), read(at, 200, process.health(), process.metrics()))
    assert [one.text for one in seen(watch).degradations] == [
        "test: recorded late, since the log was down, features not asked, after failures → popular posts, "
        "20.0% of test’s answers",
    ]


def test_one_incident_is_one_line_whatever_its_groups_and_reasons() -> None:
    """Redis is gone for a minute: every answer of both groups has several reasons, and is degraded once."""
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    process = Process("gateway", asked=10)
    keep(watch, process, 5)
    for step in (4, 3, 2, 1, 0):
        process.asked += 60
        for group, answers in (("control", 30), ("test", 30)):
            process.served[group, "last_slate"] += answers
            process.degraded_answers[group] += answers
            for reason in ("features_timeout", "features_open", "texts", "unlogged"):
                process.degraded[group, reason] += answers
        keep(watch, process, step)
    system = seen(watch)
    (incident,) = system.degradations
    assert incident.text == (
        "control and test: features timeout, features not asked, after failures, texts and 1 other reason "
        "→ the posts that this user was shown last, 100% of control’s and test’s answers"
    )
    assert max(float(row[-1].rstrip("%")) for row in system.table.rows if row[-1] != "–") == 100


@pytest.mark.parametrize(
    ("degraded", "failed", "headline", "tone"),
    [
        (0, 0, "All serving normally", "good"),
        (79, 0, "79.0% of answers are degraded", "bad"),
        (3, 0, "3.0% of answers are degraded", "warn"),
        (0, 2, "2.0% of requests fail", "warn"),
        (6, 40, "40.0% of requests fail; 6.0% of answers are degraded", "bad"),
    ],
)
def test_the_headline_tells_what_users_meet_the_worst_first(
    degraded: int, failed: int, headline: str, tone: str
) -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    process = Process("gateway", asked=10)
    keep(watch, process, 1)
    process.asked, process.failed = process.asked + 100, failed
    process.served["test", "test"] += 100
    process.degraded["test", "ranker_timeout"] = process.degraded_answers["test"] = degraded
    keep(watch, process, 0)
    system = seen(watch)
    assert (system.headline, system.tone) == (headline, tone)


def test_a_handful_of_requests_makes_no_headline() -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    process = Process("gateway", asked=10)
    keep(watch, process, 1)
    process.asked, process.failed = 14, 4
    keep(watch, process, 0)
    assert seen(watch).headline == "All serving normally"


def test_trouble_that_is_over_is_in_the_list_and_not_in_the_headline() -> None:
    system = seen(watched(NOW))
    assert len(system.degradations) == 1
    assert system.headline == "All serving normally"


def test_events_that_wait_for_minutes_are_in_the_headline() -> None:
    system = seen(watched(NOW, lag=90.0))
    assert (system.headline, system.tone) == ("Events wait 90 s", "bad")


def test_a_replica_that_left_is_gone_and_not_down() -> None:
    old, new = Replica("gateway", "10.0.0.1:8000"), Replica("gateway", "10.0.0.9:8000")
    kept = {
        old: [read(NOW - timedelta(minutes=2), 200, {}, Process("gateway", version="1").metrics())],
        new: [read(NOW, 200, {}, Process("gateway", version="2").metrics())],
    }
    system = system_of(["gateway"], kept, NOW, "1h", POLL_SECONDS, left=frozenset([old]))
    assert [(row.status, row.note) for row in system.rows] == [
        ("Gone", "left at 09:39 UTC, as after a rollout"),
        ("Ready", ""),
    ]
    assert (system.headline, system.mixed) == ("All serving normally", [])
    later = system_of(["gateway"], kept, NOW + timedelta(minutes=5), "1h", POLL_SECONDS, left=frozenset([old]))
    assert [row.address for row in later.rows] == ["10.0.0.9:8000"]


def test_replicas_of_different_versions_are_named() -> None:
    system = seen(watched(NOW, version_of_second="0.2.0"))
    assert system.mixed == ["Replicas of gateway run different versions: 0.1.0, 0.2.0."]
    assert (system.headline, system.tone) == ("Serving, with mixed versions", "warn")


def test_a_dead_ranker_is_in_the_headline() -> None:
    system = seen(watched(NOW, test_down=True))
    assert (system.headline, system.tone) == ("ranker-test does not serve", "bad")
    row = system.rows[-1]
    assert (row.status, row.note, row.since) == ("No answer", "last heard 09:39 UTC", "–")


def test_a_service_that_is_not_ready_says_why() -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    process = Process("gateway", ready=False, said={"fallback": "nothing to fall back on"})
    watch.keep(Replica("gateway", "g:1"), read(NOW, 503, process.health(), process.metrics()))
    (row,) = seen(watch).rows
    assert (row.status, row.tone, row.note) == ("Not ready", "bad", "nothing to fall back on")


def test_old_readings_are_not_taken_for_news() -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    watch.keep(Replica("gateway", "g:1"), read(NOW - timedelta(minutes=9), 200, {}, Process("gateway").metrics()))
    (row,) = seen(watch).rows
    assert (row.status, row.note) == ("Not known", "last asked 09:32 UTC")


def test_without_services_the_page_says_so() -> None:
    assert system_of([], {}, NOW, "1h", POLL_SECONDS).headline == "No service is watched"


def test_what_was_never_asked_is_not_well() -> None:
    system = system_of(["gateway"], {}, NOW, "1h", POLL_SECONDS)
    assert (system.headline, system.rows[0].status) == ("Nothing is known yet", "Not asked yet")


def test_memory_is_bounded_in_time_and_in_replicas() -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=300)
    for step in range(200):
        watch.keep(Replica("gateway", "g:1"), Sample(NOW + timedelta(minutes=5 * step), answered=True))
    (samples,) = watch.since(NOW).values()
    assert len(samples) == 6 * 12 + 1
    for number in range(100):
        watch.keep(Replica("gateway", f"g:{number}"), Sample(NOW + timedelta(days=2), answered=True))
    assert len(watch.since(NOW)) == MOST_REPLICAS


def test_a_long_range_takes_fewer_readings_and_misses_no_silence() -> None:
    samples = [Sample(NOW + timedelta(seconds=15 * place), answered=place != 7) for place in range(240)]
    kept = thinned(samples, 15, 90)
    assert len(kept) == 41
    assert [one.at for one in kept if not one.answered] == [samples[7].at]
    assert thinned(samples[3:], 15, 90)[2:] == [one for one in kept if one.at >= samples[3].at][2:], (
        "always the same moments"
    )
    assert thinned(samples, 15, 7) == samples


def test_six_hours_of_four_gateways_are_drawn_in_no_time() -> None:
    watch = Watch(["gateway=http://gateway:8000"], poll_seconds=POLL_SECONDS)
    process = Process("gateway", asked=10)
    process.replies["ranker-test"] = [0.004] * 9
    sample = read(NOW, 200, process.health(), process.metrics())
    for place in range(1440):
        at = NOW - timedelta(seconds=POLL_SECONDS * (1439 - place))
        for number in range(4):
            watch.keep(Replica("gateway", f"g:{number}"), replace(sample, at=at))
    started = time.perf_counter()
    system_of(watch.names, watch.since(NOW - timedelta(hours=6)), NOW, "6h", POLL_SECONDS)
    assert time.perf_counter() - started < 0.1
