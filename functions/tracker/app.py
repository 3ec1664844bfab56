"""Record how runs end. Invoked by what their drivers tell, and every minute to sweep."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts.errors import NotLookedAfter
from cts.settings import Store, Tracked
from cts.wiring import tracker
from cts.workflow.counting import count
from cts.workflow.track import TrackPorts, sweep, track

logger = Logger()
metrics, announced = Metrics(), EphemeralMetrics(service="announced")  # by whichever function
for each in (metrics, announced):
    each.set_default_dimensions(stack=os.environ.get("CTS_STACK", "cts"))


@cache
def ports() -> TrackPorts:
    return tracker.ports(Store.read(os.environ), Tracked.read(os.environ), announced)


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    report = track(ports(), event) or sweep(ports())
    count(metrics, report.counted)
    for run in report.settled:
        logger.info("run ended", run=run.id, status=run.status, correlation_id=run.correlation)
    if report.restarted:
        logger.warning("builds started again", runs=report.restarted)
    if report.errors:
        raise NotLookedAfter(report.errors)
    counts = {"settled": len(report.settled), "triggered": len(report.triggered)}
    return {"statusCode": 401 if report.forged else 200, **counts}
