"""Tasks are created, inspected, changed and deleted over HTTP, as with CTS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from cts import keys
from tests.e2e.faults import inject, struck
from tests.e2e.people import Person
from tests.e2e.world import RECORD, RECORD_FILES, task
from tests.openapi import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def new(name: str, **more: object) -> dict[str, Any]:
    condition = {"services": {"names": [name]}}
    off = {"enabled": False}
    made = {"name": name, "module": RECORD, "condition": condition, "buffer_period": off}
    return {"task": {**made, **more}}


@pytest.fixture(scope="module")
def ann(world: World) -> Person:
    """Of the module `record` there is a copy in the bundle, for tasks to use."""
    person = Person(world, "ann", "OperatorPolicy")
    world.catalog.register("rest-0", "rest-pushed", "10.9.0.9", 80)
    world.publish({"rest.hcl": task("rest-pushed", "rest-pushed")})
    world.applied_right("rest-pushed", "rest-pushed")
    return person


def test_a_task_is_inspected_and_then_created_and_applied(world: World, ann: Person) -> None:
    name = "rest-web"
    before = world.mark()
    world.catalog.register("rest-1", name, "10.9.0.1", 80)
    code, found = ann.changes("POST", "/v1/tasks?run=inspect", new(name))
    assert (code, found["run"]["changes_present"]) == (200, True), found
    assert "1 to add, 0 to change, 0 to destroy" in found["run"]["plan"]
    assert name not in ann.reads("/v1/status/tasks")
    code, found = ann.changes("POST", "/v1/tasks?run=now", new(name))
    assert (code, found["task"]["name"]) == (201, name), found
    assert ann.reads(f"/v1/tasks/{name}")["task"] == found["task"]
    assert name in [each["name"] for each in ann.reads("/v1/tasks")["tasks"]]
    assert ann.reads(f"/v1/status/tasks/{name}")[name]["status"] == "successful"
    assert world.applied(name) == world.expected(name)
    # The poller may see the new task first, and trigger a run that nobody has asked for.
    asked = [run for run in world.runs(name) if (run.why, run.by) != (("change",), "")]
    assert {run.by for run in asked} == {ann.arn}
    published = world.events("ConfigPublished", before)
    assert {tuple(each["detail"]["by"]) for each in published} == {(ann.arn,)}


def test_all_tasks_are_read_by_one_query(world: World, ann: Person) -> None:
    """However many there are."""
    names = [f"rest-many-{number}" for number in range(20)]
    world.publish({"many.hcl": "".join(task(name, name, enabled=False) for name in names)})
    for path in ("/v1/status", "/v1/status/tasks", "/v1/status/tasks?include=events", "/v1/tasks"):
        before = world.mark()
        ann.reads(path)
        calls = world.calls(before, caller="Reader")
        states = [call for call in calls if f"{keys.STATE}/" in str(call["keys"])]
        assert len(states) <= 1, (path, states)
        assert 0 < len(calls) < len(names) / 2, (path, calls)
    world.publish({"many.hcl": ""})


def test_a_task_that_was_created_survives_all_but_its_deletion(world: World, ann: Person) -> None:
    """A push, a rollback, and another deployment of the stack."""
    name = "rest-kept"
    world.catalog.register("rest-5", name, "10.9.0.5", 80)
    code, found = ann.changes("POST", "/v1/tasks?run=now", new(name, description="by hand"))
    assert code == 201, found
    world.publish({"rest-other.hcl": task("rest-other", "rest-other")})
    done = world.cts("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rest-other" not in ann.reads("/v1/status/tasks")
    world.stack.redeploy({"BuildMinutes": "50"})
    assert ann.reads(f"/v1/tasks/{name}")["task"]["description"] == "by hand"
    world.catalog.register("rest-6", name, "10.9.0.6", 80)
    assert len(world.applied_right(name, name)) == 2
    assert ann.changes("DELETE", f"/v1/tasks/{name}")[0] == 202
    assert name not in ann.reads("/v1/status/tasks")
    assert ann.changes("DELETE", f"/v1/tasks/{name}")[0] == 404


def test_a_pushed_task_is_disabled_inspected_and_enabled(world: World, ann: Person) -> None:
    path = "/v1/tasks/rest-pushed"
    assert ann.changes("PATCH", path, {"enabled": False}) == (200, {})
    assert ann.reads(path)["task"]["enabled"] is False
    world.catalog.register("rest-2", "rest-pushed", "10.9.0.2", 80)
    world.until(lambda: world.state("rest-pushed").wanted, "the change to be seen")
    code, found = ann.changes("PATCH", f"{path}?run=inspect", {"enabled": True})
    assert (code, found["inspect"]["changes_present"]) == (200, True), found
    assert "10.9.0.2" in found["inspect"]["plan"]
    assert len(world.applied("rest-pushed") or {}) == 1
    assert ann.changes("PATCH", f"{path}?run=now", {"enabled": True}) == (200, {})
    assert len(world.applied("rest-pushed") or {}) == 2


def test_a_run_that_fails_leaves_no_task(world: World, ann: Person) -> None:
    """As in CTS."""
    broken = {"modules/rest-broken/main.tf": BROKEN}
    world.publish(
        {
            **broken,
            "rest-broken.hcl": task(
                "rest-b", "rest-b", enabled=False, module="./modules/rest-broken"
            ),
        }
    )
    world.catalog.register("rest-3", "rest-bad", "10.9.0.3", 80)
    made = new("rest-bad", module="./modules/rest-broken")
    for run, expected in (("inspect", 400), ("now", 500)):
        code, found = ann.changes("POST", f"/v1/tasks?run={run}", made)
        assert code == expected, found
        assert "error tf-plan for 'rest-bad'" in found["error"]["message"]
        assert "there-is-no-such-file" in found["error"]["message"]
    assert "rest-bad" not in ann.reads("/v1/status/tasks")


BROKEN = """
variable "services" {
  type = any
}

