"""The warm lane's sandbox: what it keeps, what it ends, and runs in it with real Terraform."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cts import keys
from cts.executor import processes
from cts.executor.disk import Disk
from cts.executor.execute import KEPT, RESERVE, Asked, Sandbox, execute
from tests.build.conftest import TASK, Place

DATA = """
resource "terraform_data" "rule" {
  input = "%s"
}
"""
LAYER = Path(processes.__file__).parents[2]
NOBODY = 65_534


# ---- the disk -------------------------------------------------------------------------------


def disk(root: Path, most: int = 1_000_000) -> Disk:
    return Disk(root, most)


def filled(folder: Path, size: int = 10) -> None:
    (folder / "kept" / "below").mkdir(parents=True)
    (folder / "kept" / "below" / "file").write_bytes(b"x" * size)
    (folder / "gone").write_text("secret")


def test_a_folder_keeps_what_it_is_told_to_keep(tmp_path: Path) -> None:
    sandbox = disk(tmp_path)
    filled(sandbox.open("a"))
    sandbox.close("a", ["kept", "absent"])
    folder = sandbox.open("a")
    assert [each.name for each in folder.iterdir()] == ["kept"]


def test_what_was_not_closed_is_not_there_the_next_time(tmp_path: Path) -> None:
    sandbox = disk(tmp_path)
    filled(sandbox.open("a"))
    assert [*sandbox.open("a").iterdir()] == []
    filled(sandbox.open("a"))
    sandbox.clean()
    assert not (tmp_path / "tasks" / "a").exists()
    filled(sandbox.open("a"))
    sandbox.close("a", ["kept"])
    sandbox.open("a")
    assert [*sandbox.open("a").iterdir()] == [], "the run in between was killed"


def test_a_new_process_trusts_nothing_that_is_there(tmp_path: Path) -> None:
    first = disk(tmp_path)
    filled(first.open("a"))
    first.close("a", ["kept"])
    assert [*disk(tmp_path).open("a").iterdir()] == []


def rewritten(file: Path) -> None:
    before = file.stat()
    file.write_bytes(b"y" * 10)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


TAMPERED: dict[str, Any] = {
    "content of the same size": lambda file: file.write_bytes(b"y" * 10),
    "permissions": lambda file: file.chmod(0o777),
    "another file in its place": lambda file: (file.unlink(), file.write_bytes(b"x" * 10)),
    "a file more": lambda file: (file.parent / "more").write_text(""),
    "a link in place of a folder": lambda file: (
        file.parent.rename(file.parents[2] / "away"),
        file.parent.symlink_to(file.parents[2] / "away"),
    ),
    "content, with the time put back": rewritten,
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_a_module_of_another_task_touches_is_deleted(tmp_path: Path, how: str) -> None:
    sandbox = disk(tmp_path)
    filled(sandbox.open("a"))
    sandbox.close("a", ["kept"])
    sandbox.open("b")
    TAMPERED[how](tmp_path / "tasks" / "a" / "kept" / "below" / "file")
    sandbox.close("b", [])
    assert [*sandbox.open("a").iterdir()] == []


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    sandbox = disk(tmp_path, most=100_000)
    for name in ("a", "b", "a", "c"):
        folder = sandbox.open(name)
        if not (folder / "kept").exists():
            filled(folder, size=30_000)
        sandbox.close(name, ["kept"])
    assert {each.name for each in (tmp_path / "tasks").iterdir()} == {"a", "c"}


def test_what_a_run_leaves_elsewhere_is_deleted_and_what_was_there_before_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "before").write_text("")
    sandbox = disk(tmp_path)
    sandbox.open("a")
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "file").write_text("secret")
    (tmp_path / "stray").chmod(0)
    (tmp_path / "link").symlink_to("/")
    sandbox.clean()
    assert {each.name for each in tmp_path.iterdir()} == {"before", "tasks"}


# ---- processes ------------------------------------------------------------------------------


def in_a_function(folder: Path, code: str) -> str:
    """What a program prints that is started as the function is."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(LAYER), "PATH": os.environ["PATH"], "SECRET": "of-the-function"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_no_process_lives_on(tmp_path: Path) -> None:
    """Not one in another session, which its parent has left."""
    code = f"""
from cts.executor import processes
processes.guarded()
shell = "(setsid sleep 300 > /dev/null 2>&1 & echo $! > {tmp_path}/pid); kill -9 $$"
print(processes.executed(["sh", "-c", shell], {str(tmp_path)!r}, {{"PATH": "/usr/bin:/bin"}}, 60))
"""
    assert in_a_function(tmp_path, code) == "-9"
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    code = f"""
from cts.executor import processes
print(processes.executed(["sleep", "300"], {str(tmp_path)!r}, {{"PATH": "/usr/bin:/bin"}}, 0.1))
"""
    assert in_a_function(tmp_path, code) == "-9"


def test_a_child_can_not_read_the_functions_environment_or_memory(tmp_path: Path) -> None:
    code = f"""
import ctypes, os
from cts.executor import processes
def refused(name):
    child = os.fork()
    if child == 0:
        try:
            open(f"/proc/{{os.getppid()}}/{{name}}", "rb").read(1)
            os._exit(0)
        except PermissionError:
            os._exit(1)
    return os.waitpid(child, 0)[1] != 0
if os.getuid() == 0:  # who may read everything
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
    ctypes.CDLL(None).prctl(processes.PR_SET_DUMPABLE, 1, 0, 0, 0)
before = refused("environ")
processes.guarded()
print(before, refused("environ"), refused("maps"))
"""
    assert in_a_function(tmp_path, code) == "False True True"


