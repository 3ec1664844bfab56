"""Draw tasks and runs on the dashboard. Invoked by CloudWatch with the rights of the viewer."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from cts.settings import ReaderSettings, required
from cts.wiring import reader
from cts.workflow.draw import DESCRIPTION, draw
from cts.workflow.widget_parts import Page

logger = Logger()
ports = cache(lambda: reader.ports(ReaderSettings.read(os.environ)))


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> str:
    if event.get("describe"):
        return DESCRIPTION
    found = ports()
    page = Page(
        widget=context.invoked_function_arn,
        button=required(os.environ, "CTS_BUTTON"),
        region=required(os.environ, "AWS_REGION"),
        theme=str(event.get("widgetContext", {}).get("theme", "light")),
        now=found.now(),
    )
    return draw(found, page, event)
