"""The AWS emulator: its application, its state, and what it can be told to do.

ministack is pinned, because this module and `emulator_hooks` rely on internals of that version.
No other module uses it other than through its HTTP interface.
"""

# ruff: noqa: SLF001

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import resource
import secrets
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ministack import app as _app
from ministack.core import iam_evaluator as _evaluator
from ministack.core import lambda_runtime as _runtime
from ministack.core import responses as _responses
from ministack.services import cloudformation as _cloudformation
from ministack.services import codebuild as _codebuild
from ministack.services import eventbridge as _eventbridge
from ministack.services import iam as _iam
from ministack.services import scheduler as _scheduler
from ministack.services import sts as _sts

from local import processes

if TYPE_CHECKING:
    from collections.abc import Callable

app = _app.app
peer: contextvars.ContextVar[tuple[str, int] | None] = contextvars.ContextVar("peer", default=None)
"""The peer of the connection that the current request came in on."""

_logical_ids: dict[tuple[str, str], str] = {}
"""By type and name: looking through all stacks for each request takes long. A name keeps its ID."""
_largest_files: dict[str, int] = {}
"""In bytes, by function (`limit_files`)."""


def put_event(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Publishes an AWS service's event on the default bus of the caller's account."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": resources,
    }
    _eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def caller() -> str:
    """The ARN of the current request's caller."""
    return str(_evaluator.caller_arn())


def account() -> str:
    return str(_responses.get_account_id())


def in_background(work: Callable[[], None], name: str) -> None:
    """Runs work in a thread with the caller's account and Region."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()


def project(name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _codebuild._projects.get(name)
    return found


def assume_role(
    service: str, role_arn: str, session: str, source: str
) -> tuple[str, str, str] | None:
    """Credentials of a role for an AWS service; None if the role does not trust the service.

    The API can't be used: it has no services as callers, and so no aws:SourceAccount.
    """
    owner = f"arn:aws:iam::{account()}:root"
    context = _evaluator.EvalContext(
        principal_arn=owner,
        principal_type="Root",
        principal_account=account(),
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=_responses.get_region(),
        service_context={"aws:sourceaccount": account(), "aws:sourcearn": source},
    )
    name = role_arn.rpartition("/")[2]
    trust = (_iam._roles.get(name) or {}).get("AssumeRolePolicyDocument", "{}")
    if service not in str(trust) or not _evaluator.evaluate_trust_policy(trust, owner, context):
        return None
    key = f"ASIA{secrets.token_hex(8).upper()}"
    secret, token = secrets.token_hex(20), secrets.token_hex(32)
    identity = f"arn:aws:sts::{account()}:assumed-role/{name}/{session}"
    _sts.register_session(
        key,
        {
            "Arn": identity,
            "UserId": f"{name}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "AccountId": account(),
            "PrincipalType": "AssumedRole",
        },
    )
    return key, secret, token


def logical_id(resource_type: str, name: str) -> str:
    """The logical ID of a deployed resource; "" if no stack has it."""
    if (resource_type, name) not in _logical_ids:
        found = logical_ids(resource_type)
        _logical_ids.update({(resource_type, each): found[each] for each in found})
    return _logical_ids.get((resource_type, name), "")


def logical_ids(resource_type: str) -> dict[str, str]:
    """Logical IDs by deployed name, for resources of a type in all stacks."""
    return {
        resource["PhysicalResourceId"]: logical_id
        for stack in _cloudformation._stacks._data.values()
        for logical_id, resource in stack.get("_resources", {}).items()
        if resource.get("ResourceType") == resource_type and resource.get("PhysicalResourceId")
    }


def schedules() -> list[dict[str, Any]]:
    return list(_scheduler._schedules._data.values())


def fire(schedule: dict[str, Any]) -> None:
    """Fires a schedule, as the scheduler does when it is due."""
    _, _, _, region, account_id, *_ = schedule["Arn"].split(":")
    _responses.set_request_account_id(account_id)
    _responses.set_request_region(region)
    event = {
        "EventId": _responses.new_uuid(),
        "Source": "aws.scheduler",
        "DetailType": "Scheduled Event",
        "Detail": "{}",
        "Time": int(_scheduler.time.time()),
        "Resources": [schedule["Arn"]],
        "Account": account_id,
        "Region": region,
    }
    _eventbridge._invoke_target(schedule["Target"], event, schedule)


def kill_caller(seconds: float = 0.0) -> None:
    """Kills the processes of the sandbox with the one that made this request, now or later."""
    sandbox = _sandbox_of(peer.get())
    if sandbox is None:
        return
    if not seconds:
        _lose(sandbox)
        return
    timer = threading.Timer(seconds, _lose, [sandbox])
    timer.daemon = True
    timer.start()


def kill_workers(function: str = "") -> int:
    """Kills the processes of one function or of all. Returns how many there were."""
    running = _running(function)
    _lose(*(worker._proc.pid for worker in running))
    return len(running)


def limit_files(function: str, size: int) -> int:
    """From now on, no process in the function's sandboxes, also in new ones, can make a file larger
    than `size` bytes, as if their disks were full. Returns how many sandboxes there were."""
    _largest_files[function] = size
    running = _running(function)
    for worker in running:
        keep_limit(worker)
    return len(running)


def keep_limit(worker: Any) -> None:
    """Limits the size of files in a sandbox (`limit_files`)."""
    process, size = worker._proc, _largest_files.get(worker.func_name)
    if process is None or size is None:
        return
    for pid in _whole(process.pid):
        with contextlib.suppress(ProcessLookupError):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


def _whole(*pids: int) -> list[int]:
    """Processes, and all that they have started."""
    return [*pids, *processes.descendants(*pids)]


def _lose(*pids: int) -> None:
    for each in _whole(*pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _running(function: str) -> list[Any]:
    """The workers of one function, or of all if it is "", whose processes have not ended."""
    return [
        each
        for each in _all_workers()
        if function in ("", each.func_name) and each._proc and each._proc.poll() is None
    ]


def _all_workers() -> list[Any]:
    return [worker for workers in list(_runtime._workers.values()) for worker in workers]


def _sandbox_of(address: tuple[str, int] | None) -> int | None:
    """The first process of the sandbox that has a connection from this address, if one has."""
    if address is None:
        return None
    sockets, parents = _sockets(address), processes.parents()
    for worker in _all_workers():
        process = worker._proc
        if process is None:
            continue
        whole = [process.pid, *processes.descendants(process.pid, among=parents)]
        if any(_has(pid, sockets) for pid in whole):
            return int(process.pid)
    return None


def _sockets(address: tuple[str, int]) -> set[str]:
    host, port = address
    local = "".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()
    fields = [line.split() for line in lines if local in line]
    return {f"socket:[{each[9]}]" for each in fields if each[1] == local}


def _has(pid: int, files: set[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return any(str(fd.readlink()) in files for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False
