"""The table: lease, view rows, task states, claims, runs, what is published.

Every write is conditional on what was read, so that any function may be killed at any line and
any of them may run twice.
"""

import json
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.aws_errors import code_of, translated
from cts.errors import Unavailable, Unreadable
from cts.events import ViewFresh, ViewStale
from cts.generation import Current, Rejected
from cts.run.model import Run
from cts.run.task import TaskState, state_from, unreadable_state
from cts.stored import dump, load, parted
from cts.watch.lease import Commit, Lease
from cts.watch.stale import Stale, StaleViews
from cts.watch.view import Chunk, Row, chunk_of

UNCHANGED = "version = :version"  # nobody decided in between
NOT_THERE = "attribute_not_exists(pk)"  # nobody was first
STILL_OUR_WATCH = "epoch = :epoch"  # a deposed poller writes nothing
A_SLOT_IS_FREE = "attribute_not_exists(runs) OR size(runs) < :cap"
TRIES = 8
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Seconds to wait at most before the second try, and before any."""
BATCH = 100
"""Keys of one BatchGetItem call."""

Item = dict[str, Any]
T = TypeVar("T")


class Table:
    """`client` is a low-level DynamoDB client."""

    def __init__(self, client: Any, name: str, *, run_days: int = 90) -> None:
        self._client = client
        self._name = name
        self._run_days = run_days

    # ---- lease ----------------------------------------------------------------------------

    def lease(self) -> Lease | None:
        item = self._get(keys.LEASE)
        return _body(Lease, item) if item else None

    def take(self, read: Lease | None, new: Lease) -> bool:
        if read is None:
            return self._put(_lease_item(new), NOT_THERE)
        return self._put(_lease_item(new), STILL_OUR_WATCH, {":epoch": {"N": str(read.epoch)}})

    def beat(self, lease: Lease) -> bool:
        return self._put(_lease_item(lease), STILL_OUR_WATCH, {":epoch": {"N": str(lease.epoch)}})

    # ---- views ----------------------------------------------------------------------------

    def chunks(self) -> Mapping[str, Chunk]:
        items = self._query(keys.WATCH, "VIEWS#")
        return {chunk.name: chunk for chunk in map(_chunk, items)}

    def drop_row(self, view: str, digest: str) -> None:
        """Take a view's row out of its chunk, if it still has this digest: its snapshot is gone,
        so it was not read."""
        item = self._get(keys.chunk(chunk_of(view)))
        if item is None:
            return
        chunk = _chunk(item)
        if view not in chunk.rows or chunk.rows[view].digest != digest:
            return
        rows = {each: row for each, row in chunk.rows.items() if each != view}
        put = self._put_chunk(replace(chunk, rows=rows))["Put"]
        self._put(put["Item"], put["ConditionExpression"], put["ExpressionAttributeValues"])

    def commit(
        self, epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]
    ) -> Commit:
        return self._fenced(
            epoch,
            *(self._put_state(state) for state in states),
            *(self._put_chunk(chunk) for chunk in chunks),
        )

    def stale_views(self) -> StaleViews:
        item = self._get(keys.STALE)
        return _stale_views(item) if item else StaleViews()

    def put_stale_views(self, epoch: int, stale: StaleViews) -> Commit:
        """Write the record, if the epoch stands and it has the version given here."""
        return self._fenced(epoch, self._put_stale(stale))

    def _fenced(self, epoch: int, *writes: Item) -> Commit:
        check = {
            "ConditionCheck": {
                "TableName": self._name,
                "Key": _key(keys.LEASE),
                "ConditionExpression": STILL_OUR_WATCH,
                "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}},
            }
        }
        refused = self._write(check, *writes)
        if 0 in refused:
            return Commit.DEPOSED
        return Commit.STALE if refused else Commit.DONE

    # ---- task states ----------------------------------------------------------------------

    def state(self, task: str) -> TaskState:
        item = self._get(keys.state(task))
        return _state(item) if item else TaskState(task)

    def states(self, tasks: Collection[str]) -> Mapping[str, TaskState]:
        """The states of these tasks, consistently read. A task without an item is new."""
        if len(tasks) > BATCH:
            everything = self.all_states()
            return {task: everything.get(task, TaskState(task)) for task in tasks}
        found = self._batch_get([keys.state(task) for task in tasks])
        states = {state.task: state for state in map(_state, found)}
        return {task: states.get(task, TaskState(task)) for task in tasks}

    def all_states(self) -> dict[str, TaskState]:
        return {state.task: state for state in map(_state, self._query(keys.STATE, "TASK#"))}

    def put_state(self, state: TaskState) -> bool:
        """False if somebody wrote it in between."""
        put = self._put_state(state)["Put"]
        return self._put(
            put["Item"], put["ConditionExpression"], put.get("ExpressionAttributeValues")
        )

    # ---- runs -----------------------------------------------------------------------------

    def claim(self, state: TaskState, run: Run, cap: int) -> str | None:
        """Write the claimed state, the run's row and its slot, if the generation is still
        CURRENT. Returns None if written, else what was refused: state, slot or generation."""
        refused = self._write(
            self._put_state(state),
            {
                "Update": {
                    "TableName": self._name,
                    "Key": _key(keys.SLOTS),
                    "UpdateExpression": "ADD runs :run",
                    "ConditionExpression": A_SLOT_IS_FREE,
                    "ExpressionAttributeValues": {
                        ":run": {"SS": [run.id]},
                        ":cap": {"N": str(cap)},
                    },
                }
            },
            {
                "ConditionCheck": {
                    "TableName": self._name,
                    "Key": _key(keys.CURRENT),
                    "ConditionExpression": "#number = :number",
                    "ExpressionAttributeNames": {"#number": "number"},
                    "ExpressionAttributeValues": {":number": {"N": str(run.generation)}},
                }
            },
            {"Put": {"TableName": self._name, "Item": self._run_item(run)}},
        )
        reasons = {0: "state", 1: "slot", 2: "generation"}
        return next((reasons[position] for position in sorted(refused)), None)

    def settle(self, state: TaskState, run: Run) -> bool:
        """Write the state after a run's end, its row, and free its slot: all or nothing."""
        return not self._write(
            self._put_state(state),
            self._free_slot(run.id),
            {"Put": {"TableName": self._name, "Item": self._run_item(run)}},
        )

    def free_slot(self, run_id: str) -> None:
        self._update("freeing a slot", self._free_slot(run_id)["Update"])

    def slots(self) -> frozenset[str]:
        item = self._get(keys.SLOTS)
        return frozenset(item["runs"]["SS"]) if item and "runs" in item else frozenset()

    def record_build(self, run: Run, build: str) -> None:
        """Note the driver's id. The run may have ended meanwhile: only that one field is set."""
        update = {
            "TableName": self._name,
            "Key": _key(keys.run(run.task, run.id)),
            "UpdateExpression": "SET build = :build",
            "ExpressionAttributeValues": {":build": {"S": build}},
        }
        self._update(f"recording the build of run {run.id}", update)

    def run(self, task: str, run_id: str) -> Run | None:
        item = self._get(keys.run(task, run_id))
        return _run(item) if item else None

    def runs(self, task: str | None, limit: int) -> list[Run]:
        """The newest runs, of one task or of all, newest first; none that can't be read."""
        if task is not None:
            found = self._query(f"TASK#{task}", "RUN#", newest=limit)
        else:
            found = self._newest_runs(limit)
        # An id tells the second; of two runs in one, only the claim tells which came first.
        return sorted(_readable_runs(found), key=lambda run: run.claimed_at, reverse=True)

    # ---- what is published ------------------------------------------------------------------

    def current(self) -> Current | None:
        item = self._get(keys.CURRENT)
        return _body(Current, item) if item else None

    def put_current(self, read: Current | None, new: Current) -> bool:
        item = {**_key(keys.CURRENT), "number": {"N": str(new.number)}, **_texts(*parted(new))}
        if read is None:
            return self._put(item, NOT_THERE)
        values = {":number": {"N": str(read.number)}}
        return self._put(item, "#number = :number", values, {"#number": "number"})

    def rejected(self) -> Rejected | None:
        item = self._get(keys.REJECTED)
        return _body(Rejected, item) if item else None

    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool:
        item = {**_key(keys.REJECTED), "at": {"N": repr(new.rejected_at)}, **_texts(*parted(new))}
        if read is None:
            return self._put(item, NOT_THERE)
        return self._put(item, "#at = :at", {":at": {"N": repr(read.rejected_at)}}, {"#at": "at"})

    # ---- items ------------------------------------------------------------------------------

    def _put_state(self, state: TaskState) -> Item:
        item = {
            **_key(keys.state(state.task)),
            "version": {"N": str(state.version + 1)},
            **_state_texts(state),
        }
        return {"Put": {"TableName": self._name, "Item": item, **_if_version(state.version)}}

    def _put_chunk(self, chunk: Chunk) -> Item:
        rows = {
            view: [row.index, row.digest, *([True] if row.filtered else [])]
            for view, row in sorted(chunk.rows.items())
        }
        with_token = sorted(view for view, row in chunk.rows.items() if row.token)
        item = {
            **_key(keys.chunk(chunk.name)),
            "version": {"N": str(chunk.version + 1)},
            **_texts(rows, {"token": with_token} if with_token else {}),
        }
        return {"Put": {"TableName": self._name, "Item": item, **_if_version(chunk.version)}}

    def _put_stale(self, stale: StaleViews) -> Item:
        body = {
            "views": {
                view: [each.view, each.since, each.why] for view, each in stale.views.items()
            },
            "count": stale.count,
            "unannounced": [{"type": each.detail_type, **dump(each)} for each in stale.unannounced],
        }
        item = {
            **_key(keys.STALE),
            "version": {"N": str(stale.version + 1)},
            "body": {"S": json.dumps(body, separators=(",", ":"))},
        }
        return {"Put": {"TableName": self._name, "Item": item, **_if_version(stale.version)}}

    def _free_slot(self, run_id: str) -> Item:
        return {
            "Update": {
                "TableName": self._name,
                "Key": _key(keys.SLOTS),
                "UpdateExpression": "DELETE runs :run",
                "ExpressionAttributeValues": {":run": {"SS": [run_id]}},
            }
        }

    def _run_item(self, run: Run) -> Item:
        body, newer = parted(run)
        build = body.pop("build")
        return {
            **_key(keys.run(run.task, run.id)),
            "kind": {"S": "RUN"},
            "started_at": {"S": f"{run.claimed_at:017.6f}"},
            "expires": {"N": str(int(run.claimed_at) + self._run_days * 86400)},
            **_texts(body, newer),
            **({"build": {"S": build}} if build else {}),
        }

    # ---- calls ------------------------------------------------------------------------------

    def _get(self, key: tuple[str, str]) -> Item | None:
        with translated(f"reading {'/'.join(key)}"):
            answer = self._client.get_item(TableName=self._name, Key=_key(key), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def _query(self, pk: str, prefix: str, newest: int | None = None) -> list[Item]:
        arguments = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":prefix": {"S": prefix}},
            "ConsistentRead": True,
        }
        return self._pages(arguments, newest, f"reading {pk}")

    def _newest_runs(self, limit: int) -> list[Item]:
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
                page = self._client.query(TableName=self._name, **arguments)
                found += page["Items"]
                if "LastEvaluatedKey" not in page or (newest and len(found) >= newest):
                    return found[:newest]
                arguments = {**arguments, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _batch_get(self, wanted: Iterable[tuple[str, str]]) -> list[Item]:
        asked: Item = {"Keys": [_key(key) for key in wanted], "ConsistentRead": True}
        found: list[Item] = []
        for attempt in range(TRIES):
            if not asked["Keys"]:
                return found
            with translated("reading task states"):
                answer = self._client.batch_get_item(RequestItems={self._name: asked})
            found += answer["Responses"][self._name]
            asked = answer.get("UnprocessedKeys", {}).get(self._name, {"Keys": []})
            if asked["Keys"]:
                _pause(attempt)
        raise Unavailable("reading task states: DynamoDB left keys unprocessed")

    def _put(
        self,
        item: Item,
        condition: str,
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
    ) -> bool:
        arguments: Item = {
            "TableName": self._name,
            "Item": item,
            "ConditionExpression": condition,
        }
        if values:
            arguments["ExpressionAttributeValues"] = values
        if names:
            arguments["ExpressionAttributeNames"] = names

        def put() -> bool:
            try:
                self._client.put_item(**arguments)
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
            return True

        return _retried(f"writing {_named(item)}", put)

    def _update(self, doing: str, arguments: Item) -> None:
        _retried(doing, lambda: self._client.update_item(**arguments))

    def _write(self, *writes: Item) -> set[int]:
        """Write all or none. Returns the positions whose condition did not hold."""
        doing = f"writing {len(writes)} items"
        for attempt in range(TRIES):
            codes = self._refused(doing, list(writes))
            if "TransactionConflict" in codes:
                _pause(attempt)
                continue
            if not set(codes) <= {"None", None, "ConditionalCheckFailed"}:
                raise Unavailable(f"{doing}: {codes}")
            return {n for n, code in enumerate(codes) if code == "ConditionalCheckFailed"}
        raise Unavailable(f"{doing}: other writes kept getting in the way")

    def _refused(self, doing: str, writes: list[Item]) -> list[str | None]:
        """Why each of the writes was refused; empty if all were written."""
        with translated(doing):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except self._client.exceptions.TransactionCanceledException as error:
                return [reason.get("Code") for reason in error.response["CancellationReasons"]]
        return []


def _retried(doing: str, call: Callable[[], T]) -> T:
    """A transaction on the same item refuses a single write: then it is tried again."""
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
    """Full jitter: those who got in each other's way come back at different times."""
    time.sleep(random.random() * min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))


