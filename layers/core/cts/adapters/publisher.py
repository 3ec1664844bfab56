"""The publisher, invoked by the api: it makes the changes that people ask for."""

import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from cts.adapters.aws_errors import translated
from cts.config.task_change import Changed, TaskChange
from cts.errors import Unavailable
from cts.stored import load

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class TaskChanges:
    def __init__(self, client: "LambdaClient", function: str) -> None:
        self._client = client
        self._function = function

    def change(self, asked: TaskChange) -> Changed:
        doing = f"changing task {asked.name}"
        with translated(doing):
            answer = self._client.invoke(
                FunctionName=self._function,
                Payload=json.dumps({"change": asdict(asked)}).encode(),
            )
            with closing(answer["Payload"]) as payload:
                body = payload.read()
        if answer.get("FunctionError"):  # its log says more than a caller may know
            raise Unavailable(f"{doing}: the publisher failed")
        return load(Changed, json.loads(body))
