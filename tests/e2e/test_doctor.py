"""`cts doctor` finds faults that are planted in a deployed stack, each with what to do."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.consul import WATCHER
from tests.e2e.conftest import running
from tests.e2e.faults import lose_poller, watch
from tests.e2e.people import Person
from tests.e2e.world import SELDOM, task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
BLOCK = """
task {{
  name   = "{name}"
  module = "{module}"
  {more}
  condition "services" {{
    names = ["doc-web"]
  }}
}}
"""
KEY = """
task {
  name   = "doc-key"
  module = "./modules/key"
  module_input "services" {
    names = ["doc-web"]
  }
  condition "consul-kv" {
    path = "doc/key"
  }
}
"""
KEY_MODULE = """
variable "services" {
  type = any
}

variable "consul_kv" {
  type = map(string)
}
"""
ROLE = 'serverless { role_arn = "arn:aws:iam::000000000000:role/absent" }'
SECRET = """serverless { environment = { FW = "{{ env \\"FW_TOKEN\\" }}" } }"""
Healthy = tuple[list[dict[str, Any]], list[str], subprocess.CompletedProcess[str]]
"""Of a healthy stack: the warnings, the areas that could not be checked, what the command said."""
NO_BUILDS = "Cannot have more than 0 builds in queue for the account"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Healthy]]:
    """Consul is served over HTTPS, and denies whatever the stack's token may not do. The stack is
    looked at before the first fault is planted."""
    with running(
        tmp_path_factory.mktemp("stack"), secure=True, denials=True, lane="build"
    ) as world:
        world.catalog.register("doc-1", "doc-web", "10.9.0.1", 80)
        module = {"modules/key/main.tf": KEY_MODULE}
        world.publish({**module, "doc.hcl": task("doc-web", "doc-web") + KEY})
        world.applied_right("doc-web", "doc-web")
        found = world.until(lambda: without_problem(world), "no problem", every=SELDOM)
        unchecked = [each["area"] for each in of(found, "unchecked")]
        yield world, (of(found, "warning"), unchecked, world.cts("doctor"))


@pytest.fixture
def world(stack: tuple[World, Healthy]) -> World:
    return stack[0]


def findings(world: World, **env: str) -> list[dict[str, Any]]:
    done = world.cts("doctor", "--json", **env)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["healthy"] else 1)
    listed: list[dict[str, Any]] = found["findings"]
    return listed


def of(findings: Iterable[dict[str, Any]], level: str) -> list[dict[str, Any]]:
    return [each for each in findings if each["level"] == level]


def without_problem(world: World) -> list[dict[str, Any]]:
    """All findings, if none is a problem."""
    found = findings(world)
    return [] if of(found, "problem") else found


def fixes(world: World, whats: Iterable[str]) -> dict[str, str]:
    """Which of these a problem says, each with what to do."""
    found = of(findings(world), "problem")
    return {what: each["fix"] for what in whats for each in found if what in each["what"]}


@contextmanager
def found(world: World, fix_of: Mapping[str, str]) -> Iterator[None]:
    """Wait until findings say all of these, each with what to do; and, once the body has taken the
    faults back, until none does."""

    def all_fixes() -> dict[str, str] | None:
        found = fixes(world, fix_of)
        return found if found.keys() == fix_of.keys() else None

    whole = world.until(all_fixes, f"the findings {[*fix_of]}", every=SELDOM)
    assert all(fix in whole[what] for what, fix in fix_of.items()), whole
    yield
    world.until(lambda: not fixes(world, fix_of), f"no finding of {[*fix_of]}", every=SELDOM)


# ---- a healthy stack ----------------------------------------------------------------------------


def test_nothing_is_found_in_a_healthy_stack(stack: tuple[World, Healthy]) -> None:
    warnings, unchecked, done = stack[1]
    assert warnings == []
    assert (done.returncode, "nothing to fix" in done.stdout) == (0, True)
    assert unchecked == ["quotas"]  # the emulator has no Service Quotas


# ---- Consul -------------------------------------------------------------------------------------


@contextmanager
def blind(world: World, what: str, fix: str) -> Iterator[None]:
    """As `found`, of a poller that can't read Consul until the body has taken the fault back."""
    told(world, stale=True)
    with found(world, {what: fix}):
        yield
        told(world, stale=False)


def told(world: World, *, stale: bool) -> None:
    """Wait until the poller says that it can't read some views, or that it reads them all."""
    what = "stale views" if stale else "no stale view"
    world.until(lambda: bool(world.table.stale_views().views) is stale, what)


def test_a_wrong_token(world: World) -> None:
    secrets = world.client("secretsmanager")
    secrets.put_secret_value(SecretId="consul-token", SecretString=WATCHER[::-1])
    lose_poller(world)  # the next one reads the secret
    with blind(world, "does not know the stack's token", "ConsulSecretArn"):
        secrets.put_secret_value(SecretId="consul-token", SecretString=WATCHER)
        lose_poller(world)


def test_a_token_that_may_read_too_little(world: World) -> None:
    consul = world.stack.consul_client()
    [policy] = [each for each in consul.get("/v1/acl/policies").json() if each["Name"] == "watcher"]
    whole = consul.get(f"/v1/acl/policy/{policy['ID']}").json()

    def allow(rules: str) -> None:
        changed = {**whole, "Rules": rules}
        consul.put(f"/v1/acl/policy/{policy['ID']}", json=changed).raise_for_status()
        lose_poller(world)  # the next one asks at once

    # Consul 1.8 refuses keys; that it filters services shows only in newer servers' answers.
    allow('service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }')
    try:
        with blind(world, "may not read everything", "key:read for watched keys"):
            allow(whole["Rules"])
    finally:
        allow(whole["Rules"])
        consul.close()


