"""The API that changes things: holds, releases, runs and plans, each with who made it."""

from dataclasses import replace

import pytest

from cts.errors import Refused, Unavailable
from cts.events import TaskHeld, TaskReleased
from cts.generation import Generation, Waiting
from cts.run.person import hold
from cts.run.state import Reason, Wish, unreadable_state
from cts.workflow import edit
from cts.workflow.tasks import LONGEST_REASON
from functions.api import app
from tests.fakes import before_next, failing
from tests.unit.api_fakes import ANN, BOB, event, invoke, ports_of, post
from tests.unit.system import System, system

WHY = {"why": "the firewall is replaced"}
ACTIONS = [path.rpartition("/")[2] for path in edit.ACTIONS]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> System:
    made = system()
    made.former_state = "consul-terraform-sync/terraform"
    made.publish()
    made.put(replace(made.table.state("web"), place="consul", path=made.former_state))
    monkeypatch.setattr(app, "ports", lambda: ports_of(made))
    return made


def body_of(action: str) -> object:
    return {"hold": WHY, "move-state": {"to": "stack"}}.get(action)


def do(action: str, task: str = "web", by: str = ANN) -> tuple[int, str]:
    """Status, and the error."""
    code, found = post(f"/v1/tasks/{task}/{action}", body_of(action), by)
    return code, found.get("error", {}).get("message", "")


def gave_up(world: System) -> None:
    world.done("web")
    state = replace(world.table.state("web"), gave_up="failed 5 times", failures=5, failed="t")
    world.put(state)


# ---- hold and release ---------------------------------------------------------------------


def test_a_hold_is_recorded_with_who_made_it_and_told(world: System) -> None:
    code, found = post("/v1/tasks/web/hold", WHY)
    held = {"why": WHY["why"], "by": ANN, "since": "1970-01-01T00:16:40.000Z"}
    assert (code, found) == (200, {"task": "web", "hold": held, "request_id": "r-1"})
    assert [(each.by, each.why) for each in world.bus.of(TaskHeld)] == [(ANN, WHY["why"])]
    assert world.table.state("web").unannounced == ()


def test_the_same_hold_again_is_one_hold(world: System) -> None:
    first = post("/v1/tasks/web/hold", WHY)
    world.clock.now += 5
    assert post("/v1/tasks/web/hold", WHY) == first
    assert len(world.bus.of(TaskHeld)) == 1


def test_who_holds_a_held_task_is_told_who_does(world: System) -> None:
    do("hold")
    assert do("hold", by=BOB) == (
        409,
        f"task 'web' is held already, by {ANN} since 1970-01-01T00:16:40.000Z: {WHY['why']}",
    )


def test_a_released_task_runs_at_once_if_something_is_wanted(world: System) -> None:
    do("hold")
    world.observe("web")
    code, found = post("/v1/tasks/web/release", by=BOB)
    assert (code, found["hold"], world.triggered) == (200, None, ["web"])
    assert [(each.held_by, each.by) for each in world.bus.of(TaskReleased)] == [(ANN, BOB)]


def test_releasing_what_is_not_held_changes_nothing(world: System) -> None:
    before = world.table.state("web")
    assert do("release") == (200, "")
    assert world.table.state("web") == before
    assert world.bus.events == []


# ---- runs ---------------------------------------------------------------------------------


def test_a_task_that_gave_up_is_tried_again(world: System) -> None:
    gave_up(world)
    code, found = post("/v1/tasks/web/retry")
    asked = {"reason": "person", "id": "r-1", "by": ANN, "since": "1970-01-01T00:16:40.000Z"}
    assert (code, found["asked"]) == (202, asked)
    assert world.triggered == ["web"]
    world.start("web")
    run = world.running("web")
    assert (run.by, run.request, run.why) == (ANN, "r-1", ("person",))


def test_a_task_that_waits_for_its_retry_does_not_wait_any_longer(world: System) -> None:
    wanted = {Reason.CHANGE: Wish(0.0, 5000.0, "c", "t")}
    world.put(replace(world.table.state("web"), retry_at=5000.0, failures=1, wanted=wanted))
    assert do("retry") == (202, "")
    assert world.triggered == ["web"]


def test_a_retry_is_asked_for_once(world: System) -> None:
    gave_up(world)
    first = post("/v1/tasks/web/retry")
    assert post("/v1/tasks/web/retry", by=BOB) == first
    world.start("web")
    assert post("/v1/tasks/web/retry") == first


def test_nothing_to_retry(world: System) -> None:
    world.done("web")
    assert do("retry") == (409, "task 'web' has nothing to retry: its last run did not fail")


def test_a_task_in_line_runs_because_a_person_says_so(world: System) -> None:
    world.done("web")
    assert do("run") == (202, "")
    assert world.start("web") == "started"


@pytest.mark.parametrize("action", ["run", "retry"])
def test_a_held_task_is_released_first(world: System, action: str) -> None:
    gave_up(world)
    world.put(hold(world.table.state("web"), "why", BOB, 5.0))
    assert do(action) == (409, "task 'web' is held, so release it first: why")


@pytest.mark.parametrize("action", ["run", "retry"])
def test_a_disabled_task_is_enabled_first(world: System, action: str) -> None:
    world.task("web", enabled=False)
    assert do(action) == (409, "task 'web' is disabled: enable it first")


