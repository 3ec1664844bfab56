"""Makes the emulator's Lambda invoke functions as AWS's, where it differs. See `emulator_hooks`."""

# ruff: noqa: SLF001

from __future__ import annotations

import contextvars
import json
import shutil
import sys
import tempfile
import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from ministack.core import lambda_runtime as _runtime
from ministack.services import eventbridge as _eventbridge
from ministack.services import lambda_svc as _lambda

from local import emulator, layers, sandboxes

if TYPE_CHECKING:
    from local.hooks import Hooks

SANDBOXES = 4
"""Maximum number for one function."""
INVOCATION = "Invocation"
"""The type of an asynchronous invocation as a delivery."""
OWN_DISK = """
import os
os.environ["TMPDIR"] = "{disk}"
"""
"""Comes before a function: no two sandboxes share a temporary folder, as in AWS."""

requested: contextvars.ContextVar[str] = contextvars.ContextVar("requested", default="")
"""The ID of the current request to Lambda; "" if AWS invokes a function by itself."""
_disk: contextvars.ContextVar[str] = contextvars.ContextVar("disk", default="")


def install(hooks: Hooks) -> None:
    _hook_workers(hooks)
    _hook_disks()
    _hook_sandboxes()
    _hook_invocations(hooks)
    _hook_errors()
    _hook_failures()
    _eventbridge._dispatch_to_lambda = _invoke_with_retries


def _invoke_with_retries(arn: str, payload: str) -> None:
    """As in AWS: events invoke functions asynchronously, with retries and a failure queue."""
    function, config, _ = _lambda._get_func_record_for_ref(arn)
    if function and config:
        record = _lambda._execution_record_for_config(function, config)
        for name in ("event_invoke_config", "event_invoke_configs"):
            if name in function:
                record = {**record, name: function[name]}
        _lambda.invoke_async_with_retry(record, json.loads(payload))


def _hook_workers(hooks: Hooks) -> None:
    detect = _runtime._detect_runtime_binary

    def detected(runtime: str) -> tuple[str, str]:
        # Without the virtual environment, functions only find their layers' packages, as in AWS.
        binary, script = detect(runtime)
        own = OWN_DISK.format(disk=_disk.get())
        return (_plain_python() if binary == sys.executable else binary), own + script

    def read_stderr(worker: Any) -> None:
        for line in worker._proc.stderr:
            hooks.worker_said(worker.func_name, line)
            worker._stderr_queue.put(line.rstrip("\n"))

    _runtime.zipfile = layers
    _runtime.subprocess = sandboxes
    _runtime._detect_runtime_binary = detected
    _runtime.Worker._read_stderr = read_stderr


def _plain_python() -> str:
    return str(getattr(sys, "_base_executable", sys.executable))


def _hook_disks() -> None:
    """A sandbox whose process was killed begins a new one, with the files that are there. A full
    disk stays full."""
    spawn, discard = _runtime.Worker._spawn, _runtime.Worker._discard_tmpdir
    disks: dict[Any, str] = {}

    def spawned(worker: Any) -> None:
        if worker not in disks:
            disks[worker] = tempfile.mkdtemp(prefix=f"disk-{worker.func_name}-")
        _disk.set(disks[worker])
        spawn(worker)
        emulator.keep_limit(worker)

    def discarded(worker: Any) -> None:
        shutil.rmtree(disks.pop(worker, ""), ignore_errors=True)
        discard(worker)

    _runtime.Worker._spawn = spawned
    _runtime.Worker._discard_tmpdir = discarded


def _hook_sandboxes() -> None:
    """Makes a burst of events wait for sandboxes in use, like AWS's queue. One sandbox for each
    event would start hundreds of processes at the same time."""
    dispatch = _lambda._execute_function_dispatch
    places: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(SANDBOXES))

    def dispatched(
        func: Any, config: dict[str, Any], event: Any, request_id: str, started: float
    ) -> dict[str, Any]:
        with places[config["FunctionName"]]:
            # A function knows its invocation by the ID that the caller was answered with.
            request_id = requested.get() or request_id
            result: dict[str, Any] = dispatch(func, config, event, request_id, started)
        return result

    _lambda._execute_function_dispatch = dispatched


def _hook_invocations(hooks: Hooks) -> None:
    """Asynchronous invocations are deliveries, too: AWS may repeat one, with the same ID."""
    invoke = _lambda.invoke_async_with_retry

    def invoked(func: dict[str, Any], event: dict[str, Any]) -> None:
        if not requested.get():  # what is delivered is an event
            invoke(func, event)
            return
        told = {
            "EventId": requested.get(),
            "Source": "lambda",
            "DetailType": INVOCATION,
            "Detail": json.dumps(event),
        }
        context = contextvars.copy_context()
        hooks.around_delivery(
            _config(func)["FunctionArn"], told, lambda: context.copy().run(invoke, func, event)
        )

    _lambda.invoke_async_with_retry = invoked


def _hook_errors() -> None:
    """What AWS reports if a function has raised an error, and if its process has ended."""
    invoke, execute = _runtime.Worker.invoke, _lambda._execute_function_warm
    raised = threading.local()

    def invoked(worker: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        answer: dict[str, Any] = invoke(worker, *arguments, **named)
        raised.trace = answer.get("trace", "")
        return answer

    def executed(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        raised.trace = ""
        result: dict[str, Any] = execute(func, event, request_id)
        if not result.get("error"):
            return result
        told: dict[str, Any] = result["body"]
        if told["errorType"] == "Sandbox.Timedout":
            return result
        if raised.trace:
            told |= {"requestId": request_id, "stackTrace": raised.trace.splitlines()}
        else:
            why = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            told |= {"errorType": "Runtime.ExitError", "errorMessage": why}
        return result

    _runtime.Worker.invoke = invoked
    _lambda._execute_function_warm = executed


def _hook_failures() -> None:
    """The emulator has no buses as destinations. What Lambda puts on one, it puts with the role of
    the function."""
    route = _lambda._route_async_failure

    def routed(target: str, name: str, event: Any, result: dict[str, Any]) -> None:
        if ":event-bus/" not in target:
            route(target, name, event, result)
            return
        config = _lambda._functions[name]["config"]
        function = f"{config['FunctionArn']}:$LATEST"
        record = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "requestContext": {
                "requestId": requested.get(),
                "functionArn": function,
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1,
            },
            "requestPayload": event,
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "responsePayload": result["body"],
        }
        role = _runtime.execution_credentials(config)
        session = boto3.Session(
            role["AWS_ACCESS_KEY_ID"], role["AWS_SECRET_ACCESS_KEY"], role["AWS_SESSION_TOKEN"]
        )
        entry: Any = {
            "Source": "lambda",
            "DetailType": "Lambda Function Invocation Result - Failure",
            "Detail": json.dumps(record),
            "Resources": [target, function],
            "EventBusName": target,
        }
        session.client("events", region_name=target.split(":")[3]).put_events(Entries=[entry])

    _lambda._route_async_failure = routed


def _config(func: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = func.get("config") or func
    return found
