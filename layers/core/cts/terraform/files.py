"""A task and what Consul said, as the files Terraform runs on."""

import json
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from cts.conditions.condition import Read
from cts.terraform import providers, root
from cts.terraform.backend import secret_options
from cts.terraform.definition import Definition
from cts.terraform.place import RunPlace
from cts.terraform.references import has_resolved


def files(
    definition: Definition,
    read: Read,
    *,
    description: str,
    place: RunPlace,
    run: str,
) -> dict[str, str]:
    """File name -> text, as CTS names them and `terraform fmt` formats them. `read` is what was
    read of the condition's views, `run` the id of the run.

    A local module's own files go into `root.module_folder(task)`, next to these.
    """
    made = {
        "terraform.tfvars": root.values(definition, read),
        "providers.auto.tfvars": providers.values(definition),
    }
    headed = _with_header(definition, description, made)
    module = root_module(definition, description=description, place=place, run=run)
    return dict(sorted((module | headed | _secret_files(definition)).items()))


def root_module(
    definition: Definition, *, description: str, place: RunPlace, run: str
) -> dict[str, str]:
    """Those of them that neither Consul's data nor a provider's arguments are in."""
    made = {
        "main.tf": root.main(definition, description=description, place=place, run=run),
        "variables.tf": root.variables(definition, place),
    }
    if definition.variable_names:
        made["variables.module.tf"] = root.module_variables(definition, place)
    if plain := {k: v for k, v in definition.variables.items() if not has_resolved(v)}:
        made["variables.auto.tfvars"] = root.module_values(plain)
    return _with_header(definition, description, made) | _variable_files(definition)


def _with_header(
    definition: Definition, description: str, made: Mapping[str, str]
) -> dict[str, str]:
    header = _header(definition.task, description)
    return {name: header + text for name, text in made.items() if text}


def _secret_files(definition: Definition) -> dict[str, str]:
    """The build rewrites them, with what the references in them refer to. They are JSON, where
    any text is data, whatever a secret contains."""
    variables = {k: v for k, v in definition.variables.items() if has_resolved(v)}
    of_providers = {
        each.name: each.arguments for each in definition.providers if providers.is_secret(each)
    }
    written = {
        "secret.auto.tfvars.json": {**of_providers, **variables},
        "secret.backend.json": secret_options(definition),
    }
    return {
        name: json.dumps(_with_normal_keys(values), indent=2) + "\n"
        for name, values in written.items()
        if values
    }


def _with_normal_keys(of: Any) -> Any:
    """For Terraform keys are the same if they have one normal form, which JSON must not have. The
    later one counts, as in its own syntax."""
    match of:
        case Mapping():
            return {normalize("NFC", key): _with_normal_keys(of[key]) for key in sorted(of)}
        case list():
            return [_with_normal_keys(each) for each in of]
    return of


def _variable_files(definition: Definition) -> dict[str, str]:
    """Terraform reads them in the order of their names, behind `variables.auto.tfvars`."""
    files = enumerate(definition.variable_files, 1)
    return {f"variables.file-{n:03}.auto.tfvars": file.text for n, file in files}


def _header(task: str, description: str) -> str:
    return (
        "# Written anew for each run from the task's configuration: changes made here are lost.\n"
        "#\n"
        f"# Task: {root.one_line(task)}\n"
        f"# Description: {root.one_line(description)}".rstrip()
        + "\n\n"
    )
