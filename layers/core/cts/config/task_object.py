"""CTS's Task object: how its API writes a task, in requests and in responses."""

import json
from collections.abc import Mapping
from typing import Any

from cts.build.masking import MASK, masked
from cts.conditions.block import ConditionBlock
from cts.conditions.no_condition import NoConditionBlock
from cts.conditions.registry import ROOMS, room
from cts.config.blocks.go_values import duration
from cts.config.blocks.model import BufferBlock, CloudWorkspace, Task
from cts.config.blocks.schema import about, key_of, options_of
from cts.config.secrets import looks_secret

OURS = ("datacenters",)
"""Options that CTS's conditions don't have, and that are left out while they are empty."""
DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "enabled": True,
    "providers": [],
    "module": "",
    "version": "",
    "variables": {},
    "condition": {},
    "module_input": {},
    "buffer_period": None,
    "terraform_version": None,
    "terraform_cloud_workspace": None,
}
"""What can be set of a task that has a name; None: it is then left out."""


def as_file(task: Mapping[str, Any]) -> bytes:
    """The object as a configuration file in JSON."""
    block = {name: value for name, value in task.items() if value is not None}
    for name, choose in (("condition", _condition), ("module_input", _inputs)):
        if name in block:
            block[name] = choose(block[name])
            if not block[name]:
                del block[name]
    return json.dumps({"task": [block]}).encode()


def _condition(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of several the first in this order counts, as in CTS."""
    order = ("services", "consul_kv", "catalog_services", "schedule", *given)
    for name in order:
        if given.get(name) is not None:
            return {name.replace("_", "-"): _options(name, given[name])}
    return {}


def _inputs(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {name.replace("_", "-"): _options(name, block)}
        for name, block in given.items()
        if block is not None
    ]


def _options(name: str, block: Mapping[str, Any]) -> dict[str, Any]:
    """Without nulls, which stand for what is not there. Of names and regexp, names count."""
    options = {
        key: {k: v for k, v in value.items() if v is not None} if _is_map(value) else value
        for key, value in block.items()
        if value is not None
    }
    if name == "services" and options.get("names"):
        options.pop("regexp", None)
    elif name == "services" and "regexp" in options:
        options.pop("names", None)
    return options


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def shown(task: Task, written: Task) -> dict[str, Any]:
    """The object for a task with every default. `written`: the same task as it was written."""
    found: dict[str, Any] = {
        "name": task.name,
        "module": task.module,
        "condition": _conditions((task.condition,)) if task.condition else {},
        "description": task.description,
        "enabled": task.enabled,
        "providers": list(task.providers),
        "version": task.version,
        "variables": dict(task.variables),
        "module_input": _conditions(task.module_input),
    }
    if task.services:
        place = found["module_input"] if found["condition"] else found["condition"]
        place["services"] = {"names": list(task.services)}
    if buffer := _buffer(task, written.buffer_period):
        found["buffer_period"] = buffer
    if task.terraform_version:
        found["terraform_version"] = task.terraform_version
    if workspace := task.terraform_cloud_workspace:
        found["terraform_cloud_workspace"] = _workspace(workspace)
    return found


def hidden(task: Mapping[str, Any]) -> dict[str, Any]:
    """The object as people see it: nothing in it is secret."""
    variables = {
        name: MASK if _is_secret(name, text) else masked(text)
        for name, text in task["variables"].items()
    }
    return {**task, "module": masked(task["module"]), "variables": variables}


def has_hidden(fields: Mapping[str, Any]) -> bool:
    """Whether they come from an object whose secrets are hidden."""
    return any(
        MASK in each for each in (fields.get("module", ""), *fields.get("variables", {}).values())
    )


def _is_secret(name: str, expression: str) -> bool:
    try:
        value = json.loads(expression)
    except (ValueError, RecursionError):
        value = expression
    return any(looks_secret(name, each) for each in (value if isinstance(value, list) else [value]))


def _conditions(blocks: tuple[ConditionBlock, ...]) -> dict[str, Any]:
    return {
        _label(each).replace("-", "_"): _shown_options(each)
        for each in blocks
        if not isinstance(each, NoConditionBlock)
    }


def _label(block: ConditionBlock) -> str:
    return next(label for label in ROOMS if type(block) in (room(label).block, room(label).input))


def _shown_options(block: ConditionBlock) -> dict[str, Any]:
    values = {key_of(each): getattr(block, each.name) for each in options_of(block)}
    left_out = {key_of(each) for each in options_of(block) if about(each).instead}
    if "names" in values:
        left_out.add("regexp" if values["names"] else "names")
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if key not in left_out and value is not None and (value != () or key not in OURS)
    }


def _buffer(task: Task, written: BufferBlock | None) -> dict[str, Any] | None:
    """Only what is set on the task itself; a scheduled task has none, and says so."""
    if task.condition and task.condition.unbuffered:
        return {"enabled": False, "min": duration(0), "max": duration(0)}
    if written is None:
        return None
    enabled = {} if written.enabled is None else {"enabled": written.enabled}
    return {**enabled, "min": duration(written.min or 0), "max": duration(written.max or 0)}


def _workspace(block: CloudWorkspace) -> dict[str, str]:
    values = {each.name: getattr(block, each.name) for each in options_of(block)}
    return {name: value for name, value in values.items() if value}
