"""Options that CTS has given up or never had, and what to write instead."""

import re
from typing import NamedTuple


class FormerOption(NamedTuple):
    fix: str
    meant: str = ""
    """The option of the same block that replaced it."""
    what: str = "CTS no longer has this option"


def unknown(fix: str, meant: str = "") -> FormerOption:
    """An option that other programs have, or that another block has."""
    return FormerOption(fix, meant, "unknown option")


BUFFER = FormerOption('write buffer_period { min = "5s" max = "20s" }', "buffer_period")
BACKEND = FormerOption('write backend "..." { ... } in driver "terraform"', "driver")
REGISTRATION = FormerOption("write service_registration", "service_registration")
FILTER = FormerOption('write filter = "\\"web\\" in Service.Tags"', "filter")
MODULE_INPUT = FormerOption("write use_as_module_input", "use_as_module_input")
TLS = unknown("write tls { ... }", "tls")
IN_A_TASK = unknown("write it in a task")
NO_NAMES = unknown('write regexp = "^(web|api)$": this condition has no list of names', "regexp")
NAMES = unknown('write names = ["..."]', "names")
CRON = unknown('write cron = "*/5 * * * *" for every five minutes', "cron")
NAME_IT = unknown('write name = "..."', "name")
MODULE = unknown('write module = "./folder" or the address of a module', "module")
CONDITION = unknown('write condition "services" { ... }', "condition")
TYPED = unknown('write driver "terraform" { ... }')
PATH = unknown('write path = "..."', "path")
FORMER = {
    "": {
        "backend": unknown('write it in driver "terraform"', "driver"),
        "condition": IN_A_TASK,
        "interval": unknown(BUFFER.fix, BUFFER.meant),
        "module": IN_A_TASK,
        "module_input": IN_A_TASK,
        "required_providers": unknown('write it in driver "terraform"', "driver"),
        "sync_interval": unknown(BUFFER.fix, BUFFER.meant),
        "inspect_mode": FormerOption("remove it: CTS has the flag -inspect for it"),
        "provider": FormerOption('write terraform_provider "..." { ... }', "terraform_provider"),
        "terraform": FormerOption('write driver "terraform" { ... }', "driver"),
        "terraform_backend": BACKEND,
        "wait": BUFFER,
    },
    "consul": {
        "scheme": unknown("write tls { enabled = true } for https", "tls"),
        "self_registration": REGISTRATION,
        "ssl": TLS,
    },
    "driver": {"log": TYPED, "type": TYPED, "version": TYPED},
    "driver.terraform": {
        "data_dir": FormerOption("remove it: each run has a fresh folder"),
        "log_level": FormerOption("write log_level at the top of the configuration"),
        "skip_verify": FormerOption("remove it: each build downloads Terraform"),
        "terraform_backend": FormerOption('write backend "..." { ... }', "backend"),
        "working_dir": FormerOption(
            "write working_dir at the top of the configuration, or in a task"
        ),
    },
    "driver.terraform-cloud": {
        "address": unknown('write hostname = "https://..."', "hostname"),
        "workspace": unknown('write workspaces { prefix = "..." }', "workspaces"),
    },
    "driver.terraform-cloud.workspaces": {
        "name": unknown(
            'write prefix = "...", because each task has a workspace with its name', "prefix"
        ),
    },
    "service": {"tag": FILTER},
    "task": {
        "id": NAME_IT,
        "label": NAME_IT,
        "module_source": MODULE,
        "path": MODULE,
        "source_module": MODULE,
        "title": NAME_IT,
        "trigger": CONDITION,
        "terraform_backend": BACKEND,
        "variables_file": FormerOption('write variable_files = ["..."]', "variable_files"),
        "wait": BUFFER,
    },
    "task.condition.catalog-services": {
        "enable_tf_var": MODULE_INPUT,
        "name": NO_NAMES,
        "names": NO_NAMES,
        "services": NO_NAMES,
    },
    "task.condition.consul-kv": {
        "key": PATH,
        "prefix": unknown('write path = "..." and recurse = true', "path"),
    },
    "task.condition.schedule": {"every": CRON, "interval": CRON},
    "task.condition.services": {
        "service": NAMES,
        "services": NAMES,
        "tag": unknown(FILTER.fix),
        "tags": unknown(FILTER.fix),
    },
    "vault": {"ssl": TLS},
}
"""By the block they were in, without the names of tasks and services. Module inputs are as
conditions."""
NAME = re.compile(r"^(service|task)(?:\[[0-9]+\]|\.[^.]*)")
INPUT = re.compile(r"^task\.(?:module|source)_input\[[0-9]+\]")


def former(path: str, key: str) -> FormerOption | None:
    """`path`: of the block."""
    block = INPUT.sub("task.condition", NAME.sub(r"\1", path))
    return FORMER.get(block, {}).get(key.lower())
