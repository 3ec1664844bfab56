"""The table: lease, view rows, task states, claims, runs, published generations.

Every write is conditional on what was read, so any function may be killed at any line and
any of them may run twice.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cts import keys
from cts.adapters import table_items as items
from cts.adapters.dynamodb import DynamoDb, Item, key_of
from cts.generation import Attempt, Current, Rejected
from cts.run.model import Run
from cts.run.state import TaskState
from cts.watch.lease import Commit, Lease
from cts.watch.stale import StaleViews
from cts.watch.view import Chunk, Row, chunk_of, rows_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        ConditionCheckTypeDef,
        PutTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

UNCHANGED = "version = :version"  # no other writer was faster
NOT_THERE = "attribute_not_exists(pk)"  # no other writer was first
STILL_OUR_WATCH = "epoch = :epoch"  # a deposed poller writes nothing
A_SLOT_IS_FREE = "attribute_not_exists(runs) OR size(runs) < :cap"
BATCH = 100
"""Maximum number of keys in a BatchGetItem call."""


class Table:
    def __init__(self, client: "DynamoDBClient", name: str, *, run_days: int = 90) -> None:
        self._dynamodb = DynamoDb(client, name)
        self._run_days = run_days

    # ---- lease ----------------------------------------------------------------------------

    def lease(self) -> Lease | None:
        item = self._dynamodb.get(keys.LEASE)
        return items.record(Lease, item) if item else None

    def take(self, read: Lease | None, new: Lease) -> bool:
        if read is None:
            return self._dynamodb.put(items.of_lease(new), NOT_THERE)
        return self._put_lease(new, read.epoch)

    def beat(self, lease: Lease) -> bool:
        return self._put_lease(lease, lease.epoch)

    def _put_lease(self, lease: Lease, epoch: int) -> bool:
        values = {":epoch": {"N": str(epoch)}}
        return self._dynamodb.put(items.of_lease(lease), STILL_OUR_WATCH, values)

    # ---- views ----------------------------------------------------------------------------

    def chunks(self) -> Mapping[str, Chunk]:
        found = self._dynamodb.query(keys.WATCH, "VIEWS#")
        return {chunk.name: chunk for chunk in map(items.chunk, found)}

    def rows(self, views: Collection[str]) -> dict[str, Row]:
        """The rows of these views, without those that have none."""
        names = {chunk_of(view) for view in views}
        if len(names) > BATCH:
            chunks = self.chunks()
        else:
            read = self._dynamodb.batch_get("reading rows of views", map(keys.chunk, names))
            chunks = {chunk.name: chunk for chunk in map(items.chunk, read.values())}
        found = rows_of(chunks)
        return {view: found[view] for view in views if view in found}

    def drop_row(self, view: str, digest: str) -> None:
        """Remove a view's row from its chunk, if it still has this digest: its snapshot is gone,
        so the view counts as never read."""
        item = self._dynamodb.get(keys.chunk(chunk_of(view)))
        if item is None:
            return
        chunk = items.chunk(item)
        if view not in chunk.rows or chunk.rows[view].digest != digest:
            return
        rows = {each: row for each, row in chunk.rows.items() if each != view}
        without = items.of_chunk(replace(chunk, rows=rows))
        self._dynamodb.put(without, *_if_version(chunk.version))

    def commit(
        self, epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]
    ) -> Commit:
        return self._fenced(
            epoch,
            *(self._put_state(state) for state in states),
            *(self._put(items.of_chunk(chunk), chunk.version) for chunk in chunks),
        )

    def stale_views(self) -> StaleViews:
        item = self._dynamodb.get(keys.STALE)
        return items.stale_views(item) if item else StaleViews()

    def put_stale_views(self, epoch: int, stale: StaleViews) -> Commit:
        """Write the record if the epoch is still current and the version is still this one."""
        return self._fenced(epoch, self._put(items.of_stale_views(stale), stale.version))

    def _fenced(self, epoch: int, *writes: "TransactWriteItemTypeDef") -> Commit:
        check: TransactWriteItemTypeDef = {
            "ConditionCheck": {
                "TableName": self._dynamodb.name,
                "Key": key_of(keys.LEASE),
                "ConditionExpression": STILL_OUR_WATCH,
                "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}},
            }
        }
        refused = self._dynamodb.write(check, *writes)
        if 0 in refused:
            return Commit.DEPOSED
        return Commit.STALE if refused else Commit.DONE

    # ---- task states ----------------------------------------------------------------------

    def state(self, task: str) -> TaskState:
        return items.state_of(self._dynamodb.get(keys.state(task)), task)

    def states(self, tasks: Collection[str]) -> Mapping[str, TaskState]:
        """The states of these tasks, read consistently. A task without an item is new."""
        if len(tasks) > BATCH:
            everything = self.all_states()
            return {task: everything.get(task, TaskState(task)) for task in tasks}
        wanted = [keys.state(task) for task in tasks]
        found = self._dynamodb.batch_get("reading task states", wanted)
        return {task: items.state_of(found.get(keys.state(task)), task) for task in tasks}

    def all_states(self) -> dict[str, TaskState]:
        found = self._dynamodb.query(keys.STATE, "TASK#")
        return {state.task: state for state in map(items.state, found)}

    def put_state(self, state: TaskState) -> bool:
        """False if another writer has changed it in the meantime."""
        return self._dynamodb.put(items.of_state(state), *_if_version(state.version))

    # ---- runs -----------------------------------------------------------------------------

    def before_claim(self, task: str) -> tuple[TaskState, Current | None, frozenset[str]]:
        """What a claim depends on: the task's state, what is live, and the runs that hold slots.
        One may be older than another: the claim checks them again."""
        wanted = [keys.state(task), keys.CURRENT, keys.SLOTS]
        found = self._dynamodb.batch_get(f"reading what a claim of {task} depends on", wanted)
        return (
            items.state_of(found.get(keys.state(task)), task),
            items.current_of(found.get(keys.CURRENT)),
            items.slots_of(found.get(keys.SLOTS)),
        )

    def claim(self, state: TaskState, run: Run, cap: int) -> str | None:
        """Write the claimed state, the run's row and its slot, if the generation is still
        CURRENT. Returns None if written, else what was refused: state, slot or generation."""
        take_slot: UpdateTypeDef = {
            "TableName": self._dynamodb.name,
            "Key": key_of(keys.SLOTS),
            "UpdateExpression": "ADD runs :run",
            "ConditionExpression": A_SLOT_IS_FREE,
            "ExpressionAttributeValues": {":run": {"SS": [run.id]}, ":cap": {"N": str(cap)}},
        }
        still_current: ConditionCheckTypeDef = {
            "TableName": self._dynamodb.name,
            "Key": key_of(keys.CURRENT),
            "ConditionExpression": "#number = :number",
            "ExpressionAttributeNames": {"#number": "number"},
            "ExpressionAttributeValues": {":number": {"N": str(run.generation)}},
        }
        refused = self._dynamodb.write(
            self._put_state(state),
            {"Update": take_slot},
            {"ConditionCheck": still_current},
            self._put_run(run),
        )
        reasons = {0: "state", 1: "slot", 2: "generation"}
        return next((reasons[position] for position in sorted(refused)), None)

    def settle(self, state: TaskState, run: Run) -> bool:
        """Write the state after a run, write the run's row and free its slot: all or nothing."""
        return not self._dynamodb.write(
            self._put_state(state), {"Update": self._free_slot(run.id)}, self._put_run(run)
        )

    def free_slot(self, run_id: str) -> None:
        self._dynamodb.update("freeing a slot", self._free_slot(run_id))

    def slots(self) -> frozenset[str]:
        return items.slots_of(self._dynamodb.get(keys.SLOTS))

    def record_build(self, run: Run) -> None:
        """Record the driver's ID, when the build got new credentials, and what the run waits for,
        as far as they are known. Sets only these fields: the run may have ended meanwhile."""
        fields = items.of_build(run)
        update: UpdateTypeDef = {
            "TableName": self._dynamodb.name,
            "Key": key_of(keys.run(run.task, run.id)),
            "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in fields),
            "ExpressionAttributeValues": {f":{name}": value for name, value in fields.items()},
        }
        self._dynamodb.update(f"recording the build of run {run.id}", update)

    def run(self, task: str, run_id: str) -> Run | None:
        item = self._dynamodb.get(keys.run(task, run_id))
        return items.run(item) if item else None

    def run_and_state(self, task: str, run_id: str) -> tuple[Run | None, TaskState]:
        """A run's row, and the state of its task. One may be older than the other."""
        wanted = [keys.run(task, run_id), keys.state(task)]
        found = self._dynamodb.batch_get(f"reading run {run_id}", wanted)
        row = found.get(keys.run(task, run_id))
        return items.run(row) if row else None, items.state_of(found.get(keys.state(task)), task)

    def runs(self, task: str | None, limit: int) -> list[Run]:
        """The newest runs of one task or of all, newest first, without unreadable ones."""
        if task is not None:
            found = self._dynamodb.query(f"TASK#{task}", "RUN#", newest=limit)
        else:
            found = self._dynamodb.newest_runs(limit)
        # IDs have a resolution of one second: only the claim orders runs within it.
        return sorted(items.readable_runs(found), key=lambda run: run.claimed_at, reverse=True)

    # ---- what is published ------------------------------------------------------------------

    def current(self) -> Current | None:
        return items.current_of(self._dynamodb.get(keys.CURRENT))

    def put_current(self, read: Current | None, new: Current) -> bool:
        item = items.of_current(new)
        if read is None:
            return self._dynamodb.put(item, NOT_THERE)
        values = {":number": {"N": str(read.number)}}
        return self._dynamodb.put(item, "#number = :number", values, {"#number": "number"})

    def rejected(self) -> Rejected | None:
        item = self._dynamodb.get(keys.REJECTED)
        return items.record(Rejected, item) if item else None

    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool:
        return self._put_at(items.of_rejected(new), read.rejected_at if read else None)

    def attempt(self) -> Attempt | None:
        item = self._dynamodb.get(keys.ATTEMPT)
        return items.record(Attempt, item) if item else None

    def put_attempt(self, read: Attempt | None, new: Attempt) -> bool:
        return self._put_at(items.of_attempt(new), read.began_at if read else None)

    def _put_at(self, item: Item, read_at: float | None) -> bool:
        """Put an item if the stored one still has the time that was read."""
        if read_at is None:
            return self._dynamodb.put(item, NOT_THERE)
        values = {":at": {"N": repr(read_at)}}
        return self._dynamodb.put(item, "#at = :at", values, {"#at": "at"})

    # ---- parts of transactions ----------------------------------------------------------------

    def _put(self, item: Item, version: int) -> "TransactWriteItemTypeDef":
        condition, values = _if_version(version)
        put: PutTypeDef = {
            "TableName": self._dynamodb.name,
            "Item": item,
            "ConditionExpression": condition,
        }
        if values:
            put["ExpressionAttributeValues"] = values
        return {"Put": put}

    def _put_state(self, state: TaskState) -> "TransactWriteItemTypeDef":
        return self._put(items.of_state(state), state.version)

    def _put_run(self, run: Run) -> "TransactWriteItemTypeDef":
        item = items.of_run(run, kept_days=self._run_days)
        return {"Put": {"TableName": self._dynamodb.name, "Item": item}}

    def _free_slot(self, run_id: str) -> "UpdateTypeDef":
        return {
            "TableName": self._dynamodb.name,
            "Key": key_of(keys.SLOTS),
            "UpdateExpression": "DELETE runs :run",
            "ExpressionAttributeValues": {":run": {"SS": [run_id]}},
        }


def _if_version(version: int) -> tuple[str, Item]:
    """The condition that an item still has the version that was read; 0 means no item."""
    if version == 0:
        return NOT_THERE, {}
    return UNCHANGED, {":version": {"N": str(version)}}
