"""What to ask Consul: views, and their requests. What is special to a kind of view, its kind says;
the kinds themselves are in `conditions/`."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Optional

Pairs = tuple[tuple[str, str], ...]
"""A map that can be hashed: sorted by key."""
Params = Mapping[str, str | list[str]]
"""Of a query string; a list is a parameter given several times."""


DEFAULT, CONSISTENT, STALE = "default", "consistent", "stale"
"""Modes of Consul: the leader answers, or a leader that has made sure that it is, or any server,
which may be behind."""


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What is special to one kind of query. Kinds differ by name alone."""

    name: str
    """Part of each view's id: it never changes."""
    words: Callable[[str], str] = field(compare=False)
    """A view's name -> the view for people."""
    path: Callable[[str], str] = field(compare=False)
    """A view's name -> the path of its requests."""
    decode: Callable[[Any], list[Any]] = field(compare=False)
    """Consul's answer -> the value that a snapshot stores. Raises ValueError for an answer that
    is not from Consul."""
    members: Callable[[list[Any]], frozenset[str]] = field(compare=False)
    """What an answer may lose, of a value."""
    newest: tuple["Kind", ...] = field(compare=False)
    """Kinds of probes: whatever moves the index of an answer has moved one of theirs, and none of
    its indices is above all of theirs."""
    looked_at: Callable[[list[Any]], list[Any]] | None = field(compare=False, default=None)
    """A value -> the part of it whose change triggers tasks. None: all of it."""
    params: Callable[["View"], Params] = field(compare=False, default=lambda _: {})
    """Parameters that only this kind has, or gives another value."""
    may_be_absent: bool = field(compare=False, default=False)
    """Consul answers what is not there with 404 instead of an empty list."""
    held: Params = field(compare=False, default_factory=dict)
    """Parameters of blocking queries."""
    whole: str = field(compare=False, default="")
    """The rights that a token needs, where an answer that ACLs filtered is not usable."""
    health: str = field(compare=False, default="")
    """The attribute of its rows that says how healthy they are, where they have one."""
    lists: Optional["Kind"] = field(compare=False, default=None)
    """The kind of the views whose names are its members."""


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
    health: str = ""
    """Which instances of a service count, where it is not only the passing ones."""

    @property
    def id(self) -> str:
        """Hash of the canonical query: 32 hex digits. Fields left empty don't count, so that
        a field added later leaves the ids of today's queries as they are."""
        return _id(self)

    def __str__(self) -> str:
        what = self.kind.words(self.name)
        named = ("datacenter", "namespace", "filter", "health")
        options = [f"{name} {value}" for name in named if (value := getattr(self, name))]
        options += [f"node-meta {key}:{value}" for key, value in self.node_meta]
        return f"{what} ({', '.join(options)})" if options else what


def probe(name: str, words: str, path: str, params: Params) -> Kind:
    """A kind of query that finds nothing: its answers have a constant size, and the newest index
    of a table of Consul's. One goes back only if Consul lost its data or was restored."""
    return Kind(
        name,
        words=lambda _: words,
        path=lambda _: path,
        decode=lambda _: [],
        members=frozenset,
        newest=(),
        params=lambda _: params,
        may_be_absent=True,
    )


def probes(views: Iterable[View]) -> frozenset[View]:
    """What tells whether one of these views may have moved."""
    return frozenset(
        View(kind, datacenter=view.datacenter) for view in views for kind in view.kind.newest
    )


def datacenters(views: Iterable[View]) -> frozenset[str]:
    return frozenset(view.datacenter for view in views)


@cache  # every look at the catalog needs the ids of all views
def _id(view: View) -> str:
    written = {each.name: getattr(view, each.name) for each in fields(view)}
    filled = {name: value for name, value in written.items() if value} | {"kind": view.kind.name}
    return hashlib.sha256(json.dumps(filled, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ConsulRequest:
    path: str
    params: Params


def request(
    view: View, *, index: int = 0, wait: int = 0, consistency: str = DEFAULT
) -> ConsulRequest:
    """The view's HTTP request. With an index, it is a blocking query: Consul answers when
    something changes, or after `wait` seconds. `consistency`: one of Consul's modes."""
    optional = {"dc": view.datacenter, "ns": view.namespace, "filter": view.filter}
    params: dict[str, str | list[str]] = {
        **{name: value for name, value in optional.items() if value},
        **view.kind.params(view),
    }
    if view.node_meta:
        params["node-meta"] = [f"{key}:{value}" for key, value in view.node_meta]
    if index:
        params |= {"index": str(index), "wait": f"{wait}s", **view.kind.held}
    if consistency != DEFAULT:
        params[consistency] = ""
    return ConsulRequest(view.kind.path(view.name), params)
