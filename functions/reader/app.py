"""Serve the read-only API: status, runs, logs. Invoked through its function URL, with IAM."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response

from cts.errors import CtsError
from cts.settings import ReaderSettings
from cts.wiring import reader
from cts.workflow import read, read_runs, read_tasks

logger = Logger()
app = LambdaFunctionUrlResolver()
ports = cache(lambda: reader.ports(ReaderSettings.read(os.environ)))


def reply(code: int, found: str | dict[str, Any]) -> Response[str]:
    event, headers = app.current_event.raw_event, app.current_event.headers
    return Response(code, *read_tasks.body(found, event), compress=read_tasks.takes_gzip(headers))


def answer(route: read.Route, **names: str) -> Response[str]:
    asked = read_tasks.request(app.current_event.path, app.current_event.raw_query_string)
    return reply(200, route(ports(), asked, **names))


def refuse(error: CtsError) -> Response[str]:
    logger.info("refused", path=app.current_event.path, error=str(error))
    return reply(read.code_of(error), {"error": {"message": str(error)}})


app.exception_handler(CtsError)(refuse)
app.not_found(lambda _: refuse(read_tasks.unknown(app.current_event.raw_event)))
for path, route in {**read.ROUTES, **read_runs.ROUTES, **read_tasks.ROUTES}.items():
    app.get(path)(lambda route=route, **names: answer(route, **names))
lambda_handler = logger.inject_lambda_context(app.resolve, clear_state=True)
