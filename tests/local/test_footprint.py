"""What the project's tools leave behind is in its own folders, and gone if nothing failed."""

import os
import re
import subprocess

import pytest

from local.tools import PROJECT


def exported(*arguments: str) -> dict[str, str]:
    """The variables that make gives to what it starts."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    made = subprocess.run(
        ["make", "-n", "-p", *arguments],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(re.findall(r"^(?:export )?(\w+) [:?]?= (.*)$", made.stdout, re.MULTILINE))


def test_temporary_files_of_the_targets_are_in_the_project() -> None:
    assert exported("help")["TMPDIR"].replace("$(CURDIR)", str(PROJECT)).startswith(str(PROJECT))


@pytest.mark.parametrize("layer", ["core", "deps", "hcl"])
def test_a_layer_that_sam_builds_caches_in_the_project(layer: str) -> None:
    made = exported("-f", f"layers/{layer}/Makefile", "ARTIFACTS_DIR=x")
    assert made["UV_CACHE_DIR"].replace("$(ROOT)", str(PROJECT)).startswith(str(PROJECT))


def test_what_passing_tests_wrote_is_removed(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("tmp_path_retention_policy") == "failed"
