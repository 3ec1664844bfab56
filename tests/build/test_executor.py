"""The warm lane's sandbox: what it keeps, what it ends, and runs in it with real Terraform."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import cache_from_source
from io import BytesIO
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from cts import keys
from cts.adapters.program import program
from cts.executor import processes
from cts.executor.disk import Disk
from cts.executor.execute import KEPT, RESERVE, Asked, Sandbox, execute
from cts.executor.program import Program
from tests.build.conftest import TASK, Place, until, with_program

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


def test_what_another_user_has_left_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(tmp_path)
    (tmp_path / "other").write_text("")
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    disk(tmp_path)
    assert (tmp_path / "other").exists()


HOSTILE = {
    "a folder is unreadable": """
(a / "x" / "y").mkdir(parents=True)
(a / "x" / "y").chmod(0)
(a / "x").chmod(0)
""",
    "a kept folder is unreadable": '(a / "kept").mkdir(); (a / "kept").chmod(0)',
    "a folder is too deep": """
os.chdir(a)
for _ in range(3000):
    os.mkdir("kept")
    os.chdir("kept")
os.fchdir(root)
""",
    "its folder is unreadable": "a.chmod(0)",
    "its folder is gone": "shutil.rmtree(a)",
    "its folder is another one": 'a.rmdir(); a.symlink_to("b")',
    "the folder of another one is gone": 'shutil.rmtree("tasks/b")',
    "all is gone": 'shutil.rmtree("tasks")',
    "all is elsewhere": 'os.rename("tasks", "o"); os.symlink("o", "tasks")',
    "all is a file": 'shutil.rmtree("tasks"); Path("tasks").write_text("")',
    "all is unreadable": 'os.chmod("tasks", 0)',
}


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_a_module_does_the_next_tasks_find_empty_folders(tmp_path: Path, how: str) -> None:
    """Or what was kept for them."""
    code = f"""
import os, shutil
from pathlib import Path
from cts.executor.disk import Disk
if os.getuid() == 0:  # who may read everything
    os.setgid({NOBODY})
    os.setuid({NOBODY})
root, disk = os.open(".", os.O_RDONLY), Disk(Path(), 1_000_000)
(disk.open("b") / "kept").write_text("of b")
disk.close("b", ["kept"])
a = disk.open("a")
{HOSTILE[how]}
disk.close("a", ["kept"])
print(os.listdir(), {{*os.listdir("tasks")}} - {{"b"}})
print(os.listdir(disk.open("a")), {{*os.listdir(disk.open("b"))}} - {{"kept"}})
"""
    tmp_path.chmod(0o777)
    try:
        assert in_a_function(tmp_path, code) == "['tasks'] set()\n[] set()"
    finally:  # pytest can't delete a folder that is too deep
        subprocess.run(["rm", "-rf", "tasks"], cwd=tmp_path, check=False)


# ---- processes ------------------------------------------------------------------------------


def in_a_function(folder: Path, code: str) -> str:
    """What a program prints that is started as the function is."""
    return ended_function(folder, code).stdout.strip()


def ended_function(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(LAYER), "PATH": os.environ["PATH"], "SECRET": "of-the-function"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_no_process_lives_on(tmp_path: Path) -> None:
    """Not one in another session, which its parent has left."""
    code = f"""
from cts.executor import processes
processes.guarded()
shell = "(setsid sleep 300 > /dev/null 2>&1 & echo $! > {tmp_path}/pid); kill -9 $$"
print(processes.executed(processes.begun(["sh", "-c", shell]), 60))
"""
    assert in_a_function(tmp_path, code) == "-9"
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    code = """
from cts.executor import processes
print(processes.executed(processes.begun(["sleep", "300"]), 0.1))
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


def test_the_program_gets_nothing_of_the_functions_environment() -> None:
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
    assert processes.environment(given) == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "AWS_REGION": "eu-west-1",
    }


def test_what_the_program_prints_is_no_answer_of_the_function(tmp_path: Path) -> None:
    """Lambda's runtime may read the function's standard output. It goes to the log."""
    code = """
from pathlib import Path
from cts.executor.processes import executed
from cts.executor.program import Program
program = Program({}, {})
print(executed(program.start(Path(), {}, ["--help"]), 60))
"""
    done = ended_function(tmp_path, code)
    assert done.stdout == "0\n"
    assert "--minutes" in done.stderr


def test_the_function_ends_no_invocation_before_the_process_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(f"open({str(tmp_path / 'waits')!r}, 'x'); print(flush=True); input()")
    monkeypatch.setattr("cts.executor.program.WAITING", script)
    program = Program({}, {})
    program.end()
    (tmp_path / "waits").unlink(missing_ok=True)
    program.renew()
    assert (tmp_path / "waits").exists()
    program.renew()  # as after a run that could not begin
    program.end()


