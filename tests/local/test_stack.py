"""The local stack itself: builds, faults and records, on the deployed template."""

import json
import resource
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local import processes
from local.stack import REGION, Stack
from local.waiting import wait_until

pytestmark = pytest.mark.e2e
PATIENCE = 60.0
QUERIES = 1
"""That a sweep of the tracker makes while nothing is published."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(tmp_path_factory.mktemp("stack"), schedules=False) as started:
        yield started


@pytest.fixture(autouse=True)
def _no_faults(stack: Stack) -> Iterator[None]:
    yield
    stack.clear_faults()
    stack.build_settings(concurrent=20, minute=60, instant=0)


def start(stack: Stack, *commands: str, **more: Any) -> str:
    """Starts a build of these commands; returns its id."""
    lines = "".join(f"      - {json.dumps(command)}\n" for command in commands)
    text = f"version: 0.2\nphases:\n  build:\n    commands:\n{lines}"
    started = stack.client("codebuild").start_build(
        projectName=stack.outputs["Project"], buildspecOverride=text, **more
    )
    return str(started["build"]["id"])


def record(stack: Stack, build: str) -> dict[str, Any]:
    found = stack.client("codebuild").batch_get_builds(ids=[build])["builds"]
    return dict(found[0])


def end(stack: Stack, build: str) -> str:
    """Waits for a build's end; returns its status."""
    return str(
        wait_until(lambda: _final(record(stack, build)), PATIENCE, f"{build} to end")["buildStatus"]
    )


def _final(build: dict[str, Any]) -> dict[str, Any] | None:
    return build if build["buildComplete"] else None


def log(stack: Stack, build: str) -> list[str]:
    place = record(stack, build)["logs"]
    events = stack.client("logs").get_log_events(
        logGroupName=place["groupName"], logStreamName=place["streamName"]
    )["events"]
    return [event["message"] for event in events]


def states(stack: Stack, build: str, kind: str = "put") -> list[str]:
    return [
        event["detail"]["build-status"]
        for event in stack.events()
        if event["kind"] == kind and event["detail"].get("build-id", "").endswith(build)
    ]


# ---- builds ------------------------------------------------------------------------------------


def test_a_build_runs_terraform_and_its_output_is_in_the_log(stack: Stack) -> None:
    build = start(stack, "terraform version | head -1")
    assert end(stack, build) == "SUCCEEDED"
    assert log(stack, build)[0].startswith("Terraform v1.")
    wait_until(lambda: len(states(stack, build)) == 2, PATIENCE, "both events")
    assert states(stack, build) == ["IN_PROGRESS", "SUCCEEDED"]


@pytest.fixture(scope="module")
def role(stack: Stack) -> str:
    """A role for builds that work on states, as an account's own builds may have one."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    trust = {**statement, "Principal": {"Service": "codebuild.amazonaws.com"}}
    bucket, group = f"arn:aws:s3:::{stack.outputs['StateBucket']}", "arn:aws:logs:*:*:log-group:*"
    allowed: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": f"{bucket}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": group,
        },
    ]
    iam = stack.client("iam")
    made = iam.create_role(RoleName="builder", AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName="builder", PolicyName="p", PolicyDocument=document(*allowed))
    return str(made["Role"]["Arn"])


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_build_has_the_rights_of_its_role_and_no_others(stack: Stack, role: str) -> None:
    seen = len(stack.calls())
    key = "tasks/x/terraform.tfstate"
    backend = f'bucket = "{stack.outputs["StateBucket"]}"\nkey = "{key}"\nregion = "us-east-1"'
    state = f'terraform {{\nbackend "s3" {{\n{backend}\nuse_lockfile = true\n}}\n}}'
    commands = ["terraform init", "terraform apply"]
    build = start(stack, f"echo '{state}' > main.tf", *commands, serviceRoleOverride=role)
    assert end(stack, build) == "SUCCEEDED", log(stack, build)
    forbidden = state.replace(stack.outputs["StateBucket"], "sam-artifacts")
    commands = [f"echo '{forbidden}' > main.tf", "terraform init"]
    build = start(stack, *commands, serviceRoleOverride=role)
    assert end(stack, build) == "FAILED"
    denied = [call for call in stack.calls(seen) if not call["allowed"]]
    assert denied
    assert all(call["caller"] == "build" for call in denied)


ASKS = """
import boto3, botocore.exceptions, os, urllib.request
address = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
def attempt(token):
    request = urllib.request.Request(address, headers={"Authorization": token})
    try:
        print(b"SecretAccessKey" in urllib.request.urlopen(request).read())
    except urllib.error.HTTPError as error:
        print(error.code)
