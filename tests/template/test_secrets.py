"""The stack's own secrets: who may read them, and that no deployment takes a value back."""

import pytest

from cts.config.schema import Group
from tests.template.deployed import DEPLOYED, TEMPLATE, of_type, statements

SECRETS = of_type("AWS::SecretsManager::Secret")
READERS = {"PollerRole"}


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


def test_the_poller_reads_the_one_secret_that_holds_its_token() -> None:
    (statement,) = (
        each
        for each in statements("PollerRole")
        if any(action.startswith("secretsmanager:") for action in each["Action"])
    )
    assert statement["Action"] == ["secretsmanager:GetSecretValue"]
    own = {"Fn::GetAtt": ["ConnectionSecret", "Id"]}
    assert statement["Resource"] == [
        {"Fn::If": ["HasConsulSecret", {"Ref": "ConsulSecretArn"}, own]}
    ]


@pytest.mark.parametrize("name", sorted({*of_type("AWS::IAM::Role")} - READERS))
def test_nobody_else_reads_or_writes_a_secret(name: str) -> None:
    actions = [action for statement in statements(name) for action in statement["Action"]]
    assert not any(action.startswith("secretsmanager:") for action in actions)
