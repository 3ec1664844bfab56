"""The template as AWS gets it: after the SAM transform."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
# Without libyaml, reading the template takes longer than transforming it.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]


TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
"""As it is written."""


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


def default(value: Any) -> Any:
    """What a parameter is set to, unless a user says otherwise."""
    is_parameter = isinstance(value, dict) and value.get("Ref") in TEMPLATE["Parameters"]
    return TEMPLATE["Parameters"][value["Ref"]].get("Default") if is_parameter else value


def alarms() -> dict[str, dict[str, Any]]:
    """Logical id -> properties, with the defaults of parameters."""
    found = of_type("AWS::CloudWatch::Alarm")
    return {
        name: {key: default(value) for key, value in alarm.items()} for name, alarm in found.items()
    }


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id -> properties of all resources of a type."""
    return {
        name: each.get("Properties", {}) for name, each in DEPLOYED.items() if each["Type"] == kind
    }


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
