"""`events` of `serverless`: what triggers a task, from a configuration to its runs."""

import io
import zipfile
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from cts import keys
from cts.conditions.condition import Condition
from cts.conditions.services import LISTING, SERVICE, ServicesCondition
from cts.config.compile import compile_bundle
from cts.config.rules.problem import Code
from cts.errors import Unavailable
from cts.generation import Generation, TaskEntry
from cts.run.state import Done, Reason, TaskState, Wish
from cts.run.task import Claimed, claim, observe
from cts.terraform.definition import Definition, Module
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer
from cts.workflow.poll import Poller, PollPorts
from cts.workflow.start import StartOutcome
from tests.fake_consul import instance
from tests.fakes import Counter, before_next, failing
from tests.unit.system import System
from tests.unit.test_triggers import CATALOGUED, ONE_KEY, PREFIX, SEEN, key, web

ALL = ServicesCondition(("web",), health="any")
WEB, DB, NAMES = View(SERVICE, "web", health="any"), View(SERVICE, "db"), View(LISTING)


def checked(status: str) -> dict[Any, Any]:
    return {**web(), "Checks": [{"CheckID": "c", "Status": status}]}


CAME, LEFT = [web(), instance("web", 2)], list[Any]()
OTHER, SICK = [web("Service", Port=81)], [checked("critical")]


class World(System):
    """A task that some events trigger, a runner, and pollers: one that stays, or a new one for
    each look, as in mode `poll`."""

    def __init__(self, *events: str, condition: Condition = ALL, live: bool = True) -> None:
        super().__init__()
        self.live, self.condition = live, condition
        self.index, self.given = 7, dict[View, Any]()
        self.ids = Counter()
        self.configure(*events)
        self.told: list[str] = []
        self.poller = self.new_poller()

    def configure(self, *events: str, **variables: Any) -> None:
        definition = Definition("t", Module("./m"), self.condition, variables=variables)
        self.bucket.put_definition(definition)
        self.tasks["t"] = TaskEntry(definition.digest, self.condition, events=events)
        self.publish()

    def new_poller(self) -> Poller:
        ports = PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=self.clock,
            new_id=self.ids.new_id,
        )
        assert self.table.live
        poller = Poller(
            ports, Generation.from_json(self.bucket.generation(self.table.live).to_json())
        )
        poller.load()
        read = self.table.lease()
        assert poller.raise_epoch(read, Lease(read.epoch + 1 if read else 1, "me", 1, 0, 0, 0))
        poller.load()
        return poller

    def consul(self, changes: dict[View, Any]) -> None:
        self.index += 1
        self.given |= changes
        now = changes if self.live else self.given
        answers = {v: Answer(self.index, snapshot(v, raw)) for v, raw in now.items()}
        if not self.live:
            self.poller = self.new_poller()
            if not self.poller.differs(answers, {}):
                return
        self.poller.look(answers, derive_all=not self.live)
        self.told += self.poller.ignored.untold
        self.poller.ignored.untold = []

    def web(self, *instances: Any) -> None:
        self.consul({WEB: list(instances)})

    def take_over(self) -> None:
        """By a new poller, which derives the task again."""
        self.poller = self.new_poller()
        self.poller.look({}, derive_all=True)
        self.told += self.poller.ignored.untold

    def runs(self, status: str = "applied", **more: object) -> bool:
        """Whether the task runs, if it is due; the run ends like this."""
        if self.start("t") is not StartOutcome.STARTED:
            return False
        self.ends_as(status, **more)
        return True

    def ends_as(self, status: str = "applied", **more: object) -> None:
        run = self.running("t")
        self.begins(run)
        if more.pop("applying", False):
            self.write(run, "applying", {})
        self.result(run, status, **more)
        self.ends(run)

    @property
    def fed(self) -> str:
        """What the module of the run that goes on gets."""
        archive = self.bucket.run_object("t", self.running("t").id, "archive.zip")
        with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
            return made.read("terraform.tfvars").decode()

    @property
    def state(self) -> TaskState:
        return self.table.state("t")

    def wanted(self) -> bool:
        return Reason.CHANGE in self.state.wanted


def applied(*events: str, live: bool = True) -> World:
    """The task has run with one passing instance."""
    return deepcopy(_applied(events, live))


@cache
def _applied(events: tuple[str, ...], live: bool) -> World:
    world = World(*events, live=live)
    world.web(web())
    assert world.runs()
    return world


MODES = pytest.mark.parametrize("live", [True, False], ids=["live", "poll"])

