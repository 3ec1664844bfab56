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

    A local module's own files go into `root.module_folder(task)`, next to these.
    """
    made = {
        "main.tf": root.main(
            definition, description=description, state_bucket=state_bucket, region=region
        ),
        "variables.tf": root.variables(definition),
        "terraform.tfvars": root.values(definition, read),
    }
    if definition.variable_names:
        made["variables.module.tf"] = root.module_variables(
            definition.variable_names, definition.constants
        )
    if definition.variables:
        made["variables.auto.tfvars"] = root.module_values(definition.variables)
    header = _header(definition.task, description)
    headed = {name: header + text for name, text in made.items()}
    return dict(sorted((headed | _variable_files(definition)).items()))


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
