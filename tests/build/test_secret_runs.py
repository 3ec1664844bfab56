"""A build whose Terraform needs secrets, with real Terraform."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.build.conftest import STATE, TASK, Place
from tests.build.stores import CONSUL_TOKEN, Stores, storing

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/dns"
HOSTILE = 'pa"ss\\wo${x}rd%{y}'
MAIN = """
variable "fw" {
  type      = any
  default   = null
  sensitive = true
  ephemeral = true
}
variable "of_module" {
  type      = string
  sensitive = true
}
resource "terraform_data" "one" {
  provisioner "local-exec" {
    command     = "printf %s \\"$PW\\" > ephemeral; printf %s \\"$FW_PASSWORD\\" > environment"
    environment = { PW = var.fw.password }
  }
}
resource "terraform_data" "two" {
  input = nonsensitive(var.of_module)
  provisioner "local-exec" {
    command = "echo says \\"$FW_PASSWORD\\"; echo \\"$FW_PASSWORD\\" | base64; FAILS"
  }
}
"""
ASKS = """
resource "terraform_data" "asks" {
  provisioner "local-exec" { command = COMMAND }
}
"""
WHO = """
import json, os, urllib.request
address = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
headers = {"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
    open("who", "w").write(json.load(answer)["AccessKeyId"])
"""


@pytest.fixture
def stores(place: Place) -> Iterator[Stores]:
    with storing() as stores:
        for service in ("SECRETS_MANAGER", "SSM", "STS"):
            place.environment[f"AWS_ENDPOINT_URL_{service}"] = stores.url
        stores.secrets["arn:task"] = json.dumps({"PW": HOSTILE, "SHORT": "abc"})
        stores.secrets["arn:consul"] = CONSUL_TOKEN
        stores.parameters["pw"] = "of-ssm-4711"
        stores.roles.add(ROLE)
        yield stores


def given(archive: Path, stores: Stores, **facts: Any) -> Path:
    """What the runner says of secrets in an archive."""
    known = json.loads((archive / "run.json").read_text())
    own = {
        "task_secret_arn": "arn:task",
        "consul_secret_arn": "arn:consul",
        "consul_address": stores.url,
        "providers": ["fw"],
    }
    (archive / "run.json").write_text(json.dumps(known | own | facts))
    return archive


def secret_archive(place: Place, stores: Stores, run: str, fails: str = "true") -> Path:
    archive = place.archive(run, MAIN.replace("FAILS", fails))
    variables = {
        "fw": {"password": '{{ env "PW" }}'},
        "of_module": '{{ env "PW" }} {{resolve:ssm:pw}}',
    }
    (archive / "secret.auto.tfvars.json").write_text(json.dumps(variables))
    return given(archive, stores, environment={"FW_PASSWORD": '{{ env "PW" }}'})


def holding(place: Place, secret: str) -> set[str]:
    return {key for key, body in place.s3.objects.items() if secret.encode() in body}


def test_secrets_reach_terraform_when_it_plans_and_applies_and_lie_nowhere(
    place: Place, stores: Stores
) -> None:
    archive = secret_archive(place, stores, "run-1")
    assert place.build(archive) == 0, place.log("run-1")
    assert (archive / "ephemeral").read_text() == HOSTILE
    assert (archive / "environment").read_text() == HOSTILE
    state = json.loads(place.s3.objects[STATE])
    [two] = [each for each in state["resources"] if each["name"] == "two"]
    assert two["instances"][0]["attributes"]["input"]["value"] == '{{ env "PW" }} of-ssm-4711'
    assert holding(place, HOSTILE) == set()
    assert holding(place, "of-ssm-4711") == {STATE}
    assert "says ***" in place.log("run-1")


def test_a_changed_secret_reaches_the_next_run(place: Place, stores: Stores) -> None:
    assert place.build(secret_archive(place, stores, "run-1")) == 0
    stores.parameters["pw"] = "changed-0815"
    assert place.build(secret_archive(place, stores, "run-2")) == 0
    assert place.result("run-2")["status"] == "applied"
    assert b"changed-0815" in place.s3.objects[STATE]


def test_an_error_shows_no_secret(place: Place, stores: Stores) -> None:
    archive = secret_archive(place, stores, "run-1", 'echo \\"$FW_PASSWORD\\" >&2; exit 3')
    assert place.build(archive) == 1
    error = place.result("run-1")["error"]
    assert "***" in error
    assert holding(place, HOSTILE) == set()


@pytest.mark.parametrize(
    ("reference", "down", "retryable"),
    [
        ('{{ env "NO" }}', {}, False),
        ('{{ env "PW" }}', {"secretsmanager.GetSecretValue": 99}, True),
    ],
)
def test_a_run_whose_secret_cannot_be_read_fails_before_its_init(
    place: Place, stores: Stores, reference: str, down: dict[str, int], retryable: bool
) -> None:
    stores.down |= down
    archive = place.archive("run-1", "")
    assert place.build(given(archive, stores, environment={"A": reference})) == 1
    result = place.result("run-1")
    assert (result["step"], result["retryable"]) == ("start", retryable)
    assert result["error"].startswith(f"reading {reference}: ")


# ---- a role of the task --------------------------------------------------------------------------


def asking_archive(place: Place, stores: Stores, run: str, **facts: Any) -> Path:
    command = json.dumps(f"{shlex.quote(sys.executable)} who.py")
    archive = place.archive(run, ASKS.replace("COMMAND", command))
    (archive / "who.py").write_text(WHO)
    return given(archive, stores, **facts)


def test_terraform_works_with_the_tasks_role_and_its_backend_with_that_of_the_run(
    place: Place, stores: Stores
) -> None:
    archive = asking_archive(
        place, stores, "run-1", role_arn=ROLE, environment={"A": '{{ env "PW" }}'}
    )
    assert place.build(archive) == 0, place.log("run-1")
    assert (archive / "who").read_text() == "ROLE-run-1"
    assert {key for key, _ in place.s3.signers} == {"RUN"}
    assert stores.seen == [("AssumeRole", "RUN"), ("secretsmanager.GetSecretValue", "ROLE-run-1")]


def test_a_role_that_does_not_trust_the_run_fails_it(place: Place, stores: Stores) -> None:
    other = ROLE.replace("dns", "other")
    assert place.build(asking_archive(place, stores, "run-1", role_arn=other)) == 1
    result = place.result("run-1")
    assert result["error"] == f"assuming the task's role {other}: AccessDenied: not you"
    assert result["step"] == "start"


def test_keys_in_a_tasks_environment_are_not_for_the_backend(place: Place, stores: Stores) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "OTHER", "AWS_SECRET_ACCESS_KEY": "other-secret"}
    assert place.build(asking_archive(place, stores, "run-1", environment=keys)) == 0
    assert {key for key, _ in place.s3.signers} == {"RUN"}


def test_options_of_a_backend_get_their_values(place: Place, stores: Stores) -> None:
    """As those of the runner: what has no reference is in main.tf."""
    archive = place.archive("run-1", 'resource "terraform_data" "one" {}')
    main = archive / "main.tf"
    main.write_text(main.read_text().replace('workspace_key_prefix = "tasks"', ""))
    prefix = {"workspace_key_prefix": '{{ key "prefix" }}'}
    stores.kv["prefix"] = "of ${x} %{y}"
    (archive / "secret.backend.json").write_text(json.dumps(prefix))
    given(archive, stores, state_key=f"of ${{x}} %{{y}}/{TASK}/terraform.tfstate")
    assert place.build(archive) == 0, place.log("run-1")
    assert f"state/of ${{x}} %{{y}}/{TASK}/terraform.tfstate" in place.s3.objects
