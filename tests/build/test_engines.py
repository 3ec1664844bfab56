"""Builds with several versions of Terraform, and with OpenTofu."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cts.build.engine import ENGINES, OnPath
from cts.build.log import Log
from cts.conditions.services import ServicesCondition, service_row
from cts.terraform.definition import Definition, Module, Provider
from cts.terraform.files import files
from cts.terraform.place import RunPlace
from cts.terraform.root import module_folder
from cts.watch.snapshot import of
from local import tools
from local.provider.mirror import SOURCE, VERSIONS
from tests.build.conftest import STATE, TASK, Place

RELEASES = ("1.9.8", "1.12.2", "1.15.5")
DEFINITION = Definition(
    TASK,
    Module("./m", digest="d"),
    ServicesCondition(("web",)),
    {"zone": "{{resolve:secretsmanager:zone}}"},
    providers=(Provider("files", arguments={"device": "device"}),),
    required_providers={"files": {"source": SOURCE, "version": VERSIONS[0]}},
)
MODULE = f"""
terraform {{
  required_providers {{
    files = {{ source = "{SOURCE}" }}
  }}
}}
variable "services" {{}}
variable "zone" {{}}
resource "files_object" "one" {{
  for_each = var.services
  name     = each.key
  content  = each.value.address
}}
"""
NODE = {"Node": "node-a", "Address": "10.0.0.4"}


@pytest.fixture
def several(place: Place) -> Place:
    for each in RELEASES:
        tools.terraform_release(each)
    place.environment["PATH"] = f"{tools.BIN}:{place.environment['PATH']}"
    place.environment["FILES_ROOT"] = str(place.folder)
    return place


def executed(place: Place, run: str, version: str, address: str) -> None:
    archive = place.archive(run, "", version=version)
    row = service_row(
        {"Service": {"ID": "web-1", "Service": "web", "Address": address}, "Node": NODE}
    )
    read = {view.id: of([row]) for view in DEFINITION.condition.views(None)}
    where = RunPlace("work", "state", "eu-west-1", version)
    definition = replace(DEFINITION, variables={"zone": "a"})
    for name, text in files(definition, read, description="", place=where, run=run).items():
        (archive / name).write_text(text)
    module = archive / module_folder(TASK)
    module.mkdir(parents=True)
    (module / "main.tf").write_text(MODULE)
    place.build(archive)


@pytest.mark.slow
def test_several_versions_of_terraform_run_the_same_task(several: Place) -> None:
    device = several.folder / "device"
    for n, version in enumerate(RELEASES):
        executed(several, f"run-{n}", version, address=f"10.0.0.{n}")
        result = several.result(f"run-{n}")
        assert (result["status"], result["terraform"], result["error"]) == (
            "applied",
            version,
            None,
        )
        assert f"Terraform {version}" in several.log(f"run-{n}")
        (held,) = device.glob("*.json")
        assert json.loads(held.read_text())["content"] == f"10.0.0.{n}"
        assert json.loads(several.s3.objects[STATE])["terraform_version"] == version
    assert f"{STATE}.tflock" not in several.s3.objects


@pytest.mark.slow
def test_an_older_terraform_goes_on_with_the_state_of_a_newer_one(several: Place) -> None:
    executed(several, "run-1", RELEASES[-1], address="10.0.0.1")
    executed(several, "run-2", RELEASES[0], address="10.0.0.1")
    assert several.result("run-2")["status"] == "unchanged"


# ---- which program -----------------------------------------------------------------------------


def program(folder: Path, name: str, version: str) -> str:
    """A double that says its version."""
    file = folder / name
    file.write_text(f"""#!/bin/sh\necho '{{"terraform_version": "{version}"}}'\n""")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.mark.parametrize(("engine", "name"), [("terraform", "terraform"), ("opentofu", "tofu")])
def test_only_a_program_of_the_version_is_taken_from_the_path(
    engine: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    log, known = Log(), ENGINES[engine]
    other = program(tmp_path, name, "1.8.0")
    assert OnPath(known, "1.8.0").found(log) == other
    assert log.body() == b""
    assert OnPath(known, "1.9.1").found(log) is None
    assert f"{other} is {known.title} 1.8.0, but 1.9.1 is needed" in log.body().decode()
    exact = program(tmp_path, f"{name}-1.9.1", "1.9.1")
    assert OnPath(known, "1.9.1").found(log) == exact


RECORDING = r"""#!/bin/sh
echo "$@" >> "$HOME/called"
case "$1" in
  version) echo '{"terraform_version": "1.10.10"}' ;;
  apply)
    printf "\nPlan: 1 to add, 0 to change, 0 to destroy.\n"
    printf "\nDo you want to perform these actions in workspace \"web\"?\n"
    printf "  OpenTofu will perform the actions described above.\n"
    printf "  Only 'yes' will be accepted to approve.\n\n  Enter a value: "
    read -r answer
    echo "$answer" >> "$HOME/called"
    ;;
esac
"""


def test_a_build_calls_opentofu_as_it_calls_terraform(place: Place) -> None:
    """A double that records its arguments: OpenTofu itself is not at hand."""
    folder = place.folder / "bin"
    folder.mkdir()
    tofu = folder / "tofu"
    tofu.write_text(RECORDING)
    tofu.chmod(0o755)
    place.environment["PATH"] = f"{folder}:{place.environment['PATH']}"
    place.build(place.archive("run-1", "", version="1.10.10", engine="opentofu"))
    options = (
        "-backend-config=use_lockfile=true -backend-config=use_path_style=true "
        "-backend-config=skip_credentials_validation=true "
        "-backend-config=skip_requesting_account_id=true"
    )
    assert (place.folder / "called").read_text().splitlines() == [
        "version -json",
        f"init -lock-timeout=60s -no-color {options}",
        "apply -lock-timeout=60s -no-color",
        "yes",
    ]
    result = place.result("run-1")
    assert (result["status"], result["terraform"]) == ("applied", "1.10.10")
    assert "OpenTofu 1.10.10" in place.log("run-1")
    assert "tofu apply" in place.log("run-1")