# ---- what triggers ----------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(
    ("change", "event"),
    [(CAME, "added"), (LEFT, "removed"), (OTHER, "changed"), (SICK, "health")],
    ids=["added", "removed", "changed", "health"],
)
def test_of_each_change_one_event_counts(change: list[Any], event: str, live: bool) -> None:
    for each in ("added", "removed", "changed", "health"):
        world = applied(each, live=live)
        world.web(*change)
        assert (world.wanted(), world.runs()) == (each == event, each == event), each


@MODES
def test_what_was_ignored_is_in_the_next_run(live: bool) -> None:
    world = applied("added", live=live)
    world.web(*OTHER)
    assert not world.runs()
    world.web(*OTHER, instance("web", 2))
    assert world.start("t") is StartOutcome.STARTED
    assert "= 81" in world.fed


@MODES
def test_what_adds_up_to_nothing_triggers_nothing(live: bool) -> None:
    """The last run counts, not the last look."""
    world = applied("added", live=live)
    world.web(*CAME)
    assert world.wanted()
    world.web(web())
    assert not world.wanted()
    world.web()
    world.web(web())
    assert not world.runs()


@MODES
def test_an_ignored_change_takes_back_what_counted(live: bool) -> None:
    world = applied("added", live=live)
    world.web(*CAME)
    world.web(*SICK)
    assert not world.wanted()
    assert world.start("t") is StartOutcome.NOT_DUE


@MODES
def test_if_nothing_counts_nothing_is_written(live: bool) -> None:
    world = applied("added", live=live)
    world.web(*SICK)
    version = world.state.version
    world.web(*OTHER)
    world.web(*OTHER)
    assert world.state.version == version


OF_KINDS = [
    (ONE_KEY, "added", [key("app", "2")], False),
    (ONE_KEY, "changed", [key("app", "2")], True),
    (ONE_KEY, "changed", None, False),
    (ONE_KEY, "removed", None, True),
    (PREFIX, "added", [key("app", "9"), key("app/new")], True),
    (PREFIX, "removed", [key("app", "9"), key("app2/x", "2"), key("app/new")], False),
    (CATALOGUED, "added", {"db": ["c"]}, False),
    (CATALOGUED, "removed", {"db": ["c"]}, True),
    (CATALOGUED, "removed", {"web": ["a"], "www": []}, False),
]


@MODES
@pytest.mark.parametrize(("condition", "event", "change", "triggers"), OF_KINDS)
def test_other_conditions_have_events_too(
    condition: Condition, event: str, change: Any, triggers: bool, live: bool
) -> None:
    world = World(event, condition=condition, live=live)
    [view] = condition.views(None)
    world.consul({view: SEEN[view]})
    assert world.runs()
    world.consul({view: change})
    assert world.runs() is triggers


@MODES
@pytest.mark.parametrize(
    ("names", "event", "triggers"),
    [
        (("db", "web"), "added", True),
        (("db", "web"), "removed", False),
        ((), "added", False),
        ((), "removed", True),
    ],
)
def test_a_service_that_is_matched_comes_with_its_instances(
    names: tuple[str, ...], event: str, triggers: bool, live: bool
) -> None:
    world = World(event, condition=ServicesCondition(regexp=""), live=live)
    world.consul({NAMES: {"web": []}, View(SERVICE, "web"): [web()]})
    assert world.runs()
    world.consul({NAMES: dict.fromkeys(names, ()), DB: [instance("db")]})
    assert world.runs() is triggers


# ---- runs -------------------------------------------------------------------------------------


@MODES
def test_a_task_that_never_ran_runs_whatever_happened(live: bool) -> None:
    world = World("removed", live=live)
    world.web(web())
    assert world.runs()


@MODES
@pytest.mark.parametrize(("change", "again"), [(SICK, False), (CAME, True)])
def test_what_changes_during_a_run_is_judged_when_it_has_ended(
    change: list[Any], again: bool, live: bool
) -> None:
    world = applied("added", live=live)
    world.web(*OTHER, instance("web", 3))
    assert world.start("t") is StartOutcome.STARTED
    world.web(*OTHER, *change, instance("web", 3))
    assert world.wanted()
    world.ends_as()
    assert world.runs() is again
    assert not world.wanted()


@MODES
def test_after_a_run_that_failed_before_its_apply_the_last_success_counts(live: bool) -> None:
    world = applied("added", live=live)
    world.web(*CAME)
    assert world.start("t") is StartOutcome.STARTED
    world.web(*SICK)
    world.ends_as("errored", retryable=True)
    assert world.start("t") is StartOutcome.DONE_ALREADY
    assert not world.state.wanted
    world.web(*CAME)
    world.clock.now += 600  # that data has failed: it waits for its retry
    assert world.runs()


@MODES
def test_after_a_run_that_failed_during_its_apply_everything_counts(live: bool) -> None:
    world = applied("added", live=live)
    world.web(*CAME)
    world.runs("errored", retryable=False, applying=True)
    world.web(web())
    assert world.runs()


