"""What a `condition` or `module_input` block of a configuration is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from cts.conditions.condition import Condition
from cts.config.blocks.schema import option
from cts.config.rules.problem import Problem, Where


class Told(NamedTuple):
    """A block in the words of `cts import`."""

    runs_when: str = ""
    """When its task runs."""
    difference: str = ""
    """What it does in another way than CTS."""


@dataclass(frozen=True)
class ConditionBlock:
    """The options are the dataclass's fields."""

    where: Where
    variable: ClassVar[str] = ""
    """The module's variable that it fills."""
    unbuffered: ClassVar[str] = ""
    """Why a task with it has no buffer period."""

    @property
    def is_passed(self) -> bool:
        """The module gets what it watches."""
        return bool(self.variable)

    def problems(self) -> Iterator[Problem]:
        """What breaks a rule."""
        yield from ()

    def warnings(self) -> Iterator[Problem]:
        """What works in another way than written."""
        yield from ()

    def compiled(self) -> Condition:
        raise NotImplementedError

    def told(self) -> Told:
        return Told()


@dataclass(frozen=True)
class PassingBlock(ConditionBlock):
    """A condition that may keep from the module what it watches."""

    use_as_module_input: bool = option(True)
    source_includes_var: bool | None = option(
        instead="use_as_module_input", successor="use_as_module_input"
    )

    @property
    def is_passed(self) -> bool:
        return self.use_as_module_input


@dataclass(frozen=True)
class Room:
    """One kind of condition: its blocks, and what they compile to."""

    block: type[ConditionBlock]
    """`condition "label" {}`"""
    input: type[ConditionBlock] | None = None
    """`module_input "label" {}`, where CTS has it."""
    compiled: type[Condition] | None = None
    """None if it does not compile to its own kind of condition."""
