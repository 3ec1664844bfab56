"""Random histories of a real Consul: what tasks are given, and what triggers them, is what an
independent model of CTS's documents says. In both modes, with and without HTTPS and ACLs."""

import asyncio
import functools
import io
import itertools
import os
import ssl
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from cts.adapters.consul import Consul
from cts.conditions.catalog_services import CatalogServicesCondition
from cts.conditions.condition import Condition
from cts.conditions.consul_kv import KvCondition
from cts.conditions.intentions import IntentionsCondition
from cts.conditions.nodes import NodesCondition
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import ServicesCondition
from cts.config.modules.tfvars import read_variables
from cts.generation import Generation, TaskEntry
from cts.run.state import Reason
from cts.terraform import root
from cts.terraform.definition import Definition, Module
from cts.workflow import loading, poll, start
from cts.workflow.live import live
from cts.workflow.once import once
from cts.workflow.watcher import LivePorts
from local import consul as local
from tests.contract.consul_model import Instance, Model, Node
from tests.fake_consul import Token
from tests.fakes import Clock
from tests.unit.system import System

STEPS = int(os.environ.get("INPUT_STEPS", "25"))
"""By hand: INPUT_STEPS=500 for each of the four."""
SEEN_WITHIN = 30.0
NAMES = ("web", "web-api", "db", "my web")
NODES = ("n1", "n2", "n3")
KEYS = ("app", "app/port", "app2/x", "conf/a", "conf/ü b", "conf/")
TEXTS = ("", "1", 'say "hi"', "${x} %{y}", "a\nb\n", '{"a": ["${b}"]}', "back\\slash", "ü→\t")
TAGS = ("a", "B", 'q"', "${t}", "ü", "")
OWNER = (("owner", "ops"),)


class RealTime(Clock):
    def __call__(self) -> float:
        return time.time()


