"""What to ask Consul: views, their requests, and which views a condition needs."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, ClassVar
from urllib.parse import quote

Pairs = tuple[tuple[str, str], ...]
"""A map that can be hashed: sorted by key."""

HEALTH_IN_FILTER = "Checks.Status"


class Kind(StrEnum):
    SERVICE = "service"
    """The instances of one service."""
    LISTING = "listing"
    """The names of all services in the catalog."""
    KEY = "key"
    """One key of the KV store."""
    KEYS = "keys"
    """All keys that begin with a prefix."""


@dataclass(frozen=True, slots=True, order=True)
class View:
    """One Consul query. Tasks that need the same query share the view."""

    kind: Kind
    name: str = ""
    """Of the service, the key or the prefix."""
    datacenter: str = ""
    namespace: str = ""
    filter: str = ""
    node_meta: Pairs = ()

    @property
    def id(self) -> str:
        """Hash of the canonical query: 32 hex digits. Fields left empty don't count, so that
        a field added later leaves the ids of today's queries as they are."""
        return _id(self)

    def __str__(self) -> str:
        what = {
            Kind.SERVICE: f"service {self.name}",
            Kind.LISTING: "the list of services",
            Kind.KEY: f"key {self.name}",
            Kind.KEYS: f"the keys that begin with {self.name}",
        }[self.kind]
        named = {"datacenter": self.datacenter, "namespace": self.namespace, "filter": self.filter}
        options = [f"{name} {value}" for name, value in named.items() if value]
        options += [f"node-meta {key}:{value}" for key, value in self.node_meta]
        return f"{what} ({', '.join(options)})" if options else what


@cache  # every look at the catalog needs the ids of all views
def _id(view: View) -> str:
    filled = {key: value for key, value in asdict(view).items() if value}
    return hashlib.sha256(json.dumps(filled, sort_keys=True).encode()).hexdigest()[:32]


Params = Mapping[str, str | list[str]]
"""Of a query string; a list is a parameter given several times."""


@dataclass(frozen=True, slots=True)
class ConsulRequest:
    path: str
    params: Params


def request(
    view: View, *, index: int = 0, wait: int = 0, consistent: bool = False
) -> ConsulRequest:
    """The view's HTTP request. With an index Consul holds it until something moves, at most
    `wait` seconds. Only healthy instances reach a module, unless the filter decides on health:
    that is CTS's `passing`."""
    path, own = _resource(view)
    optional = {"dc": view.datacenter, "ns": view.namespace, "filter": view.filter}
    params: dict[str, str | list[str]] = {**own, **{k: v for k, v in optional.items() if v}}
    if view.node_meta:
        params["node-meta"] = [f"{key}:{value}" for key, value in view.node_meta]
    if index:
        params |= {"index": str(index), "wait": f"{wait}s"}
    if index and view.kind is Kind.SERVICE:
        # Newer servers answer it from a stream otherwise, and don't say what ACLs have hidden.
        params["near"] = "_agent"
    if consistent:
        params["consistent"] = ""
    return ConsulRequest(path, params)


def _resource(view: View) -> tuple[str, dict[str, str]]:
    match view.kind:
        case Kind.SERVICE:
            path = f"/v1/health/service/{quote(view.name, safe='')}"
            return path, {} if HEALTH_IN_FILTER in view.filter else {"passing": "1"}
        case Kind.LISTING:
            return "/v1/catalog/services", {}
        case Kind.KEY:
            return f"/v1/kv/{quote(view.name)}", {}
        case Kind.KEYS:
            return f"/v1/kv/{quote(view.name)}", {"recurse": ""}


@dataclass(frozen=True, slots=True)
class ServicesCondition:
    """CTS's services, as condition or as module input: by names, or by a regular expression over
    all names. It matches anywhere in a name, as in CTS: `web` matches `my-web-2`.

    Equal meaning makes equal conditions, whatever order the options were written in.
    """

    kind: ClassVar[str] = "services"

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

    def __post_init__(self) -> None:
        _set(self, names=tuple(sorted(set(self.names))), filter=self.filter.strip("\n"))
        _set(self, meta=_pairs(self.meta), others=tuple(sorted(set(self.others), key=repr)))

    @property
    def fixed_views(self) -> tuple[View, ...]:
        """The views known without asking Consul."""
        own = self._named(self.names) if self.regexp is None else (self._listing,)
        return own + self._others

    def needed_views(self, listing: Iterable[str]) -> tuple[View, ...]:
        """The views whose rows the module gets, given the names the catalog lists."""
        names = self.names if self.regexp is None else _matching(self.regexp, tuple(listing))
        return self._named(names) + self._others

    @property
    def _listing(self) -> View:
        return View(Kind.LISTING, "", self.datacenter, self.namespace)

    @property
    def _others(self) -> tuple[View, ...]:
        return tuple(view for group in self.others for view in group.fixed_views)

    def _named(self, names: Iterable[str]) -> tuple[View, ...]:
        return services(names, self.datacenter, self.namespace, self.filter)


