"""Keep the views current. Invoked every minute, and when a configuration was published."""

import asyncio
import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts import wiring
from cts.settings import PollerSettings
from cts.workflow.live import Beat, live, once

logger = Logger()
metrics = Metrics()
metrics.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))
MARGIN = 20.0  # seconds before Lambda's time limit at which the poller has left


@cache
def settings() -> PollerSettings:
    return PollerSettings.read(os.environ)


def count(beat: Beat) -> None:
    for name, value in beat.metrics.items():
        metrics.add_metric(name, "Count", value)
    metrics.flush_metrics()  # a poller in mode live stays for most of its fifteen minutes


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    until = time.time() + context.get_remaining_time_in_millis() / 1000 - MARGIN
    work = live if settings().live else once
    outcome = asyncio.run(work(wiring.poller(settings(), until, count)))
    logger.info("left", outcome=outcome.value)
    return {"outcome": outcome.value}
