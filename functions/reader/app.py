"""Serve the read-only API: status, runs, logs. Invoked through its function URL, with IAM."""

import json
import os
from functools import cache
from urllib.parse import parse_qs

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response

from cts import wiring
from cts.errors import CtsError
from cts.settings import ReaderSettings
from cts.workflow import read

logger = Logger()
app = LambdaFunctionUrlResolver()
ports = cache(lambda: wiring.reader(ReaderSettings.read(os.environ)))


def reply(answer: read.Route, **names: str) -> Response[str]:
    query = parse_qs(app.current_event.raw_query_string, keep_blank_values=True)
    found = answer(ports(), read.ApiRequest(app.current_event.path, query), **names)
    if isinstance(found, str):
        return Response(200, "text/plain; charset=utf-8", found)
    return Response(200, "application/json", json.dumps(found))


def refuse(error: CtsError) -> Response[str]:
    logger.info("refused", path=app.current_event.path, error=str(error))
    body = json.dumps({"error": {"message": str(error)}})
    return Response(read.code_of(error), "application/json", body)


app.exception_handler(CtsError)(refuse)
app.not_found(lambda _: refuse(read.unknown(app.current_event.http_method, app.current_event.path)))
for path, answer in read.ROUTES.items():
    app.get(path)(lambda answer=answer, **names: reply(answer, **names))
lambda_handler = logger.inject_lambda_context(app.resolve, clear_state=True)
