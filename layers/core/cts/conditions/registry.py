"""All conditions, by their labels."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from cts.conditions import services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cts.conditions.block import ConditionBlock, Room
    from cts.conditions.condition import Condition

ROOMS: dict[str, str] = {
    "no-condition": "cts.conditions.no_condition",
    "catalog-services": "cts.conditions.catalog_services",
    "services": "cts.conditions.services_block",
    "consul-kv": "cts.conditions.consul_kv",
    "schedule": "cts.conditions.schedule",
    "nodes": "cts.conditions.nodes",
    "intentions": "cts.conditions.intentions",
}
"""Label -> the module that has its `ROOM`, imported when it is needed: a cold start pays per
import. In CTS's order: of several labels in one JSON object it takes the first. Ours follow."""
NOTHING = services.ServicesCondition()
"""What looks at nothing. Every module gets the variable that it fills."""


@cache
def room(label: str) -> Room:
    found: Room = import_module(ROOMS[label]).ROOM
    return found


def condition_blocks() -> Mapping[str, type[ConditionBlock]]:
    """By the label of `condition "label" {}`."""
    return {label: room(label).block for label in ROOMS}


def input_blocks() -> Mapping[str, type[ConditionBlock]]:
    """By the label of `module_input "label" {}`."""
    return {label: block for label in ROOMS if (block := room(label).input)}


def condition(kind: str) -> type[Condition] | None:
    """By the kind that is stored, which is its label; None if this version doesn't know it."""
    if kind == NOTHING.kind:  # nearly always: its blocks are not loaded for this
        return type(NOTHING)
    return room(kind).compiled if kind in ROOMS else None


def filled_by(variable: str) -> str:
    """What would fill a module's variable, in words; empty: no block would."""
    for label in ROOMS:
        if room(label).block.variable == variable:
            blocks = "a condition or a module_input" if room(label).input else "a condition"
            return f'{blocks} "{label}" sets it'
    return ""
