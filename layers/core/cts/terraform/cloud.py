"""What HCP Terraform executes of a task: a configuration, and the values of its variables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cts.conditions.condition import Read
from cts.terraform import root
from cts.terraform.archive import module_files, run_facts, unzipped, zipped
from cts.terraform.definition import Definition
from cts.terraform.files import root_module
from cts.terraform.place import RunPlace
from cts.terraform.references import has_resolved

JOB, FACTS = "hcp.json", "run.json"
LARGEST_INPUTS = 200_000
"""Bytes of all run variables; what is larger becomes a file of the configuration."""
INPUTS = "inputs.auto.tfvars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run, as an archive has it."""

    cloud: Mapping[str, Any]
    """As in a definition: organization, workspace and so on."""
    description: str
    why: tuple[str, ...]
    terraform_version: str
    """Of a workspace that is created for the task."""
    inputs: Mapping[str, str]
    """Consul's data: variable -> expression."""
    sensitive: Mapping[str, Any]
    """Variable -> JSON value, which may have references to secrets in it."""
    providers: tuple[str, ...]
    """Which of these configure providers: CTS evaluates templates in them alone."""
    environment: Mapping[str, str]
    """Of Terraform; the values may have references in them."""
    in_file: bool
    """Whether Consul's data must be in a file: there is too much of it, or `init` reads it."""
    plan_only: bool
    destroys: bool = False
    files: Mapping[str, bytes] = field(repr=False)
    """The configuration, without Consul's data."""
    facts: str = field(repr=False)
    """As a build gets them (`build/facts.py`)."""
    changed: str = ""
    """What differs in Consul since the last successful run, in one line."""

    @property
    def configuration(self) -> dict[str, bytes]:
        """The files to upload."""
        if not self.in_file:
            return dict(self.files)
        lines = (f"{name} = {value}\n" for name, value in self.inputs.items())
        return {**self.files, INPUTS: "".join(lines).encode()}

    @property
    def run_variables(self) -> Mapping[str, str]:
        return {} if self.in_file else self.inputs


def cloud_archive(
    definition: Definition,
    read: Read,
    *,
    description: str,
    module: Mapping[str, bytes] | None,
    place: RunPlace,
    run: Mapping[str, Any],
    why: tuple[str, ...],
    changed: str,
) -> bytes:
    """A zip of a `Job`. `why`, `changed`: as in it; the others as of `run_archive`."""
    inputs = root.inputs(definition, read)
    size = sum(len(name.encode()) + len(text.encode()) for name, text in inputs.items())
    of_module = {k: v for k, v in definition.variables.items() if has_resolved(v)}
    job = {
        "cloud": dict(definition.cloud),
        "description": root.one_line(description),
        "why": list(why),
        "changed": root.one_line(changed),
        "terraform_version": place.terraform_version,
        "inputs": inputs,
        "sensitive": {each.name: each.arguments for each in definition.providers} | of_module,
        "providers": sorted(each.name for each in definition.providers),
        "environment": definition.whole_environment,
        "in_file": size > LARGEST_INPUTS or bool(definition.constants),
        "plan_only": run["inspect"],
        "destroys": run["destroy"],
    }
    files = root_module(definition, description=description, place=place, run=run["run"])
    return zipped(
        {
            **files,
            **module_files(definition, module),
            JOB: json.dumps(job, indent=1),
            FACTS: run_facts(definition, place, run),
        }
    )


def read_job(archive: bytes) -> Job:
    files = unzipped(archive)
    facts, job = files.pop(FACTS).decode(), json.loads(files.pop(JOB))
    fixed = {"why": tuple(job["why"]), "providers": tuple(job["providers"])}
    return Job(**{**job, **fixed}, files=files, facts=facts)
