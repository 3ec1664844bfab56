"""What people see: the metrics in the logs, the alarms on them, and the widget under their roles.

The stack is in mode `poll` and its schedules are fired by hand, so each tick is a minute.
"""

from __future__ import annotations

import json
import runpy
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError

from cts import keys
from local import emf
from local.alarms import MINUTE, Changes, watch
from local.page import served
from local.tools import PROJECT
from tests import chromium
from tests.e2e.conftest import running
from tests.e2e.people import Person
from tests.e2e.test_operator import NEEDS_FLAG
from tests.e2e.world import task
from tests.template.deployed import alarms
from tests.unit.test_widget import Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.records import Mark
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
ALARMS = alarms()
STACK = "cts"
LOGS = ("Poller", "Publisher", "Runner", "Tracker", "Api", "Button")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stack")
    with running(folder, {"Mode": "poll"}, ticking=False, denials=True) as world:
        world.stack.schedules(enabled=False)
        world.catalog.register("db-1", "seen-db", "10.9.0.1", 5432)
        world.publish({"seen.hcl": task("seen-db", "seen-db")})
        minutes = Minutes(world)
        minutes.until(lambda: world.runs("seen-db") != [] and world.runs("seen-db")[-1].ended_at)
        yield world


class Minutes:
    """Ticks of both schedules, each of which stands for a minute, and what was counted in it."""

    def __init__(self, world: World) -> None:
        self.world, self.passed = world, 0
        self.counted: list[tuple[int, emf.Sample]] = []
        self._known = {name: len(self._log(name)) for name in LOGS}

    def _log(self, name: str) -> str:
        return self.world.stack.function_log(name)

    def _passes(self, name: str) -> int:
        """How often a function has come to its end."""
        return self._log(name).count('"REPORT') + self._log(name).count('"message":"left"')

    def tick(self, *, poller: bool = True) -> None:
        """One minute: both functions do their work, and what they count belongs to it."""
        before = self._passes("Poller")
        self.world.stack.fire("Tracker")
        if poller:
            self.world.stack.fire("Poller")
            self.world.until(lambda: self._passes("Poller") > before, "the poller's pass")
        for name in LOGS:
            log = self._log(name)
            new, self._known[name] = log[self._known[name] :], len(log)
            self.counted += [(self.passed, sample) for sample in emf.samples(new)]
        self.passed += 1

    def forget(self) -> None:
        """As many minutes as an alarm on a single incident remembers it."""
        for _ in range(4):
            self.tick()

    def until(self, condition: Callable[[], Any], most: int = 100) -> None:
        for _ in range(most):
            if condition():
                return
            self.tick()
            time.sleep(0.2)  # a build takes a while; the condition is looked at again
        raise AssertionError("it did not come about")

    def alarm(self, name: str) -> Changes:
        """When the alarm of the template was raised and ended, in these minutes."""
        alarm = ALARMS[name]
        wanted = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        wanted = {key: STACK if key == "stack" else value for key, value in wanted.items()}
        series = [
            (minute * MINUTE + 5, sample.value)
            for minute, sample in self.counted
            if (sample.name, sample.dimensions) == (alarm["MetricName"], wanted)
        ]
        return watch(alarm, series, self.passed)


@pytest.fixture
def minutes(world: World) -> Minutes:
    """A quiet quarter of an hour has passed."""
    found = Minutes(world)
    for _ in range(3):
        found.tick()
    for _ in range(12):  # nothing is different in the next ones
        found.counted += [(found.passed, each) for minute, each in found.counted if minute == 2]
        found.passed += 1
    return found


def raised(minutes: Minutes, name: str) -> None:
    found = minutes.alarm(name)
    assert len(found.raised) == 1
    assert found.ended == []


def ended(minutes: Minutes, name: str) -> None:
    found = minutes.alarm(name)
    assert (len(found.raised), len(found.ended)) == (1, 1)


# ---- alarms -------------------------------------------------------------------------------


def test_a_poller_that_does_not_run_raises_an_alarm(minutes: Minutes) -> None:
    for _ in range(8):
        minutes.tick(poller=False)
    raised(minutes, "PollerSilent")
    for _ in range(3):
        minutes.tick()
    ended(minutes, "PollerSilent")


