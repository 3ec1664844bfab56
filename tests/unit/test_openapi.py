"""docs/openapi.yaml describes what the functions serve: paths, methods, fields."""

import re
from typing import Any

import pytest

from cts.run.model import RunStatus
from cts.workflow import edit, read, read_runs, read_tasks, tasks
from cts.workflow.task_schema import FIELDS, TASK, Schema
from tests.openapi import DOCUMENT, OPERATIONS

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def described(path: str) -> str:
    """A pattern for the resolver as a path of the document."""
    return re.sub("<(.*?)>", r"{\1}", path.removesuffix("/?"))


def test_each_route_is_described_and_nothing_else() -> None:
    served = {
        ("GET", described(path)) for path in (*read.ROUTES, *read_runs.ROUTES, *read_tasks.ROUTES)
    }
    served |= {(method, described(path)) for method, path, _ in edit.ROUTES}
    assert OPERATIONS.keys() == {
        f"{method} {path}"
        for method, path in served
        if not set("+*") & {*path}  # those of any depth
    }


def test_each_status_of_a_run_is_described() -> None:
    assert SCHEMAS["Run"]["properties"]["status"]["enum"] == [*RunStatus]


def test_each_error_of_a_change_is_described() -> None:
    codes = {str(code) for code in tasks.CODES.values()} - {"405"}
    for method in ("patch", "put"):
        answers = DOCUMENT["paths"]["/v1/tasks/{name}"][method]["responses"]
        assert codes <= answers.keys()
    assert codes - {"404"} <= DOCUMENT["paths"]["/v1/tasks"]["post"]["responses"].keys()


@pytest.mark.parametrize(("name", "fields"), [("Task", TASK.fields), ("TaskFields", FIELDS)])
def test_the_fields_of_a_task_are_those_that_are_checked(
    name: str, fields: dict[str, Schema]
) -> None:
    assert SCHEMAS[name]["properties"].keys() == fields.keys()


def test_what_a_task_needs_is_what_is_checked() -> None:
    assert tuple(SCHEMAS["Task"]["required"]) == TASK.required
