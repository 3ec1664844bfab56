"""Sandboxes share the imports of what their layers hold, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local import processes, sandboxes
from local.tools import PROJECT
from local.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PYTHON = getattr(sys, "_base_executable", sys.executable)
WORKER = """
import json, os, sys, tempfile
at_start = sorted(sys.modules)
print(json.dumps({
    "env": dict(os.environ), "folder": os.getcwd(), "path": sys.path, "modules": at_start,
    "temporary": tempfile.gettempdir(), "parent": os.getppid(),
}), flush=True)
for line in sys.stdin:
    print(line.upper(), end="", flush=True)
    print("heard", line, end="", file=sys.stderr, flush=True)
"""


@pytest.fixture(autouse=True)
def _no_parents_stay() -> Iterator[None]:
    yield
    for parent in sandboxes.parents.values():
        parent.requests.close()
        parent.process.wait(timeout=10)
    sandboxes.parents.clear()


@pytest.fixture
def layers(tmp_path: Path) -> str:
    """As the template's: one with this project's package, one with the packages that it uses."""
    found = {"core": PROJECT / "layers" / "core", "deps": Path(sysconfig.get_path("purelib"))}
    for name, packages in found.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "python").symlink_to(packages)
    return os.pathsep.join(str(tmp_path / name) for name in found)


def started(folder: Path, layers: str, **env: str) -> Any:
    folder.mkdir()
    script = folder / "_worker.py"
    script.write_text(WORKER)
    return sandboxes.Popen(
        [PYTHON, str(script)],
        cwd=str(folder),
        env={"PATH": os.environ["PATH"], sandboxes.LAYERS: layers, **env},
        stdin=sandboxes.PIPE,
        stdout=sandboxes.PIPE,
        stderr=sandboxes.PIPE,
        text=True,
        bufsize=1,
    )


def told(sandbox: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(sandbox.stdout.readline())
    return answer


def end(sandbox: Any) -> None:
    sandbox.terminate()
    assert sandbox.wait(timeout=10) is not None
    assert sandbox.poll() is not None
    for file in (sandbox.stdin, sandbox.stdout, sandbox.stderr):
        file.close()


def test_each_sandbox_has_its_own_environment_folders_and_life(
    tmp_path: Path, layers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "0")
    one = started(tmp_path / "one", layers, TMPDIR=str(tmp_path), ONE="1")
    two = started(tmp_path / "two", layers, TWO="2")
    of_one, of_two = told(one), told(two)
    assert of_one["parent"] == of_two["parent"] != os.getpid()
    assert {
        "boto3",
        "cts.adapters.codebuild",
        "httpcore",
        "cts.wiring.runner",
        "cts.workflow.start",
    } <= {*of_one["modules"]}
    assert (of_one["env"]["ONE"], of_two["env"]["TWO"]) == ("1", "2")
    assert not {"OURS", "TWO"} & {*of_one["env"]}
    assert "ONE" not in of_two["env"]
    assert (of_one["folder"], of_two["folder"]) == (str(tmp_path / "one"), str(tmp_path / "two"))
    assert (of_one["temporary"], of_one["path"][0]) == (str(tmp_path), str(tmp_path / "one"))
    assert not [each for each in of_one["path"][1:] if each.startswith(str(PROJECT))]
    assert not [each for each in of_one["path"] if each.endswith("-packages")], "of this machine"
    assert two.pid in processes.children(of_one["parent"])
    one.kill()
    one.wait(timeout=10)
    assert (one.poll() is None, two.poll() is None) == (False, True)
    assert one.stdout.readline() == ""
    end(one)
    two.stdin.write("still here\n")
    assert two.stdout.readline() == "STILL HERE\n"
    assert two.stderr.readline() == "heard still here\n"
    end(two)


def test_waiting_for_a_sandbox_that_goes_on_times_out(tmp_path: Path, layers: str) -> None:
    sandbox = started(tmp_path / "one", layers)
    told(sandbox)
    with pytest.raises(subprocess.TimeoutExpired):
        sandbox.wait(timeout=0)
    end(sandbox)


def test_other_layers_are_not_shared(tmp_path: Path, layers: str) -> None:
    (tmp_path / "other" / "python").mkdir(parents=True)
    both = f"{layers}{os.pathsep}{tmp_path / 'other'}"
    found = [
        started(tmp_path / name, given)
        for name, given in {"one": layers, "two": both, "three": str(tmp_path / "other")}.items()
    ]
    parents = [told(sandbox)["parent"] for sandbox in found]
    assert parents[0] == parents[1]
    assert parents[2] == os.getpid()
    for sandbox in found:
        end(sandbox)


def test_what_is_forked_ends_with_the_process_that_asked_for_it(
    tmp_path: Path, layers: str
) -> None:
    asked = f"""
import pathlib
from tests.local.test_sandboxes import started, told
sandbox = started(pathlib.Path({str(tmp_path / "one")!r}), {layers!r})
print(told(sandbox)["parent"], sandbox.pid)
"""
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    gone = [Path(f"/proc/{pid}") for pid in done.stdout.split()]
    wait_until(lambda: not any(each.exists() for each in gone), 10, "both processes to end")