def test_views_that_cannot_be_read_raise_an_alarm(minutes: Minutes) -> None:
    minutes.world.stack.stop_consul()
    for _ in range(8):
        minutes.tick()
    raised(minutes, "ViewsStale")
    minutes.world.stack.start_consul()
    minutes.world.until(lambda: minutes.world.catalog.healthy("seen-db"), "Consul to answer")
    for _ in range(6):
        minutes.tick()
    ended(minutes, "ViewsStale")


def test_a_run_that_fails_raises_an_alarm(minutes: Minutes) -> None:
    world = minutes.world
    files = {"modules/flag/main.tf": NEEDS_FLAG}
    world.publish({**files, "fails.hcl": task("seen-fails", "seen-db", module="./modules/flag")})
    minutes.until(lambda: world.state("seen-fails").gave_up)
    minutes.tick()
    raised(minutes, "RunsFailing")
    minutes.forget()
    ended(minutes, "RunsFailing")


def test_a_rejected_push_raises_an_alarm(minutes: Minutes) -> None:
    world = minutes.world
    answer = world.answer(world.upload({**world.files, "odd.hcl": 'task "x" {'}))
    assert not answer.published
    minutes.tick()
    raised(minutes, "ConfigurationRejected")
    minutes.forget()
    ended(minutes, "ConfigurationRejected")
    world.publish({})


@pytest.mark.parametrize(("function", "sample"), [("Reader", "reader-status"), ("Api", "api-hold")])
def test_an_error_of_what_people_call_raises_an_alarm(
    world: World, function: str, sample: str
) -> None:
    """Lambda counts its errors itself: here the test does, of what Lambda answers."""
    event = (PROJECT / f"events/{sample}.json").read_bytes()
    invoke, name = world.client("lambda").invoke, f"{STACK}-{function.lower()}"
    world.stack.fault(caller=function, do="kill")
    errors = [
        (minute * MINUTE + 5, float("FunctionError" in invoke(FunctionName=name, Payload=event)))
        for minute in range(6)
    ]
    world.stack.clear_faults()
    found = watch(ALARMS[f"{function}Failing"], errors, 6)
    assert (len(found.raised), len(found.ended)) == (1, 1)


def test_a_letter_that_is_dead_raises_an_alarm(world: World) -> None:
    """SQS counts what arrives: here the queue's depth says so."""
    queue = world.client("sqs").get_queue_url(QueueName=letters(world))["QueueUrl"]
    events, bus = world.client("events"), world.stack.outputs["Bus"]
    before = depth(world, queue)
    world.stack.fault(caller="Runner", do="kill", times=0)
    detail = json.dumps({"task": "seen-db", "correlation_id": "c"})
    entry = {"Source": "cts", "DetailType": "TaskTriggered", "Detail": detail, "EventBusName": bus}
    events.put_events(Entries=[entry])
    world.until(lambda: depth(world, queue) > before, "a dead letter")
    world.stack.clear_faults()
    arrived = [(10 * MINUTE, float(depth(world, queue) - before))]
    found = watch(ALARMS["DeadLettersWaiting"], arrived, 120)
    assert (len(found.raised), len(found.ended)) == (1, 1)


def letters(world: World) -> str:
    found = world.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="DeadLetters"
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"]).rpartition("/")[2]


def depth(world: World, queue: str) -> int:
    found = world.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def test_a_change_that_no_build_takes_up_raises_an_alarm(minutes: Minutes) -> None:
    """Builds are in CodeBuild's queue for long. The clock of the test can't be turned, so the alarm
    has a shorter threshold here."""
    world = minutes.world
    world.stack.build_settings(concurrent=0)
    world.catalog.register("db-1", "seen-db", "10.9.0.1", 5433)
    minutes.until(lambda: world.state("seen-db").running)
    for _ in range(3):
        minutes.tick()
    counted = [each.value for _, each in minutes.counted if each.name == "OldestChangeSeconds"]
    assert counted == sorted(counted)
    alarm = {**ALARMS["ChangesWaiting"], "Threshold": counted[-2] - 0.001}
    waits = [
        (minute * MINUTE + 5, each.value)
        for minute, each in minutes.counted
        if each.name == "OldestChangeSeconds"
    ]
    assert len(watch(alarm, waits, minutes.passed).raised) == 1
    world.stack.build_settings(concurrent=20)
    world.applied_right("seen-db", "seen-db")
    before = len(waits)
    for _ in range(4):
        minutes.tick()
    after = [each for _, each in minutes.counted if each.name == "OldestChangeSeconds"]
    assert len(after) <= before + 1
    assert len(watch(alarm, waits, minutes.passed).ended) == 1


