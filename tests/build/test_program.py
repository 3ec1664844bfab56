"""The program in an archive: who starts it, and that it needs and meets nothing but itself."""

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from cts.adapters.program import program
from cts.conditions.services import ServicesCondition
from cts.terraform.archive import run_archive, unzipped, zipped
from cts.terraform.definition import Definition, Module
from cts.terraform.place import RunPlace
from local import buildspec
from tests.build.conftest import TASK, Place, with_program
from tests.build.test_execute import ONE
from tests.fakes import RUN, FakeBucket, FakeSts, fake_sessions
from tests.template.written import TEMPLATE

OF_THE_FIRST_RELEASE = """
version: 0.2
phases:
  build:
    commands:
      - python3 execute.py --build "$CODEBUILD_BUILD_ID" --minutes "$CTS_BUILD_MINUTES"
"""
NOW = TEMPLATE["Resources"]["Project"]["Properties"]["Source"]["BuildSpec"]
SAYS_ITS_ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]))"
ARGUMENTS = ["--build", "project:1", "--minutes", "60"]
SHADOW = "raise SystemExit('shadowed')\n"


def archive(module: dict[str, str]) -> bytes:
    definition = Definition(TASK, Module("./m", digest="d"), ServicesCondition(), {})
    return run_archive(
        definition,
        {},
        description="",
        module={name: text.encode() for name, text in module.items()},
        place=RunPlace("work", "state", "eu-west-1", "1.11.4"),
        run={"task": TASK, "run": "run-1", "correlation_id": "c-1", "former_runs": []},
        program=zipped(program()),
    )


def built(place: Place, folder: Path, spec: str) -> subprocess.CompletedProcess[str]:
    """As CodeBuild does it: the commands of a buildspec, in the folder of the archive."""
    given = {"CODEBUILD_BUILD_ID": "project:1", "CTS_BUILD_MINUTES": "60"}
    path = f"{Path(sys.executable).parent}:{place.environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", "\n".join(buildspec.parse(spec).phases["BUILD"].commands)],
        cwd=folder,
        env={**place.environment, **given, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("spec", [NOW, OF_THE_FIRST_RELEASE], ids=["now", "first-release"])
def test_archives_of_the_release_before_are_built_and_so_are_ours_after_a_rollback(
    place: Place, spec: str
) -> None:
    former = place.folder / "former"
    former.mkdir()
    (former / "execute.py").write_text(SAYS_ITS_ARGUMENTS)
    assert json.loads(built(place, former, spec).stdout) == ARGUMENTS
    done = built(place, with_program(place.archive("run-1", ONE)), spec)
    assert done.returncode == 0, done.stderr
    assert place.result("run-1")["status"] == "applied"
    assert place.result("run-1")["build"] == "project:1"


def test_the_archive_of_a_run_is_built_with_the_session_that_is_put_into_it(place: Place) -> None:
    bucket, folder = FakeBucket(), place.folder / "run-1"
    made = archive({"main.tf": 'variable "services" {}\n' + ONE})
    fake_sessions(FakeSts(time.time), bucket).open(RUN, made)
    [source] = bucket.objects[f"builds/{RUN.folder}/archive.zip"]
    with zipfile.ZipFile(io.BytesIO(source)) as files:
        files.extractall(folder)
    done = built(place, folder, NOW)
    assert done.returncode == 0, done.stderr
    assert place.result("run-1")["status"] == "applied"
    assert {key for key, _ in place.s3.signers} == {"ASIA1"}


def test_it_needs_nothing_but_pythons_own_library(place: Place) -> None:
    command = [sys.executable, "-I", "-S", "execute.py", "--help"]
    folder = with_program(place.archive("run-1", ""))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--minutes" in done.stdout


def imported(texts: Iterable[str]) -> set[str]:
    lines = [line.split() for text in texts for line in text.splitlines()]
    return {words[1].partition(".")[0] for words in lines if words[:1] in (["import"], ["from"])}


@pytest.mark.parametrize("setting", [{}, {"PYTHONSAFEPATH": "1"}], ids=["plain", "safe-path"])
def test_no_file_beside_it_is_taken_for_one_of_its_modules(
    place: Place, setting: dict[str, str]
) -> None:
    folder = with_program(place.archive("run-1", ONE))
    names = imported(program().values())
    assert {"cts", "json", "subprocess"} <= names
    for name in (*names, "encodings", "codecs", "site"):
        (folder / f"{name}.py").write_text(SHADOW)
    (folder / "cts/build").mkdir(parents=True)
    for name in ("cts/__init__.py", "cts/build/__init__.py", "cts/build/main.py"):
        (folder / name).write_text(SHADOW)
    place.environment |= setting
    done = built(place, folder, NOW)
    assert done.returncode == 0, done.stderr
    assert place.result("run-1")["status"] == "applied"


def test_a_module_with_files_of_its_names_replaces_none_of_them() -> None:
    texts = program()
    module = dict.fromkeys((*texts, "json.py", "run.json", "execute/json.py"), SHADOW)
    made = unzipped(archive(module))
    for name, text in texts.items():
        assert made[name].decode() == text
    ours = {name for name in made if name.startswith("execute")}
    assert ours == texts.keys()
    assert {name for name, body in made.items() if body.decode() == SHADOW} == {
        f"modules/{TASK}/{name}" for name in module
    }


def test_equal_runs_make_equal_archives() -> None:
    assert archive({"main.tf": ONE}) == archive({"main.tf": ONE})
