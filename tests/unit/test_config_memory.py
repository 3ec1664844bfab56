"""Small bundles that would take more memory than a publisher has, checked in a process that has no
more of it."""

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
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from types import SimpleNamespace
from cts.workflow.to_publish import ToPublish, check
with open(sys.argv[1], "rb") as file:
    pushed = SimpleNamespace(key="config/bundle.zip", body=file.read(), version="1")
checked = check(ToPublish(pushed, {}, None, None), {})
print(json.dumps([str(problem.code) for problem in checked.problems]))
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
@pytest.mark.parametrize("files", DENSE.values(), ids=DENSE)
def test_a_small_bundle_is_rejected_with_the_memory_that_there_is(
    tmp_path: Path, files: Callable[[], dict[str, str]]
) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files().items():
            archive.writestr(name, text)
    assert path.stat().st_size < MIB
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path), str(MEMORY)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) in (["over-limit"], ["syntax"])
