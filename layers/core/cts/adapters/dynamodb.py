"""DynamoDB calls for one table, retried on conflicts with other writes."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.aws_errors import code_of, translated
from cts.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

TRIES = 8
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Maximum wait in seconds before the second try, and before any try."""

Item = dict[str, Any]
T = TypeVar("T")


class DynamoDb:
    """All reads but those by index are consistent."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self.name = name

    def get(self, key: tuple[str, str]) -> Item | None:
        with translated(f"reading {'/'.join(key)}"):
            answer = self._client.get_item(
                TableName=self.name, Key=key_of(key), ConsistentRead=True
            )
        return answer.get("Item")

    def query(self, pk: str, prefix: str, newest: int | None = None) -> list[Item]:
        arguments = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":prefix": {"S": prefix}},
            "ConsistentRead": True,
        }
        return self._pages(arguments, newest, f"reading {pk}")

    def newest_runs(self, limit: int) -> list[Item]:
        arguments = {
            "IndexName": keys.RUNS_BY_START,
            "KeyConditionExpression": "kind = :kind",
            "ExpressionAttributeValues": {":kind": {"S": "RUN"}},
        }
        return self._pages(arguments, limit, "reading the newest runs")

    def _pages(self, arguments: Item, newest: int | None, doing: str) -> list[Item]:
        if newest is not None:
            arguments = {**arguments, "ScanIndexForward": False, "Limit": newest}
        found: list[Item] = []
        with translated(doing):
            while True:
                page = self._client.query(TableName=self.name, **arguments)
                found += page["Items"]
                if "LastEvaluatedKey" not in page or (newest and len(found) >= newest):
                    return found[:newest]
                arguments = {**arguments, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def batch_get(
        self, doing: str, wanted: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], Item]:
        """Those of these items that there are, by key. Not a snapshot: each is read by itself."""
        left = [key_of(key) for key in wanted]
        found: list[Item] = []
        for attempt in range(TRIES):
            if not left:
                return {(each["pk"]["S"], each["sk"]["S"]): each for each in found}
            with translated(doing):
                answer = self._client.batch_get_item(
                    RequestItems={self.name: {"Keys": left, "ConsistentRead": True}}
                )
            found += answer["Responses"][self.name]
            left = answer.get("UnprocessedKeys", {}).get(self.name, {"Keys": []})["Keys"]
            if left:
                _pause(attempt)
        raise Unavailable(f"{doing}: DynamoDB left keys unprocessed")

    def put(
        self,
        item: Item,
        condition: str,
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
    ) -> bool:
        arguments: Item = {
            "TableName": self.name,
            "Item": item,
            "ConditionExpression": condition,
        }
        if values:
            arguments["ExpressionAttributeValues"] = values
        if names:
            arguments["ExpressionAttributeNames"] = names

        def once() -> bool:
            try:
                self._client.put_item(**arguments)
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
            return True

        return _retried(f"writing {named(item)}", once)

    def update(self, doing: str, update: "UpdateTypeDef") -> None:
        _retried(doing, lambda: self._client.update_item(**update))

    def write(self, *writes: "TransactWriteItemTypeDef") -> set[int]:
        """Write all or nothing. Returns the positions of writes whose condition failed."""
        doing = f"writing {len(writes)} items"
        for attempt in range(TRIES):
            codes = self._refused(doing, list(writes))
            if "TransactionConflict" in codes:
                _pause(attempt)
                continue
            if not set(codes) <= {"None", None, "ConditionalCheckFailed"}:
                raise Unavailable(f"{doing}: {codes}")
            return {n for n, code in enumerate(codes) if code == "ConditionalCheckFailed"}
        raise Unavailable(f"{doing}: too many conflicts with other writes")

    def _refused(self, doing: str, writes: "list[TransactWriteItemTypeDef]") -> list[str | None]:
        """Why each write was refused; empty if all were written."""
        with translated(doing):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except self._client.exceptions.TransactionCanceledException as error:
                return [reason.get("Code") for reason in error.response["CancellationReasons"]]
        return []


def _retried(doing: str, call: Callable[[], T]) -> T:
    """Retry a single write that conflicts with a transaction on the same item."""
    for attempt in range(TRIES - 1):
        with translated(doing):
            try:
                return call()
            except ClientError as error:
                if code_of(error) != "TransactionConflictException":
                    raise
        _pause(attempt)
    with translated(doing):
        return call()


def _pause(attempt: int) -> None:
    """Full jitter, so that conflicting writers retry at different times."""
    time.sleep(random.random() * min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))


def key_of(key: tuple[str, str]) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def named(item: Item) -> str:
    return f"{item['pk']['S']}/{item['sk']['S']}"
