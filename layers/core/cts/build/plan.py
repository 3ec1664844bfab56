"""What a plan does, in numbers."""

import re
import subprocess
from pathlib import Path
from typing import Any

from cts.build.log import Log
from cts.build.terraform import TerraformProcess

PLANNED = re.compile(
    r"^Plan: (?:(\d+) to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy", re.MULTILINE
)
MOVED_OR_FORGOTTEN = re.compile(r"has moved to|moved from|no longer be managed by Terraform")


def counted(terraform: TerraformProcess, plan: Path, said: str, log: Log) -> dict[str, int]:
    """What a plan does: `said` when it was made, `plan` is its file. Its JSON, which takes a while
    to make, is looked at only where there seems to be something that Terraform doesn't count."""
    found = counts(said)
    if MOVED_OR_FORGOTTEN.search(said):
        try:
            found |= moved_and_forgotten(terraform.planned(plan))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            log.note(f"what is moved or forgotten was not counted: {error}")
    return found


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
