"""The addresses of the editor. Draft, review, apply; each post carries the session's token against forgery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import structlog
from contracts import numbers
from contracts.experiments import Edit, Experiment, ExperimentPage, Plan, RunningExperiments
from contracts.names import GUARDRAILS
from contracts.reports import Reach, Report
from fastapi import APIRouter, Form
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.editor.draft import DraftError, Fault, field_of, plan_of
from console.editor.form import DECISION, MOST_GUARDRAILS, beside_of, blocks_of, default_form, form_of, guard_rows
from console.editor.review import Review, acts, reason_of, review_act, review_plan
from console.editor.sessions import COOKIE, LIFETIME_SECONDS, EditorSession, Sessions, SessionsDep
from console.experiment.drafts import reach_of
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
        return ask_key(request, to, "This form came from elsewhere. Enter the key here.", 403)
    if not key.strip().isascii() or not key.strip().isprintable():
        return ask_key(request, to, "This key does not open the editor.", 403)
    try:
        known = bool(key.strip()) and await gateway.is_admin(key.strip())
    except GatewayError as error:
        return ask_key(request, to, f"The key cannot be checked now: the gateway {error}.", 503)
    if not known:
        log.warning("editor_key_refused")
        return ask_key(request, to, "This key does not open the editor.", 403)
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
        await posted(request, sessions)
    except FormRefused as error:
        return error.page
    sessions.close(request.cookies.get(COOKIE))
    response = RedirectResponse(EXPERIMENTS, 303)
    secure = settings.secure_cookies or request.url.scheme == "https"
    response.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict", secure=secure)
    return response


@router.get(f"{EXPERIMENTS}/{NEW}")
async def new_page(request: Request, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return ask_key(request, request.url.path)
    running = await _running(gateway)
    like = next((one.name for one in running.experiments), None)
    reach = await or_error(gateway.reach(like)) if like else None
    form = _kept(request, session)
    faults = await _faults_of_new(gateway, form, now) if form and "faulty" in request.query_params else []
    return _draft(
        request, session, None, form or default_form(running.experiments), faults, beside=running,
        reach=reach if isinstance(reach, Reach) else None, by=f"By the plan of {like}; a saved draft shows its own.",
    )  # fmt: skip


@router.get(f"{EXPERIMENTS}/{{name}}/edit")
async def edit_page(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return ask_key(request, request.url.path)
    try:
        seen = await _seen(gateway, name, now)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    if seen is None:
        return _unknown(request, name)
    form, before = _kept(request, session), seen.experiment
    faults = _faults(lambda: seen.review(form)) if form and "faulty" in request.query_params else []
    reach = await or_error(gateway.reach(name)) if before.state == "draft" else None
    shown = form if form and "act" not in form else form_of(before.plan) | (form or {})
    return _draft(request, session, before, shown, faults, reach=reach if isinstance(reach, Reach) else None)


@router.post(f"{EXPERIMENTS}/{NEW}")
async def send_new(request: Request, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    try:
        session, form = await posted(request, sessions)
        faulty = await _faults_of_new(gateway, form, now)
    except FormRefused as error:
        return error.page
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    return _next(session, form, NEW if faulty else form["name"].strip(), NEW, bool(faulty))


@router.post(f"{EXPERIMENTS}/{{name}}/edit")
async def send_edit(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    try:
        session, form = await posted(request, sessions)
        seen = await _seen(gateway, name, now)
    except FormRefused as error:
        return error.page
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    if seen is None:
        return _unknown(request, name)
    if form.get("revision") != str(seen.experiment.revision):
        return _late(request, seen.page)
    return _next(session, form, name, f"{name}/edit", bool(_faults(lambda: seen.review(form))))


@router.get(f"{EXPERIMENTS}/{{name}}/review")
async def review_page(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep, now: NowDep) -> Response:
    """An address of its own, so that one can go back to the draft and forth again."""
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return ask_key(request, f"{EXPERIMENTS}/{name}/edit")
    if (form := _kept(request, session)) is None or not is_name(name):
        return RedirectResponse(EXPERIMENTS, 303)
    try:
        seen = await _seen(gateway, name, now)
        if seen is None:
            running = await _running(gateway)
            moment = running.clock.at(now)
            review = review_plan(name, None, plan_of_both(form, None), form, None, moment, running.experiments)
        else:
            review = seen.review(form)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    except DraftError:
        return RedirectResponse(f"{EXPERIMENTS}/{name}/edit", 303)
    return _review(request, session, review, draft=request.query_params["draft"])


@router.post(f"{EXPERIMENTS}/{{name}}/apply")
async def apply(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep) -> Response:
    try:
        session, form = await posted(request, sessions)
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
        return _review(request, session, shown, f"Type {name} to confirm.", draft=form.get("draft", ""))
    try:
        await gateway.change(name, edit, session.key)
    except KeyRefused:
        sessions.close(request.cookies.get(COOKIE))
        return ask_key(request, f"{EXPERIMENTS}/{name}/edit", "The key does not open the editor any more.", 403)
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
    fault = Fault(field_of((refused.field or "reason").split("."), str(refused)), str(refused))
    status = 409 if refused.is_late else 422
    return _draft(request, session, known.experiment if known else None, form, [fault], status=status)


async def posted(request: Request, sessions: Sessions) -> tuple[EditorSession, dict[str, str]]:
    """The session and the form. Raises FormRefused without a session, its token, or from another origin."""
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise FormRefused(page(request, "absent.html", {"said": "The form is too large."}, status=413))
    back = request.url.path.removesuffix("/apply")
    back = f"{back}/edit" if request.url.path.endswith("/apply") else back
    back = EXPERIMENTS if back == SIGN_OUT else back
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        raise FormRefused(ask_key(request, back, "The editor’s session is over. Nothing was changed.", 403))
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    if not _is_ours(request) or not session.owns(form.get("csrf", "")):
        raise FormRefused(ask_key(request, back, "This form came from elsewhere. Nothing was changed.", 403))
    return session, form


def _is_ours(request: Request) -> bool:
    """A browser says whether a form comes from another site, except over plain HTTP: there the token alone protects.

    Not by `Origin` and `Host`: a proxy may have changed the latter.
    """
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def _experiment(gateway: Gateway, name: str) -> ExperimentPage | None:
    return await gateway.experiment(name) if is_name(name) else None


@dataclass(frozen=True, slots=True)
class Seen:
    """An experiment as it is, beside the others. moment: the platform's time."""

    page: ExperimentPage
    report: Report | None
    others: list[Experiment]
    moment: datetime

    @property
    def experiment(self) -> Experiment:
        return self.page.experiment

    def review(self, form: Mapping[str, str]) -> Review:
        """Raises DraftError."""
        before = self.experiment
        if "act" in form:
            return review_act(before, form["act"], form, self.report, self.moment, self.others)
        plan = plan_of_both(form, before)
        return review_plan(before.name, before, plan, form, self.report, self.moment, self.others)


