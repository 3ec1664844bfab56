"""`services`: the instances of services, by names or by a regular expression over all names.

Its blocks are in `services_block.py`: pollers, runners and trackers do without them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote

from cts.conditions import datacenters
from cts.conditions.condition import Condition, Read, canonical_pairs, declared, set_fields
from cts.conditions.paths import can_be_asked_for
from cts.config.rules.regexp import compiled
from cts.terraform.hclwrite import attribute_lines, block, key, map_of_objects, value
from cts.watch.answer import as_type, needed_text, text_of, texts_of
from cts.watch.happened import Happened
from cts.watch.query import Kind, Pairs, Params, View, probe
from cts.watch.snapshot import Snapshot

LABEL = "services"
HEALTH_IN_FILTER = "Checks.Status"
PASSING, WARNING, ANY = HEALTH = ("passing", "warning", "any")
"""Which instances reach a module: passing ones, as in CTS; those without a critical check; all."""
NOT_CRITICAL = 'not (Checks.Status == "critical")'
AGENT_VERSION = "consul-version"
"""In the meta of each node on newer Consul."""

# ---- views ------------------------------------------------------------------------------------

ServiceRow = dict[str, Any]
"""The attributes of CTS's `services` variable but `cts_user_defined_meta`, which is the task's."""


def service_row(entry: Mapping[str, Any]) -> ServiceRow:
    """One instance of `/v1/health/service/<name>` as the module sees it. Consul returns tags in
    random order, so they are sorted (by bytes, duplicates kept), as CTS does.

    Only what CTS documents as a trigger is kept: a check's output, its indexes, weights and
    tagged addresses of a service never reach a module and so change nothing.
    """
    service, node = (as_type(dict, entry.get(name), name) for name in ("Service", "Node"))
    checks = as_type(list, entry.get("Checks"), "Checks")
    return {
        "id": needed_text(service, "ID"),
        "name": needed_text(service, "Service"),
        "kind": text_of(service, "Kind"),
        "address": text_of(service, "Address") or needed_text(node, "Address"),
        "port": as_type(int, service.get("Port"), "Port"),
        "meta": texts_of(service, "Meta"),
        "tags": sorted(_tags(service), key=str.encode),
        "namespace": text_of(service, "Namespace"),
        "status": status([as_type(dict, check, "a check") for check in checks]),
        "node": needed_text(node, "Node"),
        "node_id": text_of(node, "ID"),
        "node_address": needed_text(node, "Address"),
        "node_datacenter": text_of(node, "Datacenter"),
        "node_tagged_addresses": texts_of(node, "TaggedAddresses"),
        "node_meta": texts_of(node, "Meta"),
    }


def status(checks: list[Mapping[str, Any]]) -> str:
    """The worst of all checks, maintenance first; no checks is passing (as CTS aggregates)."""
    for check in checks:
        check_id = text_of(check, "CheckID")
        if check_id == "_node_maintenance" or check_id.startswith("_service_maintenance:"):
            return "maintenance"
    found = {text_of(check, "Status") for check in checks}
    return next((worst for worst in ("critical", "warning") if worst in found), "passing")


def _tags(service: Mapping[str, Any]) -> list[str]:
    found: list[Any] = as_type(list, service.get("Tags"), "Tags")
    return [as_type(str, tag, "a tag") for tag in found]


def _rows(answer: Any) -> list[ServiceRow]:
    rows = [service_row(as_type(dict, each, "an instance")) for each in as_type(list, answer, "it")]
    return sorted(rows, key=lambda row: (row["node"], row["id"]))


def _looked_at(rows: list[ServiceRow]) -> list[ServiceRow]:
    """An upgrade of a node's agent changes this and nothing else: no reason to run."""
    return [{**row, "node_meta": without_version(row["node_meta"])} for row in rows]


def without_version(meta: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in meta.items() if key != AGENT_VERSION}


def _health(view: View) -> Params:
    """Only healthy instances reach a module, unless the filter decides on health: that is CTS's
    `passing`."""
    if view.health == WARNING:
        own = f"({view.filter}) and " if view.filter else ""
        return {"filter": own + NOT_CRITICAL}
    decided = view.health == ANY or HEALTH_IN_FILTER in view.filter
    return {} if decided else {"passing": "1"}


CATALOG_INDEX = probe(
    "catalog-index",
    "the newest index of services and nodes",
    "/v1/catalog/services",
    {"node-meta": "cts:none"},
)
CHECKS_INDEX = probe("checks-index", "the newest index of checks", "/v1/health/state/none", {})

SERVICE = Kind(
    "service",
    words=lambda name: f"service {name}",
    path=lambda name: f"/v1/health/service/{quote(name, safe='')}",
    decode=_rows,
    members=lambda rows: frozenset(f"{row['node']}/{row['id']}" for row in rows),
    newest=(CATALOG_INDEX, CHECKS_INDEX),
    looked_at=_looked_at,
    params=_health,
    # Newer servers answer it from a stream otherwise, and don't say what ACLs have hidden.
    held={"near": "_agent"},
    health="status",
    whole="service:read and node:read",
)
"""The instances of one service."""


def _listed(answer: Any) -> list[str]:
    """Without names that can't be asked for: a single one would keep all tasks from running that
    match names."""
    return sorted(filter(can_be_asked_for, as_type(dict, answer, "the list of services")))


LISTING = Kind(
    "listing",
    words=lambda _: "the list of services",
    path=lambda _: "/v1/catalog/services",
    decode=_listed,
    members=frozenset,
    newest=(CATALOG_INDEX,),
    lists=SERVICE,
)
"""The names of all services in the catalog that can be asked for."""


