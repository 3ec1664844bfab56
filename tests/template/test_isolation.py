"""What the roles of builds may do: each run its own, and the container by itself nothing."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from cts.adapters.codebuild import LIMITS
from tests.template.deployed import DEPLOYED, of_type, statements
from tests.template.written import TEMPLATE

ROLES = of_type("AWS::IAM::Role")
TASK = "${!aws:PrincipalTag/task}"
RUN = "${!aws:PrincipalTag/run}"
WORK, STATE = "${WorkBucket.Arn}", "${StateBucket.Arn}"
STARTERS = {"RunnerRole", "TrackerRole"}


def objects(role: str, action: str) -> set[str]:
    """The objects that a role may do this with, whatever the condition."""
    return {
        resource["Fn::Sub"]
        for statement in statements(role)
        if action in statement["Action"]
        for resource in statement["Resource"]
        if "Fn::Sub" in resource
    }


def prefixes(bucket: str, action: str = "s3:ListBucket") -> set[str]:
    """The names in a bucket that a run may list."""
    [statement] = [
        each
        for each in statements("TaskRole")
        if action in each["Action"] and each["Resource"] == [{"Fn::GetAtt": [bucket, "Arn"]}]
    ]
    found = statement["Condition"]["StringLike"]["s3:prefix"]
    listed = found if isinstance(found, list) else [found["Fn::Sub"]]
    return {each.replace("${aws:", "${!aws:") for each in listed}


def actions(role: str) -> set[str]:
    return {action for statement in statements(role) for action in statement["Action"]}


# ---- a build starts with a role that can do nothing alone ----------------------------------------


def test_builds_start_with_a_role_that_reads_what_it_is_told_and_writes_its_log() -> None:
    assert DEPLOYED["Project"]["Properties"]["ServiceRole"] == {
        "Fn::GetAtt": ["ContainerRole", "Arn"]
    }
    of_container = [each for each in statements("ContainerRole") if "ec2" not in str(each)]
    read, log = of_container
    assert read["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert read["Resource"] == [{"Fn::Sub": f"{WORK}/builds/*"}]
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert all("BuildLogs" in str(each) for each in log["Resource"])
    assert ROLES["ContainerRole"].keys() & {"ManagedPolicyArns"} == set()


def test_the_executors_role_only_reads_what_a_run_starts_with() -> None:
    assert actions("ExecutorRole") == {"s3:GetObject", "events:PutEvents"}
    [read] = [each for each in statements("ExecutorRole") if "s3:GetObject" in each["Action"]]
    assert read["Resource"] == [{"Fn::Sub": f"{WORK}/builds/*"}]


def test_the_executors_role_puts_no_events_but_those_that_lambda_puts_with_it() -> None:
    events = [each for each in statements("ExecutorRole") if "events:PutEvents" in each["Action"]]
    assert {each["Effect"] for each in events} == {"Allow", "Deny"}
    [denied] = [each for each in events if each["Effect"] == "Deny"]
    assert denied["Condition"] == {"ForAnyValue:StringNotEquals": {"events:source": ["lambda"]}}
    assert all(each["Resource"] == denied["Resource"] for each in events)


def test_only_what_executes_runs_reads_credentials_and_only_runner_and_tracker_write_them() -> None:
    credentials = f"{WORK}/builds/f01de4/session.json"

    def may(action: str) -> set[str]:
        return {
            name
            for name in ROLES
            if any(fnmatchcase(credentials, each) for each in objects(name, action))
        }

    assert may("s3:GetObject") == {"ContainerRole", "ExecutorRole"}
    assert may("s3:GetObjectVersion") == {"ContainerRole"}
    assert may("s3:PutObject") == may("s3:DeleteObject") == STARTERS


def test_credentials_are_deleted_after_a_day_at_most() -> None:
    rules = of_type("AWS::S3::Bucket")["WorkBucket"]["LifecycleConfiguration"]["Rules"]
    [rule] = [each for each in rules if each.get("Prefix") == "builds/"]
    assert rule["ExpirationInDays"] * 86_400 > LIMITS.longest, "no build loses them"
    assert rule["ExpirationInDays"] == 1
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_what_runs_were_fed_with_is_the_runners_and_stays() -> None:
    """What a task's last success was fed with counts however old it is, and no build writes it."""
    name = f"{WORK}/fed/web.json"

    def may(action: str) -> set[str]:
        return {
            role for role in ROLES if any(fnmatchcase(name, each) for each in objects(role, action))
        }

    assert may("s3:GetObject") == {"PollerRole", "RunnerRole"}
    assert may("s3:PutObject") == {"RunnerRole"}
    rules = of_type("AWS::S3::Bucket")["WorkBucket"]["LifecycleConfiguration"]["Rules"]
    [rule] = [each for each in rules if each.get("Prefix") == "fed/"]
    assert "ExpirationInDays" not in rule