async def _seen(gateway: Gateway, name: str, now: datetime) -> Seen | None:
    """None for no experiment of this name. Raises GatewayError."""
    async with asyncio.TaskGroup() as group:
        page_ = group.create_task(or_error(_experiment(gateway, name)))
        report = group.create_task(or_error(gateway.report(name)))
        running = group.create_task(_running(gateway))
    current, read = page_.result(), report.result()
    if isinstance(current, GatewayError):
        raise current
    if current is None:
        return None
    others = [one for one in running.result().experiments if one.name != name]
    return Seen(current, read if isinstance(read, Report) else None, others, running.result().clock.at(now))


async def _running(gateway: Gateway) -> RunningExperiments:
    """None of them where the gateway does not say: the platform itself refuses what cannot start."""
    running = await or_error(gateway.running())
    return RunningExperiments() if isinstance(running, GatewayError) else running


def plan_of_both(form: Mapping[str, str], before: Experiment | None) -> Plan:
    """The plan, once the reason is there too. Raises DraftError with the faults of both."""
    faults = _faults(lambda: reason_of(form))
    try:
        plan = plan_of(form, before)
    except DraftError as error:
        raise DraftError([*error.faults, *faults]) from error
    if faults:
        raise DraftError(faults)
    return plan


async def _faults_of_new(gateway: Gateway, form: Mapping[str, str], now: datetime) -> list[Fault]:
    """Raises GatewayError."""
    name = form.get("name", "").strip()
    faults = _faults(lambda: plan_of_both(form, None))
    if not is_name(name) or name == NEW:
        said = "a name has lower-case letters, digits and hyphens, and begins with a letter"
        return [Fault("name", said), *faults]
    if await gateway.experiment(name) is not None:
        return [Fault("name", f"there is an experiment {name} already"), *faults]
    return faults


