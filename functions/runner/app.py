"""Start runs for triggered tasks. Invoked by the TaskTriggered rule."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts import events
from cts.settings import Builds, Store
from cts.wiring import runner
from cts.workflow.start import StartPorts, start

logger = Logger()
announced = EphemeralMetrics(service="announced")  # whichever function announces it
announced.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))


@cache
def ports() -> StartPorts:
    return runner.ports(Store.read(os.environ), Builds.read(os.environ), announced)


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    trigger = events.triggered(event)
    logger.append_keys(task=trigger.task, correlation_id=trigger.correlation_id)
    outcome = start(ports(), trigger.task)
    logger.info("handled trigger", outcome=outcome.value)
    return {"outcome": outcome.value}
