"""The endpoints of workspaces: their settings, tags, locks, variables, notifications, outputs."""

from __future__ import annotations

import json
import re
from typing import Any

from local.hcp import resources
from local.hcp.errors import ApiError, conflict, invalid, not_found
from local.hcp.notifications import send, verification
from local.hcp.routes import Reply, Request, one, page, route
from local.hcp.store import Workspace, new_id

NAME = re.compile(r"[A-Za-z0-9_-]+")
MODES = ("remote", "local", "agent")
LARGEST_VALUE, LONGEST_KEY = 256_000, 128
DEFAULTS: dict[str, Any] = {
    "auto-apply": False,
    "execution-mode": "remote",
    "terraform-version": "1.11.4",
    "description": None,
    "source-name": None,
    "vcs-repo": None,
}


@route("GET", "/organizations/*/workspaces")
def list_workspaces(request: Request, organization: str) -> Reply:
    name = request.query.get("search[name]", "")
    tags = {tag for tag in request.query.get("search[tags]", "").split(",") if tag}
    found = [
        resources.workspace(each)
        for each in request.server.store.workspaces.values()
        if each.organization == organization and name in each.name and tags <= {*each.tags}
    ]
    return page(request, found)


@route("POST", "/organizations/*/workspaces")
def create_workspace(request: Request, organization: str) -> Reply:
    store, given = request.server.store, request.attributes
    name = str(given.get("name", ""))
    if not NAME.fullmatch(name):
        raise invalid("Name can only include letters, numbers, -, and _.", "name")
    if store.named(organization, name):
        raise invalid("Name has already been taken", "name")
    id_ = new_id("ws")
    made = Workspace(id_, organization, {**DEFAULTS, "name": name}, store.folder / id_)
    _set(request, made)
    made.folder.mkdir(parents=True)
    store.workspaces[id_] = made
    return one(resources.workspace(made), 201)


def _set(request: Request, workspace: Workspace) -> None:
    given = request.attributes
    known = {name: given[name] for name in (*DEFAULTS, "name") if name in given}
    mode = known.get("execution-mode", workspace.attributes["execution-mode"])
    pool = str(given.get("agent-pool-id") or "")
    if mode not in MODES:
        raise invalid("Execution mode is not included in the list", "execution-mode")
    if (mode == "agent") != bool(pool or (workspace.agent_pool and "execution-mode" not in given)):
        raise invalid("Agent pool must be set if and only if the execution mode is agent")
    if pool and pool not in request.server.store.agent_pools:
        raise invalid("Agent pool does not exist", "agent-pool-id")
    workspace.agent_pool = pool or workspace.agent_pool
    workspace.attributes.update(known)


@route("GET", "/organizations/*/workspaces/*")
def show_named(request: Request, organization: str, name: str) -> Reply:
    found = request.server.store.named(organization, name)
    if found is None:
        raise not_found()
    return one(resources.workspace(found))


@route("GET", "/workspaces/*")
def show(request: Request, workspace: str) -> Reply:
    return one(resources.workspace(request.server.store.workspace(workspace)))


@route("PATCH", "/workspaces/*")
def update(request: Request, workspace: str) -> Reply:
    found = request.server.store.workspace(workspace)
    _set(request, found)
    return one(resources.workspace(found))


@route("DELETE", "/workspaces/*")
def delete(request: Request, workspace: str) -> Reply:
    request.server.store.workspace(workspace)
    del request.server.store.workspaces[workspace]
    return Reply(204)


@route("GET", "/organizations/*/agent-pools")
def agent_pools(request: Request, _organization: str) -> Reply:
    found = [
        {"id": id_, "type": "agent-pools", "attributes": {"name": name}}
        for id_, name in request.server.store.agent_pools.items()
        if request.query.get("q", "") in name
    ]
    return page(request, found)


# ---- locks and tags -----------------------------------------------------------------------------


@route("POST", "/workspaces/*/actions/*")
def lock(request: Request, workspace: str, action: str) -> Reply:
    found = request.server.store.workspace(workspace)
    match action:
        case "lock" if found.locked_by is None:
            found.locked_by = ("users", request.user)
        case "unlock" if found.locked_by == ("users", request.user):
            found.locked_by = None
        case "force-unlock" if found.locked_by is not None:
            found.locked_by = None
        case "lock" | "unlock" | "force-unlock":
            raise conflict(f"Unable to {action} workspace. The workspace's lock is not like that.")
        case _:
            raise not_found()
    request.server.store.changed.notify_all()
    return one(resources.workspace(found))


@route("GET", "/workspaces/*/relationships/tags")
def tags(request: Request, workspace: str) -> Reply:
    found = request.server.store.workspace(workspace).tags
    return page(request, [{"type": "tags", "attributes": {"name": name}} for name in found])


@route("POST", "/workspaces/*/relationships/tags")
def add_tags(request: Request, workspace: str) -> Reply:
    found = request.server.store.workspace(workspace)
    names = [str(each["attributes"]["name"]) for each in request.body["data"]]
    found.tags += [name for name in names if name not in found.tags]
    return Reply(204)