def _faults(attempt: Callable[[], object]) -> list[Fault]:
    try:
        attempt()
    except DraftError as error:
        return error.faults
    return []


def _kept(request: Request, session: EditorSession) -> dict[str, str] | None:
    """What was typed into the draft that the address names."""
    return session.drafts.get(request.query_params.get("draft", ""))


def _next(session: EditorSession, form: Mapping[str, str], name: str, back: str, faulty: bool) -> Response:
    """To the review, or back to the draft: pages with an address, so that a browser's Back asks for nothing again."""
    draft = session.keep(form)
    to = f"{back}?draft={draft}&faulty=1" if faulty else f"{name}/review?draft={draft}"
    return RedirectResponse(f"{EXPERIMENTS}/{to}", 303)


def _unknown(request: Request, name: str) -> Response:
    return page(request, "absent.html", {"said": f"There is no experiment {name[:64]}."}, status=404)


def ask_key(request: Request, back: str, fault: str | None = None, status: int = 200) -> Response:
    return page(request, "key.html", {"back": back, "fault": fault, "action": SIGN_IN}, status=status)


def _draft(
    request: Request, session: EditorSession, experiment: Experiment | None, form: Mapping[str, str],
    faults: Sequence[Fault] = (), *, status: int = 422, reach: Reach | None = None,
    beside: RunningExperiments | None = None, by: str = "By the plan as it was last saved.",
) -> Response:  # fmt: skip
    running = experiment is not None and experiment.state == "running"
    over = experiment is not None and experiment.state in ("stopped", "archived")
    blocks = blocks_of(form, running)
    labels = {field.name: field.label for block in blocks for field in block.fields}
    values = {
        "experiment": experiment,
        "form": dict(form),
        "blocks": blocks,
        "decision_block": DECISION,
        "guards": guard_rows(form),
        "guard_names": GUARDRAILS,
        "running": running,
        "over": over,
        "acts": acts(experiment),
        "csrf": session.csrf,
        "sign_out": SIGN_OUT,
        "faults": [(fault.field, labels.get(fault.field, _label(fault.field)), fault.message) for fault in faults],
        "guard_fields": {f"guard_{place}_{part}" for place in range(MOST_GUARDRAILS) for part in ("limit", "over_ms")},
        "faulty": {fault.field for fault in faults},
        "reach": reach_of(reach) if reach else None,
        "by": by,
        "beside": beside_of(beside.experiments) if beside else None,
    }
    return page(request, "draft_form.html", values, status=status if faults else 200)


def _label(field: str) -> str:
    return field.replace("_", " ").capitalize()


def _review(
    request: Request, session: EditorSession, review: Review, fault: str | None = None, *, draft: str = ""
) -> Response:
    back = f"{EXPERIMENTS}/{NEW if review.is_new else f'{review.name}/edit'}?draft={draft}"
    values = {
        "one": review, "kept": review.model_dump_json(), "csrf": session.csrf, "fault": fault, "draft": draft,
        "back": back,
    }  # fmt: skip
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
