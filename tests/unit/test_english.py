"""The worst turns of phrase stay out of messages, help, docstrings and documents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.documents import ROOT
from tests.unit.python_files import nodes


class Turn(NamedTuple):
    pattern: str
    example: str
    instead: str


TURNS = (
    Turn(r"(?<!there )\b(?:is|are|was|were) no (?!longer\b)", "it is no list", "must be a list"),
    Turn(r"(?<!there )\bis none\b(?! of)", "a filter that is none", "is not valid"),
    Turn(r"\bnot right here\b", '"x" is not right here', "say what is right"),
    Turn(r"\b(?:is|are) taken for\b", "it is taken for text", "is treated as"),
    Turn(r"\bt(?:akes?|ook|aken) (?:its|the) place\b", "took the place of it", "replaces"),
    Turn(
        r"\bst(?:ands?|ood) (?:alone|around|behind|beside|between|in|once|there|twice|where)\b",
        "a key that stands twice",
        "is, or a repeated key",
    ),
    Turn(r"\bbeside\b", "the file beside it", "next to, besides"),
    Turn(r"\b(?:anew|afresh|once more)\b", "read it anew", "again"),
    Turn(r"\bany more\b", "not kept any more", "no longer"),
    Turn(r"\bso many\b", "at most so many", "name what is counted"),
    Turn(r"\bwithout end\b", "tries without end", "indefinitely"),
    Turn(r"\b(?:nobody|somebody)\b", "nobody is here", "name the user or the program"),
    Turn(r"\bsay --", "say --yes", "pass --yes"),
    Turn(r"\b(?:tells?|told) (?:it|of)\b", "ViewStale tells of it", "reports, says"),
    Turn(r"\bfares?\b", "how it fares", "its status"),
    Turn(r"\bmend(?:s|ed)?\b", "mend the file", "fix"),
    Turn(r"\bsigns? of life\b", "a sign of life", "heartbeat"),
    Turn(r"\bunseen\b", "changes go unseen", "unnoticed"),
    Turn(r"\bbut for\b", "all but for one", "except"),
    Turn(r"\bshall\b", "what shall go wrong", "should, must"),
    Turn(r"\bin vain\b", "waited in vain", "timed out"),
    Turn(r", for (?:he|it|they|there|we|you)\b", "gone, for it is old", "because, as"),
    Turn(r"(?:^|[.;:] )who (?=[^?]*$)", "Who may push decides", "whoever, or name the user"),
    Turn(r"\bof (?:its|our|their) own\b", "a thread of its own", "its own thread"),
    Turn(r"\bbad news\b", "the answer is bad news", "problems"),
    Turn(r"\bno word (?:came|from)\b", "no word came from it", "did not respond"),
    Turn(r"\bl(?:ies|ay) outside\b", "lies outside the bundle", "is"),
    Turn(
        r"\b(?:(?:begins|closes|feeds|fits|knows|names) no(?:ne|thing)?|holds no)\b",
        "the path names no key",
        "does not name a key",
    ),
    Turn(r"(?:^ |\b(?:configured|done|here|set) )already\b(?! \w)", "set already", "already set"),
    Turn(r"\bliving (?:build|poller)|\bno \w+ lives\b", "no poller lives", "is alive, is running"),
    Turn(r"\bheld back\b", "accounts are held back", "restricted"),
    Turn(r"\bon its line\b", "close it on its line", "on the same line"),
    Turn(r"\bused only where\b", "used only where it is empty", "only if"),
    Turn(r", for \w+ neither\b", "not checked, for secrets neither", "not even for secrets"),
    Turn(r"\bwhat became of\b", "what became of the run", "how it ended, its state"),
    Turn(r"\ball the same\b", "known all the same", "anyway"),
    Turn(r"\bof (?:one|that) name\b", "a folder of that name", "with that name"),
    Turn(r"\bas it is written\b", "stored as it is written", "unchanged, as plain text"),
    Turn(r"\b(?:its time|never) comes\b", "a time that never comes", "never occurs"),
    Turn(r"\bmakes? too much\b", "this makes too much", "is too complex"),
    Turn(r"\b(?:counts for|worth) nothing\b", "it is worth nothing", "is ignored, can't be used"),
    Turn(r"\b(?:he|it|they|who|one)'s turn\b", "when it is one's turn", "once something is free"),
    Turn(r"\bnot there yet\b", "a command that is not there yet", "not supported yet"),
    Turn(r"\btakes that\b", "if it takes that", "accepts"),
)
GENERATED = "# Written anew for each run"
"""The start of a text in generated files, whose bytes don't change."""
CODE = ("cli/cts_cli", "functions", "layers/core/cts", "local")
OTHERS = ("README.md", "CHANGELOG.md", "Makefile", "findings/README.md", "template.yaml")
WRITTEN_BY_TESTS = ROOT / "docs" / "reports"


def _files() -> list[Path]:
    code = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    documents = list((ROOT / "docs").rglob("*.md"))
    documents += [ROOT / name for name in OTHERS]
    return sorted(path for path in [*code, *documents] if WRITTEN_BY_TESTS not in path.parents)


FLAGS = re.IGNORECASE | re.MULTILINE
COMPILED = [(re.compile(turn.pattern, FLAGS), turn.instead) for turn in TURNS]
ANY = re.compile("|".join(turn.pattern for turn in TURNS), FLAGS)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text: each string of a Python file, each line of another one."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text().splitlines(), 1)
        return
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _found(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {turn[0]!r}: write {instead!r}"
        for line, text in _texts(path)
        if ANY.search(text) and not text.startswith(GENERATED)
        for pattern, instead in COMPILED
        for turn in pattern.finditer(text)
    ]


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.example)
def test_a_turn_is_recognised(turn: Turn) -> None:
    assert re.search(turn.pattern, turn.example, re.IGNORECASE)


@pytest.mark.slow
def test_no_text_has_one_of_the_turns() -> None:
    assert [found for path in _files() for found in _found(path)] == []
