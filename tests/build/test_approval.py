"""One process plans and applies: what happens while Terraform waits for the answer."""

import io
import shutil
import threading

import pytest

from cts.build.approval import Approval, Asking
from cts.build.log import Log
from tests.build.conftest import STATE, TASK, Place

ONE = 'resource "terraform_data" "one" { input = "a" }\n'
QUESTION = """
Plan: 1 to add, 0 to change, 0 to destroy.

Do you want to perform these actions in workspace "web"?
  Terraform will perform the actions described above.
  Only 'yes' will be accepted to approve.

"""
PROMPT = "  Enter a value: "


def test_terraform_starts_twice(place: Place) -> None:
    assert place.build(place.archive("run-1", ONE)) == 0
    commands = [line for line in place.log("run-1").splitlines() if "] terraform " in line]
    assert [line.split("] ")[1].split()[:2] for line in commands] == [
        ["terraform", "init"],
        ["terraform", "apply"],
    ]
    assert "Enter a value: yes\n" in place.log("run-1")


def test_what_a_plan_printed_is_kept_without_the_question(place: Place) -> None:
    place.build(place.archive("run-1", ONE))
    plan = (place.record("run-1", "plan") or b"").decode()
    assert plan.rstrip().endswith("Plan: 1 to add, 0 to change, 0 to destroy.")


def test_the_state_is_locked_and_unchanged_when_the_apply_is_recorded(place: Place) -> None:
    seen = []

    def watch(method: str, path: str) -> None:
        if method == "PUT" and path.endswith(("/applying", f"unfinished/{TASK}/apply")):
            seen.append((f"{STATE}.tflock" in place.s3.objects, place.resources()))

    place.s3.fault = watch
    assert place.build(place.archive("run-1", ONE)) == 0
    assert seen == [(True, []), (True, [])]


def test_the_records_of_an_apply_are_put_side_by_side(place: Place) -> None:
    both = threading.Barrier(2, timeout=30)

    def meet(method: str, path: str) -> None:
        if method == "PUT" and path.endswith(("/applying", f"unfinished/{TASK}/apply")):
            both.wait()

    place.s3.fault = meet
    assert place.build(place.archive("run-1", ONE)) == 0


@pytest.mark.parametrize("record", ["applying", "apply"])
def test_an_apply_that_cannot_be_recorded_does_not_begin(place: Place, record: str) -> None:
    def refuse(method: str, path: str) -> int | None:
        return 403 if method == "PUT" and path.endswith(f"/{record}") else None

    place.s3.fault = refuse
    assert place.build(place.archive("run-1", ONE)) == 1
    result = place.result("run-1")
    assert result["status"] == "errored"
    assert f"/{record}: HTTP 403" in result["error"]
    assert f"work/unfinished/{TASK}/apply" not in place.s3.objects
    assert place.resources() == []
    assert f"{STATE}.tflock" not in place.s3.objects


FAILING = """
resource "terraform_data" "x" {
  provisioner "local-exec" { command = "exit 1" }
}
"""
FINDS = """#!/bin/sh
[ "$1" != validate ] || exec echo '{{"diagnostics": [{{
  "severity": "error", "summary": "local-exec provisioner error", "range": {{}}
}}]}}'
exec {terraform} "$@"
"""


def test_what_fails_in_an_apply_is_tried_again_although_validate_finds_it(place: Place) -> None:
    folder = place.folder / "bin"
    folder.mkdir()
    wrapper = folder / "terraform"
    wrapper.write_text(FINDS.format(terraform=shutil.which("terraform")))
    wrapper.chmod(0o755)
    place.environment["PATH"] = f"{folder}:{place.environment['PATH']}"
    assert place.build(place.archive("run-1", FAILING)) == 1
    result = place.result("run-1")
    assert (result["step"], result["retryable"]) == ("apply", True), result["error"]


def decided(*parts: str, has_error: bool = False, problem: Exception | None = None) -> str:
    """The answer; empty if there was no question."""
    seen = []

    def decide(planned: str) -> None:
        seen.append(planned)
        if problem:
            raise problem

    output, approval = Asking(Log()), Approval(decide)
    for part in parts:
        output.add(part.encode())
    if not output.asks:
        return ""
    stdin = _Kept()
    approval.answer(output, stdin, has_error=has_error)
    assert approval.problem is problem
    assert approval.is_given == (stdin.kept == b"yes\n")
    assert has_error or seen == ["\nPlan: 1 to add, 0 to change, 0 to destroy.\n"]
    return stdin.kept.decode().strip()


class _Kept(io.BytesIO):
    kept = b""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ([QUESTION, PROMPT], "yes"),
        ([QUESTION + PROMPT], "yes"),
        ([QUESTION[:120], QUESTION[120:] + PROMPT[:5], PROMPT[5:]], "yes"),
        ([QUESTION], ""),
        ([QUESTION, PROMPT[:-1]], ""),
        ([QUESTION, PROMPT + "\n"], ""),
        (["var.zone\n", PROMPT], ""),
        ([QUESTION, "and more\n", PROMPT], ""),
        (["      Only 'yes' will be accepted to approve.\n\n", PROMPT], ""),
    ],
)
def test_only_the_question_is_answered(parts: list[str], answer: str) -> None:
    assert decided(*parts) == answer


def test_the_answer_is_no_after_an_error() -> None:
    assert decided(QUESTION, PROMPT, has_error=True) == "no"
    assert decided(QUESTION, PROMPT, problem=ValueError("no")) == "no"


def test_what_looks_like_another_question_is_not_answered() -> None:
    decisions: list[str] = []
    output, approval, stdin = Asking(Log()), Approval(decisions.append), _Kept()
    for _ in range(2):
        output.add((QUESTION + PROMPT).encode())
        assert output.asks
        approval.answer(output, stdin, has_error=False)
        output.add(b"\n")
    assert len(decisions) == 1
    assert stdin.kept == b"yes\n"


def test_a_secret_that_is_a_word_of_the_question_keeps_it_from_no_answer() -> None:
    output = Asking(Log())
    for word in ("accepted", "perform", "value"):
        output.log.hidden.add(word)
    output.add((QUESTION + PROMPT).encode())
    assert output.asks
