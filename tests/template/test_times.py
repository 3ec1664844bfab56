"""Who waits for whom: the times of the template and those of the program fit each other."""

import re
from typing import Any

import pytest

from cts.adapters import clients
from cts.adapters.codebuild import LIMITS
from cts.adapters.executor import QUEUED_SECONDS
from cts.watch.lease import RELIEVED_BEFORE
from cts.wiring import poller
from cts.workflow.track import NEWS_AFTER
from tests.template.deployed import DEPLOYED, of_type
from tests.template.written import TEMPLATE

FUNCTIONS = of_type("AWS::Lambda::Function")
SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
TICKS = {"Poller": 60, "Tracker": 60, "Publisher": 300}
"""Seconds after which what an event was lost for is looked for, at the latest."""
ON_LAMBDA = "BuildsOnLambda"


def every(function: str) -> int:
    """Seconds from one tick of a function to the next."""
    [schedule] = [
        each
        for each in of_type("AWS::Scheduler::Schedule").values()
        if each["Target"]["Arn"] == {"Fn::GetAtt": [function, "Arn"]}
    ]
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule["ScheduleExpression"])
    assert rate is not None
    return int(rate[1]) * SECONDS[rate[2]]


def timeout(function: str) -> int:
    """Seconds after which Lambda ends it: the fewest that can be chosen."""
    set_to = FUNCTIONS[function]["Timeout"]
    least: int = (
        TEMPLATE["Parameters"][set_to["Ref"]]["MinValue"] if isinstance(set_to, dict) else set_to
    )
    return least


@pytest.mark.parametrize("function", TICKS)
def test_what_an_event_was_lost_for_is_looked_for_in_time(function: str) -> None:
    assert every(function) == TICKS[function]


def test_a_runner_has_ended_when_the_sweep_looks_after_its_run() -> None:
    """Otherwise both would start its build."""
    assert timeout("Runner") < NEWS_AFTER


def test_a_poller_stays_until_another_one_relieves_it() -> None:
    assert every("Poller") * 2 < RELIEVED_BEFORE
    assert timeout("Poller") - poller.MARGIN > RELIEVED_BEFORE + every("Poller")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_call_of_aws_that_is_never_answered_ends_before_its_function(function: str) -> None:
    patience: Any = clients.PATIENCE
    assert patience.read_timeout * patience.retries["total_max_attempts"] < timeout(function)
    assert patience.retries["total_max_attempts"] > 1


PROJECT = DEPLOYED["Project"]["Properties"]


def test_a_build_knows_when_codebuild_ends_it() -> None:
    [minutes] = PROJECT["Environment"]["EnvironmentVariables"]
    assert minutes["Name"] == "CTS_BUILD_MINUTES"
    elsewhere = PROJECT["TimeoutInMinutes"]["Fn::If"][2]
    assert minutes["Value"] == {"Fn::If": [ON_LAMBDA, "15", elsewhere]}


def test_a_run_is_given_up_only_when_its_build_must_have_ended() -> None:
    queued = PROJECT["QueuedTimeoutInMinutes"]["Fn::If"][2]
    longest = TEMPLATE["Parameters"]["BuildMinutes"]["MaxValue"]
    assert LIMITS.longest > (queued + longest) * 60


def test_a_run_is_not_started_again_once_codebuild_has_forgotten_the_first_start() -> None:
    """It knows an idempotency token for five minutes."""
    assert LIMITS.restart + every("Tracker") <= 5 * 60


@pytest.mark.parametrize("prefix", ["runs/", "plans/"])
def test_what_builds_leave_goes_with_the_rows_of_their_runs(prefix: str) -> None:
    rules = of_type("AWS::S3::Bucket")["WorkBucket"]["LifecycleConfiguration"]["Rules"]
    [rule] = [each for each in rules if each.get("Prefix") == prefix]
    assert rule["ExpirationInDays"] == {"Ref": "RunHistoryDays"}


def test_no_version_of_a_state_ever_expires() -> None:
    rules = of_type("AWS::S3::Bucket")["StateBucket"]["LifecycleConfiguration"]["Rules"]
    harmless = {"Id", "Status", "ExpiredObjectDeleteMarker", "AbortIncompleteMultipartUpload"}
    assert all(rule.keys() <= harmless for rule in rules)


def test_an_invocation_that_has_not_begun_when_its_run_is_given_up_never_does() -> None:
    [asked] = [
        each
        for each in of_type("AWS::Lambda::EventInvokeConfig").values()
        if each["FunctionName"] == {"Ref": "Executor"}
    ]
    assert asked["MaximumEventAgeInSeconds"] <= QUEUED_SECONDS
