"""Regular expressions: CTS reads RE2, Python's re matches. Both must agree on an expression.

RE2 refuses some of what Python accepts; some of what RE2 accepts, Python reads differently.
"""

import re
import warnings

MOST_REPEATS = 1000

FOREIGN = re.compile(
    r"""(?P<lookaround>\(\?<?[=!])
      | (?P<backreference>\\[1-9](?!\d)|\(\?P=|\\[gk])
      | (?P<atomic>\(\?>)
      | (?P<conditional>\(\?\()
      | (?P<comment>\(\?\#)
      | (?P<name>\(\?<)
      | (?P<ungreedy>\(\?[ims-]*U)
      | (?P<flag>\(\?[ims-]*[^ims:)P-])
      | (?P<end>\\[Zz])
      | (?P<quote>\\[QE])
      | (?P<property>\\[pP])
      | (?P<code>\\x\{)
      | (?P<letter>\\[A-Za-z](?<!\\[ABDSWabdfnrstvwx]))
      | (?P<posix>\[\[\^?:|\[\^\[:)
      | (?P<possessive>[*+?]\+|\{\d+(?:,\d*)?\}\+)
      | (?P<upto>\{,\d+\})
      | \{(?P<repeats>\d+(?:,\d*)?)\}
      | \\.
      | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
      | .""",
    re.VERBOSE | re.DOTALL,
)
NOT_IN_RE2 = {
    "lookaround": "look-around is",
    "backreference": "a back-reference is",
    "atomic": "an atomic group is",
    "conditional": "a conditional is",
    "comment": "a comment is",
    "flag": "this flag is",
    "letter": "this escape is",
    "possessive": "a possessive repetition is",
}
INSTEAD = {
    "name": "write a named group as (?P<name>...)",
    "ungreedy": "write lazy repetitions, such as .*?",
    "end": "write $ for the end",
    "quote": "escape each character instead of \\Q...\\E",
    "property": "write the characters of \\p as a set",
    "code": "write the character instead of \\x{...}",
    "posix": "write [a-z] instead of [[:lower:]], and so on",
    "upto": "write {0,n}, or \\{ for a brace",
}


def fault(expression: str) -> tuple[str, str]:
    """What is wrong with an expression and what would be right; two empty strings if nothing."""
    for token in FOREIGN.finditer(expression):
        kind, text = token.lastgroup or "", token.group()
        if what := NOT_IN_RE2.get(kind):
            return f"{what} not part of RE2 syntax: `{text}`", "write it without"
        if kind in INSTEAD:
            return f"`{text}` is not supported yet", INSTEAD[kind]
        if kind == "repeats" and _repeats(token["repeats"]) > MOST_REPEATS:
            return f"`{text}` repeats too often", f"RE2 allows at most {MOST_REPEATS}"
    return (
        (f"this does not compile: {reason}", "") if (reason := _refusal(expression)) else ("", "")
    )


def _repeats(counts: str) -> int:
    """The largest count; a count of many digits is cut, it is too large anyway."""
    return max(int(count[:9]) for count in counts.split(",") if count)


def _refusal(expression: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sets that a future Python may read differently
        try:
            re.compile(expression)
        except re.error as error:
            return str(error)
        except (OverflowError, RecursionError):
            return "it is too large"
    return ""
