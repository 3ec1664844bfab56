"""What is wrong with a configuration, and where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Code(StrEnum):
    """Stable names of everything that can be wrong."""

    CONDITION_TYPE = "condition-type"
    DUPLICATE_TASK = "duplicate-task"
    EMPTY_NAME = "empty-name"
    FILE_MISSING = "file-missing"
    INVALID_BUFFER = "invalid-buffer"
    INVALID_REGEXP = "invalid-regexp"
    INVALID_TASK_NAME = "invalid-task-name"
    LITERAL_SECRET = "literal-secret"
    LOCAL_VERSION = "local-version"
    MISSING_OPTION = "missing-option"
    MODULE_MISSING = "module-missing"
    MODULE_WITHOUT_SERVICES = "module-without-services"
    NAMES_OR_REGEXP = "names-or-regexp"
    NOTHING_TO_READ = "nothing-to-read"
    NOT_NEEDED = "not-needed"
    NOT_SUPPORTED_YET = "not-supported-yet"
    OUTSIDE_BUNDLE = "outside-bundle"
    REPEATED_BLOCK = "repeated-block"
    SYNTAX = "syntax"
    UNKNOWN_OPTION = "unknown-option"
    VARIABLE_FILE = "variable-file"
    WRONG_TYPE = "wrong-type"


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file of the bundle. Lines and columns count from 1; 0 is the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where, what, and what would be right.

    `tasks.hcl:12:3: task.web.condition.services: set names or regexp [names-or-regexp]`
    """

    place: Place
    path: str
    """The option, as `task.web.condition.services.names`; empty for a whole file."""
    code: Code
    what: str
    fix: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}" if self.path else str(self.place)
        text = f"{self.what}; {self.fix}" if self.fix else self.what
        return f"{where}: {text} [{self.code}]"

    @property
    def order(self) -> tuple[bytes, int, int]:
        """Sorts by file, in the order files are read, then by position."""
        return (self.place.file.encode(), self.place.line, self.place.column)


@dataclass(frozen=True, slots=True)
class Where:
    """Where a block and its options stand, for problems found after decoding."""

    path: str
    place: Place
    options: Mapping[str, Place]

    def problem(self, code: Code, what: str, fix: str = "", *, option: str = "") -> Problem:
        """A problem of the block or, if `option` is given, of that option."""
        path = f"{self.path}.{option}" if option else self.path
        return Problem(self.options.get(option, self.place), path, code, what, fix)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "names"?`, or nothing if no known word is close."""
    near = get_close_matches(word, list(known), n=1)
    return f'did you mean "{near[0]}"?' if near else ""
