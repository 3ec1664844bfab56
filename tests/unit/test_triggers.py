"""What triggers a task of each kind, what does not, and what its module gets: from a change in
Consul to the files of the next run."""

import io
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from cts.conditions.catalog_services import CATALOG, CatalogServicesCondition
from cts.conditions.condition import Condition
from cts.conditions.consul_kv import KEY, KEYS, KvCondition
from cts.conditions.registry import NOTHING
from cts.conditions.services import LISTING, SERVICE, ServicesCondition
from cts.generation import Generation, TaskEntry
from cts.terraform.definition import Definition, Module
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer
from cts.workflow.poll import Poller, PollPorts
from cts.workflow.start import StartOutcome
from tests.fake_consul import instance
from tests.unit.system import System

WEB, DB, NAMES = View(SERVICE, "web"), View(SERVICE, "db"), View(LISTING)
APP, BELOW, SERVICES = View(KEY, "app"), View(KEYS, "app"), View(CATALOG)
BY_NAME, BY_REGEXP = ServicesCondition(("web",)), ServicesCondition(regexp="^w")
CRITICAL_TOO = ServicesCondition(("web",), filter='Checks.Status != ""')
CRITICAL = View(SERVICE, "web", filter='Checks.Status != ""')
ONE_KEY, PREFIX = KvCondition("app"), KvCondition("app", recurse=True)
CATALOGUED = CatalogServicesCondition("^w")

Answers = Mapping[View, Any]


def key(name: str, value: str = "", **facts: Any) -> dict[str, Any]:
    """A key as Consul answers it."""
    raised = {"LockIndex": 0, "Flags": 0, "CreateIndex": 5, "ModifyIndex": 5}
    return {**raised, "Key": name, "Value": b64encode(value.encode()).decode() or None, **facts}


def web(part: str = "", **fields: Any) -> dict[Any, Any]:
    """An instance of `web`, of which fields of one part are others."""
    made = instance("web", Tags=["a", "b"])
    return {**made, part: {**made[part], **fields}} if part else made


def checked(status: str, **facts: Any) -> dict[str, Any]:
    return {**web(), "Checks": [{"CheckID": "c", "Status": status, **facts}]}


class Tasks(System):
    """A poller and a runner with the same table and buckets. What Consul answers is given."""

    def __init__(self, **conditions: tuple[Condition, ...]) -> None:
        super().__init__()
        for name, (condition, *inputs) in conditions.items():
            definition = Definition(name, Module("./m"), condition, inputs=tuple(inputs))
            self.bucket.put_definition(definition)
            self.tasks[name] = TaskEntry(definition.digest, condition, inputs=tuple(inputs))
        self.publish()
        self.index = 7
        self.poller = self._poller()

    def _poller(self) -> Poller:
        ports = PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=self.clock,
            new_id=lambda: "why",
        )
        poller = Poller(ports, Generation(1, 1, {}, self.tasks))
        poller.load()
        assert poller.raise_epoch(None, Lease(1, "me", 1, 0, 0, 0))
        poller.load()
        poller.look({}, derive_all=True)
        return poller

    def consul(self, answers: Answers) -> None:
        self.index += 1
        self.poller.look({v: Answer(self.index, snapshot(v, raw)) for v, raw in answers.items()})

    def runs(self, task: str) -> str | None:
        """What its module gets of Consul, if the task is due; its run succeeds."""
        if self.start(task) is not StartOutcome.STARTED:
            return None
        run = self.running(task)
        self.begins(run)
        self.result(run, "applied")
        self.ends(run)
        archive = self.bucket.run_object(task, run.id, "archive.zip")
        with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
            return made.read("terraform.tfvars").decode()


SEEN: Answers = {
    WEB: [web()],
    CRITICAL: [checked("critical")],
    DB: [instance("db")],
    NAMES: {"web": [], "db": []},
    SERVICES: {"web": ["a"], "db": ["c"]},
    APP: [key("app", "1")],
    BELOW: [key("app", "1"), key("app2/x", "2")],
}


def seen(tasks: Tasks) -> Answers:
    """What these tasks look at, of all this."""
    known = {*tasks.poller.views(), WEB} if NAMES in tasks.poller.views() else tasks.poller.views()
    return {view: raw for view, raw in SEEN.items() if view in known}


def applied(*conditions: Condition) -> Tasks:
    """A task that has run with all this."""
    return deepcopy(_applied(conditions))


