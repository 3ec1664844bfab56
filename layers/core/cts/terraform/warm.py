"""What the warm lane can't give to a task. Its sandboxes execute runs of all tasks, one after the
other and with one user (docs/security.md)."""

import re
from collections.abc import Iterator

from cts.terraform.definition import Definition
from cts.terraform.references import has_reference, has_resolved

WITH_GIT = re.compile(r"(?:git|hg)::|git@|(?:github\.com|bitbucket\.org)/|[^?]*\.git(?:$|[?/])")
"""Sources of modules that Terraform fetches with a program."""


def obstacles(definition: Definition) -> Iterator[str]:
    """Why a task of the stack's builds does not run in the warm lane; none: it may."""
    secrets = (
        [dict(each.arguments) for each in definition.providers],
        definition.whole_environment,
        dict(definition.backend),
        definition.git_ssh_key,
        dict(definition.vault),
    )
    if definition.role_arn:
        yield "it has role_arn, whose credentials other tasks' modules must not find"
    if has_reference(secrets) or has_resolved(definition.variables):
        yield "it reads secrets, which other tasks' modules must not find"
    if definition.has_state_in_consul:
        yield "its state is in Consul, whose token other tasks' modules must not find"
    if WITH_GIT.match(definition.module.source):
        yield "its module is fetched with a program that the warm lane does not have"
    if definition.after_apply:
        yield "its after_apply may name a program that the warm lane does not have"
