"""Names by a regular expression, as the conditions on services take it."""

from collections.abc import Iterator

from cts.config.escapes import undoubled
from cts.config.problem import Code, Problem, Where
from cts.config.regexp import fault


def problems_of(expression: str, where: Where) -> Iterator[Problem]:
    """What is wrong with a block's option `regexp`."""
    if any(found := fault(undoubled(expression))):
        yield where.problem(Code.INVALID_REGEXP, *found, option="regexp")