resource "terraform_data" "broken" {
  input = file("/there-is-no-such-file")
}
"""


def test_a_task_is_deleted_with_what_it_has_created(world: World, ann: Person) -> None:
    """And created again: it begins with nothing."""
    name = "rest-gone"
    world.catalog.register("rest-7", name, "10.9.0.7", 80)
    path, applied = f"/v1/tasks/{name}?destroy=true", None
    for _ in range(2):
        assert ann.changes("POST", "/v1/tasks?run=now", new(name))[0] == 201
        assert applied in (None, world.applied(name))
        applied = world.applied(name)
        code, found = ann.changes("DELETE", f"{path}&run=inspect")
        assert code == 200, found
        assert "0 to add, 0 to change, 1 to destroy" in found["inspect"]["plan"]
        assert world.applied(name) == applied
        code, found = ann.changes("DELETE", path)
        assert (code, found["run"]["counts"]) == (200, {"add": 0, "change": 0, "destroy": 1}), found
        assert (world.terraform_state(name) or {})["resources"] == []
        assert name not in ann.reads("/v1/status/tasks")
    told = world.events("RunFinished", task=name)[-1]["detail"]
    assert (told["why"], told["by"], told["status"]) == (["destroy"], ann.arn, "applied")


def test_a_build_that_is_killed_while_it_destroys_is_made_up_for(world: World, ann: Person) -> None:
    """Nobody waits for it: its end deletes the task."""
    name = "rest-killed"
    world.catalog.register("rest-8", name, "10.9.0.8", 80)
    world.publish({"rest-killed.hcl": task(name, name, lane="build")})
    world.applied_right(name, name)
    where = {"action": "PutObject", "resource": "/applying", "nth": 1}
    kill = inject(world, caller="build", phase="after", do="kill", status="FAULT", **where)
    code, found = ann.changes("DELETE", f"/v1/tasks/{name}?destroy=true", prefer="respond-async")
    assert (code, found["asked"]["reason"]) == (202, "destroy"), found
    struck(world, kill)
    assert ann.reads(f"/v1/status/tasks/{name}")[name]["leaving"] is True
    world.until(lambda: name not in ann.reads("/v1/status/tasks"), "the task to be gone")
    runs = [run for run in world.runs(name) if run.why == ("destroy",)]
    assert [run.status.value for run in runs] == ["errored", "applied"]
    assert (world.terraform_state(name) or {})["resources"] == []


def test_what_cant_be_destroyed_keeps_its_task_and_who_wants_it_keeps_it(
    world: World, ann: Person
) -> None:
    name = "rest-in-use"
    world.catalog.register("rest-9", name, "10.9.0.9", 80)
    module = {"modules/rest-in-use/main.tf": IN_USE}
    world.publish({**module, "rest-in-use.hcl": task(name, name, module="./modules/rest-in-use")})
    world.applied_right(name, name)
    code, found = ann.changes("DELETE", f"/v1/tasks/{name}?destroy=true")
    assert (code, "it is in use" in found["error"]["message"]) == (500, True), found
    status = ann.reads(f"/v1/status/tasks/{name}")[name]
    assert (status["leaving"], status["enabled"], status["status"]) == (True, False, "errored")
    assert ann.changes("PATCH", f"/v1/tasks/{name}", {"enabled": True}) == (200, {})
    world.applied_right(name, name)
    assert ann.reads(f"/v1/status/tasks/{name}")[name]["leaving"] is False


IN_USE = (
    RECORD_FILES["modules/record/main.tf"]
    + """
