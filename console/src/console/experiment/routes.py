"""The addresses of the experiment pages. `run=` freezes a page at one analysis run, `.json` gives its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from chassis.errors import InvalidParameter, NotFound, Unavailable
from contracts.clock import Clock
from contracts.experiments import Name
from contracts.reports import Report, RunLine
from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from console.experiment.drafts import draft_of
from console.experiment.lines import list_row
from console.experiment.view import json_of, view_of
from console.frame import EXPERIMENTS, page, unless_known
from console.gateway import Gateway, GatewayError, or_error, platform_clock, unreadable
from console.state import GatewayDep, NowDep

LATEST_RUNS = 12
HIGHEST_RUN = 2**63 - 1
FIRST = {"running": 2, "draft": 1}
_NAME = TypeAdapter(Name)

router = APIRouter(include_in_schema=False)


@router.get(EXPERIMENTS)
async def list_page(request: Request, gateway: GatewayDep, now: NowDep) -> Response:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(or_error(gateway.experiments()))
        clocked = group.create_task(platform_clock(gateway))
    lines, clock = asked.result(), clocked.result()
    if isinstance(lines, GatewayError):
        return _no_data(request, lines)
    newest = sorted(lines, key=lambda line: (FIRST.get(line.state, 0), _moment(line.started_at)), reverse=True)
    values = {
        "lines": [list_row(line) for line in newest], "now": clock.at(now), "clock": _said(clock, now), "live": "list",
    }  # fmt: skip
    return page(request, "experiments.html", values)


@router.get(f"{EXPERIMENTS}/{{name}}.json")
async def experiment_json(request: Request, name: str, gateway: GatewayDep, now: NowDep) -> Response:
    if not is_name(name):
        raise NotFound("no such experiment")
    try:
        stored = await _read(gateway, name, _run(request.query_params))
    except GatewayError as error:
        raise Unavailable(f"the report cannot be read: the gateway {error}") from error
    if stored.report is None:
        raise NotFound(f"there is no report of {name}")
    body = json_of(stored.report, stored.clock.at(now), reveal=_reveal(request.query_params))
    return unless_known(request, Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json"))


@router.get(f"{EXPERIMENTS}/{{name}}")
async def experiment_page(request: Request, name: str, gateway: GatewayDep, now: NowDep) -> Response:
    if not is_name(name):
        return _absent(request, f"There is no experiment {name[:64]}.")
    try:
        run = _run(request.query_params)
        stored = await _read(gateway, name, run)
    except InvalidParameter as error:
        return page(request, "absent.html", {"said": f"{error.message}."}, status=error.status)
    except GatewayError as error:
        return _no_data(request, error)
    if stored.report is None and (run is not None or not stored.is_known):
        return _absent(request, f"There is no run {run} of {name}." if run else f"There is no experiment {name}.")
    if stored.report is None or stored.report.experiment.started_at is None:
        return await _draft(request, gateway, name)
    view = view_of(
        stored.report, stored.clock.at(now), chosen=request.query_params.get("metric", ""), frozen=run is not None,
        reveal=_reveal(request.query_params), runs=stored.runs[:LATEST_RUNS], clock=_said(stored.clock, now),
    )  # fmt: skip
    return page(request, "experiment.html", {"one": view, "live": None if view.frozen else "experiment"})


async def _draft(request: Request, gateway: Gateway, name: str) -> Response:
    """What was never started shows its plan, and what so many users can show."""
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(or_error(gateway.experiment(name)))
        reached = group.create_task(or_error(gateway.reach(name)))
    current, reach = asked.result(), reached.result()
    if isinstance(current, GatewayError):
        return _no_data(request, current)
    if current is None:
        return _absent(request, f"There is no experiment {name}.")
    return page(request, "draft.html", {"one": draft_of(current, None if isinstance(reach, GatewayError) else reach)})


@dataclass(frozen=True, slots=True)
class ReportAndRuns:
    report: Report | None
    runs: list[RunLine]
    """Newest first."""
    is_known: bool
    """Whether there is such an experiment at all."""
    clock: Clock
    """The platform's."""


async def _read(gateway: Gateway, name: str, run: int | None) -> ReportAndRuns:
    """The report, with what was changed or decided since it was made; one run alone stays as it was.

    Without its runs or its newest state a report can be shown all the same. Raises GatewayError.
    """
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(or_error(gateway.report(name, run)))
        listed = group.create_task(or_error(gateway.runs(name)))
        newest = group.create_task(or_error(gateway.experiment(name)))
        clocked = group.create_task(platform_clock(gateway))
    report, runs, current = asked.result(), listed.result(), newest.result()
    if isinstance(report, GatewayError):
        raise report
    known = None if isinstance(current, GatewayError) else current
    if run is None and report is not None and known and known.experiment.revision > report.experiment.revision:
        report = report.model_copy(update={"experiment": known.experiment, "history": known.history})
    lines = [] if isinstance(runs, GatewayError) else sorted(runs, key=lambda line: line.run, reverse=True)
    return ReportAndRuns(report, lines, known is not None, clocked.result())


def _said(clock: Clock, now: datetime) -> str:
    return "simulated clock" if clock.is_simulated(now) else ""


def _absent(request: Request, said: str) -> Response:
    return page(request, "absent.html", {"said": said}, status=404)


def is_name(given: str) -> bool:
    try:
        _NAME.validate_python(given)
    except ValidationError:
        return False
    return True


def _no_data(request: Request, error: GatewayError) -> Response:
    return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)


def _run(params: Mapping[str, str]) -> int | None:
    given = params.get("run", "").strip()
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and 0 < int(given[:20]) <= HIGHEST_RUN):
        raise InvalidParameter("run must be the number of an analysis run", field="run")
    return int(given)


def _reveal(params: Mapping[str, str]) -> bool:
    return params.get("unreliable") == "1"


def _moment(at: object) -> str:
    return str(at or "")
