"""The table when writes get in each other's way. What it stores is held by `tests/contract`."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from cts.adapters import dynamodb as adapter
from cts.adapters.table import Table
from cts.errors import Unavailable
from cts.run.model import Run, RunStatus
from cts.run.state import TaskState

RUN = Run("web-1-1", "web", RunStatus.PENDING, ("change",), 0, 0, 1, "d", "t", {}, "c", 1)


class Stubbed:
    def __init__(self) -> None:
        client = boto3.client(
            "dynamodb",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.meta.events.register("provide-client-params.dynamodb", self._asked)
        self.asked: list[dict[str, Any]] = []
        """The parameters of all calls."""
        self.stub = Stubber(client)
        self.table = Table(client, "cts", run_days=30)

    def _asked(self, params: dict[str, Any], **_: object) -> None:
        self.asked.append(params)

    def conflicts(self, operation: str) -> None:
        """Another transaction is on an item that the next call writes."""
        if operation == "transact_write_items":
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            self.refuses(operation, "TransactionCanceledException", CancellationReasons=reasons)
        else:
            self.refuses(operation, "TransactionConflictException")

    def refuses(self, operation: str, code: str, **more: Any) -> None:
        self.stub.add_client_error(
            operation, code, "no", http_status_code=400, modeled_fields=more or None
        )

    def takes(self, operation: str) -> None:
        self.stub.add_response(operation, {})


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    made = Stubbed()
    with made.stub:
        yield made


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited before each further try."""
    made: list[float] = []
    monkeypatch.setattr("cts.adapters.dynamodb.time.sleep", made.append)
    return made


WRITES: list[tuple[str, Callable[[Table], object]]] = [
    ("put_item", lambda table: table.put_state(TaskState("web"))),
    ("update_item", lambda table: table.free_slot("web-1-1")),
    ("update_item", lambda table: table.record_build(replace(RUN, build="b"))),
    ("transact_write_items", lambda table: table.settle(TaskState("web"), RUN)),
]
NAMES = ["a-state", "a-slot", "a-build", "a-transaction"]


@pytest.mark.parametrize(("operation", "write"), WRITES, ids=NAMES)
def test_who_gets_in_the_way_of_another_writes_a_moment_later(
    stubbed: Stubbed, waits: list[float], operation: str, write: Callable[[Table], object]
) -> None:
    for _ in range(3):
        stubbed.conflicts(operation)
    stubbed.takes(operation)
    assert write(stubbed.table) in (True, None)
    stubbed.stub.assert_no_pending_responses()
    assert len(waits) == 3


@pytest.mark.parametrize(("operation", "write"), WRITES, ids=NAMES)
def test_who_always_comes_second_is_told_to_try_later(
    stubbed: Stubbed, operation: str, write: Callable[[Table], object]
) -> None:
    for _ in range(adapter.TRIES):
        stubbed.conflicts(operation)
    with pytest.raises(Unavailable):
        write(stubbed.table)