def test_the_program_gets_nothing_of_the_functions_environment(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "secret",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_LAMBDA_FUNCTION_NAME": "cts-executor",
        "_HANDLER": "app.lambda_handler",
        "CTS_WORK_BUCKET": "work",
        "ANY_OTHER": "secret",
    }
    assert processes.environment(given, tmp_path) == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "AWS_REGION": "eu-west-1",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }


# ---- runs -----------------------------------------------------------------------------------


class Warm:
    """A sandbox, and the S3 that its runs work with."""

    def __init__(self, place: Place, root: Path) -> None:
        self.place, self.root = place, root
        root.mkdir()
        self.sandbox = self.new()

    def new(self) -> Sandbox:
        """Another sandbox with the same disk: the process has ended, the disk is there."""
        return Sandbox("work", "eu-west-1", Disk(self.root, 10**9), self.place.environment)

    def ask(self, run: str, main: str, **facts: Any) -> Asked:
        folder = self.place.archive(run, main, **facts)
        body = BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                archive.write(file, file.relative_to(folder))
        shutil.rmtree(folder)
        self.place.s3.objects[f"work/builds/{run}/archive.zip"] = body.getvalue()
        return Asked(TASK, run, run)

    def run(self, run: str, main: str, **facts: Any) -> dict[str, Any]:
        """The run's result."""
        assert execute(self.sandbox, self.ask(run, main, **facts), f"id-of-{run}", 60) == 0
        return self.place.result(run)

    @property
    def left(self) -> list[str]:
        """What is in the folders of tasks."""
        return sorted(each.name for each in (self.root / "tasks").glob("*/*"))

    def ended(self, run: str, request: str) -> bool:
        key = keys.run_object(TASK, run, keys.ended(keys.warm_build(request)))
        return f"work/{key}" in self.place.s3.objects


@pytest.fixture
def warm(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warm:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, place.environment.get(name, "test"))
    return Warm(place, tmp_path / "sandbox")


def test_a_run_is_executed_and_only_what_init_made_stays(warm: Warm) -> None:
    assert warm.run("one", DATA % "1")["status"] == "applied"
    assert ".terraform" in warm.left
    assert {*warm.left} <= {*KEPT}
    assert warm.ended("one", "id-of-one")
    assert warm.run("two", DATA % "1")["status"] == "unchanged"
    assert warm.place.result("two")["build"] == keys.warm_build("id-of-two")


def test_a_run_that_failed_leaves_nothing(warm: Warm) -> None:
    asked = warm.ask("one", "resource")
    assert execute(warm.sandbox, asked, "id", 60) == 1
    assert warm.left == []
    assert warm.ended("one", "id")


def test_of_two_invocations_one_executes_the_run(warm: Warm) -> None:
    asked = warm.ask("one", DATA % "1")
    assert execute(warm.sandbox, asked, "first", 60) == 0
    before = dict(warm.place.s3.objects)
    assert execute(warm.new(), asked, "second", 60) == 0
    started = json.loads(warm.place.s3.objects[f"work/runs/{TASK}/one/started"])
    assert started["build"] == keys.warm_build("first")
    added = warm.place.s3.objects.keys() - before.keys()
    assert [each.rpartition("/")[2] for each in added] == [keys.warm_build("second")]


def test_a_run_that_has_ended_is_not_executed(warm: Warm) -> None:
    assert execute(warm.sandbox, Asked(TASK, "gone", "gone"), "id", 60) is None
    assert not warm.ended("gone", "id")


def test_a_sandbox_whose_process_was_killed_begins_anew(warm: Warm) -> None:
    """What is there may be half-written."""
    warm.run("one", DATA % "1")
    [folder] = (warm.root / "tasks").iterdir()
    for file in (each for each in folder.rglob("*") if each.is_file()):
        file.write_bytes(file.read_bytes()[:7])
    (warm.root / "half").write_text("half")
    warm.sandbox = warm.new()
    assert warm.run("two", DATA % "2")["status"] == "applied"


def test_terraform_is_stopped_gently_before_the_time_is_over(warm: Warm) -> None:
    main = (
        DATA % "1"
        + """
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "exec sleep 60"
  }
}
"""
    )
    asked = warm.ask("one", main)
    assert execute(warm.sandbox, asked, "id", RESERVE + 8) == 1
    result = warm.place.result("one")
    assert "its time limit of" in result["error"]
    state = json.loads(warm.place.s3.objects[f"state/tasks/{TASK}/terraform.tfstate"])
    assert [each["name"] for each in state["resources"]] == ["rule", "slow"]


def test_a_full_disk_ends_no_run_without_a_word(warm: Warm) -> None:
    """No file can have more than a hundred bytes, as on a disk that is full."""
    asked = warm.ask("one", DATA % "1")
    code = f"""
import resource
from pathlib import Path
from cts.executor.disk import Disk
from cts.executor.execute import Asked, Sandbox, execute
sandbox = Sandbox("work", "eu-west-1", Disk(Path({str(warm.root)!r}), 0), {{"PATH": "/bin"}})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    execute(sandbox, Asked(*{tuple(asked)!r}), "id", 60)
except OSError as error:
    print(error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**warm.place.environment, "PYTHONPATH": str(LAYER), "AWS_ACCESS_KEY_ID": "test",
             "AWS_SECRET_ACCESS_KEY": "test"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "27", done.stderr
    assert warm.ended("one", "id")
    assert warm.left == []