attempt(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
attempt("")
print(boto3.client("sts").get_caller_identity()["Arn"].split("/")[1].split("-")[1])
"""


def test_the_containers_endpoint_has_the_credentials_of_the_projects_role(stack: Stack) -> None:
    build = start(stack, f"{sys.executable} -c '{ASKS}'")
    assert end(stack, build) == "SUCCEEDED", log(stack, build)
    assert log(stack, build) == ["True", "404", "ContainerRole"]


def test_what_may_not_be_listed_is_not_told_to_be_missing(stack: Stack) -> None:
    program = """
import boto3, botocore.exceptions
for name in ("get_object", "head_object"):
    try:
        getattr(boto3.client("s3"), name)(Bucket="BUCKET", Key="builds/absent")
    except botocore.exceptions.ClientError as error:
        print(error.response["ResponseMetadata"]["HTTPStatusCode"])
""".replace("BUCKET", stack.outputs["WorkBucket"])
    build = start(stack, f"{sys.executable} -c '{program}'")
    assert end(stack, build) == "SUCCEEDED", log(stack, build)
    assert log(stack, build) == ["403", "403"]


def test_a_policy_speaks_of_the_callers_tags_and_a_new_one_is_in_force_at_once(
    stack: Stack,
) -> None:
    account = stack.client("sts").get_caller_identity()["Account"]
    trust = {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    role = stack.client("iam").create_role(
        RoleName="tagged",
        AssumeRolePolicyDocument=policy(trust),
        Tags=[{"Key": "task", "Value": "web"}],
    )["Role"]["Arn"]
    given = stack.client("sts").assume_role(RoleArn=role, RoleSessionName="of-web")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    s3 = session.client("s3", endpoint_url=stack.endpoint, region_name=REGION)

    def written() -> list[str]:
        return [
            name for name in ("api", "web") if _can_write(s3, stack.outputs["WorkBucket"], name)
        ]

    folder = f"arn:aws:s3:::{stack.outputs['WorkBucket']}"
    for allowed, expected in (
        (f"{folder}/${{aws:PrincipalTag/task}}", ["web"]),
        (f"{folder}/api", ["api"]),
    ):
        stack.client("iam").put_role_policy(
            RoleName="tagged",
            PolicyName="writes",
            PolicyDocument=policy({"Action": "s3:PutObject", "Resource": allowed}),
        )
        assert written() == expected


def policy(statement: dict[str, Any]) -> str:
    allowed = {"Effect": "Allow", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def _can_write(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def test_a_full_disk_stays_full_in_a_new_sandbox(stack: Stack) -> None:
    size = 12_288
    sweep = {"FunctionName": f"{stack.name}-tracker", "Payload": b"{}"}
    assert "FunctionError" not in stack.client("lambda").invoke(**sweep)
    try:
        assert stack.fill_disks("Tracker", size) == stack.kill("Tracker") > 0
        former = _limited_to(stack, size)
        assert "FunctionError" not in stack.client("lambda").invoke(**sweep)
        assert len(_limited_to(stack, size) - former) == 1
    finally:
        stack.fill_disks("Tracker", resource.RLIM_INFINITY)


def _limited_to(stack: Stack, size: int) -> set[int]:
    """Its processes that can make no file larger than `size` bytes."""
    assert stack._front
    return {
        pid
        for pid in processes.descendants(stack._front.pid)
        if resource.prlimit(pid, resource.RLIMIT_FSIZE)[0] == size
    }


def test_an_answer_has_one_date(stack: Stack) -> None:
    with urllib.request.urlopen(f"{stack.endpoint}/_ministack/health") as answer:
        assert len(answer.headers.get_all("Date")) == 1


def test_the_source_is_the_version_the_request_names(stack: Stack, tmp_path: Path) -> None:
    import zipfile

    s3, bucket = stack.client("s3"), stack.outputs["WorkBucket"]
    versions = []
    for word in ("first", "second"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("word", word)
        put = s3.put_object(
            Bucket=bucket, Key="builds/f/archive.zip", Body=(tmp_path / "a.zip").read_bytes()
        )
        versions.append(put["VersionId"])
    build = start(
        stack,
        "cat word",
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{bucket}/builds/f/archive.zip",
        sourceVersion=versions[0],
    )
    assert end(stack, build) == "SUCCEEDED"
    assert log(stack, build) == ["first"]


def test_one_idempotency_token_starts_one_build(stack: Stack) -> None:
    first = start(stack, "true", idempotencyToken="one")
    assert start(stack, "true", idempotencyToken="one") == first
    with pytest.raises(ClientError, match="mismatch"):
        start(stack, "false", idempotencyToken="one")
    end(stack, first)


def test_builds_beyond_the_quota_wait_in_the_queue(stack: Stack) -> None:
    stack.build_settings(concurrent=0)
    build = start(stack, "true")
    assert record(stack, build)["currentPhase"] == "QUEUED"
    stack.build_settings(concurrent=1)
    assert end(stack, build) == "SUCCEEDED"


def test_a_build_past_its_limit_is_timed_out_and_a_stopped_one_stopped(stack: Stack) -> None:
    stack.build_settings(minute=0.05)
    late = start(stack, "sleep 1000", timeoutInMinutesOverride=5)
    assert end(stack, late) == "TIMED_OUT"
    stack.build_settings(minute=60)
    stopped = start(stack, "sleep 1000")
    stack.client("codebuild").stop_build(id=stopped)
    assert end(stack, stopped) == "STOPPED"


def test_an_instant_build_leaves_what_a_run_does_unless_another_build_has_the_run(
    stack: Stack,
) -> None:
    s3, bucket = stack.client("s3"), stack.outputs["WorkBucket"]
    stack.build_settings(instant=1)
    variables = {"CTS_TASK": "i", "CTS_RUN_ID": "r"}
    source = {
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": f"{bucket}/builds/f/archive.zip",
        "environmentVariablesOverride": [
            {"name": name, "value": value} for name, value in variables.items()
        ],
    }

    def left(name: str) -> Any:
        return json.load(s3.get_object(Bucket=bucket, Key=f"runs/i/r/{name}")["Body"])

    first = start(stack, "false", **source)
    assert end(stack, first) == "SUCCEEDED"
    assert left("started") == {"build": first}
    assert left("result.json")["status"] == "unchanged"
    assert end(stack, start(stack, "false", **source)) == "SUCCEEDED"
    assert left("started") == {"build": first}


# ---- faults ------------------------------------------------------------------------------------


def test_a_killed_function_is_invoked_again(stack: Stack) -> None:
    seen = len(stack.calls())
    stack.fault(caller="Tracker", service="dynamodb", phase="after", do="kill")
    stack.fire("Tracker")
    wait_until(lambda: stack.faults()[0]["fired"] == 1, PATIENCE, "the kill")
    wait_until(
        lambda: len([c for c in stack.calls(seen) if c["caller"] == "Tracker"]) > 2,
        PATIENCE,
        "the second try",
    )


def test_a_build_is_killed_when_it_has_put_an_object(stack: Stack, role: str) -> None:
    bucket = stack.outputs["StateBucket"]
    backend = f'bucket = "{bucket}"\nkey = "tasks/y/terraform.tfstate"\nregion = "us-east-1"'
    state = f'terraform {{\nbackend "s3" {{\n{backend}\nuse_lockfile = true\n}}\n}}'
    stack.fault(
        caller="build",
        action="PutObject",
        resource="tasks/y/terraform.tfstate.tflock",
        phase="after",
        do="kill",
        status="FAULT",
    )
    commands = ["terraform init", "terraform apply", "sleep 1000"]
    build = start(stack, f"echo '{state}' > main.tf", *commands, serviceRoleOverride=role)
    assert end(stack, build) == "FAULT"
    assert stack.client("s3").head_object(Bucket=bucket, Key="tasks/y/terraform.tfstate.tflock")


def test_the_final_event_of_a_build_can_be_lost(stack: Stack) -> None:
    stack.fault(
        on="delivery", detail_type="CodeBuild Build State Change", target="Tracker", do="drop"
    )
    build = start(stack, "true")
    end(stack, build)
    wait_until(lambda: states(stack, build, "dropped"), PATIENCE, "the event to be dropped")
    assert states(stack, build, "dropped") == ["SUCCEEDED"]
    assert states(stack, build, "delivered") == []


def test_a_start_can_be_refused_as_codebuild_refuses_it(stack: Stack) -> None:
    stack.fault(action="StartBuild", do="refuse", code="AccountLimitExceededException")
    with pytest.raises(ClientError, match="AccountLimitExceededException"):
        start(stack, "true")


def test_an_impossible_rule_is_refused(stack: Stack) -> None:
    with pytest.raises(ValueError, match="Unknown in a rule: callr"):
        stack.fault(do="kill", callr="Runner")


# ---- the rest ----------------------------------------------------------------------------------


def test_schedules_fire_only_when_told_to(stack: Stack) -> None:
    seen = len(stack.events())
    stack.fire("Poller")
    scheduled = [e for e in stack.events(seen) if e["detail_type"] == "Scheduled Event"]
    assert [e["target"] for e in scheduled] == ["Poller"]
    with pytest.raises(ValueError, match="No schedule"):
        stack.fire("Runner")


def test_a_burst_of_events_waits_for_sandboxes_in_use(stack: Stack) -> None:
    seen, client = len(stack.calls()), stack.client("lambda")
    [name] = [
        each["FunctionName"]
        for each in client.list_functions()["Functions"]
        if each["FunctionName"].endswith("-tracker")
    ]
    for _ in range(30):
        client.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")

    def swept() -> bool:
        calls = [call for call in stack.calls(seen) if call["caller"] == "Tracker"]
        return len([call for call in calls if call["action"] == "Query"]) >= 30 * QUERIES

    wait_until(swept, PATIENCE, "thirty sweeps")
    assert stack.kill("Tracker") <= 8


def test_an_invocation_may_be_repeated_and_its_failure_is_reported(stack: Stack) -> None:
    """With the ID that the caller was answered with, on the function's bus, with its role."""
    seen, calls = len(stack.events()), len(stack.calls())
    stack.fault(on="delivery", detail_type="Invocation", target="Executor", do="double")
    asked = {"task": "t", "run": "r", "folder": "absent", "correlation_id": ""}
    stack.fault(caller="Executor", action="GetObject", do="kill", times=2)
    answer = stack.client("lambda").invoke(
        FunctionName=f"{stack.name}-executor", InvocationType="Event", Payload=json.dumps(asked)
    )

    def reported() -> list[dict[str, Any]]:
        found = [
            event["detail"]
            for event in stack.events(seen)
            if event["kind"] == "delivered" and event["source"] == "lambda"
            if event["detail_type"] != "Invocation"
        ]
        return found if len(found) == 2 else []

    for record in wait_until(reported, PATIENCE, "two reports"):
        request = record["requestContext"]["requestId"]
        assert request == answer["ResponseMetadata"]["RequestId"]
        assert record["requestPayload"] == asked
        assert record["responsePayload"]["errorType"] == "Runtime.ExitError"
    puts = [call for call in stack.calls(calls) if call["action"] == "PutEvents"]
    assert [(call["caller"], call["status"]) for call in puts] == [("Executor", 200)] * 2


def test_an_error_that_a_function_raises_is_reported_as_such(stack: Stack) -> None:
    seen = len(stack.events())
    stack.client("lambda").invoke(
        FunctionName=f"{stack.name}-executor", InvocationType="Event", Payload=b"{}"
    )

    def reported() -> list[dict[str, Any]]:
        return [
            event["detail"]["responsePayload"]
            for event in stack.events(seen)
            if event["kind"] == "delivered" and "Failure" in event["detail_type"]
        ]

    [error] = wait_until(reported, PATIENCE, "the report")
    assert "Traceback" in error["stackTrace"][0]


def test_consul_comes_back_with_what_it_knew_or_with_nothing(stack: Stack) -> None:
    import httpx

    def value() -> int:
        return httpx.get(f"{stack.consul}/v1/kv/a").status_code

    httpx.put(f"{stack.consul}/v1/kv/a", content=b"1").raise_for_status()
    stack.stop_consul()
    with pytest.raises(httpx.TransportError):
        value()
    stack.start_consul()
    wait_until(lambda: value() == 200, PATIENCE, "the value")
    stack.stop_consul()
    stack.start_consul(empty=True)
    assert value() == 404
