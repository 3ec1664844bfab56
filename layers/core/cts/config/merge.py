"""Several files to one configuration, by CTS's rules: the last one that sets a field wins,
tasks are appended."""

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import TypeVar

from cts.config.model import Buffer, Configuration, Consul
from cts.config.problem import Where

T = TypeVar("T")


def merge(files: Iterable[Configuration]) -> Configuration:
    return reduce(_join, files, Configuration())


def _join(first: Configuration, second: Configuration) -> Configuration:
    return Configuration(
        consul=_consul(first.consul, second.consul),
        buffer=_buffer(first.buffer, second.buffer),
        tasks=first.tasks + second.tasks,
    )


def _consul(first: Consul | None, second: Consul | None) -> Consul | None:
    if not first or not second:
        return first or second
    return Consul(
        where=_where(first.where, second.where),
        address=_last(first.address, second.address),
        token=_last(first.token, second.token),
    )


def _buffer(first: Buffer | None, second: Buffer | None) -> Buffer | None:
    if not first or not second:
        return first or second
    return Buffer(
        where=_where(first.where, second.where),
        enabled=_last(first.enabled, second.enabled),
        min=_last(first.min, second.min),
        max=_last(first.max, second.max),
    )


def _where(first: Where, second: Where) -> Where:
    """The later block's place, and each option's where it was last set."""
    return replace(second, options={**first.options, **second.options})


def _last(first: T | None, second: T | None) -> T | None:
    return first if second is None else second
