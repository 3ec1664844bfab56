"""The providers of a task: their blocks in the root module, and the variables these read."""

from collections.abc import Iterator, Mapping
from typing import Any

from cts.terraform.definition import Definition, Provider
from cts.terraform.hclwrite import (
    as_blocks,
    attribute_lines,
    name_or_key,
    quoted,
    statement,
    value,
)
from cts.terraform.place import RunPlace
from cts.terraform.references import has_reference

DEFAULT_TAGS = "default_tags"
RUN_TAGS = ("cts:task", "cts:run")


def required(definition: Definition) -> Iterator[str]:
    """Sources and versions, as lines of the block `terraform`."""
    if definition.required_providers:
        yield from statement(
            "required_providers",
            *attribute_lines(
                {
                    name_or_key(name): value(definition.required_providers[name], names=True)
                    for name in sorted(definition.required_providers)
                }
            ),
        ).splitlines()


def blocks(definition: Definition, run: str) -> Iterator[str]:
    """A block for each provider, as CTS writes it: an argument that is an object is a nested
    block, and so is each object of a list of them."""
    for provider in definition.providers:
        tags = provider.name == "aws" and definition.default_tags
        own = {name: each for name, each in provider.arguments.items() if name != DEFAULT_TAGS}
        arguments = own if tags else provider.arguments
        lines = [*_lines(arguments, f"var.{provider.name}")]
        if tags:
            given = provider.arguments.get(DEFAULT_TAGS)
            lines += _default_tags(given, (definition.task, run))
        yield statement(f"provider {quoted(provider.name)}", *lines)


def _lines(arguments: Mapping[str, Any], path: str) -> Iterator[str]:
    """The arguments in the order of their names. Neighbours that are attributes are aligned."""
    attributes: dict[str, str] = {}
    for name in sorted(arguments):
        found = as_blocks(arguments[name])
        if not found:
            attributes[name] = f"{path}.{name}"
            continue
        yield from attribute_lines(attributes)
        attributes = {}
        for n, each in enumerate(found):
            at = f"{path}.{name}[{n}]" if isinstance(arguments[name], list) else f"{path}.{name}"
            lines = attribute_lines({key: f"{at}.{key}" for key in sorted(each)})
            yield from statement(name, *lines).splitlines()
    yield from attribute_lines(attributes)


def _default_tags(given: Any, of_run: tuple[str, str]) -> list[str]:
    """The block with the tags of the task and the run, in addition to those that are given."""
    tags = value(dict(zip(RUN_TAGS, of_run, strict=True)))
    lone = f"{DEFAULT_TAGS}[0]" if isinstance(given, list) else DEFAULT_TAGS
    only = given[0] if isinstance(given, list) and given else given
    if isinstance(only, Mapping) and "tags" in only:
        tags = f"merge(var.aws.{lone}.tags, {tags})"
    return statement(DEFAULT_TAGS, *attribute_lines({"tags": tags})).splitlines()


def variables(definition: Definition, place: RunPlace) -> Iterator[str]:
    """A variable for each provider. It is of any type: an object's type would have to name the
    type of each value, and has none for null or for a list of different objects."""
    marks = {"sensitive": "true"} if place.has_sensitive else {}
    if place.has_ephemeral and not definition.cloud:  # its workspace may have an older version
        marks["ephemeral"] = "true"
    for provider in definition.providers:
        facts = {
            "description": quoted(f"Configuration of the provider {provider.name}"),
            "type": "any",
            "default": "null",
        }
        yield statement(f"variable {quoted(provider.name)}", *attribute_lines(facts | marks))


def is_secret(provider: Provider) -> bool:
    """Whether its values go into the file that the build rewrites: if there are references to
    replace in them, or if the build needs them itself, to commit."""
    return provider.auto_commit or has_reference(provider.arguments)


def values(definition: Definition) -> str:
    """The values of all others."""
    plain = (each for each in definition.providers if not is_secret(each))
    return "\n".join(f"{each.name} = {value(each.arguments)}\n" for each in plain)
