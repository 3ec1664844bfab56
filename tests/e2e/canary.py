"""A stack with secrets of every kind, and everything that it has stored, sent or said since.

The test provider notes what it is configured with on its device, which is a folder of this machine,
and shows a token that the device refuses in its error, as many providers do.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import httpx

from cts.terraform.archive import zipped
from cts_cli.client import Emulated, Signed
from local.stack import REGION
from tests.build.stores import VAULT_TOKEN, Stores
from tests.certificates import authority, pair
from tests.e2e.world import World, folder_of

if TYPE_CHECKING:
    from pathlib import Path

    from cts.run.model import Run

OF_KEY = "MIIEvQIBADANBgkqcanary4711"
PRIVATE_KEY = f"-----BEGIN PRIVATE KEY-----\n{OF_KEY}\n-----END PRIVATE KEY-----\n"
TOKEN = "canary-0815-old-style-literal"
CONSUL_TOKEN = "canary-0815-token-of-consul"
CONSUL_PASSWORD = "canary-0815-password-of-consul"
IN_ENVIRONMENT = "canary-0815-in-environment"
OTHER_NAME = "canary-0815-other-name-of-the-task-secret"
IN_LABELS = {
    "env": '{{ env \\"CANARY_ENV\\" }}',
    "key": '{{ key \\"canary/kv\\" }}',
    "vault": '{{ with secret \\"kv2/canary\\" }}{{ .Data.data.pw }}{{ end }}',
    "secret": "{{resolve:secretsmanager:canary-secret:SecretString:pw}}",
    "parameter": "{{resolve:ssm-secure:/canary/parameter}}",
}
VALUES = {name: f"canary-0815-of-{name}" for name in IN_LABELS}
VARIABLE, OF_ROLE = "canary-0815-of-variable", "canary-0815-of-role"
"""Modules keep them in their states."""
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
consul {
  token = "CONSUL_TOKEN"
  auth {
    username = "cts"
    password = "CONSUL_PASSWORD"
  }
  tls {
    cert = "consul.pem"
    key  = "consul.key"
  }
}
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
  serverless {
    environment { CANARY_PASSWORD = "IN_ENVIRONMENT" }
  }
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
  condition "services" { names = ["nothing-at-all"] }
  SERVERLESS
}
"""


@dataclass(frozen=True)
class Planted:
    device: Path
    secrets: list[str]
    said: list[str]
    """By the push."""
    role: str
    """Of the task `of-role`, which its trust policy names; the task `thief` asks for it, too."""


def plant(world: World, vault: Stores, folder: Path) -> Planted:
    """Secrets where they are at home, and a folder with those that a CTS file may hold, pushed."""
    vault.vault["kv2/data/canary"] = {"data": {"pw": VALUES["vault"]}}
    with world.stack.consul_client() as consul:
        consul.put("/v1/kv/canary/kv", content=VALUES["key"]).raise_for_status()
    role = _in_aws(world)
    own = f'serverless {{ role_arn = "{role}" }}'
    tasks = {"of-role": own, "thief": own, "without": ""}
    certificate, consul_key = pair(authority(folder))
    labels = "\n  ".join(LABEL.format(name, text) for name, text in IN_LABELS.items())
    text = CONFIGURATION.replace("LABELS", labels).replace("VAULT_TOKEN", VAULT_TOKEN)
    text = text.replace("CONSUL_TOKEN", CONSUL_TOKEN).replace("CONSUL_PASSWORD", CONSUL_PASSWORD)
    text = text.replace("IN_ENVIRONMENT", IN_ENVIRONMENT)
    files = {
        "cts.hcl": text.replace("VAULT", vault.url).replace("TOKEN", TOKEN),
        "vault.key": PRIVATE_KEY,
        "consul.pem": certificate,
        "consul.key": consul_key,
        "canary.tfvars": 'content = "{{resolve:ssm:/canary/variable}}"\n',
        "modules/canary/main.tf": MODULE,
        "role.tfvars": 'content = "{{resolve:secretsmanager:of-role-secret}}"\n',
        "modules/role/main.tf": ROLE_MODULE,
        **{
            f"{name}.hcl": ROLE_TASK.replace("NAME", name).replace("SERVERLESS", serverless)
            for name, serverless in tasks.items()
        },
    }
    pushed = world.cts("push", str(folder_of(folder / "pushed", files)), "--yes")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    of_key = consul_key.splitlines()[1]
    secrets = [
        *VALUES.values(), VARIABLE, OF_ROLE, TOKEN, VAULT_TOKEN, OF_KEY, of_key, CONSUL_TOKEN,
        CONSUL_PASSWORD, IN_ENVIRONMENT, OTHER_NAME,
    ]  # fmt: skip
    device = world.stack.devices / "canary"
    return Planted(device, secrets, [pushed.stdout, pushed.stderr], role)


