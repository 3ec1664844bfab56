"""Each error that docs/openapi.yaml describes, from the deployed stack."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from cts import keys
from tests.e2e.faults import inject
from tests.e2e.people import Person
from tests.e2e.test_rest import new
from tests.e2e.world import task
from tests.openapi import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

GOOD: Mapping[str, tuple[str, Any]] = {
    "GET /v1/health": ("", None),
    "GET /v1/status": ("", None),
    "GET /v1/status/cluster": ("", None),
    "GET /v1/status/tasks": ("", None),
    "GET /v1/status/tasks/{name}": ("", None),
    "GET /v1/runs": ("", None),
    "GET /v1/runs/{run}": ("", None),
    "GET /v1/runs/{run}/log": ("", None),
    "GET /v1/configuration": ("", None),
    "GET /v1/configuration/changes": ("", None),
    "GET /v1/poller": ("", None),
    "GET /v1/overview": ("", None),
    "GET /v1/tasks": ("", None),
    "GET /v1/tasks/{name}": ("", None),
    "POST /v1/tasks": ("?run=now", new("err-new")),
    "PATCH /v1/tasks/{name}": ("?run=now", {"enabled": True}),
    "PUT /v1/tasks/{name}": ("?run=now", new("err-web")),
    "DELETE /v1/tasks/{name}": ("", None),
    "POST /v1/tasks/{name}/hold": ("", {"why": "an error"}),
    "POST /v1/tasks/{name}/release": ("", None),
    "POST /v1/tasks/{name}/run": ("", None),
    "POST /v1/tasks/{name}/retry": ("", None),
    "POST /v1/tasks/{name}/inspect": ("", None),
    "POST /v1/tasks/{name}/upgrade-terraform": ("", {"version": "1.11.4"}),
    "POST /v1/tasks/{name}/move-state": ("", {"to": "stack"}),
}
"""By operation: the query and the body of a request that nothing is wrong with."""
WRONG: Mapping[str, tuple[str, Any]] = {
    "GET /v1/status/tasks": ("?status=good", None),
    "GET /v1/status/tasks/{name}": ("?include=all", None),
    "GET /v1/runs": ("?limit=0", None),
    "POST /v1/tasks": ("", {"task": {"name": "err-new"}}),
    "PATCH /v1/tasks/{name}": ("", {}),
    "PUT /v1/tasks/{name}": ("?dry_run=perhaps", new("err-web")),
    "DELETE /v1/tasks/{name}": ("?destroy=perhaps", None),
    "POST /v1/tasks/{name}/hold": ("", {"why": ""}),
    "POST /v1/tasks/{name}/release": ("", {"by": "ann"}),
    "POST /v1/tasks/{name}/run": ("", {"by": "ann"}),
    "POST /v1/tasks/{name}/retry": ("", {"by": "ann"}),
    "POST /v1/tasks/{name}/inspect": ("", {"by": "ann"}),
    "POST /v1/tasks/{name}/upgrade-terraform": ("", {"version": "newest"}),
    "POST /v1/tasks/{name}/move-state": ("", {"to": "nowhere"}),
}
MISSING = {"condition": {"services": {"names": ["err-web"]}}, "module": "./modules/err-none"}
INVALID: Mapping[str, tuple[str, Any]] = {
    "POST /v1/tasks": ("", {"task": {"name": "err-new", **MISSING}}),
    "PATCH /v1/tasks/{name}": ("", {"module": MISSING["module"]}),
    "PUT /v1/tasks/{name}": ("", {"task": {"name": "err-web", **MISSING}}),
}
WAITS: Mapping[str, tuple[str, Any]] = {
    label: GOOD[label]
    for label in ("POST /v1/tasks", "PATCH /v1/tasks/{name}", "PUT /v1/tasks/{name}")
} | {"DELETE /v1/tasks/{name}": ("?destroy=true", None)}
"""Requests that wait for a run."""


def documented(code: int) -> set[str]:
    """The operations with this answer."""
    return {label for label, each in OPERATIONS.items() if str(code) in each["responses"]}


class Asking:
    """Sends requests about the task `err-web` and its first run."""

    def __init__(self, person: Person, run: str) -> None:
        self.person, self.run = person, run

    def __call__(self, label: str, query: str = "", body: Any = None, name: str = "err-web") -> Any:
        """Status and JSON of the answer."""
        method, path = label.split()
        run = self.run if name == "err-web" else name
        url = self.person.world.stack.outputs["ReaderUrl" if method == "GET" else "ApiUrl"]
        url += path.removeprefix("/").format(name=name, run=run) + query
        answer = self.person.asks(method, url, body)
        return answer.status_code, answer.json()

    def fails(
        self, code: int, requests: Mapping[str, tuple[str, Any]], name: str = "err-web"
    ) -> None:
        for label, (query, body) in requests.items():
            found, answer = self(label, query, body, name)
            assert found == code, (label, answer)
            assert answer["error"]["message"], label


@pytest.fixture(scope="module")
def ask(world: World) -> Asking:
    world.catalog.register("err-1", "err-web", "10.9.2.1", 80)
    world.publish({"err.hcl": task("err-web", "err-web")})
    [run] = world.applied_right("err-web", "err-web")
    return Asking(Person(world, "err-ann", "OperatorPolicy"), run.id)


def test_each_operation_is_tested() -> None:
    labels = {label for code in range(400, 600) for label in documented(code)}
    assert labels <= GOOD.keys()
    assert {code for code in range(400, 600) if documented(code)} == {
        400, 403, 404, 405, 409, 500, 503, 504,
    }  # fmt: skip


def test_a_request_that_is_wrong(ask: Asking) -> None:
    assert WRONG.keys() == documented(400)
    ask.fails(400, WRONG)


def test_what_is_not_there(ask: Asking) -> None:
    runs = {"GET /v1/runs": ("?task=err-none", None)}
    bodies = {"PUT /v1/tasks/{name}": ("", new("err-none"))}
    requests = {label: GOOD[label] for label in documented(404)} | runs | bodies
    ask.fails(404, requests, "err-none")


def test_methods_that_a_path_does_not_have(ask: Asking) -> None:
    assert documented(405) == {"GET /v1/status/cluster"}
    ask.fails(405, {label: GOOD[label] for label in documented(405)})
    others = ("PUT /v1/tasks", "POST /v1/tasks/{name}", "PATCH /v1/tasks/{name}/hold")
    ask.fails(405, dict.fromkeys(others, ("", None)))


def test_who_may_only_read(world: World, ask: Asking) -> None:
    reader = Asking(Person(world, "err-reader", "ReaderPolicy"), ask.run)
    assert documented(403) == {label for label in GOOD if not label.startswith("GET")}
    for label in documented(403):
        assert reader(label, *GOOD[label])[0] == 403, label


def test_a_task_that_is_held(world: World, ask: Asking) -> None:
    """What asks for a run is refused."""
    assert ask("POST /v1/tasks", "", new("err-new"))[0] == 201
    for name in ("err-web", "err-new"):
        assert ask("POST /v1/tasks/{name}/hold", "", {"why": "the test"}, name)[0] == 200
    assert ask("DELETE /v1/tasks/{name}", "", None, "err-new")[0] == 202
    labels = {*WAITS, *(f"POST /v1/tasks/{{name}}/{action}" for action in ("hold", "run", "retry"))}
    ask.fails(409, {**{label: GOOD[label] for label in labels}, **WAITS})
    for name in ("err-web", "err-new"):
        assert ask("POST /v1/tasks/{name}/release", "", None, name)[0] == 200
    assert ask("DELETE /v1/tasks/{name}", "", None, "err-new")[0] == 202


def test_a_task_whose_stored_state_cant_be_read(world: World, ask: Asking) -> None:
    with unreadable(world, "err-web"):
        labels = {label for label in documented(409) if label.count("/") > 3}
        assert labels | {*WAITS} >= documented(409)
        ask.fails(409, {label: GOOD[label] for label in labels})


@contextmanager
def unreadable(world: World, name: str) -> Iterator[None]:
    """Nothing else looks at it meanwhile, as would be reported."""
    world.stop_ticking()
    client, table = world.client("dynamodb"), world.stack.outputs["Table"]
    pk, sk = keys.state(name)
    key = {"pk": {"S": pk}, "sk": {"S": sk}}
    item = client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    client.put_item(TableName=table, Item={**item, "body": {"S": "not JSON"}})
    yield
    client.put_item(TableName=table, Item=item)
    world.start_ticking()


def test_a_configuration_that_would_be_invalid(world: World, ask: Asking) -> None:
    """Of DELETE: if a new version of the program does not accept what is live."""
    assert INVALID.keys() == documented(500) - {"DELETE /v1/tasks/{name}"}
    ask.fails(500, INVALID)


def test_a_push_that_is_not_checked_yet_prevents_no_change(world: World, ask: Asking) -> None:
    """It is rejected first."""
    inject(world, on="delivery", detail_type="Object Created", target="Publisher", do="drop")
    version = world.upload({"err-broken.hcl": "task {"})
    try:
        assert ask("PATCH /v1/tasks/{name}", "", {"description": "changed"})[0] == 200
        assert not world.answer(version).published
        assert ask("GET /v1/tasks/{name}")[1]["task"]["description"] == "changed"
    finally:
        world.stack.clear_faults()
        world.publish({})


def test_aws_fails(world: World, ask: Asking) -> None:
    for caller in ("Reader", "Api"):
        inject(world, caller=caller, do="refuse", times=0)
    try:
        ask.fails(503, {label: GOOD[label] for label in documented(503)})
    finally:
        world.stack.clear_faults()


def test_a_run_that_does_not_end_in_time(world: World, ask: Asking) -> None:
    """With a function that may take less time. The run is still wanted."""
    assert WAITS.keys() == documented(504)
    client, function = world.client("lambda"), f"{world.stack.name}-api"
    client.update_function_configuration(FunctionName=function, Timeout=33)
    inject(world, on="delivery", detail_type="TaskTriggered", target="Runner", do="drop", times=0)
    try:
        ask.fails(504, WAITS)
        assert ask("PATCH /v1/tasks/{name}", "", {"enabled": True})[0] == 200  # it stays
    finally:
        world.stack.clear_faults()
        client.update_function_configuration(FunctionName=function, Timeout=900)
    world.until(lambda: not world.state("err-web").wanted, "the run that was wanted")
    assert ask("DELETE /v1/tasks/{name}", "", None, "err-new")[0] == 202
