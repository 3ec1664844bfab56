"""The root module of a task: backend, module block, variables."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cts.terraform.definition import Definition
from cts.terraform.hclwrite import attribute_lines, indented, quoted, value
from cts.terraform.tfvars import ATTRIBUTES

STATE_PREFIX = "tasks"
STATE_KEY = "terraform.tfstate"


def state_key(task: str) -> str:
    """Where the task's state lies in the state bucket. The workspace has the task's name, as in
    CTS, so that a module may read `terraform.workspace`."""
    return f"{STATE_PREFIX}/{task}/{STATE_KEY}"


def module_folder(task: str) -> str:
    """Where a local module's files go, seen from the root module."""
    return f"modules/{task}"


def main(definition: Definition, *, description: str, state_bucket: str, region: str) -> str:
    backend = {
        "bucket": quoted(state_bucket),
        "key": quoted(_backend_key(definition.task)),
        "region": quoted(region),
        "workspace_key_prefix": quoted(STATE_PREFIX),
    }
    module = f"module {quoted(definition.task)}"
    comment = f"# {one_line(description)}\n" if one_line(description) else ""
    return (
        _block("terraform", _block('backend "s3"', *attribute_lines(backend)).rstrip())
        + f"\n{comment}"
        + _block(module, *_module_lines(definition))
    )


def _backend_key(task: str) -> str:
    """Terraform keeps the workspace `default` at the key itself, not below the prefix."""
    return state_key(task) if task == "default" else STATE_KEY


def _module_lines(definition: Definition) -> Iterable[str]:
    module = definition.module
    source = f"./{module_folder(definition.task)}" if module.digest else module.source
    fixed = {"source": quoted(source)}
    if module.version:
        fixed["version"] = quoted(module.version)
    yield from attribute_lines(fixed | {"services": "var.services"})
    if definition.variables:
        yield ""
        yield from attribute_lines({name: f"var.{name}" for name in sorted(definition.variables)})


def variables(constants: Collection[str]) -> str:
    """The variables Consul's data comes in."""
    names = list(ATTRIBUTES)
    groups = (names[:9], names[9:15], names[15:])
    attributes = "\n\n".join(
        "\n".join(attribute_lines({name: ATTRIBUTES[name] for name in group})) for group in groups
    )
    return "# Service definition protocol v0\n" + _block(
        'variable "services"',
        'description = "Consul services of the task"',
        "type = map(",
        indented("object({\n" + indented(attributes) + "\n})"),
        ")",
        *attribute_lines(_const("services", constants)),
    )


def module_variables(names: Iterable[str], constants: Collection[str]) -> str:
    """Of any type: Terraform converts a value to what the module declares."""
    return "\n".join(
        _block(
            f"variable {quoted(name)}", *attribute_lines({"type": "any"} | _const(name, constants))
        )
        for name in sorted(names)
    )


def _const(name: str, constants: Collection[str]) -> dict[str, str]:
    """What a module's constant gets has to be one here too. Terraform before 1.15 knows no such
    thing, so nothing else says it."""
    return {"const": "true"} if name in constants else {}


def module_values(variables: Mapping[str, Any]) -> str:
    written = {name: value(variables[name]) for name in sorted(variables)}
    return "\n".join(attribute_lines(written)) + "\n"


def one_line(text: str) -> str:
    """Text that is safe in a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _block(opening: str, *lines: str) -> str:
    return f"{opening} {{\n{indented(chr(10).join(lines))}\n}}\n"
