"""How many examples a property is tried with, if it isn't the usual number."""

from hypothesis import settings

USUAL = 100
"""Without a profile. `make test` has that of `tests/conftest.py`, with fewer."""


def examples(count: int) -> int:
    """So many, or as large a part of them as the profile has of the usual number."""
    return max(1, count * settings().max_examples // USUAL)
