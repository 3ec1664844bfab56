"""A buildspec's phases, run by a real shell."""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from local.buildspec import BadBuildspec, parse, script

HEAD = "version: 0.2\n"


def run(text: str, folder: Path) -> tuple[int, str, list[str]]:
    """Exit code, output, and the reports of the script."""
    reports, channel = os.pipe()
    done = subprocess.run(
        ["bash", "-c", script(parse(HEAD + text), channel)],
        cwd=folder,
        pass_fds=[channel],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(channel)
    with os.fdopen(reports) as file:
        return done.returncode, done.stdout, file.read().splitlines()


def test_phases_run_in_their_order_and_are_reported(tmp_path: Path) -> None:
    code, output, reports = run(
        "phases: {build: {commands: [echo two]}, install: {commands: [echo one]}}", tmp_path
    )
    assert (code, output) == (0, "one\ntwo\n")
    assert reports == [
        line
        for phase in ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
        for line in (f"start {phase}", f"end {phase} SUCCEEDED")
    ]


def test_all_commands_share_one_shell(tmp_path: Path) -> None:
    text = "phases: {install: {commands: [x=1, cd /]}, build: {commands: ['echo $x $PWD']}}"
    assert run(text, tmp_path)[1] == "1 /\n"


def test_a_failed_command_ends_its_phase_and_is_named(tmp_path: Path) -> None:
    code, output, reports = run(
        "phases: {build: {commands: [echo one, (exit 3), echo never]}}", tmp_path
    )
    assert (code, output) == (1, "one\n")
    assert "failed BUILD 3 (exit 3)" in reports
    assert "end BUILD FAILED" in reports


def test_post_build_runs_after_a_failed_build_and_knows_of_it(tmp_path: Path) -> None:
    text = """
phases:
  build: {commands: ["false"]}
  post_build: {commands: ["echo succeeding=$CODEBUILD_BUILD_SUCCEEDING"]}
"""
    code, output, _ = run(text, tmp_path)
    assert (code, output) == (1, "succeeding=0\n")


def test_nothing_runs_after_a_failed_install(tmp_path: Path) -> None:
    text = "phases: {install: {commands: ['false']}, post_build: {commands: [echo never]}}"
    code, output, reports = run(text, tmp_path)
    assert (code, output) == (1, "")
    assert "start BUILD" not in reports


def test_finally_runs_whether_or_not_a_command_failed(tmp_path: Path) -> None:
    text = "phases: {build: {commands: ['false'], finally: [echo at last]}}"
    assert run(text, tmp_path)[:2] == (1, "at last\n")


def test_a_phase_may_fail_and_the_build_continue(tmp_path: Path) -> None:
    text = """
phases:
  pre_build: {on-failure: CONTINUE, commands: ["false"]}
  build: {commands: [echo built]}
"""
    assert run(text, tmp_path)[:2] == (0, "built\n")


def test_exported_variables_are_reported_with_their_last_value(tmp_path: Path) -> None:
    text = """
env: {exported-variables: [COUNTS, MISSING]}
phases: {build: {commands: [COUNTS="1 2"]}}
"""
    reports = run(text, tmp_path)[2]
    assert f"exported COUNTS {base64.b64encode(b'1 2').decode()}" in reports
    assert "exported MISSING " in reports


def test_a_process_left_running_does_not_hold_the_reports_open(tmp_path: Path) -> None:
    code, _, reports = run(
        "phases: {build: {commands: ['sleep 60 >/dev/null 2>&1 & echo $! > pid']}}", tmp_path
    )
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert code == 0
    assert reports[-1] == "end POST_BUILD SUCCEEDED"


def test_the_environment_block_is_read() -> None:
    spec = parse(
        HEAD
        + """
env:
  variables: {A: 1}
  secrets-manager: {B: name:key}
  parameter-store: {C: /path}
phases: {build: {commands: echo}}
"""
    )
    assert (spec.variables, spec.secrets, spec.parameters) == (
        {"A": "1"},
        {"B": "name:key"},
        {"C": "/path"},
    )
    assert spec.phases["BUILD"].commands == ("echo",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("version: 0.2\nphases: [", "not valid YAML"),
        ("version: 0.2", "no `phases`"),
        ("version: 0.1\nphases: {build: {commands: [a]}}", "version is 0.1, not 0.2"),
        ("version: 0.2\nphases: {bild: {commands: [a]}}", "unknown phases: bild"),
        ("version: 0.2\nphases: {build: }", "phase build has no commands"),
    ],
)
def test_a_bad_buildspec_is_refused_with_a_reason(text: str, complaint: str) -> None:
    with pytest.raises(BadBuildspec, match=complaint):
        parse(text)
