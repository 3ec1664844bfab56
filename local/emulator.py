"""The AWS emulator, and the only module that touches its private parts.

ministack is pinned: everything used here beyond its HTTP interface was read in the source of the
pinned version. `install` puts our hooks into it; `app` is its ASGI application.
"""

# ruff: noqa: SLF001

from __future__ import annotations

import contextvars
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from xml.sax.saxutils import escape

from ministack import app as _app
from ministack.core import iam_actions as _actions
from ministack.core import iam_evaluator as _evaluator
from ministack.core import lambda_runtime as _runtime
from ministack.core import responses as _responses
from ministack.core import router as _router
from ministack.services import cloudformation as _cloudformation
from ministack.services import codebuild as _codebuild
from ministack.services import eventbridge as _eventbridge
from ministack.services import lambda_svc as _lambda
from ministack.services import s3 as _s3
from ministack.services import scheduler as _scheduler
from ministack.services.cloudformation import provisioners as _provisioners

from local.calls import json_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Response = tuple[int, dict[str, str], Any]

app = _app.app
peer: contextvars.ContextVar[tuple[str, int] | None] = contextvars.ContextVar("peer", default=None)
# The version that an S3 event is about; the emulator leaves it out of the event.
_version: contextvars.ContextVar[str] = contextvars.ContextVar("version", default="")


@dataclass(frozen=True, slots=True)
class Request:
    """One AWS request. `principal` is the caller's ARN, "" if its key is unknown."""

    service: str
    action: str
    resource: str
    principal: str
    path: str
    body: bytes


class Hooks(Protocol):
    async def around_request(
        self, request: Request, proceed: Callable[[], Awaitable[Response]]
    ) -> Response: ...

    def around_delivery(
        self, target: str, event: dict[str, Any], deliver: Callable[[], None]
    ) -> None: ...

    def event_put(self, event: dict[str, Any]) -> None: ...

    def builds(self, action: str, request: dict[str, Any]) -> Response | None: ...

    def schedules_enabled(self) -> bool: ...

    def worker_said(self, function: str, line: str) -> None: ...


def install(hooks: Hooks) -> None:
    """Puts the hooks in place. Once, before the first request."""
    _hook_requests(hooks)
    _hook_codebuild(hooks)
    _hook_events(hooks)
    _hook_schedules(hooks)
    _hook_workers(hooks)


def _hook_requests(hooks: Hooks) -> None:
    dispatch = _app._dispatch_service_request

    async def dispatched(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        request_id: str,
    ) -> Response:
        request = _request(method, path, headers, body, query)

        async def proceed() -> Response:
            answer: Response = await dispatch(method, path, headers, body, query, request_id)
            return answer

        return await hooks.around_request(request, proceed)

    _app._dispatch_service_request = dispatched
    _actions.extract_resource_arn = _resource_of_build_calls(_actions.extract_resource_arn)


