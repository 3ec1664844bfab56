"""A build that is stopped: Terraform is told once, and killed only if it does not end."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from cts.build.stop import Stop
from tests.build.conftest import Place, children, until
from tests.build.test_execute import ONE, SLOW

COUNTS = """
import signal, sys
signal.alarm(60)
told = []
def tell(*_):
    told.append(1)
    print("told", flush=True)
signal.signal(signal.SIGINT, tell)
print("ready", flush=True)
sys.stdin.readline()
print(len(told), flush=True)
"""
DEAF = """
import signal
signal.alarm(60)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


def started(text: str) -> "subprocess.Popen[str]":
    """A program in Terraform's place, once it is ready for signals."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", text], stdin=pipe, stdout=pipe, text=True)
    assert said(process) == "ready"
    return process


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_terraform_is_interrupted_once_however_often_the_build_is_stopped() -> None:
    """At a second interrupt it exits without storing its state."""
    stop = Stop(minutes=60)
    with started(COUNTS) as process:
        waiting = threading.Thread(target=stop.wait, args=[process])
        waiting.start()
        stop.ask("the build was stopped")
        assert said(process) == "told"
        stop.ask("the build was stopped again")
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert said(process) == "1"
        waiting.join()


def test_a_build_that_is_stopped_before_terraform_runs_interrupts_it_at_once() -> None:
    stop = Stop(minutes=60)
    stop.ask("the build was stopped")
    with started(COUNTS) as process:
        waiting = threading.Thread(target=stop.wait, args=[process])
        waiting.start()
        assert said(process) == "told"
        process.communicate("\n")
        waiting.join()


def test_the_first_reason_is_the_one_that_is_told() -> None:
    stop = Stop(minutes=60)
    stop.ask("the build was stopped")
    stop.ask("something else")
    assert stop.reason == "the build was stopped"


@pytest.mark.parametrize("minutes", [5, 15, 480])
def test_terraform_has_time_to_store_its_state_and_the_build_to_say_how_it_ended(
    minutes: float,
) -> None:
    stop = Stop(minutes)
    assert stop.kill_at - stop.interrupt_at > 49
    assert stop.ends_at - stop.kill_at > 24


def test_terraform_that_does_not_end_is_killed_before_the_build_is() -> None:
    with started(DEAF) as process:
        assert Stop(minutes=0.01).wait(process) == -signal.SIGKILL


def test_a_signal_to_the_group_of_the_build_reaches_no_terraform(place: Place) -> None:
    """It would end the providers before Terraform, and count as a second interrupt."""
    archive = place.archive("run-1", ONE + SLOW)
    process = place.start(archive)
    until((archive / "running").exists)
    groups = {os.getpgid(child) for child in children(process)}
    assert groups
    assert process.pid
    assert os.getpgid(process.pid) not in groups
