"""Items of the release before, and items of a newer version, which are read and written back."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from cts.adapters import table_items
from cts.adapters.table import Table
from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.errors import Unreadable
from cts.generation import Current, Generation, Rejected
from cts.run.model import End, Run, RunStatus, ended
from cts.run.state import Done, Former, Hold, Outcome, Reason, Running, TaskState, Wish, state_from
from cts.run.task import claim, finish, observe, unclaim
from cts.stored import dump, load
from cts.terraform.definition import Definition
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import digest_of
from cts.watch.view import Chunk, Row
from cts.workflow import shown_runs
from tests.unit.system import LISTING, system

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RELEASED = json.loads((Path(__file__).parent / "released/0.1.0.json").read_text())
NEWER = {"newer": {"of": [1, "x"]}}
"""What a newer version writes beside what this one knows."""


class Refused(Exception):
    """What botocore raises for a condition that doesn't hold; nothing raises it here."""


class Items:
    """A client of a table that holds these items and takes every write."""

    class exceptions:  # noqa: N801
        ConditionalCheckFailedException = TransactionCanceledException = Refused

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = {(each["pk"]["S"], each["sk"]["S"]): each for each in items}

    def get_item(self, *, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        found = self.items.get((Key["pk"]["S"], Key["sk"]["S"]))
        return {"Item": found} if found else {}

    def query(self, *, ExpressionAttributeValues: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        pk, prefix = (ExpressionAttributeValues[name]["S"] for name in (":pk", ":prefix"))
        found = [self.items[key] for key in sorted(self.items)]
        return {
            "Items": [
                each
                for each in found
                if each["pk"]["S"] == pk and each["sk"]["S"].startswith(prefix)
            ]
        }

    def put_item(self, *, Item: dict[str, Any], **_: Any) -> None:  # noqa: N803
        self.items[Item["pk"]["S"], Item["sk"]["S"]] = Item

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        for each in TransactItems:
            if "Put" in each:
                self.put_item(Item=each["Put"]["Item"])

    def body(self, pk: str, sk: str) -> Any:
        """What was written in both of an item's parts."""
        item = self.items[pk, sk]
        newer = json.loads(item["newer"]["S"]) if "newer" in item else {}
        return json.loads(item["body"]["S"]) | newer

    def change(self, pk: str, sk: str, body: object) -> None:
        self.items[pk, sk] = {**self.items[pk, sk], "body": {"S": json.dumps(body)}}


def table_of(items: Items) -> Table:
    return Table(cast("DynamoDBClient", items), "cts")


def released() -> tuple[Items, Table]:
    items = Items(deepcopy(RELEASED["items"]))
    return items, table_of(items)


# ---- the release before -------------------------------------------------------------------


def test_every_item_of_the_release_before_is_read() -> None:
    _, table = released()
    assert table.lease() is not None
    assert [len(chunk.rows) for chunk in table.chunks().values()] == [2]
    states = table.all_states()
    assert {name: state.unreadable for name, state in states.items()} == dict.fromkeys(
        ("db", "lb", "web"), ""
    )
    web = states["web"]
    assert web.running is not None
    assert web.running.serves[Reason.CHANGE].fingerprint == "trigger-1"
    assert web.running.before is not None
    assert web.former == tuple(Former(each.run, each.ended_at) for each in web.recent)
    assert (states["db"].failures, states["lb"].gave_up) == (2, "failed 4 times in a row")
    [run] = table.runs("db", 9)
    assert run.end is not None
    assert (run.status, run.build, run.end.counts) == (RunStatus.APPLIED, "cts:1", COUNTS)
    current, rejected = table.current(), table.rejected()
    assert current is not None
    assert rejected is not None
    assert (current.number, current.owed, rejected.problem_count) == (2, [], 1)


COUNTS = {"add": 1, "change": 0, "destroy": 0}


def test_the_generation_of_the_release_before_is_read() -> None:
    generation = Generation.from_json(RELEASED["objects"]["generation"])
    assert generation.tasks.keys() == {"web", "all"}
    assert generation.waiting["cron"].reasons == ("a schedule",)
    definition = Definition.from_json(RELEASED["objects"]["definition"])
    assert definition.digest == generation.tasks["web"].definition
    assert definition.digest == digest_of(RELEASED["objects"]["definition"].encode())


# ---- what the release before reads --------------------------------------------------------

FIRST = {
    "lease": "epoch owner generation started_at heartbeat_at fresh_at",
    "state": "task wanted running done failures failed retry_at gave_up hold queued_since"
    " unannounced recent",
    "wish": "since due_at correlation fingerprint",
    "running": "run serves trigger inputs claimed_at before",
    "done": "run trigger inputs",
    "outcome": "run success ended_at error started_at counts",
    "run": "id task status why since claimed_at generation definition trigger inputs correlation"
    " attempt ended_at end retry_at gave_up",
    "end": "status apply_began error retryable step counts terraform times",
    "current": "number digest contract sources published_at added changed removed warnings"
    " unannounced",
    "rejected": "sources contract rejected_at problem_count problems unannounced",
    "generation": "number contract sources tasks waiting",
    "entry": "definition condition description enabled buffer",
}
"""All fields that the first release knows: it fails on any other, and needs most of these."""


def has(part: dict[str, Any], name: str) -> None:
    assert part.keys() == set(FIRST[name].split()), name


def first(items: Items, pk: str, sk: str) -> Any:
    return json.loads(items.items[pk, sk]["body"]["S"])


WISH = Wish(1.0, 1.0, "c", "t", by="p", extra=NEWER)
RUN = Run(
    "web-a-1", "web", RunStatus.ERRORED, (), 1.0, 2.0, 1, "d", "t", {"v": "d"}, "c", 1, extra=NEWER
)


def test_the_release_before_reads_a_state() -> None:
    items, table = released()
    state = TaskState(
        "new",
        wanted={Reason.PERSON: WISH, Reason.INSPECT: WISH},
        running=Running(
            "r", {Reason.CHANGE: WISH}, "t", "t", 1.0, DONE, retry=True, driver="d", extra=NEWER
        ),
        done=DONE,
        recent=(Outcome("r", False, 1.0, extra=NEWER),),
        former=(Former("r", 1.0),),
        hold="why",
        holds=(Hold("why", "p", 1.0, extra=NEWER),),
        extra=NEWER,
    )
    assert table.put_state(state)
    body = first(items, "STATE", "TASK#new")
    has(body, "state")
    assert body["wanted"].keys() == {"person"}
    has(body["wanted"]["person"], "wish")
    has(body["running"], "running")
    has(body["running"]["serves"]["change"], "wish")
    has(body["running"]["before"], "done")
    has(body["done"], "done")
    has(body["recent"][0], "outcome")
    assert table.state("new") == replace(state, version=1)


DONE = Done("r", "t", "t", NEWER)


def test_the_release_before_reads_a_run() -> None:
    items, table = released()
    end = End(RunStatus.ERRORED, apply_began=False, known=False, extra=NEWER)
    run = replace(RUN, end=end, more_inputs=7, driver="another")
    assert table.settle(TaskState("web"), run)
    body = first(items, "TASK#web", "RUN#web-a-1")
    has(body, "run")
    has(body["end"], "end")
    assert table.run("web", "web-a-1") == run


def test_the_release_before_reads_the_lease_and_what_is_published() -> None:
    items = Items([])
    table = table_of(items)
    lease = Lease(1, "me", 1, 1.0, 1.0, 1.0, "connection", 7, 3, 900.0)
    current = Current(1, "d", 1, {}, 1.0, [], [], [], owed=[{"number": 1}], extra=NEWER)
    rejected = Rejected({}, 1, 1.0, 1, [], owed=[{"problems": []}], extra=NEWER)
    assert table.take(None, lease)
    assert table.put_current(None, current)
    assert table.put_rejected(None, rejected)
    has(first(items, "WATCH", "LEASE"), "lease")
    has(first(items, "CONFIG", "CURRENT"), "current")
    has(first(items, "CONFIG", "REJECTED"), "rejected")
    assert (table.lease(), table.current(), table.rejected()) == (lease, current, rejected)


def test_the_release_before_reads_the_views_and_takes_none_that_has_a_token_for_filtered() -> None:
    items = Items([])
    rows = {
        f"00{filtered}{token}{looked_at}": Row(1, "d", filtered, token, looked_at)
        for filtered in (False, True)
        for token in (False, True)
        for looked_at in ("", "l")
    }
    items.put_item(Item=table_items.of_chunk(Chunk("00", 0, rows)))
    body = first(items, "WATCH", "VIEWS#00")
    assert {view: bool([*row, False][2]) for view, row in body.items()} == {
        view: row.filtered for view, row in rows.items()
    }
    assert max(map(len, body.values())) == 3
    assert table_of(items).chunks()["00"].rows == rows


def test_the_release_before_reads_a_generation() -> None:
    made = Generation(2, 1, {"config/bundle.zip": "v"}, {}, former="digest")
    has(json.loads(made.to_json()), "generation")
    assert Generation.from_json(made.to_json()) == made
    entry = Generation.from_json(RELEASED["objects"]["generation"]).tasks["web"]
    made = replace(made, tasks={"web": entry})
    has(json.loads(made.to_json())["tasks"]["web"], "entry")
    other = replace(made, tasks={"web": replace(entry, driver="another")})
    assert Generation.from_json(other.to_json()) == other


@pytest.mark.slow
def test_a_run_of_thousands_of_views_fits_an_item() -> None:
    world = system()
    world.task("all", regexp=".")
    names = [f"service-{n}" for n in range(3_000)]
    world.store(LISTING, names)
    for name in names:
        world.store(View(services.SERVICE, name), [])
    run = world.started("all")
    assert (len(run.inputs), run.more_inputs) == (1_000, 2_000)
    assert len(json.dumps(table_items.of_run(run, kept_days=90))) < AN_ITEM / 2
    assert shown_runs.run(run)["more_inputs"] == 2_000


AN_ITEM = 400 * 1024

# ---- what a newer version wrote -----------------------------------------------------------


def newer_state(body: dict[str, Any]) -> dict[str, Any]:
    """The state of `web` with something new at every level, a reason to run among it."""
    running = body["running"]
    wish = running["serves"]["change"]
    return {
        **body,
        **NEWER,
        "wanted": {
            **{reason: each | NEWER for reason, each in body["wanted"].items()},
            "drift": {"since": 1.0, "due_at": 2.0, "how": "daily"},
        },
        "running": {
            **running,
            **NEWER,
            "serves": {"change": wish | NEWER},
            "before": running["before"] | NEWER,
        },
        "recent": [each | NEWER for each in body["recent"]],
    }


APPLIED = End(RunStatus.APPLIED, apply_began=True)
FAILED = End(RunStatus.ERRORED, apply_began=False, error="refused")


def test_what_a_newer_version_wrote_is_still_there_after_every_step_of_this_one() -> None:
    items, table = released()
    items.change("STATE", "TASK#web", newer_state(items.body("STATE", "TASK#web")))
    state = table.state("web")
    assert not state.unreadable
    assert state.running is not None
    run = state.running.run
    for after in (state, unclaim(state, run, 9.0), finish(state, run, FAILED, 9.0, 0.0)):
        assert table.put_state(observe(after, "trigger-9", 5.0, None, "c"))
        body = items.body("STATE", "TASK#web")
        assert body["newer"] == NEWER["newer"]
        assert body["wanted"]["drift"] == {"since": 1.0, "due_at": 2.0, "how": "daily"}
        assert body["wanted"]["person"]["newer"] == NEWER["newer"]
        assert body["recent"][-1]["newer"] == NEWER["newer"]
        kept = body["running"]["before"] if body["running"] else body["done"]
        assert kept["newer"] == NEWER["newer"]


def test_a_reason_of_a_newer_version_wakes_no_runner_of_this_one() -> None:
    body = {"task": "web", "wanted": {"drift": {"since": 1.0, "due_at": 2.0}}}
    state = state_from(body, 1)
    assert state.wanted == {}
    assert claim(state, "web-1", "t", "t", 9.0) == state


def current_again(table: Table) -> bool:
    read = table.current()
    assert read is not None
    return table.put_current(read, replace(read, unannounced=[]))


def rejected_again(table: Table) -> bool:
    read = table.rejected()
    assert read is not None
    return table.put_rejected(read, replace(read, unannounced=[]))


@pytest.mark.parametrize(
    ("sk", "rewrite"), [("CURRENT", current_again), ("REJECTED", rejected_again)]
)
def test_an_answer_to_a_push_keeps_what_a_newer_version_wrote(
    sk: str, rewrite: Callable[[Table], bool]
) -> None:
    items, table = released()
    items.change("CONFIG", sk, items.body("CONFIG", sk) | NEWER)
    assert rewrite(table)
    body = items.body("CONFIG", sk)
    assert (body["newer"], body["unannounced"]) == (NEWER["newer"], [])


def test_a_run_keeps_what_a_newer_version_wrote() -> None:
    items, table = released()
    [key] = [sk for pk, sk in items.items if pk == "TASK#web"]
    items.change("TASK#web", key, items.body("TASK#web", key) | NEWER)
    run = table.run("web", key.removeprefix("RUN#"))
    assert run is not None
    assert table.settle(table.state("web"), ended(run, APPLIED, 9.0, None, None))
    assert items.body("TASK#web", key)["newer"] == NEWER["newer"]


def test_a_status_of_a_newer_version_is_shown_as_unknown() -> None:
    items, table = released()
    [key] = [sk for pk, sk in items.items if pk == "TASK#web"]
    items.change("TASK#web", key, items.body("TASK#web", key) | {"status": "discarded"})
    [run] = table.runs("web", 9)
    assert shown_runs.run(run)["status"] == "unknown"


def test_a_lease_of_a_newer_version_is_read() -> None:
    items, table = released()
    items.change("WATCH", "LEASE", items.body("WATCH", "LEASE") | NEWER)
    assert table.lease() is not None


def test_a_generation_of_a_newer_version_is_read_and_unknown_tasks_are_left_out() -> None:
    raw = json.loads(RELEASED["objects"]["generation"]) | NEWER
    raw["tasks"]["web"] |= NEWER
    raw["tasks"]["web"]["condition"] |= NEWER
    raw["waiting"]["cron"] |= NEWER
    raw["tasks"]["new"] = {**raw["tasks"]["web"], "condition": {"kind": "moon", "phase": "full"}}
    both = {"names": ["web"], "others": [{"kind": "moon"}]}
    raw["tasks"]["also"] = {**raw["tasks"]["web"], "condition": both}
    generation = Generation.from_json(json.dumps(raw))
    assert generation.tasks.keys() == {"web", "all"}
    assert generation.tasks["web"].condition == ServicesCondition(("web",))


def test_a_definition_of_a_newer_version_is_read_and_its_digest_tells() -> None:
    raw = json.loads(RELEASED["objects"]["definition"])
    known = Definition.from_json(json.dumps(raw))
    raw["module"] |= NEWER
    raw["providers"][0] |= NEWER
    assert Definition.from_json(json.dumps(raw | NEWER)) == known


# ---- what cannot be read ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "7",
        "{}",
        '{"task": 7}',
        '{"task": "web", "recent": [{}]}',
        '{"task": "web", "failures": "two"}',
        '{"task": "web", "wanted": {"change": null}}',
    ],
)
def test_an_item_that_cannot_be_read_fails_only_its_task(text: str) -> None:
    items, table = released()
    items.items["STATE", "TASK#web"]["body"] = {"S": text} if text else {}
    states = table.all_states()
    assert not states["db"].unreadable
    web = states["web"]
    assert (web.task, web.version) == ("web", 7)
    assert "can't be read" in (web.hold or "")
    if text:
        assert table.put_state(observe(web, "t", 1.0, None, "c"))
        assert items.items["STATE", "TASK#web"]["body"]["S"] == text