# ---- a run has its own rights --------------------------------------------------------------------


def test_a_runs_role_is_assumed_by_runner_and_tracker_alone() -> None:
    [trust] = ROLES["TaskRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"].keys() == {"AWS"}
    assert {each["Fn::GetAtt"][0] for each in trust["Principal"]["AWS"]} == STARTERS
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    [use] = of_type("AWS::IAM::Policy").values()
    assert {each["Ref"] for each in use["Roles"]} == STARTERS
    [allowed] = use["PolicyDocument"]["Statement"]
    assert allowed["Action"] == trust["Action"]
    assert allowed["Resource"] == {"Fn::GetAtt": ["TaskRole", "Arn"]}
    assert not {name for name in ROLES if any("sts:" in each for each in actions(name))}
    for function in ("Runner", "Tracker"):
        variables = of_type("AWS::Lambda::Function")[function]["Environment"]["Variables"]
        assert variables["CTS_TASK_ROLE"] == {"Fn::GetAtt": ["TaskRole", "Arn"]}


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (
            "s3:GetObject",
            {
                f"{WORK}/runs/{TASK}/{RUN}/*",
                f"{WORK}/runs/{TASK}/*/started",
                f"{WORK}/runs/{TASK}/*/errored.tfstate",
                f"{WORK}/runs/{TASK}/*/log",
                f"{WORK}/tools/*",
                f"{WORK}/unpushed/{TASK}",
                f"{WORK}/unfinished/{TASK}/*",
                f"{WORK}/cache/{TASK}/*",
                f"{STATE}/tasks/{TASK}/*",
                f"{STATE}/terraform.tfstate",
            },
        ),
        (
            "s3:PutObject",
            {
                f"{WORK}/runs/{TASK}/{RUN}/*",
                f"{WORK}/tools/*",
                f"{WORK}/unpushed/{TASK}",
                f"{WORK}/unfinished/{TASK}/*",
                f"{WORK}/cache/{TASK}/*",
                f"{STATE}/tasks/{TASK}/*",
            },
        ),
        (
            "s3:DeleteObject",
            {
                f"{WORK}/unpushed/{TASK}",
                f"{WORK}/unfinished/{TASK}/*",
                f"{STATE}/tasks/{TASK}/*.tflock",
            },
        ),
        ("s3:DeleteObjectVersion", {f"{STATE}/tasks/{TASK}/*.tflock"}),
        ("s3:GetObjectVersion", set()),
    ],
)
def test_a_run_reaches_its_own_objects(action: str, allowed: set[str]) -> None:
    assert objects("TaskRole", action) == allowed


def test_a_run_lists_its_own_names_and_those_of_the_workspaces() -> None:
    """In the work bucket none of them are those of credentials."""
    assert prefixes("WorkBucket") == {
        f"runs/{TASK}/*",
        "tools/*",
        f"unpushed/{TASK}",
        f"unfinished/{TASK}/*",
        f"cache/{TASK}/*",
    }
    assert prefixes("StateBucket") == {"tasks/", f"tasks/{TASK}/*", "terraform.tfstate"}
    assert prefixes("StateBucket", "s3:ListBucketVersions") == {f"tasks/{TASK}/*"}


def test_a_run_does_nothing_else() -> None:
    assert actions("TaskRole") == {
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:PutObject",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
    }
    [policy] = ROLES["TaskRole"]["Policies"]
    assert policy["PolicyName"] == "run"


def test_policies_of_users_are_attached_to_the_role_of_runs() -> None:
    outputs: dict[str, Any] = TEMPLATE["Outputs"]
    assert outputs["TaskRole"]["Value"] == {"Ref": "TaskRole"}
    assert not {"BuildRole", "ContainerRole"} & set(outputs)


# ---- upgrades ------------------------------------------------------------------------------------


def test_builds_that_an_earlier_version_has_started_keep_their_role() -> None:
    """Nothing starts with it any more: no function may pass a role to CodeBuild."""
    former = f"{WORK}/runs/*", f"{STATE}/tasks/*"
    assert set(former) <= objects("BuildRole", "s3:PutObject") & objects(
        "BuildRole", "s3:GetObject"
    )
    assert "BuildRole" not in str({k: v for k, v in DEPLOYED.items() if k != "BuildRole"})
    assert not {name for name in ROLES if "iam:PassRole" in actions(name)}
