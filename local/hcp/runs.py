"""The endpoints of configuration versions and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.hcp import resources
from local.hcp.errors import ApiError, conflict, invalid
from local.hcp.routes import Reply, Request, one, page, route
from local.hcp.store import Configuration, Phase, Run, new_id, now

if TYPE_CHECKING:
    from local.hcp.store import Store

LARGEST_MESSAGE = 10_000
MESSAGE = "Queued manually via the Terraform Enterprise API"
LISTED = "plan_and_apply,destroy"
"""The operations of which runs are listed without a filter."""


@route("POST", "/workspaces/*/configuration-versions")
def create_configuration(request: Request, workspace: str) -> Reply:
    store = request.server.store
    store.workspace(workspace)
    if request.attributes.get("auto-queue-runs", True):
        raise invalid("This test server does not queue runs by itself", "auto-queue-runs")
    id_ = new_id("cv")
    made = Configuration(id_, workspace, store.folder / f"{id_}.tar.gz")
    store.configurations[id_] = made
    url = f"{request.server.address}/_upload/{made.secret}"
    return one(resources.configuration(made, url=url), 201)


@route("GET", "/configuration-versions/*")
def show_configuration(request: Request, id_: str) -> Reply:
    found = request.server.store.configurations.get(id_)
    if found is None:
        raise ApiError(404, "not found")
    if found.status == "pending" and found.archive.exists():
        found.status = "uploaded"
        shown = resources.configuration(found)
        shown["attributes"]["status"] = "pending"  # unpacking takes its time
        return one(shown)
    return one(resources.configuration(found))


def uploaded(store: Store, secret: str, body: bytes) -> Reply:
    for each in store.configurations.values():
        if each.secret == secret and not each.archive.exists():
            each.archive.write_bytes(body)
            return Reply(200)
    raise ApiError(404, "not found")


def log(store: Store, secret: str, offset: int, limit: int) -> Reply:
    for run in store.runs.values():
        for phase in (run.plan, run.apply):
            if phase.secret == secret:
                body = phase.log.read_bytes() if phase.log.exists() else b""
                return Reply(200, raw=body[offset : offset + limit])
    raise ApiError(404, "not found")


# ---- runs ---------------------------------------------------------------------------------------


@route("POST", "/runs")
def create_run(request: Request) -> Reply:
    store, given = request.server.store, request.attributes
    workspace = store.workspace(request.related("workspace"))
    configuration = store.configurations.get(request.related("configuration-version"))
    if configuration is None:
        used = [run.configuration for run in store.runs_of(workspace.id)]
        if not used:
            raise invalid("Configuration version is missing")
        configuration = store.configurations[used[-1]]
    if configuration.status != "uploaded":
        raise invalid("Configuration version is not uploaded yet")
    if workspace.attributes["execution-mode"] == "local":
        raise invalid("The workspace's execution mode is local")
    if len(str(given.get("message", ""))) > LARGEST_MESSAGE:
        raise invalid("Message is too long", "message")
    id_ = new_id("run")
    folder = store.folder / "runs" / id_
    folder.mkdir(parents=True)
    made = Run(
        id=id_,
        workspace=workspace.id,
        configuration=configuration.id,
        attributes={
            "message": given.get("message", MESSAGE),
            "auto-apply": bool(given.get("auto-apply", workspace.attributes["auto-apply"])),
            "plan-only": bool(given.get("plan-only", False)),
            "is-destroy": bool(given.get("is-destroy", False)),
        },
        variables={each["key"]: each["value"] for each in given.get("variables", [])},
        by=request.user,
        folder=folder,
        plan=Phase(new_id("plan"), folder / "plan.log"),
        apply=Phase(new_id("apply"), folder / "apply.log"),
    )
    store.runs[id_] = made
    request.server.engine.queue(made)
    return one(resources.run(made), 201)


@route("GET", "/workspaces/*/runs")
def list_runs(request: Request, workspace: str) -> Reply:
    store, text = request.server.store, request.query.get("search[basic]", "")
    store.workspace(workspace)
    found = [
        resources.run(run)
        for run in reversed(store.runs_of(workspace))
        if (text in run.attributes["message"] or text == run.id)
        and _operation(run) in request.query.get("filter[operation]", LISTED).split(",")
    ]
    return page(request, found)


def _operation(run: Run) -> str:
    if run.attributes["plan-only"]:
        return "plan_only"
    return "destroy" if run.attributes["is-destroy"] else "plan_and_apply"


@route("GET", "/runs/*")
def show_run(request: Request, id_: str) -> Reply:
    run, address = request.server.store.run(id_), request.server.address
    wanted = request.query.get("include", "").split(",")
    phases = (("plan", run.plan, "plans"), ("apply", run.apply, "applies"))
    included = [resources.phase(p, kind, address) for name, p, kind in phases if name in wanted]
    return one(resources.run(run), included=included)


@route("GET", "/plans/*")
def show_plan(request: Request, id_: str) -> Reply:
    return _phase(request, id_, "plans")


@route("GET", "/applies/*")
def show_apply(request: Request, id_: str) -> Reply:
    return _phase(request, id_, "applies")


def _phase(request: Request, id_: str, kind: str) -> Reply:
    for run in request.server.store.runs.values():
        phase = run.plan if kind == "plans" else run.apply
        if phase.id == id_:
            return one(resources.phase(phase, kind, request.server.address))
    raise ApiError(404, "not found")


@route("POST", "/runs/*/actions/*")
def act(request: Request, id_: str, action: str) -> Reply:
    """Each is done in the background."""
    run = request.server.store.run(id_)
    match action:
        case "apply" if run.is_confirmable:
            run.confirmed = True
        case "discard" if run.is_confirmable or run.status == "pending":
            run.status = "discarded"
            run.times["discarded-at"] = now()
        case "cancel" if run.status in ("plan_queued", "planning", "apply_queued", "applying"):
            request.server.engine.interrupt(run)
        case "apply" | "discard" | "cancel" | "force-cancel":
            raise conflict(f"transition not allowed: {action} of a run that is {run.status}")
        case _:
            raise ApiError(404, "not found")
    request.server.store.changed.notify_all()
    return Reply(202)