@pytest.mark.parametrize("newer", ["7", '["a"]', '"text"', "null"])
def test_a_newer_part_that_is_not_an_object_stops_its_task_alone(newer: str) -> None:
    items, table = released()
    items.items["STATE", "TASK#web"]["newer"] = {"S": newer}
    states = table.all_states()
    assert "must be an object" in (states["web"].hold or "")
    assert not states["db"].unreadable


def test_of_a_state_that_cannot_be_read_both_parts_stay() -> None:
    items, table = released()
    body = items.body("STATE", "TASK#web")
    items.items["STATE", "TASK#web"]["newer"] = {"S": '{"holds": 7}'}
    web = table.state("web")
    assert "TaskState.holds must be a list" in (web.hold or "")
    assert table.put_state(observe(web, "t", 1.0, None, "c"))
    assert items.body("STATE", "TASK#web") == body | {"holds": 7}


def test_a_run_that_cannot_be_read_is_left_out_of_the_list_and_named_when_asked_for() -> None:
    items, table = released()
    [key] = [sk for pk, sk in items.items if pk == "TASK#db"]
    items.change("TASK#db", key, {"id": 7})
    assert table.runs("db", 9) == []
    with pytest.raises(Unreadable, match="reading TASK#db/RUN#db-"):
        table.run("db", key.removeprefix("RUN#"))


