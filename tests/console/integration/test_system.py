"""The system page: the console reads real services over HTTP, and the page tells what they said."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version

import httpx
import pytest
from chassis.settings import SettingsError
from console.app import create
from console.settings import ConsoleSettings
from console.state import get_now
from console.system.sample import Sample
from console.system.watch import Replica, Watch, get_watch

from tests.support.fakes.gateway import NOW, served
from tests.support.fakes.services import NAMES, Process, watched

KIB = 1024
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def console() -> Iterator[httpx.Client]:
    app = create(ConsoleSettings(gateway_url="http://127.0.0.1:9"))
    watch = watched(NOW)
    app.dependency_overrides |= {get_now: lambda: NOW, get_watch: lambda: watch}
    with served(app) as address, httpx.Client(base_url=address) as client:
        yield client


def eventually(read: Callable[[], dict[str, object]], wanted: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while not wanted(result := read()):
        assert time.monotonic() < deadline, result
        time.sleep(0.05)
    return result


def test_services_are_read_over_http() -> None:
    test, ingest = Process("ranker-test", model="5"), Process("ingest", lag=2.5)
    with served(test.app()) as test_url, served(ingest.app()) as ingest_url:
        services = (f"ranker-test={test_url}", f"ingest={ingest_url}", "gateway=http://127.0.0.1:9")
        with served(create(ConsoleSettings(gateway_url=test_url, services=services, poll_seconds=1))) as at:

            def page() -> dict[str, object]:
                result: dict[str, object] = httpx.get(f"{at}/console/system.json").json()
                return result

            result = eventually(page, lambda one: one["worst"] != "")
            rows = {row["service"]: row for row in result["rows"]}  # type: ignore[attr-defined]
            assert rows["ranker-test"]["model"] == "ranker-test 5"
            assert rows["ingest"]["status"] == "Ready"
            assert rows["gateway"]["status"] == "No answer"
            assert result["headline"] == "gateway does not serve"
            assert result["worst"] == "worst now: event lag 2.5 s"
            ingest.ready, ingest.said = False, {"postgres": "Postgres does not answer"}
            result = eventually(page, lambda one: "ingest" in str(one["headline"]))
            rows = {row["service"]: row for row in result["rows"]}  # type: ignore[attr-defined]
            assert rows["ingest"]["note"] == "Postgres does not answer"


def test_a_host_that_nobody_knows_is_a_service_that_does_not_answer() -> None:
    watch = Watch(["gateway=http://nobody.invalid:8000"], poll_seconds=15)
    asyncio.run(polled(watch))
    ((replica, (sample,)),) = watch.since(LONG_AGO).items()
    assert (replica.address, sample.answered) == ("nobody.invalid:8000", False)


def test_a_host_with_several_addresses_is_a_service_with_several_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a headless service of a cluster, or a scaled one of compose. One that left is not asked."""
    process = Process("gateway")
    with served(process.app()) as url:
        port = int(url.rsplit(":", 1)[1])
        watch = Watch([f"gateway=http://gateway:{port}"], poll_seconds=15)
        watch.keep(Replica("gateway", "10.0.0.9:1"), Sample(datetime.now(UTC), answered=True))

        async def result(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
            return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

        async def scenario() -> None:
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", result)
            await polled(watch)

        asyncio.run(scenario())
    seen = {one.address: [sample.answered for sample in samples] for one, samples in watch.since(LONG_AGO).items()}
    assert seen == {f"127.0.0.1:{port}": [True], f"127.0.0.2:{port}": [False], "10.0.0.9:1": [True]}
    assert watch.left == {Replica("gateway", "10.0.0.9:1")}


async def polled(watch: Watch) -> None:
    async with httpx.AsyncClient() as client:
        await watch.poll(client)


def test_every_service_of_ours_says_its_name_and_version() -> None:
    with served(create(ConsoleSettings(gateway_url="http://127.0.0.1:9"))) as at:
        metrics = httpx.get(f"{at}/metrics").text
    assert f'service_info{{service="Lenta console",version="{version("lenta-console")}"}} 1.0' in metrics


def test_page_and_json_say_the_same(console: httpx.Client) -> None:
    html = console.get("/console/system").text
    result = console.get("/console/system.json").json()
    assert result["headline"] in html
    assert result["worst"] in html
    assert all(one["summary"] in html for one in result["plots"])
    assert result["degradations"][0]["text"] in html
    assert [row["service"] for row in result["rows"]] == ["gateway", *NAMES]


def test_a_range_is_one_of_three(console: httpx.Client) -> None:
    for chosen in ("15m", "1h", "6h"):
        assert console.get(f"/console/system?range={chosen}").status_code == 200
    answer = console.get("/console/system?range=1y")
    assert answer.status_code == 422
    assert "range must be one of 15m, 1h, 6h." in answer.text
    assert console.get("/console/system.json?range=1y").json()["field"] == "range"


def test_a_range_beyond_the_first_reading_says_so(console: httpx.Client) -> None:
    assert "Readings begin at 08:41 UTC." in console.get("/console/system?range=6h").text


def test_the_page_stays_within_its_budget(console: httpx.Client) -> None:
    assert len(gzip.compress(console.get("/console/system").content)) <= 15 * KIB


def test_it_is_answered_within_100_ms_at_the_95th_percentile(console: httpx.Client) -> None:
    took = []
    for _ in range(40):
        started = time.perf_counter()
        console.get("/console/system?range=6h")
        took.append(time.perf_counter() - started)
    assert sorted(took)[37] < 0.1


def test_what_has_not_changed_is_not_sent_again(console: httpx.Client) -> None:
    tag = console.get("/console/system").headers["etag"]
    assert console.get("/console/system", headers={"If-None-Match": tag}).status_code == 304


def test_services_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_GATEWAY_URL", "http://gateway:8000")
    monkeypatch.setenv("CONSOLE_API_KEY", "first, second")
    monkeypatch.setenv("CONSOLE_SERVICES", "gateway=http://gateway:8000, ingest=http://ingest:8011")
    settings = ConsoleSettings.read()
    assert settings.services == ("gateway=http://gateway:8000", "ingest=http://ingest:8011")
    assert settings.api_key == "first"
    assert "first" not in repr(settings)


def test_a_service_that_is_not_an_address_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_GATEWAY_URL", "http://gateway:8000")
    monkeypatch.setenv("CONSOLE_SERVICES", "gateway")
    with pytest.raises(SettingsError, match=r"CONSOLE_SERVICES: .*name=http://host:port"):
        ConsoleSettings.read()
