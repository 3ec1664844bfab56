"""Execute a run in the warm lane. Invoked by the runner, or by the tracker if the runner died."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts.errors import ProgramKilled
from cts.executor.execute import Asked, Sandbox, execute
from cts.executor.processes import guarded
from cts.settings import ExecutorSettings
from cts.wiring import executor

logger = Logger()


@cache
def sandbox() -> Sandbox:
    guarded()
    return executor.sandbox(ExecutorSettings.read(os.environ), os.environ)


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int | None]:
    asked = Asked(**event)
    logger.append_keys(task=asked.task, run=asked.run, correlation_id=asked.correlation_id)
    left = context.get_remaining_time_in_millis() / 1000
    code = execute(sandbox(), asked, context.aws_request_id, left)
    logger.info("executed", code=code)
    if code is not None and code < 0:
        raise ProgramKilled(asked.run, -code)
    return {"code": code}
