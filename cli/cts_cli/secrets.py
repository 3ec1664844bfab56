"""Secrets that stand in a configuration, moved to the stack's own."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from cts.config.model import WrittenSecret
from cts.config.schema import Group
from cts_cli.aws import DENIED, Stack, code_of, explaining_errors
from cts_cli.errors import CommandError

STAGE = "PUSHED"
"""Every put takes this label from the put before it. Secrets Manager forgets what has no label,
and allows few labels in all."""
LOST = frozenset({"InvalidParameterException", "InvalidRequestException"})
"""What is answered when another version has become the current one meanwhile."""
TRIES = 10

Kept = dict[str, dict[str, bool]]
"""By group, the name of each secret, and whether it took the place of another value."""


def move(stack: Stack, secrets: Iterable[WrittenSecret]) -> Kept:
    """Keep each secret under its name. What nobody names any more stays, for a rollback."""
    found = [*secrets]
    kept: Kept = {}
    for group in Group:
        values = {each.name: each.value for each in found if each.group is group}
        if values:
            if group not in stack.secrets:
                raise CommandError(
                    f"stack '{stack.name}' has no secret for what stands in the configuration: "
                    "deploy this version of it first"
                )
            with explaining_errors(f"keeping {', '.join(values)} in the stack's secret"):
                client = stack.session.client("secretsmanager")
                former = _add(client, stack.secrets[group], values)
            kept[group.value] = {
                name: name in former and former[name] != values[name] for name in sorted(values)
            }
    return kept


def missing(
    stack: Stack, references: Mapping[str, str], moved: Iterable[WrittenSecret]
) -> dict[Group, list[str]]:
    """By group, the names that a configuration reads and its secret does not have. A secret that
    may not be looked at is taken to have them all. `references`: each name's group."""
    moving = {(each.name, each.group.value) for each in moved}
    found = {}
    for group, arn in stack.secrets.items():
        names = [name for name, of in references.items() if of == group]
        names = [name for name in names if (name, group.value) not in moving]
        instead = group is Group.CONNECTION and stack.has_consul_secret
        if not names or instead:
            continue
        with explaining_errors(f"looking at the stack's {group} secret"):
            try:
                _, held = _current(stack.session.client("secretsmanager"), arn)
            except ClientError as error:
                if code_of(error) in DENIED:
                    continue
                raise
        if absent := [name for name in names if name not in held]:
            found[group] = absent
    return found


def _add(client: Any, arn: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Compare and swap: two pushes at once lose nothing of each other's. Returns what was there."""
    read: set[str | None] = set()
    for _ in range(TRIES):
        version, held = _current(client, arn)
        new = {**held, **values}
        if new == held:
            return held
        text = json.dumps(new, sort_keys=True, indent=1)
        put = client.put_secret_value(SecretId=arn, SecretString=text, VersionStages=[STAGE])
        if "AWSCURRENT" in put["VersionStages"]:  # a secret's first version is that at once
            return held
        try:
            _make_current(client, arn, version, put["VersionId"])
        except ClientError as error:
            if code_of(error) not in LOST or version in read:
                raise
            read.add(version)
        else:
            return held
    raise CommandError(f"others keep changing the secret '{arn}': push again")


def _current(client: Any, arn: str) -> tuple[str | None, dict[str, str]]:
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
        raise CommandError(f"the secret '{arn}' is no JSON object any more: make it one, or empty")
    return answer["VersionId"], held


def _make_current(client: Any, arn: str, former: str | None, new: str) -> None:
    """Refused unless the former version is still the current one."""
    taken_from = {"RemoveFromVersionId": former} if former else {}
    client.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=new, **taken_from
    )
