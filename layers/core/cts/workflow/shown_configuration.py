"""The configuration, as the JSON values of the API's responses. No I/O.

All times are ISO 8601, UTC.
"""

from typing import Any

from cts.events import iso
from cts.generation import Current, Generation, Rejected
from cts.workflow.announce import version_of


def configuration(
    current: Current | None, generation: Generation | None, rejected: Rejected | None
) -> dict[str, Any]:
    """The live generation, and the last rejected push if it is newer."""
    if current and rejected and rejected.rejected_at < current.published_at:
        rejected = None
    return {
        "live": _live(current, generation) if current and generation else None,
        "rejected": _rejected(rejected) if rejected else None,
    }


def _live(current: Current, generation: Generation) -> dict[str, Any]:
    return {
        "generation": current.number,
        "digest": current.digest,
        "contract": current.contract,
        "source_version": version_of(current.sources),
        "published_at": iso(current.published_at),
        "added": current.added,
        "changed": current.changed,
        "removed": current.removed,
        "warnings": current.warnings,
        "tasks": {
            name: {
                "definition": each.definition,
                "enabled": each.enabled,
                "buffer": each.buffer._asdict() if each.buffer else None,
                "created": each.created,
            }
            for name, each in sorted(generation.listed.items())
        },
        "waiting": {
            name: {
                "definition": each.definition,
                "reasons": list(each.reasons),
                "created": each.created,
            }
            for name, each in sorted(generation.waiting.items())
        },
    }


def _rejected(rejected: Rejected) -> dict[str, Any]:
    return {
        "source_version": version_of(rejected.sources),
        "rejected_at": iso(rejected.rejected_at),
        "problem_count": rejected.problem_count,
        "problems": rejected.problems,
    }
