"""All conditions, by their labels."""

from collections.abc import Mapping

from cts.conditions import catalog_services, consul_kv, no_condition, schedule, services
from cts.conditions.block import ConditionBlock, Room
from cts.conditions.condition import Condition

ROOMS: dict[str, Room] = {
    room.label: room
    for room in (
        no_condition.ROOM,
        catalog_services.ROOM,
        services.ROOM,
        consul_kv.ROOM,
        schedule.ROOM,
    )
}
"""In CTS's order: of several labels in one JSON object it takes the first."""
NOTHING = services.ServicesCondition()
"""What looks at nothing. Every module gets the variable that it fills."""


def condition_blocks() -> Mapping[str, type[ConditionBlock]]:
    """By the label of `condition "label" {}`."""
    return {label: room.block for label, room in ROOMS.items()}


def input_blocks() -> Mapping[str, type[ConditionBlock]]:
    """By the label of `module_input "label" {}`."""
    return {label: room.input for label, room in ROOMS.items() if room.input}


def conditions() -> Mapping[str, type[Condition]]:
    """By the kind that is stored."""
    return {each.kind: each for room in ROOMS.values() if (each := room.compiled)}


def filled_by(variable: str) -> str:
    """What would fill a module's variable, in words; empty: no block would."""
    for label, room in ROOMS.items():
        if room.block.variable == variable:
            blocks = "a condition or a module_input" if room.input else "a condition"
            return f'{blocks} "{label}" gives it'
    return ""