@MODES
def test_a_person_gets_a_run_with_what_was_ignored(live: bool) -> None:
    world = applied("added", live=live)
    world.web(*SICK)
    world.ask("t")
    assert world.runs()
    assert world.state.done
    assert world.state.done.trigger == world.trigger("t")


@MODES
def test_the_retries_of_a_persons_wish_are_counted_although_its_data_was_ignored(
    live: bool,
) -> None:
    world = applied("added", live=live)
    world.web(*SICK)
    world.ask("t")
    world.runs("errored", retryable=True)
    world.take_over()
    assert world.state.failures == 1


# ---- what is kept, and what is gone -----------------------------------------------------------


def test_it_is_kept_for_tasks_with_events_alone() -> None:
    assert keys.fed("t") in applied("added").bucket.objects
    assert keys.fed("t") not in applied().bucket.objects


def test_the_last_success_and_the_run_are_kept() -> None:
    world = applied("added")
    first = world.state.done
    assert first
    world.web(*CAME)
    world.runs("errored", retryable=False)
    second = world.state.recent[0].run
    assert world.bucket.fed("t").keys() == {first.run, second}
    world.web(*CAME, instance("web", 3))
    world.runs()
    assert world.bucket.fed("t").keys() == {first.run, world.state.recent[0].run}


def test_who_loses_a_claim_does_not_replace_what_the_winner_is_fed_with() -> None:
    world = World("added")
    world.web(web())
    before_next(world.table, "claim", lambda: world.start("t"))
    assert world.start("t") is StartOutcome.BUSY
    assert world.bucket.fed("t").keys() == {world.running("t").id}


def test_snapshots_may_expire_between_two_changes() -> None:
    world = applied("added")
    world.web(*SICK)
    world.web(*OTHER)
    for name in world.bucket.superseded.copy():
        world.bucket.expire(name)
    world.web(*SICK)
    world.take_over()
    assert not world.runs()
    world.web(*CAME)
    assert world.runs()


@MODES
def test_if_it_is_gone_any_change_triggers_and_the_poller_says_so(live: bool) -> None:
    world = applied("added", live=live)
    done = world.state.done
    assert done
    world.bucket.expire(keys.fed("t"))
    if live:
        world.take_over()
    assert world.told == []  # nothing has changed
    world.web(*SICK)
    assert world.runs()
    assert set(world.told) == {
        f"what run {done.run} of task t was fed with is not stored, so any change triggers the task"
    }
    world.web(*OTHER)
    assert not world.runs()


def test_what_a_claim_could_not_store_is_gone_and_the_run_goes_on() -> None:
    world = World("added")
    world.web(web())
    with failing(world.bucket, "put_fed", Unavailable("S3")), pytest.raises(Unavailable):
        world.start("t")
    assert world.state.running
    world.clock.now += 60
    world.sweep()
    world.ends_as()
    world.web(*SICK)
    assert world.runs()


@pytest.mark.parametrize("how", ["gone", "altered", "of-another-version"])
def test_if_what_is_there_now_cannot_be_read_it_triggers(how: str) -> None:
    world = applied("added")
    world.web(*SICK)
    [name] = [each for each in world.bucket.objects if each.startswith(f"views/{WEB.id}/")][1:]
    if how == "gone":
        world.bucket.expire(name)
    else:
        world.bucket.write(name, b"[]")
    world.take_over()
    assert world.wanted()


# ---- who takes over, and what is configured ---------------------------------------------------


@pytest.mark.parametrize(("change", "triggers"), [(CAME, True), (SICK, False)])
def test_who_takes_over_derives_the_same(change: list[Any], triggers: bool) -> None:
    world = applied("added")
    world.web(*change)
    for _ in range(2):
        world.take_over()
        assert world.wanted() is triggers


def test_a_wish_of_a_poller_that_knows_no_events_is_dropped_by_the_runner() -> None:
    """An older version of the program, say, or a late event."""
    world = applied("added")
    world.web(*SICK)
    world.observe("t")
    assert world.wanted()
    assert world.start("t") is StartOutcome.DONE_ALREADY
    assert not world.wanted()


def test_a_changed_definition_triggers_whatever_happened() -> None:
    world = applied("added")
    world.configure("added", port=1)
    world.take_over()
    assert world.runs()
    world.web(*SICK)
    assert not world.runs()


def test_other_events_run_nothing_until_something_is_not_ignored_any_more() -> None:
    world = applied("added")
    world.configure("removed")
    world.take_over()
    assert not world.wanted()
    world.web(*SICK)
    assert not world.wanted()
    world.configure("health")
    world.take_over()
    assert world.runs()


# ---- the state --------------------------------------------------------------------------------

