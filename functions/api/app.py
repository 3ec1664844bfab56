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
from cts.workflow import tasks

logger = Logger()
announced = EphemeralMetrics(service="announced")  # whichever function announces it
announced.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))
app = LambdaFunctionUrlResolver()
ports = cache(lambda: wiring.api(Store.read(os.environ), announced))


def reply(answer: tasks.Answer) -> Response[str]:
    code, found = answer
    logger.info("answered", path=app.current_event.path, code=code, **found)
    body = {**found, "request_id": app.current_event.request_context.request_id}
    return Response(code, "application/json", json.dumps(body))


def change(action: tasks.Action, name: str) -> Response[str]:
    event = app.current_event
    return reply(action(ports(), tasks.request(event.raw_event, name, event.decoded_body or "")))


app.exception_handler(CtsError)(lambda error: reply(tasks.refusal(error)))
app.not_found(lambda _: reply(tasks.refusal(tasks.unknown(app.current_event.raw_event))))
for path, action in tasks.ROUTES.items():
    app.post(path)(lambda name, action=action: change(action, name))
lambda_handler = logger.inject_lambda_context(app.resolve, clear_state=True)
