"""Names by a regular expression, as the conditions on services take it."""

from collections.abc import Iterator

from cts.config.rules.problem import Code, Problem, Where
from cts.config.rules.regexp import fault
from cts.config.text.escapes import undoubled


def problems_of(expression: str, where: Where) -> Iterator[Problem]:
    """What is wrong with a block's option `regexp`."""
    if any(found := fault(undoubled(expression))):
        yield where.problem(Code.INVALID_REGEXP, *found, option="regexp")
