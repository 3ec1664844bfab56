"""What a condition, or a module input, is once it is compiled."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cts.terraform.hclwrite import attribute_lines, const_attribute, quoted, statement
from cts.watch.happened import Happened, Things, things_of
from cts.watch.query import Pairs, View
from cts.watch.snapshot import Snapshot

Read = Mapping[str, Snapshot]
"""View id -> what was read of it."""


@dataclass(frozen=True, slots=True)
class Condition(ABC):
    """What a task looks at, and what its module gets of it. Fields are what is stored of it."""

    kind: ClassVar[str]
    """As it is stored: it never changes."""
    stands_in: ClassVar[bool] = False
    """A task without a condition takes a module input of this kind for one, as in CTS."""

    @property
    def parts(self) -> "tuple[Condition, ...]":
        """The conditions it consists of, of which each has at most one view to read first. What
        such a condition needs is what its parts need."""
        return (self,)

    @property
    def first_view(self) -> View | None:
        """The view that must be read first, because its answer says which others are needed."""
        return None

    @abstractmethod
    def views(self, first: Snapshot | None) -> tuple[View, ...]:
        """The views whose rows the module gets. `first`: what was read of `first_view`; without
        it, only the views that are known anyway."""

    def looked_at(
        self,
        digests: Mapping[str, str],
        first: Snapshot | None,  # noqa: ARG002
    ) -> Mapping[str, str]:
        """What triggers the task if it changes, of the digests of the views (by id), or what
        stands for it. `first`: what was read of `first_view`."""
        return digests

    @property
    def events(self) -> tuple[Happened, ...]:
        """What may happen to what it looks at."""
        return (Happened.ADDED, Happened.REMOVED, Happened.CHANGED)

    def things(self, view: View, snapshot: Snapshot) -> Things:
        """What triggers the task, of one of its views."""
        return things_of(view.kind, snapshot.value)

    def with_health(self, health: str) -> "Condition":  # noqa: ARG002
        """The same for instances in this state of health: one of `services.HEALTH`."""
        return self

    @property
    def timetable(self) -> str:
        """When the task runs by the clock, as text; empty: it does not."""
        return ""

    def next_tick(self, after: float) -> float | None:  # noqa: ARG002
        """The first time of the timetable after this one, in seconds since the epoch; None after
        the last one."""
        return None

    @property
    def variable(self) -> str:
        """The module's variable that it fills; empty: none."""
        return ""

    def declaration(self, *, const: bool) -> str:  # noqa: ARG002
        """The variable for variables.tf. `const`: the module wants to know it at `init`."""
        return ""

    def value(self, read: Read) -> str:  # noqa: ARG002
        """The variable's value as HCL. `read` has all its views, the first one too."""
        return ""


def declared(name: str, description: str, kind: str, *, const: bool, protocol: str = "") -> str:
    """A variable for variables.tf, under the comment with which CTS names the protocol."""
    attributes = {"description": quoted(description), "type": kind} | const_attribute(const=const)
    comment = f"# {protocol} definition protocol v0\n" if protocol else ""
    return comment + statement(f"variable {quoted(name)}", *attribute_lines(attributes))


def canonical_pairs(pairs: Iterable[tuple[str, str]]) -> Pairs:
    return tuple(sorted(dict(pairs).items()))


def set_fields(condition: Any, **canonical: object) -> None:
    """Fields of a frozen dataclass that is being made."""
    for name, value in canonical.items():
        object.__setattr__(condition, name, value)
