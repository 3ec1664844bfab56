"""What a plan does: in numbers, and to which resources."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from cts.build.log import Log
from cts.build.terraform import TerraformProcess

MOST_CHANGES, LONGEST_ADDRESS, MOST_BYTES = 50, 200, 9_000

PLANNED = re.compile(
    r"^Plan: (?:(\d+) to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy", re.MULTILINE
)
CHANGED = re.compile(
    r"^ {1,2}# (\S.*?)(?: \(deposed object \w+\))?(?: is tainted, so(?: it)?)? "
    r"(will be created|will be updated|(?:will|must) be replaced|will be destroyed|"
    r"will be imported|has moved to|will no longer be managed)\b",
    re.MULTILINE,
)
ACTIONS = {
    "will be created": "create",
    "will be updated": "update",
    "will be replaced": "replace",
    "must be replaced": "replace",
    "will be destroyed": "destroy",
    "will be imported": "import",
    "has moved to": "move",
    "will no longer be managed": "forget",
}
MOVED_OR_FORGOTTEN = re.compile(r"has moved to|moved from|no longer be managed by Terraform")


class NeedsPlan(Exception):
    """Only the file of a plan says what it does."""


def counted(terraform: TerraformProcess, plan: Path, said: str, log: Log) -> dict[str, int]:
    """What a plan does: `said` when it was made, `plan` is its file. Its JSON, which takes a while
    to make, is looked at only where there seems to be something that Terraform doesn't count."""
    found = counts(said)
    if moves_or_forgets(said):
        try:
            found |= moved_and_forgotten(terraform.planned(plan))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            log.note(f"what is moved or forgotten was not counted: {error}")
    return found


def moves_or_forgets(said: str) -> bool:
    """Whether a plan seems to do what Terraform doesn't count."""
    return MOVED_OR_FORGOTTEN.search(said) is not None


def counts(said: str) -> dict[str, int]:
    """Of `Plan: 1 to add, 0 to change, 0 to destroy.`; no such line: only outputs change."""
    found = PLANNED.findall(said)
    imported, *usual = (int(number or 0) for number in (found[-1] if found else "0000"))
    counted = dict(zip(("add", "change", "destroy"), usual, strict=True))
    return counted | ({"import": imported} if imported else {})


def moved_and_forgotten(plan: dict[str, Any]) -> dict[str, int]:
    """Of a plan as JSON: what Terraform lists and doesn't count."""
    changes = plan.get("resource_changes", [])
    moved = sum("previous_address" in each for each in changes)
    forgotten = sum("forget" in each["change"]["actions"] for each in changes)
    return {name: n for name, n in (("move", moved), ("forget", forgotten)) if n}


def changes(said: str) -> list[dict[str, str]]:
    """The first resources that a plan changes, as Terraform printed it: each an `action` and an
    `address`. Secrets are hidden in what it printed."""
    found, size = [], 0
    for address, words in CHANGED.findall(said)[:MOST_CHANGES]:
        change = {"action": ACTIONS[words], "address": address[:LONGEST_ADDRESS]}
        size += len(json.dumps(change))
        if size > MOST_BYTES:
            break
        found.append(change)
    return found
