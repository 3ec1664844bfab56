"""However many services a task has, they reach its module."""

import hashlib
import json

import pytest

from cts.conditions.services import ServicesCondition
from cts.terraform.archive import unzipped, zipped
from cts.terraform.definition import Definition, Module
from cts.terraform.files import files
from cts.watch.snapshot import of
from tests.build.conftest import STATE, Place
from tests.build.test_rendering import PLACE, a_row

VARIABLES = ("terraform.tfvars", "variables.tf")
MAIN = """
output "ids" {
  value = sha256(join(",", sort([for each in var.services : each.id])))
}
"""
NOTE = "n" * 20_000
"""Of an instance: Terraform takes a millisecond for each instance, but little for their size."""


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(64 * 2**10, id="64-kilobytes"),
        pytest.param(20 * 2**20, id="20-megabytes", marks=pytest.mark.slow),
    ],
)
def test_services_of_this_size_reach_the_module(size: int, place: Place) -> None:
    ids = [f"web-{number:05}" for number in range(1 + size // len(NOTE))]
    rows = [{**a_row(each), "meta": {"note": NOTE}} for each in ids]
    definition = Definition("web", Module("./m"), ServicesCondition(("web",)))
    read = {view.id: of(rows) for view in definition.condition.views(None)}
    made = files(definition, read, description="", place=PLACE, run="run-1")
    assert len(made["terraform.tfvars"]) > size

    archive = place.archive("run-1", MAIN)
    for name, body in unzipped(zipped({name: made[name] for name in VARIABLES})).items():
        (archive / name).write_bytes(body)
    assert place.build(archive) == 0

    expected = hashlib.sha256(",".join(ids).encode()).hexdigest()
    assert json.loads(place.s3.objects[STATE])["outputs"]["ids"]["value"] == expected
