"""What people see: the metrics in the logs, the alarms on them, and the widget under their roles.

The stack is in mode `poll` and its schedules are fired by hand, so each tick is a minute.
"""

from __future__ import annotations

import json
import runpy
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError

from cts import keys
from local import emf
from local.alarms import MINUTE, watch
from local.page import served
from local.tools import PROJECT
from local.waiting import wait_until
from tests import chromium
from tests.e2e import insights
from tests.e2e.conftest import running
from tests.e2e.minutes import ALARMS, STACK, Minutes, ended, raised
from tests.e2e.people import Person
from tests.e2e.test_operator import NEEDS_FLAG
from tests.e2e.world import PATIENCE, task
from tests.template.test_alarms import busy
from tests.template.written import TEMPLATE, properties
from tests.unit.test_widget import Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.records import Mark
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
LOCKED = "seen-locked"
"""A task whose state somebody else has locked since before its first run, which waits a minute."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stack")
    with running(folder, {"Mode": "poll"}, ticking=False, denials=True, lane="build") as world:
        world.stack.schedules(enabled=False)
        world.catalog.register("db-1", "seen-db", "10.9.0.1", 5432)
        world.client("s3").put_object(**lock_of(world), Body=json.dumps(LOCK).encode())
        world.publish({"seen.hcl": task("seen-db", "seen-db") + task(LOCKED, "seen-db")})
        minutes = Minutes(world)
        minutes.until(lambda: world.runs(LOCKED), "a run that finds the lock")
        button(world, LOCKED, "hold")  # so that it is no change that waits
        minutes.until(lambda: has_ended(world, "seen-db"), "the first run")
        yield world


LOCK = {
    "ID": "5b8e3a4c-0d0f-4b3e-9d55-0f1f5f3b7f10", "Operation": "OperationTypeApply", "Info": "",
    "Who": "ann@laptop", "Version": "1.11.4", "Created": "2026-11-29T10:00:00Z",
    "Path": "tasks/seen-locked/terraform.tfstate",
}  # fmt: skip


def lock_of(world: World) -> dict[str, str]:
    bucket = world.stack.outputs["StateBucket"]
    return {"Bucket": bucket, "Key": f"tasks/{LOCKED}/terraform.tfstate.tflock"}


def button(world: World, name: str, action: str) -> None:
    payload = json.dumps({"task": name, "action": action}).encode()
    answer = world.client("lambda").invoke(FunctionName=f"{STACK}-button", Payload=payload)
    assert "FunctionError" not in answer


def has_ended(world: World, name: str) -> bool:
    runs = world.runs(name)
    return bool(runs and runs[-1].ended_at)


@pytest.fixture
def minutes(world: World) -> Minutes:
    """A quiet quarter of an hour has passed."""
    found = Minutes(world)
    found.quiet(15)
    return found


@contextmanager
def instant(world: World) -> Iterator[None]:
    """Builds end at once. Afterwards none of them is left."""
    world.stack.build_settings(instant=1)
    try:
        yield
        Minutes(world).until(partial(at_rest, world), "the last of the instant builds")
    finally:
        world.stack.build_settings(instant=0)


def at_rest(world: World) -> bool:
    """No task runs, and the ends of all runs are counted."""
    states = world.table.all_states().values()
    return not any(each.running or each.unannounced for each in states if each.task != LOCKED)


# ---- alarms -------------------------------------------------------------------------------


def test_a_poller_that_does_not_run_raises_an_alarm(minutes: Minutes) -> None:
    minutes.tick(poller=False)
    minutes.go_on(7)
    raised(minutes, "PollerSilent")
    minutes.quiet(3)
    ended(minutes, "PollerSilent")


def test_views_that_cannot_be_read_raise_an_alarm(minutes: Minutes) -> None:
    minutes.world.stack.stop_consul()
    minutes.quiet(8)
    raised(minutes, "ViewsStale")
    minutes.world.stack.start_consul()
    minutes.world.until(lambda: minutes.world.catalog.healthy("seen-db"), "Consul to answer")
    minutes.quiet(6)
    ended(minutes, "ViewsStale")


def test_a_bus_that_takes_nothing_raises_an_alarm(minutes: Minutes) -> None:
    """In two minutes a change in Consul is to be told, and four more are like them. The table takes
    it, so runs begin."""
    world = minutes.world
    with instant(world):
        refused = {"do": "refuse", "code": "InternalServerError", "times": 0}
        world.stack.fault(caller="Poller", action="PutEvents", **refused)
        for port in (7000, 7001):
            world.catalog.register("db-1", "seen-db", "10.9.0.1", port)
            minutes.tick()
        minutes.go_on(4)
        raised(minutes, "AwsErrors")
        world.stack.clear_faults()
        minutes.quiet(6)
        ended(minutes, "AwsErrors")


def test_a_run_that_fails_raises_an_alarm(minutes: Minutes) -> None:
    gives_up(minutes, "seen-fails")
    minutes.tick()
    raised(minutes, "RunsFailing")
    minutes.quiet(4)
    ended(minutes, "RunsFailing")


def gives_up(minutes: Minutes, name: str) -> Path:
    """A task that needs a file which is not there, and has given up. Returns the file."""
    world = minutes.world
    flag = world.stack.devices / name
    files = {f"modules/{name}/main.tf": NEEDS_FLAG.replace("FLAG", str(flag))}
    world.publish({**files, f"{name}.hcl": task(name, "seen-db", module=f"./modules/{name}")})
    minutes.until(lambda: world.state(name).gave_up, f"{name} to give up")
    return flag


def test_a_rejected_push_raises_an_alarm(minutes: Minutes) -> None:
    world = minutes.world
    answer = world.answer(world.upload({**world.files, "odd.hcl": 'task "x" {'}))
    assert not answer.published
    minutes.tick()
    raised(minutes, "ConfigurationRejected")
    minutes.quiet(4)
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
    try:
        world.catalog.register("db-1", "seen-db", "10.9.0.1", 5433)
        minutes.until(lambda: world.state("seen-db").running, "a run of seen-db")
        minutes.tick_on(3)
        waits = [value for _, value in minutes.series("ChangesWaiting")]
        assert waits == sorted(waits)
        alarm = {**ALARMS["ChangesWaiting"], "Threshold": waits[-2] - 0.001}
        found = watch(alarm, minutes.series("ChangesWaiting"), minutes.passed)
        assert (len(found.raised), found.ended) == (1, [])
    finally:
        world.stack.build_settings(concurrent=20)
    world.applied_right("seen-db", "seen-db")
    minutes.quiet(6)
    found = watch(alarm, minutes.series("ChangesWaiting"), minutes.passed)
    assert (len(found.raised), len(found.ended)) == (1, 1)


def test_a_state_that_someone_else_has_locked_raises_an_alarm(world: World) -> None:
    """One run has waited a minute for the lock. How often the next ones would follow is known."""
    world.until(lambda: has_ended(world, LOCKED), "a run that waited for the lock")
    [run] = world.runs(LOCKED)
    assert run.status == "busy"
    assert "locked by ann@laptop" in str(run.end and run.end.error)
    log = world.stack.function_log("Tracker")
    counted = [each.value for each in emf.samples(log) if each.name == "RunsBusy"]
    assert counted
    world.client("s3").delete_object(**lock_of(world))
    for action in ("release", "run"):
        button(world, LOCKED, action)
    # If the release already runs it, another run follows, with nothing left to apply.
    Minutes(world).until(
        lambda: "applied" in {run.status for run in world.runs(LOCKED)}, "the next run"
    )
    series = [(at, counted[0]) for at, _ in busy(120, 0.5)]
    changes = watch(ALARMS["TasksBusy"], series, 240)
    assert (len(changes.raised), len(changes.ended)) == (1, 1)


def test_a_runner_that_is_throttled_raises_an_alarm(minutes: Minutes) -> None:
    """Lambda counts it, and so does the emulator. Each minute the sweep announces what is due."""
    world, functions = minutes.world, minutes.world.client("lambda")
    runner = f"{STACK}-runner"
    counted = [throttles(world)]
    functions.put_function_concurrency(FunctionName=runner, ReservedConcurrentExecutions=0)
    world.catalog.register("db-1", "seen-db", "10.9.0.1", 5434)
    for _ in range(5):
        minutes.tick()
        grown = partial(more_throttles, world, counted[-1])
        counted.append(wait_until(grown, PATIENCE, "a throttled invocation"))
    functions.delete_function_concurrency(FunctionName=runner)
    minutes.until(lambda: world.applied("seen-db") == world.expected("seen-db"), "the change")
    now = throttles(world)
    each_minute = [after - before for before, after in pairwise(counted)]
    series = [(n * MINUTE + 5, float(each)) for n, each in enumerate(each_minute)]
    assert throttles(world) == now
    found = watch(ALARMS["RunnerThrottled"], series, 12)
    assert (len(found.raised), len(found.ended)) == (1, 1)


def throttles(world: World) -> int:
    """How many invocations of the runner Lambda has refused so far."""
    now = datetime.now(UTC)
    found = world.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="Throttles", Statistics=["Sum"], Period=60,
        Dimensions=[{"Name": "FunctionName", "Value": f"{STACK}-runner"}],
        StartTime=now - timedelta(hours=2), EndTime=now + timedelta(minutes=1),
    )  # fmt: skip
    total: float = sum(each["Sum"] for each in found["Datapoints"])
    return round(total)


def more_throttles(world: World, than: int) -> int | None:
    return now if (now := throttles(world)) > than else None


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
    run = [each for each in world.runs("seen-db") if each.status == "applied"][-1]
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
        Minutes(world).until(partial(has_run, world, known, why), f"a run because of {why}")


def has_run(world: World, known: set[str], why: str) -> bool:
    new = [run for run in world.runs("seen-db") if run.id not in known]
    return any(run.ended_at and why in run.why for run in new)


def test_only_an_operator_tries_again_what_failed(
    world: World, viewer: Person, presser: Person
) -> None:
    flag = gives_up(Minutes(world), "seen-flag")
    html = invoke(viewer, f"{STACK}-widget", {"task": "seen-flag"})
    [retry] = [call for call in calls(html) if call[1]["action"] == "retry"]
    with pytest.raises(ClientError, match="AccessDenied"):
        invoke(viewer, *retry)
    assert world.state("seen-flag").gave_up
    flag.parent.mkdir(parents=True, exist_ok=True)
    flag.write_text("here")
    assert invoke(presser, *retry) == "<p>Task seen-flag is tried again.</p>"
    Minutes(world).until(lambda: world.runs("seen-flag")[-1].status.succeeded, "the retry")


# ---- the page of the local stack ----------------------------------------------------------


def test_the_local_page_draws_the_deployed_dashboard(world: World, tmp_path: Path) -> None:
    with served(world.stack) as address:
        dom = chromium.run(f"{address}?theme=dark", tmp_path, "--dump-dom")
        clicked = {"endpoint": f"{STACK}-widget", "values": {"task": "seen-db"}}
        ask = partial(httpx.post, f"{address}invoke", timeout=PATIENCE)
        inside = ask(json=clicked, headers={"Origin": address[:-1]})
        outside = ask(json=clicked, headers={"Origin": "http://evil"})
        other = {"endpoint": f"{STACK}-poller", "values": {}}
        refused = ask(json=other, headers={"Origin": address[:-1]})
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


# ---- the logs -----------------------------------------------------------------------------

QUERIES = properties(TEMPLATE["Resources"], "AWS::Logs::QueryDefinition")
BUILDS = "BuildLogs"


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_reads_fields_that_the_logs_have(world: World, name: str) -> None:
    groups = [each["Ref"] for each in QUERIES[name]["LogGroupNames"]]
    functions = [each.removesuffix("Logs") for each in groups if each != BUILDS]
    found = set().union(*(insights.fields(world.stack.function_log(each)) for each in functions))
    assert insights.named(QUERIES[name]["QueryString"]) <= found


def test_one_change_is_followed_from_consul_to_the_end_of_its_run(world: World) -> None:
    run = world.runs("seen-db")[0]
    query = QUERIES["OneChange"]["QueryString"]
    assert '| filter correlation_id = "ID" or @message like "ID"' in query
    said = {
        (name, json.loads(line)["message"])
        for name in ("Poller", "Runner", "Tracker")
        for line in world.stack.function_log(name).splitlines()
        if run.correlation in line
    }
    assert said == {
        ("Poller", "catalog changed"), ("Runner", "handled trigger"), ("Tracker", "run ended"),
    }  # fmt: skip
    of_build = world.record(run, "log") or b""
    assert any(run.correlation in line for line in of_build.decode().splitlines()[:3])


# ---- from change to applied ---------------------------------------------------------------


@pytest.mark.parametrize(("rounds", "runs"), [(2, 4), pytest.param(5, 10, marks=pytest.mark.soak)])
def test_the_time_from_change_to_applied_is_right(world: World, rounds: int, runs: int) -> None:
    """`runs` in each round. The test's own clock says when the change was made, and by when the
    poller had seen it; S3 says, in whole seconds, when a build left its result."""
    with instant(world):
        world.catalog.register("clock-1", "clock", "10.9.1.1", 1)
        names = [f"clock-{n}" for n in range(runs)]
        world.publish({"clock.hcl": "".join(task(name, "clock") for name in names)})
        Minutes(world).until(partial(all_done, world, names), "the first runs")
        for port in range(2, 2 + rounds):
            Minutes(world).until(partial(at_rest, world), "the former runs to end")
            runs_are_timed_right(world, names, port)


def all_done(world: World, names: list[str]) -> bool:
    return all(world.state(name).done for name in names)


def runs_are_timed_right(world: World, names: list[str], port: int) -> None:
    minutes, since = Minutes(world), world.mark()
    began = time.time()
    world.catalog.register("clock-1", "clock", "10.9.1.1", port)
    minutes.tick()
    seen = time.time()
    minutes.until(partial(all_finished, world, names, since), "the runs to end")
    minutes.tick()
    told = [each.value for _, each in minutes.counted if each.name == "ChangeToAppliedSeconds"]
    left = [
        result_left(world, run)
        for run in {each["detail"]["run_id"] for each in finished(world, names, since)}
    ]
    assert len(told) >= len(left) == len(names)  # counted again where its event was sent again
    assert min(left) - seen <= min(told)
    assert max(told) <= max(left) + 1 - began
    if len(told) == len(left):
        assert sum(left) - seen * len(left) <= sum(told)
        assert sum(told) <= sum(left) + (1 - began) * len(left)


def result_left(world: World, run: str) -> float:
    key = keys.run_object(keys.task_of(run), run, "result.json")
    found = world.client("s3").head_object(Bucket=world.work_bucket, Key=key)
    at: float = found["LastModified"].timestamp()
    return at


def all_finished(world: World, names: list[str], since: Mark) -> bool:
    """An event may come twice."""
    return {each["detail"]["task"] for each in finished(world, names, since)} == {*names}


def finished(world: World, names: list[str], since: Mark) -> list[dict[str, Any]]:
    return [each for each in world.events("RunFinished", since) if each["detail"]["task"] in names]


HOPS = {"waited", "queued", "start", "init", "plan", "apply", "total"}


def test_the_example_consumer_tells_a_run_from_its_event_alone(world: World) -> None:
    world.catalog.register("db-2", "seen-db", "10.9.0.2", 5432)
    since = world.mark()
    Minutes(world).until(lambda: with_an_instance(world, since), "a run with the new instance")
    run = with_an_instance(world, since)[0]["detail"]
    report = runpy.run_path(str(PROJECT / "examples/run-report/app.py"))["report"]
    subject, text = report(run)
    assert subject == "cts: seen-db applied"
    assert "  came: node-db-2/db-2" in text
    assert "  update: module.seen-db.terraform_data.services" in text
    took = run["seconds"]
    assert took.keys() == HOPS
    for hop in HOPS - {"total"}:
        assert f"{hop} {took[hop]:.1f} s" in text
    assert took["waited"] == pytest.approx(between(run, "changed_at", "claimed_at"), abs=0.01)
    assert took["total"] == pytest.approx(between(run, "claimed_at", "ended_at"), abs=0.01)
    assert sum(took.values()) - took["waited"] - took["total"] <= took["total"] + 0.01


def between(run: dict[str, Any], first: str, then: str) -> float:
    """Seconds between two times of an event."""
    times = datetime.fromisoformat(run[first]), datetime.fromisoformat(run[then])
    return (times[1] - times[0]).total_seconds()


def with_an_instance(world: World, since: Mark) -> list[dict[str, Any]]:
    """The ends of runs that were given a new instance."""
    found = world.events("RunFinished", since, task="seen-db")
    return [each for each in found if (each["detail"]["delta"] or {}).get("came")]
