"""`cts doctor` finds faults that are planted in a deployed stack, each with what to do."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from local.consul import WATCHER
from tests.e2e.conftest import running
from tests.e2e.people import Person
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    with running(tmp_path_factory.mktemp("stack"), secure=True, denials=True) as world:
        world.catalog.register("doc-1", "doc-web", "10.9.0.1", 80)
        module = {"modules/key/main.tf": KEY_MODULE}
        world.publish({**module, "doc.hcl": task("doc-web", "doc-web") + KEY})
        world.applied_right("doc-web", "doc-web")
        world.until(lambda: findings(world) == [], "no problem")
        unchecked = [each["area"] for each in findings(world, "unchecked")]
        yield world, (findings(world, "warning"), unchecked, world.cts("doctor"))


@pytest.fixture
def world(stack: tuple[World, Healthy]) -> World:
    return stack[0]


def findings(world: World, level: str = "problem", **env: str) -> list[dict[str, Any]]:
    done = world.cts("doctor", "--json", **env)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["healthy"] else 1)
    return [each for each in found["findings"] if each["level"] == level]


def fixes(world: World, what: str, level: str = "problem") -> list[str]:
    """Of the findings that say this."""
    return [each["fix"] for each in findings(world, level) if what in each["what"]]


def _is_gone(world: World, what: str) -> bool:
    return not fixes(world, what)


@contextmanager
def found(world: World, what: str, fix: str) -> Iterator[None]:
    """Wait until a finding says this; and, once the body has taken the fault back, until none
    does."""
    assert fix in world.until(lambda: fixes(world, what), f"the finding '{what}'")[0]
    yield
    world.until(partial(_is_gone, world, what), f"no finding '{what}'")


def replant(world: World) -> None:
    """A new poller reads the secrets at once."""
    world.stack.kill("Poller")


# ---- a healthy stack ----------------------------------------------------------------------------


def test_nothing_is_found_in_a_healthy_stack(stack: tuple[World, Healthy]) -> None:
    warnings, unchecked, done = stack[1]
    assert warnings == []
    assert (done.returncode, "nothing to fix" in done.stdout) == (0, True)
    assert unchecked == ["quotas"]  # the emulator has no Service Quotas


# ---- Consul -------------------------------------------------------------------------------------


def test_a_wrong_token(world: World) -> None:
    secrets = world.client("secretsmanager")
    secrets.put_secret_value(SecretId="consul-token", SecretString=WATCHER[::-1])
    replant(world)
    with found(world, "does not know the stack's token", "ConsulSecretArn"):
        secrets.put_secret_value(SecretId="consul-token", SecretString=WATCHER)
        replant(world)


def test_a_token_that_may_read_too_little(world: World) -> None:
    consul = world.stack.consul_client()
    [policy] = [each for each in consul.get("/v1/acl/policies").json() if each["Name"] == "watcher"]
    whole = consul.get(f"/v1/acl/policy/{policy['ID']}").json()

    def allow(rules: str) -> None:
        changed = {**whole, "Rules": rules}
        consul.put(f"/v1/acl/policy/{policy['ID']}", json=changed).raise_for_status()
        replant(world)

    # Consul 1.8 refuses keys; that it filters services shows only in newer servers' answers.
    allow('service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }')
    try:
        with found(world, "may not read everything", "key:read for watched keys"):
            allow(whole["Rules"])
    finally:
        allow(whole["Rules"])
        consul.close()


def test_a_consul_that_is_down(world: World) -> None:
    world.stack.stop_consul()
    with found(world, "can't reach Consul", "ConsulAddress"):
        world.stack.start_consul()


# ---- tasks --------------------------------------------------------------------------------------


FAILING = {
    "doc-module: its module can't be fetched": "correct `module` and `version`",
    "doc-role: its role can't be assumed": "correct role_arn",
    "doc-secret: it reads a secret that is not stored": "cts secret set",
    "FW_TOKEN missing from the stack's task secret": "cts secret set",
}


def test_tasks_that_fail(world: World) -> None:
    """Three tasks, each with another fault."""
    blocks = (
        BLOCK.format(name="doc-module", module="acme/none/aws", more=""),
        BLOCK.format(name="doc-role", module="./modules/record", more=ROLE),
        BLOCK.format(name="doc-secret", module="./modules/record", more=SECRET),
    )
    world.publish({"failing.hcl": "".join(blocks)})
    for what, fix in FAILING.items():
        assert fix in world.until(partial(fixes, world, what), f"the finding '{what}'")[0]
    world.publish({"failing.hcl": "# none"})
    for what in FAILING:
        world.until(partial(_is_gone, world, what), f"no finding '{what}'")


def test_a_lock_that_nobody_holds(world: World) -> None:
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
    world.client("s3").put_object(**lock, Body=json.dumps(info).encode())
    world.catalog.register("doc-1", "doc-web", "10.9.0.1", 81)
    with found(world, "doc-web: its state has been locked by someone else", "State locks"):
        world.client("s3").delete_object(**lock)


def test_an_account_that_may_not_run_builds(world: World) -> None:
    world.stack.fault(
        action="StartBuild",
        do="refuse",
        code="AccountLimitExceededException",
        message=NO_BUILDS,
        times=0,
    )
    world.catalog.register("doc-1", "doc-web", "10.9.0.1", 82)
    with found(world, "AWS does not let this account run builds", "AWS Support"):
        world.stack.clear_faults()
        world.cts("retry", "doc-web")


# ---- AWS ----------------------------------------------------------------------------------------


def test_a_role_that_may_not_send_events(world: World) -> None:
    iam = world.client("iam")
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
    with found(world, "tracker may not do events:PutEvents", "deploy the stack again"):
        for name, document in kept.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def test_an_event_that_could_not_be_processed(world: World) -> None:
    queue = world.client("sqs").list_queues()["QueueUrls"][0]
    world.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    with found(world, "could not be processed", "Dead letters"):
        world.client("sqs").purge_queue(QueueUrl=queue)


def test_a_push_that_was_rejected(world: World) -> None:
    bad = world.upload({"bad.hcl": 'task { nam = "x" }'})
    assert not world.answer(bad).published
    with found(world, "the last push was rejected", "cts validate"):
        world.publish({})


def test_a_caller_who_may_only_read(world: World) -> None:
    reader = Person(world, "doc-reader", "ReaderPolicy")
    [warned] = findings(world, "warning", **reader.env)
    assert (warned["area"], "OperatorPolicy" in warned["fix"]) == ("access", True)
    unchecked = {each["area"] for each in findings(world, "unchecked", **reader.env)}
    assert unchecked == {"secrets", "permissions", "events", "quotas"}
