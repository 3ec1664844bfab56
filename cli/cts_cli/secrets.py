"""Move secrets from a configuration to the stack's secrets."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cts.config.blocks.model import WrittenSecret
from cts.config.blocks.schema import Group
from cts_cli.aws import DENIED, Stack, code_of, explaining_errors
from cts_cli.errors import CommandError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

STAGE = "PUSHED"
"""Every put moves this label to its new version. Secrets Manager deletes versions without labels
and limits the number of labels."""
LOST = frozenset({"InvalidParameterException", "InvalidRequestException"})
"""Errors returned when another version has become the current one in the meantime."""
TRIES = 10

Kept = dict[str, dict[str, bool]]
"""By group, the name of each secret and whether it replaced a different value."""


def move(stack: Stack, secrets: Iterable[WrittenSecret]) -> Kept:
    """Store each secret under its name. Unused names are kept, for a rollback."""
    found = [*secrets]
    kept: Kept = {}
    for group in Group:
        values = {each.name: each.value for each in found if each.group is group}
        if values:
            if group not in stack.secrets:
                raise CommandError(
                    f"stack '{stack.name}' has nowhere to store the configuration's secrets: "
                    "deploy this version of it first"
                )
            with explaining_errors(f"storing {', '.join(values)} in the stack's secret"):
                client = stack.session.client("secretsmanager")
                former = _add(client, stack.secrets[group], values)
            kept[group.value] = {
                name: name in former and former[name] != values[name] for name in sorted(values)
            }
    return kept


def missing(
    stack: Stack, references: Mapping[str, str], moved: Iterable[WrittenSecret]
) -> dict[Group, list[str]]:
    """By group, the names that a configuration reads but that the group's secret lacks. A secret
    that the caller may not read is assumed to be complete. `references`: each name's group."""
    moving = {(each.name, each.group.value) for each in moved}
    found = {}
    for group, arn in stack.secrets.items():
        names = [name for name, of in references.items() if of == group]
        names = [name for name in names if (name, group.value) not in moving]
        instead = group is Group.CONNECTION and stack.has_consul_secret
        if not names or instead:
            continue
        with explaining_errors(f"reading the stack's {group} secret"):
            try:
                _, held = _current(stack.session.client("secretsmanager"), arn)
            except ClientError as error:
                if code_of(error) in DENIED:
                    continue
                raise
        if absent := [name for name in names if name not in held]:
            found[group] = absent
    return found


def _add(client: "SecretsManagerClient", arn: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Compare and swap, so that concurrent pushes lose nothing. Returns the former content."""
    read: set[str | None] = set()
    for _ in range(TRIES):
        version, held = _current(client, arn)
        new = {**held, **values}
        if new == held:
            return held
        text = json.dumps(new, sort_keys=True, indent=1)
        put = client.put_secret_value(SecretId=arn, SecretString=text, VersionStages=[STAGE])
        if "AWSCURRENT" in put["VersionStages"]:  # a secret's first version gets it at once
            return held
        try:
            _make_current(client, arn, version, put["VersionId"])
        except ClientError as error:
            if code_of(error) not in LOST or version in read:
                raise
            read.add(version)
        else:
            return held
    raise CommandError(f"the secret '{arn}' keeps being changed by others: push again")


def _current(client: "SecretsManagerClient", arn: str) -> tuple[str | None, dict[str, str]]:
    try:
        answer = client.get_secret_value(SecretId=arn)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # it has no value yet
            return None, {}
        raise
    try:
        held = json.loads(answer["SecretString"] or "{}")
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise CommandError(f"the secret '{arn}' must contain a JSON object, or nothing: correct it")
    return answer["VersionId"], held


def _make_current(client: "SecretsManagerClient", arn: str, former: str | None, new: str) -> None:
    """Fails unless the former version is still the current one."""
    taken_from = {"RemoveFromVersionId": former} if former else {}
    client.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=new, **taken_from
    )
