"""Why a task runs, in words. Pure."""

from collections.abc import Iterable, Mapping

from cts.run.state import Reason

WORDS: Mapping[str, str] = {
    Reason.PERSON: "asked for",
    Reason.INSPECT: "plan asked for",
    Reason.MOVE: "move of its state asked for",
    Reason.DESTROY: "destroy asked for",
    Reason.INSPECT_DESTROY: "plan to destroy asked for",
}
"""Of what a person asks for. All other reasons are words themselves."""


def told(why: Iterable[str]) -> str:
    """Reasons, also those that only a newer version knows."""
    return ", ".join(WORDS.get(each, each) for each in why)