@pytest.mark.parametrize("enabled", [True, False])
def test_a_plan_of_any_task(world: System, enabled: bool) -> None:
    world.task("web", enabled=enabled)
    do("hold")
    assert do("inspect") == (202, "")
    world.start("web")
    assert world.running("web").why == ("inspect",)


# ---- who may, and what may not be -----------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
class TestAction:
    def test_without_a_signature_nothing_is_changed(self, world: System, action: str) -> None:
        """As when the function is invoked directly."""
        before = world.table.state("web")
        code, message = do(action, by="")
        assert (code, "does not say who makes it" in message) == (403, True)
        assert world.table.state("web") == before

    def test_an_unknown_task(self, world: System, action: str) -> None:
        assert do(action, "db") == (
            404,
            "a task with name 'db' does not exist or has not been initialized yet",
        )
        assert "db" not in world.table.stored_states

    def test_a_name_is_what_its_path_means(self, world: System, action: str) -> None:
        assert "'a b/c'" in do(action, "a%20b%2Fc")[1]

    def test_before_the_first_push(self, world: System, action: str) -> None:
        world.table.live = None
        assert do(action)[0] == 404

    def test_a_task_that_does_not_run_yet(self, world: System, action: str) -> None:
        assert world.table.live is not None
        waiting = {"later": Waiting("d", ("approval",))}
        digest = world.bucket.put_generation(Generation(9, 1, {}, world.tasks, waiting))
        world.table.live = replace(world.table.live, number=9, digest=digest)
        code, message = do(action, "later")
        assert (code, message.endswith(": approval")) == (409, True)

    def test_a_state_that_cannot_be_read(self, world: System, action: str) -> None:
        world.table.stored_states["web"] = unreadable_state("web", "{", 1, "broken")
        code, message = do(action)
        assert (code, message.endswith("its stored state can't be read: broken")) == (409, True)

    def test_somebody_was_faster(self, world: System, action: str) -> None:
        gave_up(world)

        def other() -> None:
            world.put(replace(world.table.state("web"), queued_since=7.0))

        before_next(world.table, "put_state", other)
        assert do(action)[0] in (200, 202)
        assert world.table.state("web").queued_since in (7.0, None)

    def test_what_cannot_be_announced_is_changed_all_the_same(
        self, world: System, action: str
    ) -> None:
        gave_up(world)
        with failing(world.bus, "send", Unavailable("EventBridge")):
            assert do(action)[0] in (200, 202)
        world.sweep()
        assert world.table.state("web").unannounced == ()

    def test_aws_fails(self, world: System, action: str) -> None:
        for error, code in ((Unavailable("later"), 503), (Refused("no"), 500)):
            with failing(world.table, "state", error):
                assert do(action)[0] == code

    def test_another_method(self, world: System, action: str) -> None:
        code, found = invoke(event(f"/v1/tasks/web/{action}", "GET"))
        assert (code, found["request_id"]) == (405, "r-1")
        assert "'POST'" in found["error"]["message"]

    @pytest.mark.parametrize("body", ["[]", "{", '"x"', "[" * 100_000, '{"what": 1}'])
    def test_a_body_that_is_not_understood(self, world: System, action: str, body: str) -> None:
        before = world.table.state("web")
        code, _ = invoke(event(f"/v1/tasks/web/{action}", body=body))
        assert code == 400
        assert world.table.state("web") == before


@pytest.mark.parametrize("why", [None, 1, "", "  ", "x" * (LONGEST_REASON + 1)])
def test_a_hold_has_a_reason(world: System, why: object) -> None:
    assert post("/v1/tasks/web/hold", {"why": why})[0] == 400


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/status", "overallStatus"),
        ("/v1/status/tasks/web", "task status"),
        ("/v1/health", "health"),
    ],
)
def test_what_is_only_read(world: System, path: str, api: str) -> None:
    code, found = invoke(event(path))
    said = f"'POST' in an unsupported method. The {api} API currently supports the method(s): 'GET'"
    assert (code, found["error"]["message"]) == (405, said)
    assert invoke(event(path, "GET"))[0] == 404  # the reader's URL has it


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/runs", "/v1/statusx", "/V1/tasks"])
def test_another_path(world: System, path: str) -> None:
    assert invoke(event(path)) == (
        404,
        {"error": {"message": "404 page not found"}, "request_id": "r-1"},
    )


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("PUT", "/v1/tasks", "POST"),
        ("POST", "/v1/tasks/web", "PATCH, PUT, DELETE"),
        ("DELETE", "/v1/tasks/", "PATCH, PUT, DELETE"),
        ("POST", "/v1/tasks/web/destroy", "PATCH, PUT, DELETE"),
    ],
)
def test_another_method_of_tasks(world: System, method: str, path: str, known: str) -> None:
    code, found = invoke(event(path, method))
    what = f"'{method}' in an unsupported method. The task API currently supports the method(s)"
    assert (code, found["error"]["message"]) == (405, f"{what}: '{known}'")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/tasks/w\u0001/run"), ("DELETE", '/v1/tasks/w"b')]
)
def test_a_name_of_unusual_characters_is_unknown(world: System, method: str, path: str) -> None:
    code, found = invoke(event(path, method))
    assert (code, "does not exist" in found["error"]["message"]) == (404, True)
