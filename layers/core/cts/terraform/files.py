"""A task and what Consul said, as the files Terraform runs on."""

from cts.conditions.condition import Read
from cts.terraform import root
from cts.terraform.definition import Definition


def files(
    definition: Definition,
    read: Read,
    *,
    description: str,
    state_bucket: str,
    region: str,
) -> dict[str, str]:
    """File name -> text, as CTS names them and `terraform fmt` formats them. `read` is what was
    read of the condition's views.

    A local module's own files go into `root.module_folder(task)` beside these.
    """
    made = {
        "main.tf": root.main(
            definition, description=description, state_bucket=state_bucket, region=region
        ),
        "variables.tf": root.variables(definition),
        "terraform.tfvars": root.values(definition, read),
    }
    if definition.variables:
        made["variables.module.tf"] = root.module_variables(
            definition.variables, definition.constants
        )
        made["variables.auto.tfvars"] = root.module_values(definition.variables)
    header = _header(definition.task, description)
    return {name: header + made[name] for name in sorted(made)}


def _header(task: str, description: str) -> str:
    return (
        "# Written anew for each run from the task's configuration: changes made here are lost.\n"
        "#\n"
        f"# Task: {root.one_line(task)}\n"
        f"# Description: {root.one_line(description)}".rstrip()
        + "\n\n"
    )
