"""Conditions and module inputs as JSON."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cts.stored import known_fields
from cts.watch.query import (
    CatalogServicesCondition,
    Condition,
    Input,
    KvCondition,
    ScheduleCondition,
    ServicesCondition,
)

CONDITIONS: Mapping[str, type[Condition]] = {
    each.kind: each
    for each in (CatalogServicesCondition, KvCondition, ScheduleCondition, ServicesCondition)
}


def written(condition: Condition) -> dict[str, Any]:
    """Options left at their default carry no meaning: one added later leaves the digests of
    today as they are. A condition on services needs no kind for the same reason."""
    kind = {} if isinstance(condition, ServicesCondition) else {"kind": condition.kind}
    options = {
        f.name: value
        for f in fields(condition)
        if (value := getattr(condition, f.name)) != f.default
    }
    if "others" in options:
        options["others"] = [written(each) for each in options["others"]]
    return kind | options


def read_condition(raw: Mapping[str, Any]) -> Condition:
    """Raises ValueError for a kind that this version doesn't know."""
    name = raw.get("kind", ServicesCondition.kind)
    if name not in CONDITIONS:
        raise ValueError(f"this version of the program knows no condition of the kind '{name}'")
    kind = CONDITIONS[name]
    options = {name: _hashable(value) for name, value in known_fields(kind, raw).items()}
    if "others" in raw:
        options["others"] = tuple(read_condition(each) for each in raw["others"])
    return kind(**options)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(each) for each in value) if isinstance(value, list) else value


def read_input(raw: Mapping[str, Any]) -> Input:
    made = read_condition(raw)
    if not isinstance(made, ServicesCondition | KvCondition):
        raise ValueError(f"a module input is of the kind '{made.kind}', which feeds no module")
    return made


def read_services(raw: Mapping[str, Any]) -> ServicesCondition:
    made = read_condition(raw)
    if not isinstance(made, ServicesCondition):
        raise ValueError(f"a task's condition is of the kind '{made.kind}', which watches nothing")
    return made


def is_known(condition: Mapping[str, Any]) -> bool:
    kinds = [each.get("kind", ServicesCondition.kind) for each in condition.get("others", ())]
    kind = condition.get("kind", ServicesCondition.kind)
    return kind == ServicesCondition.kind and CONDITIONS.keys() >= set(kinds)
