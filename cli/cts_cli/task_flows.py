"""What CTS's commands do, step by step: inspect, ask, act."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cts_cli import cts_says, output
from cts_cli.errors import CommandError
from cts_cli.push import interruptible
from cts_cli.tasks_api import Failed, TasksApi

CHANGED_SINCE = "What is done may differ from the plan if watched services change in the meantime."
FOR_GOOD = "This can't be undone."
SENT = "The request was sent. It may take minutes until the run has ended."
GOES_ON = "Interrupting this command does not stop the run."


@dataclass(frozen=True, slots=True)
class How:
    auto_approve: bool
    inspect: bool = False
    """Stop after the plan."""
    as_json: bool = False

    @property
    def asks(self) -> bool:
        return not self.auto_approve and not self.inspect


@contextmanager
def failing(error: str, *, is_update: bool = False) -> Iterator[None]:
    """End the command as CTS does, with this as the error."""
    try:
        yield
    except Failed as failed:
        cts_says.fail(error, failed.of_update if is_update else failed.of_create)
    except CommandError as failed:
        cts_says.fail(error, str(failed))


def create(api: TasksApi, task: Mapping[str, Any], how: How) -> None:
    name = task["name"]
    _refuse_silence(how)
    told = _Told(how.as_json)
    told.info(f"Inspecting changes to resource if creating task '{name}'...")
    with failing(f"unable to generate plan for '{name}'"), _working(f"planning {name}"):
        inspected = api.create(task, "inspect")
    told.detail(f"\nRequest ID: {inspected.get('request_id', '')}")
    told.detail(f"Request Payload:\n\n{json.dumps({'task': task}, indent=2)}\n\nPlan:\n")
    told.plan(f"{inspected['run']['plan']}\n")
    if how.inspect:
        told.json({"inspected": inspected})
        return
    if how.asks and not _is_approved("Creating the task", name, FOR_GOOD, CHANGED_SINCE):
        cts_says.info(f"Cancelled creating task '{name}'")
        return
    told.info(f"Creating and running task '{name}'...")
    told.detail(f"{SENT}\n{GOES_ON}\n")
    with failing(f"unable to create '{name}'"), _working(f"creating {name}"):
        created = api.create(task, "now")
    told.info(f"Task '{name}' created")
    told.detail(f"Request ID: '{created.get('request_id', '')}'")
    told.json({"inspected": inspected, "created": created})


def delete(api: TasksApi, name: str, how: How) -> None:
    _refuse_silence(how)
    told = _Told(how.as_json)
    notes = (
        "A run in progress goes on to its end.",
        "What the task's runs created stays as it is.",
        "Its Terraform state stays, too: a new task with this name goes on with it.",
        FOR_GOOD,
    )
    if how.asks and not cts_says.is_approved(f"Do you want to delete '{name}'?", *notes):
        cts_says.info(f"Cancelled deleting task '{name}'")
        return
    told.info(f"Marking task '{name}' for deletion...")
    with failing(f"unable to delete '{name}'"):
        found = api.delete(name)
    told.info(f"Task '{name}' has been marked for deletion and will be deleted when not running.")
    told.json(found)


def destroy(api: TasksApi, name: str, how: How) -> None:
    """Delete a task with all that its runs have created."""
    _refuse_silence(how)
    told = _Told(how.as_json)
    told.info(f"Inspecting changes to resource if destroying '{name}'...")
    with failing(f"unable to generate plan for '{name}'"), _working(f"planning {name}"):
        inspected = api.inspect_destroy(name)["inspect"]
    told.plan(f"\n{inspected['plan']}\n")
    if how.inspect:
        told.json({"inspected": inspected})
        return
    notes = ("The task is deleted when all is destroyed; until then it is disabled.", FOR_GOOD)
    if how.asks and not _is_approved("Deleting the task", name, *notes):
        cts_says.info(f"Cancelled deleting task '{name}'")
        return
    told.info(f"Destroying what task '{name}' has created...")
    told.detail(f"{SENT}\n{GOES_ON}\n")
    with failing(f"unable to destroy '{name}'"), _working(f"destroying {name}"):
        destroyed = api.destroy(name)
    told.info(f"Task '{name}' deleted")
    told.detail(f"Request ID: '{destroyed['request_id']}'")
    told.json({"inspected": inspected, "destroyed": destroyed["run"]})


def enable(api: TasksApi, name: str, how: How) -> None:
    _refuse_silence(how)
    told = _Told(how.as_json)
    told.info(f"Inspecting changes to resource if enabling '{name}'...")
    with (
        failing(f"unable to generate plan for '{name}'", is_update=True),
        _working(f"planning {name}"),
    ):
        inspected = api.enable(name, "inspect")["inspect"]
    told.plan(f"\n{inspected['plan']}\n")
    if how.inspect:
        told.json({"inspected": inspected})
        return
    if not inspected["changes_present"]:
        with failing(f"unable to enable '{name}'", is_update=True):
            api.enable(name)
    else:
        if how.asks and not _is_approved("Enabling the task", name, CHANGED_SINCE):
            cts_says.info(f"Cancelled enabling task '{name}'")
            return
        told.info(f"Enabling and running '{name}'...")
        with (
            failing(f"unable to enable and run '{name}'", is_update=True),
            _working(f"running {name}"),
        ):
            api.enable(name, "now")
    told.info(f"'{name}' enable complete!")
    told.json({"inspected": inspected, "enabled": True})


def disable(api: TasksApi, name: str, *, as_json: bool) -> None:
    told = _Told(as_json)
    told.info(f"Waiting to disable '{name}'...")
    with failing(f"unable to disable '{name}'", is_update=True):
        api.enable(name, enabled=False)
    told.info(f"'{name}' disable complete!")
    told.json({"enabled": False})


def _is_approved(doing: str, name: str, *notes: str) -> bool:
    question = f"{doing} will perform the actions described above."
    return cts_says.is_approved(
        f"{question}\nDo you want to perform these actions for '{name}'?", *notes
    )


def _refuse_silence(how: How) -> None:
    if how.as_json and how.asks:
        cts_says.fail("with -json there is no question: pass -auto-approve, too")


@contextmanager
def _working(text: str) -> Iterator[None]:
    """A spinner, in a terminal only: what CTS prints stays as it is."""
    console = output.err()
    with interruptible("The run goes on."):
        if console.is_terminal:
            with console.status(text):
                yield
        else:
            yield


class _Told:
    """Prints text, or one JSON value at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def info(self, text: str) -> None:
        if not self._as_json:
            cts_says.info(text)

    def detail(self, text: str) -> None:
        if not self._as_json:
            cts_says.detail(text)

    def plan(self, text: str) -> None:
        if not self._as_json:
            cts_says.plan(text)

    def json(self, value: Any) -> None:
        if self._as_json:
            output.print_json(value)
