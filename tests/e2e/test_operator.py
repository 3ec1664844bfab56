"""An operator holds, releases, retries, runs and inspects tasks with `cts`; a reader may not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from cts.run.model import RunStatus
from cts.workflow import edit, read, read_runs, read_tasks, task_terraform, tasks
from tests.e2e.people import Person
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cts.run.model import Run
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
NEEDS_FLAG = """
variable "services" {
  type = any
}

resource "terraform_data" "flag" {
  input = file("FLAG")
}
"""
"""`terraform validate` finds that the file is missing, so the task gives up at once."""
ROUTES = {**tasks.ROUTES, **task_terraform.ROUTES}
ACTIONS = [path.rpartition("/")[2] for path in ROUTES]


@pytest.fixture(scope="module")
def operator(world: World) -> Person:
    return Person(world, "operator", "OperatorPolicy")


@pytest.fixture(scope="module")
def held(world: World, operator: Person) -> str:
    """A task that applied what there was and is held."""
    world.catalog.register("op-1", "op-web", "10.8.0.1", 80)
    world.publish({"op.hcl": task("op-web", "op-web")})
    world.applied_right("op-web", "op-web")
    operator.types("hold", "op-web", "--why", "the firewall is replaced")
    return "op-web"


def last(world: World, name: str) -> Run:
    return world.runs(name)[-1]


def test_a_held_task_is_inspected_and_applied_once_it_is_released(
    world: World, operator: Person, held: str
) -> None:
    assert f"held by {operator.arn}" in operator.types("status")
    before = world.runs(held)
    world.catalog.register("op-2", "op-web", "10.8.0.2", 80)
    world.until(lambda: world.state(held).wanted, "the change to be seen")
    shown = operator.types("inspect", held, "--wait")
    assert "10.8.0.2" in shown
    assert "1 to change" in shown
    planned = last(world, held)
    assert (planned.status, planned.by) == (RunStatus.PLANNED, operator.arn)
    assert planned.end is not None
    assert planned.end.counts == {"add": 0, "change": 1, "destroy": 0}
    assert len(world.runs(held)) == len(before) + 1
    assert world.state(held).done is not None
    assert len(world.applied(held) or {}) == 1
    operator.types("release", held)
    runs = world.applied_right(held, "op-web")
    assert runs[-1].why == ("change",)
    for kind in ("TaskHeld", "TaskReleased"):
        [event] = world.events(kind, task=held)
        assert event["detail"]["by"] == operator.arn


def test_a_task_that_gave_up_is_tried_again(world: World, operator: Person) -> None:
    world.catalog.register("op-3", "op-flag", "10.8.0.3", 80)
    flag = world.stack.devices / "op-flag"
    module = {"modules/op-flag/main.tf": NEEDS_FLAG.replace("FLAG", str(flag))}
    world.publish({**module, "flag.hcl": task("op-flag", "op-flag", module="./modules/op-flag")})
    world.until(lambda: world.state("op-flag").gave_up, "task op-flag to give up")
    assert "cts retry op-flag" in operator.types("status")
    flag.parent.mkdir(parents=True, exist_ok=True)
    flag.write_text("here")
    operator.types("retry", "op-flag", "--wait")
    run = last(world, "op-flag")
    assert (run.status, run.why, run.by) == (RunStatus.APPLIED, ("person",), operator.arn)
    assert "has nothing to retry" in operator.types("retry", "op-flag", code=2)


def test_a_task_in_line_runs_because_a_person_says_so(world: World, operator: Person) -> None:
    world.catalog.register("op-4", "op-idle", "10.8.0.4", 80)
    world.publish({"idle.hcl": task("op-idle", "op-idle")})
    world.applied_right("op-idle", "op-idle")
    told = operator.types("run", "op-idle", "--wait")
    run = last(world, "op-idle")
    assert run.id in told
    assert (run.status, run.why) == (RunStatus.UNCHANGED, ("person",))


def test_who_may_only_read_changes_nothing(world: World, held: str) -> None:
    reader = Person(world, "reader", "ReaderPolicy")
    assert held in reader.types("status")
    before = world.state(held)
    for action in ACTIONS:
        why = ("--why", "x") if action == "hold" else ()
        words = ("state", "move") if action == "move-state" else (action,)
        assert "the API refused the request" in reader.types(*words, held, *why, code=2)
    assert world.state(held) == before


def test_no_request_of_a_reader_changes_anything(world: World, held: str) -> None:
    reader, url = Person(world, "reader-of-urls", "ReaderPolicy"), world.stack.outputs["ApiUrl"]
    before, live = world.state(held), world.table.current()
    for method, path, _ in edit.ROUTES:
        answer = reader.asks(method, url + path.replace("<name>", held)[1:], {"enabled": False})
        assert (answer.status_code, held in answer.text) == (403, False), (method, path)
    assert (world.state(held), world.table.current()) == (before, live)


@pytest.mark.parametrize(
    ("output", "routes"),
    [
        (
            "ReaderUrl",
            [("GET", path) for path in (*read.ROUTES, *read_runs.ROUTES, *read_tasks.ROUTES)],
        ),
        ("ApiUrl", [(method, path) for method, path, _ in edit.ROUTES]),
    ],
)
def test_who_has_neither_policy_learns_nothing(
    world: World, held: str, output: str, routes: Sequence[tuple[str, str]]
) -> None:
    nobody, url = Person(world, f"nobody-{output}", None), world.stack.outputs[output]
    for method, path in routes:
        answer = nobody.asks(method, url + path.replace("<name>", held)[1:])
        assert (answer.status_code, held in answer.text) == (403, False), (method, path)


def test_nobody_can_invoke_a_function_under_another_name(
    world: World, operator: Person, held: str
) -> None:
    """A direct invocation could say anything about who asks."""
    before = world.state(held)
    iam = {"userArn": "arn:aws:iam::000000000000:user/somebody-else"}
    http = {"method": "POST", "path": f"/v1/tasks/{held}/release"}
    forged = {
        "rawPath": http["path"],
        "requestContext": {"requestId": "r-1", "http": http, "authorizer": {"iam": iam}},
    }
    for name in ("api", "reader"):
        with pytest.raises(ClientError, match="AccessDenied"):
            operator.client("lambda").invoke(
                FunctionName=f"{world.stack.name}-{name}", Payload=json.dumps(forged).encode()
            )
    assert world.state(held) == before
