"""Each function as it is deployed: with the variables that the template sets for it."""

import asyncio
import importlib.util
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cts.adapters import clients
from cts.errors import NotLookedAfter
from cts.events import RunFinished, TaskHeld, TaskTriggered
from cts.run.model import End, RunStatus
from cts.run.state import Reason, TaskState, unreadable_state
from cts.settings import PollerSettings
from cts.terraform.archive import unzipped
from cts.terraform.place import RunPlace
from cts.wiring import poller
from cts.workflow.counting import count
from cts.workflow.poll import Tally
from cts.workflow.watcher import Beat, LivePorts, PollOutcome
from tests.fake_session import FakeSession, fake_session
from tests.fakes import RUN, FakeSts, build_event
from tests.template.deployed import of_type
from tests.template.written import ROOT
from tests.unit.api_fakes import ports_of
from tests.unit.publisher import World, task
from tests.unit.reader_fakes import World as ReaderWorld
from tests.unit.system import system

FUNCTIONS = of_type("AWS::Lambda::Function")
GIVEN = {
    "AWS::StackName": "mine",
    "Concurrency": "3",
    "ExecutorStorage": "4096",
    "ExecutorTimeout": "900",
    "Mode": "live",
    "RunHistoryDays": "7",
}
"""Of the parameters, those that are more than a name here."""
LASTS = 900.0


def left(seconds: float) -> Any:
    """Lambda's context."""
    return SimpleNamespace(
        **dict.fromkeys(("function_name", "memory_limit_in_mb", "aws_request_id"), "function"),
        invoked_function_arn="arn",
        get_remaining_time_in_millis=lambda: seconds * 1000,
    )


