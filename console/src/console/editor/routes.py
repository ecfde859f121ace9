"""The addresses of the editor. Draft, review, apply; each post carries the session's token against forgery."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import structlog
from contracts import numbers
from contracts.experiments import Edit, Experiment, ExperimentPage
from contracts.names import GUARDRAILS
from contracts.reports import Report
from fastapi import APIRouter, Form
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.editor.draft import DraftError, field_of, plan_of
from console.editor.form import blocks_of, default_form, form_of, guard_rows
from console.editor.review import Review, acts, review_act, review_plan
from console.editor.sessions import COOKIE, LIFETIME_SECONDS, EditorSession, Sessions, SessionsDep
from console.experiment.routes import is_name
from console.frame import EXPERIMENTS, page
from console.gateway import ChangeRefused, Gateway, GatewayError, KeyRefused, or_error, unreadable
from console.state import GatewayDep, NowDep, SettingsDep

NEW = "new"
"""The page of a new experiment; no experiment may have this name."""
SIGN_IN, SIGN_OUT = "/console/editor/session", "/console/editor/leave"
MOST_BYTES = 300_000

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)


class FormRefused(Exception):
    """page: says why."""

    def __init__(self, page: Response) -> None:
        super().__init__()
        self.page = page


@router.post(SIGN_IN)
async def sign_in(
    request: Request, gateway: GatewayDep, sessions: SessionsDep, settings: SettingsDep,
    key: Annotated[str, Form()] = "", back: Annotated[str, Form()] = EXPERIMENTS,
) -> Response:  # fmt: skip
    to = back if back.startswith("/console/") and "\\" not in back else EXPERIMENTS
    if not _is_ours(request):
        return _ask_key(request, to, "This form came from elsewhere. Enter the key here.", 403)
    if not key.strip().isascii() or not key.strip().isprintable():
        return _ask_key(request, to, "This key does not open the editor.", 403)
    try:
        known = bool(key.strip()) and await gateway.is_admin(key.strip())
    except GatewayError as error:
        return _ask_key(request, to, f"The key cannot be checked now: the gateway {error}.", 503)
    if not known:
        log.warning("editor_key_refused")
        return _ask_key(request, to, "This key does not open the editor.", 403)
    log.info("editor_opened")
    response = RedirectResponse(to, 303)
    response.set_cookie(
        COOKIE, sessions.open(key.strip()), max_age=LIFETIME_SECONDS, path="/console", httponly=True,
        samesite="strict", secure=settings.secure_cookies or request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.post(SIGN_OUT)
async def sign_out(request: Request, sessions: SessionsDep, settings: SettingsDep) -> Response:
    try:
        await _posted(request, sessions)
    except FormRefused as error:
        return error.page
    sessions.close(request.cookies.get(COOKIE))
    response = RedirectResponse(EXPERIMENTS, 303)
    secure = settings.secure_cookies or request.url.scheme == "https"
    response.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict", secure=secure)
    return response


@router.get(f"{EXPERIMENTS}/{NEW}")
async def new_page(request: Request, sessions: SessionsDep) -> Response:
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return _ask_key(request, request.url.path)
    return _draft(request, session, None, default_form())


@router.get(f"{EXPERIMENTS}/{{name}}/edit")
async def edit_page(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep) -> Response:
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return _ask_key(request, request.url.path)
    try:
        known = await _experiment(gateway, name)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    if known is None:
        return page(request, "absent.html", {"said": f"There is no experiment {name[:64]}."}, status=404)
    return _draft(request, session, known.experiment, form_of(known.experiment.plan))


@router.post(f"{EXPERIMENTS}/{NEW}")
async def review_new(request: Request, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    try:
        session, form = await _posted(request, sessions)
        name = form.get("name", "").strip()
        if not is_name(name) or name == NEW:
            raise DraftError("name", "a name has lower-case letters, digits and hyphens, and begins with a letter")
        if await gateway.experiment(name) is not None:
            raise DraftError("name", f"there is an experiment {name} already")
        review = review_plan(name, None, plan_of(form, None), form, None, now)
    except FormRefused as error:
        return error.page
    except DraftError as error:
        return _draft(request, session, None, form, error)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    return _review(request, session, review)


@router.post(f"{EXPERIMENTS}/{{name}}/edit")
async def review_edit(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    try:
        session, form = await _posted(request, sessions)
        known, report = await _with_report(gateway, name)
    except FormRefused as error:
        return error.page
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    if known is None:
        return page(request, "absent.html", {"said": f"There is no experiment {name[:64]}."}, status=404)
    before = known.experiment
    if form.get("revision") != str(before.revision):
        return _late(request, known)
    moment = report.at if report is not None else now
    try:
        if "act" in form:
            review = review_act(before, form["act"], form, report, moment)
        else:
            review = review_plan(name, before, plan_of(form, before), form, report, moment)
    except DraftError as error:
        typed = form if "act" not in form else form_of(before.plan) | form
        return _draft(request, session, before, typed, error)
    return _review(request, session, review)


@router.post(f"{EXPERIMENTS}/{{name}}/apply")
async def apply(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep) -> Response:
    try:
        session, form = await _posted(request, sessions)
    except FormRefused as error:
        return error.page
    try:
        edit = Edit.model_validate_json(form.get("edit", ""))
    except ValidationError:
        return page(
            request, "absent.html", {"said": "This review cannot be read: start again from the draft."}, status=422
        )
    shown = Review.model_validate_json(form["review"]) if _is_review(form.get("review", "")) else None
    if form.get("confirm", "").strip() != name or not is_name(name):
        if shown is None:
            return page(
                request, "absent.html", {"said": "This review cannot be read: start again from the draft."}, status=422
            )
        return _review(request, session, shown, f"Type {name} to confirm.")
    try:
        await gateway.change(name, edit, session.key)
    except KeyRefused:
        sessions.close(request.cookies.get(COOKIE))
        return _ask_key(request, f"{EXPERIMENTS}/{name}/edit", "The key does not open the editor any more.", 403)
    except ChangeRefused as refused:
        return await _refused(request, gateway, session, name, edit, refused)
    except GatewayError as error:
        return page(
            request,
            "unreadable.html",
            {"said": f"Nothing was changed, as far as is known. {unreadable(error)}"},
            status=503,
        )
    log.info("experiment_changed", experiment=name, by=edit.by, reason=edit.reason)
    return RedirectResponse(f"{EXPERIMENTS}/{name}", 303)


async def _refused(
    request: Request, gateway: Gateway, session: EditorSession, name: str, edit: Edit, refused: ChangeRefused
) -> Response:
    """A late save gets its own page; whatever else was refused goes back to the draft with the reason."""
    current = await or_error(_experiment(gateway, name))
    known = current if isinstance(current, ExperimentPage) else None
    if refused.is_late and known is not None and known.experiment.revision != edit.revision:
        return _late(request, known)
    form = form_of(edit.plan) if edit.plan else form_of(known.experiment.plan) if known else default_form()
    form |= {"reason": edit.reason, "by": edit.by, "name": name}
    error = DraftError(field_of((refused.field or "reason").split("."), str(refused)), str(refused))
    return _draft(request, session, known.experiment if known else None, form, error, 409 if refused.is_late else 422)


async def _posted(request: Request, sessions: Sessions) -> tuple[EditorSession, dict[str, str]]:
    """The session and the form. Raises FormRefused without a session, its token, or from another origin."""
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise FormRefused(page(request, "absent.html", {"said": "The form is too large."}, status=413))
    back = request.url.path.removesuffix("/apply")
    back = f"{back}/edit" if request.url.path.endswith("/apply") else back
    back = EXPERIMENTS if back == SIGN_OUT else back
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        raise FormRefused(_ask_key(request, back, "The editor’s session is over. Nothing was changed.", 403))
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    if not _is_ours(request) or not session.owns(form.get("csrf", "")):
        raise FormRefused(_ask_key(request, back, "This form came from elsewhere. Nothing was changed.", 403))
    return session, form


def _is_ours(request: Request) -> bool:
    """A browser says whether a form comes from another site, except over plain HTTP: there the token alone protects.

    Not by `Origin` and `Host`: a proxy may have changed the latter.
    """
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def _experiment(gateway: Gateway, name: str) -> ExperimentPage | None:
    return await gateway.experiment(name) if is_name(name) else None


async def _with_report(gateway: Gateway, name: str) -> tuple[ExperimentPage | None, Report | None]:
    async with asyncio.TaskGroup() as group:
        page_ = group.create_task(or_error(_experiment(gateway, name)))
        report = group.create_task(or_error(gateway.report(name)))
    current, read = page_.result(), report.result()
    if isinstance(current, GatewayError):
        raise current
    return current, read if isinstance(read, Report) else None


def _ask_key(request: Request, back: str, fault: str | None = None, status: int = 200) -> Response:
    return page(request, "key.html", {"back": back, "fault": fault, "action": SIGN_IN}, status=status)


def _draft(
    request: Request, session: EditorSession, experiment: Experiment | None, form: Mapping[str, str],
    error: DraftError | None = None, status: int = 422,
) -> Response:  # fmt: skip
    running = experiment is not None and experiment.state == "running"
    over = experiment is not None and experiment.state in ("stopped", "archived")
    values = {
        "experiment": experiment,
        "form": dict(form),
        "blocks": blocks_of(form, running),
        "guards": guard_rows(form),
        "guard_names": GUARDRAILS,
        "running": running,
        "over": over,
        "acts": acts(experiment),
        "csrf": session.csrf,
        "sign_out": SIGN_OUT,
        "error": error,
    }
    return page(request, "draft_form.html", values, status=status if error else 200)


def _review(request: Request, session: EditorSession, review: Review, fault: str | None = None) -> Response:
    values = {"one": review, "kept": review.model_dump_json(), "csrf": session.csrf, "fault": fault}
    return page(request, "review.html", values, status=422 if fault else 200)


def _late(request: Request, current: ExperimentPage) -> Response:
    at: datetime | None = max((change.at for change in current.history), default=None)
    when = f" at {numbers.clock(at).removesuffix(' UTC')}" if at else ""
    values = {"name": current.experiment.name, "said": f"Someone changed this{when}. Reload to see it."}
    return page(request, "late.html", values, status=409)


def _is_review(given: str) -> bool:
    try:
        Review.model_validate_json(given)
    except ValidationError:
        return False
    return True
