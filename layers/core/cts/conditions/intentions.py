"""`intentions`: which service may reach which in Consul's mesh. CTS does not have it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cts.conditions.block import ConditionBlock, PassingBlock, Room, Told
from cts.conditions.condition import Condition, Read, declared
from cts.config.blocks.schema import option
from cts.config.text.escapes import undoubled
from cts.terraform.hclwrite import attribute_lines, block, key, map_of_objects, value
from cts.watch.answer import as_type, needed_text, text_of, texts_of
from cts.watch.query import Kind, View, probe
from cts.watch.snapshot import Snapshot

LABEL = "intentions"
DEFAULT = ("", "default")
"""A namespace or partition that Consul leaves out when it names a service."""
ATTRIBUTES = {
    "source": "string",
    "source_namespace": "string",
    "source_partition": "string",
    "source_peer": "string",
    "source_sameness_group": "string",
    "destination": "string",
    "destination_namespace": "string",
    "destination_partition": "string",
    "action": "string",
    "permissions": "string",
    "jwt": "string",
    "precedence": "number",
    "description": "string",
    "meta": "map(string)",
}
"""An intention's attributes and their types."""


def _rows(answer: Any) -> list[dict[str, Any]]:
    found = as_type(list, answer, "it")
    rows = [_row(as_type(dict, each, "an intention")) for each in found]
    return sorted(rows, key=_key)


def _row(intention: Mapping[str, Any]) -> dict[str, Any]:
    """IDs, hashes and times change with a repeated write of the same: they are left out."""
    return {
        "source": needed_text(intention, "SourceName"),
        "source_namespace": text_of(intention, "SourceNS"),
        "source_partition": text_of(intention, "SourcePartition"),
        "source_peer": text_of(intention, "SourcePeer"),
        "source_sameness_group": text_of(intention, "SourceSamenessGroup"),
        "destination": needed_text(intention, "DestinationName"),
        "destination_namespace": text_of(intention, "DestinationNS"),
        "destination_partition": text_of(intention, "DestinationPartition"),
        "action": text_of(intention, "Action"),
        "permissions": _json(as_type(list, intention.get("Permissions"), "Permissions")),
        "jwt": _json(as_type(dict, intention.get("JWT"), "JWT")),
        "precedence": as_type(int, intention.get("Precedence"), "Precedence"),
        "description": text_of(intention, "Description"),
        "meta": texts_of(intention, "Meta"),
    }


def _json(part: Any) -> str:
    """A nested part as text: its form is Consul's, and newer versions add to it."""
    return json.dumps(part, sort_keys=True, ensure_ascii=False) if part else ""


def _key(row: Mapping[str, Any]) -> str:
    """As Consul's command line names an intention: `web => db`."""
    source = _end(_origin(row), row["source_namespace"], row["source"])
    target = _end(row["destination_partition"], row["destination_namespace"], row["destination"])
    return f"{source} => {target}"


def _origin(row: Mapping[str, Any]) -> str:
    if row["source_peer"]:
        return f"peer:{row['source_peer']}"
    if row["source_sameness_group"]:
        return f"group:{row['source_sameness_group']}"
    return str(row["source_partition"])


def _end(place: str, namespace: str, name: str) -> str:
    if place not in DEFAULT:
        return f"{place}/{namespace or 'default'}/{name}"
    return name if namespace in DEFAULT else f"{namespace}/{name}"


def _keys(rows: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(map(_key, rows))


INTENTIONS = Kind(
    "intentions",
    words=lambda _: "the list of intentions",
    path=lambda _: "/v1/connect/intentions",
    decode=_rows,
    members=_keys,
    newest=(
        probe(
            "intentions-index",
            "the newest index of intentions",
            "/v1/connect/intentions",
            {"filter": 'Action == "none"'},
        ),
    ),
)
"""All intentions. Consul replicates them from the primary datacenter to all others."""


@dataclass(frozen=True, slots=True)
class IntentionsCondition(Condition):
    """Intentions, as condition or as module input."""

    kind: ClassVar[str] = LABEL

    namespace: str = ""
    filter: str = ""
    trigger_only: bool = False

    def views(self, first: Snapshot | None) -> tuple[View, ...]:  # noqa: ARG002
        return (View(INTENTIONS, "", "", self.namespace, self.filter),)

    @property
    def variable(self) -> str:
        return "" if self.trigger_only else LABEL

    def declaration(self, *, const: bool) -> str:
        types = "\n".join(attribute_lines(ATTRIBUTES))
        return declared(LABEL, "Intentions of Consul's mesh", map_of_objects(types), const=const)

    def value(self, read: Read) -> str:
        [view] = self.views(None)
        by_key = {_key(row): row for row in read[view.id].value}
        return block({key(name): _intention(by_key[name]) for name in sorted(by_key)})


def _intention(row: Mapping[str, Any]) -> str:
    return block({name: value(row[name]) for name in ATTRIBUTES})


@dataclass(frozen=True)
class IntentionsInput(ConditionBlock):
    """`module_input "intentions"`."""

    variable: ClassVar[str] = LABEL

    namespace: str = option("")
    filter: str = option("")

    def compiled(self) -> IntentionsCondition:
        return IntentionsCondition(self.namespace, undoubled(self.filter))

    def told(self) -> Told:
        return Told("the intentions of the mesh")


@dataclass(frozen=True)
class IntentionsBlock(PassingBlock, IntentionsInput):
    """`condition "intentions"`."""

    def compiled(self) -> IntentionsCondition:
        return replace(IntentionsInput.compiled(self), trigger_only=not self.use_as_module_input)


ROOM = Room(IntentionsBlock, IntentionsInput, IntentionsCondition)
