"""Several files to one configuration, by CTS's rules: the last one that sets an option wins,
tasks, services and providers are appended."""

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass, replace
from functools import reduce
from typing import Any

from cts.config.blocks.model import Backend, Configuration
from cts.config.blocks.schema import options_of
from cts.config.rules.problem import Where


def merge(files: Iterable[Configuration]) -> Configuration:
    return reduce(_join, files, Configuration(Where()))


def _join(first: Configuration, second: Configuration) -> Configuration:
    joined: Configuration = _merged(first, second)
    return replace(joined, secrets=first.secrets + second.secrets)


def _merged(first: Any, second: Any) -> Any:
    """A block written in two files: option by option."""
    both = {
        each.name: _value(getattr(first, each.name), getattr(second, each.name))
        for each in options_of(second)
    }
    where = replace(second.where, options={**first.where.options, **second.where.options})
    return replace(second, where=where, **both)


def _value(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, tuple):
        return _blocks(first, second)
    if isinstance(first, Mapping):
        return {**first, **second}
    return _merged(first, second) if is_dataclass(first) else second


def _blocks(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    """Blocks are appended; backends of one type are merged one level deep."""
    if not all(isinstance(each, Backend) for each in first + second):
        return first + second
    by_type: dict[str, Backend] = {each.type: each for each in first}
    for each in second:
        former = by_type.get(each.type)
        options = {**former.options, **each.options} if former else each.options
        by_type[each.type] = replace(each, options=options)
    return tuple(by_type.values())
