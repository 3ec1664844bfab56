"""The rules of the block `serverless`; those of its events are in `which_events.py`."""

import re
from collections.abc import Iterator

from cts.conditions.services import HEALTH
from cts.config.blocks.model import Configuration, Serverless, Vault
from cts.config.rules.environment import check_names
from cts.config.rules.problem import Code, Problem
from cts.config.rules.terraform_version import check_version
from cts.config.secrets import from_vault
from cts.terraform.versions import NAMES, TERRAFORM

ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
OF_A_TASK = ("role_arn", "after_apply")
"""Options that can't be a default."""


def check_serverless(configuration: Configuration) -> Iterator[Problem]:
    defaults = configuration.serverless
    for name in OF_A_TASK:
        if defaults and getattr(defaults, name):
            what = f"{name} can't be a default for all tasks"
            fix = "write it in the serverless block of a task"
            yield defaults.where.problem(Code.INVALID_VALUE, what, fix, option=name)
    for block in (defaults, *(task.serverless for task in configuration.tasks)):
        if block:
            yield from _block(block, configuration.vault)


def _block(block: Serverless, vault: Vault | None) -> Iterator[Problem]:
    problem = block.where.problem
    if block.health is not None and block.health not in HEALTH:
        what = f'"{block.health}" does not say which instances the module gets'
        fix = f"write one of {', '.join(HEALTH)}"
        yield problem(Code.INVALID_VALUE, what, fix, option="health")
    if block.role_arn and not ROLE.fullmatch(block.role_arn):
        what = f'"{block.role_arn}" is not the ARN of a role'
        fix = 'write it as "arn:aws:iam::123456789012:role/NAME"'
        yield problem(Code.INVALID_VALUE, what, fix, option="role_arn")
    if block.after_apply and not block.after_apply[0]:
        what, fix = "no program is named", 'write after_apply = ["PROGRAM", "ARGUMENT"]'
        yield problem(Code.INVALID_VALUE, what, fix, option="after_apply")
    if block.engine and block.engine not in NAMES:
        what, fix = f'"{block.engine}" is not an engine', f"write one of {', '.join(NAMES)}"
        yield problem(Code.INVALID_VALUE, what, fix, option="engine")
    engine = block.engine if block.engine in NAMES else TERRAFORM
    yield from check_version(block.terraform_version, block.where, "terraform_version", engine)
    yield from check_names(block.environment, block.where, "environment")
    if not (vault and vault.enabled):
        texts = {f"environment.{name}": text for name, text in block.environment.items()}
        for name, text in {**texts, "git_ssh_key": block.git_ssh_key}.items():
            if from_vault(text):
                what = "this reads a secret from Vault, but no Vault is configured"
                fix = 'write vault { address = "https://..." }'
                yield problem(Code.VAULT_MISSING, what, fix, option=name)