def test_no_two_wait_equally_long(
    stubbed: Stubbed, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    chances = iter((0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0))
    monkeypatch.setattr("cts.adapters.dynamodb.random.random", lambda: next(chances))
    for _ in range(adapter.TRIES - 1):
        stubbed.conflicts("put_item")
    stubbed.takes("put_item")
    assert stubbed.table.put_state(TaskState("web"))
    first, longest = adapter.FIRST_WAIT, adapter.LONGEST_WAIT
    assert waits == [0.0, first, first * 4, first * 8, first * 16, longest, longest]


def test_a_condition_that_does_not_hold_is_no_conflict(
    stubbed: Stubbed, waits: list[float]
) -> None:
    stubbed.refuses("put_item", "ConditionalCheckFailedException")
    assert not stubbed.table.put_state(TaskState("web"))
    assert waits == []


def test_what_else_is_refused_is_not_tried_again(stubbed: Stubbed, waits: list[float]) -> None:
    stubbed.refuses("update_item", "ThrottlingException")
    with pytest.raises(Unavailable) as error:
        stubbed.table.free_slot("web-1-1")
    assert isinstance(error.value.__cause__, ClientError)
    assert waits == []


def test_what_a_newer_release_has_yet_to_tell_of_views_is_left_to_it(stubbed: Stubbed) -> None:
    told = {"type": "ViewFresh", "id": "1/ViewFresh", "views": [], "view_count": 0}
    told |= {"tasks": [], "task_count": 0, "at": "", "newer": 1}
    body = {"views": {}, "count": 0, "unannounced": [{"type": "ViewMoved", "id": "x"}, told]}
    item = {"version": {"N": "3"}, "body": {"S": json.dumps(body)}}
    stubbed.stub.add_response("get_item", {"Item": item})
    assert [event.id for event in stubbed.table.stale_views().unannounced] == ["1/ViewFresh"]


def item(pk: str, sk: str, body: object = None, version: int = 1) -> dict[str, Any]:
    found = {"pk": {"S": pk}, "sk": {"S": sk}, "version": {"N": str(version)}}
    return found | ({"body": {"S": json.dumps(body)}} if body is not None else {})


READS: list[tuple[str, dict[str, Any], Callable[[Table], object]]] = [
    ("get_item", {}, lambda table: table.state("web")),
    ("get_item", {}, lambda table: table.lease()),
    ("query", {"Items": []}, lambda table: table.all_states()),
    ("query", {"Items": []}, lambda table: table.chunks()),
    ("batch_get_item", {"Responses": {"cts": []}}, lambda table: table.states(["web"])),
    ("batch_get_item", {"Responses": {"cts": []}}, lambda table: table.before_claim("web")),
    ("batch_get_item", {"Responses": {"cts": []}}, lambda table: table.rows(["00" * 16])),
    ("batch_get_item", {"Responses": {"cts": []}}, lambda table: table.run_and_state("web", "r")),
]


@pytest.mark.parametrize(
    ("operation", "answer", "read"),
    READS,
    ids=["state", "lease", "states", "views", "some-states", "before-claim", "rows", "run"],
)
def test_what_is_decided_on_is_read_consistently(
    stubbed: Stubbed, operation: str, answer: dict[str, Any], read: Callable[[Table], object]
) -> None:
    stubbed.stub.add_response(operation, answer)
    read(stubbed.table)
    [asked] = stubbed.asked
    assert asked.get("RequestItems", {}).get("cts", asked)["ConsistentRead"] is True


def test_all_pages_are_read(stubbed: Stubbed) -> None:
    first, second = item("WATCH", "VIEWS#00", {}), item("WATCH", "VIEWS#01", {})
    last = {name: first[name] for name in ("pk", "sk")}
    stubbed.stub.add_response("query", {"Items": [first], "LastEvaluatedKey": last})
    stubbed.stub.add_response("query", {"Items": [second]})
    assert sorted(stubbed.table.chunks()) == ["00", "01"]
    assert stubbed.asked[1]["ExclusiveStartKey"] == last


def test_what_a_poller_wrote_in_between_is_not_overwritten(stubbed: Stubbed) -> None:
    view, body = "00" * 16, {"00" * 16: [7, "digest"]}
    found = item("WATCH", "VIEWS#00", body, version=4)
    stubbed.stub.add_response("get_item", {"Item": found})
    stubbed.takes("put_item")
    stubbed.table.drop_row(view, "digest")
    put = stubbed.asked[1]
    assert put["ConditionExpression"] == "version = :version"
    assert put["ExpressionAttributeValues"] == {":version": {"N": "4"}}


def test_a_run_is_kept_for_as_many_days_as_the_stack_says(stubbed: Stubbed) -> None:
    stubbed.takes("transact_write_items")
    stubbed.table.settle(TaskState("web"), RUN)
    put = stubbed.asked[0]["TransactItems"][2]["Put"]["Item"]
    assert put["expires"] == {"N": str(30 * 24 * 3600)}
