"""Secrets reach the provider of a task, and lie nowhere but in its state."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cts.run.model import RunStatus
from local.stack import REGION
from tests.build.stores import storing
from tests.digging import dug
from tests.e2e.canary import (
    OF_ROLE,
    VALUES,
    VARIABLE,
    Planted,
    ended,
    leave,
    places,
    plant,
    roles,
    succeeded,
    task_role,
)
from tests.e2e.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
LEFT = "canary-0815-to-be-found"
MAY_KEEP = {VARIABLE: {"state/tasks/canary/terraform.tfstate"},
            OF_ROLE: {"state/tasks/of-role/terraform.tfstate"}}  # fmt: skip
"""States of modules that put a secret into a resource."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack"), denials=True, lane="build") as world:
        world.catalog.register("canary-1", "canary", "10.9.0.1", 80)
        yield world


@pytest.fixture(scope="module")
def planted(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with storing() as vault:
        planted = plant(world, vault, tmp_path_factory.mktemp("planted"))
        world.until(lambda: succeeded(world, "canary"), "a run with secrets to succeed")
        yield planted


def test_every_secret_reaches_its_provider(planted: Planted) -> None:
    notes = [json.loads(file.read_text()) for file in planted.device.glob("*.json")]
    assert notes
    for noted in notes:
        assert noted["labels"] == VALUES
        assert noted["content"] == VARIABLE


def test_secrets_lie_nowhere_but_in_states(world: World, planted: Planted) -> None:
    """Also after a run whose provider shows a token in its error."""
    (planted.device / ".token").write_text("another")
    world.catalog.register("canary-2", "canary", "10.9.0.2", 80)
    failed = world.until(
        lambda: next((r for r in world.runs("canary") if r.status is RunStatus.ERRORED), None),
        "a run to fail",
    )
    (planted.device / ".token").unlink()
    assert failed.end
    assert "refuses the token ***" in (failed.end.error or "")
    world.until(lambda: succeeded(world, "of-role"), "the task with the role to succeed")
    left = leave(world, LEFT)
    whole = dug({**places(world), "said": planted.said})

    def holding(secret: str) -> set[str]:
        return {name for name, text in whole.items() if secret in text}

    assert holding(LEFT) == left
    assert holding('"CloudWatchMetrics"'), "metrics are in the logs, too"
    for secret in planted.secrets:
        assert holding(secret) == MAY_KEEP.get(secret, set()), secret


# ---- states and plans ----------------------------------------------------------------------------


def outcome(s3: Any, bucket: str, key: str) -> str:
    try:
        s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def assumed(world: World, role: str, **tags: str) -> Any:
    """A client for S3 with that role, whoever may assume it."""
    iam, sts = world.client("iam"), world.client("sts")
    anyone = {
        "Effect": "Allow",
        "Principal": {"AWS": "000000000000"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
    known = iam.get_role(RoleName=role)["Role"]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
    given = [{"Key": name, "Value": value} for name, value in tags.items()]
    session = sts.assume_role(RoleArn=known["Arn"], RoleSessionName="canary", Tags=given)
    former = json.dumps(known["AssumeRolePolicyDocument"])
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=former)
    found = session["Credentials"]
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=world.stack.endpoint,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )


def test_every_role_but_the_builds_is_refused_states_and_plans(
    world: World, planted: Planted
) -> None:
    plan = (world.work_bucket, "plans/canary/plan")
    world.client("s3").put_object(Bucket=plan[0], Key=plan[1], Body=b"x")
    state = (world.stack.outputs["StateBucket"], "tasks/canary/terraform.tfstate")
    assert world.object(state[1], state[0]) is not None
    sessions = {role.split("-")[1]: assumed(world, role) for role in roles(world) if "-" in role}
    own = task_role(world)
    sessions |= {
        f"a run of {task}": assumed(world, own, task=task, run=f"{task}-1")
        for task in ("canary", "of-role")
    }
    read = {
        (name, key)
        for name, s3 in sessions.items()
        for bucket, key in (state, plan)
        if outcome(s3, bucket, key) == "done"
    }
    # `BuildRole` is that of the builds that the version before has started.
    assert read == {("BuildRole", state[1]), ("a run of canary", state[1])}


# ---- a task's own role ---------------------------------------------------------------------------


def test_one_task_cannot_read_what_anothers_role_may(world: World, planted: Planted) -> None:
    """Its trust policy names the task, in a tag that no module can give itself."""
    run = world.until(lambda: ended(world, "of-role"), "the task with the role to end")
    assert run.status is RunStatus.APPLIED, run.end
    assert OF_ROLE in json.dumps(world.terraform_state("of-role"))
    for name, said in (
        ("thief", f"assuming the task's role {planted.role}: AccessDenied"),
        ("without", "reading {{resolve:secretsmanager:of-role-secret}}: AccessDenied"),
    ):
        failed = world.until(partial(ended, world, name), f"the run of {name} to end")
        assert failed.status is RunStatus.ERRORED
        assert failed.end
        assert said in (failed.end.error or "")
