"""Which of the stack's secrets the build of a task may read: as little as its references need."""

from cts.build.references import Origin, references
from cts.terraform.definition import Definition

TASK_SECRET, CONNECTION_SECRET = "task-secret", "connection-secret"
"""The tags of a run's session that the policy of `TaskRole` asks for."""
OF_TASK_SECRET = {Origin.TASK_SECRET, Origin.VAULT}
"""Vault's token is in the task secret."""


def secrets(definition: Definition) -> tuple[str, ...]:
    """Sorted. A task with `role_arn` reads the task secret with that role. Raises ValueError
    if a reference can't be evaluated."""
    evaluated = (
        [dict(each.arguments) for each in definition.providers],
        definition.whole_environment,
        dict(definition.backend),
        definition.git_ssh_key,
        dict(definition.vault),
    )
    kinds = {found.kind for value in evaluated for found in references(value)}
    needed = []
    if Origin.CONSUL in kinds or definition.has_state_in_consul:
        needed.append(CONNECTION_SECRET)
    if kinds & OF_TASK_SECRET and not definition.role_arn:
        needed.append(TASK_SECRET)
    return tuple(needed)
