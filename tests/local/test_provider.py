"""The test provider, with real Terraform."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.processes import descendants
from local.provider.mirror import SOURCE, VERSIONS
from local.waiting import wait_until
from tests.conftest import Terraform

ROOT = """
terraform {
  required_providers {
    files = {
      source  = "%s"
      version = "%s"
    }
  }
}
variable "files" {
  type      = any
  default   = null
  sensitive = true
  ephemeral = true
}
provider "files" {
  device = var.files.device
  token  = var.files.token
  delay  = var.files.delay
  tags   = ["a", "b"]
  label {
    name  = "zone"
    value = "dmz"
  }
  label { name = "empty" }
}
provider "files" {
  alias  = "other"
  device = "${path.module}/other"
}
variable "objects" {
  type    = map(string)
  default = {}
}
resource "files_object" "one" {
  for_each = var.objects
  name     = each.key
  content  = each.value
}
resource "files_object" "other" {
  provider = files.other
  name     = "other"
}
"""
HOSTILE = "${a} %{ if } \" \\ \n\t\x7f é 🙂 ' ../../x"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("files", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "main.tf").write_text(ROOT % (SOURCE, VERSIONS[0]))
    write(tmp_path, objects={"web": "1"})
    return tmp_path


def write(root: Path, *, objects: dict[str, str], token: str = "s3cret", delay: float = 0) -> None:
    values = {"files": {"device": str(root / "files"), "token": token, "delay": delay}}
    (root / "values.auto.tfvars.json").write_text(json.dumps(values | {"objects": objects}))


def held(folder: Path) -> dict[str, dict[str, Any]]:
    """The objects in a folder by name."""
    found = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    assert len({each["name"] for each in found}) == len(found)
    return {each["name"]: each for each in found}


def test_objects_are_made_changed_replaced_and_deleted(root: Path, terraform: Terraform) -> None:
    terraform(root, "init")
    terraform(root, "plan", "-out=saved")
    assert held(root / "files") == {}
    terraform(root, "apply", "saved")
    web = held(root / "files")["web"]
    assert web == {
        "id": web["id"],
        "name": "web",
        "content": "1",
        "provider": VERSIONS[0],
        "tags": ["a", "b"],
        "labels": {"zone": "dmz", "empty": None},
    }
    (other,) = (root / "other").iterdir()
    assert held(root / "other")["other"]["content"] is None

    other.unlink()
    write(root, objects={"web": "2", HOSTILE: HOSTILE})
    terraform(root, "apply", "-auto-approve")
    objects = held(root / "files")
    assert {name: each["content"] for name, each in objects.items()} == {
        "web": "2", HOSTILE: HOSTILE,
    }  # fmt: skip
    assert objects["web"]["id"] == web["id"]
    assert held(root / "other")["other"]["id"] != other.stem

    terraform(root, "destroy", "-auto-approve")
    assert held(root / "files") == held(root / "other") == {}


def test_the_lock_file_names_the_version_until_it_is_upgraded(
    root: Path, terraform: Terraform
) -> None:
    lock = root / ".terraform.lock.hcl"
    terraform(root, "init")
    first = lock.read_text()
    assert f'provider "{SOURCE}" {{\n  version     = "{VERSIONS[0]}"' in first
    (root / "main.tf").write_text(ROOT % (SOURCE, f">= {VERSIONS[0]}"))
    terraform(root, "init")
    assert f'version     = "{VERSIONS[0]}"' in lock.read_text()
    terraform(root, "init", "-upgrade")
    assert f'version     = "{VERSIONS[1]}"' in lock.read_text()


def test_a_device_refuses_another_token_than_its_own(root: Path, terraform: Terraform) -> None:
    (root / "files" / ".token").write_text("rotated")
    terraform(root, "init")
    said = terraform(root, "plan", code=1).stderr
    assert f"{root}/files refuses the token s3cret." in " ".join(said.split())
    write(root, objects={}, token="rotated")
    terraform(root, "plan")


def test_no_object_is_lost_when_terraform_is_interrupted(root: Path, terraform: Terraform) -> None:
    terraform(root, "init")
    write(root, objects={"slow": "x"}, delay=2)
    process = subprocess.Popen(
        ["terraform", "apply", "-auto-approve", "-no-color", "-target=files_object.one"],
        cwd=root,
        env=terraform.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Written, but not yet told to Terraform.
    wait_until(lambda: held(root / "files"), 30, "the object's file", every=0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 1, said
    state = json.loads((root / "terraform.tfstate").read_text())
    ids = [i["attributes"]["id"] for r in state["resources"] for i in r["instances"]]
    assert ids == [held(root / "files")["slow"]["id"]]


def test_the_provider_ends_with_the_program_that_terraform_started(
    root: Path, terraform: Terraform
) -> None:
    terraform(root, "init")
    write(root, objects={"slow": "x"}, delay=600)
    before = set(descendants(os.getpid()))
    process = subprocess.Popen(
        ["terraform", "apply", "-auto-approve", "-target=files_object.one"],
        cwd=root,
        env=terraform.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    next(line for line in process.stdout if "Creating..." in line)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: set(descendants(os.getpid())) <= before, 30, "the provider's end")
    assert held(root / "files") == {}