# ---- variables ----------------------------------------------------------------------------------


@route("GET", "/workspaces/*/vars")
def variables(request: Request, workspace: str) -> Reply:
    found = request.server.store.workspace(workspace).variables
    return Reply(200, {"data": [resources.variable(id_, each) for id_, each in found.items()]})


@route("POST", "/workspaces/*/vars")
def create_variable(request: Request, workspace: str) -> Reply:
    kept, id_ = request.server.store.workspace(workspace).variables, new_id("var")
    given = {"value": "", "description": "", "hcl": False, "sensitive": False}
    made = given | request.attributes
    if any((e["key"], e["category"]) == (made["key"], made["category"]) for e in kept.values()):
        raise invalid("Key has already been taken", "key")
    _check(made)
    kept[id_] = made
    return one(resources.variable(id_, made), 201)


@route("PATCH", "/workspaces/*/vars/*")
def update_variable(request: Request, workspace: str, id_: str) -> Reply:
    kept = request.server.store.workspace(workspace).variables
    if id_ not in kept:
        raise not_found()
    if request.body.get("data", {}).get("id") != id_:
        raise invalid("The ID in the body must be that of the path")
    made = kept[id_] | request.attributes
    if kept[id_]["sensitive"] and not made["sensitive"]:
        raise invalid("Sensitive variables stay sensitive", "sensitive")
    _check(made)
    kept[id_] = made
    return one(resources.variable(id_, made))


@route("DELETE", "/workspaces/*/vars/*")
def delete_variable(request: Request, workspace: str, id_: str) -> Reply:
    kept = request.server.store.workspace(workspace).variables
    if kept.pop(id_, None) is None:
        raise not_found()
    return Reply(204)


def _check(variable: dict[str, Any]) -> None:
    if not variable["key"] or len(variable["key"]) > LONGEST_KEY:
        raise invalid(f"Key must have 1 to {LONGEST_KEY} characters", "key")
    if variable["category"] not in ("terraform", "env"):
        raise invalid("Category is not included in the list", "category")
    if len(str(variable["value"]).encode()) > LARGEST_VALUE:
        raise invalid("Value is too long", "value")


# ---- notifications ------------------------------------------------------------------------------


@route("GET", "/workspaces/*/notification-configurations")
def notifications(request: Request, workspace: str) -> Reply:
    found = request.server.store.workspace(workspace).notifications
    return page(request, [resources.notification(id_, each) for id_, each in found.items()])


@route("POST", "/workspaces/*/notification-configurations")
def create_notification(request: Request, workspace: str) -> Reply:
    kept, id_ = request.server.store.workspace(workspace).notifications, new_id("nc")
    made = {"enabled": False, "triggers": [], "token": None, **request.attributes}
    if not made.get("name") or made.get("destination-type") != "generic":
        raise invalid("Name must be set, and only the destination type generic is supported")
    if made["enabled"] and not send(made, verification(id_)):
        raise ApiError(400, "bad request", "The destination did not answer the verification")
    kept[id_] = made
    return one(resources.notification(id_, made), 201)


@route("PATCH", "/notification-configurations/*")
def update_notification(request: Request, id_: str) -> Reply:
    kept = _kept(request, id_)
    made = kept[id_] | request.attributes
    if made["enabled"] and not send(made, verification(id_)):
        raise ApiError(400, "bad request", "The destination did not answer the verification")
    kept[id_] = made
    return one(resources.notification(id_, made))


@route("DELETE", "/notification-configurations/*")
def delete_notification(request: Request, id_: str) -> Reply:
    del _kept(request, id_)[id_]
    return Reply(204)


def _kept(request: Request, id_: str) -> dict[str, dict[str, Any]]:
    for workspace in request.server.store.workspaces.values():
        if id_ in workspace.notifications:
            return workspace.notifications
    raise not_found()


# ---- state --------------------------------------------------------------------------------------


@route("GET", "/workspaces/*/current-state-version")
def current_state(request: Request, workspace: str) -> Reply:
    state = request.server.store.workspace(workspace).state
    if not state.exists():
        raise not_found()
    serial = json.loads(state.read_text())["serial"]
    attributes = {"serial": serial, "status": "finalized", "resources-processed": True}
    return one({"id": f"sv-{serial}", "type": "state-versions", "attributes": attributes})


@route("GET", "/workspaces/*/current-state-version-outputs")
def outputs(request: Request, workspace: str) -> Reply:
    state = request.server.store.workspace(workspace).state
    if not state.exists():
        raise not_found()
    found = []
    for name, each in json.loads(state.read_text())["outputs"].items():
        sensitive = each.get("sensitive", False)
        value = None if sensitive else each["value"]
        attributes = {"name": name, "sensitive": sensitive, "value": value}
        found.append(
            {"id": f"wsout-{name}", "type": "state-version-outputs"} | {"attributes": attributes}
        )
    return page(request, found)