@lru_cache(maxsize=256)  # each task asks at each look, and the listing rarely changes
def _matching(expression: str, listing: Snapshot) -> tuple[str, ...]:
    """It matches anywhere in a name."""
    search = compiled(expression)
    return tuple(sorted(name for name in _names(listing) if search(name.encode())))


@lru_cache(maxsize=4)
def _names(listing: Snapshot) -> tuple[str, ...]:
    return tuple(listing.value)


# ---- the module's variable --------------------------------------------------------------------

ATTRIBUTES = {
    "id": "string",
    "name": "string",
    "kind": "string",
    "address": "string",
    "port": "number",
    "meta": "map(string)",
    "tags": "list(string)",
    "namespace": "string",
    "status": "string",
    "node": "string",
    "node_id": "string",
    "node_address": "string",
    "node_datacenter": "string",
    "node_tagged_addresses": "map(string)",
    "node_meta": "map(string)",
    "cts_user_defined_meta": "map(string)",
}
"""A service's attributes and their types, in CTS's order: version 0 of its protocol."""


def service_key(row: ServiceRow) -> str:
    """`<id>.<node>.<namespace>.<datacenter>`; an empty part goes together with its dot."""
    parts = (row["id"], row["node"], row["namespace"], row["node_datacenter"])
    return ".".join(part for part in parts if part)


def _service(row: ServiceRow, meta: Pairs) -> str:
    filled = {**row, "cts_user_defined_meta": dict(meta)}
    return block({name: value(filled[name]) for name in ATTRIBUTES})


def _type() -> str:
    names = list(ATTRIBUTES)
    groups = (names[:9], names[9:15], names[15:])
    lines = "\n\n".join(
        "\n".join(attribute_lines({name: ATTRIBUTES[name] for name in group})) for group in groups
    )
    return map_of_objects(lines)


# ---- compiled ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServicesCondition(Condition):
    """CTS's services, as condition or as module input: by names, or by a regular expression over
    all names. It matches anywhere in a name, as in CTS: `web` matches `my-web-2`.

    Equal meaning makes equal conditions, whatever order the options were written in.
    """

    kind: ClassVar[str] = LABEL
    stands_in: ClassVar[bool] = True

    names: tuple[str, ...] = ()
    regexp: str | None = None
    datacenter: str = ""
    namespace: str = ""
    filter: str = ""
    meta: Pairs = ()
    """CTS's `cts_user_defined_meta`: what the module gets with each instance."""
    trigger_only: bool = False
    """The module gets none of it: `use_as_module_input = false`."""
    others: "tuple[ServicesCondition, ...]" = ()
    """Other services by name, asked for or fed in another way, as CTS's `service` blocks say."""
    health: str = ""
    """One of `HEALTH`; empty: the passing ones, or what the filter says."""
    datacenters: tuple[str, ...] = ()
    """In place of `datacenter`, where there are several."""

    def __post_init__(self) -> None:
        set_fields(self, names=tuple(sorted(set(self.names))), filter=self.filter.strip("\n"))
        others = tuple(sorted(set(self.others), key=repr))
        set_fields(self, meta=canonical_pairs(self.meta), others=others)
        is_empty = not self.names and self.regexp is None
        if self.health == PASSING or HEALTH_IN_FILTER in self.filter or is_empty:
            set_fields(self, health="")
        set_fields(self, **datacenters.canonical(self.datacenter, self.datacenters))

    @property
    def parts(self) -> "tuple[ServicesCondition, ...]":
        own = replace(self, others=()) if self.others else self
        return (*datacenters.each(own), *self.others)

    @property
    def first_view(self) -> View | None:
        if self.regexp is None or self.datacenters:
            return None
        return View(LISTING, "", self.datacenter, self.namespace)

    def views(self, first: Snapshot | None) -> tuple[View, ...]:
        if self.others or self.datacenters:
            return tuple(view for part in self.parts for view in part.views(None))
        names = self.names
        if self.regexp is not None:
            names = _matching(self.regexp, first) if first else ()
        where = (self.datacenter, self.namespace, self.filter)
        return tuple(View(SERVICE, name, *where, health=self.health) for name in names)

    @property
    def events(self) -> tuple[Happened, ...]:
        """While the module gets passing instances alone, health never changes: they leave."""
        found = {event for each in self.others for event in each.events}
        if self.names or self.regexp is not None:
            decided = self.health in (WARNING, ANY) or HEALTH_IN_FILTER in self.filter
            found.update(each for each in Happened if decided or each is not Happened.HEALTH)
        return tuple(each for each in Happened if each in found)

    def with_health(self, health: str) -> "ServicesCondition":
        others = tuple(each.with_health(health) for each in self.others)
        return replace(self, health=health, others=others)

    @property
    def variable(self) -> str:
        return "" if self.trigger_only else LABEL

    def declaration(self, *, const: bool) -> str:
        described = "Consul services of the task"
        return declared(LABEL, described, _type(), const=const, protocol="Service")

    def value(self, read: Read) -> str:
        """Of two rows with one key the later wins, as in Terraform."""
        by_key = {service_key(row): (row, meta) for row, meta in self._rows(read)}
        return block({key(name): _service(*by_key[name]) for name in sorted(by_key)})

    def _rows(self, read: Read) -> Iterator[tuple[ServiceRow, Pairs]]:
        """Each with its `cts_user_defined_meta`."""
        for part in self.parts:
            first = part.first_view
            for view in part.views(read[first.id] if first else None):
                yield from ((row, part.meta) for row in read[view.id].value)
