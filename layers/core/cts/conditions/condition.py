"""What a condition, or a module input, is once it is compiled."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cts.watch.query import Pairs, View
from cts.watch.snapshot import Snapshot

Read = Mapping[str, Snapshot]
"""View id -> what was read of it."""


@dataclass(frozen=True, slots=True)
class Condition(ABC):
    """What a task looks at, and what its module gets of it. Fields are what is stored of it."""

    kind: ClassVar[str]
    """As it is stored: it never changes."""
    watched: ClassVar[bool] = True
    """This version keeps its views current."""
    stands_in: ClassVar[bool] = False
    """A task without a condition takes a module input of this kind for one, as in CTS."""

    @property
    def first_view(self) -> View | None:
        """The view that must be read first, because its answer says which others are needed."""
        return None

    @abstractmethod
    def views(self, first: Snapshot | None) -> tuple[View, ...]:
        """The views whose rows the module gets. `first`: what was read of `first_view`; without
        it, only the views that are known anyway."""

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

    def waits_for(self) -> Iterator[str]:
        """What a task with it needs that this version does not do yet."""
        if not self.watched:
            yield f'condition "{self.kind}"'


def canonical_pairs(pairs: Iterable[tuple[str, str]]) -> Pairs:
    return tuple(sorted(dict(pairs).items()))


def set_fields(condition: Any, **canonical: object) -> None:
    """Fields of a frozen dataclass that is being made."""
    for name, value in canonical.items():
        object.__setattr__(condition, name, value)