def test_the_process_that_waits_ends_with_the_function(tmp_path: Path) -> None:
    code = """
from cts.executor.processes import children
from cts.executor.program import Program
program = Program({}, {})
print(*children())
"""
    pid = int(in_a_function(tmp_path, code))
    until(lambda: not Path(f"/proc/{pid}").exists())


# ---- runs -----------------------------------------------------------------------------------


class Warm:
    """A sandbox, and the S3 that its runs work with."""

    def __init__(self, place: Place, root: Path) -> None:
        self.place, self.root = place, root
        root.mkdir()
        self.others = processes.children()
        self.programs: list[Program] = []
        self.sandbox = self.new()

    def new(self) -> Sandbox:
        """Another sandbox with the same disk: the process has ended, the disk is there."""
        given = processes.environment(self.place.environment)
        self.programs.append(Program(program(), given))
        return Sandbox("work", "eu-west-1", Disk(self.root, 10**9), self.programs[-1])

    @property
    def waiting(self) -> frozenset[int]:
        """The function's children."""
        return processes.children() - self.others

    def ask(
        self,
        run: str,
        main: str,
        *,
        release: Mapping[str, str] = MappingProxyType({}),
        **facts: Any,
    ) -> Asked:
        """`release`: the files of the program that are others in the archive's release."""
        folder = with_program(self.place.archive(run, main, **facts))
        for name, text in release.items():
            (folder / name).write_text(text)
        body = BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                archive.write(file, file.relative_to(folder))
        shutil.rmtree(folder)
        self.place.s3.objects[f"work/builds/{run}/archive.zip"] = body.getvalue()
        return Asked(TASK, run, run)

    def run(self, run: str, main: str, **asked: Any) -> dict[str, Any]:
        """The run's result."""
        assert execute(self.sandbox, self.ask(run, main, **asked), f"id-of-{run}", 60) == 0
        return self.place.result(run)

    @property
    def left(self) -> list[str]:
        """What is in the folders of tasks."""
        return sorted(each.name for each in (self.root / "tasks").glob("*/*"))

    def ended(self, run: str) -> list[str]:
        """The builds of a run that have ended."""
        place = f"work/{keys.run_object(TASK, run, keys.ended(''))}"
        return [each.removeprefix(place) for each in self.place.s3.objects if place in each]

    def build(self, run: str) -> str:
        """The one that began the run."""
        return str(json.loads(self.place.s3.objects[f"work/runs/{TASK}/{run}/started"])["build"])


@pytest.fixture
def warm(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warm]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, place.environment.get(name, "test"))
    warm = Warm(place, tmp_path / "sandbox")
    yield warm
    for each in warm.programs:
        each.end()


def test_a_run_is_executed_and_only_what_init_made_stays(warm: Warm) -> None:
    assert warm.run("one", DATA % "1")["status"] == "applied"
    assert ".terraform" in warm.left
    assert {*warm.left} <= {*KEPT}
    assert warm.ended("one") == [warm.build("one")]
    warm.place.s3.seen.clear()
    assert warm.run("two", DATA % "1")["status"] == "unchanged"
    assert not [each for each in warm.place.s3.seen if "/cache/" in each]
    assert warm.place.result("two")["build"].startswith(keys.warm_build("id-of-two"))


def test_the_process_of_a_run_began_before_it_and_none_waits_beside_it(warm: Warm) -> None:
    """A module could reach it."""
    seen = list[frozenset[int]]()

    def look(_method: str, path: str) -> None:
        if path.endswith("/applying"):
            seen.append(warm.waiting)

    warm.place.s3.fault = look
    waited = list[frozenset[int]]()
    for number in range(3):
        waited.append(warm.waiting)
        assert len(waited[-1]) == 1
        warm.run(f"run-{number}", DATA % number)
    assert seen == waited
    assert len({*seen}) == 3


def test_the_process_that_waits_has_nothing_of_the_functions_environment(warm: Warm) -> None:
    warm.sandbox.program.end()
    warm.sandbox.program.renew()
    [pid] = warm.waiting
    found = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert {each.partition("=")[0] for each in found if each} == {"AWS_ENDPOINT_URL", "PATH"}


def test_a_run_begins_without_a_process_that_waits(warm: Warm) -> None:
    [pid] = warm.waiting
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert warm.run("one", DATA % "1")["status"] == "applied"


def test_an_archive_of_another_release_is_executed_by_its_own_program(warm: Warm) -> None:
    """And none waits beside it."""
    name, seen = "execute/cts/build/engine.py", list[frozenset[int]]()
    text = program()[name].replace('"Terraform"', '"Another Terraform"')

    def look(_method: str, path: str) -> None:
        if path.endswith("/applying"):
            seen.append(warm.waiting)

    warm.place.s3.fault = look
    waited = warm.waiting
    warm.run("one", DATA % "1", release={name: text})
    assert ", Another Terraform 1." in warm.place.log("one")
    [beside] = seen
    assert len(beside) == 1
    assert beside != waited
    warm.run("two", DATA % "1")
    assert "Another" not in warm.place.log("two")


