"""Regular expressions as CTS reads them: RE2's, tried out on the engine that matches."""

from collections.abc import Callable
from functools import cache

MOST_REPEATS = 1000
MOST_CHARACTERS = 10_000
"""RE2 takes seconds to refuse one of a few hundred thousand."""
SHOWN = 80
"""Characters of the engine's reason: it ends with the rest of the expression."""
FOR_ALL = 'for all services write regexp = ""'
INSTEAD = {
    "bad repetition operator": "use one repetition operator: RE2 has no possessive quantifiers",
    "invalid escape sequence": (
        "RE2 has no back-references; use \\z for the end, \\x{...} for a character code, and "
        "\\d \\s \\w \\pL for character classes"
    ),
    "invalid perl operator": (
        "RE2 has no look-around, atomic groups, conditionals or comments, and only the flags "
        "i, m, s and U"
    ),
    "invalid repetition size": f"use at most {MOST_REPEATS}, and write the smaller number first",
    "missing )": "close the group, or write \\( for a parenthesis",
    "missing ]": "close the set, or write \\[ for a bracket",
    "no argument for repetition operator": (
        'write what to repeat, such as ".*" for any text, or a \\ before it'
    ),
    "pattern too large": "repeat large sets less often",
    "unexpected )": "write \\) for a parenthesis",
}
"""What would be right, by how the engine's message begins."""


@cache
def compiled(expression: str) -> Callable[[bytes], object]:
    """An expression's search, anywhere in UTF-8 text. RE2 as in CTS, so it takes linear time.
    Raises re2.error."""
    return _search(expression)


def _search(expression: str) -> Callable[[bytes], object]:
    import re2  # most that asks for views matches nothing, and loading it takes 15 ms

    options = re2.Options()
    options.log_errors = False  # to standard error, besides raising
    search: Callable[[bytes], object] = re2.compile(expression, options).search
    return search


def fault(expression: str) -> tuple[str, str]:
    """What is wrong with an expression and what would be right; two empty strings if nothing."""
    import re2

    if expression and not expression.strip("* "):
        return "RE2 rejects this: a * repeats what comes before it", FOR_ALL
    if len(expression) > MOST_CHARACTERS:
        return f"this expression has more than {MOST_CHARACTERS} characters", "write a shorter one"
    try:
        _search(expression)  # not kept: one may take megabytes
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
    except UnicodeEncodeError:
        reason = "half of a surrogate pair"
    else:
        return "", ""
    fix = next((fix for start, fix in INSTEAD.items() if reason.startswith(start)), "")
    return f"RE2 rejects this: {reason[:SHOWN]}", fix
