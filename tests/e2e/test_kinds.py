"""Every kind of condition, with every kind of module input: Terraform holds what Consul has."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from cts.run.state import Reason

if TYPE_CHECKING:
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

HOSTILE = {
    "kinds/quotes": 'say "hi" \\ ',
    "kinds/templates": "${x} $${y} %{ if true }z%{ endif }",
    "kinds/lines": "a\nb\r\n\tc\n",
    "kinds/json": json.dumps({"a": ["${b}", {"c": "ü → 🚒"}]}),
    "kinds/ü key": "",
    "kinds/": "",
    "kinds2": "a prefix is no folder",
}
KV_INPUT = 'module_input "consul-kv" {\n path = "kinds/quotes"\n }'
CATALOG = 'condition "catalog-services" {\n regexp = "^kinds-"\n }'
EVERY_FIVE_SECONDS = 'condition "schedule" {\n cron = "*/5 * * * * * *"\n }'
ALL_KEYS = '"consul-kv" {\n path = "kinds"\n recurse = true\n }'
NAMED = '"services" {\n names = ["kinds-a", "kinds-b"]\n }'
MATCHED = '"services" {\n regexp = "^kinds-"\n cts_user_defined_meta = { owner = "o${1}" }\n }'

TASKS: dict[str, tuple[str, set[str]]] = {
    "kinds-names-kv": (f"condition {NAMED}\n{KV_INPUT}", {"services", "consul_kv"}),
    "kinds-kv": ('condition "consul-kv" {\n path = "kinds/lines"\n }', {"consul_kv"}),
    "kinds-kv-services": (
        f"condition {ALL_KEYS}\nmodule_input {MATCHED}",
        {"services", "consul_kv"},
    ),
    "kinds-catalog": (
        f"{CATALOG}\nmodule_input {NAMED}\nmodule_input {ALL_KEYS}",
        {"catalog_services", "services", "consul_kv"},
    ),
    "kinds-schedule": (
        f"{EVERY_FIVE_SECONDS}\nmodule_input {NAMED}\nmodule_input {ALL_KEYS}",
        {"services", "consul_kv"},
    ),
}
"""Task -> its conditions, and the variables they fill."""


def configuration() -> dict[str, str]:
    files = {}
    for task, (conditions, variables) in TASKS.items():
        names = sorted({*variables, "services"})
        declared = "".join(f'variable "{name}" {{\n  type = any\n}}\n' for name in names)
        kept = "".join(f"    {name} = var.{name}\n" for name in names)
        files[f"modules/{task}/main.tf"] = (
            f'{declared}\nresource "terraform_data" "kept" {{\n  input = {{\n{kept}  }}\n}}\n'
        )
        files[f"{task}.hcl"] = (
            f'task {{\n name = "{task}"\n module = "./modules/{task}"\n'
            f" buffer_period {{\n enabled = false\n }}\n{conditions}\n}}\n"
        )
    return files


def held(world: World, task: str) -> Any:
    """What Terraform's state of a task holds."""
    state = world.terraform_state(task)
    if state is None or not state["resources"]:
        return None
    return state["resources"][0]["instances"][0]["attributes"]["input"]["value"]


def expected(world: World, task: str) -> dict[str, Any]:
    """The variables of a task, made of Consul's own answers."""
    keys, names = _keys(world, "kinds"), ("kinds-a", "kinds-b")
    kv = {"kinds-names-kv": "kinds/quotes", "kinds-kv": "kinds/lines"}.get(task)
    services = world.expected(*names)
    if task == "kinds-kv-services":
        services = {
            key: row | {"cts_user_defined_meta": {"owner": "o${1}"}}
            for key, row in services.items()
        }
    every = {
        "services": {} if task == "kinds-kv" else services,
        "consul_kv": {key: text for key, text in keys.items() if kv in (None, key)},
        "catalog_services": _catalog(world),
    }
    return {name: every[name] for name in {*TASKS[task][1], "services"}}


def _keys(world: World, prefix: str) -> dict[str, str]:
    with world.stack.consul_client() as consul:
        answer = consul.get(f"/v1/kv/{prefix}", params={"recurse": ""})
    found = answer.json() if answer.is_success else []
    return {each["Key"]: b64decode(each["Value"] or "").decode() for each in found}


def _catalog(world: World) -> dict[str, list[str]]:
    with world.stack.consul_client() as consul:
        found = consul.get("/v1/catalog/services").json()
    return {name: sorted(tags) for name, tags in found.items() if name.startswith("kinds-")}


def put(world: World, key: str, text: str) -> None:
    with world.stack.consul_client() as consul:
        consul.put(f"/v1/kv/{quote(key)}", content=text.encode()).raise_for_status()


def delete(world: World, key: str) -> None:
    with world.stack.consul_client() as consul:
        consul.delete(f"/v1/kv/{quote(key)}").raise_for_status()


def applied(world: World, *tasks: str) -> dict[str, int]:
    """Wait until these tasks rest and hold what Consul has; how many runs each has had."""

    def right(task: str) -> bool:
        state, runs = world.state(task), world.runs(task)
        rests = state.done is not None and state.running is None
        if not rests or Reason.CHANGE in state.wanted or not runs[-1].status.succeeded:
            return False
        return bool(held(world, task) == expected(world, task))

    for task in tasks:
        world.until(lambda task=task: right(task), f"{task} to hold what Consul has")  # type: ignore[misc]
    return {task: len(world.runs(task)) for task in TASKS}


def test_each_kind_is_triggered_by_what_it_looks_at_and_given_the_rest(world: World) -> None:
    for key, text in HOSTILE.items():
        put(world, key, text)
    world.catalog.register("kinds-a-1", "kinds-a", "10.6.0.1", 80, Tags=["b", 'a"${'])
    answer = world.publish(configuration())
    assert answer.published
    runs = applied(world, *TASKS)
    assert runs == dict.fromkeys(TASKS, 1)

    world.catalog.register("kinds-b-1", "kinds-b", "10.6.0.2", 80)
    triggered = ["kinds-names-kv", "kinds-catalog", "kinds-schedule"]
    now = applied(world, *triggered)
    assert now == {task: 2 if task in triggered else 1 for task in TASKS}

    put(world, "kinds/lines", "changed\n")
    triggered = ["kinds-kv", "kinds-kv-services", "kinds-schedule"]
    former, now = now, applied(world, *triggered)
    assert now == {task: runs + (task in triggered) for task, runs in former.items()}

    delete(world, "kinds/lines")
    former, now = now, applied(world, *triggered)
    assert now == {task: runs + (task in triggered) for task, runs in former.items()}
    assert held(world, "kinds-kv")["consul_kv"] == {}

    # A tag is no name: it triggers only who gets instances.
    world.catalog.register("kinds-a-1", "kinds-a", "10.6.0.1", 80, Tags=["c"])
    triggered = ["kinds-names-kv", "kinds-schedule"]
    former, now = now, applied(world, *triggered)
    assert now == {task: runs + (task in triggered) for task, runs in former.items()}

    tick = world.state("kinds-schedule").wanted[Reason.SCHEDULE].due_at
    world.until(
        lambda: world.state("kinds-schedule").wanted[Reason.SCHEDULE].due_at > tick + 5,
        "two ticks with nothing to do",
    )
    assert len(world.runs("kinds-schedule")) == now["kinds-schedule"]
    whys = [run.why for run in world.runs("kinds-schedule")]
    assert whys[0][0] == "change"
    assert set(whys[1:]) == {("schedule",)}