def _request(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Request:
    params = _app._routing_params(method, path, headers, body, query)
    service = _router.detect_service(method, path, headers, params)
    action = _actions.extract_iam_action(service, method, path, headers, body, params) or ""
    resource = _actions.extract_resource_arn(
        service, method, path, headers, body, params, _responses.get_region(),
        _responses.get_account_id(),
    )  # fmt: skip
    key = _router.extract_access_key_id(headers, query)
    known = _evaluator.resolve_caller_identity(key)
    return Request(
        service=service,
        action=action.partition(":")[2],
        resource=str(resource),
        principal=known["userArn"] if known else "",
        path=path,
        body=body,
    )


def _resource_of_build_calls(extract: Callable[..., str]) -> Callable[..., str]:
    """AWS checks calls that name builds on the builds' project; the emulator checks them on "*"."""

    def extracted(
        service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> str:
        if service == "codebuild":
            request = json_body(body)
            build = request.get("id") or next(iter(request.get("ids", [])), "")
            if build:
                body = json.dumps(
                    {"projectName": build.rpartition("/")[2].partition(":")[0]}
                ).encode()
        return extract(service, method, path, headers, body, *rest)

    return extracted


def _hook_codebuild(hooks: Hooks) -> None:
    handle = _codebuild.handle_request

    async def handled(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        ours = hooks.builds(action, json_body(body))
        answer: Response = ours or await handle(method, path, headers, body, query)
        return answer

    _codebuild.handle_request = handled
    # Members of a project that the emulator's own record leaves out.
    handlers = _provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    create, update = handlers["create"], handlers["update"]

    def created(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        physical_id, attributes = create(logical_id, props, stack)
        _complete_project(physical_id, props)
        return physical_id, attributes

    def updated(physical_id: str, old: Any, new: dict[str, Any], stack: str) -> Any:
        physical_id, attributes = update(physical_id, old, new, stack)
        _complete_project(physical_id, new)
        return physical_id, attributes

    handlers["create"], handlers["update"] = created, updated


def _complete_project(name: str, props: dict[str, Any]) -> None:
    project = _codebuild._projects[name]
    for theirs, ours in (
        ("ConcurrentBuildLimit", "concurrentBuildLimit"),
        ("QueuedTimeoutInMinutes", "queuedTimeoutInMinutes"),
    ):
        if theirs in props:
            project[ours] = int(props[theirs])
    if "LogsConfig" in props:
        project["logsConfig"] = _provisioners._codebuild_cfn_to_api(props["LogsConfig"])


def _hook_events(hooks: Hooks) -> None:
    dispatch, invoke = _eventbridge._dispatch_event, _eventbridge._invoke_target

    def dispatched(event: dict[str, Any], view: Any = None) -> None:
        if event["Source"] == "aws.s3" and _version.get():
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = _version.get()
            event, view = {**event, "Detail": json.dumps(detail)}, None
        hooks.event_put(event)
        dispatch(event, view)

    def invoked(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> None:
        # A delivery that is put off runs later, in another thread.
        context = contextvars.copy_context()
        hooks.around_delivery(
            target.get("Arn", ""),
            event,
            lambda: context.copy().run(invoke, target, event, rule, view),
        )

    fire = _s3._fire_s3_event

    def fired(*args: Any, version_id: str | None = None, **more: Any) -> None:
        _version.set(version_id or "")  # in a thread of its own
        fire(*args, version_id=version_id, **more)

    _s3._fire_s3_event = fired
    _eventbridge._dispatch_event = dispatched
    _eventbridge._invoke_target = invoked
    _eventbridge._dispatch_to_lambda = _invoke_with_retries


def _invoke_with_retries(arn: str, payload: str) -> None:
    """As AWS: an event's function is invoked asynchronously, with its retries and failure queue."""
    function, config, _ = _lambda._get_func_record_for_ref(arn)
    if function and config:
        record = _lambda._execution_record_for_config(function, config)
        for name in ("event_invoke_config", "event_invoke_configs"):
            if name in function:
                record = {**record, name: function[name]}
        _lambda.invoke_async_with_retry(record, json.loads(payload))


def _hook_schedules(hooks: Hooks) -> None:
    tick = _scheduler._tick_schedules
    _scheduler._SCHEDULE_TICK_INTERVAL = 1

    def ticked() -> None:
        if hooks.schedules_enabled():
            tick()

    _scheduler._tick_schedules = ticked


def _hook_workers(hooks: Hooks) -> None:
    detect = _runtime._detect_runtime_binary

    def detected(runtime: str) -> tuple[str, str]:
        # Without the virtual environment a function finds its layers' packages only, as in AWS.
        binary, script = detect(runtime)
        return (_plain_python() if binary == sys.executable else binary), script

    def read_stderr(worker: Any) -> None:
        for line in worker._proc.stderr:
            hooks.worker_said(worker.func_name, line)
            worker._stderr_queue.put(line.rstrip("\n"))

    _runtime._detect_runtime_binary = detected
    _runtime.Worker._read_stderr = read_stderr


def _plain_python() -> str:
    return str(getattr(sys, "_base_executable", sys.executable))


def put_event(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Publishes an event of an AWS service on the default bus, in the caller's account."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": resources,
    }
    _eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def caller() -> str:
    """The ARN of who makes the request being answered."""
    return str(_evaluator.caller_arn())


def account() -> str:
    return str(_responses.get_account_id())


def in_background(work: Callable[[], None], name: str) -> None:
    """Runs work in a thread that belongs to the same account and Region as the caller."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()


def project(name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _codebuild._projects.get(name)
    return found


def logical_ids(resource_type: str) -> dict[str, str]:
    """Deployed name -> logical id, of all stacks' resources of a type."""
    return {
        resource["PhysicalResourceId"]: logical_id
        for stack in _cloudformation._stacks._data.values()
        for logical_id, resource in stack.get("_resources", {}).items()
        if resource.get("ResourceType") == resource_type and resource.get("PhysicalResourceId")
    }


def schedules() -> list[dict[str, Any]]:
    return list(_scheduler._schedules._data.values())


def fire(schedule: dict[str, Any]) -> None:
    """Does what the scheduler does when a schedule is due."""
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


def kill_caller() -> None:
    """Kills the function's process at the other end of this request, as a lost sandbox."""
    address = peer.get()
    for worker in _all_workers():
        process = worker._proc
        if process is not None and address is not None and _owns(process.pid, address):
            os.kill(process.pid, signal.SIGKILL)


def kill_workers() -> None:
    for worker in _all_workers():
        if worker._proc is not None and worker._proc.poll() is None:
            worker._proc.kill()


def _all_workers() -> list[Any]:
    return [worker for workers in list(_runtime._workers.values()) for worker in workers]


def _owns(pid: int, address: tuple[str, int]) -> bool:
    host, port = address
    local = "".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{port:04X}"
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        sockets = {f"socket:[{f[9]}]" for f in map(str.split, lines) if f[1] == local}
        return any(str(fd.readlink()) in sockets for fd in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False


def error(service: str, code: str, message: str) -> Response:
    """An error as the service words it: XML for S3 and the query protocol, else JSON."""
    status = {"s3": 503}.get(service, 400)
    if service == "s3":
        body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        return status, {"Content-Type": "application/xml"}, body.encode()
    if service in ("sts", "iam", "sns", "cloudformation"):
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
        return status, {"Content-Type": "text/xml"}, body.encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def answer(value: dict[str, Any]) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return 200, headers, json.dumps(value).encode()
