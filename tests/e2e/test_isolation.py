"""A module reaches nothing of another task, whichever of its build's credentials it uses.

The module is `tests/e2e/probe.py`: it asks the container's credentials endpoint, and its run's.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cts import keys
from cts.run.model import Run, RunStatus
from cts.run.person import ask
from cts.run.task import Claimed, claim
from cts.terraform.archive import unzipped, zipped
from cts.wiring import runner
from local.stack import REGION
from tests.e2e.conftest import running
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
FOLDER = Path(__file__).parent
PROBE = (FOLDER / "probe.py").read_text()
FORMER_PROGRAM = (FOLDER / "released/program-0.1.0.zip").read_bytes()
"""What archives of that version contain of `build/`."""
FORMER_MAIN = """
terraform {
  backend "s3" {
    bucket               = "STATE_BUCKET"
    key                  = "terraform.tfstate"
    region               = "us-east-1"
    workspace_key_prefix = "tasks"
  }
}

resource "terraform_data" "kept" {}
"""
MODULE = """
variable "services" {
  type = any
}

resource "terraform_data" "probe" {
  provisioner "local-exec" {
    command = "python3 ${path.module}/probe.py VICTIM"
  }
}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack"), denials=True, lane="build") as world:
        world.catalog.register("iso-1", "iso", "10.9.0.1", 80)
        yield world


@pytest.fixture(scope="module")
def victim(world: World) -> Run:
    world.publish({"victim.hcl": task("victim", "iso")})
    [run] = world.applied_right("victim", "iso")
    return run


@pytest.fixture(scope="module")
def found(world: World, victim: Run) -> dict[str, Any]:
    """What the module of another task got, and what it could do with it."""
    command = MODULE.replace("VICTIM", f"{victim.task} {victim.id}")
    module = {"modules/probe/main.tf": command, "modules/probe/probe.py": PROBE}
    world.publish({**module, "probe.hcl": task("hostile", "iso", module="./modules/probe")})
    run = world.until(lambda: ended(world, "hostile"), "the hostile task's run to end")
    assert run.status is RunStatus.APPLIED, run.end
    body = world.record(run, "probe.json")
    assert body is not None
    probed: dict[str, Any] = json.loads(body)
    return probed


def ended(world: World, name: str) -> Run | None:
    return next((run for run in world.runs(name)[::-1] if run.status.ended), None)


OWN = {
    "own: read archive",
    "own: write record",
    "own: read state",
    "own: read what is missing",
    "own: list runs",
    "own: write what init fetched",
    "own: read what init fetched",
}


def test_a_run_does_its_own_work_and_is_refused_that_of_others(found: dict[str, Any]) -> None:
    outcomes = found["run"]["outcomes"]
    assert {what for what, outcome in outcomes.items() if outcome == "done"} == OWN
    assert {outcome for what, outcome in outcomes.items() if what not in OWN} == {"refused"}


def test_what_the_container_is_given_does_nothing_alone(found: dict[str, Any]) -> None:
    assert {*found["container"]["outcomes"].values()} == {"refused"}
    keys = {name: each["credentials"]["AccessKeyId"] for name, each in found.items()}
    assert keys["run"] != keys["container"]


def client(world: World, found: dict[str, Any], whose: str, service: str) -> Any:
    credentials = found[whose]["credentials"]
    session = boto3.Session(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["Token"],
        region_name=REGION,
    )
    patience = Config(retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=world.stack.endpoint, config=patience)  # type: ignore[call-overload]


@pytest.mark.parametrize("whose", ["run", "container"])
def test_neither_gets_the_credentials_of_another_run(
    world: World, found: dict[str, Any], victim: Run, whose: str
) -> None:
    roles = world.client("iam").list_roles()["Roles"]
    [role] = [each["Arn"] for each in roles if "-TaskRole" in each["RoleName"]]
    tags = [{"Key": "task", "Value": "victim"}, {"Key": "run", "Value": victim.id}]
    sts = client(world, found, whose, "sts")
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role, RoleSessionName="hostile", Tags=tags)
    codebuild, project = client(world, found, whose, "codebuild"), world.stack.outputs["Project"]
    with pytest.raises(ClientError, match="AccessDenied"):
        codebuild.start_build(projectName=project)
    [build] = [each["id"] for each in world.stack.builds() if victim.id in json.dumps(each)]
    with pytest.raises(ClientError, match="AccessDenied"):
        codebuild.batch_get_builds(ids=[build])


