"""`sam build` as AWS gets it: without Docker, on whatever machine, for arm64 and Python 3.13."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from local.deploy import SAM
from tests.template.written import ROOT

AARCH64 = 183
"""EM_AARCH64 of the ELF specification."""
LIMIT = 250 * 1024 * 1024
"""Bytes that Lambda allows a function and its layers, unzipped."""


ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith("CTS_LAYER_")},
    "UV_CACHE_DIR": str(ROOT / ".tools/cache/uv"),
    "SAM_CLI_TELEMETRY": "0",
    "__SAM_CLI_APP_DIR": str(ROOT / ".local/sam"),
}
"""That of `sam build` for AWS."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    command = [sys.executable, "-c", SAM, "build", "--parallel", "--build-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def machine(library: Path) -> int:
    """The e_machine field of an ELF header."""
    header = library.read_bytes()[:20]
    assert header[:4] == b"\x7fELF", f"{library} is no ELF file"
    (found,) = struct.unpack_from("<H", header, 18)
    return int(found)


def test_every_library_is_for_arm64(built: Path) -> None:
    machines = {path.name: machine(path) for path in built.rglob("*.so*")}
    assert machines
    assert set(machines.values()) == {AARCH64}, machines


def test_bytecode_is_for_the_runtime_and_is_believed_without_a_look_at_the_source(
    built: Path,
) -> None:
    for path in built.rglob("*.pyc"):
        assert ".cpython-313." in path.name
        (flags,) = struct.unpack_from("<I", path.read_bytes(), 4)
        assert flags == 0b01, f"{path.name} is not unchecked-hash (PEP 552)"


def test_botocore_knows_every_service_that_is_called(built: Path) -> None:
    clients = (ROOT / "layers/core/cts/adapters/clients.py").read_text()
    called = set(re.findall(r'\.client\("(\w+)"', clients))
    models = {path.name for path in (built / "DepsLayer/python/botocore/data").iterdir()}
    assert called
    assert called <= models


def test_descriptions_of_resources_are_left_out(built: Path) -> None:
    boto3 = built / "DepsLayer/python/boto3"
    assert (boto3 / "session.py").exists()
    assert not (boto3 / "data").exists()


def test_the_build_finds_its_program_in_the_layer(built: Path) -> None:
    found = built / "CoreLayer/python/cts/build"
    assert (found / "execute.py").exists()
    ours = (ROOT / "layers/core/cts/build").glob("*.py")
    assert {path.name for path in found.glob("*.py")} == {path.name for path in ours}


def test_the_grammar_of_hcl_is_built_already(built: Path) -> None:
    assert (built / "HclLayer/python/hcl2/grammar.bin").stat().st_size > 0


def test_a_function_with_its_layers_is_far_below_the_limit(built: Path) -> None:
    size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())
    assert size < LIMIT / 4


@pytest.mark.parametrize("layer", ["deps", "hcl"])
def test_a_package_with_another_hash_is_refused(layer: str, tmp_path: Path) -> None:
    """One that is listed without a hash, too."""
    shutil.copytree(ROOT / "layers" / layer, tmp_path / layer)
    shutil.copy(ROOT / "layers/layer.mk", tmp_path)
    requirements = tmp_path / layer / "requirements.txt"
    for altered in (
        re.sub(r"sha256:\w{64}", f"sha256:{'0' * 64}", requirements.read_text()),
        re.sub(r" \\\n +--hash=\S+", "", requirements.read_text()),
    ):
        requirements.write_text(altered)
        done = subprocess.run(
            ["make", f"build-{layer.capitalize()}Layer"],
            cwd=tmp_path / layer,
            env={**ENVIRONMENT, "ARTIFACTS_DIR": str(tmp_path / "built")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode, done.stdout
        assert "hash" in done.stderr.lower()
