"""What `cts doctor` looks at."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from cts_cli import client
from cts_cli.aws import Stack, explaining_errors
from cts_cli.errors import CommandError, OlderStack


class Account:
    """Each part is read once."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.reader = client.Reader.of(stack)

    def aws(self, service: str) -> Any:
        return self.stack.session.client(service)  # type: ignore[call-overload]

    @cached_property
    def described(self) -> Mapping[str, Any]:
        with explaining_errors("looking at the stack"):
            found = self.aws("cloudformation").describe_stacks(StackName=self.stack.name)
        described: Mapping[str, Any] = found["Stacks"][0]
        return described

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        given = self.described.get("Parameters", [])
        return {each["ParameterKey"]: each["ParameterValue"] for each in given}

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.described["Outputs"]}

    @cached_property
    def resources(self) -> Sequence[Mapping[str, str]]:
        with explaining_errors("listing the stack's resources"):
            pages = self.aws("cloudformation").get_paginator("list_stack_resources")
            return [
                each
                for page in pages.paginate(StackName=self.stack.name)
                for each in page["StackResourceSummaries"]
            ]

    def resource(self, logical_id: str) -> str:
        """Its physical ID. Raises OlderStack if there is none."""
        for each in self.resources:
            if each["LogicalResourceId"] == logical_id:
                return each["PhysicalResourceId"]
        raise OlderStack

    def resources_of(self, kind: str) -> list[str]:
        """Their physical IDs. `kind`: as CloudFormation names it."""
        return [
            each["PhysicalResourceId"] for each in self.resources if each["ResourceType"] == kind
        ]

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        """What is live, and what was rejected."""
        found: Mapping[str, Any] = self.reader.get("configuration")
        return found

    def require_published(self) -> None:
        """Before the first push there is nothing to watch, and no poller. Raises CommandError."""
        if self.configuration["live"] is None:
            raise CommandError("nothing has been published yet")

    @cached_property
    def watched(self) -> Mapping[str, Any]:
        """Poller and stale views."""
        found: Mapping[str, Any] = self.reader.get("poller")
        return found
