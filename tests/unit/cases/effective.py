"""A finalized configuration as the rows' paths see it: `task[0].condition.services.names`."""

import json
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from cts.conditions.no_condition import NoConditionBlock
from cts.conditions.registry import condition_blocks, input_blocks
from cts.config.blocks.model import Backend, BufferBlock, ProviderBlock
from cts.config.blocks.schema import Seconds, key_of, options_of, types_of

LABELS = {block: label for label, block in [*condition_blocks().items(), *input_blocks().items()]}
FED = "use_as_module_input"
STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def effective(block: Any) -> Any:
    """A block as a dictionary of options, without those that are not set."""
    match block:
        case BufferBlock():
            return buffer_period(block)
        case ProviderBlock():
            return {block.name: provider(block)}
        case tuple():
            return [effective(each) for each in block]
        case _ if type(block) in LABELS:
            return condition(block)
        case _ if is_dataclass(block):
            return options(block)
    return block


def options(block: Any) -> dict[str, Any]:
    kind: Any = type(block)
    types = types_of(kind)
    return {
        key_of(each): written(getattr(block, each.name), types[each.name])
        for each in options_of(type(block))
        if getattr(block, each.name) is not None
    }


def written(value: Any, kind: Any) -> Any:
    if kind is Seconds:
        return duration(value)
    if kind == tuple[Backend, ...]:
        return {each.type: dict(each.options) for each in value}
    return dict(value) if isinstance(value, Mapping) else effective(value)


def condition(block: Any) -> dict[str, Any]:
    """`use_as_module_input` stands beside the type."""
    inside = {} if isinstance(block, NoConditionBlock) else options(block)
    inside.pop("source_includes_var", None)
    inside.pop("datacenters", None)  # not CTS's
    fed = {FED: inside.pop(FED)} if FED in inside else {}
    return {LABELS[type(block)]: inside} | fed


def provider(block: ProviderBlock) -> dict[str, Any]:
    reserved = {"alias": block.alias, "auto_commit": block.auto_commit, "task_env": block.task_env}
    return {name: value for name, value in reserved.items() if value} | dict(block.arguments)


def buffer_period(block: BufferBlock) -> str:
    if not block.enabled:
        return "disabled"
    return f"enabled {duration(block.min or 0)} / {duration(block.max or 0)}"


def duration(seconds: float) -> str:
    return f"{seconds * 1e9:g}ns" if 0 < seconds < 1e-6 else f"{seconds:g}s"


def as_json(values: Mapping[str, Any]) -> dict[str, str]:
    """Variables as CTS keeps them: each as JSON text."""
    return {
        name: json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        for name, value in values.items()
    }


def look_up(tree: Any, path: str) -> Any:
    for index, key in STEP.findall(path):
        tree = tree[int(index)] if index else tree[key]
    return tree
