"""What is recorded of a request: the items and objects it names, and those it writes."""

import json
from typing import Any

import pytest

from local import calls


def item(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}, "n": {"N": "1"}}


def encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("action", "request_", "keys", "writes"),
    [
        ("PutItem", {"Item": item("WATCH", "LEASE")}, ("WATCH/LEASE",), ("WATCH/LEASE",)),
        ("UpdateItem", {"Key": item("A", "B")}, ("A/B",), ("A/B",)),
        ("DeleteItem", {"Key": item("A", "B")}, ("A/B",), ("A/B",)),
        ("GetItem", {"Key": item("A", "B")}, ("A/B",), ()),
        (
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"ConditionCheck": {"Key": item("WATCH", "LEASE")}},
                    {"Put": {"Item": item("STATE", "TASK#web")}},
                    {"Update": {"Key": item("SLOTS", "SLOTS")}},
                ]
            },
            ("WATCH/LEASE", "STATE/TASK#web", "SLOTS/SLOTS"),
            ("STATE/TASK#web", "SLOTS/SLOTS"),
        ),
        (
            "BatchWriteItem",
            {"RequestItems": {"t": [{"PutRequest": {"Item": item("A", "1")}},
                                    {"DeleteRequest": {"Key": item("A", "2")}}]}},
            ("A/1", "A/2"),
            ("A/1", "A/2"),
        ),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [item("A", "1")]}}}, ("A/1",), ()),
        ("Query", {"ExpressionAttributeValues": {":p": {"S": "STATE"}}}, ("STATE",), ()),
        ("DescribeTable", {"TableName": "t"}, (), ()),
    ],
)  # fmt: skip
def test_items_named_and_written_by_a_table_request(
    action: str, request_: dict[str, Any], keys: tuple[str, ...], writes: tuple[str, ...]
) -> None:
    assert calls.keys("dynamodb", action, "/", encoded(request_)) == keys
    assert calls.writes("dynamodb", action, encoded(request_)) == writes


def test_an_object_is_named_with_its_bucket() -> None:
    assert calls.keys("s3", "PutObject", "/bucket/runs/a%20b/log", b"x") == ("bucket/runs/a b/log",)


def test_a_body_that_is_no_json_names_nothing() -> None:
    assert calls.keys("dynamodb", "PutItem", "/", b"\x00") == ("",)
    assert calls.keys("events", "PutEvents", "/", b"\x00") == ()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"Key": {"pk": {"S": "CONFIG"}, "sk": {"S": "CURRENT"}}}, {"Put": ["CONFIG"]}),
        (
            {"Item": {"pk": {"S": "STATE"}, "sk": {"S": "TASK#a"}, "n": {"N": "1"}}},
            {"Put": ["STATE"]},
        ),
        (
            {
                "TransactItems": [
                    {"ConditionCheck": {"Key": {"pk": {"S": "WATCH"}, "sk": {"S": "LEASE"}}}},
                    {"Put": {"Item": {"pk": {"S": "STATE"}, "sk": {"S": "TASK#a"}}}},
                ]
            },
            {"ConditionCheck": ["WATCH"], "Put": ["STATE"]},
        ),
        (
            {"RequestItems": {"t": {"Keys": [{"pk": {"S": "STATE"}, "sk": {"S": "TASK#a"}}]}}},
            {"Get": ["STATE"]},
        ),
        (
            {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {":pk": {"S": "WATCH"}, ":prefix": {"S": "VIEWS#"}},
            },
            {"Query": ["WATCH"]},
        ),
    ],
    ids=["get", "put", "transaction", "batch", "query"],
)
def test_the_leading_keys_are_told_by_what_is_done_there(
    request_: dict[str, object], expected: dict[str, list[str]]
) -> None:
    assert calls.leading_keys(json.dumps(request_).encode()) == expected
