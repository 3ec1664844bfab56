"""The items and objects that a request to AWS refers to. Pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

WRITES = {"Put", "Update", "Delete"}


def json_body(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def keys(service: str, action: str, path: str, body: bytes) -> tuple[str, ...]:
    """All references: DynamoDB items as "pk/sk", S3 objects as "bucket/key", nothing else."""
    if service == "s3":
        return (unquote(path.lstrip("/")),)
    if service == "dynamodb":
        return tuple(key for _, key in _items(action, json_body(body)))
    return ()


def writes(service: str, action: str, body: bytes) -> tuple[str, ...]:
    """The DynamoDB items written, one entry for each write; condition checks write nothing."""
    if service != "dynamodb":
        return ()
    return tuple(key for kind, key in _items(action, json_body(body)) if kind in WRITES)


def leading_keys(body: bytes) -> dict[str, list[str]]:
    """The partition keys in a DynamoDB request, by action: Get, Put, Update, Delete,
    ConditionCheck, Query. IAM checks each item of a transaction separately."""
    request = json_body(body)
    shapes = {
        "TransactItems": "TransactWriteItems",
        "RequestItems": "BatchGetItem",
        "KeyConditionExpression": "Query",
    }
    action = next((name for member, name in shapes.items() if member in request), "PutItem")
    found: dict[str, set[str]] = {}
    for kind, key in _items(action, request):
        found.setdefault(kind, set()).add(key.partition("/")[0])
    return {kind: sorted(keys) for kind, keys in found.items()}


def _items(action: str, request: dict[str, Any]) -> list[tuple[str, str]]:
    match action:
        case "PutItem" | "UpdateItem" | "DeleteItem" | "GetItem":
            return [(action.removesuffix("Item"), _key(request))]
        case "TransactWriteItems" | "TransactGetItems":
            return [
                (kind, _key(part))
                for item in request.get("TransactItems", [])
                for kind, part in item.items()
            ]
        case "BatchWriteItem":
            return [
                (kind.removesuffix("Request"), _key(part))
                for requests in request.get("RequestItems", {}).values()
                for item in requests
                for kind, part in item.items()
            ]
        case "BatchGetItem":
            return [
                ("Get", _key({"Key": key}))
                for table in request.get("RequestItems", {}).values()
                for key in table.get("Keys", [])
            ]
        case "Query":
            values = request.get("ExpressionAttributeValues", {}).values()
            return [("Query", "/".join(_text(value) for value in values))]
    return []


def _key(part: dict[str, Any]) -> str:
    item = part.get("Key") or part.get("Item") or {}
    return "/".join(_text(item[name]) for name in ("pk", "sk") if name in item)


def _text(value: dict[str, Any]) -> str:
    return str(next(iter(value.values()), ""))
