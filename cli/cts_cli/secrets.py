"""The stack's secrets: read, and changed without losing what others write at the same time."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
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
LARGEST = 65_536
"""Bytes of a secret of Secrets Manager."""

Values = Mapping[str, str]
"""Names and values."""
Kept = dict[str, dict[str, bool]]
"""By group, the name of each secret and whether it replaced a different value."""


def move(stack: Stack, secrets: Iterable[WrittenSecret]) -> Kept:
    """Store each secret under its name. Unused names are kept, for a rollback."""
    found = [*secrets]
    kept: Kept = {}
    for group in Group:
        values = {each.name: each.value for each in found if each.group is group}
        if values:
            former = _add(stack, group, values)
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
    for group in stack.secrets:
        names = [name for name, of in references.items() if of == group]
        names = [name for name in names if (name, group.value) not in moving]
        instead = group is Group.CONNECTION and stack.has_consul_secret
        if not names or instead:
            continue
        held = read(stack, group)
        if held is None:
            continue
        if absent := [name for name in names if name not in held.values]:
            found[group] = absent
    return found


@dataclass(frozen=True, slots=True)
class Held:
    """The content of a secret."""

    version: str | None = None
    values: Values = field(default_factory=dict)
    changed_at: datetime | None = None


def read(stack: Stack, group: Group) -> Held | None:
    """The content of the group's secret. None if the caller may not read it."""
    with explaining_errors(f"reading the stack's {group} secret"):
        try:
            return _current(stack.session.client("secretsmanager"), stack.secrets[group])
        except ClientError as error:
            if code_of(error) in DENIED:
                return None
            raise


def _add(stack: Stack, group: Group, values: Values) -> Values:
    if group not in stack.secrets:
        raise CommandError(
            f"stack '{stack.name}' has nowhere to store the configuration's secrets: "
            "deploy this version of it first"
        )
    doing = f"storing {', '.join(values)} in the stack's secret"
    return change(stack, group, lambda held: {**held, **values}, doing)


def change(stack: Stack, group: Group, edit: Callable[[Values], Values], doing: str) -> Values:
    """Edit the content of the group's secret: compare and swap, so that concurrent changes lose
    nothing. Returns the former content. `doing`: for errors."""
    with explaining_errors(doing):
        client = stack.session.client("secretsmanager")
        return _change(client, stack.secrets[group], edit)


def _change(client: "SecretsManagerClient", arn: str, edit: Callable[[Values], Values]) -> Values:
    read: set[str | None] = set()
    for _ in range(TRIES):
        current = _current(client, arn)
        version, held = current.version, current.values
        new = edit(held)
        if new == held:
            return held
        text = json.dumps(new, sort_keys=True, indent=1)
        if len(text.encode()) > LARGEST:
            raise CommandError(
                f"the secret '{arn}' would have more than {LARGEST // 1024} KiB: remove what is "
                "no longer used with `cts secret remove`"
            )
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
    raise CommandError(f"the secret '{arn}' keeps being changed by others: try again")


def _current(client: "SecretsManagerClient", arn: str) -> Held:
    try:
        answer = client.get_secret_value(SecretId=arn)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # it has no value yet
            return Held()
        raise
    try:
        held = json.loads(answer["SecretString"] or "{}")
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise CommandError(f"the secret '{arn}' must contain a JSON object, or nothing: correct it")
    return Held(answer["VersionId"], held, answer.get("CreatedDate"))


def _make_current(client: "SecretsManagerClient", arn: str, former: str | None, new: str) -> None:
    """Fails unless the former version is still the current one."""
    taken_from = {"RemoveFromVersionId": former} if former else {}
    client.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=new, **taken_from
    )
