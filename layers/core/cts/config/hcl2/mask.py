"""HCL 2 text in the form that python-hcl2 reads as Terraform does: each character in its place.

python-hcl2 refuses some of what Terraform reads, and reads some of it as something else. It knows
the words and marks well, so these stay; what strings say, names beyond ASCII, comments, and ends
of lines that mean nothing are written over. What they were is looked up in the text itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from cts.config.hcl2.nodes import too_nested
from cts.config.hcl2.tokens import BEGINS, ENDS, KEYWORDS, MARKS, WORDS, Token, unexpected
from cts.config.text.tree import MAX_DEPTH, Lines, ParseError

BETWEEN = {"{", ",", "line"}
"""What stands before a pair of a map."""
DIRECTIVES = {"if", "for", "else", "endif", "endfor"}
MOST_OPEN = 4 * MAX_DEPTH
"""Brackets, of which a level of nesting may have some. With more python-hcl2 takes long."""
CLOSES = {"[": "]", "(": ")", "{": "}", "template": "close"}


@dataclass(slots=True)
class Mask:
    text: str = ""
    openings: dict[int, Token] = field(default_factory=dict)
    """What each string began with, by the place of its quote in the mask."""
    signs: dict[int, list[Token]] = field(default_factory=dict)
    """The `-` and `!` before an operand, by the place of the last one."""


def masked(found: Sequence[Token], lines: Lines, *, skips_lines: bool) -> Mask:
    """The mask of tokens whose last one is the `end`, from the first one on. Raises ParseError."""
    start = found[0].at
    letters = [" "] * (found[-1].at - start)
    mask = Mask()
    for token, letter in _Masking(found, lines, mask, skips_lines=skips_lines).pieces():
        letters[token.at - start : token.at - start + len(token.text)] = letter
    mask.text = "".join(letters)
    return mask


class _Masking:
    def __init__(
        self, found: Sequence[Token], lines: Lines, mask: Mask, *, skips_lines: bool
    ) -> None:
        self.found, self.lines, self.mask = found, lines, mask
        self.skips_lines = [skips_lines]
        """Inside parentheses and brackets the end of a line means nothing."""
        self.opened: list[Token] = []
        self.before = Token("", "", 0)
        self.is_operand = False
        """Whether an operand ended before."""
        self.signs: list[Token] = []

    def pieces(self) -> Iterator[tuple[Token, str]]:
        for n, token in enumerate(self.found[:-1]):
            if token.kind == "line" and self.skips_lines[-1]:
                continue
            if token.kind in ("-", "!") and not self.is_operand:
                self.signs.append(token)
                continue
            yield from self.signed()
            yield token, self.piece(n, token)
            self.nested(n, token)
            self.before = token
        yield from self.signed()
        if self.opened:
            opening = self.opened[-1]
            what = f'this "{opening.text}" is never closed'
            raise ParseError(self.lines.place(opening.at), what, f'add "{CLOSES[opening.kind]}"')

    def signed(self) -> Iterator[tuple[Token, str]]:
        """python-hcl2 reads one sign, and a `-` before a digit as part of the number."""
        if self.signs:
            last = self.signs[-1]
            self.mask.signs[last.at], self.signs = self.signs, []
            self.before = last
            yield last, "!"

    def piece(self, n: int, token: Token) -> str:
        length, was_operand = len(token.text), self.is_operand
        self.is_operand = token.kind in ENDS
        match token.kind:
            case "name":
                return self.name(token, was_operand=was_operand)
            case "quote":
                self.mask.openings[token.at + length - 1] = token
                return '"'.rjust(length)
            case "unquote":
                return '"'.ljust(length)
            case "text":
                return "x" * length
            case "::" if self.is_in_a_call(n):
                return "xx"
        self.check(n, token)
        # A `+` binds as strongly, and is never part of a number.
        return ("+" if token.kind == "-" else token.text).replace("~", " ")

    def is_in_a_call(self, n: int) -> bool:
        """python-hcl2 knows names of three parts only, and Terraform has no others but calls'."""
        kinds = [self.before.kind, *(token.kind for token in self.found[n + 1 : n + 3])]
        return kinds in (["name", "name", "("], ["name", "name", "::"])

    def check(self, n: int, token: Token) -> None:
        """Raises ParseError at what python-hcl2 reads, and Terraform doesn't."""
        match token.kind:
            case "line":
                self.end_of_line(n, token)
            case "template":
                self.directive(self.found[n + 1], token)
            case "number" if self.before.kind == "." and not token.text.isdigit():
                raise unexpected(token, self.lines, "a name")
            case kind if kind not in MARKS | WORDS:
                raise unexpected(token, self.lines, "a value")

    def end_of_line(self, n: int, token: Token) -> None:
        """One that separates: python-hcl2 reads on behind any other."""
        following = next(each for each in islice(self.found, n, None) if each.kind != "line")
        if self.before.kind not in ENDS | BETWEEN or following.kind in ("=", ":"):
            raise unexpected(token, self.lines, "a value")
        if following.kind not in BEGINS | {"}", "end"}:
            raise unexpected(following, self.lines, "a name")

    def name(self, token: Token, *, was_operand: bool) -> str:
        if token.text in KEYWORDS and self.is_keyword(token.text, was_operand=was_operand):
            self.is_operand = token.text in ("true", "false", "null")
            return token.text
        if token.text in KEYWORDS or token.text == "for_each":
            return "x" + token.text[1:]
        return "".join([letter if letter.isascii() else "x" for letter in token.text])

    def is_keyword(self, word: str, *, was_operand: bool) -> bool:
        """Any word may be a name, too."""
        match word:
            case "true" | "false" | "null":
                return True
            case "in":
                return was_operand
            case "if":
                return was_operand or self.before.text.startswith(("%", "..."))
            case "for":
                return self.before.kind in ("[", "{") or self.before.text.startswith("%")
        return self.before.text.startswith("%")

    def directive(self, word: Token, opening: Token) -> None:
        if opening.text.startswith("%") and word.text not in DIRECTIVES:
            fix = "expected if, else, endif, for or endfor"
            raise ParseError(self.lines.place(word.at), "this is no directive", fix)

    def nested(self, n: int, token: Token) -> None:
        if token.kind in CLOSES:
            self.opened.append(token)
            if len(self.opened) > MOST_OPEN:
                raise too_nested(self.lines.place(self.opened[MAX_DEPTH].at))
            self.skips_lines.append(token.kind != "{" or self.is_loop(n))
        elif token.kind in CLOSES.values() and self.opened:
            self.opened.pop()
            self.skips_lines.pop()

    def is_loop(self, n: int) -> bool:
        words = (each for each in islice(self.found, n + 1, None) if each.kind != "line")
        return next(words).text == "for" and next(words).kind == "name"
