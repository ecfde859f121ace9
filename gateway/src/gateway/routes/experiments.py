"""Experiments, their reports, and single exposures: feature-service's answers behind keys."""

from __future__ import annotations

from typing import Annotated

from chassis.errors import InvalidParameter
from contracts.experiments import SHIPPED, Edit, ExperimentPage, Name, Plan, RunningExperiments
from contracts.reports import ExperimentLine, Reach, Report, RunLine, SanityCheck
from contracts.wire import Exposure
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import needs
from gateway.forward import forward, respond
from gateway.routes.openapi import ADMINISTERED, ONE_OF_OURS, OURS, REPORT_CSV
from gateway.state import UpstreamsDep
from gateway.upstreams import Upstreams

EDIT_SECONDS = 5.0
REPORT_SECONDS = 15.0
"""A report that nobody stored is computed at once; ten million exposures take up to ten seconds."""

router = APIRouter(tags=["experiments"])
read = APIRouter(dependencies=[Depends(needs("read"))])

Named = Annotated[Name, Path(description="The experiment's name.", examples=["models"])]
Run = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="A stored analysis run; the newest if missing.")]
ExposureKey = Annotated[str, Path(pattern=r"^[\w-]{1,64}$", description="`X-Request-ID` of the answer.")]


@read.get("/running", response_model=RunningExperiments, responses=OURS)
async def running(request: Request, upstreams: UpstreamsDep) -> Response:
    """What every gateway splits users by: the running experiments, whose ranker serves the others, and the clock."""
    return await _read(request, upstreams, "/running")


@read.get("/experiments", response_model=list[ExperimentLine], responses=OURS)
async def experiments(request: Request, upstreams: UpstreamsDep) -> Response:
    """All of them, archived ones too."""
    return await _read(request, upstreams, "/experiments")


@read.get("/experiments/{name}", response_model=ExperimentPage, responses=ONE_OF_OURS)
async def experiment(request: Request, upstreams: UpstreamsDep, name: Named) -> Response:
    """The plan, what became of it, and every change with its reason."""
    return await _read(request, upstreams, f"/experiments/{name}")


@read.get("/experiments/{name}/reach", response_model=Reach, responses=ONE_OF_OURS)
async def reach(request: Request, upstreams: UpstreamsDep, name: Named) -> Response:
    """How many users and days an effect takes by this plan, and which effect it can show."""
    return await _read(request, upstreams, f"/experiments/{name}/reach")


@read.get("/experiments/{name}/runs", response_model=list[RunLine], responses=ONE_OF_OURS)
async def runs(request: Request, upstreams: UpstreamsDep, name: Named) -> Response:
    """The stored analysis runs."""
    return await _read(request, upstreams, f"/experiments/{name}/runs")


@read.get("/experiments/{name}/report", response_model=Report, responses=ONE_OF_OURS)
async def report(request: Request, upstreams: UpstreamsDep, name: Named, run: Run = None) -> Response:
    """Of a stored run; computed at once where there is none yet."""
    return await _read(request, upstreams, f"/experiments/{name}/report", run)


@read.get("/experiments/{name}/report.csv", response_class=Response, responses=REPORT_CSV)
async def report_csv(request: Request, upstreams: UpstreamsDep, name: Named, run: Run = None) -> Response:
    """The same as a table."""
    answer = await _read(request, upstreams, f"/experiments/{name}/report.csv", run)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


@read.get("/sanity", response_model=list[SanityCheck], responses=OURS)
async def sanity(request: Request, upstreams: UpstreamsDep) -> Response:
    """Each night's A/A of the platform's own traffic, newest first: random halves of the same users must not differ."""
    return await _read(request, upstreams, "/sanity")


@read.get("/exposures/{key}", response_model=Exposure, responses=ONE_OF_OURS)
async def exposure(request: Request, upstreams: UpstreamsDep, key: ExposureKey) -> Response:
    """What was served and why, as it was recorded."""
    return await _read(request, upstreams, f"/exposures/{key}")


@router.put(
    "/experiments/{name}",
    response_model=ExperimentPage,
    responses=ADMINISTERED,
    dependencies=[Depends(needs("administer"))],
)
async def edit(request: Request, upstreams: UpstreamsDep, name: Named, edit: Edit) -> Response:
    """Plans, starts, changes, stops, decides or archives. Every gateway follows within two seconds."""
    if edit.plan is not None:
        _refuse_unknown_rankers(edit.plan, upstreams)
    body = edit.model_dump_json(exclude_unset=True).encode()
    edits = upstreams.administration.within(EDIT_SECONDS)
    return respond(await forward(request, edits, "PUT", f"/experiments/{name}", body))


def _refuse_unknown_rankers(plan: Plan, upstreams: Upstreams) -> None:
    known = {*upstreams.rankers, SHIPPED}
    if unknown := [f"{group}: {ranker}" for group, ranker in plan.rankers.items() if ranker not in known]:
        raise InvalidParameter(
            f"plan.rankers: {unknown[0]}, a ranker that this gateway does not know; there are "
            f"{', '.join(upstreams.rankers)}; GATEWAY_MORE_RANKERS names others",
            field="plan.rankers",
        )


async def _read(request: Request, upstreams: Upstreams, path: str, run: int | None = None) -> Response:
    params = {"run": run} if run is not None else None
    reports = upstreams.administration.within(REPORT_SECONDS)
    return respond(await forward(request, reports, "GET", path, params=params))


router.include_router(read)