def test_a_consul_that_is_down(world: World) -> None:
    world.stack.stop_consul()
    with blind(world, "can't reach Consul", "ConsulAddress"):
        world.stack.start_consul()


# ---- tasks --------------------------------------------------------------------------------------


FAILING = {
    "doc-module: its module can't be fetched": "correct `module` and `version`",
    "doc-role: its role can't be assumed": "correct role_arn",
    "doc-secret: gave up because FW_TOKEN was not stored": "cts secret set FW_TOKEN",
    "FW_TOKEN missing from the stack's task secret": "cts secret set FW_TOKEN --group task",
    "doc-web: its state has been locked by someone else": "State locks",
}


def test_tasks_that_fail(world: World) -> None:
    """Four tasks, each with another fault. Somebody holds the lock of the last one."""
    blocks = (
        BLOCK.format(name="doc-module", module="acme/none/aws", more=""),
        BLOCK.format(name="doc-role", module="./modules/record", more=ROLE),
        BLOCK.format(name="doc-secret", module="./modules/record", more=SECRET),
    )
    lock = {
        "Bucket": world.stack.outputs["StateBucket"],
        "Key": "tasks/doc-web/terraform.tfstate.tflock",
    }
    info = {
        "ID": "6c0d0a6b-5f8e-4c4b-9d0a-8f1f4f6a1a11",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": "ann@laptop",
        "Version": "1.11.4",
        "Created": "2026-01-01T00:00:00Z",
        "Path": f"{lock['Bucket']}/tasks/doc-web/terraform.tfstate",
    }
    former = watch(world, "doc-web")
    world.client("s3").put_object(**lock, Body=json.dumps(info).encode())
    world.catalog.register("doc-1", "doc-web", "10.9.0.1", 81)
    world.publish({"failing.hcl": "".join(blocks)})
    former.ended(1)
    failing = ("doc-module", "doc-role", "doc-secret")
    world.until(lambda: all(failed(world, each) for each in failing), f"{failing} to fail")
    with found(world, FAILING):
        world.client("s3").delete_object(**lock)
        world.cts("retry", "doc-web")
        world.publish({"failing.hcl": "# none"})
        world.applied_right("doc-web", "doc-web")


def failed(world: World, task: str) -> bool:
    runs = world.runs(task)
    return bool(runs) and runs[-1].status.ended and not runs[-1].status.succeeded


def test_an_account_that_may_not_run_builds(world: World) -> None:
    world.stack.fault(
        action="StartBuild",
        do="refuse",
        code="AccountLimitExceededException",
        message=NO_BUILDS,
        times=0,
    )
    before = world.mark()
    world.catalog.register("doc-1", "doc-web", "10.9.0.1", 82)
    world.until(lambda: world.calls(before, action="StartBuild"), "a refused build")
    with found(world, {"AWS does not let this account run builds": "AWS Support"}):
        world.stack.clear_faults()
        world.cts("retry", "doc-web")
        world.applied_right("doc-web", "doc-web")


# ---- the stack ----------------------------------------------------------------------------------


BESIDE = {
    "TrackerTick": "enable each in EventBridge",
    "TrackerExecutorEnded": "enable each in EventBridge",
    "tracker may not do events:PutEvents": "deploy the stack again",
    "could not be processed": "Dead letters",
    "the last push was rejected": "cts status",
}


def enable(world: World, *, enabled: bool) -> None:
    """One of the stack's schedules, and one of its rules."""
    events, scheduler = world.client("events"), world.client("scheduler")
    [tick] = [
        each["Name"]
        for each in scheduler.list_schedules()["Schedules"]
        if "TrackerTick" in each["Name"]
    ]
    whole = scheduler.get_schedule(Name=tick)
    kept = {key: whole[key] for key in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(Name=tick, **kept, State="ENABLED" if enabled else "DISABLED")
    [rule] = [
        each["Name"]
        for each in events.list_rules()["Rules"]
        if "TrackerExecutorEnded" in each["Name"]
    ]
    (events.enable_rule if enabled else events.disable_rule)(Name=rule)


def test_what_is_wrong_beside_the_tasks(world: World) -> None:
    """A role that may not send events, a schedule and a rule that are disabled, an event that could
    not be processed, a rejected push."""
    iam, sqs = world.client("iam"), world.client("sqs")
    [role] = [
        each["RoleName"] for each in iam.list_roles()["Roles"] if "-TrackerRole" in each["RoleName"]
    ]
    kept = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    for name, document in kept.items():
        statements = [
            each for each in document["Statement"] if each["Action"] != "events:PutEvents"
        ]
        changed = json.dumps({**document, "Statement": statements})
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=changed)
    queue = sqs.list_queues()["QueueUrls"][0]
    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    bad = world.upload({"bad.hcl": 'task { nam = "x" }'})
    assert not world.answer(bad).published
    enable(world, enabled=False)
    with found(world, BESIDE):
        enable(world, enabled=True)
        for name, document in kept.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
        sqs.purge_queue(QueueUrl=queue)
        world.publish({})


def test_a_caller_who_may_only_read(world: World) -> None:
    reader = Person(world, "doc-reader", "ReaderPolicy")
    found = findings(world, **reader.env)
    [warned] = of(found, "warning")
    assert (warned["area"], "OperatorPolicy" in warned["fix"]) == ("access", True)
    unchecked = {each["area"] for each in of(found, "unchecked")}
    assert unchecked == {"secrets", "permissions", "events", "quotas"}
