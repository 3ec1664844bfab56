"""The backend of a root module: where its state is."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cts.terraform.definition import Definition
from cts.terraform.hclwrite import as_blocks, attribute_lines, name_or_key, quoted, statement, value
from cts.terraform.place import RunPlace
from cts.terraform.references import has_reference

STATE_PREFIX = "tasks"
STATE_KEY = "terraform.tfstate"
BLOCKS = {
    "cos": ("assume_role", "assume_role_with_saml", "assume_role_with_web_identity"),
    "kubernetes": ("exec",),
}
"""Options that Terraform only takes as blocks; objects in all others are attributes."""


def kept_in_consul(definition: Definition, path: str) -> Definition:
    """With its state where CTS has left it. A backend in the configuration counts more, and HCP
    Terraform keeps states itself."""
    if not path or definition.backend or definition.cloud:
        return definition
    return replace(definition, backend={"consul": {"gzip": True, "path": path}})


def state_key(definition: Definition) -> str:
    """The key of the task's state in the state bucket. The workspace has the task's name, as in
    CTS, so that a module can read `terraform.workspace`."""
    return f"{STATE_PREFIX}/{definition.task}/{STATE_KEY}"


def backend(definition: Definition, place: RunPlace) -> str:
    """The block, without the options that `secret_options` has."""
    kind, options = _options(definition, place)
    written = {name: each for name, each in options.items() if not has_reference(each)}
    blocks = {name: as_blocks(written.get(name)) for name in BLOCKS.get(kind, ())}
    attributes = {name: each for name, each in written.items() if not blocks.get(name)}
    inner = (
        line
        for name, of_name in blocks.items()
        for each in of_name
        for line in statement(name, *_lines(each)).splitlines()
    )
    return statement(f"backend {quoted(kind)}", *_lines(attributes), *inner)


def _lines(options: Mapping[str, Any]) -> Iterator[str]:
    return attribute_lines(
        {name_or_key(name): value(options[name], names=True) for name in sorted(options)}
    )


def secret_options(definition: Definition) -> Mapping[str, Any]:
    """The options with references to secrets, which are arguments of `init`."""
    return {
        name: each
        for options in definition.backend.values()
        for name, each in sorted(options.items())
        if has_reference(each)
    }


def _options(definition: Definition, place: RunPlace) -> tuple[str, dict[str, Any]]:
    """The backend's type, and its options."""
    for kind, options in definition.backend.items():
        return kind, {**(_of_consul(place) if definition.has_state_in_consul else {}), **options}
    return "s3", {
        "bucket": place.state_bucket,
        "key": _key(definition),
        "region": place.region,
        "workspace_key_prefix": STATE_PREFIX,
    }


def _key(definition: Definition) -> str:
    """Terraform keeps the workspace `default` at the key itself, not below the prefix."""
    return state_key(definition) if definition.task == "default" else STATE_KEY


def _of_consul(place: RunPlace) -> dict[str, str]:
    """The stack's Consul. Its token and its CA are in the environment of the build."""
    scheme, _, host = place.consul_address.rpartition("://")
    return {"address": host.rstrip("/"), "scheme": scheme or "http"}
