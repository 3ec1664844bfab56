"""Runner and tracker can be put where a private Terraform Enterprise is reached."""

import pytest

from tests.template.deployed import chosen, of_type
from tests.template.written import TEMPLATE

FUNCTIONS = of_type("AWS::Lambda::Function")
NETWORK = {
    "SubnetIds": {"Ref": "HcpSubnetIds"},
    "SecurityGroupIds": {"Ref": "HcpSecurityGroupIds"},
}
ABSENT = {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize("name", ["Runner", "Tracker"])
def test_what_drives_hcp_terraform_runs_in_its_subnets_if_there_are_any(name: str) -> None:
    vpc = FUNCTIONS[name]["VpcConfig"]
    assert vpc == {"Fn::If": ["HcpIsInVpc", NETWORK, ABSENT]}
    is_empty = {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "HcpSubnetIds"}]}, ""]}
    assert TEMPLATE["Conditions"]["HcpIsInVpc"] == {"Fn::Not": [is_empty]}
    policies = of_type("AWS::IAM::Role")[f"{name}Role"]["ManagedPolicyArns"]
    assert any(
        str(arn).endswith("service-role/AWSLambdaVPCAccessExecutionRole") for arn in policies
    )


def test_no_other_function_runs_there() -> None:
    there = {
        name
        for name, function in FUNCTIONS.items()
        if "VpcConfig" in function and chosen(function["VpcConfig"]) == NETWORK
    }
    assert there == {"Runner", "Tracker"}


@pytest.mark.parametrize("name", ["HcpSubnetIds", "HcpSecurityGroupIds"])
def test_without_these_parameters_nothing_is_in_a_network(name: str) -> None:
    assert TEMPLATE["Parameters"][name]["Type"] == "CommaDelimitedList"
    assert TEMPLATE["Parameters"][name]["Default"] == ""


@pytest.mark.parametrize("name", ["Runner", "Tracker"])
def test_the_server_that_is_asked_is_the_one_of_the_parameters(name: str) -> None:
    variables = FUNCTIONS[name]["Environment"]["Variables"]
    assert variables["CTS_HCP_ADDRESS"] == {"Ref": "HcpAddress"}
    assert variables["CTS_HCP_CA_ARN"] == {"Ref": "HcpCaArn"}
