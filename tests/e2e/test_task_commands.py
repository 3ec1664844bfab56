"""CTS's own flows with `cts task`: create with a plan first, disable, enable, delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.people import Person
from tests.e2e.world import RECORD, folder_of, task

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def operator(world: World) -> Person:
    """The module `record` is in the bundle, for tasks to use."""
    world.catalog.register("tc-1", "tc-web", "10.9.1.1", 80)
    world.publish({"tc.hcl": task("tc-other", "tc-web") + task("tc-warm", "tc-web", lane="warm")})
    return Person(world, "tc-operator", "OperatorPolicy")


def test_a_task_goes_through_the_flows_of_cts(
    world: World, operator: Person, tmp_path: Path
) -> None:
    file = folder_of(tmp_path, {"web.hcl": task("tc-task", "tc-web")}) / "web.hcl"
    planned = operator.types("task", "create", f"-task-file={file}", "-inspect")
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in planned
    assert "tc-task" not in operator.types("tasks")
    created = operator.types("task", "create", f"-task-file={file}", "-auto-approve")
    assert "==> Task 'tc-task' created" in created
    assert world.applied("tc-task") == world.expected("tc-web")
    # The poller may see the new task first, and trigger a run that nobody has asked for.
    asked = [run for run in world.runs("tc-task") if (run.why, run.by) != (("change",), "")]
    assert {run.by for run in asked} == {operator.arn}
    again = operator.types("task", "create", f"-task-file={file}", "-auto-approve", code=11)
    assert "already exists" in again

    operator.types("task", "disable", "tc-task")
    found = json.loads(operator.types("tasks", "--json"))["tasks"]
    [made] = [each for each in found if each["name"] == "tc-task"]
    assert (made["enabled"], made["module"]) == (False, RECORD)
    world.catalog.register("tc-2", "tc-web", "10.9.1.2", 80)
    world.until(lambda: world.state("tc-task").wanted, "the change to be seen")
    enabled = operator.types("task", "enable", "-auto-approve", "tc-task")
    assert "10.9.1.2" in enabled
    assert "==> 'tc-task' enable complete!" in enabled
    assert world.applied("tc-task") == world.expected("tc-web")

    operator.types("task", "delete", "-auto-approve", "tc-task")
    assert "tc-task" not in operator.types("tasks")
    assert "404 Not Found" in operator.types("task", "delete", "-auto-approve", "tc-task", code=11)


def test_what_a_task_has_created_is_destroyed(world: World, operator: Person) -> None:
    """In the warm lane."""
    world.applied_right("tc-warm", "tc-web")
    words = ("task", "delete", "-destroy")
    shown = operator.types(*words, "-inspect", "tc-warm")
    assert "Plan: 0 to add, 0 to change, 1 to destroy." in shown
    assert world.applied("tc-warm")
    told = operator.types(*words, "-auto-approve", "tc-warm")
    assert "==> Task 'tc-warm' deleted" in told
    assert "tc-warm" not in operator.types("tasks")
    assert (world.terraform_state("tc-warm") or {})["resources"] == []
    assert {run.driver for run in world.runs("tc-warm")} == {"executor"}


def test_a_reader_changes_nothing(world: World, operator: Person) -> None:
    reader = Person(world, "tc-reader", "ReaderPolicy")
    assert "tc-other" in reader.types("tasks")
    assert "403" in reader.types("task", "disable", "tc-other", code=11)
