"""The blocks of `services`, and of the deprecated list of services."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from cts.conditions import datacenters
from cts.conditions.block import ConditionBlock, PassingBlock, Room, Told
from cts.conditions.paths import SERVICE_FAULT, can_be_asked_for
from cts.conditions.patterns import problems_of
from cts.conditions.services import LABEL, ServicesCondition
from cts.config.blocks.schema import option
from cts.config.rules.problem import Code, Problem, Where
from cts.config.text.escapes import undoubled

NAMES_SHOWN = 3


@dataclass(frozen=True)
class Service:
    """CTS's deprecated `service` block: how the services of a task's list are asked for."""

    where: Where
    name: str = option("", required='write name = "..."')
    id: str | None = option(verbatim=True)
    description: str = option("")
    datacenter: str = option("")
    namespace: str = option("")
    filter: str = option("")
    cts_user_defined_meta: Mapping[str, str] = option({})


def listed(entries: tuple[str, ...], by_id: Mapping[str, Service]) -> ServicesCondition:
    """The deprecated list: an entry is the id of a service block, or else a service's name.

    Of two entries for one service the last one counts, as in CTS.
    """
    by_name: dict[str, ServicesCondition] = {}
    for entry in filter(None, entries):
        found = by_id.get(entry)
        name = found.name if found else entry
        by_name[name] = ServicesCondition(
            datacenter=found.datacenter if found else "",
            namespace=found.namespace if found else "",
            filter=undoubled(found.filter if found else ""),
            meta=tuple(found.cts_user_defined_meta.items() if found else ()),
        )
    groups: dict[ServicesCondition, list[str]] = {}
    for name, query in sorted(by_name.items()):
        groups.setdefault(query, []).append(name)
    made = [replace(query, names=tuple(names)) for query, names in groups.items()]
    first, *others = made or [ServicesCondition()]
    return replace(first, others=tuple(others))


def some_services(names: tuple[str, ...]) -> str:
    """A list of names for people."""
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"services {shown} and {more} more" if more > 0 else f"services {shown}"


@dataclass(frozen=True)
class ServicesInput(ConditionBlock):
    """`module_input "services"`."""

    variable: ClassVar[str] = LABEL

    names: tuple[str, ...] = option(())
    regexp: str | None = option()
    datacenter: str = option("")
    datacenters: tuple[str, ...] = option(())
    namespace: str = option("")
    filter: str = option("")
    cts_user_defined_meta: Mapping[str, str] = option({})

    def problems(self) -> Iterator[Problem]:
        problem = self.where.problem
        if self.names and self.regexp is not None:
            yield problem(Code.NAMES_OR_REGEXP, "both names and regexp are set", "set only one")
        if not self.names and self.regexp is None:
            yield problem(Code.NAMES_OR_REGEXP, "neither names nor regexp is set", "set one")
        for n, name in enumerate(self.names):
            if not name:
                what, fix = "a service name is empty", "remove it"
                yield problem(Code.EMPTY_NAME, what, fix, option=f"names[{n}]")
            elif not can_be_asked_for(name):
                yield problem(Code.INVALID_VALUE, *SERVICE_FAULT, option=f"names[{n}]")
        if self.regexp is not None:
            yield from problems_of(self.regexp, self.where)
        yield from datacenters.problems_of(self.datacenter, self.datacenters, self.where)

    def warnings(self) -> Iterator[Problem]:
        for n, name in enumerate(self.names):
            if "*" in name:
                what = "names are matched literally, and no service has a * in its name"
                fix = 'write regexp = "" for all services' if name == "*" else "use regexp instead"
                yield self.where.problem(Code.INVALID_VALUE, what, fix, option=f"names[{n}]")

    def compiled(self) -> ServicesCondition:
        return ServicesCondition(
            names=self.names,
            regexp=None if self.regexp is None else undoubled(self.regexp),
            datacenter=self.datacenter,
            datacenters=self.datacenters,
            namespace=self.namespace,
            filter=undoubled(self.filter),
            meta=tuple(self.cts_user_defined_meta.items()),
        )

    def told(self) -> Told:
        if self.regexp is not None:
            return Told(f'services that match "{self.regexp}"')
        return Told(some_services(self.names or ()))


@dataclass(frozen=True)
class ServicesBlock(PassingBlock, ServicesInput):
    """`condition "services"`."""

    def compiled(self) -> ServicesCondition:
        return replace(ServicesInput.compiled(self), trigger_only=not self.use_as_module_input)

    def told(self) -> Told:
        told = ServicesInput.told(self)
        if self.regexp is None:
            return told
        difference = "A regexp also follows health: CTS misses checks that become critical."
        return told._replace(difference=difference)


ROOM = Room(ServicesBlock, ServicesInput, ServicesCondition)