@dataclass(frozen=True, slots=True)
class CatalogServicesCondition:
    """CTS's `condition "catalog-services"`: which services there are, not their instances."""

    kind: ClassVar[str] = "catalog-services"

    regexp: str
    datacenter: str = ""
    namespace: str = ""
    node_meta: Pairs = ()
    """A service counts if it has an instance on a node with all of these."""
    trigger_only: bool = False

    def __post_init__(self) -> None:
        _set(self, node_meta=_pairs(self.node_meta))

    @property
    def fixed_views(self) -> tuple[View, ...]:
        return (View(Kind.LISTING, "", self.datacenter, self.namespace, "", self.node_meta),)

    def needed_views(self, listing: Iterable[str]) -> tuple[View, ...]:  # noqa: ARG002
        return self.fixed_views


@dataclass(frozen=True, slots=True)
class KvCondition:
    """CTS's `consul-kv`, as condition or as module input: a key, or all that begin with `path`.
    It need not end at a slash: `app` takes `app2/x` too."""

    kind: ClassVar[str] = "consul-kv"

    path: str
    recurse: bool = False
    datacenter: str = ""
    namespace: str = ""
    trigger_only: bool = False

    def __post_init__(self) -> None:
        _set(self, path=self.path.lstrip("/"))

    @property
    def fixed_views(self) -> tuple[View, ...]:
        kind = Kind.KEYS if self.recurse else Kind.KEY
        return (View(kind, self.path, self.datacenter, self.namespace),)

    def needed_views(self, listing: Iterable[str]) -> tuple[View, ...]:  # noqa: ARG002
        return self.fixed_views


@dataclass(frozen=True, slots=True)
class ScheduleCondition:
    """CTS's `condition "schedule"`. Only time triggers the task, so it looks at no view."""

    kind: ClassVar[str] = "schedule"

    cron: str

    def __post_init__(self) -> None:
        _set(self, cron=" ".join(self.cron.split()))

    @property
    def fixed_views(self) -> tuple[View, ...]:
        return ()

    def needed_views(self, listing: Iterable[str]) -> tuple[View, ...]:  # noqa: ARG002
        return ()


Condition = ServicesCondition | CatalogServicesCondition | KvCondition | ScheduleCondition
Input = ServicesCondition | KvCondition
"""What a module gets beside its condition's data."""


def services(
    names: Iterable[str],
    datacenter: str = "",
    namespace: str = "",
    filter: str = "",  # noqa: A002
) -> tuple[View, ...]:
    return tuple(
        View(Kind.SERVICE, name, datacenter, namespace, filter) for name in sorted(set(names))
    )


@cache
def compiled(expression: str) -> Callable[[bytes], object]:
    """An expression's search, anywhere in UTF-8 text. RE2 as in CTS, so it takes linear time.
    Raises re2.error."""
    import re2  # most that asks for views matches nothing, and loading it takes 15 ms

    options = re2.Options()
    options.log_errors = False  # to standard error, beside raising
    search: Callable[[bytes], object] = re2.compile(expression, options).search
    return search


@lru_cache(maxsize=256)  # each task asks at each look, and the listing rarely changes
def _matching(expression: str, names: tuple[str, ...]) -> tuple[str, ...]:
    search = compiled(expression)
    return tuple(name for name in names if search(name.encode()))


def _pairs(pairs: Iterable[tuple[str, str]]) -> Pairs:
    return tuple(sorted(dict(pairs).items()))


def _set(condition: Any, **canonical: object) -> None:
    """Fields of a frozen dataclass that is being made."""
    for name, value in canonical.items():
        object.__setattr__(condition, name, value)
