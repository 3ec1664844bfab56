"""The event catalogue: code, schemas, documents and the example consumer agree."""

import json
import re
import runpy
from dataclasses import fields, replace
from typing import Any, get_args

import boto3
import pytest
from botocore.stub import Stubber

from cts import events
from cts.run.model import Change, End, RunStatus
from cts.workflow.delta_record import OBJECT
from cts.workflow.run_events import MOST_CHANGES_BYTES, run_finished
from tests import schemas
from tests.fakes import RUN
from tests.unit.documents import ROOT, section
from tests.unit.system import System, system

EVENTS: tuple[Any, ...] = get_args(events.Event)
RELEASED = json.loads((ROOT / "tests/unit/released/events.json").read_text())
EXAMPLE = runpy.run_path(str(ROOT / "examples/run-report/app.py"))
REPORT = EXAMPLE["report"]


def schema(detail_type: str) -> Any:
    return schemas.validator(detail_type).schema


def test_each_event_has_a_schema_and_each_schema_an_event() -> None:
    assert {path.stem for path in schemas.SCHEMAS.glob("*.json")} == {
        event.detail_type for event in EVENTS
    }


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.detail_type)
def test_a_schema_describes_exactly_the_fields_that_are_sent(event: Any) -> None:
    found = schema(event.detail_type)
    names = [field.name for field in fields(event)]
    assert [*found["properties"]] == names
    assert found["required"] == names
    assert all(each.get("description") for each in found["properties"].values())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.detail_type)
def test_the_documented_example_matches_the_schema(event: Any) -> None:
    described = section("docs/events.md", event.detail_type)
    [example] = re.findall(r"```json\n(.*?)```", described, re.DOTALL)
    schemas.check(event.detail_type, json.loads(example))


@pytest.mark.parametrize("detail_type", RELEASED)
def test_what_was_released_keeps_its_fields_types_and_values(detail_type: str) -> None:
    """The versioning rule of docs/events.md."""
    now = schema(detail_type)["properties"]
    for name, released in RELEASED[detail_type].items():
        assert now[name]["type"] == released["type"]
        assert set(released.get("enum", ())) <= set(now[name].get("enum", ()))


def test_what_does_not_match_its_schema_is_found() -> None:
    with pytest.raises(AssertionError, match=r"\$\.task: 7 is not of type 'string'"):
        schemas.check("TaskTriggered", {"task": 7, "correlation_id": ""})


# ---- RunFinished alone tells everything ---------------------------------------------------


@pytest.fixture
def world() -> System:
    return system()


def finished(world: System, **result: Any) -> events.RunFinished:
    run = world.started()
    world.begins(run)
    world.result(run, "applied", **result)
    world.clock.now += 20
    world.ends(run)
    return world.bus.of(events.RunFinished)[-1]


def test_a_consumer_knows_what_changed_and_how_long_it_took(world: System) -> None:
    changes = [{"action": "create", "address": 'thing.it["web-1"]'}]
    told = finished(world, changes=changes, counts={"add": 1, "change": 0, "destroy": 0})
    assert told.delta is not None
    assert (told.delta["former"], told.delta["came"]) == ("", 1)
    assert told.changes == changes
    assert told.seconds["total"] == 20
    subject, text = REPORT(json.loads(events.entry(told, "bus")["Detail"]))
    assert subject == "cts: web applied"
    lines = text.splitlines()
    assert "In Consul: 1 came, 0 left, 0 changed" in lines
    assert "In the infrastructure: 1 to add, 0 to change, 0 to destroy" in lines
    assert '  create: thing.it["web-1"]' in lines


@pytest.mark.parametrize(
    "written",
    [None, b"", b"{", b"[" * 100_000, b"7", b'{"former": 1}', b'{"former": "", "first": []}'],
)
def test_a_delta_that_a_module_has_overwritten_is_not_sent(
    world: System, written: bytes | None
) -> None:
    run = world.started()
    if written is None:
        world.bucket.objects.pop(f"runs/web/{run.id}/{OBJECT}")
    else:
        world.bucket.write(f"runs/web/{run.id}/{OBJECT}", written)
    world.begins(run)
    world.result(run, "applied")
    world.ends(run)
    [told] = world.bus.of(events.RunFinished)
    assert told.delta is None
    assert "what changed was not recorded" in REPORT(vars_of(told))[1]


def test_the_example_sends_its_report_to_its_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:reports"
    sns = boto3.client(
        "sns", region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="key"
    )
    monkeypatch.setenv("TOPIC", topic)
    monkeypatch.setattr(boto3, "client", lambda _service: sns)
    run = replace(RUN, status=RunStatus.UNCHANGED, ended_at=1_060.0)
    detail = vars_of(run_finished(f"{run.id}/RunFinished", run, None))
    subject, text = REPORT(detail)
    sent = {"TopicArn": topic, "Subject": subject, "Message": text}
    with Stubber(sns) as stubbed:
        stubbed.add_response("publish", {"MessageId": "1"}, sent)
        EXAMPLE["lambda_handler"]({"detail": detail}, None)
        stubbed.assert_no_pending_responses()


def vars_of(event: events.RunFinished) -> Any:
    return json.loads(events.entry(event, "bus")["Detail"])


def test_an_event_stays_within_what_eventbridge_takes() -> None:
    """32 KB is our own limit; EventBridge takes 256 KB."""
    wide = tuple(Change("create", "\U0001f600" * 200) for _ in range(50))
    end = End(RunStatus.APPLIED, apply_began=True, error="x" * 4_200, changes=wide)
    run = replace(RUN, status=RunStatus.APPLIED, end=end, ended_at=1_060.0)
    told = run_finished(f"{run.id}/RunFinished", run, None)
    assert 0 < len(told.changes) < 50
    assert len(json.dumps(told.changes)) <= MOST_CHANGES_BYTES + 100
    assert len(events.entry(told, "bus")["Detail"]) < 32_000
