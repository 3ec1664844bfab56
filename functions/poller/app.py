"""Keep the views current. Invoked every minute, and when a configuration is published."""

import asyncio
import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts.events import CatalogChanged
from cts.settings import PollerSettings
from cts.wiring import poller
from cts.workflow import live, once
from cts.workflow.counting import count
from cts.workflow.watcher import Beat

logger = Logger()
metrics = Metrics()
metrics.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))


def beat(told: Beat) -> None:
    count(metrics, told.counted)  # at once: a poller in mode live runs for most of its time limit


def log(changed: CatalogChanged) -> None:
    logger.info("catalog changed", **asdict(changed))


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    settings = PollerSettings.read(os.environ)
    work = live.live if settings.live else once.once
    left = context.get_remaining_time_in_millis() / 1000
    outcome = asyncio.run(work(poller.ports(settings, left, beat, log, logger.warning)))
    logger.info("left", outcome=outcome.value)
    return {"outcome": outcome.value}
