"""Secrets reach the provider of a task, and lie nowhere but in its state.

The test provider notes what it is configured with on its device, which is a folder of this machine,
and shows a token that the device refuses in its error, as many providers do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cts.run.model import Run, RunStatus
from local.stack import REGION
from tests.build.stores import VAULT_TOKEN, Stores, storing
from tests.digging import holding
from tests.e2e.conftest import running
from tests.e2e.world import World, folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e
OF_KEY = "MIIEvQIBADANBgkqcanary4711"
PRIVATE_KEY = f"-----BEGIN PRIVATE KEY-----\n{OF_KEY}\n-----END PRIVATE KEY-----\n"
TOKEN = "canary-0815-old-style-literal"
IN_LABELS = {
    "env": '{{ env \\"CANARY_ENV\\" }}',
    "key": '{{ key \\"canary/kv\\" }}',
    "vault": '{{ with secret \\"kv2/canary\\" }}{{ .Data.data.pw }}{{ end }}',
    "secret": "{{resolve:secretsmanager:canary-secret:SecretString:pw}}",
    "parameter": "{{resolve:ssm-secure:/canary/parameter}}",
}
VALUES = {name: f"canary-0815-of-{name}" for name in IN_LABELS}
VARIABLE = "canary-0815-of-variable"
"""A module keeps it in its state."""
PLANTED = [*VALUES.values(), VARIABLE, TOKEN, VAULT_TOKEN, OF_KEY]
MODULE = """
terraform {
  required_providers {
    files = { source = "example.com/test/files" }
  }
}
variable "services" { type = any }
variable "content" { type = string }
resource "files_object" "one" {
  for_each = var.services
  name     = each.key
  content  = var.content
}
"""
LABEL = 'label {{\n    name  = "{}"\n    value = "{}"\n  }}'
CONFIGURATION = """
driver "terraform" {
  required_providers {
    files = { source = "example.com/test/files" }
  }
}
vault {
  address = "VAULT"
  token   = "VAULT_TOKEN"
  tls { key = "vault.key" }
}
terraform_provider "files" {
  device = "canary"
  token  = "TOKEN"
  LABELS
}
task {
  name           = "canary"
  module         = "./modules/canary"
  providers      = ["files"]
  variable_files = ["canary.tfvars"]
  buffer_period { enabled = false }
  condition "services" { names = ["canary"] }
}
"""
ROLE_MODULE = """
variable "services" { type = any }
variable "content" { type = string }
resource "terraform_data" "one" { input = var.content }
"""
ROLE_TASK = """
task {
  name           = "NAME"
  module         = "./modules/role"
  variable_files = ["role.tfvars"]
  buffer_period { enabled = false }
  condition "services" { names = ["canary"] }
  SERVERLESS
}
"""
OF_ROLE = "canary-0815-of-role"


@pytest.fixture(scope="module")
def vault() -> Iterator[Stores]:
    with storing() as vault:
        vault.vault["kv2/data/canary"] = {"data": {"pw": VALUES["vault"]}}
        yield vault


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack"), denials=True) as world:
        world.catalog.register("canary-1", "canary", "10.9.0.1", 80)
        yield world


def task_role(world: World) -> str:
    return next(name for name in roles(world) if "-TaskRole" in name)


def roles(world: World) -> list[str]:
    return [each["RoleName"] for each in world.client("iam").list_roles()["Roles"]]


def allow(world: World, role: str, *statements: tuple[str, str]) -> None:
    allowed = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in statements]
    world.client("iam").put_role_policy(
        RoleName=role,
        PolicyName="canary",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed}),
    )


@dataclass(frozen=True)
class Planted:
    folder: Path
    device: Path
    first: Run
    said: list[str]


def ended(world: World, name: str, after: int = 0) -> Run | None:
    runs = [run for run in world.runs(name) if run.status.ended]
    return runs[after] if len(runs) > after else None


@pytest.fixture(scope="module")
def planted(world: World, vault: Stores, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    secret = world.client("secretsmanager").create_secret(
        Name="canary-secret", SecretString=json.dumps({"pw": VALUES["secret"]})
    )
    for name, value in (("parameter", VALUES["parameter"]), ("variable", VARIABLE)):
        world.client("ssm").put_parameter(Name=f"/canary/{name}", Value=value, Type="SecureString")
    parameters = f"arn:aws:ssm:{REGION}:000000000000:parameter/canary/*"
    allow(
        world,
        task_role(world),
        ("secretsmanager:GetSecretValue", secret["ARN"]),
        ("ssm:GetParameter", parameters),
    )
    world.client("secretsmanager").put_secret_value(
        SecretId=task_secret(world), SecretString=json.dumps({"CANARY_ENV": VALUES["env"]})
    )
    with world.stack.consul_client() as consul:
        consul.put("/v1/kv/canary/kv", content=VALUES["key"]).raise_for_status()
    labels = "\n  ".join(LABEL.format(name, text) for name, text in IN_LABELS.items())
    text = CONFIGURATION.replace("LABELS", labels).replace("VAULT_TOKEN", VAULT_TOKEN)
    text = text.replace("VAULT", vault.url).replace("TOKEN", TOKEN)
    files = {
        "cts.hcl": text,
        "vault.key": PRIVATE_KEY,
        "canary.tfvars": 'content = "{{resolve:ssm:/canary/variable}}"\n',
        "modules/canary/main.tf": MODULE,
    }
    folder = folder_of(tmp_path_factory.mktemp("pushed"), files)
    pushed = world.cts("push", str(folder), "--yes")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    first = world.until(lambda: succeeded(world, "canary"), "a run with secrets to succeed")
    said = [pushed.stdout, pushed.stderr]
    return Planted(folder, world.stack.devices / "canary", first, said)


def succeeded(world: World, name: str) -> Run | None:
    return next((run for run in world.runs(name) if run.status.succeeded), None)


def task_secret(world: World) -> str:
    return world.stack.outputs["TaskSecret"]


def stored(world: World, bucket: str) -> dict[str, bytes]:
    """All versions of all objects, by key and version."""
    s3 = world.client("s3")
    listed = s3.list_object_versions(Bucket=bucket)
    assert not listed["IsTruncated"]
    return {
        f"{each['Key']}@{each['VersionId']}": s3.get_object(
            Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"]
        )["Body"].read()
        for each in listed.get("Versions", [])
    }


def places(world: World) -> dict[str, Any]:
    """Everything but the secrets themselves."""
    outputs = world.stack.outputs
    objects = {f"work/{k}": v for k, v in stored(world, world.work_bucket).items()}
    objects |= {f"state/{k}": v for k, v in stored(world, outputs["StateBucket"]).items()}
    table = world.client("dynamodb").scan(TableName=outputs["Table"])["Items"]
    metrics = world.client("cloudwatch").list_metrics()["Metrics"]
    logs = world.client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    lines = {f"logs {name}": logs.filter_log_events(logGroupName=name)["events"] for name in groups}
    files = (world.stack.folder / "logs").glob("*.log")
    answers = [
        world.cts(*command).stdout
        for command in (["status"], ["status", "--json"], ["runs", "--json"], ["logs", "canary"])
    ]
    return {
        **objects,
        **lines,
        **{f"file {file.name}": file.read_text() for file in files},
        "table": table,
        "metrics": metrics,
        "events": world.stack.events(),
        "answers": answers,
        "builds": world.stack.builds(),
    }


def kept(found: set[str]) -> set[str]:
    """What is not a state or a plan."""
    return {each for each in found if not each.startswith(("state/", "work/plans/"))}


def test_every_secret_reaches_its_provider(planted: Planted) -> None:
    [noted] = [json.loads(file.read_text()) for file in planted.device.glob("*.json")]
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
    s3, archive = world.client("s3"), f"runs/canary/{planted.first.id}/archive.zip"
    body = world.object(archive)
    assert body is not None
    s3.put_object(Bucket=world.work_bucket, Key="planted", Body=body + b"")
    whole = {**places(world), "said": planted.said}
    assert holding("resolve:ssm", whole) >= {"work/planted@" + version(world, "planted")}
    for secret in PLANTED:
        assert kept(holding(secret, whole)) == set(), secret
    assert holding(VARIABLE, whole) != set(), "the state has it"


def version(world: World, key: str) -> str:
    head = world.client("s3").head_object(Bucket=world.work_bucket, Key=key)
    return str(head["VersionId"])


# ---- states and plans ----------------------------------------------------------------------------


def outcome(s3: Any, bucket: str, key: str) -> str:
    try:
        s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def test_every_role_but_the_builds_is_refused_states_and_plans(
    world: World,
    planted: Planted,
) -> None:
    iam, sts = world.client("iam"), world.client("sts")
    world.client("s3").put_object(Bucket=world.work_bucket, Key="plans/canary/plan", Body=b"x")
    state = (world.stack.outputs["StateBucket"], "tasks/canary/terraform.tfstate")
    assert world.object(state[1], state[0]) is not None
    anyone = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
    read = set()
    for role in roles(world):
        former = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
        arn = iam.get_role(RoleName=role)["Role"]["Arn"]
        found = sts.assume_role(RoleArn=arn, RoleSessionName="canary")["Credentials"]
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(former))
        s3 = boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=world.stack.endpoint,
            aws_access_key_id=found["AccessKeyId"],
            aws_secret_access_key=found["SecretAccessKey"],
            aws_session_token=found["SessionToken"],
        )
        for bucket, key in (state, (world.work_bucket, "plans/canary/plan")):
            if outcome(s3, bucket, key) == "done":
                read.add((role.split("-")[1], key))
    # Of the builds that the version before has started.
    assert read == {("BuildRole", state[1])}


# ---- a task's own role ---------------------------------------------------------------------------


def test_one_task_cannot_read_what_anothers_role_may(world: World, planted: Planted) -> None:
    """Its trust policy names the task, in a tag that no module can give itself."""
    iam = world.client("iam")
    stack_role = iam.get_role(RoleName=task_role(world))["Role"]["Arn"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": stack_role},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:PrincipalTag/task": "of-role"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="of-role", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    secret = world.client("secretsmanager").create_secret(
        Name="of-role-secret", SecretString=OF_ROLE
    )
    allow(world, "of-role", ("secretsmanager:GetSecretValue", secret["ARN"]))
    own = f'serverless {{ role_arn = "{role}" }}'
    files = {
        "of-role.hcl": ROLE_TASK.replace("NAME", "of-role").replace("SERVERLESS", own),
        "thief.hcl": ROLE_TASK.replace("NAME", "thief").replace("SERVERLESS", own),
        "without.hcl": ROLE_TASK.replace("NAME", "without").replace("SERVERLESS", ""),
        "role.tfvars": 'content = "{{resolve:secretsmanager:of-role-secret}}"\n',
        "modules/role/main.tf": ROLE_MODULE,
    }
    pushed = world.cts("push", str(folder_of(planted.folder, files)), "--yes")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    run = world.until(lambda: ended(world, "of-role"), "the task with the role to end")
    assert run.status is RunStatus.APPLIED, run.end
    state = world.terraform_state("of-role")
    assert OF_ROLE in json.dumps(state)
    for name, said in (
        ("thief", f"assuming the task's role {role}: AccessDenied"),
        ("without", "reading {{resolve:secretsmanager:of-role-secret}}: AccessDenied"),
    ):
        failed = world.until(partial(ended, world, name), f"the run of {name} to end")
        assert failed.status is RunStatus.ERRORED
        assert failed.end
        assert said in (failed.end.error or "")