class Inline(Executor):
    """Everything happens in one thread, for the fakes have no locks."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        made: Future[Any] = Future()
        try:
            made.set_result(call(*args, **more))
        except Exception as error:  # noqa: BLE001
            made.set_exception(error)
        return made


Expected = Callable[[Model], Any]
Specs = dict[str, tuple[Condition, tuple[Condition, ...], Expected, dict[str, Expected]]]
SPECS: Specs = {
    "named": (
        ServicesCondition(("web", "my web"), meta=OWNER),
        (KvCondition("conf/", recurse=True),),
        lambda m: m.services("web|my web", exactly=True, meta={"owner": "ops"}),
        {
            "services": lambda m: m.services("web|my web", exactly=True, meta={"owner": "ops"}),
            "consul_kv": lambda m: m.keys("conf/", recurse=True),
        },
    ),
    "matched": (
        ServicesCondition(regexp="^web"),
        (),
        lambda m: m.services("^web", exactly=False, meta={}),
        {"services": lambda m: m.services("^web", exactly=False, meta={})},
    ),
    "silent": (
        ServicesCondition(("db",), trigger_only=True),
        (),
        lambda m: m.services("db", exactly=True, meta={}),
        {"services": lambda _: {}},
    ),
    "catalog": (
        CatalogServicesCondition("web"),
        (ServicesCondition(("db",)),),
        lambda m: sorted(m.catalog("web")),
        {
            "catalog_services": lambda m: m.catalog("web"),
            "services": lambda m: m.services("db", exactly=True, meta={}),
        },
    ),
    "hosts": (
        NodesCondition(filter='Node != "local"'),
        (),
        lambda m: m.hosts(),
        {"nodes": lambda m: m.hosts(), "services": lambda _: {}},
    ),
    "mesh": (
        IntentionsCondition(),
        (),
        lambda m: m.mesh(),
        {"intentions": lambda m: m.mesh(), "services": lambda _: {}},
    ),
    "key": (
        KvCondition("app/port"),
        (),
        lambda m: m.keys("app/port", recurse=False),
        {"consul_kv": lambda m: m.keys("app/port", recurse=False), "services": lambda _: {}},
    ),
    "keys": (
        KvCondition("/app", recurse=True),
        (),
        lambda m: m.keys("app", recurse=True),
        {"consul_kv": lambda m: m.keys("app", recurse=True), "services": lambda _: {}},
    ),
    "nightly": (
        ScheduleCondition("0 0 1 1 * 2099"),
        (ServicesCondition(("web",)), KvCondition("app/port")),
        lambda _: None,
        {
            "services": lambda m: m.services("web", exactly=True, meta={}),
            "consul_kv": lambda m: m.keys("app/port", recurse=False),
        },
    ),
}
"""Task -> condition, module inputs, what it looks at, what each variable of its module is."""


class World:
    """A real Consul, the model of it, and pollers, runners and trackers on fakes."""

    def __init__(
        self, server: local.Consul, random: Random, *, secure: bool, specs: Specs = SPECS
    ) -> None:
        self.server, self.random, self.specs = server, random, specs
        self.http = server.client()
        self.model, self.system = Model(), System(cap=50, clock=RealTime())
        self.numbers = itertools.count(1)
        self.intentions: dict[tuple[str, str], str] = {}
        """Source and destination -> Consul's ID."""
        self.system.tasks = {name: self._entry(name) for name in self.specs}
        self.system.publish()
        self.trusted = ssl.create_default_context(cafile=server.ca) if secure else None
        self.token = Token(local.WATCHER if secure else "")

    async def authorities(self) -> ssl.SSLContext:
        assert self.trusted
        return self.trusted

    async def connection(self) -> str:
        return ""

    def poller(self) -> LivePorts:
        table = self.system.table
        ports = poll.PollPorts(
            leases=table,
            watch=table,
            stale=table,
            snapshots=self.system.bucket,
            bus=self.system.bus,
            now=time.time,
            new_id=lambda: f"look-{next(self.numbers)}",
        )
        return LivePorts(
            ports=ports,
            generations=self,
            consul=lambda: Consul(self.server.address, self.token, self.authorities),
            has_state=lambda _task: False,
            connection=self.connection,
            thread=Inline,
            chance=self.random.random,
            owner=f"poller-{next(self.numbers)}",
            until=time.time() + 3600,
            on_beat=lambda _: None,
            on_change=lambda _: None,
            on_trouble=lambda _: None,
        )

    def _entry(self, name: str) -> TaskEntry:
        condition, inputs, *_ = self.specs[name]
        made = Definition(name, Module("./m"), condition, inputs=inputs)
        self.system.bucket.put_definition(made)
        return TaskEntry(made.digest, condition, inputs=inputs)

    def current(self) -> Generation | None:
        live = self.system.table.live
        assert live
        return self.system.bucket.generation(live)

    # ---- what happens in Consul -----------------------------------------------------------

    def step(self) -> str:
        what = self.random.choice(
            [self.register, self.register, self.deregister, self.remove_node, self.node_health,
             self.put_key, self.put_key, self.delete_key, self.delete_keys,
             self.put_intention, self.delete_intention]
        )  # fmt: skip
        return f"{what.__name__} {what()}"

    def register(self) -> str:
        pick, node_name = self.random.choice, self.random.choice(NODES)
        service = pick(NAMES)
        # Consul 1.8.7 does not tell a held query of a service that its instance got another name.
        id_ = f"{node_name}-{NAMES.index(service)}-{pick('xy')}"
        node = Node(
            f"{NODES.index(node_name):08}-0000-4000-8000-000000000000",
            f"10.0.0.{self.random.randint(1, 3)}",
            {"rack": pick(TEXTS)} if self.random.random() < 0.3 else {},
        )
        made = Instance(
            node_name,
            service,
            self.random.randint(0, 2),
            self.random.sample(TAGS, self.random.randint(0, 3)),
            {"note": pick(TEXTS)} if self.random.random() < 0.5 else {},
            pick(["", "10.1.1.1"]),
            pick(["passing", "passing", "warning", "critical"]),
        )
        self._catalog("register", {
            "ID": node.id, "Node": node_name, "Address": node.address, "NodeMeta": node.meta,
            "Service": {
                "ID": id_, "Service": made.service, "Port": made.port, "Tags": made.tags,
                "Meta": made.meta, "Address": made.address,
            },
            "Check": {
                "CheckID": f"check:{id_}", "Name": "c", "ServiceID": id_, "Status": made.status,
                "Output": f"{self.random.random()}",
            },
        })  # fmt: skip
        self.model.nodes[node_name], self.model.instances[id_] = node, made
        return f"{id_} {made} {node}"

    def deregister(self) -> str:
        if not self.model.instances:
            return "nothing"
        id_ = self.random.choice(sorted(self.model.instances))
        gone = self.model.instances.pop(id_)
        self._catalog("deregister", {"Node": gone.node, "ServiceID": id_})
        return id_

    def remove_node(self) -> str:
        node = self.random.choice(NODES)
        self._catalog("deregister", {"Node": node})
        self.model.nodes.pop(node, None)
        self.model.critical_nodes.discard(node)
        self.model.instances = {i: e for i, e in self.model.instances.items() if e.node != node}
        return node

    def node_health(self) -> str:
        if not self.model.nodes:
            return "nothing"
        name, ill = self.random.choice(sorted(self.model.nodes)), self.random.random() < 0.5
        check = {"CheckID": "node", "Name": "n", "Status": "critical" if ill else "passing"}
        self._catalog("register", {"Node": name, "SkipNodeUpdate": True, "Check": check})
        (self.model.critical_nodes.add if ill else self.model.critical_nodes.discard)(name)
        return f"{name} {ill}"

    def put_key(self) -> str:
        key, text = self.random.choice(KEYS), self.random.choice(TEXTS)
        self.http.put(f"/v1/kv/{quote(key)}", content=text.encode()).raise_for_status()
        self.model.kv[key] = text
        return f"{key} {text!r}"

    def delete_key(self) -> str:
        key = self.random.choice(KEYS)
        self.http.delete(f"/v1/kv/{quote(key)}").raise_for_status()
        self.model.kv.pop(key, None)
        return key

    def delete_keys(self) -> str:
        prefix = self.random.choice(["app", "conf/"])
        self.http.delete(f"/v1/kv/{prefix}", params={"recurse": ""}).raise_for_status()
        self.model.kv = {k: v for k, v in self.model.kv.items() if not k.startswith(prefix)}
        return prefix

    def put_intention(self) -> str:
        ends = self.random.choice("*ab"), self.random.choice("*bc")
        action, text = self.random.choice(["allow", "deny"]), self.random.choice(TEXTS)
        body = {
            "SourceName": ends[0], "DestinationName": ends[1], "SourceType": "consul",
            "Action": action, "Description": text, "Meta": {"note": text},
        }  # fmt: skip
        if ends in self.intentions:
            self._intention("PUT", ends, body)
        else:
            made = self.http.post("/v1/connect/intentions", json=body).raise_for_status()
            self.intentions[ends] = made.json()["ID"]
        self.model.intentions[ends] = action, text
        return f"{ends} {action} {text!r}"

    def delete_intention(self) -> str:
        if not self.intentions:
            return "nothing"
        ends = self.random.choice(sorted(self.intentions))
        self._intention("DELETE", ends)
        del self.model.intentions[ends], self.intentions[ends]
        return f"{ends}"

    def _intention(self, method: str, ends: tuple[str, str], body: Any = None) -> None:
        path = f"/v1/connect/intentions/{self.intentions[ends]}"
        self.http.request(method, path, json=body).raise_for_status()

    def _catalog(self, what: str, body: Any) -> None:
        self.http.put(f"/v1/catalog/{what}", json=body).raise_for_status()

    # ---- what tasks get -------------------------------------------------------------------

    def given(self, task: str) -> dict[str, Any] | None:
        """The variables a run would get now; None while something was not read."""
        system = self.system
        loaded = loading.load(system.table, system.bucket, system.tasks[task])
        if loaded is None:
            return None
        definition = self.system.bucket.definition(self.system.tasks[task].definition)
        return _read(root.values(definition, loaded.read).encode())

    def expected(self, task: str) -> dict[str, Any]:
        return {name: value(self.model) for name, value in self.specs[task][3].items()}

    def looked_at(self) -> dict[str, Any]:
        return {task: spec[2](self.model) for task, spec in self.specs.items()}

    def run_what_is_wanted(self) -> set[str]:
        """Each task for which something is wanted runs, and gets what the model says."""
        ran = set()
        for task in self.specs:
            if Reason.CHANGE in self.system.table.state(task).wanted:
                assert self.system.start(task) is start.StartOutcome.STARTED
                run = self.system.running(task)
                body = self.system.bucket.run_object(task, run.id, "archive.zip")
                with zipfile.ZipFile(io.BytesIO(body or b"")) as archive:
                    fed = _read(archive.read("terraform.tfvars"))
                assert fed == self.expected(task), task
                self.system.begins(run)
                self.system.result(run, "applied", terraform="1.11.4")
                self.system.ends(run)
                ran.add(task)
        return ran


