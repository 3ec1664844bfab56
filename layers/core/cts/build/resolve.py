"""Puts the values of a run's references into its files and its environment, just before Terraform
starts. They lie nowhere else."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cts.build.aws import Aws, NotThere
from cts.build.consul_kv import ConsulKv, read_connection
from cts.build.errors import RunError
from cts.build.facts import BACKEND, VARIABLES, Facts
from cts.build.private_file import written
from cts.build.references import BadReference, Origin, Reference, filled
from cts.build.vault import VaultSecrets

GIT_KEY = "git_ssh_key"
UNFIT = re.compile("[\0\ud800-\udfff]")
"""What JSON may hold, but no environment or no file: NUL, and halves of characters."""


class Values:
    """What references mean. Each is read once. `task`: with the credentials of the task's
    Terraform; `stack`: with those of the run, which may read Consul's token. `hide` takes each
    value that is read."""

    def __init__(
        self, facts: Facts, task: Aws, stack: Aws, own: Path, hide: Callable[[str], None]
    ) -> None:
        self.facts, self.aws, self.hide = facts, task, hide
        ends_at = task.ends_at

        def connect() -> Any:
            found = read_connection(stack, facts.consul_secret_arn, facts.consul_ca_arn)
            for each in (found.token, found.key):
                self._hidden("reading the credentials for Consul", each)
            return found

        self.consul = ConsulKv(facts.consul_address, connect, own, ends_at)
        self.vault = VaultSecrets(facts.vault, self._filled, own, ends_at)
        self._known: dict[str, str] = {}
        self._texts: dict[tuple[str, str, str], str] = {}

    def __call__(self, reference: Reference) -> str:
        """Its value. Raises RunError, whose sentence names the reference."""
        if reference.text not in self._known:
            doing = f"reading {reference.text}"
            self._known[reference.text] = self._hidden(doing, self._read(reference, doing))
        return self._known[reference.text]

    def _hidden(self, doing: str, value: str) -> str:
        """The value, of which nothing is shown from now on."""
        if UNFIT.search(value):
            raise RunError(f"{doing}: the value must be text, without NUL", retryable=False)
        self.hide(value)
        return value

    def _read(self, reference: Reference, doing: str) -> str:
        match reference.kind:
            case Origin.TASK_SECRET:
                return self._named(reference.name, doing)
            case Origin.CONSUL:
                return self.consul.value(doing, reference.name)
            case Origin.VAULT:
                return self.vault.value(doing, reference.name, reference.field)
            case Origin.PARAMETER_STORE:
                return self.aws.parameter(doing, reference.name, reference.version)
            case Origin.SECRETS_MANAGER:
                text = self._secret(doing, reference.name, reference.stage, reference.version)
                return _field(doing, text, reference.field[0]) if reference.field else text

    def _filled(self, text: str) -> str:
        return str(filled(text, self))

    def _named(self, name: str, doing: str) -> str:
        """A value of the task secret."""
        try:
            text = self._secret(doing, self.facts.task_secret_arn)
        except NotThere:
            text = ""  # nothing has been stored yet
        fields = {name: _text(value) for name, value in _object(doing, text).items()}
        if name not in fields:
            raise NotThere(
                f"{doing}: the stack's task secret has no {name}: store it with "
                f"`cts secret set {name}`"
            )
        return self._hidden(doing, fields[name])

    def _secret(self, doing: str, name: str, stage: str = "", version: str = "") -> str:
        which = (name, stage, version)
        if which not in self._texts:
            self._texts[which] = self.aws.secret(doing, *which)
        return self._texts[which]


def _field(doing: str, text: str, name: str) -> str:
    fields = _object(doing, text)
    if name not in fields:
        raise NotThere(f"{doing}: the secret has no field {name!r}")
    return _text(fields[name])


def _object(doing: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{doing}: the secret must be a JSON object", retryable=False)
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---- where they go -------------------------------------------------------------------------------


def resolve(folder: Path, own: Path, facts: Facts, values: Values) -> dict[str, str]:
    """Rewrite the files in `folder` that have references; the environment for Terraform. `own`
    takes further files. Raises RunError."""
    try:
        _rewrite(folder / VARIABLES, values, facts.providers)
        _rewrite(folder / BACKEND, values, None)
        found: dict[str, str] = values.consul.environment() if facts.consul_backend else {}
        if facts.git_ssh_key:
            key = filled(facts.git_ssh_key, values).strip() + "\n"
            found["GIT_SSH_COMMAND"] = _ssh(written(own / GIT_KEY, key))
        found |= filled(facts.environment, values)
    except BadReference as error:
        raise RunError(str(error), retryable=False) from None
    return found


def _rewrite(file: Path, values: Values, providers: Sequence[str] | None) -> None:
    """`providers`: the members in which CTS evaluates templates; None: all."""
    if not file.exists():
        return
    given = json.loads(file.read_text())
    made = {
        name: filled(value, values, templates=providers is None or name in providers)
        for name, value in given.items()
    }
    written(file, json.dumps(made))


def _ssh(key: Path) -> str:
    """The key of a host that is not known is believed: a container has seen none before."""
    options = "-o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
    return f"ssh -i '{key}' {options}"
