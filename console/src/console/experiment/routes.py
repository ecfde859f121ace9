"""The addresses of the experiment pages. `run=` freezes a page at one analysis run, `.json` gives its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from chassis.errors import InvalidParameter, NotFound, Unavailable
from contracts.experiments import Name
from contracts.reports import Report, RunLine
from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from console.asking import Now, Source
from console.experiment.naming import KINDS
from console.experiment.view import json_of, page_of
from console.frame import EXPERIMENTS, page, unless_known
from console.gateway import Gateway, GatewayError, or_error
from console.words import unreadable

LATEST_RUNS = 12
HIGHEST_RUN = 2**63 - 1
_NAME = TypeAdapter(Name)

router = APIRouter(include_in_schema=False)


@router.get(EXPERIMENTS)
async def list_page(request: Request, gateway: Source) -> Response:
    try:
        lines = await gateway.experiments()
    except GatewayError as error:
        return _no_data(request, error)
    newest = sorted(lines, key=lambda line: (line.state == "running", _moment(line.started_at)), reverse=True)
    return page(request, "experiments.html", {"lines": newest, "kinds": KINDS, "live": "list"})


@router.get(f"{EXPERIMENTS}/{{name}}.json")
async def experiment_json(request: Request, name: str, gateway: Source, now: Now) -> Response:
    if not is_name(name):
        raise NotFound("no such experiment")
    try:
        report = await gateway.report(name, _run(request.query_params))
    except GatewayError as error:
        raise Unavailable(f"the report cannot be read: the gateway {error}") from error
    if report is None:
        raise NotFound(f"there is no report of {name}")
    body = json_of(report, now, reveal=_reveal(request.query_params))
    return unless_known(request, Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json"))


@router.get(f"{EXPERIMENTS}/{{name}}")
async def experiment_page(request: Request, name: str, gateway: Source, now: Now) -> Response:
    if not is_name(name):
        return page(request, "absent.html", {"said": f"There is no experiment {name[:64]}."}, status=404)
    try:
        run = _run(request.query_params)
    except InvalidParameter as error:
        return page(request, "absent.html", {"said": f"{error.message}."}, status=error.status)
    try:
        report, runs = await _read(gateway, name, run)
        known = report is not None or (run is None and await gateway.experiment(name) is not None)
    except GatewayError as error:
        return _no_data(request, error)
    if report is None:
        if known:
            return page(request, "draft.html", {"name": name})
        said = f"There is no experiment {name}." if run is None else f"There is no run {run} of {name}."
        return page(request, "absent.html", {"said": said}, status=404)
    if report.experiment.state == "draft":
        return page(request, "draft.html", {"name": name})
    view = page_of(
        report, now, chosen=request.query_params.get("metric", ""), frozen=run is not None,
        reveal=_reveal(request.query_params), runs=runs[:LATEST_RUNS],
    )  # fmt: skip
    live = None if view.frozen else "experiment"
    return page(request, "experiment.html", {"one": view, "live": live})


async def _read(gateway: Gateway, name: str, run: int | None) -> tuple[Report | None, list[RunLine]]:
    """Without its list of runs a report can be shown all the same."""
    async with asyncio.TaskGroup() as group:
        runs = group.create_task(or_error(gateway.runs(name)))
        report = group.create_task(or_error(gateway.report(name, run)))
    found, listed = report.result(), runs.result()
    if isinstance(found, GatewayError):
        raise found
    lines = [] if isinstance(listed, GatewayError) else listed
    return found, sorted(lines, key=lambda line: line.run, reverse=True)


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
