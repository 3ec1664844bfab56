"""Requests to create, change and delete tasks, as CTS's commands make them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from cts_cli import client
from cts_cli.aws import Stack
from cts_cli.errors import CommandError, OlderStack

TIMEOUT = httpx.Timeout(30, connect=5, read=15 * 60)
"""In seconds: the API waits for a run for up to 14 minutes."""


class Failed(Exception):
    """An error that the API answered."""

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
    """Nothing is repeated: a request that failed may have been carried out."""

    def __init__(self, stack: Stack) -> None:
        if not stack.api_url:
            raise OlderStack
        self._base = f"{stack.api_url.rstrip('/')}/v1/tasks"
        self._http = client.signing(stack, TIMEOUT)

    def create(self, task: Mapping[str, Any], run: str) -> Any:
        """`run`: "inspect" or "now". Raises Failed or CommandError, as all of these."""
        return self._ask("POST", f"?run={run}", {"task": task})

    def delete(self, name: str) -> Any:
        return self._ask("DELETE", f"/{quote(name, safe='')}")

    def enable(self, name: str, run: str = "", *, enabled: bool = True) -> Any:
        """`run`: "inspect", "now" or none."""
        query = f"?run={run}" if run else ""
        return self._ask("PATCH", f"/{quote(name, safe='')}{query}", {"enabled": enabled})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        content = json.dumps(body).encode() if body is not None else b""
        headers = {"content-type": "application/json"} if body is not None else {}
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