LEFT = left(LASTS)
TICK = {"schedule": "tracker"}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    with fake_session(monkeypatch) as made:
        yield made


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For the variables of a function, which are taken back."""
    with monkeypatch.context() as context:
        yield context


def deployed(name: str, given: pytest.MonkeyPatch, **parameters: str) -> Any:
    """The function's module, imported as Lambda does it."""
    values = {**GIVEN, **parameters}
    for variable, value in FUNCTIONS[name]["Environment"]["Variables"].items():
        given.setenv(variable, text_of(value, values))
    given.setenv("AWS_REGION", "eu-west-1")
    given.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")  # standard output is for metrics only
    path = ROOT / f"functions/{name.lower()}/app.py"
    spec = importlib.util.spec_from_file_location(f"deployed_{name.lower()}", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(value: Any, values: dict[str, str]) -> str:
    """What a variable is set to: a resource's name stands for whatever is named of it."""
    if isinstance(value, str):
        return value
    [target] = value.values()
    name = target if isinstance(target, str) else target[0]
    return values.get(name, name)


def counted(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was counted since this was asked last, as CloudWatch gets it."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / f"events/{name}.json").read_text())
    return event


def expires(session: FakeSession) -> float:
    """Days from its claim on for which the row of a run is kept."""
    [written] = session.of("dynamodb.transact_write_items")
    [row] = [
        each["Put"]["Item"]
        for each in written["TransactItems"]
        if "expires" in each.get("Put", {}).get("Item", {})
    ]
    return (int(row["expires"]["N"]) - RUN.claimed_at) / 86_400


# ---- what they do ---------------------------------------------------------------------------


def test_the_runner_starts_what_is_due(given: pytest.MonkeyPatch) -> None:
    app, world = deployed("Runner", given), system(cap=1)
    given.setattr(app, "ports", lambda: world.start_ports)
    world.task("other")
    for name in ("web", "other"):
        world.observe(name)
    found = []
    for name in ("web", "web", "other"):
        event = sample("runner-task-triggered")
        event["detail"]["task"] = name
        found.append(app.lambda_handler(event, LEFT)["outcome"])
    assert found == ["started", "nothing is due", "no slot is free"]


def test_the_sweep_counts_what_waits_and_else_nothing(
    given: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app, world = deployed("Tracker", given), system(cap=1)
    given.setattr(app, "ports", lambda: world.track_ports)
    app.lambda_handler(TICK, LEFT)
    assert counted(capsys) == []
    world.task("other")
    world.started()
    world.clock.now += 30
    world.observe("other")
    world.start("other")
    world.clock.now += 10
    app.lambda_handler(TICK, LEFT)
    [metrics] = counted(capsys)
    assert (metrics["OldestChangeSeconds"], metrics["TasksQueued"]) == ([40.0], [1.0])
    assert (metrics["service"], metrics["stack"]) == ("tracker", "mine")


def test_the_tracker_takes_in_an_event_and_sweeps_at_each_tick(given: pytest.MonkeyPatch) -> None:
    app, world = deployed("Tracker", given), system()
    given.setattr(app, "ports", lambda: world.track_ports)
    run = world.started()
    world.begins(run)
    world.result(run, "unchanged")
    world.table.held_slots.add("gone-1-1")
    event = build_event(run.task, run.id, run.build or "", "SUCCEEDED")
    done = {"statusCode": 200, "triggered": 0}
    assert app.lambda_handler(event, LEFT) == {**done, "settled": 1}
    assert len(world.bus.of(RunFinished)) == 1
    assert world.table.slots() == {"gone-1-1"}
    assert app.lambda_handler(TICK, LEFT) == {**done, "settled": 0}
    assert world.table.slots() == frozenset()


def test_what_the_tracker_could_not_look_after_is_counted_and_fails_it(
    given: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app, world = deployed("Tracker", given), system()
    given.setattr(app, "ports", lambda: world.track_ports)
    world.table.stored_states["odd"] = unreadable_state("odd", "{", 4, "not JSON")
    world.observe("web")
    with pytest.raises(NotLookedAfter, match="odd"):
        app.lambda_handler(TICK, LEFT)
    assert world.triggered == ["web"]
    [metrics] = counted(capsys)
    assert metrics["NotLookedAfter"] == [1.0]
    assert (metrics["service"], metrics["stack"]) == ("tracker", "mine")


def test_the_publisher_publishes_what_was_pushed(given: pytest.MonkeyPatch) -> None:
    app, world = deployed("Publisher", given), World()
    given.setattr(app, "ports", lambda: world.ports)
    world.push(task("web"))
    event = sample("publisher-object-created")
    assert app.lambda_handler(event, LEFT) == {"outcome": "published"}
    assert world.live == ["web"]


@pytest.mark.parametrize(("mode", "lasts"), [("live", 300), ("live", 1800), ("poll", 900)])
def test_the_poller_does_what_its_mode_says_and_leaves_in_time(
    session: FakeSession,
    given: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    lasts: float,
) -> None:
    app = deployed("Poller", given, Mode=mode)
    given.setattr(time, "time", lambda: 1_000.0)
    ran: list[tuple[str, float]] = []

    def work(name: str) -> Any:
        async def runs(ports: LivePorts) -> PollOutcome:
            ran.append((name, ports.until))
            ports.on_beat(Beat(views=7, stale=2, tally=Tally(triggered=1)))
            [metrics] = counted(capsys)  # at once: it stays for long
            assert (metrics["Views"], metrics["StaleViews"]) == ([7.0], [2.0])
            assert "AwsErrors" not in metrics  # there were none
            assert (metrics["service"], metrics["stack"]) == ("poller", "mine")
            return PollOutcome.LEFT

        return runs

    given.setattr(app.live, "live", work("live"))
    given.setattr(app.once, "once", work("poll"))
    app.lambda_handler({}, left(lasts))
    [(name, until)] = ran
    assert name == mode
    last_call = clients.PATIENCE.read_timeout  # type: ignore[attr-defined]
    assert 1_000 + lasts / 2 < until <= 1_000 + lasts - last_call


# ---- what they are connected to -------------------------------------------------------------


def test_the_publisher_sees_off_a_task_that_is_destroyed(given: pytest.MonkeyPatch) -> None:
    app, made = deployed("Publisher", given), World()
    made.push(task("firewall"))
    made.publish()
    given.setattr(app, "ports", lambda: made.ports)
    asked = {"verb": "destroy", "name": "firewall", "by": "ann", "at": 1.0, "request": "r-1"}
    app.lambda_handler({"change": asked}, LEFT)
    state = made.table.state("firewall")
    assert state.wanted[Reason.DESTROY].by == "ann"
    made.table.put_state(replace(state, wanted={}, destroyed=True))
    app.lambda_handler(sample("publisher-run-finished"), LEFT)
    assert made.live == []


@pytest.mark.parametrize("name", ["Publisher", "Runner", "Tracker"])
def test_what_is_announced_is_counted_where_the_alarms_look(
    session: FakeSession,
    given: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    ports = deployed(name, given).ports()
    count(getattr(ports, "settling", ports).metrics, [("RunsFailed", "Count", 1)])
    [metrics] = counted(capsys)
    assert metrics["RunsFailed"] == [1.0]
    assert (metrics["service"], metrics["stack"]) == ("announced", "mine")


def test_the_api_records_who_signed_the_request(given: pytest.MonkeyPatch) -> None:
    app, world = deployed("Api", given), system()
    given.setattr(app, "ports", lambda: ports_of(world))
    answer = app.lambda_handler(sample("api-hold"), LEFT)
    assert answer["statusCode"] == 200
    [held] = world.bus.of(TaskHeld)
    assert (held.by, held.why) == (
        "arn:aws:iam::111122223333:user/operator",
        "the firewall is replaced",
    )


def test_the_widget_draws_as_the_dashboard_asks(given: pytest.MonkeyPatch) -> None:
    app, world = deployed("Widget", given), ReaderWorld()
    given.setattr(app, "ports", lambda: world.ports)
    assert app.lambda_handler({"describe": True}, LEFT).startswith("## Tasks of cts")
    html = app.lambda_handler(sample("widget-tasks"), LEFT)
    assert 'class="cts dark"' in html
    world.add(TaskState("web"))
    html = app.lambda_handler({"task": "web"}, LEFT)
    assert 'endpoint="Button"' in html
    assert 'class="cts light"' in html


def test_a_button_is_pressed_by_the_dashboard(given: pytest.MonkeyPatch) -> None:
    app, world = deployed("Button", given), system()
    given.setattr(app, "ports", lambda: ports_of(world))
    assert app.lambda_handler(sample("button-run"), LEFT) == (
        "<p>Task web runs as soon as possible.</p>"
    )
    [wish] = world.table.state("web").wanted.values()
    assert wish.by == "the dashboard"
    assert app.lambda_handler({"describe": True}, LEFT)


def test_the_publisher_changes_a_task_for_the_api(given: pytest.MonkeyPatch) -> None:
    app, made = deployed("Publisher", given), World()
    made.push(task("web"))
    made.publish()
    given.setattr(app, "ports", lambda: made.ports)
    answer = app.lambda_handler(sample("publisher-change"), LEFT)
    assert (answer["outcome"], answer["task"]["enabled"]) == ("changed", False)
    assert made.bucket.generation(made.current).tasks["web"].enabled is False


@pytest.mark.parametrize("name", ["Publisher", "Runner", "Tracker", "Api", "Button"])
def test_all_of_them_announce_on_the_stacks_own_bus(
    session: FakeSession, given: pytest.MonkeyPatch, name: str
) -> None:
    ports = deployed(name, given).ports()
    of_all = getattr(ports, "settling", getattr(ports, "asking", ports))
    of_all.bus.send([TaskTriggered("web")])
    [sent] = session.of("events.put_events")
    assert [each["EventBusName"] for each in sent["Entries"]] == ["Bus"]


def test_a_run_is_started_with_what_the_template_names(
    session: FakeSession, given: pytest.MonkeyPatch
) -> None:
    session.answers["codebuild.start_build"] = {"build": {"id": "Project:1"}}
    session.answers["sts.assume_role"] = assumed_role()
    ports = deployed("Runner", given).ports()
    assert ports.cap == 3
    assert ports.place == RunPlace(
        "WorkBucket",
        "StateBucket",
        "eu-west-1",
        "TerraformVersion",
        task_secret_arn="TaskSecret",
        consul_address="ConsulAddress",
        consul_secret_arn="ConsulSecretArn",
        consul_ca_arn="ConsulCaArn",
    )
    assert "execute.py" in unzipped(ports.program)
    ports.settling.sessions.prepare(RUN, b"zip")
    assert ports.drivers["terraform"].start(RUN, b"zip") == "Project:1"
    archive, source = session.of("s3.put_object")
    assert archive["Bucket"] == source["Bucket"] == "WorkBucket"
    [started] = session.of("codebuild.start_build")
    assert started["projectName"] == "Project"
    assert started["sourceLocationOverride"] == f"WorkBucket/{source['Key']}"
    [assumed] = session.of("sts.assume_role")
    assert assumed["RoleArn"] == "TaskRole"
    ports.tasks.claim(TaskState(RUN.task), RUN, ports.cap)
    [claimed] = session.of("dynamodb.transact_write_items")
    assert claimed["TransactItems"][0]["Put"]["TableName"] == "Table"
    assert expires(session) == 7


def test_a_run_is_settled_with_what_the_template_names(
    session: FakeSession, given: pytest.MonkeyPatch
) -> None:
    ports = deployed("Tracker", given).ports()
    assert ports.cap == 3
    ended = replace(RUN, end=End(RunStatus.APPLIED, apply_began=True))
    ports.settling.tasks.settle(TaskState(RUN.task), ended)
    assert expires(session) == 7


def test_credentials_are_renewed_and_deleted_where_the_template_says(
    session: FakeSession, given: pytest.MonkeyPatch
) -> None:
    session.answers["sts.assume_role"] = assumed_role()
    sessions = deployed("Tracker", given).ports().settling.sessions
    sessions.renew(RUN)
    sessions.close(RUN)
    [assumed], [put] = session.of("sts.assume_role"), session.of("s3.put_object")
    [deleted] = session.of("s3.delete_objects")
    assert assumed["RoleArn"] == "TaskRole"
    assert put["Bucket"] == deleted["Bucket"] == "WorkBucket"
    assert {"Key": put["Key"]} in deleted["Delete"]["Objects"]


def assumed_role() -> dict[str, Any]:
    return FakeSts(lambda: 0.0).assume_role(Tags=[{"Key": "run", "Value": RUN.id}])


def test_a_configuration_is_compiled_for_the_stacks_own_consul_and_hcp_terraform(
    session: FakeSession, given: pytest.MonkeyPatch
) -> None:
    ports = deployed("Publisher", given).ports()
    expected = {"CONSUL_HTTP_ADDR": "ConsulAddress", "TFC_HOSTNAME": "HcpAddress"}
    assert ports.environment == expected


@pytest.mark.parametrize("mode", ["live", "poll"])
def test_the_reader_knows_whether_a_poller_stays(
    session: FakeSession, given: pytest.MonkeyPatch, mode: str
) -> None:
    assert deployed("Reader", given, Mode=mode).ports().live is (mode == "live")


def connection(app: Any, session: FakeSession, version: str) -> str:
    session.answers["secretsmanager.get_secret_value"] = {
        "SecretString": '{"token": "t", "CONSUL_HTTP_TOKEN": "t"}',
        "VersionId": version,
    }
    settings = PollerSettings.read(os.environ)
    ports = poller.ports(settings, LASTS, app.count, app.log, app.logger.warning)

    async def found() -> str:
        return await ports.connection()

    return asyncio.run(found())


@pytest.mark.parametrize(
    ("arn", "read"), [("team/consul", "team/consul"), ("", "ConnectionSecret")]
)
def test_the_poller_reads_the_users_secret_else_the_stacks_own(
    session: FakeSession, given: pytest.MonkeyPatch, arn: str, read: str
) -> None:
    app = deployed("Poller", given, ConsulSecretArn=arn, ConsulCaArn="")
    connection(app, session, "1")
    assert session.of("secretsmanager.get_secret_value") == [{"SecretId": read}]


def test_another_token_address_or_consistency_is_another_connection(
    session: FakeSession, given: pytest.MonkeyPatch
) -> None:
    found = [
        connection(deployed("Poller", given, ConsulCaArn="", ConsulAddress=address), session, each)
        for address, each in (("https://a", "1"), ("https://a", "2"), ("https://b", "2"))
    ]
    assert len(set(found)) == 3
    app = deployed("Poller", given, ConsulCaArn="", ConsulAddress="https://a")
    assert connection(app, session, "1") == found[0]
    modes = (
        deployed("Poller", given, ConsulCaArn="", ConsulConsistency=each) for each in ("a", "b")
    )
    assert len({connection(app, session, "1") for app in modes}) == 2
