"""What a build adds to the Terraform that it runs."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from cts.build.terraform import backend_options
from local.provider.mirror import SOURCE
from tests.build.conftest import OTHER_STATE, Place, placed, with_program
from tests.build.s3 import serving

SAMPLES = 20
Main = Callable[[Path, int], str]
"""Where objects of the provider are, and a number that makes a change -> `main.tf`."""
PROVIDER = """
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
DATA = """
resource "terraform_data" "rule" {
  input = "%s"
}
"""
"""The least that Terraform can do: it starts no other program."""
OPTIONS = backend_options("1.11", other_endpoint=True)


def build_costs() -> Iterator[tuple[str, tuple[float, str]]]:
    """The program of a build, from the start of its process to its result, and Terraform alone: for
    a task with a provider, and for one without."""
    for suffix, main in ("", _with_provider), ("_of_data", _with_data):
        start, whole, part = _times(main)
        yield f"run{suffix}_start_p50_s", (round(start, 2), "s")
        yield f"run{suffix}_p50_s", (round(whole, 2), "s")
        yield f"terraform{suffix}_p50_s", (round(part, 2), "s")
        yield f"run_over_terraform{suffix}_ratio", (round(whole / part, 2), "ratio")


def _with_provider(folder: Path, content: int) -> str:
    return PROVIDER % (SOURCE, folder, content)


def _with_data(_: Path, content: int) -> str:
    return DATA % content


def _times(main: Main) -> tuple[float, float, float]:
    """Medians: of the start of a build, until its first request, of the whole build, and of
    Terraform alone. The last two in turn, with the same root module, and states of their own in the
    same bucket."""
    builds, alone = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        serving() as s3,
        placed(s3, Path(folder)) as place,
    ):
        place.environment["CHECKPOINT_DISABLE"] = "1"
        s3.objects["state/tasks/alone/terraform.tfstate"] = OTHER_STATE
        for number in range(SAMPLES + 1):
            builds.append(_build(place, number, main))
            alone.append(_terraform(place, number, main))
    # The first ones warm all caches.
    starts, wholes = zip(*builds[1:], strict=True)
    return median(starts), median(wholes), median(alone[1:])


def _build(place: Place, number: int, main: Main) -> tuple[float, float]:
    """When it made its first request, and stored its result."""
    run = f"build-{number}"
    archive = with_program(place.archive(run, main(place.folder / "build", number)))
    seen, stored = [], []

    def watch(_: str, path: str) -> None:
        seen.append(time.monotonic())
        if path.endswith("/result.json"):
            stored.append(time.monotonic())

    command = [sys.executable, "-S", "execute.py", "--build", "project:1", "--minutes", "60"]
    place.s3.fault = watch
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=archive, env=place.environment, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(f"the build failed: {place.result(run)['error']}")
    return seen[0] - began, stored[-1] - began


def _terraform(place: Place, number: int, main: Main) -> float:
    folder = place.archive(f"alone-{number}", main(place.folder / "alone", number))
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