resource "terraform_data" "used" {
  provisioner "local-exec" {
    when    = destroy
    command = "echo it is in use >&2; exit 1"
  }
}
"""
)


def test_who_does_not_wait_finds_the_run_later(world: World, ann: Person) -> None:
    name = "rest-async"
    world.catalog.register("rest-4", name, "10.9.0.4", 80)
    code, found = ann.changes("POST", "/v1/tasks?run=now", new(name), prefer="respond-async")
    assert code == 202, found
    runs = world.applied_right(name, name)
    assert found["asked"]["id"] in {run.request for run in runs}


def test_who_may_not_change_tasks_gets_403_and_learns_nothing(world: World, ann: Person) -> None:
    """A reader reads, and changes nothing. Who has no policy does neither."""
    reader, nobody = Person(world, "rest-reader", "ReaderPolicy"), Person(world, "rest-no", None)
    before, run = reader.reads("/v1/tasks")["tasks"], world.runs("rest-pushed")[-1].id
    assert before == ann.reads("/v1/tasks")["tasks"]
    for method, path in map(str.split, OPERATIONS):
        url = world.stack.outputs["ReaderUrl" if method == "GET" else "ApiUrl"]
        url += path.removeprefix("/").format(name="rest-pushed", run=run)
        for person in (nobody,) if method == "GET" else (reader, nobody):
            answer = person.asks(method, url, None if method == "GET" else new("rest-pushed"))
            assert (answer.status_code, "rest-pushed" in answer.text) == (403, False), (method, url)
    assert reader.reads("/v1/tasks")["tasks"] == before


@pytest.mark.parametrize(
    "minutes", [pytest.param(0, id="sample"), pytest.param(10, marks=pytest.mark.soak)]
)
def test_random_requests_are_answered_as_documented(
    world: World,
    ann: Person,
    minutes: int,
    record_property: Callable[[str, object], None],
) -> None:
    from tests.e2e.random_requests import NAMES, RandomRequests  # imports much

    tasks = [task(name, name, enabled=False) for name in NAMES]
    world.publish({"rest-random.hcl": "".join(tasks)})
    requests, until = RandomRequests(ann, waits=bool(minutes)), time.monotonic() + 60 * minutes
    requests.to_each_operation(2)
    while time.monotonic() < until:
        for name in NAMES:
            assert ann.changes("POST", "/v1/tasks", new(name))[0] in (201, 400)
        requests.to_each_operation(10, until)
    for name in NAMES:
        assert ann.changes("DELETE", f"/v1/tasks/{name}")[0] in (202, 404)
    assert {operation for operation, _ in requests.answers} == {*OPERATIONS}
    if minutes:
        record_property("answers", requests.told)
