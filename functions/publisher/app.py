"""Publish pushes, and changes of tasks. Invoked when an object is created under config/, when what
a task had created was destroyed, every 5 minutes, and by the api."""

import os
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts.settings import PublisherSettings
from cts.wiring import publisher
from cts.workflow.change import change, read, told
from cts.workflow.leaving import see_off
from cts.workflow.publish import publish

logger = Logger()
announced = EphemeralMetrics(service="announced")  # whichever function announces it
announced.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))
ports = cache(lambda: publisher.ports(PublisherSettings.read(os.environ), announced))


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    left = context.get_remaining_time_in_millis() / 1000
    if "change" in event:
        asked = read(event["change"])
        made = change(ports(), asked, left)
        logger.info("changed a task", task=asked.name, verb=asked.verb, by=asked.by, **told(made))
        see_off(ports(), left)
        return asdict(made)
    report = publish(ports(), left)
    logger.info("checked for a push", **asdict(report))
    see_off(ports(), left)
    return {"outcome": report.outcome.value}
