"""A task without a condition: it has no trigger, unless a module input is used as one."""

from dataclasses import dataclass

from cts.conditions.block import ConditionBlock, Room


@dataclass(frozen=True)
class NoConditionBlock(ConditionBlock):
    """What CTS takes a task for that has no condition."""


ROOM = Room(NoConditionBlock)