# ---- the helper ---------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    size: float
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    name: str
    leaves: tuple[Leaf, ...] = ()
    by_colour: dict[Colour, Leaf] = field(default_factory=dict)
    age: int | None = None
    old: bool = False
    colour: Colour = Colour.RED
    anything: Any = None
    extra: dict[str, Any] = field(default_factory=dict)


def test_what_is_dumped_is_loaded_again_with_all_that_is_unknown() -> None:
    raw = {
        "name": "oak",
        "leaves": [{"size": 1.5, "veins": 3}],
        "by_colour": {"red": {"size": 1, "veins": 4}, "blue": {"size": 2}},
        "age": None,
        "old": True,
        "colour": "red",
        "anything": [{"a": 1}],
        "roots": {"deep": True},
    }
    tree = load(Tree, raw)
    assert tree.by_colour.keys() == {Colour.RED}
    assert dump(tree) == raw
    assert load(Tree, json.loads(json.dumps(dump(tree)))) == tree


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([], "Tree must be an object"),
        ({}, "Tree lacks name"),
        ({"name": 7}, "Tree.name must be of type str"),
        ({"name": "oak", "age": True}, "Tree.age must be of type int"),
        ({"name": "oak", "old": 1}, "Tree.old must be of type bool"),
        ({"name": "oak", "leaves": {}}, "Tree.leaves must be a list"),
        ({"name": "oak", "leaves": [{"size": "big"}]}, "Tree.leaves.size must be of type float"),
        ({"name": "oak", "by_colour": []}, "Tree.by_colour must be an object"),
        ({"name": "oak", "by_colour": {"red": 1}}, "Tree.by_colour.red must be an object"),
        ({"name": "oak", "colour": ["red"]}, "Tree.colour must be of type Colour"),
        ({"name": "oak", "colour": "blue"}, "'blue' is not a valid Colour"),
    ],
)
def test_what_is_of_another_shape_is_named(raw: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load(Tree, raw)


def test_a_new_task_has_a_state_that_is_read_back() -> None:
    assert state_from(dump(TaskState("web")), 1) == replace(TaskState("web"), version=1)
