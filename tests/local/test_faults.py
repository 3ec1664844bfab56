"""Which calls and deliveries a fault rule hits, and how often."""

from typing import Any

import pytest

from local.faults import BadRule, Call, Delivery, Faults, rule

CLAIM = Call(
    caller="Runner",
    function="cts-runner",
    service="dynamodb",
    action="TransactWriteItems",
    resource="arn:aws:dynamodb:us-east-1:000000000000:table/t",
    keys=("STATE/TASK#web", "SLOTS/SLOTS"),
)
TRIGGERED = Delivery("TaskTriggered", {"task": "web"}, "Runner", "cts-runner")


def fires(values: dict[str, Any], call: Call = CLAIM) -> bool:
    faults = Faults()
    faults.add(rule({"do": "kill", **values}))
    return bool(faults.for_call(call))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"caller": "runner"},
        {"caller": "cts-runner"},
        {"service": "dynamodb", "action": "TransactWriteItems"},
        {"resource": "TASK#web"},
        {"resource": "table/t"},
    ],
)
def test_a_rule_hits_calls_that_have_all_it_names(values: dict[str, Any]) -> None:
    assert fires(values)


@pytest.mark.parametrize(
    "values",
    [{"caller": "Poller"}, {"service": "s3"}, {"action": "PutItem"}, {"resource": "TASK#db"}],
)
def test_a_rule_spares_calls_that_differ_in_anything_it_names(values: dict[str, Any]) -> None:
    assert not fires(values)


def test_a_rule_acts_once_by_itself() -> None:
    faults = Faults()
    faults.add(rule({"do": "kill"}))
    assert [len(faults.for_call(CLAIM)) for _ in range(3)] == [1, 0, 0]


def test_a_rule_acts_from_its_nth_match_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(rule({"do": "kill", "nth": 2, "times": 2}))
    assert [len(faults.for_call(CLAIM)) for _ in range(5)] == [0, 1, 1, 0, 0]


def test_zero_times_means_always() -> None:
    faults = Faults()
    faults.add(rule({"do": "refuse", "times": 0}))
    assert all(faults.for_call(CLAIM) for _ in range(10))


def test_the_listing_tells_how_often_each_rule_matched_and_fired() -> None:
    faults = Faults()
    number = faults.add(rule({"do": "kill", "caller": "Runner"}))
    faults.for_call(CLAIM)
    faults.for_call(CLAIM)
    (listed,) = faults.listing()
    assert (listed["id"], listed["matched"], listed["fired"]) == (number, 2, 1)


def test_cleared_rules_act_no_more() -> None:
    faults = Faults()
    faults.add(rule({"do": "kill", "times": 0}))
    faults.clear()
    assert not faults.for_call(CLAIM)


def test_calls_and_deliveries_have_rules_of_their_own() -> None:
    faults = Faults()
    faults.add(rule({"do": "drop", "times": 0}))
    faults.add(rule({"do": "double", "on": "delivery", "times": 0}))
    assert [r.do for r in faults.for_call(CLAIM).values()] == ["drop"]
    assert [r.do for r in faults.for_delivery(TRIGGERED).values()] == ["double"]


@pytest.mark.parametrize(
    ("values", "hit"),
    [
        ({"detail_type": "TaskTriggered"}, True),
        ({"detail_type": "RunFinished"}, False),
        ({"target": "Runner"}, True),
        ({"target": "Tracker"}, False),
        ({"detail": {"task": "web"}}, True),
        ({"detail": {"task": "db"}}, False),
    ],
)
def test_a_delivery_is_known_by_its_type_its_target_and_its_detail(
    values: dict[str, Any], hit: bool
) -> None:
    faults = Faults()
    faults.add(rule({"do": "drop", "on": "delivery", **values}))
    assert bool(faults.for_delivery(TRIGGERED)) is hit


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "needs `do`"),
        ({"do": "explode"}, "explode"),
        ({"do": "kill", "callr": "Runner"}, "Unknown in a rule: callr"),
        ({"do": "double"}, "double is for deliveries only"),
        ({"do": "kill", "on": "delivery"}, "kill is for calls only; a delivery can be dropped"),
    ],
)
def test_a_rule_that_could_never_act_is_refused_with_a_reason(
    values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadRule, match=complaint):
        rule(values)
