"""The template as AWS gets it: after the SAM transform."""

from copy import deepcopy
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.template.written import TEMPLATE, properties


def _transformed() -> dict[str, Any]:
    template = deepcopy(TEMPLATE)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for place in {"CodeUri", "ContentUri"} & properties.keys():
            properties[place] = "s3://bucket/key"  # what `sam deploy` puts there
    region = boto3.Session(region_name="us-east-1")
    translator = Translator({}, Parser(), boto_session=region)
    deployed: dict[str, Any] = translator.translate(template, {})
    return deployed


DEPLOYED: dict[str, Any] = _transformed()["Resources"]
"""Logical id -> resource, as it is deployed."""


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id -> properties of all resources of a type."""
    return properties(DEPLOYED, kind)


def statements(role: str) -> list[dict[str, Any]]:
    """The statements of a role's own policies, the conditional ones included; actions and
    resources as lists."""
    return [
        {
            **chosen(statement),
            "Action": as_list(chosen(statement)["Action"]),
            "Resource": as_list(chosen(statement)["Resource"]),
        }
        for policy in of_type("AWS::IAM::Role")[role]["Policies"]
        for statement in chosen(policy)["PolicyDocument"]["Statement"]
    ]


def chosen(value: dict[str, Any]) -> dict[str, Any]:
    """What `!If [condition, value, !Ref AWS::NoValue]` is when the condition holds."""
    answer: dict[str, Any] = value["Fn::If"][1] if "Fn::If" in value else value
    return answer


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