@cache
def _applied(conditions: tuple[Condition, ...]) -> Tasks:
    made = Tasks(t=conditions)
    made.consul(seen(made))
    assert made.runs("t") is not None
    return made


TRIGGERS = [
    # A service by name or regular expression: whatever the module gets of an instance.
    *(
        pytest.param(condition, {WEB: [changed]}, id=f"{what}-{how}")
        for how, condition in (("names", BY_NAME), ("regexp", BY_REGEXP))
        for what, changed in {
            "id": web("Service", ID="web-9"),
            "kind": web("Service", Kind="connect-proxy"),
            "address": web("Service", Address="10.9.9.9"),
            "port": web("Service", Port=81),
            "meta": web("Service", Meta={"a": "1"}),
            "set-of-tags": web("Service", Tags=["a"]),
            "namespace": web("Service", Namespace="team"),
            "node": web("Node", Node="node-9"),
            "node-id": web("Node", ID="22222222-2222-3333-4444-555555555555"),
            "node-address": web("Node", Address="10.9.9.9"),
            "node-datacenter": web("Node", Datacenter="dc2"),
            "node-tagged-addresses": web("Node", TaggedAddresses={"wan": "1.1.1.1"}),
            "node-meta": web("Node", Meta={"rack": "1"}),
        }.items()
    ),
    pytest.param(BY_NAME, {WEB: [web(), instance("web", 2)]}, id="instance-added"),
    pytest.param(BY_NAME, {WEB: []}, id="instance-removed-or-critical"),
    pytest.param(BY_REGEXP, {WEB: []}, id="health-with-regexp"),
    pytest.param(BY_REGEXP, {NAMES: {"db": []}}, id="service-gone"),
    pytest.param(CRITICAL_TOO, {CRITICAL: [checked("warning")]}, id="status"),
    pytest.param(
        CRITICAL_TOO,
        {CRITICAL: [{**web(), "Checks": [{"CheckID": "_node_maintenance"}]}]},
        id="maintenance",
    ),
    pytest.param(replace(BY_NAME, trigger_only=True), {WEB: []}, id="services-for-trigger-only"),
    # Keys.
    pytest.param(ONE_KEY, {APP: [key("app", "2")]}, id="key-changed"),
    pytest.param(ONE_KEY, {APP: []}, id="key-deleted"),
    pytest.param(PREFIX, {BELOW: [key("app", "1"), key("app2/x", "3")]}, id="key-below-changed"),
    pytest.param(
        PREFIX, {BELOW: [key("app", "1"), key("app/y"), key("app2/x", "2")]}, id="key-below-created"
    ),
    pytest.param(PREFIX, {BELOW: [key("app", "1")]}, id="key-below-deleted"),
    pytest.param(PREFIX, {BELOW: []}, id="all-keys-deleted"),
    pytest.param(replace(ONE_KEY, trigger_only=True), {APP: []}, id="key-for-trigger-only"),
    # Names in the catalog.
    pytest.param(CATALOGUED, {SERVICES: {"web": [], "www": [], "db": []}}, id="name-came"),
    pytest.param(CATALOGUED, {SERVICES: {"db": ["c"]}}, id="name-gone"),
    pytest.param(CATALOGUED, {SERVICES: {"www": ["a"], "db": ["c"]}}, id="name-replaced"),
    pytest.param(
        replace(CATALOGUED, trigger_only=True), {SERVICES: {}}, id="catalog-for-trigger-only"
    ),
]


@pytest.mark.parametrize(("condition", "change"), TRIGGERS)
def test_it_triggers(condition: Condition, change: Answers) -> None:
    tasks = applied(condition)
    tasks.consul(change)
    assert tasks.runs("t") is not None


TRIGGERS_NOTHING = [
    *(
        pytest.param(BY_NAME, {WEB: [changed]}, id=what)
        for what, changed in {
            "registered-again": web(),
            "tag-order": web("Service", Tags=["b", "a"]),
            "weights": web("Service", Weights={"Passing": 9}),
            "service-tagged-addresses": web("Service", TaggedAddresses={"lan": {"Port": 1}}),
            "tag-override": web("Service", EnableTagOverride=True),
            "indices": web("Service", ModifyIndex=99),
            "check-output": checked("passing", Output="200 OK", Notes="new"),
        }.items()
    ),
    pytest.param(
        CRITICAL_TOO, {CRITICAL: [checked("critical", Output="timeout")]}, id="output-of-critical"
    ),
    pytest.param(BY_REGEXP, {NAMES: {"web": ["new"], "api": []}}, id="service-outside-the-regexp"),
    pytest.param(ONE_KEY, {APP: [key("app", "1", ModifyIndex=9)]}, id="same-value-again"),
    pytest.param(ONE_KEY, {APP: [key("app", "1", Flags=7)]}, id="flags"),
    pytest.param(ONE_KEY, {APP: [key("app", "1", LockIndex=1, Session="s")]}, id="lock"),
    pytest.param(
        PREFIX, {BELOW: [key("app2/x", "2", Session="s"), key("app", "1")]}, id="lock-and-order"
    ),
    pytest.param(CATALOGUED, {SERVICES: {"web": ["new"], "db": ["c"]}}, id="tags-in-the-catalog"),
    pytest.param(CATALOGUED, {SERVICES: {"web": ["a"], "api": []}}, id="name-that-does-not-match"),
]