DONE = TaskState("t", done=Done("r-1", "f-1", "i-1"))
WISH = Wish(5.0, 5.0, "why", "f-2")


def test_what_is_ignored_is_not_wanted() -> None:
    wanted = replace(DONE, wanted={Reason.CHANGE: WISH})
    assert observe(wanted, "f-2", 6.0, None, "why", ignored=True).wanted == {}
    assert observe(DONE, "f-2", 6.0, None, "why", ignored=True) == DONE


def test_a_claim_drops_an_ignored_wish_only_if_it_is_the_one_that_was_loaded() -> None:
    wanted = replace(DONE, wanted={Reason.CHANGE: WISH})
    assert claim(wanted, "r-2", "f-2", "i-2", 6.0, ignored=True) == DONE
    assert claim(wanted, "r-2", "f-0", "i-0", 6.0, ignored=True) == wanted
    assert isinstance(claim(wanted, "r-2", "f-2", "i-2", 6.0), Claimed)


# ---- configuration ----------------------------------------------------------------------------


def bundle(own: str = "", defaults: str = "", condition: str = "") -> bytes:
    condition = condition or 'condition "services" { names = ["web"] }'
    task = f'name = "t"\nmodule = "m"\n{condition}\nserverless {{ {own} }}'
    return f"serverless {{ {defaults} }}\ntask {{\n{task}\n}}\n".encode()


def compiled(*files: bytes) -> TaskEntry:
    found = compile_bundle({f"{n}.hcl": text for n, text in enumerate(files)}).compiled
    assert found
    return found.tasks["t"]


KV = 'condition "consul-kv" { path = "a" }'
CATALOG = 'condition "catalog-services" { regexp = "" }'
SCHEDULE = 'condition "schedule" { cron = "@daily" }'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (bundle(), ()),
        (bundle('events = ["removed", "added", "added"]'), ("added", "removed")),
        (bundle("", 'events = ["removed"]'), ("removed",)),
        (bundle('events = ["added"]', 'events = ["removed"]'), ("added",)),
        (bundle('events = ["added"]\nhealth = "any"'), ("added",)),
        (bundle('events = ["health"]\nhealth = "any"'), ("health",)),
        # All that may happen.
        (bundle('events = ["added", "removed", "changed"]'), ()),
        (
            bundle('events = ["added", "removed", "changed"]\nhealth = "any"'),
            ("added", "removed", "changed"),
        ),
        (bundle('events = ["added", "removed"]', condition=CATALOG), ()),
        (bundle('events = ["added", "health"]', condition=KV), ("added",)),
        # A default for others.
        (bundle("", 'events = ["added"]', condition=SCHEDULE), ()),
    ],
)
def test_a_task_has_those_that_may_happen_and_are_listed(
    text: bytes, expected: tuple[str, ...]
) -> None:
    assert compiled(text).events == expected


def test_lists_of_several_files_are_one() -> None:
    more = b'serverless { events = ["removed"] }\n'
    assert compiled(bundle("", 'events = ["added"]'), more).events == ("added", "removed")


def test_they_are_no_part_of_the_definition_and_stored_where_they_are_set() -> None:
    some, every = compiled(bundle('events = ["added"]')), compiled(bundle())
    assert some == replace(every, events=("added",))
    for entry in (some, every):
        text = Generation(1, 1, {}, {"t": entry}).to_json()
        assert Generation.from_json(text).tasks == {"t": entry}
        assert ("events" in text) == bool(entry.events)


LIST = "write some of added, removed, changed, health"


@pytest.mark.parametrize(
    ("text", "place", "what", "fix"),
    [
        (bundle("", 'events = ["came"]'), "c.hcl:1:24", '"came" is not an event', LIST),
        (bundle('events = ["added", ""]'), "c.hcl:6:33", '"" is not an event', LIST),
        (bundle("events = []"), "c.hcl:6:23", "no event is listed", LIST),
        (
            bundle('events = ["health"]'),
            "c.hcl:6:23",
            'none of these events can trigger task "t"',
            'write some of added, removed, changed, or health = "any"',
        ),
        (
            bundle("", 'events = ["health"]', condition=KV),
            "c.hcl:1:23",
            'none of these events can trigger task "t"',
            "write some of added, removed, changed",
        ),
        (
            bundle('events = ["added"]', condition=SCHEDULE),
            "c.hcl:6:23",
            'none of these events can trigger task "t"',
            "remove it",
        ),
    ],
)
def test_what_would_trigger_nothing_is_an_error_with_its_place(
    text: bytes, place: str, what: str, fix: str
) -> None:
    [problem] = compile_bundle({"c.hcl": text}).problems
    assert (str(problem.place), problem.what, problem.fix) == (place, what, fix)
    assert problem.code is Code.INVALID_VALUE
