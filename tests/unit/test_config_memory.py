"""Small bundles that would take more memory than a publisher has, each checked in a process that
has no more of it."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.unit.publisher import task

MIB = 1024 * 1024
MEMORY = 512 * MIB
"""Half of what the template gives the publisher, for each process has libraries in it, too."""
CHECK = """
import json, os, resource, sys
from types import SimpleNamespace
from cts.workflow.to_publish import ToPublish, check
limit, *paths = sys.argv[1:]
for path in paths:
    if os.fork():
        os.wait()
        continue
    resource.setrlimit(resource.RLIMIT_AS, (int(limit),) * 2)
    with open(path, "rb") as file:
        pushed = SimpleNamespace(key="config/bundle.zip", body=file.read(), version="1")
    checked = check(ToPublish(pushed, {}, None, None), {})
    print(json.dumps({path: [str(problem.code) for problem in checked.problems]}))
    break
"""

DENSE: Mapping[str, Callable[[], dict[str, str]]] = {
    "JSON": lambda: {"a.json": '{"x": [' + "[]," * (3 * MIB) + "1]}"},
    "HCL": lambda: {"a.hcl": "x = [" + "[]," * (3 * MIB) + "]"},
    "a variable file": lambda: {
        "a.hcl": task("t").replace("module", 'variable_files = ["v"]\nmodule', 1),
        "v": "x = [" + "[]," * (3 * MIB) + "]\n",
    },
    "a module": lambda: {
        "a.hcl": task("t"),
        "m/main.tf": 'variable "services" { default = [' + "[]," * (3 * MIB) + "] }\n",
    },
    "a long name around many values": lambda: {
        "a.hcl": f'terraform_provider "{"n" * MIB}" {{\n x = [{"1," * (MIB // 2)}]\n}}\n'
    },
    "a variable file for many tasks": lambda: {
        "a.hcl": "".join(
            task(f"t{n}").replace("module", 'variable_files = ["v"]\nmodule', 1)
            for n in range(1200)
        ),
        "v": f'v = "{"x" * (MIB // 2)}"\n',
        "m/main.tf": 'variable "services" {}\nvariable "v" {}\n',
    },
}


@pytest.mark.slow
def test_a_small_bundle_is_rejected_with_the_memory_that_there_is(tmp_path: Path) -> None:
    bundles = {str(tmp_path / name): files() for name, files in DENSE.items()}
    for path, files in bundles.items():
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        assert Path(path).stat().st_size < MIB, path
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(MEMORY), *bundles],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    codes: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        codes |= json.loads(line)
    assert codes.keys() == bundles.keys(), done.stderr[-2000:]
    assert all(found in (["over-limit"], ["syntax"]) for found in codes.values()), codes