def test_a_run_that_failed_leaves_nothing(warm: Warm) -> None:
    asked = warm.ask("one", "resource")
    assert execute(warm.sandbox, asked, "id", 60) == 1
    assert warm.left == []
    assert warm.ended("one")


def test_of_two_invocations_one_executes_the_run(warm: Warm) -> None:
    asked = warm.ask("one", DATA % "1")
    assert execute(warm.sandbox, asked, "first", 60) == 0
    before = dict(warm.place.s3.objects)
    assert execute(warm.new(), asked, "second", 60) == 0
    assert warm.build("one").startswith(keys.warm_build("first"))
    [added] = warm.place.s3.objects.keys() - before.keys()
    assert added.rpartition("/")[2].startswith(keys.warm_build("second"))


def test_an_invocation_that_is_delivered_twice_executes_the_run_once(
    warm: Warm, tmp_path: Path
) -> None:
    """Lambda may do so. The second one begins while the first one applies, and ends before it."""
    (tmp_path / "other").mkdir()
    other = replace(warm.sandbox, disk=Disk(tmp_path / "other", 0))
    asked, codes, ended = warm.ask("one", DATA % "1"), list[int | None](), list[str]()

    def again(_method: str, path: str) -> None:
        if path.endswith("/applying") and not codes:
            codes.append(None)
            codes.append(execute(other, asked, "id", 60))
            ended.extend(warm.ended("one"))

    warm.place.s3.fault = again
    assert execute(warm.sandbox, asked, "id", 60) == 0
    assert codes[1:] == [0]
    assert len(ended) == 1
    assert warm.build("one") not in ended
    assert warm.place.log("one").count("] terraform apply ") == 1
    assert warm.place.result("one")["status"] == "applied"


def test_the_time_that_the_archive_takes_is_not_the_programs(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now, given = warm.ask("one", DATA % "1"), [1000.0], list[float]()

    def slow(_method: str, path: str) -> None:
        if path.endswith("archive.zip"):
            now[0] += 20

    def start(_folder: Path, _environment: Mapping[str, str], arguments: list[str]) -> None:
        given.append(float(arguments[-1]) * 60)

    warm.place.s3.fault = slow
    monkeypatch.setattr("cts.executor.execute.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(warm.sandbox.program, "start", start)
    monkeypatch.setattr("cts.executor.execute.executed", lambda *_: 1)
    execute(warm.sandbox, asked, "id", 60)
    assert given == [pytest.approx(60 - RESERVE - 20)]


def test_a_run_whose_sandbox_can_not_be_cleaned_has_ended(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_disk: Disk) -> None:
        raise PermissionError

    asked = warm.ask("one", DATA % "1")
    monkeypatch.setattr(Disk, "clean", refused)
    with pytest.raises(PermissionError):
        execute(warm.sandbox, asked, "id", 60)
    assert warm.ended("one") == [warm.build("one")]


def test_a_run_that_follows_an_inspection_is_executed(warm: Warm) -> None:
    """Which plans with a backend of its own, as there is no state yet."""
    assert warm.run("one", DATA % "1", inspect=True)["status"] == "planned"
    assert not [*warm.root.rglob("terraform.tfstate")]
    assert warm.run("two", DATA % "1")["status"] == "applied"
    assert warm.run("three", DATA % "2", inspect=True)["status"] == "planned"
    assert warm.run("four", DATA % "2")["status"] == "applied"


def test_a_run_that_has_ended_is_not_executed(warm: Warm) -> None:
    assert execute(warm.sandbox, Asked(TASK, "gone", "gone"), "id", 60) is None
    assert not warm.ended("gone")


def test_a_sandbox_whose_process_was_killed_begins_anew(warm: Warm) -> None:
    """What is there may be half-written."""
    warm.run("one", DATA % "1")
    [folder] = (warm.root / "tasks").iterdir()
    for file in (each for each in folder.rglob("*") if each.is_file()):
        file.write_bytes(file.read_bytes()[:7])
    for file in (folder / name for name in program()):
        compiled = Path(cache_from_source(str(file)))
        compiled.parent.mkdir(parents=True, exist_ok=True)
        compiled.write_bytes(b"half")
        file.write_text("half")
    (warm.root / "half").write_text("half")
    warm.sandbox = warm.new()
    assert not (warm.root / "half").exists()
    assert warm.run("two", DATA % "2")["status"] == "applied"
    release = {"execute.py": program()["execute.py"] + "# another\n"}
    assert warm.run("three", DATA % "3", release=release)["status"] == "applied"


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
from cts.executor.program import Program
program = Program({{}}, {{"PATH": "/bin"}})
sandbox = Sandbox("work", "eu-west-1", Disk(Path({str(warm.root)!r}), 0), program)
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
    assert warm.ended("one")
    assert warm.left == []
