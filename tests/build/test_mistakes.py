"""Which failures a retry can mend: an outage, and not a mistake in the configuration."""

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