def _in_aws(world: World) -> str:
    """The ARN of the task's role."""
    manager, iam = world.client("secretsmanager"), world.client("iam")
    for name, value in (("parameter", VALUES["parameter"]), ("variable", VARIABLE)):
        world.client("ssm").put_parameter(Name=f"/canary/{name}", Value=value, Type="SecureString")
    pw = json.dumps({"pw": VALUES["secret"]})
    secret = manager.create_secret(Name="canary-secret", SecretString=pw)
    of_role = manager.create_secret(Name="of-role-secret", SecretString=OF_ROLE)
    in_task_secret = {"CANARY_ENV": VALUES["env"], "OTHER": OTHER_NAME}
    task_secret = world.stack.outputs["TaskSecret"]
    manager.put_secret_value(SecretId=task_secret, SecretString=json.dumps(in_task_secret))
    stack_role = task_role(world)
    parameters = f"arn:aws:ssm:{REGION}:000000000000:parameter/canary/*"
    _allow(world, stack_role, "secretsmanager:GetSecretValue", secret["ARN"])
    _allow(world, stack_role, "ssm:GetParameter", parameters)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": iam.get_role(RoleName=stack_role)["Role"]["Arn"]},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:PrincipalTag/task": "of-role"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="of-role", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    _allow(world, "of-role", "secretsmanager:GetSecretValue", of_role["ARN"])
    return str(role)


def task_role(world: World) -> str:
    return next(name for name in roles(world) if "-TaskRole" in name)


def roles(world: World) -> list[str]:
    return [each["RoleName"] for each in world.client("iam").list_roles()["Roles"]]


def _allow(world: World, role: str, action: str, resource: str) -> None:
    allowed = {"Effect": "Allow", "Action": action, "Resource": resource}
    world.client("iam").put_role_policy(
        RoleName=role,
        PolicyName=action.replace(":", "-"),
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )


# ---- where to look -------------------------------------------------------------------------------


def leave(world: World, text: str) -> set[str]:
    """A text in each kind of place, however wrapped: the names of these places."""
    s3, logs = world.client("s3"), world.client("logs")
    wrapped = {
        "zip": zipped({"inner.zip": zipped({"a.txt": text})}),
        "gzip": gzip.compress(text.encode()),
        "base64": base64.b64encode(text.encode()),
    }
    for name, body in wrapped.items():
        s3.put_object(Bucket=world.work_bucket, Key=f"left/{name}", Body=body)
    s3.put_object(Bucket=world.stack.outputs["StateBucket"], Key="left", Body=text.encode())
    item = {"pk": {"S": "LEFT"}, "sk": {"S": "LEFT"}, "text": {"S": text}}
    world.client("dynamodb").put_item(TableName=world.stack.outputs["Table"], Item=item)
    event = {"Source": "left", "DetailType": "Left", "Detail": json.dumps({"text": text})}
    bus = world.stack.outputs["Bus"]
    world.client("events").put_events(Entries=[{**event, "EventBusName": bus}])
    logs.create_log_group(logGroupName="left")
    logs.create_log_stream(logGroupName="left", logStreamName="left")
    line = {"timestamp": 1, "message": text}
    logs.put_log_events(logGroupName="left", logStreamName="left", logEvents=[line])
    return {*(f"work/left/{name}" for name in wrapped), "state/left", "table", "events",
            "logs left"}  # fmt: skip


def places(world: World) -> dict[str, Any]:
    """Everything but the secrets themselves; objects in all of their versions."""
    outputs = world.stack.outputs
    objects = _stored(world, "work", world.work_bucket)
    objects |= _stored(world, "state", outputs["StateBucket"])
    logs = world.client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    lines = {f"logs {name}": logs.filter_log_events(logGroupName=name)["events"] for name in groups}
    files = (world.stack.folder / "logs").glob("*.log")
    return {
        **objects,
        **lines,
        **{f"file {file.name}": file.read_text() for file in files},
        "table": world.client("dynamodb").scan(TableName=outputs["Table"])["Items"],
        "metrics": world.client("cloudwatch").list_metrics()["Metrics"],
        "events": world.stack.events(),
        "builds": world.stack.builds(),
        "reader": reader(world),
        "cts": [world.cts(*command).stdout for command in (["status"], ["logs", "canary"])],
    }


def _stored(world: World, name: str, bucket: str) -> dict[str, list[bytes]]:
    s3 = world.client("s3")
    listed = s3.list_object_versions(Bucket=bucket)
    assert not listed["IsTruncated"]
    found: dict[str, list[bytes]] = {}
    for each in listed.get("Versions", []):
        version = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
        body = s3.get_object(**version)["Body"].read()
        found.setdefault(f"{name}/{each['Key']}", []).append(body)
    return found


def reader(world: World) -> dict[str, str]:
    """What the reader's function URL answers, as it is."""
    runs = [run.id for name in ("canary", "of-role", "thief") for run in world.runs(name)]
    paths = [
        "status", "status/tasks?include=events", "status/tasks/canary?include=events", "runs",
        "configuration", "poller", *(f"runs/{run}" for run in runs),
        *(f"runs/{run}/log" for run in runs),
    ]  # fmt: skip
    session = boto3.Session("test", "test", region_name=REGION)
    base = world.stack.outputs["ReaderUrl"].rstrip("/")
    transport = Emulated(world.stack.endpoint)
    with httpx.Client(auth=Signed(session), transport=transport, timeout=60) as client:
        answers = {path: client.get(f"{base}/v1/{path}") for path in paths}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {path: answer.text for path, answer in answers.items()}


def ended(world: World, name: str) -> Run | None:
    return next((run for run in world.runs(name) if run.status.ended), None)


def succeeded(world: World, name: str) -> Run | None:
    return next((run for run in world.runs(name) if run.status.succeeded), None)
