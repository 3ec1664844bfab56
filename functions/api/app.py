"""Serve the API that changes things. Invoked through its function URL, with IAM."""

import json
import os
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.metrics import EphemeralMetrics

from cts import wiring
from cts.errors import CtsError
from cts.settings import Store
from cts.workflow import task_terraform, tasks

logger = Logger()
announced = EphemeralMetrics(service="announced")  # whichever function announces it
announced.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))
app, ROUTES = LambdaFunctionUrlResolver(), {**tasks.ROUTES, **task_terraform.ROUTES}
ports = cache(lambda: wiring.api(Store.read(os.environ), announced))


def reply(answer: tasks.Answer) -> Response[str]:
    event, (code, found) = app.current_event, answer
    logger.info("answered", path=event.path, code=code, **found)
    body = json.dumps({**found, "request_id": event.request_context.request_id})
    return Response(code, "application/json", body)


def change(action: tasks.Action, name: str) -> Response[str]:
    raw, body = app.current_event.raw_event, app.current_event.decoded_body
    return reply(action(ports(), tasks.request(raw, name, body or "")))


app.exception_handler(CtsError)(lambda error: reply(tasks.refusal(error)))
app.not_found(lambda _: reply(tasks.refusal(tasks.unknown(app.current_event.raw_event, ROUTES))))
for path, action in ROUTES.items():
    app.post(path)(lambda name, action=action: change(action, name))
lambda_handler = logger.inject_lambda_context(app.resolve, clear_state=True)
