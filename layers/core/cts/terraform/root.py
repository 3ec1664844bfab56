"""The root module of a task: backend, module block, variables."""

from collections.abc import Iterable, Mapping
from typing import Any

from cts.conditions.condition import Condition, Read
from cts.conditions.registry import NOTHING
from cts.terraform import providers
from cts.terraform.backend import backend
from cts.terraform.definition import Definition
from cts.terraform.hclwrite import attribute_lines, const_attribute, quoted, statement, value
from cts.terraform.place import RunPlace
from cts.terraform.references import has_resolved


def module_folder(task: str) -> str:
    """Where a local module's files go, seen from the root module."""
    return f"modules/{task}"


def main(definition: Definition, *, description: str, place: RunPlace, run: str) -> str:
    module = f"module {quoted(definition.task)}"
    comment = f"# {one_line(description)}\n" if one_line(description) else ""
    state = [] if definition.cloud else backend(definition, place).splitlines()
    return "\n".join(
        [
            statement("terraform", *providers.required(definition), *state),
            *providers.blocks(definition, run),
            comment + statement(module, *_module_lines(definition)),
        ]
    )


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


def variables(definition: Definition, place: RunPlace) -> str:
    """The variables Consul's data comes in, and those of the providers."""
    constants = definition.constants
    of_consul = (
        each.declaration(const=name in constants) for name, each in filled(definition).items()
    )
    return "\n".join([*of_consul, *providers.variables(definition, place)])


def inputs(definition: Definition, read: Read) -> dict[str, str]:
    """Their values, as expressions. Services that nothing gives come last, as in CTS."""
    fills = {**_given(definition), **filled(definition)}
    return {name: each.value(read) for name, each in fills.items()}


def values(definition: Definition, read: Read) -> str:
    return "\n".join(attribute_lines(inputs(definition, read))) + "\n"


def module_variables(definition: Definition, place: RunPlace) -> str:
    """Of any type: Terraform converts a value to what the module declares."""
    return "\n".join(
        statement(f"variable {quoted(name)}", *attribute_lines(_declared(definition, name, place)))
        for name in definition.variable_names
    )


def _declared(definition: Definition, name: str, place: RunPlace) -> dict[str, str]:
    """Terraform takes no constant that is sensitive."""
    if name in definition.constants:
        return {"type": "any"} | const_attribute(const=True)
    is_secret = place.has_sensitive and has_resolved(definition.variables.get(name))
    return {"type": "any"} | ({"sensitive": "true"} if is_secret else {})


def module_values(variables: Mapping[str, Any]) -> str:
    written = {name: value(variables[name]) for name in sorted(variables)}
    return "\n".join(attribute_lines(written)) + "\n"


def one_line(text: str) -> str:
    """Text that is safe in a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
