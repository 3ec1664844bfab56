"""An account whose services answer whatever `cts doctor` asks."""

from typing import Any

from cts_cli import doctor
from tests.unit.cli_fakes import Account


class Doctored(Account):
    """An account whose other services answer, too."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters |= {
            "BuildComputeType": "BUILD_GENERAL1_SMALL",
            "BuildEnvironmentType": "LINUX_CONTAINER",
            "Concurrency": "10",
        }
        self.stacks["cts"] = {**self.stacks["cts"], "Bus": "cts", "Project": "cts"}
        self.quotas = {"Concurrently running builds for Linux/Small environment": 20.0}
        self.may_not: set[tuple[str, str]] = set()
        """Role and action."""
        self.asked: list[str] = []

    def get_paginator(self, operation: str) -> Any:
        resources = [{"LogicalResourceId": "DeadLetters", "PhysicalResourceId": "https://queue"}]
        resources += [
            {"LogicalResourceId": name, "PhysicalResourceId": f"cts-{name.lower()}"}
            for name in doctor.NEEDS
        ]
        quotas = [{"QuotaName": name, "Value": each} for name, each in self.quotas.items()]
        pages = [{"StackResourceSummaries": resources, "Quotas": quotas}]
        return type("Pages", (), {"paginate": lambda _self, **_: pages})()

    def get_function_configuration(self, FunctionName: str) -> dict[str, str]:  # noqa: N803
        arn = f"arn:aws:lambda:eu-west-1:111122223333:function:{FunctionName}"
        return {"FunctionName": FunctionName, "FunctionArn": arn, "Role": f"role/{FunctionName}"}

    def simulate_principal_policy(
        self,
        PolicySourceArn: str,  # noqa: N803
        ActionNames: list[str],  # noqa: N803
        ResourceArns: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        self.asked += ResourceArns
        denied = (PolicySourceArn, ActionNames[0]) in self.may_not
        return {"EvaluationResults": [{"EvalDecision": "implicitDeny" if denied else "allowed"}]}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": "0"}}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}}
