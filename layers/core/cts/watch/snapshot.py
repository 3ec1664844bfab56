"""A Consul answer as sorted rows, their canonical bytes, and a digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cts.watch.query import Kind, View

T = TypeVar("T")

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
    """Decode what Consul answered to the view's request (its JSON). Raises ValueError for what no
    Consul answers.

    Only what CTS documents as a trigger is kept: a check's output, its indexes, weights and
    tagged addresses of a service never reach a module and so change nothing.
    """
    if view.kind is Kind.LISTING:
        return of(sorted(_as(dict, answer, "the list of services")))
    rows = [service_row(_as(dict, each, "an instance")) for each in _as(list, answer, "it")]
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
    service, node = (_as(dict, entry.get(name), name) for name in ("Service", "Node"))
    checks = _as(list, entry.get("Checks"), "Checks")
    return {
        "id": _needed(service, "ID"),
        "name": _needed(service, "Service"),
        "kind": _text(service, "Kind"),
        "address": _text(service, "Address") or _needed(node, "Address"),
        "port": _as(int, service.get("Port"), "Port"),
        "meta": _texts(service, "Meta"),
        "tags": sorted(_tags(service), key=str.encode),
        "namespace": _text(service, "Namespace"),
        "status": status([_as(dict, check, "a check") for check in checks]),
        "node": _needed(node, "Node"),
        "node_id": _text(node, "ID"),
        "node_address": _needed(node, "Address"),
        "node_datacenter": _text(node, "Datacenter"),
        "node_tagged_addresses": _texts(node, "TaggedAddresses"),
        "node_meta": _texts(node, "Meta"),
    }


def status(checks: list[Mapping[str, Any]]) -> str:
    """The worst of all checks, maintenance first; no checks is passing (as CTS aggregates)."""
    for check in checks:
        check_id = _text(check, "CheckID")
        if check_id == "_node_maintenance" or check_id.startswith("_service_maintenance:"):
            return "maintenance"
    found = {_text(check, "Status") for check in checks}
    return next((worst for worst in ("critical", "warning") if worst in found), "passing")


def _as(kind: type[T], value: Any, what: str) -> T:
    """Consul leaves out what is empty, or says null."""
    if value is None:
        return kind()
    if type(value) is not kind:  # True is an int, too
        raise ValueError(f"{what} is of type {type(value).__name__}, not {kind.__name__}")
    return value


def _needed(part: Mapping[str, Any], name: str) -> str:
    if name not in part:
        raise ValueError(f"{name} is missing")
    return _text(part, name)


def _text(part: Mapping[str, Any], name: str) -> str:
    return _as(str, part.get(name), name)


def _texts(part: Mapping[str, Any], name: str) -> dict[str, str]:
    found: dict[str, Any] = _as(dict, part.get(name), name)
    return {key: _as(str, value, name) for key, value in found.items()}


def _tags(service: Mapping[str, Any]) -> list[str]:
    found: list[Any] = _as(list, service.get("Tags"), "Tags")
    return [_as(str, tag, "a tag") for tag in found]
