"""The program around the commands: interruptions, and outputs that can't be written."""

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from cts_cli import start
from tests.unit.cli_fakes import folder, task

pytestmark = pytest.mark.slow
FULL = Path("/dev/full")
RUN = [sys.executable, "-c", "from cts_cli.start import run; run()"]
HERE = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
"""What is tested, wherever it is installed."""


class Fails:
    """Raises an error during the import of the commands."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> None:
        if name == "cts_cli.main":
            raise self.error


def test_ctrl_c_during_the_imports_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cts_cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Fails(KeyboardInterrupt()), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        start.run()
    assert ended.value.code == 130


def test_an_error_that_is_not_of_an_output_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "cts_cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Fails(TimeoutError("timed out")), *sys.meta_path])
    with pytest.raises(TimeoutError):
        start.run()


def test_what_is_imported_before_ctrl_c_is_handled_takes_no_time() -> None:
    asked = "import sys; old = {*sys.modules}; import cts_cli.start; print({*sys.modules} - old)"
    done = subprocess.run(
        [sys.executable, "-c", asked], check=True, env=HERE, capture_output=True, text=True
    )
    assert ast.literal_eval(done.stdout) == {"cts_cli", "cts_cli.start", "errno"}


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["validate"], id="lines"),
        pytest.param(["validate", "--json"], id="json"),
        pytest.param(["import", "."], id="a-report"),
        pytest.param(["--help"], id="help"),
        pytest.param(["--version"], id="version"),
    ],
)
def test_a_result_that_cannot_be_written_is_not_what_the_command_found(
    tmp_path: Path, command: list[str]
) -> None:
    folder(tmp_path, task("web"))
    with FULL.open("w") as full:
        done = subprocess.run(
            [*RUN, *command],
            check=False,
            env=HERE,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    told = "cts: writing the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_without_any_output_the_exit_code_still_tells(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*RUN, "validate", "."], check=False, env=HERE, cwd=tmp_path, stdout=full, stderr=full
        )
    assert done.returncode == 2
