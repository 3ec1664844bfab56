"""Several datacenters for one task: `datacenters`, where CTS only has `datacenter`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from cts.config.rules.problem import Code, Problem, Where

C = TypeVar("C")


def problems_of(one: str, several: tuple[str, ...], where: Where) -> Iterator[Problem]:
    """What is wrong with a block's options `datacenter` and `datacenters`."""
    if one and several:
        what, fix = "both datacenter and datacenters are set", "set only one"
        yield where.problem(Code.INVALID_VALUE, what, fix, option="datacenters")
    for n, name in enumerate(several):
        if not name:
            what, fix = "a datacenter's name is empty", "remove it, or write the agent's own"
            yield where.problem(Code.EMPTY_NAME, what, fix, option=f"datacenters[{n}]")


def canonical(one: str, several: Iterable[str]) -> dict[str, Any]:
    """The two fields of a condition. One of several is one."""
    names = tuple(sorted(set(several)))
    if len(names) == 1:
        return {"datacenter": names[0], "datacenters": ()}
    return {"datacenter": one, "datacenters": names}


def each(condition: C) -> tuple[C, ...]:
    """A condition with these fields, for each of its datacenters."""
    made: Any = condition
    names: tuple[str, ...] = made.datacenters
    if not names:
        return (condition,)
    return tuple(replace(made, datacenter=name, datacenters=()) for name in names)
