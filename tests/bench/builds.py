"""What a build adds to the Terraform that it runs."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from cts.build.terraform import backend_options
from local.provider.mirror import SOURCE
from tests.build.conftest import OTHER_STATE, Place, placed
from tests.build.s3 import serving

SAMPLES = 20
MAIN = """
terraform {
  required_providers {
    files = {
      source = "%s"
    }
  }
}
provider "files" {
  device = "%s"
}
resource "files_object" "rule" {
  name    = "rule"
  content = "%s"
}
"""
OPTIONS = backend_options("1.11", other_endpoint=True)


def build_costs() -> Iterator[tuple[str, tuple[float, str]]]:
    """The program of a build, from its start to its result, and Terraform alone, in turn: the same
    archive, and states of their own in the same bucket."""
    builds, alone = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        serving() as s3,
        placed(s3, Path(folder)) as place,
    ):
        place.environment["CHECKPOINT_DISABLE"] = "1"
        s3.objects["state/tasks/alone/terraform.tfstate"] = OTHER_STATE
        for number in range(SAMPLES + 1):
            builds.append(_build(place, number))
            alone.append(_terraform(place, number))
    # The first ones warm all caches.
    whole, part = median(builds[1:]), median(alone[1:])
    yield "run_p50_s", (round(whole, 2), "s")
    yield "terraform_p50_s", (round(part, 2), "s")
    yield "run_over_terraform_ratio", (round(whole / part, 2), "ratio")


def _archive(place: Place, run: str, content: int) -> Path:
    return place.archive(run, MAIN % (SOURCE, place.folder / run.partition("-")[0], content))


def _build(place: Place, number: int) -> float:
    run = f"build-{number}"
    archive = _archive(place, run, number)
    stored = []

    def watch(_: str, path: str) -> None:
        if path.endswith("/result.json"):
            stored.append(time.monotonic())

    place.s3.fault = watch
    began = time.monotonic()
    if place.build(archive):
        sys.exit(f"the build failed: {place.result(run)['error']}")
    return stored[-1] - began


def _terraform(place: Place, number: int) -> float:
    folder = _archive(place, f"alone-{number}", number)
    environment = place.environment | {"TF_WORKSPACE": "alone", "TF_IN_AUTOMATION": "1"}
    began = time.monotonic()
    for command in (["init", *OPTIONS], ["plan", "-out=plan"], ["apply", "plan"]):
        done = subprocess.run(
            ["terraform", *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"terraform {command[0]}: {done.stderr.decode()}")
    return time.monotonic() - began
