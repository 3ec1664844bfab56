"""The template as it is written. What is not of SAM is deployed as it is."""

from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
# Without libyaml, reading the template takes longer than transforming it.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]


TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())


def properties(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Logical id -> properties of all resources of a type."""
    return {
        name: each.get("Properties", {}) for name, each in resources.items() if each["Type"] == kind
    }


def default(value: Any) -> Any:
    """What a parameter is set to, unless a user says otherwise."""
    is_parameter = isinstance(value, dict) and value.get("Ref") in TEMPLATE["Parameters"]
    return TEMPLATE["Parameters"][value["Ref"]].get("Default") if is_parameter else value


def alarms() -> dict[str, dict[str, Any]]:
    """Logical id -> properties, with the defaults of parameters."""
    found = properties(TEMPLATE["Resources"], "AWS::CloudWatch::Alarm")
    return {
        name: {key: default(value) for key, value in alarm.items()} for name, alarm in found.items()
    }
