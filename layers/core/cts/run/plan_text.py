"""The plan in a run's log. Pure."""

import re
from collections.abc import Mapping

COMMAND = re.compile(r"^\[\d{4}-[^\]]*\] (?:terraform|tofu) plan .*\n", re.MULTILINE)
NOTE = re.compile(r"^\[\d{4}-\d\d-\d\dT[^\]]*\] ", re.MULTILINE)


def plan_text(log: str) -> str:
    """What the last `plan` in it said; empty if there is none."""
    commands = [*COMMAND.finditer(log)]
    if not commands:
        return ""
    said = log[commands[-1].end() :]
    end = NOTE.search(said)
    return (said[: end.start()] if end else said).strip()


OUTPUTS = "Changes to Outputs:"
"""Changes that are in no count."""


def has_changes(plan: str, counts: Mapping[str, int] | None) -> bool:
    return any((counts or {}).values()) or OUTPUTS in plan
