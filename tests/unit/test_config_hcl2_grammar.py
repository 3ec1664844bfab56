"""The grammar of python-hcl2 is built once, when the layer is, and loaded wherever that lies."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("hcl2", "lark", "regex")
LOADED = """
import hcl2.parser
hcl2.parser.parser = None  # nobody builds it
from cts.config.modules.tfvars import read_variables
assert read_variables(b'a = "x${1 + 1}"', "v.tfvars") == ({"a": "x2"}, [])
print(hcl2.parser.__file__)
"""
NOT_NEEDED = """
import sys
import cts.wiring.publisher, cts.config.compile, cts.workflow.publish
from cts.config.compile import compile_bundle
assert not compile_bundle({"a.hcl": b"consul {}"}).problems
assert not {"hcl2", "lark"} & sys.modules.keys()
"""


def run(*arguments: str, path: list[Path]) -> str:
    done = subprocess.run(
        [sys.executable, "-S", "-B", *arguments],
        env={"PYTHONPATH": ":".join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the layer with the grammar that `make setup` has saved as the layer's build
    does, in another folder that is only read."""
    moved = tmp_path_factory.mktemp("opt") / "python"
    for package in PACKAGES:
        copytree(folder_of(package), moved / package)
    for path in [moved, *moved.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return moved


def test_the_saved_grammar_is_loaded_and_nothing_is_written(layer: Path) -> None:
    before = sorted(layer.rglob("*"))
    said = run("-c", LOADED, path=[ROOT / "layers/core", layer])
    assert said.strip() == str(layer / "hcl2/parser.py")
    assert sorted(layer.rglob("*")) == before


def test_who_reads_no_hcl2_does_not_load_it() -> None:
    packages = folder_of("lark").parent
    run("-c", NOT_NEEDED, path=[ROOT / "layers/core", packages])
