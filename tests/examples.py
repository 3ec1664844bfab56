"""How many examples a property is tried with, if it isn't the usual number."""

from hypothesis import settings

FEW = 10
USUAL = 100
"""Without a profile. `make test` has that of `tests/conftest.py`, with fewer."""


def examples(count: int) -> int:
    """So many, or as large a part of them as the profile has of the usual number, but not few: the
    first ones are the simplest."""
    return min(count, max(FEW, count * settings().max_examples // USUAL))