def _key(key: tuple[str, str]) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _texts(body: Mapping[str, Any], newer: Mapping[str, Any]) -> Item:
    """An item's `body`, which the first release reads too, and what goes beyond that."""
    texts = {"body": body, "newer": newer} if newer else {"body": body}
    return {name: {"S": json.dumps(text, separators=(",", ":"))} for name, text in texts.items()}


def _state_texts(state: TaskState) -> Item:
    if state.unreadable:
        return {"body": {"S": state.unreadable}}
    body, newer = parted(state)
    del body["version"], body["unreadable"]
    return _texts(body, newer)


def _if_version(version: int) -> Item:
    if version == 0:
        return {"ConditionExpression": NOT_THERE}
    return {
        "ConditionExpression": UNCHANGED,
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
    }


def _lease_item(lease: Lease) -> Item:
    return {**_key(keys.LEASE), "epoch": {"N": str(lease.epoch)}, **_texts(*parted(lease))}


def _chunk(item: Item) -> Chunk:
    with_token = frozenset(_newer(item).get("token", ()))
    rows = {
        view: _row(view in with_token, *row) for view, row in json.loads(item["body"]["S"]).items()
    }
    return Chunk(item["sk"]["S"].removeprefix("VIEWS#"), int(item["version"]["N"]), rows)


