"""Answer the reader's requests for tasks as CTS's API describes them, and for its health."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from cts.errors import (
    CtsError,
    NoCluster,
    NoSuchPath,
    NotAllowed,
    RunNotFound,
    TaskNotFound,
)
from cts.workflow import read, read_paths, read_runs
from cts.workflow.read import ApiRequest, ReadPorts, Route, generation, task_objects


def health(_ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    """That it answers is all there is to say, as in CTS. `/v1/poller` says more."""
    return {}


def cluster(_ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    raise NoCluster


def tasks(ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    return {"tasks": task_objects(ports, generation(ports))}


def task(ports: ReadPorts, _request: ApiRequest, name: str) -> dict[str, Any]:
    name = unquote(name)
    found = next(
        (each for each in task_objects(ports, generation(ports)) if each["name"] == name), None
    )
    if found is None:
        raise TaskNotFound(name)
    return {"task": found}


def changes(ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    """What people have made of tasks through the API, as the live generation has it, and which of
    it a push has ended. `cts push` compares with it."""
    current = ports.configuration.current()
    digest = ports.objects.generation(current).changes if current else ""
    return {
        "changes": ports.objects.shown(digest) if digest else [],
        "gone": dict(current.gone) if current else {},
    }


ROUTES: Mapping[str, Route] = {
    "/v1/configuration/changes": changes,
    "/v1/health": health,
    "/v1/status/cluster": cluster,
    "/v1/tasks": tasks,
    "/v1/tasks/<name>": task,
}
"""As in `read.py`."""


def unknown(event: Mapping[str, Any]) -> CtsError:
    """The response if no route matches. The resolver knows only some characters in names."""
    http = event["requestContext"]["http"]
    method, path = http["method"], http["path"]
    for pattern in (*read.ROUTES, *read_runs.ROUTES, *ROUTES):
        found = re.fullmatch(re.sub("<.*>", "([^/]+)", pattern), path)
        if found and method == "GET":
            return (RunNotFound if "<run>" in pattern else TaskNotFound)(unquote(found[1]))
    if re.fullmatch("/v1/tasks(/.*)?", path):
        return NotAllowed(method, "task", "PATCH" if method == "GET" else "GET")
    return read_paths.not_allowed(method, path) or NoSuchPath()


WITH_REQUEST_ID = ("/v1/tasks", "/v1/status/cluster")


def request(path: str, query: str) -> ApiRequest:
    return ApiRequest(path, parse_qs(query, keep_blank_values=True))


def body(found: str | dict[str, Any], event: Mapping[str, Any]) -> tuple[str, str]:
    """Content type and text of an answer: with the request's ID where CTS gives one."""
    if isinstance(found, str):
        return "text/plain; charset=utf-8", found
    has_id = event["rawPath"].startswith(WITH_REQUEST_ID)
    known = {"request_id": event["requestContext"]["requestId"]} if has_id else {}
    return "application/json", json.dumps({**found, **known}) + "\n"


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the client names gzip, and not with the weight 0, which refuses it."""
    for each in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() == "gzip":
            return not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)
    return False
