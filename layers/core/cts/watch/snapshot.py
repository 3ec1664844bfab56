"""A Consul answer as sorted rows, their canonical bytes, and a digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cts.watch.query import Kind, View

ServiceRow = dict[str, Any]
"""The attributes of CTS's `services` variable but `cts_user_defined_meta`, which is the task's."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A view's value. Equal values have equal bytes, so the digest says whether data changed."""

    body: bytes
    digest: str

    @property
    def rows(self) -> list[ServiceRow]:
        rows: list[ServiceRow] = json.loads(self.body)
        return rows

    @property
    def names(self) -> list[str]:
        names: list[str] = json.loads(self.body)
        return names


def snapshot(view: View, answer: Any) -> Snapshot:
    """Decode what Consul answered to the view's request (its JSON).

    Only what CTS documents as a trigger is kept: a check's output, its indexes, weights and
    tagged addresses of a service never reach a module and so change nothing.
    """
    if view.kind is Kind.LISTING:
        return of(sorted(answer or {}))
    rows = [service_row(each) for each in answer or []]
    return of(sorted(rows, key=lambda row: (row["node"], row["id"])))


def members(view: View, snapshot: Snapshot) -> frozenset[str]:
    """What an answer may lose: the names of a listing, the instances of a service."""
    if view.kind is Kind.LISTING:
        return frozenset(snapshot.names)
    return frozenset(f"{row['node']}/{row['id']}" for row in snapshot.rows)


def of(value: list[Any]) -> Snapshot:
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return Snapshot(body, digest_of(body))


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


EMPTY = of([])


def service_row(entry: Mapping[str, Any]) -> ServiceRow:
    """One instance of `/v1/health/service/<name>` as the module sees it. Consul returns tags in
    random order, so they are sorted (by bytes, duplicates kept), as CTS does."""
    service, node = entry["Service"], entry["Node"]
    return {
        "id": service["ID"],
        "name": service["Service"],
        "kind": service.get("Kind") or "",
        "address": service.get("Address") or node["Address"],
        "port": service.get("Port") or 0,
        "meta": service.get("Meta") or {},
        "tags": sorted(service.get("Tags") or [], key=str.encode),
        "namespace": service.get("Namespace") or "",
        "status": status(entry.get("Checks") or []),
        "node": node["Node"],
        "node_id": node.get("ID") or "",
        "node_address": node["Address"],
        "node_datacenter": node.get("Datacenter") or "",
        "node_tagged_addresses": node.get("TaggedAddresses") or {},
        "node_meta": node.get("Meta") or {},
    }


def status(checks: list[Mapping[str, Any]]) -> str:
    """The worst of all checks, maintenance first; no checks is passing (as CTS aggregates)."""
    for check in checks:
        check_id = check.get("CheckID", "")
        if check_id == "_node_maintenance" or check_id.startswith("_service_maintenance:"):
            return "maintenance"
    found = {check.get("Status") for check in checks}
    return next((worst for worst in ("critical", "warning") if worst in found), "passing")
