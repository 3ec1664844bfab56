"""What to ask Consul: views, their requests, and which views a condition needs."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from urllib.parse import quote


class Kind(StrEnum):
    SERVICE = "service"
    """The passing instances of one service."""
    LISTING = "listing"
    """The names of all services in the catalog."""


@dataclass(frozen=True, slots=True, order=True)
class View:
    """One Consul query. Tasks that need the same query share the view."""

    kind: Kind
    name: str = ""

    @property
    def id(self) -> str:
        """Hash of the canonical query: 32 hex digits. Fields left empty don't count, so that
        a field added later leaves the ids of today's queries as they are."""
        return _id(self)

    def __str__(self) -> str:
        return f"service {self.name}" if self.kind is Kind.SERVICE else "the list of services"


@cache  # every look at the catalog needs the ids of all views
def _id(view: View) -> str:
    filled = {"kind": view.kind.value, "name": view.name}
    canonical = json.dumps({k: v for k, v in filled.items() if v}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    params: dict[str, str]


def request(view: View, *, index: int = 0, wait: int = 0, consistent: bool = False) -> Request:
    """The view's HTTP request. With an index Consul holds it until something moves, at most
    `wait` seconds. `passing` as CTS sends it: only healthy instances reach a module."""
    if view.kind is Kind.SERVICE:
        path, params = f"/v1/health/service/{quote(view.name, safe='')}", {"passing": "1"}
    else:
        path, params = "/v1/catalog/services", {}
    if index:
        params |= {"index": str(index), "wait": f"{wait}s"}
    if consistent:
        params["consistent"] = ""
    return Request(path, params)


@dataclass(frozen=True, slots=True)
class ServicesCondition:
    """CTS's `condition "services"`: by names, or by a regular expression over all names.

    The expression matches anywhere in a name, as in CTS: `web` matches `my-web-2`. `\\d` and
    `\\w` mean ASCII, as in Go.
    """

    names: tuple[str, ...] = ()
    regexp: str | None = None

    @property
    def fixed_views(self) -> tuple[View, ...]:
        """The views known without asking Consul."""
        if self.regexp is not None:
            return (View(Kind.LISTING),)
        return services(self.names)

    def needed_views(self, listing: Iterable[str]) -> tuple[View, ...]:
        """The views whose rows the module gets, given the names the catalog lists."""
        if self.regexp is None:
            return services(self.names)
        return services(name for name in listing if re.search(self.regexp, name, re.ASCII))


def services(names: Iterable[str]) -> tuple[View, ...]:
    return tuple(View(Kind.SERVICE, name) for name in sorted(set(names)))