@pytest.mark.parametrize("whose", ["run", "container"])
@pytest.mark.parametrize("secret", ["TaskSecret", "ConnectionSecret", "HcpSecret"])
def test_a_task_without_references_reads_no_secret(
    world: World, found: dict[str, Any], whose: str, secret: str
) -> None:
    name = world.stack.outputs[secret]
    world.client("secretsmanager").put_secret_value(SecretId=name, SecretString="{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(world, found, whose, "secretsmanager").get_secret_value(SecretId=name)


TOOL = "tools/terraform/x"


def test_a_run_adds_tools_and_replaces_none(world: World, found: dict[str, Any]) -> None:
    s3, bucket = client(world, found, "run", "s3"), world.work_bucket
    copied: dict[str, Any] = {"CopySource": f"{bucket}/{TOOL}"}
    tried: list[tuple[str, dict[str, Any], str]] = [
        ("put_object", {"Body": b"unconditional"}, "AccessDenied"),
        ("put_object", {"Body": b"first", "IfNoneMatch": "*"}, "done"),
        ("put_object", {"Body": b"second", "IfNoneMatch": "*"}, "PreconditionFailed"),
        ("put_object", {"Body": b"second"}, "AccessDenied"),
        ("create_multipart_upload", {}, "AccessDenied"),
        ("copy_object", copied, "AccessDenied"),
        ("delete_object", {}, "AccessDenied"),
    ]

    def outcome(call: str, more: dict[str, Any]) -> str:
        try:
            getattr(s3, call)(Bucket=bucket, Key=TOOL, **more)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "done"

    assert [outcome(call, more) for call, more, _ in tried] == [each for *_, each in tried]
    assert world.object(TOOL) == b"first"


def test_credentials_are_gone_when_a_run_has_ended(world: World, found: dict[str, Any]) -> None:
    def listed() -> list[str]:
        answer = world.client("s3").list_objects_v2(Bucket=world.work_bucket, Prefix="builds/")
        return [each["Key"] for each in answer.get("Contents", [])]

    world.until(lambda: not listed(), "the folders of ended builds to be deleted")
    assert found


def test_the_victim_is_as_it_was(world: World, found: dict[str, Any], victim: Run) -> None:
    assert found
    assert world.applied_right("victim", "iso") == [victim]


# ---- upgrades ------------------------------------------------------------------------------------


def test_a_build_that_the_version_before_has_started_goes_on_to_its_end(world: World) -> None:
    """Its program uses the credentials of its container, and its role still has the rights."""
    world.publish({"former.hcl": task("former", "iso", enabled=False)})
    run = claimed_by_the_version_before(world, "former")
    project = world.stack.outputs["Project"]
    roles = world.client("iam").list_roles()["Roles"]
    [role] = [each["Arn"] for each in roles if "-BuildRole" in each["RoleName"]]
    values = {"CTS_TASK": run.task, "CTS_RUN_ID": run.id, "CTS_CORRELATION_ID": "c"}
    mark = world.mark()
    started = world.client("codebuild").start_build(
        projectName=project,
        serviceRoleOverride=role,
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{world.work_bucket}/runs/{run.task}/{run.id}/archive.zip",
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in values.items()
        ],
    )
    world.table.record_build(replace(run, build=started["build"]["id"]))
    last = world.until(lambda: ended(world, "former"), "the former build to end")
    assert last.status is RunStatus.APPLIED, last.end
    state = world.terraform_state("former")
    assert state is not None
    assert [each["name"] for each in state["resources"]] == ["kept"]
    assert [each for each in world.calls(mark, caller="build") if not each["allowed"]] == []


def former_files(world: World, run: Run) -> dict[str, str | bytes]:
    state_bucket = world.stack.outputs["StateBucket"]
    facts = {
        "task": run.task,
        "run": run.id,
        "correlation_id": run.correlation,
        "work_bucket": world.work_bucket,
        "state_bucket": state_bucket,
        "state_key": f"tasks/{run.task}/terraform.tfstate",
        "region": REGION,
        "terraform_version": "1.11.4",
        "former_runs": [],
    }
    main = FORMER_MAIN.replace("STATE_BUCKET", state_bucket)
    return {"main.tf": main, "run.json": json.dumps(facts)}


def claimed_by_the_version_before(world: World, name: str) -> Run:
    """A run as that version's runner claims it: without a folder for credentials."""
    current = world.table.current()
    assert current is not None
    run_id, now = runner.new_run_id(name), time.time()
    run = Run(
        id=run_id,
        task=name,
        status=RunStatus.PENDING,
        why=("person",),
        since=now,
        claimed_at=now,
        generation=current.number,
        definition="",
        trigger="t",
        inputs={},
        correlation="c",
        attempt=1,
    )
    body = zipped({**unzipped(FORMER_PROGRAM), **former_files(world, run)})
    key = keys.run_object(name, run_id, "archive.zip")
    world.client("s3").put_object(Bucket=world.work_bucket, Key=key, Body=body)

    def stored() -> bool:
        """Not if something else has written the state meanwhile."""
        claimed = claim(ask(world.state(name), now, "c"), run_id, "t", "t", now)
        assert isinstance(claimed, Claimed)
        return world.table.claim(claimed.state, run, 10) is None

    world.until(stored, "the claim", every=0.0)
    return run
