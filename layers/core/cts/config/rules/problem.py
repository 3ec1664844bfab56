"""What is wrong with a configuration, and where."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from heapq import nsmallest

LONGEST_TEXT = 1_000
"""Characters of a problem's texts, which may show what is in a file."""
LONGEST_WORD = 60
MOST_WORDS = 100
"""Words that are compared with one, and their characters: to compare takes long."""


class Code(StrEnum):
    """Stable names of everything that can be wrong."""

    AUTO_COMMIT = "auto-commit"
    BACKEND = "backend"
    CONDITION_TYPE = "condition-type"
    DEPRECATED = "deprecated"
    DUPLICATE_INPUT = "duplicate-input"
    DUPLICATE_PROVIDER = "duplicate-provider"
    DUPLICATE_SERVICE = "duplicate-service"
    DUPLICATE_TASK = "duplicate-task"
    EMPTY_NAME = "empty-name"
    FILE_MISSING = "file-missing"
    INVALID_BUFFER = "invalid-buffer"
    INVALID_CRON = "invalid-cron"
    INVALID_REGEXP = "invalid-regexp"
    INVALID_TASK_NAME = "invalid-task-name"
    INVALID_VALUE = "invalid-value"
    INVALID_VERSION = "invalid-version"
    LITERAL_SECRET = "literal-secret"
    LOCAL_VERSION = "local-version"
    MISSING_OPTION = "missing-option"
    MISSING_VARIABLE = "missing-variable"
    MODULE_MISSING = "module-missing"
    MODULE_WITHOUT_INPUT = "module-without-input"
    NAMES_OR_REGEXP = "names-or-regexp"
    NOTHING_TO_READ = "nothing-to-read"
    NOT_CHECKED = "not-checked"
    NOT_NEEDED = "not-needed"
    NOT_SUPPORTED_YET = "not-supported-yet"
    OUTSIDE_BUNDLE = "outside-bundle"
    OVER_LIMIT = "over-limit"
    OVERRIDDEN = "overridden"
    PROVIDER_TWICE = "provider-twice"
    REPEATED_BLOCK = "repeated-block"
    SYNTAX = "syntax"
    TEMPLATE = "template"
    UNKNOWN_OPTION = "unknown-option"
    UNKNOWN_PROVIDER = "unknown-provider"
    UNKNOWN_VARIABLE = "unknown-variable"
    VARIABLE_FILE = "variable-file"
    VAULT_MISSING = "vault-missing"
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
    meant: str = ""
    """The option that a misspelt name was to be."""

    def __post_init__(self) -> None:
        for name in ("path", "what", "fix"):
            text = getattr(self, name)
            if len(text) > LONGEST_TEXT:
                object.__setattr__(self, name, f"{text[:LONGEST_TEXT]}...")

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}" if self.path else str(self.place)
        text = f"{self.what}; {self.fix}" if self.fix else self.what
        return _masked(f"{where}: {text} [{self.code}]")

    def as_json(self) -> dict[str, str | int]:
        """file, line, column, path, code, what, fix; a value that is quoted may be an address."""
        return {
            **asdict(self.place),
            "path": _masked(self.path),
            "code": self.code.value,
            "what": _masked(self.what),
            "fix": _masked(self.fix),
        }


def _masked(text: str) -> str:
    from cts.build.masking import masked  # only what has a problem to report needs it

    return masked(text)


@dataclass(frozen=True, slots=True)
class Where:
    """Where a block and its options stand, for problems found after decoding."""

    path: str = ""
    place: Place = Place("")
    options: Mapping[str, Place] = field(default_factory=dict)

    def at(self, option: str) -> "Where":
        """Where that option stands."""
        return Where(self._path(option), self.options.get(option, self.place))

    def problem(self, code: Code, what: str, fix: str = "", *, option: str = "") -> Problem:
        """A problem of the block or, if `option` is given, of that option."""
        return Problem(self.options.get(option, self.place), self._path(option), code, what, fix)

    def _path(self, option: str) -> str:
        return joined(self.path, option)


