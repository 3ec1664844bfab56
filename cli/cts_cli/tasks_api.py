"""Requests to create, change and delete tasks, as CTS's commands make them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx

from cts.run.plan_text import has_changes, plan_text
from cts_cli import client, waits
from cts_cli.aws import Stack
from cts_cli.errors import CommandError, NotFound, OlderStack

TIMEOUT = httpx.Timeout(30, connect=5, read=15 * 60)
"""In seconds: the API may wait for a run."""
LONGEST_START = 15 * 60.0
"""Seconds until a run has begun. Once it has, it is waited for until its end."""
LONGEST_DELETION = 6 * 60.0
"""Seconds until a task is gone of which all is destroyed, even if the event about that is lost."""
SUCCEEDED = frozenset({"applied", "planned_and_finished"})
FOLLOWED = frozenset({"pending", "busy", "canceled"})
"""A run with the same request follows those that did nothing."""


class Failed(Exception):
    """An error that the API answered, or a run that failed."""

    def __init__(self, code: int, message: str, request_id: str) -> None:
        super().__init__(message)
        self.code, self.message, self.request_id = code, message, request_id

    @property
    def of_create(self) -> str:
        """In the words of CTS's commands `create` and `delete`."""
        words = f"{self.code} {httpx.codes.get_reason_phrase(self.code)}: {self.message}"
        return f"{words}, see logs for more details (Request ID: {self.request_id})"

    @property
    def of_update(self) -> str:
        """In the words of CTS's commands `enable` and `disable`."""
        return f"request returned {self.code} status code with error: {self.message}"


class TasksApi:
    """Runs are asked for and then followed, because a connection may not last as long as a run.
    No request to change something is repeated: one that failed may have been carried out.

    All methods raise Failed or CommandError.
    """

    def __init__(self, stack: Stack) -> None:
        if not stack.api_url:
            raise OlderStack
        self._base = f"{stack.api_url.rstrip('/')}/v1/tasks"
        self._http = client.signing(stack.session, TIMEOUT)
        self._reader = client.Reader.of(stack)

    def create(self, task: Mapping[str, Any], run: str) -> Any:
        """`run`: "inspect" or "now"."""
        found = self._ask("POST", f"?run={run}", {"task": task})
        if "asked" not in found:
            return found
        name, request = task["name"], found["request_id"]
        if run == "inspect":
            planned = self._plan(name, found, 400)
            return {"task": found["task"], "run": planned, "request_id": request}
        ended = self._ended(name, found)
        if ended["status"] not in SUCCEEDED:
            self._discard(name, found["task"])
            raise Failed(500, _failure(ended), request)
        return {"task": found["task"], "request_id": request}

    def _discard(self, name: str, created: Any) -> None:
        """As in CTS, a task whose first run failed is then not there, unless another user has
        changed it meanwhile."""
        with suppress(NotFound):
            if self._reader.get("tasks", name)["task"] == created:
                self.delete(name)

    def delete(self, name: str) -> Any:
        return self._ask("DELETE", f"/{quote(name, safe='')}")

    def inspect_destroy(self, name: str) -> Any:
        """What `destroy` would destroy."""
        found = self._ask("DELETE", f"/{quote(name, safe='')}?destroy=true&run=inspect")
        return {"inspect": self._plan(name, found, 500)}

    def destroy(self, name: str) -> Any:
        """Delete the task with all that its runs have created. Returns the run that did that, once
        the task is gone."""
        found = self._ask("DELETE", f"/{quote(name, safe='')}?destroy=true")
        ended = self._ended(name, found)
        if ended["status"] not in SUCCEEDED:
            raise Failed(500, _failure(ended), found["request_id"])
        for passed in waits.every(1.0):
            if passed > LONGEST_DELETION:
                break
            try:
                self._reader.get("tasks", name)
            except NotFound:
                return {"run": ended, "request_id": found["request_id"]}
        what = f"what task '{name}' had created is destroyed, but the task is still there"
        raise CommandError(f"{what}: `cts status` shows why")

    def enable(self, name: str, run: str = "", *, enabled: bool = True) -> Any:
        """`run`: "inspect", "now" or none."""
        query = f"?run={run}" if run else ""
        found = self._ask("PATCH", f"/{quote(name, safe='')}{query}", {"enabled": enabled})
        if "asked" not in found:
            return found
        if run == "inspect":
            return {"inspect": self._plan(name, found, 500)}
        ended = self._ended(name, found)
        if ended["status"] not in SUCCEEDED:
            raise Failed(500, _failure(ended), found["request_id"])
        return {}

    def _plan(self, name: str, asked: Mapping[str, Any], code: int) -> dict[str, Any]:
        """`code`: with which CTS answers if it fails."""
        ended = self._ended(name, asked)
        if ended["status"] != "planned":
            raise Failed(code, _failure(ended), asked["request_id"])
        text = plan_text(self._reader.text("runs", ended["id"], "log") or "")
        return {"plan": text, "changes_present": has_changes(text, ended["counts"])}

    def _ended(self, name: str, asked: Mapping[str, Any]) -> Any:
        """The run that was asked for, once it has ended."""
        begun = False
        for passed in waits.every(1.0):
            run = self._run(name, asked["asked"]["id"])
            if run and run["status"] not in FOLLOWED:
                return run
            begun = begun or run is not None
            if passed > LONGEST_START and not begun:
                break
        what = f"the run of task '{name}' has not begun"
        raise CommandError(f"{what}: `cts status` shows what it waits for")

    def _run(self, name: str, request: str) -> Any:
        try:
            runs = self._reader.get("runs", task=name, limit=waits.MOST_LOOKED_AT)["runs"]
        except NotFound:  # a task that is only inspected is there once it has a run
            return None
        return next((each for each in runs if each["request"] == request), None)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        content = json.dumps(body).encode() if body is not None else b""
        headers = {"content-type": "application/json"} if body is not None else {}
        headers["prefer"] = "respond-async"
        try:
            answer = self._http.request(
                method, f"{self._base}{path}", content=content, headers=headers
            )
        except httpx.TransportError as error:
            raise CommandError(f"{method} {self._base}{path}: {error}") from error
        try:
            found = answer.json()
        except ValueError:
            found = None
        if answer.is_success and isinstance(found, dict):
            return found
        raise _failed(answer, found)


def _failed(answer: httpx.Response, found: Any) -> Failed:
    said = found if isinstance(found, dict) else {}
    error = said.get("error")
    message = error.get("message") if isinstance(error, dict) else said.get("Message")
    none = "00000000-0000-0000-0000-000000000000"
    return Failed(answer.status_code, message or answer.text[:200], said.get("request_id") or none)


def _failure(run: Mapping[str, Any]) -> str:
    """In CTS's words."""
    return f"error tf-{run['step']} for '{run['task']}': {run['error'] or 'it did not say why'}"
