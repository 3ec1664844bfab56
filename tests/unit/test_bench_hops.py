"""Where the time of a change goes, as the benchmark reads it from what the stack has recorded."""

from typing import Any

from tests.bench.hops import medians, moments, shares

RUN, TASK = "web-20270115T080000Z-abc", "web"
ROW = f"TASK#{TASK}/RUN#{RUN}"


def at(second: float) -> str:
    return f"2027-01-15T08:00:{second:09.6f}+00:00"


def call(second: float, caller: str, action: str, **which: list[str]) -> dict[str, Any]:
    return {"at": at(second), "caller": caller, "action": action, "keys": [], "writes": []} | which


CALLS = [
    call(1, "Poller", "TransactWriteItems", writes=["STATE/TASK#other"]),
    call(2, "Poller", "TransactWriteItems", writes=["STATE/TASK#web"]),
    call(3.75, "Runner", "BatchGetItem", keys=["STATE/TASK#web", "CONFIG/CURRENT"]),
    call(4, "Runner", "GetObject", keys=["work/definitions/d"]),
    call(4.5, "Runner", "GetObject", keys=["work/views/v/d"]),
    call(5, "Runner", "PutObject", keys=[f"work/runs/{TASK}/{RUN}/archive.zip"]),
    call(6, "Runner", "TransactWriteItems", writes=["STATE/TASK#web", ROW]),
    call(7, "Runner", "InvokeFunction"),
    call(7.5, "Runner", "UpdateItem", writes=[ROW]),
    call(14, "build", "PutObject", keys=[f"work/runs/{TASK}/{RUN}/result.json"]),
    call(15, "build", "PutObject", keys=[f"work/runs/{TASK}/{RUN}/ended/warm-1"]),
    call(16, "Tracker", "TransactWriteItems", writes=[ROW]),
]


def event(second: float, kind: str, detail_type: str, target: str, **detail: str) -> dict[str, Any]:
    told = {"kind": kind, "detail_type": detail_type, "target": target, "detail": detail}
    return {"at": at(second)} | told


EVENTS = [
    event(3, "put", "TaskTriggered", "", task="web"),
    event(3.5, "delivered", "TaskTriggered", "Runner", task="web"),
    event(3.7, "put", "TaskTriggered", "", task="other"),
    event(15.2, "delivered", "Object Created", "Tracker", key="runs/web/web-0/ended/warm-0"),
    event(15.5, "delivered", "Object Created", "Tracker", key=f"runs/web/{RUN}/ended/warm-1"),
]
STEPS = {"started": at(8), "init": at(9), "plan": at(10), "apply": at(12), "ended": at(13)}


def test_each_hop_takes_what_has_passed_since_the_one_before() -> None:
    found = moments(RUN, TASK, STEPS, CALLS, EVENTS)
    took = shares(min(found.values()) - 2, found)
    assert took == {
        "state written": 2,
        "event sent": 1,
        "runner invoked": 0.5,
        "state read": 0.25,
        "views read": 0.75,
        "archive stored": 0.5,
        "claimed": 1,
        "execution started": 1,
        "program began": 1,
        "secrets read": 1,
        "init ended": 1,
        "plan ended": 2,
        "program ended": 1,
        "result stored": 1,
        "execution ended": 1,
        "tracker invoked": 0.5,
        "settled": 0.5,
    }


def test_a_hop_that_one_run_lacks_is_left_out() -> None:
    runs = [{"a": 1.0, "b": 2.0}, {"b": 4.0, "a": 3.0, "c": 1.0}]
    assert list(medians(runs).items()) == [("b", 3.0), ("a", 2.0)]
