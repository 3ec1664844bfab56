"""Publish what was pushed. Invoked when an object is created under config/, and every 5 minutes."""

import os
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts import wiring
from cts.settings import PublisherSettings
from cts.workflow.publish import Ports, publish

logger = Logger()
metrics = Metrics()
metrics.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))


@cache
def ports() -> Ports:
    return wiring.publisher(PublisherSettings.read(os.environ), metrics)


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    report = publish(ports())
    logger.info("looked at what was pushed", **asdict(report))
    return {"outcome": report.outcome.value}
