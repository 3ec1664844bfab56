"""`catalog-services`: which services there are, not their instances."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from cts.conditions import node_meta
from cts.conditions.block import ConditionBlock, PassingBlock, Room, Told
from cts.conditions.condition import Condition, Read, canonical_pairs, declared, set_fields
from cts.conditions.patterns import problems_of
from cts.conditions.services import LISTING
from cts.config.blocks.schema import option
from cts.config.rules.problem import Problem
from cts.config.rules.regexp import compiled
from cts.config.text.escapes import undoubled
from cts.terraform.hclwrite import value
from cts.watch.answer import as_type
from cts.watch.happened import Happened, Thing, Things
from cts.watch.query import Kind, Pairs, View
from cts.watch.snapshot import EMPTY, Snapshot, of

VARIABLE = "catalog_services"


def _services(answer: Any) -> list[dict[str, Any]]:
    found = as_type(dict, answer, "the list of services")
    return [
        {"name": name, "tags": sorted(_tags(found[name]), key=str.encode)} for name in sorted(found)
    ]


def _tags(tags: Any) -> list[str]:
    return [as_type(str, tag, "a tag") for tag in as_type(list, tags, "the tags")]


def _names(services: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(each["name"] for each in services)


CATALOG = Kind(
    "catalog",
    words=lambda _: "the list of services with their tags",
    path=LISTING.path,
    decode=_services,
    members=_names,
    newest=LISTING.newest,
)
"""The names of all services in the catalog, each with the tags of all its instances."""


@lru_cache(maxsize=256)  # each task asks at each look, and the catalog rarely changes
def _matching(expression: str, catalog: Snapshot) -> Mapping[str, list[str]]:
    """Name -> tags. The expression matches anywhere in a name."""
    search = compiled(expression)
    return {each["name"]: each["tags"] for each in catalog.value if search(each["name"].encode())}


@dataclass(frozen=True, slots=True)
class CatalogServicesCondition(Condition):
    """CTS's `condition "catalog-services"`."""

    kind: ClassVar[str] = "catalog-services"

    regexp: str
    datacenter: str = ""
    namespace: str = ""
    node_meta: Pairs = ()
    """A service counts if it has an instance on a node with all of these."""
    trigger_only: bool = False

    def __post_init__(self) -> None:
        set_fields(self, node_meta=canonical_pairs(self.node_meta))

    @property
    def first_view(self) -> View:
        return View(CATALOG, "", self.datacenter, self.namespace, "", self.node_meta)

    def views(self, first: Snapshot | None) -> tuple[View, ...]:  # noqa: ARG002
        return (self.first_view,)

    def looked_at(self, digests: Mapping[str, str], first: Snapshot | None) -> Mapping[str, str]:
        """Only names: a tag triggers nothing, as in CTS."""
        names = of(sorted(_matching(self.regexp, first))) if first else EMPTY
        return dict.fromkeys(digests, names.digest)

    @property
    def events(self) -> tuple[Happened, ...]:
        return (Happened.ADDED, Happened.REMOVED)

    def things(self, view: View, snapshot: Snapshot) -> Things:  # noqa: ARG002
        return dict.fromkeys(_matching(self.regexp, snapshot), Thing())

    @property
    def variable(self) -> str:
        return "" if self.trigger_only else VARIABLE

    def declaration(self, *, const: bool) -> str:
        description = "Names of Consul services, with all their tags"
        kind = "map(list(string))"
        return declared(VARIABLE, description, kind, const=const, protocol="Catalog Services")

    def value(self, read: Read) -> str:
        return value(_matching(self.regexp, read[self.first_view.id]))


@dataclass(frozen=True)
class CatalogServicesQuery(ConditionBlock):
    """What a `condition "catalog-services"` looks at."""

    variable: ClassVar[str] = VARIABLE

    regexp: str | None = option(required='write regexp = "" for all services')
    datacenter: str = option("")
    namespace: str = option("")
    node_meta: Mapping[str, str] = option({})

    def problems(self) -> Iterator[Problem]:
        if self.regexp is not None:
            yield from problems_of(self.regexp, self.where)
        yield from node_meta.problems_of(self.node_meta, self.where)

    def compiled(self) -> CatalogServicesCondition:
        return CatalogServicesCondition(
            undoubled(self.regexp or ""),
            datacenter=self.datacenter,
            namespace=self.namespace,
            node_meta=tuple(self.node_meta.items()),
        )

    def told(self) -> Told:
        return Told(f'the names that match "{self.regexp}"')


@dataclass(frozen=True)
class CatalogServicesBlock(PassingBlock, CatalogServicesQuery):
    """`condition "catalog-services"`."""

    def compiled(self) -> CatalogServicesCondition:
        query = CatalogServicesQuery.compiled(self)
        return replace(query, trigger_only=not self.use_as_module_input)


ROOM = Room(CatalogServicesBlock, compiled=CatalogServicesCondition)
