"""Modules as they are found in the wild: each declares its own part of the attributes that a task
passes. All compile, and Terraform validates each root module."""

import os
import subprocess
from pathlib import Path

import pytest

from cts.config.compile import Compiled, compile_bundle
from cts.terraform.archive import unzipped
from cts.terraform.files import files
from cts.terraform.root import module_folder
from cts.watch.snapshot import EMPTY
from tests.unit.test_terraform_files import PLACE

FOURTEEN = {
    "id": "string", "name": "string", "address": "string", "port": "number",
    "meta": "map(string)", "tags": "list(string)", "namespace": "string", "status": "string",
    "node": "string", "node_id": "string", "node_address": "string", "node_datacenter": "string",
    "node_tagged_addresses": "map(string)", "node_meta": "map(string)",
}  # fmt: skip
FIFTEEN = FOURTEEN | {"cts_user_defined_meta": "map(string)"}
SIXTEEN = FIFTEEN | {"kind": "string"}

OWN_VARIABLES = """
variable "tenant_name" {
  type = string
}

variable "health_check" {
  type = object({
    path    = string
    healthy = number
  })
  default = null
}

variable "prefixes" {
  type    = list(string)
  default = []
}
"""
OUTPUTS = """
output "addresses" {
  value = [for service in var.services : "${var.tenant_name}-${service.address}:${service.port}"]
}

output "health_check" {
  value = var.health_check
}
"""
TFVARS = """
tenant_name  = "prod"
health_check = { path = "/up", healthy = 1 + 1 }
prefixes     = [for name in ["a", "b"] : "${name}-"]
"""
TASK = """
task {
  name           = "%s"
  module         = "./modules/%s"
  variable_files = ["own.tfvars"]
  condition "services" {
    names = ["web", "api"]
  }
}
"""


def services_variable(attributes: dict[str, str]) -> str:
    lines = "\n".join(f"      {name} = {type_}" for name, type_ in attributes.items())
    return f'variable "services" {{\n  type = map(\n    object({{\n{lines}\n    }})\n  )\n}}\n'


DIALECTS = {"fourteen": FOURTEEN, "fifteen": FIFTEEN, "sixteen": SIXTEEN}


@pytest.fixture
def compiled() -> Compiled:
    bundle = {"own.tfvars": TFVARS, "tasks.hcl": "".join(TASK % (n, n) for n in DIALECTS)}
    for name, attributes in DIALECTS.items():
        # one of the published modules keeps its declarations in variable.tf
        bundle[f"modules/{name}/variable.tf"] = services_variable(attributes) + OWN_VARIABLES
        bundle[f"modules/{name}/outputs.tf"] = OUTPUTS
    result = compile_bundle({name: text.encode() for name, text in bundle.items()})
    assert not result.problems
    assert result.compiled
    return result.compiled


@pytest.mark.parametrize("dialect", DIALECTS)
def test_terraform_validates_the_root_module(
    dialect: str, compiled: Compiled, tmp_path: Path
) -> None:
    definition = compiled.definitions[compiled.tasks[dialect].definition]
    read = {view.id: EMPTY for view in definition.condition.views(None)}
    root: dict[str, str | bytes] = dict(
        files(definition, read, description="", place=PLACE, run="run-1")
    )
    folder = module_folder(definition.task)
    for name, content in unzipped(compiled.modules[definition.module.digest]).items():
        root[f"{folder}/{name}"] = content
    for name, text in root.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    settings = tmp_path / "terraformrc"
    settings.touch()
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1"}
    for command in (["init", "-backend=false", "-input=false"], ["validate"]):
        done = subprocess.run(
            ["terraform", *command], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
