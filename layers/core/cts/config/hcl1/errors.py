"""What is wrong with an HCL 1 file, as far as it was read."""

from cts.config.text.tree import ParseError

MOST_ERRORS = 50
"""Reported of one file: what has more is hardly a configuration."""


class Hcl1Errors:
    def __init__(self) -> None:
        self.found: list[ParseError] = []

    def add(self, error: ParseError, *, once_a_line: bool = False) -> None:
        """Note an error, or raise it if there are too many. One that may follow from another on
        the same line is omitted."""
        if once_a_line and self.found and self.found[-1].place.line == error.place.line:
            return
        if len(self.found) + 1 == MOST_ERRORS:
            raise error
        self.found.append(error)
