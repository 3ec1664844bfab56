"""A leashed command leaves nothing behind."""

import os
import sys
from pathlib import Path

from local import leash
from local.waiting import wait_until

ENV = {"PATH": "/usr/bin:/bin"}


def alive(file: Path) -> bool:
    try:
        stat = Path(f"/proc/{file.read_text().strip()}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_stopping_ends_the_command_and_what_it_started_in_other_groups(tmp_path: Path) -> None:
    script = "setsid sh -c 'echo $$ > orphan; sleep 1000' & echo $$ > command; sleep 1000"
    process = leash.start(["sh", "-c", script], env=ENV, cwd=tmp_path, log=tmp_path / "log")
    both = [tmp_path / "command", tmp_path / "orphan"]
    wait_until(lambda: all(f.exists() and f.read_text() for f in both), 10, "both processes")
    leash.stop(process)
    assert not any(alive(file) for file in both)


def test_a_command_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    holder = (
        "import pathlib, time; from local import leash;"
        "leash.start(['sh', '-c', 'echo $$ > command; exec sleep 1000'],"
        f" env={ENV!r}, cwd=pathlib.Path({str(tmp_path)!r}), log=pathlib.Path('/dev/null'));"
        "time.sleep(1000)"
    )
    root = Path(leash.__file__).parent.parent
    pid = os.spawnve(os.P_NOWAIT, sys.executable, ["python", "-c", holder],
                     {**os.environ, "PYTHONPATH": str(root)})  # fmt: skip
    command = tmp_path / "command"
    wait_until(lambda: command.exists() and command.read_text(), 20, "the command")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    wait_until(lambda: not alive(command), 10, "the command to end")


def test_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    process = leash.start(["sh", "-c", "exit 7"], env=ENV, cwd=tmp_path, log=tmp_path / "log")
    assert process.wait(10) == 7
