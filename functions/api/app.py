"""Serve the API that changes things. Invoked through its function URL, with IAM."""

import os
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.metrics import EphemeralMetrics

from cts.errors import CtsError
from cts.settings import ApiSettings
from cts.wiring import api
from cts.workflow import edit, tasks
from cts.workflow.edit_steps import asked

logger = Logger()
announced = EphemeralMetrics(service="announced")  # whichever function announces it
announced.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))
app = LambdaFunctionUrlResolver()
ports = cache(lambda: api.ports(ApiSettings.read(os.environ), announced))


def reply(answer: tasks.Answer) -> Response[str]:
    event = app.current_event
    logger.info("answered", path=event.path, code=answer[0], error=answer[1].get("error"))
    body = edit.body(answer, event.request_context.request_id)
    return Response(answer[0], "application/json", body)


def change(action: edit.Route, name: str = "") -> Response[str]:
    until = ports().asking.now() + app.lambda_context.get_remaining_time_in_millis() / 1000
    return reply(action(ports(), asked(app.current_event.raw_event, name, until)))


app.exception_handler(CtsError)(lambda error: reply(tasks.refusal(error)))
app.not_found(lambda _: reply(tasks.refusal(edit.unknown(app.current_event.raw_event))))
for method, path, action in edit.ROUTES:
    app.route(path, method)(lambda action=action, **names: change(action, **names))
lambda_handler = logger.inject_lambda_context(app.resolve, clear_state=True)