def _stale_views(item: Item) -> StaleViews:
    body = json.loads(item["body"]["S"])
    return StaleViews(
        version=int(item["version"]["N"]),
        views={view: Stale(*facts[:3]) for view, facts in body["views"].items()},
        count=body["count"],
        unannounced=tuple(
            load(VIEW_EVENTS[raw["type"]], raw)
            for raw in body["unannounced"]
            if raw["type"] in VIEW_EVENTS  # a newer release may tell of more
        ),
    )


VIEW_EVENTS: Mapping[str, type[ViewStale | ViewFresh]] = {
    each.detail_type: each for each in (ViewStale, ViewFresh)
}


def _row(token: bool, index: int, digest: str, filtered: object = False, *_newer: object) -> Row:
    return Row(index, digest, filtered is True, token)


def _body(kind: type[T], item: Item) -> T:
    try:
        return load(kind, _raw(item))
    except (KeyError, ValueError) as error:
        raise Unreadable(f"reading {_named(item)}: {error}") from error


def _raw(item: Item) -> Any:
    """What `_texts` parted. Raises KeyError or ValueError."""
    body, newer = json.loads(item["body"]["S"]), _newer(item)
    return body | newer if newer and isinstance(body, dict) else body


def _newer(item: Item) -> Any:
    return json.loads(item["newer"]["S"]) if "newer" in item else {}


def _named(item: Item) -> str:
    return f"{item['pk']['S']}/{item['sk']['S']}"


def _state(item: Item) -> TaskState:
    """One that can't be read holds its task, and fails no other."""
    version, text = int(item["version"]["N"]), item.get("body", {}).get("S", "{}")
    try:
        raw = _raw(item)
        text = json.dumps(raw) if "newer" in item else text
        return state_from(raw, version)
    except (KeyError, ValueError) as error:
        task = item["sk"]["S"].removeprefix("TASK#")
        return unreadable_state(task, text, version, str(error))


def _run(item: Item) -> Run:
    return replace(_body(Run, item), build=item.get("build", {}).get("S"))


def _readable_runs(items: Iterable[Item]) -> Iterator[Run]:
    for item in items:
        with suppress(Unreadable):
            yield _run(item)
