"""How an existing configuration of CTS would run here, as facts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from cts.build.references import TEMPLATE, VAULT
from cts.conditions.services_block import some_services
from cts.config.blocks import model
from cts.config.blocks.finalize import state_path
from cts.config.blocks.model import Configuration, Task
from cts.config.blocks.schema import Group
from cts.config.rules.problem import Where
from cts_cli import outside
from cts_cli.validate import Checked

ENV = re.compile(r'\{\{[ \t\r\n]*env[ \t\r\n]+"([^"\n]+)"')
"""In what is a template: the name of a variable."""


def facts(checked: Checked) -> dict[str, Any]:
    configuration = checked.result.configuration
    return {
        **checked.facts,
        "tasks": [_task(task, checked) for task in configuration.tasks],
        "parameters": parameters(checked),
        "state": state(configuration),
        "secrets": [
            {
                "name": secret.name,
                "group": secret.group.value,
                "path": secret.where.path,
                "place": str(secret.where.place),
            }
            for secret in checked.result.secrets
            if not secret.is_ignored
        ],
        "environment": environment(configuration),
        "vault": vault(configuration),
        "outside": [
            {"path": each.source, "option": each.option, "copy_to": each.target}
            for each in outside.copies(configuration)
        ],
    }


# ---- tasks ----------------------------------------------------------------------------------


def _task(task: Task, checked: Checked) -> dict[str, Any]:
    compiled, name = checked.result.compiled, task.name or ""
    waiting = compiled.waiting.get(name) if compiled else None
    return {
        "name": name,
        "enabled": bool(task.enabled),
        "runs_when": runs_when(task),
        "module": task.module or "",
        "version": task.version or "",
        "waits_for": list(waiting.reasons) if waiting else [],
    }


def runs_when(task: Task) -> str:
    """A task's condition in words."""
    told = task.condition.told().runs_when if task.condition else ""
    if told:
        return told
    if task.services:
        return some_services(task.services)
    inputs = (each for each in task.module_input if each.compiled().stands_in)
    found = next(inputs, None)
    return found.told().runs_when if found else "nothing: it has no condition"


# ---- what moves -----------------------------------------------------------------------------


def parameters(checked: Checked) -> list[dict[str, str]]:
    """What the stack is deployed with. An empty value is one to be chosen."""
    consul = checked.result.configuration.consul
    found = []
    if consul:
        address = _address(consul)
        note = "consul.address" if address else "where the stack can reach Consul: no local agent"
        found.append(_parameter("ConsulAddress", address, note, "consul.address"))
        if not consul.token:
            note = "a secret with the token, if CTS gets it from its environment"
            found.append(_parameter("ConsulSecretArn", "", note))
        if consul.tls and consul.tls.ca_cert:
            note = f"a secret with the content of {consul.tls.ca_cert}"
            found.append(_parameter("ConsulCaArn", "", note, "consul.tls.ca_cert"))
    return found


def _parameter(name: str, value: str, note: str, option: str = "") -> dict[str, str]:
    """`option`: whose place it takes."""
    return {"name": name, "value": value, "note": note, "option": option}


def _address(consul: model.ConsulBlock) -> str:
    """The address for the stack's parameter. Empty for a local agent: the stack can't use it."""
    scheme, _, rest = (consul.address or "").rpartition("://")
    host = rest.partition(":")[0]
    if not host or host in ("localhost", "127.0.0.1"):
        return ""
    secure = bool(consul.tls and consul.tls.enabled)
    return f"{scheme or ('https' if secure else 'http')}://{rest.rstrip('/')}"


def state(configuration: Configuration) -> dict[str, str]:
    """Where CTS keeps Terraform's state. `backend`: its type, empty for CTS's default."""
    driver = configuration.driver
    if driver and driver.terraform_cloud:
        return {"backend": "cloud", "where": "HCP Terraform"}
    written = driver.terraform.backend if driver and driver.terraform else ()
    if not written:
        kv_path = configuration.consul.kv_path if configuration.consul else ""
        return {"backend": "", "where": f"Consul's KV, {state_path(kv_path or '')}-env:TASK"}
    backend = written[0]
    if backend.type == "consul":
        return {"backend": "consul", "where": f"Consul's KV, {backend.options['path']}-env:TASK"}
    return {"backend": backend.type, "where": f'backend "{backend.type}"'}


def environment(configuration: Configuration) -> dict[str, str]:
    """The variables that `{{ env }}` reads, with the group of secrets that each belongs to."""
    found: dict[str, str] = {}
    driver = configuration.driver
    cloud = driver.terraform_cloud if driver else None
    parts = (
        (configuration.consul, Group.CONNECTION),
        (cloud, Group.HCP),
        (configuration, Group.TASK),
    )
    for part, group in parts:
        found |= {name: group.value for name in read_names(part) if name not in found}
    return dict(sorted(found.items()))


def read_names(part: Any) -> set[str]:
    """The names that `{{ env }}` reads in a part of a configuration."""
    return {name for text in filter(TEMPLATE.search, texts(part)) for name in ENV.findall(text)}


def vault(configuration: Configuration) -> dict[str, Any] | None:
    """None: there is none."""
    found = configuration.vault
    if not found or not found.enabled:
        return None
    read = any(VAULT.search(text) for text in texts(configuration))
    return {"address": found.address or "", "is_read": read}


def texts(value: Any) -> Iterator[str]:
    """Every text in a part of a configuration."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from texts(each)
    elif is_dataclass(value) and not isinstance(value, Where | model.WrittenSecret):
        for each in fields(value):
            yield from texts(getattr(value, each.name))
