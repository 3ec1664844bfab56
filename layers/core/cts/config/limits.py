"""How much a push may hold: its check takes memory and time, and a function has little of both.

What is over a limit is rejected with one problem, and nothing else is said of the push.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from cts.config.rules.problem import Code, Place, Problem

T = TypeVar("T")

MIB = 1024 * 1024
LARGEST_BUNDLE = 64 * MIB
"""Bytes of the zip, and of its files in all. The publisher holds both in memory."""
MOST_FILES = 10_000
LONGEST_FILE_NAME = 1_000
"""Characters, with the folders."""
MOST_CONFIGURATION_FILES = 1_000
LARGEST_CONFIGURATION = 2 * MIB
"""Bytes of the configuration files in all."""
LARGEST_VARIABLES = MIB
"""Bytes of the variable files in all."""
LARGEST_CERTIFICATES = MIB // 4
"""Bytes of the files of `vault.tls`, which are in the definition of each task that needs Vault."""
MOST_MODULES = 1_000
"""Local modules. Their files count for each module that they are in: modules may lie in others."""
LARGEST_TERRAFORM = 2 * MIB
"""Bytes of the Terraform files of all local modules."""
LARGEST_GIVEN = 16 * MIB
"""About the bytes of what all tasks are given: what several share counts for each."""
MOST_FINDINGS = 200
"""Problems that are reported, and warnings."""
MOST_SECRETS = 1_000
"""That are written in the configuration and can be moved out of it."""


class OverLimit(Exception):
    """A push holds too much. Carries the problem that says so."""

    def __init__(self, what: str, fix: str = "", place: Place | None = None) -> None:
        super().__init__(f"{what}; {fix}" if fix else what)
        self.problem = Problem(place or Place("bundle"), "", Code.OVER_LIMIT, what, fix)


def in_mib(size: int) -> str:
    if size < MIB:
        return f"{size:,} bytes"
    return f"{size / MIB:.1f} MiB" if size % MIB else f"{size // MIB} MiB"


def check_size(what: str, sizes: Mapping[str, int], limit: int) -> None:
    """Raises OverLimit if the files have more bytes in all."""
    size = sum(sizes.values())
    if size > limit:
        largest = max(sizes, key=lambda name: sizes[name])
        found = f"{what} have {in_mib(size)} in all, and the limit is {in_mib(limit)}"
        raise OverLimit(f'{found}: "{largest}" is the largest', place=Place(largest))


def too_much_given(what: str, task: str) -> NoReturn:
    """Raises OverLimit: with that task it is too much."""
    told = f"the {what} of all tasks come to more than {in_mib(LARGEST_GIVEN)}"
    fix = "what several tasks share counts for each of them: give each only what it needs"
    raise OverLimit(f'{told} with task "{task}"', fix)


def weight(value: Any) -> int:
    """About the bytes of a value as JSON."""
    match value:
        case str():
            return len(value) + 3
        case Mapping():
            return 3 + sum(len(name) + 4 + weight(each) for name, each in value.items())
        case list() | tuple():
            return 3 + sum(map(weight, value))
    return 4


class Few(list[T]):
    """A list that takes one more than there may be, and leaves out the rest."""

    def __init__(self, most: int = MOST_FINDINGS) -> None:
        super().__init__()
        self.most = most

    def append(self, value: T) -> None:
        if len(self) <= self.most:
            super().append(value)

    def extend(self, values: Iterable[T]) -> None:
        for value in values:
            self.append(value)
