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
        self.disabled: set[str] = set()
        """Rules and schedules."""

    def get_paginator(self, operation: str) -> Any:
        resources = [
            ("DeadLetters", "https://queue", "AWS::SQS::Queue"),
            ("PollerTick", "cts-PollerTick-1", "AWS::Scheduler::Schedule"),
            ("PublisherPushed", "cts-PublisherPushed-1", "AWS::Events::Rule"),
            ("RunnerTriggered", "cts|cts-RunnerTriggered-1", "AWS::Events::Rule"),
            *((name, f"cts-{name.lower()}", "AWS::Lambda::Function") for name in doctor.NEEDS),
        ]
        rules = {
            "default": ["cts-PublisherPushed-1", "rule-of-somebody-else"],
            "cts": ["cts-RunnerTriggered-1"],
        }

        def paginate(_: Any, **asked: str) -> list[dict[str, Any]]:
            here = rules.get(asked.get("EventBusName", ""), [])
            page: dict[str, Any] = {
                "StackResourceSummaries": [
                    {"LogicalResourceId": name, "PhysicalResourceId": id_, "ResourceType": kind}
                    for name, id_, kind in resources
                ],
                "Quotas": [
                    {"QuotaName": name, "Value": each} for name, each in self.quotas.items()
                ],
                "Rules": [{"Name": name, "State": self._state(name)} for name in here],
            }
            return [page]

        return type("Pages", (), {"paginate": paginate})()

    def _state(self, name: str) -> str:
        return "DISABLED" if name in self.disabled else "ENABLED"

    def get_schedule(self, Name: str) -> dict[str, str]:  # noqa: N803
        return {"State": self._state(Name)}

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