@functools.cache
def _read(text: bytes) -> dict[str, Any]:
    variables, problems = read_variables(text, "terraform.tfvars")
    assert not problems
    return variables


@pytest.fixture(params=["http", "https"], scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[local.Consul, bool]]:
    secure = request.param == "https"
    server = local.Consul(tmp_path_factory.mktemp("consul"), secure=secure)
    server.start()
    yield server, secure
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["live", "poll"])
def test_tasks_are_given_what_consul_has_and_triggered_by_what_they_look_at(
    server: tuple[local.Consul, bool], mode: str, request: pytest.FixtureRequest
) -> None:
    seed = f"{request.config.getoption('randomly_seed', 0)} {mode}"
    consul, secure = server
    world = World(consul, Random(seed), secure=secure)
    try:
        asyncio.run(_history(world, mode))
    finally:
        for node in NODES:
            world._catalog("deregister", {"Node": node})
        world.http.delete("/v1/kv/", params={"recurse": ""})
        while world.intentions:
            world.delete_intention()
        world.http.close()


async def _history(world: World, mode: str) -> None:
    watching = asyncio.create_task(live(world.poller())) if mode == "live" else None
    told = ["start"]
    before: dict[str, Any] = {}
    try:
        for _ in range(STEPS):
            await _until_seen(world, watching is None, told)
            now = world.looked_at()
            triggered = {task for task in SPECS if before.get(task, ...) != now[task]}
            assert world.run_what_is_wanted() == triggered, told[-3:]
            before = now
            told.append(world.step())
    finally:
        if watching:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _until_seen(world: World, is_poll: bool, told: list[str]) -> None:
    """Wait until each task would be given what the model says."""
    deadline = time.monotonic() + SEEN_WITHIN
    while True:
        if is_poll:
            await once(world.poller())
        await asyncio.sleep(0.01)
        differs = [task for task in SPECS if world.given(task) != world.expected(task)]
        if not differs:
            return
        if time.monotonic() > deadline:
            task = differs[0]
            assert world.given(task) == world.expected(task), (task, told[-3:])
