"""Which failures a retry can mend: an outage, and not a mistake in the configuration."""

import json
import shutil

import pytest

from tests.build.conftest import Place

NESTED = 'module "nested" {\n  source = "./nested"\n}\n'
MISTAKES = {
    "unclosed": 'resource "terraform_data" "x" {\n',
    "twice": 'variable "a" {}\nvariable "a" {}\n',
    "unknown-argument": 'resource "terraform_data" "x" {\n  nosuch = 1\n}\n',
    "unknown-variable": 'output "x" {\n  value = var.nope\n}\n',
    "newer-terraform": 'terraform {\n  required_version = ">= 99"\n}\n',
    "in-a-module": NESTED,
}
OUTAGES = {
    "a-registry-of-modules": 'module "m" {\n  source = "registry.invalid/a/b/c"\n}\n',
    "a-registry-of-providers": (
        "terraform {\n  required_providers {\n"
        '    x = {\n      source = "registry.invalid/x/x"\n    }\n  }\n}\n'
    ),
    "what-a-data-source-asks": (
        'data "terraform_remote_state" "x" {\n  backend = "http"\n'
        '  config = {\n    address = "http://127.0.0.1:9/"\n    retry_max = 0\n  }\n}\n'
    ),
}


@pytest.mark.parametrize("main", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_configuration_is_not_tried_again(place: Place, main: str) -> None:
    archive = place.archive("run-1", main)
    if main == NESTED:
        (archive / "nested").mkdir()
        (archive / "nested/main.tf").write_text('variable "a" {\n')
    assert place.build(archive) == 1
    result = place.result("run-1")
    assert (result["status"], result["retryable"]) == ("errored", False)
    assert "Error: " in result["error"]


@pytest.mark.parametrize("main", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_is_tried_again(place: Place, main: str) -> None:
    assert place.build(place.archive("run-1", main)) == 1
    result = place.result("run-1")
    assert (result["status"], result["retryable"]) == ("errored", True)


def test_why_it_is_tried_again_or_not_is_told(place: Place) -> None:
    place.build(place.archive("run-1", MISTAKES["unclosed"]))
    found = "terraform validate finds the error in the configuration"
    assert place.result("run-1")["because"] == found
    place.build(place.archive("run-2", OUTAGES["a-registry-of-modules"]), "project:2")
    assert place.result("run-2")["because"] == "what failed may work the next time"


BAD_VARIABLES = "zone = [1,\n"
GOES_ON = """#!/bin/sh
[ "$1" != apply ] || printf '\\nError: Missing expression\\n\\n  on a.auto.tfvars line 2:\\n' >&2
exec {terraform} "$@"
"""


def test_a_bad_file_of_variables_is_a_mistake(place: Place) -> None:
    archive = place.archive("run-1", 'variable "zone" {}\n')
    (archive / "a.auto.tfvars").write_text(BAD_VARIABLES)
    assert place.build(archive) == 1
    result = place.result("run-1")
    assert (result["status"], result["retryable"]) == ("errored", False)
    assert result["because"] == "the error is in a file of variables"


@pytest.mark.parametrize("name", ["main.tf", "secret.backend.json"])
def test_a_bad_option_of_a_backend_is_a_mistake(place: Place, name: str) -> None:
    archive = place.archive("run-1", "")
    facts = json.loads((archive / "run.json").read_text())
    facts |= {"state_bucket": "", "state_key": ""}
    (archive / "run.json").write_text(json.dumps(facts))
    (archive / "main.tf").write_text('terraform {\n  backend "consul" {\n    path = "p"\n  }\n}\n')
    bad = {"main.tf": 'terraform {\n  backend "consul" {\n    x = 1\n  }\n}\n'}
    (archive / name).write_text(bad.get(name, '{"x": 1}'))
    assert place.build(archive) == 1
    result = place.result("run-1")
    assert (result["step"], result["retryable"]) == ("init", False)
    assert "the error is in the backend's options" in result["because"]


@pytest.mark.parametrize("main", ['resource "terraform_data" "one" {}\n', ""])
def test_an_error_that_terraform_goes_on_after_is_one(place: Place, main: str) -> None:
    """Terraform 1.15.5 does with a bad file of variables: its plan ends with code 2."""
    folder = place.folder / "bin"
    folder.mkdir()
    wrapper = folder / "terraform"
    wrapper.write_text(GOES_ON.format(terraform=shutil.which("terraform")))
    wrapper.chmod(0o755)
    place.environment["PATH"] = f"{folder}:{place.environment['PATH']}"
    assert place.build(place.archive("run-1", main)) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"]) == ("errored", "plan")
    assert "Missing expression" in result["error"]
    assert "approval" not in result["error"]
    assert not main or place.resources() == []
    assert place.record("run-1", "applying") is None