@pytest.mark.parametrize(("condition", "change"), TRIGGERS_NOTHING)
def test_it_triggers_nothing(condition: Condition, change: Answers) -> None:
    tasks = applied(condition)
    tasks.consul(change)
    assert tasks.runs("t") is None


INPUTS = [
    pytest.param((ONE_KEY, BY_NAME), {WEB: [web("Service", Port=81)]}, "81", id="services-for-kv"),
    pytest.param((CATALOGUED, BY_NAME), {WEB: []}, "services = {}", id="for-the-catalog"),
    pytest.param((CATALOGUED, ONE_KEY), {APP: [key("app", "new")]}, '"new"', id="kv-for-catalog"),
    pytest.param((BY_NAME, PREFIX), {BELOW: [key("app3")]}, '"app3"', id="kv-for-services"),
    pytest.param((ONE_KEY, BY_REGEXP), {NAMES: {}}, "services = {}", id="regexp-for-kv"),
    pytest.param((NOTHING, ONE_KEY), {APP: [key("app", "new")]}, '"new"', id="kv-for-nothing"),
]


@pytest.mark.parametrize(("conditions", "change", "fed"), INPUTS)
def test_a_module_input_triggers_nothing_and_the_next_run_is_fed_with_it(
    conditions: tuple[Condition, ...], change: Answers, fed: str
) -> None:
    tasks = applied(*conditions)
    tasks.consul(change)
    assert tasks.runs("t") is None
    tasks.ask("t")
    assert fed in (tasks.runs("t") or "")


def test_changed_tags_in_the_catalog_reach_the_module_with_the_next_name() -> None:
    tasks = applied(CATALOGUED)
    tasks.consul({SERVICES: {"web": ["z", "B"], "db": ["c"]}})
    assert tasks.runs("t") is None
    tasks.consul({SERVICES: {"web": ["z", "B"], "www": [], "db": ["c"]}})
    given = tasks.runs("t") or ""
    assert '  "web" = ["B", "z"]\n  "www" = []\n' in given
    assert "db" not in given


def test_a_name_that_comes_and_goes_between_two_runs_triggers_nothing() -> None:
    tasks = applied(CATALOGUED)
    tasks.consul({SERVICES: {"web": ["a"], "www": []}})
    tasks.consul({SERVICES: {"web": ["a"], "db": ["c"]}})
    assert tasks.runs("t") is None


def test_a_second_task_on_the_same_catalog_is_triggered_by_no_tag() -> None:
    tasks = Tasks(one=(CATALOGUED,), two=(CATALOGUED, ONE_KEY))
    tasks.consul(seen(tasks))
    assert None not in (tasks.runs("one"), tasks.runs("two"))
    tasks.consul({SERVICES: {"web": ["new"], "db": ["c"]}})
    assert (tasks.runs("one"), tasks.runs("two")) == (None, None)


def test_before_all_its_inputs_were_read_a_task_does_not_run() -> None:
    tasks = Tasks(t=(ONE_KEY, BY_REGEXP))
    tasks.consul({APP: [key("app", "1")]})
    assert tasks.runs("t") is None
    tasks.consul({NAMES: {"web": []}})
    assert tasks.runs("t") is None
    tasks.consul({WEB: [web()]})
    assert "web-1" in (tasks.runs("t") or "")


def test_what_is_not_there_is_an_answer_and_its_creation_triggers() -> None:
    tasks = Tasks(t=(ONE_KEY, BY_NAME))
    tasks.consul({APP: None, WEB: []})
    assert "consul_kv = {}\nservices  = {}\n" in (tasks.runs("t") or "")
    tasks.consul({APP: [key("app")]})
    assert '"app" = ""' in (tasks.runs("t") or "")
