"""How the API's function URL is called, and what its ports are in a system in memory."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from cts.config.task_change import Changed, TaskChange
from cts.workflow.change import change
from cts.workflow.edit_steps import EditPorts
from cts.workflow.leaving import see_off
from cts.workflow.publish import PublishPorts
from cts.workflow.tasks import TaskPorts
from functions.api import app
from tests.fake_api_tasks import FakeApiTasks
from tests.unit.system import System

ANN = "arn:aws:sts::111122223333:assumed-role/Operator/ann"
LASTS = 900.0
"""Seconds that the function may take."""
BOB = "arn:aws:sts::111122223333:assumed-role/Operator/bob"


class FakePublisher:
    """Changes what is configured in a system in memory, as the publisher does."""

    def __init__(self, ports: PublishPorts) -> None:
        self.ports = ports
        self.asked: list[TaskChange] = []

    def change(self, asked: TaskChange) -> Changed:
        self.asked.append(asked)
        made = change(self.ports, asked, 60.0)
        see_off(self.ports, 60.0)
        return made


def publish_ports(world: System) -> PublishPorts:
    return PublishPorts(
        sources=world.bucket,
        api_tasks=FakeApiTasks(),
        tasks=world.table,
        attempts=world.table,
        published=world.table,
        objects=world.bucket,
        bus=world.bus,
        now=world.clock,
        environment={},
        metrics=world.metrics,
    )


def ports_of(world: System, meanwhile: Callable[[float], None] | None = None) -> EditPorts:
    """`meanwhile`: what happens while a request waits."""

    def passes(seconds: float) -> None:
        world.clock.now += seconds

    asking = TaskPorts(
        tasks=world.table,
        live=world.table,
        generations=world.bucket,
        definitions=world.bucket,
        records=world.bucket,
        bus=world.bus,
        metrics=world.metrics,
        now=world.clock,
    )
    return EditPorts(
        asking=asking,
        publisher=FakePublisher(publish_ports(world)),
        runs=world.table,
        logs=world.bucket,
        sleep=meanwhile or passes,
    )


def event(
    url: str, method: str = "POST", body: str = "", by: str = ANN, **headers: str
) -> dict[str, Any]:
    """What the function URL makes of a request that `by` has signed; empty: nobody has."""
    path, query = urlsplit(url).path, urlsplit(url).query
    signed = {"authorizer": {"iam": {"accountId": "111122223333", "userArn": by}}} if by else {}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **headers},
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
    left = {"get_remaining_time_in_millis": lambda: LASTS * 1000}
    context: Any = SimpleNamespace(**dict.fromkeys(names, "api"), **left)
    answer = app.lambda_handler(given, context)
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["body"].endswith("}\n")  # as in CTS
    return answer["statusCode"], json.loads(answer["body"])


def post(path: str, body: object = None, by: str = ANN) -> tuple[int, Any]:
    return invoke(event(path, body="" if body is None else json.dumps(body), by=by))