# ---- the widget ---------------------------------------------------------------------------


def invoke(person: Person, function: str, event: dict[str, Any]) -> str:
    client = person.client("lambda")
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    body: str = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body


@pytest.fixture(scope="module")
def viewer(world: World) -> Person:
    return Person(world, "viewer", "ReaderPolicy")


@pytest.fixture(scope="module")
def presser(world: World) -> Person:
    return Person(world, "presser", "OperatorPolicy")


def calls(html: str) -> list[tuple[str, dict[str, str]]]:
    """(endpoint, values) of each button."""
    return [
        (str(act["endpoint"]), values)
        for act, values in Parsed(html).actions
        if act["action"] == "call"
    ]


def test_a_viewer_sees_tasks_and_runs_and_presses_nothing(world: World, viewer: Person) -> None:
    widget = f"{STACK}-widget"
    assert invoke(viewer, widget, {"describe": True}).startswith("## Tasks of cts")
    table = Parsed(invoke(viewer, widget, {"widgetContext": {"theme": "dark"}}))
    assert "seen-db" in [line[0] for line in table.lines if line]
    [link] = [values for _, values in table.actions if values == {"task": "seen-db"}]
    html = invoke(viewer, widget, link)
    run = world.runs("seen-db")[-1]
    assert {"run": run.id} in [values for _, values in Parsed(html).actions]
    shown = "".join(Parsed(invoke(viewer, widget, {"run": run.id})).text)
    assert "terraform_data.services" in shown
    assert [values["action"] for _, values in calls(html)] == ["run", "hold", "disable", "inspect"]
    for endpoint, values in calls(html):
        with pytest.raises(ClientError, match="AccessDenied"):
            invoke(viewer, endpoint, values)


def test_an_operators_buttons_do_what_they_say(world: World, presser: Person) -> None:
    html = invoke(presser, f"{STACK}-widget", {"task": "seen-db"})
    pressed = {values["action"]: (endpoint, values) for endpoint, values in calls(html)}
    assert invoke(presser, *pressed["hold"]) == "<p>Task seen-db is held.</p>"
    assert world.state("seen-db").hold == "held on the dashboard"
    html = invoke(presser, f"{STACK}-widget", {"task": "seen-db"})
    [release, _, inspect] = calls(html)
    assert (release[1]["action"], inspect[1]["action"]) == ("release", "inspect")
    assert invoke(presser, *release) == "<p>Task seen-db is released.</p>"
    endpoint, values = pressed["disable"]
    assert invoke(presser, endpoint, values) == "<p>Task seen-db is disabled.</p>"
    html = invoke(presser, f"{STACK}-widget", {"task": "seen-db"})
    [enable] = [each for each in calls(html) if each[1]["action"] == "enable"]
    assert invoke(presser, *enable) == "<p>Task seen-db is enabled.</p>"
    known = {run.id for run in world.runs("seen-db")}
    for press, why in ((inspect, "inspect"), (pressed["run"], "person")):
        invoke(presser, *press)
        Minutes(world).until(partial(has_run, world, known, why))


def has_run(world: World, known: set[str], why: str) -> bool:
    new = [run for run in world.runs("seen-db") if run.id not in known]
    return any(run.ended_at and why in run.why for run in new)


# ---- the page of the local stack ----------------------------------------------------------


