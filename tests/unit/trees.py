"""Looks into a file that was read."""

from collections.abc import Iterator

from cts.config.text.tree import Body, Value


def every_value(value: Value) -> Iterator[Value]:
    """The value and all inside it."""
    yield value
    match value.data:
        case Body(entries):
            for entry in entries:
                yield from every_value(entry.value)
        case tuple() as items:
            for item in items:
                yield from every_value(item)
