"""The front: handles each call and delivery, with builds, records and faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local import answers, calls
from local.faults import Call, Delivery, Do, Faults, Phase, Rule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from local.codebuild import Builds
    from local.hooks import Request, Response

REGION = "us-east-1"
CODEBUILD_SESSION = "AWSCodeBuild-"
TASK_ROLE = "TaskRole"
"""Its sessions act for builds."""


class Journal:
    """Numbered entries, kept in memory. Thread-safe."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, **entry: Any) -> None:
        with self._lock:
            now = datetime.now(UTC).isoformat()
            self._entries.append({"n": len(self._entries) + 1, "at": now, **entry})

    def since(self, number: int) -> list[dict[str, Any]]:
        """The entries after that number; -1: only the newest one."""
        with self._lock:
            return self._entries[number:]


class Front:
    """The emulator's hooks."""

    def __init__(self, builds: Builds, folder: Path) -> None:
        from local import emulator

        self.emulator = emulator
        self.builds_engine = builds
        self.faults = Faults()
        self.calls = Journal()
        self.events = Journal()
        self.schedules_on = True
        self._logs = folder / "logs"

    async def around_request(
        self, request: Request, proceed: Callable[[], Awaitable[Response]]
    ) -> Response:
        call = self._call(request)
        faults = self.faults.for_call(call)
        answer: Response | None = None
        for rule in faults.values():
            if rule.phase is Phase.BEFORE:
                answer = await self._act(rule, call, request) or answer
        answer = answer or await proceed()
        self._record(call, request, answer, sorted(faults))
        for rule in faults.values():
            if rule.phase is Phase.AFTER:
                answer = await self._act(rule, call, request) or answer
        return answer

    def around_delivery(
        self, target: str, event: dict[str, Any], deliver: Callable[[], None]
    ) -> None:
        name = target.rpartition(":")[2]
        delivery = Delivery(
            detail_type=event["DetailType"],
            detail=json.loads(event["Detail"]),
            target=self._function(name) or name,
            function=name,
        )
        copies, seconds = 1, 0.0
        for rule in self.faults.for_delivery(delivery).values():
            copies = {Do.DROP: 0, Do.DOUBLE: 2, Do.TRIPLE: 3}.get(rule.do, copies)
            seconds = max(seconds, rule.seconds)
        self._record_event("delivered" if copies else "dropped", event, delivery.target)
        for _ in range(copies):
            if seconds:
                timer = threading.Timer(seconds, deliver)
                timer.daemon = True
                timer.start()
            else:
                deliver()

    def event_put(self, event: dict[str, Any]) -> None:
        self._record_event("put", event, "")

    def builds(self, action: str, request: dict[str, Any]) -> Response | None:
        return self.builds_engine.answer(action, request, self.emulator.caller())

    def schedules_enabled(self) -> bool:
        return self.schedules_on

    def switch_schedules(self, enabled: bool) -> bool:
        self.schedules_on = bool(enabled)
        return self.schedules_on

    def worker_said(self, function: str, line: str) -> None:
        with (self._logs / f"{self._function(function) or function}.log").open("a") as log:
            log.write(line)

    def fire(self, function: str) -> int:
        """Fires each schedule of a function now. Returns how many there were."""
        functions = self._functions()
        due = [
            schedule
            for schedule in self.emulator.schedules()
            for name in [schedule["Target"]["Arn"].rpartition(":")[2]]
            if function in (name, functions.get(name))
        ]
        for schedule in due:
            self.emulator.fire(schedule)
        return len(due)

    def kill(self, function: str) -> int:
        """Kills all sandboxes of a function. Returns how many there were."""
        functions = self._functions()
        return sum(
            self.emulator.kill_workers(name)
            for name, logical_id in functions.items()
            if function in (name, logical_id)
        )

    def limit_files(self, function: str, size: int) -> int:
        """Fills the disks of a function's sandboxes (`emulator.limit_files`)."""
        return sum(
            self.emulator.limit_files(name, size)
            for name, logical_id in self._functions().items()
            if function in (name, logical_id)
        )

    def _is_task_role(self, role: str) -> bool:
        return self.emulator.logical_id("AWS::IAM::Role", role) == TASK_ROLE

    def _function(self, name: str) -> str:
        return self.emulator.logical_id("AWS::Lambda::Function", name)

    def _functions(self) -> dict[str, str]:
        return self.emulator.logical_ids("AWS::Lambda::Function")

    def _call(self, request: Request) -> Call:
        role, session = _role_and_session(request.principal)
        function = ""
        if not role:
            caller = "user"
        elif session.startswith(CODEBUILD_SESSION) or self._is_task_role(role):
            caller = "build"
        else:
            function = self._function(session)
            caller = function or role
        return Call(
            caller=caller,
            function=session if function else "",
            service=request.service,
            action=request.action,
            resource=request.resource,
            keys=calls.keys(request.service, request.action, request.path, request.body),
            writes=calls.writes(request.service, request.action, request.body),
        )

    async def _act(self, rule: Rule, call: Call, request: Request) -> Response | None:
        """Applies a rule. Returns a response if the rule provides one."""
        match rule.do:
            case Do.DELAY:
                await self._delay(rule)
            case Do.REFUSE:
                return answers.error(call.service, rule.code, rule.message)
            case Do.DROP:
                return self._success(call, request)
            case Do.KILL if call.caller == "build":
                session = _role_and_session(request.principal)[1]
                self.builds_engine.kill(session, rule.status, rule.seconds)
                self.emulator.kill_caller(rule.seconds)  # in the warm lane
            case Do.KILL:
                await asyncio.sleep(rule.seconds)
                self.emulator.kill_caller()
                return answers.error(call.service, "InternalFailure", "The caller is gone.")
        return None

    async def _delay(self, rule: Rule) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rule.seconds):
                while self.faults.in_force(rule):  # noqa: ASYNC110  threads clear rules, too
                    await asyncio.sleep(0.05)

    def _success(self, call: Call, request: Request) -> Response:
        if call.action == "PutEvents":
            entries = calls.json_body(request.body).get("Entries", [])
            return answers.answer(
                {"FailedEntryCount": 0, "Entries": [{"EventId": "dropped"} for _ in entries]}
            )
        if call.service == "s3":
            return 200, {"ETag": '"dropped"'}, b""
        return answers.answer({})

    def _record(self, call: Call, request: Request, answer: Response, faults: list[int]) -> None:
        status, _, body = answer
        error = _error_code(body) if status >= 400 else ""
        self.calls.add(
            caller=call.caller,
            principal=request.principal,
            service=call.service,
            action=call.action,
            resource=call.resource,
            keys=list(call.keys),
            writes=list(call.writes),
            status=status,
            error=error,
            faults=faults,
            allowed=not error.startswith("AccessDenied") and status != 403,
        )

    def _record_event(self, kind: str, event: dict[str, Any], target: str) -> None:
        self.events.add(
            kind=kind,
            id=event["EventId"],
            source=event["Source"],
            detail_type=event["DetailType"],
            bus=event.get("EventBusName", ""),
            target=target,
            detail=json.loads(event["Detail"]),
        )


def _role_and_session(principal: str) -> tuple[str, str]:
    role, _, session = principal.rpartition("assumed-role/")[2].partition("/")
    return (role, session) if session else ("", "")


def _error_code(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else ""
    if text.startswith("{"):
        code = str(calls.json_body(text.encode()).get("__type", ""))
        return code.rpartition("#")[2]
    return text.partition("<Code>")[2].partition("</Code>")[0]
