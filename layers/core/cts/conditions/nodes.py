"""`nodes`: the nodes of the catalog, with or without services. CTS does not have it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cts.conditions import datacenters, node_meta
from cts.conditions.block import ConditionBlock, PassingBlock, Room, Told
from cts.conditions.condition import Condition, Read, canonical_pairs, declared, set_fields
from cts.conditions.services import LISTING, without_version
from cts.config.blocks.schema import option
from cts.config.rules.problem import Problem
from cts.config.text.escapes import undoubled
from cts.terraform.hclwrite import attribute_lines, block, key, map_of_objects, value
from cts.watch.answer import as_type, needed_text, text_of, texts_of
from cts.watch.query import Kind, Pairs, View
from cts.watch.snapshot import Snapshot

LABEL = "nodes"
ATTRIBUTES = {
    "id": "string",
    "name": "string",
    "address": "string",
    "datacenter": "string",
    "tagged_addresses": "map(string)",
    "meta": "map(string)",
}
"""A node's attributes and their types."""


def _rows(answer: Any) -> list[dict[str, Any]]:
    found = as_type(list, answer, "it")
    rows = [_row(as_type(dict, each, "a node")) for each in found]
    return sorted(rows, key=lambda row: str(row["name"]))


def _row(node: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": text_of(node, "ID"),
        "name": needed_text(node, "Node"),
        "address": needed_text(node, "Address"),
        "datacenter": text_of(node, "Datacenter"),
        "tagged_addresses": texts_of(node, "TaggedAddresses"),
        "meta": texts_of(node, "Meta"),
    }


def _names(rows: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(row["name"] for row in rows)


def _looked_at(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "meta": without_version(row["meta"])} for row in rows]


NODES = Kind(
    "nodes",
    words=lambda _: "the list of nodes",
    path=lambda _: "/v1/catalog/nodes",
    decode=_rows,
    members=_names,
    newest=LISTING.newest,
    looked_at=_looked_at,
)
"""The nodes of a datacenter."""


@dataclass(frozen=True, slots=True)
class NodesCondition(Condition):
    """The nodes of one or several datacenters, as condition or as module input."""

    kind: ClassVar[str] = LABEL

    datacenter: str = ""
    datacenters: tuple[str, ...] = ()
    filter: str = ""
    node_meta: Pairs = ()
    trigger_only: bool = False

    def __post_init__(self) -> None:
        set_fields(self, node_meta=canonical_pairs(self.node_meta))
        set_fields(self, **datacenters.canonical(self.datacenter, self.datacenters))

    @property
    def parts(self) -> "tuple[NodesCondition, ...]":
        return datacenters.each(self)

    def views(self, first: Snapshot | None) -> tuple[View, ...]:  # noqa: ARG002
        places = self.datacenters or (self.datacenter,)
        return tuple(View(NODES, "", each, "", self.filter, self.node_meta) for each in places)

    @property
    def variable(self) -> str:
        return "" if self.trigger_only else LABEL

    def declaration(self, *, const: bool) -> str:
        types = "\n".join(attribute_lines(ATTRIBUTES))
        return declared(LABEL, "Nodes of the Consul catalog", map_of_objects(types), const=const)

    def value(self, read: Read) -> str:
        """By `<name>.<datacenter>`, as a service's key ends."""
        rows = [row for view in self.views(None) for row in read[view.id].value]
        by_key = {".".join(filter(None, (row["name"], row["datacenter"]))): row for row in rows}
        return block({key(name): _node(by_key[name]) for name in sorted(by_key)})


def _node(row: Mapping[str, Any]) -> str:
    return block({name: value(row[name]) for name in ATTRIBUTES})


@dataclass(frozen=True)
class NodesInput(ConditionBlock):
    """`module_input "nodes"`."""

    variable: ClassVar[str] = LABEL

    datacenter: str = option("")
    datacenters: tuple[str, ...] = option(())
    filter: str = option("")
    node_meta: Mapping[str, str] = option({})

    def problems(self) -> Iterator[Problem]:
        yield from datacenters.problems_of(self.datacenter, self.datacenters, self.where)
        yield from node_meta.problems_of(self.node_meta, self.where)

    def compiled(self) -> NodesCondition:
        return NodesCondition(
            datacenter=self.datacenter,
            datacenters=self.datacenters,
            filter=undoubled(self.filter),
            node_meta=tuple(self.node_meta.items()),
        )

    def told(self) -> Told:
        return Told("the nodes of the catalog")


@dataclass(frozen=True)
class NodesBlock(PassingBlock, NodesInput):
    """`condition "nodes"`."""

    def compiled(self) -> NodesCondition:
        return replace(NodesInput.compiled(self), trigger_only=not self.use_as_module_input)


ROOM = Room(NodesBlock, NodesInput, NodesCondition)
