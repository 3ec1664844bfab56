"""How the API's function URL is called, and what its ports are in a system in memory."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from cts.workflow.tasks import TaskPorts
from functions.api import app
from tests.unit.system import System

ANN = "arn:aws:sts::111122223333:assumed-role/Operator/ann"
BOB = "arn:aws:sts::111122223333:assumed-role/Operator/bob"


def ports_of(world: System) -> TaskPorts:
    return TaskPorts(
        tasks=world.table,
        live=world.table,
        generations=world.bucket,
        definitions=world.bucket,
        records=world.bucket,
        bus=world.bus,
        metrics=world.metrics,
        now=world.clock,
    )


def event(url: str, method: str = "POST", body: str = "", by: str = ANN) -> dict[str, Any]:
    """What the function URL makes of a request that `by` has signed; empty: nobody has."""
    path = urlsplit(url).path
    signed = {"authorizer": {"iam": {"accountId": "111122223333", "userArn": by}}} if by else {}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "stage": "$default",
            "requestId": "r-1",
            "http": {"method": method, "path": path},
            **signed,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def invoke(given: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON that the function answers. Set `app.ports` first."""
    names = ("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id")
    context: Any = SimpleNamespace(**dict.fromkeys(names, "api"))
    answer = app.lambda_handler(given, context)
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def post(path: str, body: object = None, by: str = ANN) -> tuple[int, Any]:
    return invoke(event(path, body="" if body is None else json.dumps(body), by=by))
