"""Finds the parts of python-hcl2's tree in the original text."""

from bisect import bisect_right
from typing import TYPE_CHECKING

from cts.config.hcl2.mask import masked
from cts.config.hcl2.nodes import Unread
from cts.config.hcl2.tokens import Token, unexpected
from cts.config.rules.problem import Place
from cts.config.text.tree import Lines, ParseError

if TYPE_CHECKING:
    from lark import Token as Leaf
    from lark import Tree

    Branch = Tree[Leaf]


MOST_TOKENS = 50_000
"""python-hcl2 takes about a kilobyte for each, and 50 microseconds."""


class Source:
    def __init__(
        self,
        text: str,
        found: list[Token],
        lines: Lines,
        *,
        before: str = "",
        skips_lines: bool = False,
    ) -> None:
        """`found`: tokens, the last of which is the `end`. `before`: text that is added at the
        beginning of the mask. Raises ParseError."""
        self.text, self.found, self.lines = text, found, lines
        if len(found) > MOST_TOKENS:
            what = f"this has more than {MOST_TOKENS:,} words and marks"
            raise Unread(lines.place(found[0].at), what, "divide it")
        mask = masked(found, lines, skips_lines=skips_lines)
        self.openings, self.signs = mask.openings, mask.signs
        self.start = found[0].at - len(before)
        self.masked = before + mask.text

    def at(self, place: int | None) -> int:
        """The position in the text of a position in the mask."""
        assert place is not None  # every part of the tree begins and ends somewhere
        return self.start + place

    def start_of(self, branch: "Branch") -> int:
        return self.at(branch.meta.start_pos)

    def place(self, branch: "Branch") -> Place:
        return self.lines.place(self.start_of(branch))

    def written(self, branch: "Branch") -> str:
        return self.text[self.start_of(branch) : self.at(branch.meta.end_pos)]

    def number_of(self, at: int) -> int:
        """The index of the token at a position. python-hcl2 includes the blanks before a `=`."""
        while self.text[at : at + 1] in (" ", "\t"):
            at += 1
        return bisect_right(self.found, at, key=lambda token: token.at) - 1

    def first(self, branch: "Branch") -> int:
        """The index of its first token."""
        start = self.start_of(branch)
        return self.number_of(self.signs[start][0].at if start in self.signs else start)

    def unexpected(self, at: int, expected: str = "a value") -> ParseError:
        return unexpected(self.found[self.number_of(at)], self.lines, expected)


def trees(branch: "Branch") -> "list[Branch]":
    """The subtrees that have a meaning."""
    found = [each for each in branch.children if not isinstance(each, str)]
    return [each for each in found if each.data != "new_line_or_comment"]
