"""Events reach the function that waits for them: the rules match what is sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from cts.adapters.codebuild import ENDED
from tests.template.deployed import of_type
from tests.template.written import ROOT

RULES = of_type("AWS::Events::Rule")
SAMPLES = {
    path: event
    for path in sorted((ROOT / "events").glob("*.json"))
    if "detail-type" in (event := json.loads(path.read_text()))
}


def matches(pattern: Any, event: Any) -> bool:
    """As EventBridge matches. What names a resource is its own, whatever its name is."""
    if isinstance(pattern, dict):
        return all(key in event and matches(each, event[key]) for key, each in pattern.items())
    values = event if isinstance(event, list) else [event]
    return any(fits(each, value) for each in pattern for value in values)


def fits(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == value)
    [(how, what)] = wanted.items()
    if how == "prefix":
        return isinstance(what, dict) or str(value).startswith(what)
    return bool(value != what) if how == "anything-but" else how == "Ref"


def reached(event: dict[str, Any]) -> list[str]:
    """The functions that an event invokes."""
    return [
        target["Arn"]["Fn::GetAtt"][0]
        for rule in RULES.values()
        if matches(rule["EventPattern"], event)
        for target in rule["Targets"]
    ]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_an_event_reaches_the_function_that_its_sample_is_named_after(path: Path) -> None:
    assert reached(SAMPLES[path]) == [path.stem.partition("-")[0].capitalize()]


@pytest.mark.parametrize("name", RULES)
def test_our_events_are_waited_for_on_our_bus_and_those_of_aws_where_aws_sends_them(
    name: str,
) -> None:
    """What Lambda tells of our invocations, it tells where we want."""
    ours = RULES[name]["EventPattern"]["source"] in (["cts"], ["lambda"])
    assert RULES[name].get("EventBusName") == ({"Ref": "Bus"} if ours else None)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_every_end_of_a_build_reaches_the_tracker(status: str) -> None:
    event = json.loads((ROOT / "events/tracker-build-state-change.json").read_text())
    event["detail"]["build-status"] = status
    assert reached(event) == ["Tracker"]
    event["detail"]["build-status"] = "IN_PROGRESS"
    assert reached(event) == []


@pytest.mark.parametrize(
    ("key", "told"), [("config/bundle.zip", ["Publisher"]), ("runs/web/run-1/log", [])]
)
def test_only_a_push_reaches_the_publisher(key: str, told: list[str]) -> None:
    event = json.loads((ROOT / "events/publisher-object-created.json").read_text())
    event["detail"]["object"]["key"] = key
    assert reached(event) == told


@pytest.mark.parametrize(
    ("why", "status", "told"),
    [
        (["destroy"], "planned_and_finished", ["Publisher"]),
        (["destroy"], "errored", []),
        (["inspect_destroy"], "planned", []),
        (["change", "person"], "applied", []),
    ],
)
def test_the_publisher_hears_when_all_is_destroyed(
    why: list[str], status: str, told: list[str]
) -> None:
    event = json.loads((ROOT / "events/publisher-run-finished.json").read_text())
    event["detail"] |= {"why": why, "status": status}
    assert reached(event) == told
