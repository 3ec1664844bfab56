"""Options that CTS has given up, and what took their place."""

import re
from typing import NamedTuple


class FormerOption(NamedTuple):
    fix: str
    meant: str = ""
    """The option of the same block that replaced it."""


BUFFER = FormerOption('write buffer_period { min = "5s" max = "20s" }', "buffer_period")
BACKEND = FormerOption('write backend "..." { ... } in driver "terraform"', "driver")
REGISTRATION = FormerOption("write service_registration", "service_registration")
FILTER = FormerOption('write filter = "\\"web\\" in Service.Tags"', "filter")
MODULE_INPUT = FormerOption("write use_as_module_input", "use_as_module_input")
FORMER = {
    "": {
        "inspect_mode": FormerOption("remove it: CTS has the flag -inspect for it"),
        "provider": FormerOption('write terraform_provider "..." { ... }', "terraform_provider"),
        "terraform": FormerOption('write driver "terraform" { ... }', "driver"),
        "terraform_backend": BACKEND,
        "wait": BUFFER,
    },
    "consul": {"self_registration": REGISTRATION},
    "driver.terraform": {
        "data_dir": FormerOption("remove it: each run has a fresh folder"),
        "log_level": FormerOption("write log_level at the top of the configuration"),
        "skip_verify": FormerOption("remove it: each build downloads Terraform"),
        "terraform_backend": FormerOption('write backend "..." { ... }', "backend"),
        "working_dir": FormerOption(
            "write working_dir at the top of the configuration, or in a task"
        ),
    },
    "service": {"tag": FILTER},
    "task": {
        "terraform_backend": BACKEND,
        "variables_file": FormerOption('write variable_files = ["..."]', "variable_files"),
        "wait": BUFFER,
    },
    "task.condition.catalog-services": {"enable_tf_var": MODULE_INPUT},
}
"""By the block they were in, without the names of tasks and services."""
NAME = re.compile(r"^(service|task)(?:\[[0-9]+\]|\.[^.]*)")


def former(path: str, key: str) -> FormerOption | None:
    """`path`: of the block."""
    return FORMER.get(NAME.sub(r"\1", path), {}).get(key.lower())
