"""The stack's own secrets: who may read them, and that no deployment takes a value back."""

import re

import pytest

from cts.config.blocks.schema import Group
from cts.terraform.permissions import CONNECTION_SECRET, TASK_SECRET
from tests.template.deployed import DEPLOYED, chosen, of_type, statements
from tests.template.written import TEMPLATE

SECRETS = of_type("AWS::SecretsManager::Secret")
READERS = {"PollerRole", "RunnerRole", "TaskRole", "TrackerRole"}


def test_there_is_one_for_each_group_of_readers() -> None:
    assert {*SECRETS} == {f"{group.capitalize()}Secret" for group in Group}


@pytest.mark.parametrize("name", SECRETS)
class TestSecret:
    def test_has_no_value_in_the_template(self, name: str) -> None:
        assert SECRETS[name].keys() == {"Name", "Description"}

    def test_is_named_after_the_stack_and_its_group(self, name: str) -> None:
        group = name.removesuffix("Secret").lower()
        assert SECRETS[name]["Name"] == {"Fn::Sub": f"${{NamePrefix}}${{AWS::StackName}}-{group}"}

    def test_is_kept_when_another_takes_its_place(self, name: str) -> None:
        assert DEPLOYED[name]["UpdateReplacePolicy"] == "Retain"

    def test_is_found_by_the_command_line(self, name: str) -> None:
        assert TEMPLATE["Outputs"][name]["Value"] == {"Fn::GetAtt": [name, "Id"]}


def test_the_poller_reads_the_secret_with_its_token_and_the_authority_and_no_other() -> None:
    token, ca = (
        each
        for each in statements("PollerRole")
        if any(action.startswith(("secretsmanager:", "ssm:")) for action in each["Action"])
    )
    assert token["Action"] == ["secretsmanager:GetSecretValue"]
    own = {"Fn::GetAtt": ["ConnectionSecret", "Id"]}
    assert token["Resource"] == [{"Fn::If": ["HasConsulSecret", {"Ref": "ConsulSecretArn"}, own]}]
    assert ca["Action"] == ["secretsmanager:GetSecretValue", "ssm:GetParameter"]
    assert ca["Resource"] == [{"Ref": "ConsulCaArn"}]


def test_a_run_reads_a_secret_only_if_its_session_has_the_tag() -> None:
    """Which the runner gives to a task that refers to one."""
    found = [
        (each["Action"], each["Resource"], each["Condition"])
        for each in statements("TaskRole")
        if any(action.startswith(("secretsmanager:", "ssm:")) for action in each["Action"])
    ]
    own = {"Fn::GetAtt": ["ConnectionSecret", "Id"]}
    read = ["secretsmanager:GetSecretValue"]
    of_task = {"StringEquals": {f"aws:PrincipalTag/{TASK_SECRET}": "yes"}}
    of_connection = {"StringEquals": {f"aws:PrincipalTag/{CONNECTION_SECRET}": "yes"}}
    token = {"Fn::If": ["HasConsulSecret", {"Ref": "ConsulSecretArn"}, own]}
    assert found == [
        (read, [{"Fn::GetAtt": ["TaskSecret", "Id"]}], of_task),
        (read, [token], of_connection),
        ([*read, "ssm:GetParameter"], [{"Ref": "ConsulCaArn"}], of_connection),
    ]


def test_without_an_authority_of_its_own_the_poller_may_read_none() -> None:
    (conditional,) = (
        statement["Fn::If"]
        for policy in of_type("AWS::IAM::Role")["PollerRole"]["Policies"]
        for statement in chosen(policy)["PolicyDocument"]["Statement"]
        if "Fn::If" in statement
    )
    assert (conditional[0], conditional[2]) == ("HasConsulCa", {"Ref": "AWS::NoValue"})


@pytest.mark.parametrize(
    ("arn", "token", "ca"),
    [
        ("", True, True),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/consul-AbCdEf", True, True),
        ("arn:aws-cn:ssm:cn-north-1:123456789012:parameter/team/consul-ca", False, True),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:*", False, False),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/*", False, False),
        ("arn:aws:s3:::bucket/ca.pem", False, False),
        ("-----BEGIN", False, False),
        ("team/consul", False, False),
    ],
)
def test_a_parameter_names_exactly_one_secret(*, arn: str, token: bool, ca: bool) -> None:
    patterns = [
        TEMPLATE["Parameters"][name]["AllowedPattern"]
        for name in ("ConsulSecretArn", "HcpSecretArn", "ConsulCaArn", "HcpCaArn")
    ]
    assert [bool(re.fullmatch(pattern, arn)) for pattern in patterns] == [token, token, ca, ca]


@pytest.mark.parametrize("name", ["RunnerRole", "TrackerRole"])
def test_what_drives_hcp_terraform_reads_its_token_and_no_other_secret(name: str) -> None:
    token, ca = (
        each
        for each in statements(name)
        if any(action.startswith(("secretsmanager:", "ssm:")) for action in each["Action"])
    )
    own = {"Fn::GetAtt": ["HcpSecret", "Id"]}
    assert token["Action"] == ["secretsmanager:GetSecretValue"]
    assert token["Resource"] == [{"Fn::If": ["HasHcpSecret", {"Ref": "HcpSecretArn"}, own]}]
    assert ca["Action"] == ["secretsmanager:GetSecretValue", "ssm:GetParameter"]
    assert ca["Resource"] == [{"Ref": "HcpCaArn"}]
    conditions = [
        statement["Fn::If"]
        for policy in of_type("AWS::IAM::Role")[name]["Policies"]
        for statement in chosen(policy)["PolicyDocument"]["Statement"]
        if "Fn::If" in statement
    ]
    assert [(each[0], each[2]) for each in conditions] == [("HasHcpCa", {"Ref": "AWS::NoValue"})]


@pytest.mark.parametrize("name", sorted({*of_type("AWS::IAM::Role")} - READERS))
def test_nobody_else_reads_or_writes_a_secret(name: str) -> None:
    actions = [action for statement in statements(name) for action in statement["Action"]]
    assert not any(action.startswith(("secretsmanager:", "ssm:")) for action in actions)
