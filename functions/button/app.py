"""Do what a button of the dashboard says. Invoked by CloudWatch with the rights of whoever presses,
which it does not name."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts.settings import ApiSettings
from cts.wiring import api
from cts.workflow.press import press

logger = Logger()
announced = EphemeralMetrics(service="announced")  # whichever function announces it
announced.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))
ports = cache(lambda: api.ports(ApiSettings.read(os.environ), announced))


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> str:
    if event.get("describe"):
        return "The buttons of the task table call this function."
    answer = press(ports(), event, context.aws_request_id)
    logger.info("pressed", task=event.get("task"), action=event.get("action"), answer=answer)
    return answer
