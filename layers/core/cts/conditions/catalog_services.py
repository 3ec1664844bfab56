"""`catalog-services`: which services there are, not their instances."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from cts.conditions.block import ConditionBlock, PassingBlock, Room, Told
from cts.conditions.condition import Condition, canonical_pairs, set_fields
from cts.conditions.patterns import problems_of
from cts.conditions.services import LISTING
from cts.config.blocks.schema import option
from cts.config.rules.problem import Problem
from cts.config.text.escapes import undoubled
from cts.watch.query import Pairs, View
from cts.watch.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class CatalogServicesCondition(Condition):
    """CTS's `condition "catalog-services"`."""

    kind: ClassVar[str] = "catalog-services"
    watched: ClassVar[bool] = False

    regexp: str
    datacenter: str = ""
    namespace: str = ""
    node_meta: Pairs = ()
    """A service counts if it has an instance on a node with all of these."""
    trigger_only: bool = False

    def __post_init__(self) -> None:
        set_fields(self, node_meta=canonical_pairs(self.node_meta))

    def views(self, first: Snapshot | None) -> tuple[View, ...]:  # noqa: ARG002
        return (View(LISTING, "", self.datacenter, self.namespace, "", self.node_meta),)


@dataclass(frozen=True)
class CatalogServicesQuery(ConditionBlock):
    """What a `condition "catalog-services"` looks at."""

    variable: ClassVar[str] = "catalog_services"

    regexp: str | None = option(required='write regexp = "" for all services')
    datacenter: str = option("")
    namespace: str = option("")
    node_meta: Mapping[str, str] = option({})

    def problems(self) -> Iterator[Problem]:
        if self.regexp is not None:
            yield from problems_of(self.regexp, self.where)

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