def joined(path: str, key: str) -> str:
    """The path of an option in a block, or of one at the top level."""
    return ".".join(part for part in (path, key) if part)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is close to this one, if any is. Of many only some are tried."""
    from difflib import get_close_matches  # only who checks a configuration needs it

    if len(word) > LONGEST_WORD:
        return ""
    short = (each for each in known if len(each) <= LONGEST_WORD)
    likely = nsmallest(MOST_WORDS, short, key=lambda each: abs(len(each) - len(word)))
    return next(iter(get_close_matches(word, likely, n=1)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "names"?`, or nothing if no known word is close."""
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near else ""


GIVE_VARIABLES = (".condition", ".module_input", ".variable_files", ".variables", ".serverless")
BEFORE_VARIABLES = (Code.CONDITION_TYPE, Code.FILE_MISSING, Code.OUTSIDE_BUNDLE)


def without_followers(problems: Iterable[Problem]) -> list[Problem]:
    """The problems without those that only follow from another: what seems to be missing could
    not be read, has another type, or has its name misspelt."""
    found = [*problems]
    codes = {problem.code for problem in found}
    is_unread = any(each.code is Code.SYNTAX and not each.path for each in found)
    """A configuration file, and not a module's."""
    unread = {problem.path for problem in found if problem.code is Code.WRONG_TYPE}
    unread |= {_meant(problem) for problem in found if problem.meant}
    before_variables = [each.path for each in found if each.code in BEFORE_VARIABLES]
    before_variables += [path for path in map(_meant, found) if path.endswith(GIVE_VARIABLES)]
    is_vault_unread = any(f"{path}.".startswith("vault.") for path in unread)

    def follows(problem: Problem) -> bool:
        match problem.code:
            case Code.MISSING_OPTION:
                return is_unread or problem.path in unread
            case Code.NAMES_OR_REGEXP:
                either = {f"{problem.path}.names", f"{problem.path}.regexp"}
                return is_unread or bool(either & unread)
            case Code.MISSING_VARIABLE:
                task = problem.path.rpartition(".")[0]
                is_before = any(path.startswith(f"{task}.") for path in before_variables)
                return is_unread or Code.VARIABLE_FILE in codes or is_before
            case Code.VAULT_MISSING:
                return is_unread or is_vault_unread
        return False

    return [problem for problem in found if not follows(problem)]


def beside_no_problem(warnings: Iterable[Problem], problems: Iterable[Problem]) -> list[Problem]:
    """The warnings, without those about an option that has a problem, or that follow from one."""
    found = [*problems]
    wrong = {(problem.place, problem.path) for problem in found}
    unread = {_meant(problem) or problem.path for problem in found}
    is_unread = any(each.code is Code.SYNTAX and not each.path for each in found)
    are_providers_unread = is_unread or any(_is_inside(path, PROVIDERS) for path in unread)

    def follows(warning: Problem) -> bool:
        match warning.code:
            case Code.UNKNOWN_PROVIDER | Code.MISSING_OPTION:
                return are_providers_unread
            case Code.CONDITION_TYPE:
                triggers = [f"{warning.path}.{name}" for name in TRIGGERS]
                return is_unread or any(
                    _is_inside(path, each) for path in unread for each in triggers
                )
        return False

    return [each for each in warnings if (each.place, each.path) not in wrong and not follows(each)]


PROVIDERS = "terraform_provider"
TRIGGERS = ("condition", "module_input", "source_input", "services")


def _is_inside(path: str, block: str) -> bool:
    return path == block or path.startswith((f"{block}.", f"{block}["))


def _meant(problem: Problem) -> str:
    """The path of the option that a misspelt one was to be."""
    if not problem.meant:
        return ""
    return joined(problem.path.rpartition(".")[0], problem.meant)