def test_the_local_page_draws_the_deployed_dashboard(world: World, tmp_path: Path) -> None:
    with served(world.stack) as address:
        dom = chromium.run(f"{address}?theme=dark", tmp_path, "--dump-dom")
        clicked = {"endpoint": f"{STACK}-widget", "values": {"task": "seen-db"}}
        inside = httpx.post(f"{address}invoke", json=clicked, headers={"Origin": address[:-1]})
        outside = httpx.post(f"{address}invoke", json=clicked, headers={"Origin": "http://evil"})
        other = {"endpoint": f"{STACK}-poller", "values": {}}
        refused = httpx.post(f"{address}invoke", json=other, headers={"Origin": address[:-1]})
    found = Parsed(dom)
    dashboard = world.client("cloudwatch").get_dashboard(DashboardName=STACK)
    titles = [
        each["properties"]["title"] for each in json.loads(dashboard["DashboardBody"])["widgets"]
    ]
    assert [text for text in found.text if text.endswith("?")] == titles
    assert {"task": "seen-db"} in [values for _, values in found.actions]
    assert "views: " in "".join(found.text)
    assert found.tags.count("circle") > 5
    assert f"{STACK}-poller-silent: " in dom
    assert "Run now" in inside.text
    assert (inside.status_code, outside.status_code, refused.status_code) == (200, 403, 400)


# ---- from change to applied ---------------------------------------------------------------

TASKS = [f"clock-{n}" for n in range(10)]


def test_the_time_from_change_to_applied_is_right(world: World) -> None:
    """Fifty runs. The test's own clock says when the change was made, and by when the poller had
    seen it; S3 says, in whole seconds, when a build left its result."""
    world.stack.build_settings(instant=1)
    world.catalog.register("clock-1", "clock", "10.9.1.1", 1)
    world.publish({"clock.hcl": "".join(task(name, "clock") for name in TASKS)})
    minutes = Minutes(world)
    minutes.until(lambda: all(world.state(name).done for name in TASKS))
    for port in range(2, 7):
        minutes.until(lambda: not any(world.state(name).running for name in TASKS))
        minutes, since = Minutes(world), world.mark()
        began = time.time()
        world.catalog.register("clock-1", "clock", "10.9.1.1", port)
        minutes.tick()
        seen = time.time()
        minutes.until(partial(all_finished, world, since))
        minutes.tick()
        told = [each.value for _, each in minutes.counted if each.name == "ChangeToAppliedSeconds"]
        left = [
            result_left(world, run)
            for run in {each["detail"]["run_id"] for each in finished(world, since)}
        ]
        assert len(told) >= len(left) == len(TASKS)  # counted again where its event was sent again
        assert all(min(left) - seen <= each <= max(left) + 1 - began for each in told)
        if len(told) == len(left):
            assert sum(left) - seen * len(left) <= sum(told)
            assert sum(told) <= sum(left) + (1 - began) * len(left)
    world.stack.build_settings(instant=0)


def result_left(world: World, run: str) -> float:
    key = keys.run_object(keys.task_of(run), run, "result.json")
    found = world.client("s3").head_object(Bucket=world.work_bucket, Key=key)
    at: float = found["LastModified"].timestamp()
    return at


def all_finished(world: World, since: Mark) -> bool:
    """An event may come twice."""
    return {each["detail"]["task"] for each in finished(world, since)} == {*TASKS}


def finished(world: World, since: Mark) -> list[dict[str, Any]]:
    return [each for each in world.events("RunFinished", since) if each["detail"]["task"] in TASKS]


def test_the_example_consumer_tells_a_run_from_its_event_alone(world: World) -> None:
    world.catalog.register("db-2", "seen-db", "10.9.0.2", 5432)
    since = world.mark()
    Minutes(world).until(lambda: with_an_instance(world, since))
    event = with_an_instance(world, since)[0]
    report = runpy.run_path(str(PROJECT / "examples/run-report/app.py"))["report"]
    subject, text = report(event["detail"])
    assert subject == "cts: seen-db applied"
    assert "  came: node-db-2/db-2" in text
    assert "  update: module.seen-db.terraform_data.services" in text
    assert "apply " in text


def with_an_instance(world: World, since: Mark) -> list[dict[str, Any]]:
    """The ends of runs that were given a new instance."""
    found = world.events("RunFinished", since, task="seen-db")
    return [each for each in found if each["detail"]["delta"]["came"]]
