"""Experiments, their reports, and single exposures: feature-service's answers behind keys."""

from __future__ import annotations

from typing import Annotated

from contracts.experiments import Edit, ExperimentPage, Name, Running
from contracts.reports import ExperimentLine, Report, RunLine
from contracts.wire import Exposure
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import require_admin_key, require_key
from gateway.describing import ADMINISTERED, ONE_OF_OURS, OURS, REPORT_CSV
from gateway.proxy import handed_back, handed_on

EDIT_SECONDS = 5.0
REPORT_SECONDS = 15.0
"""A report that nobody stored is computed at once; ten million exposures take up to ten seconds."""

router = APIRouter(tags=["experiments"])
read = APIRouter(dependencies=[Depends(require_key)])

Named = Annotated[Name, Path(description="The experiment's name.", examples=["models"])]
Run = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="A stored analysis run; the newest if missing.")]
ExposureKey = Annotated[str, Path(pattern=r"^[\w-]{1,64}$", description="`X-Request-ID` of the answer.")]


@read.get("/running", response_model=Running, responses=OURS)
async def running(request: Request) -> Response:
    """By what every gateway splits users: the running experiments, whose ranker serves the others, and the platform's clock."""
    return await _handed(request, "/running")


@read.get("/experiments", response_model=list[ExperimentLine], responses=OURS)
async def experiments(request: Request) -> Response:
    """All of them, archived ones too."""
    return await _handed(request, "/experiments")


@read.get("/experiments/{name}", response_model=ExperimentPage, responses=ONE_OF_OURS)
async def experiment(request: Request, name: Named) -> Response:
    """The plan, what became of it, and every change with its reason."""
    return await _handed(request, f"/experiments/{name}")


@read.get("/experiments/{name}/runs", response_model=list[RunLine], responses=ONE_OF_OURS)
async def runs(request: Request, name: Named) -> Response:
    """The stored analysis runs."""
    return await _handed(request, f"/experiments/{name}/runs")


@read.get("/experiments/{name}/report", response_model=Report, responses=ONE_OF_OURS)
async def report(request: Request, name: Named, run: Run = None) -> Response:
    """Of a stored run; computed at once where there is none yet."""
    return await _handed(request, f"/experiments/{name}/report", run)


@read.get("/experiments/{name}/report.csv", response_class=Response, responses=REPORT_CSV)
async def report_csv(request: Request, name: Named, run: Run = None) -> Response:
    """The same as a table."""
    answer = await _handed(request, f"/experiments/{name}/report.csv", run)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


@read.get("/exposures/{key}", response_model=Exposure, responses=ONE_OF_OURS)
async def exposure(request: Request, key: ExposureKey) -> Response:
    """What was served and why, as it was recorded."""
    return await _handed(request, f"/exposures/{key}")


@router.put(
    "/experiments/{name}",
    response_model=ExperimentPage,
    responses=ADMINISTERED,
    dependencies=[Depends(require_admin_key)],
)
async def edit(request: Request, name: Named, edit: Edit) -> Response:
    """Plans, starts, changes, stops, decides or archives. Every gateway follows within two seconds."""
    body = edit.model_dump_json(exclude_unset=True).encode()
    path = f"/experiments/{name}"
    return handed_back(await handed_on(request, "administration", "PUT", path, body, seconds=EDIT_SECONDS))


async def _handed(request: Request, path: str, run: int | None = None) -> Response:
    params = {"run": run} if run is not None else None
    return handed_back(await handed_on(request, "administration", "GET", path, params=params, seconds=REPORT_SECONDS))


router.include_router(read)
