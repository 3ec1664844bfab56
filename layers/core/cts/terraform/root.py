"""The root module of a task: backend, module block, variables."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cts.conditions.condition import Condition, Read
from cts.conditions.registry import NOTHING
from cts.terraform.definition import Definition
from cts.terraform.hclwrite import attribute_lines, const_attribute, quoted, statement, value

STATE_PREFIX = "tasks"
STATE_KEY = "terraform.tfstate"


def state_key(definition: Definition) -> str:
    """The key of the task's state in the state bucket. The workspace has the task's name, as in
    CTS, so that a module can read `terraform.workspace`."""
    return f"{STATE_PREFIX}/{definition.task}/{STATE_KEY}"


def module_folder(task: str) -> str:
    """Where a local module's files go, seen from the root module."""
    return f"modules/{task}"


def main(definition: Definition, *, description: str, state_bucket: str, region: str) -> str:
    backend = {
        "bucket": quoted(state_bucket),
        "key": quoted(_backend_key(definition)),
        "region": quoted(region),
        "workspace_key_prefix": quoted(STATE_PREFIX),
    }
    module = f"module {quoted(definition.task)}"
    comment = f"# {one_line(description)}\n" if one_line(description) else ""
    return (
        statement("terraform", statement('backend "s3"', *attribute_lines(backend)).rstrip())
        + f"\n{comment}"
        + statement(module, *_module_lines(definition))
    )


def _backend_key(definition: Definition) -> str:
    """Terraform keeps the workspace `default` at the key itself, not below the prefix."""
    return state_key(definition) if definition.task == "default" else STATE_KEY


def _module_lines(definition: Definition) -> Iterable[str]:
    module = definition.module
    source = f"./{module_folder(definition.task)}" if module.digest else module.source
    fixed = {"source": quoted(source)}
    if module.version:
        fixed["version"] = quoted(module.version)
    yield from attribute_lines(fixed | {name: f"var.{name}" for name in filled(definition)})
    if names := definition.variable_names:
        yield ""
        yield from attribute_lines({name: f"var.{name}" for name in names})


def filled(definition: Definition) -> dict[str, Condition]:
    """The module's variables that Consul's data comes in, and what fills each."""
    return {NOTHING.variable: NOTHING, **_given(definition)}


def _given(definition: Definition) -> dict[str, Condition]:
    fills = (definition.condition, *definition.inputs)
    return {each.variable: each for each in fills if each.variable}


def variables(definition: Definition) -> str:
    """The variables Consul's data comes in."""
    constants = definition.constants
    return "\n".join(
        each.declaration(const=name in constants) for name, each in filled(definition).items()
    )


def values(definition: Definition, read: Read) -> str:
    """Their values. Services that nothing gives come last, as in CTS."""
    fills = {**_given(definition), **filled(definition)}
    written = {name: each.value(read) for name, each in fills.items()}
    return "\n".join(attribute_lines(written)) + "\n"


def module_variables(names: Iterable[str], constants: Collection[str]) -> str:
    """Of any type: Terraform converts a value to what the module declares."""
    return "\n".join(
        statement(
            f"variable {quoted(name)}",
            *attribute_lines({"type": "any"} | const_attribute(const=name in constants)),
        )
        for name in sorted(names)
    )


def module_values(variables: Mapping[str, Any]) -> str:
    written = {name: value(variables[name]) for name in sorted(variables)}
    return "\n".join(attribute_lines(written)) + "\n"


def one_line(text: str) -> str:
    """Text that is safe in a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
