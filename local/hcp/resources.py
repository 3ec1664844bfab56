"""What the server keeps, as JSON:API resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.hcp.store import FINAL

if TYPE_CHECKING:
    from local.hcp.store import Configuration, Phase, Run, Workspace

Resource = dict[str, Any]


def reference(kind: str, id_: str) -> Resource:
    return {"data": {"id": id_, "type": kind}}


def workspace(of: Workspace) -> Resource:
    related: Resource = {"organization": reference("organizations", of.organization)}
    if of.locked_by:
        kind, id_ = of.locked_by
        related["locked-by"] = reference(kind, id_)
    if of.agent_pool:
        related["agent-pool"] = reference("agent-pools", of.agent_pool)
    attributes = {**of.attributes, "locked": of.locked_by is not None, "tag-names": of.tags}
    return {"id": of.id, "type": "workspaces", "attributes": attributes, "relationships": related}


def variable(id_: str, of: dict[str, Any]) -> Resource:
    shown = {**of, "value": None} if of["sensitive"] else of
    return {"id": id_, "type": "vars", "attributes": shown}


def configuration(of: Configuration, *, url: str | None = None) -> Resource:
    """`url`: where it is uploaded, which only the answer to its creation has."""
    attributes = {
        "status": of.status,
        "source": "tfe-api",
        "auto-queue-runs": False,
        "speculative": False,
        "upload-url": url,
    }
    return {"id": of.id, "type": "configuration-versions", "attributes": attributes}


def run(of: Run) -> Resource:
    related = {
        "workspace": reference("workspaces", of.workspace),
        "configuration-version": reference("configuration-versions", of.configuration),
        "plan": reference("plans", of.plan.id),
        "apply": reference("applies", of.apply.id),
        "created-by": reference("users", of.by),
    }
    attributes = {
        **of.attributes,
        "status": of.status,
        "source": "tfe-api",
        "trigger-reason": "manual",
        "has-changes": of.has_changes,
        "created-at": of.created_at,
        "status-timestamps": of.times,
        "variables": [{"key": name, "value": value} for name, value in of.variables.items()],
        "actions": {
            "is-cancelable": of.status in ("planning", "applying"),
            "is-confirmable": of.is_confirmable,
            "is-discardable": of.is_confirmable,
            "is-force-cancelable": False,
        },
    }
    return {"id": of.id, "type": "runs", "attributes": attributes, "relationships": related}


def phase(of: Phase, kind: str, address: str) -> Resource:
    attributes = {
        "status": of.status,
        "log-read-url": f"{address}/_logs/{of.secret}",
        **{f"resource-{name}": number for name, number in of.counts.items()},
    }
    return {"id": of.id, "type": kind, "attributes": attributes}


def notification(id_: str, of: dict[str, Any]) -> Resource:
    shown = {name: value for name, value in of.items() if name != "token"}
    return {"id": id_, "type": "notification-configurations", "attributes": shown}


def is_final(of: Run) -> bool:
    return of.status in FINAL
