"""Masks HCL 2 text, so that python-hcl2 reads it as Terraform does. Positions don't change.

python-hcl2 rejects some text that Terraform accepts, and misreads some. It handles words and
marks correctly, so these are kept. The content of strings, non-ASCII letters in names, comments
and meaningless line ends are replaced. The originals are looked up in the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cts.config.hcl2.nodes import too_nested
from cts.config.hcl2.tokens import BEGINS, ENDS, KEYWORDS, KINDS, Token, unexpected
from cts.config.text.tree import MAX_DEPTH, Lines, ParseError

BETWEEN = {"{", ",", "line"}
"""What can come before a pair of a map."""
DIRECTIVES = {"if", "for", "else", "endif", "endfor"}
MOST_OPEN = 4 * MAX_DEPTH
"""Open brackets; a level of nesting can have several. With more, python-hcl2 is slow."""
CLOSES = {"[": "]", "(": ")", "{": "}", "template": "close"}


@dataclass(slots=True)
class Mask:
    text: str = ""
    openings: dict[int, Token] = field(default_factory=dict)
    """The opening token of each string, by the position of its quote in the mask."""
    signs: dict[int, list[Token]] = field(default_factory=dict)
    """The `-` and `!` before an operand, by the position of the last one."""


def masked(found: Sequence[Token], lines: Lines, *, skips_lines: bool) -> Mask:
    """The mask of the tokens, the last of which is the `end`. Raises ParseError."""
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
        """Inside parentheses and brackets, line ends are ignored."""
        self.opened: list[Token] = []
        self.before = Token("", "", 0)
        self.is_operand = False
        """Whether the previous token ended an operand."""
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
        """python-hcl2 accepts one sign, and reads a `-` before a digit as part of the number."""
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
        # A `+` has the same precedence, and is never part of a number.
        return ("+" if token.kind == "-" else token.text).replace("~", " ")

    def is_in_a_call(self, n: int) -> bool:
        """python-hcl2 only accepts names of three parts, and only in calls, as Terraform does."""
        kinds = [self.before.kind, *(token.kind for token in self.found[n + 1 : n + 3])]
        return kinds in (["name", "name", "("], ["name", "name", "::"])

    def check(self, n: int, token: Token) -> None:
        """Raises ParseError for what python-hcl2 accepts and Terraform rejects."""
        match token.kind:
            case "line":
                self.end_of_line(n, token)
            case "template":
                self.directive(self.found[n + 1], token)
            case "number" if self.before.kind == "." and not token.text.isdigit():
                raise unexpected(token, self.lines, "a name")
            case kind if kind not in KINDS:
                raise unexpected(token, self.lines, "a value")

    def end_of_line(self, n: int, token: Token) -> None:
        """A line end that separates statements or pairs; python-hcl2 also accepts others."""
        if self.before.kind == "line":
            return  # the same follows as behind that one
        following = self.found[self.behind_lines(n)]
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
        """Keywords can also be names."""
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
            raise ParseError(self.lines.place(word.at), "this is not a directive", fix)

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
        word = self.behind_lines(n + 1)
        if self.found[word].text != "for":
            return False
        return self.found[self.behind_lines(word + 1)].kind == "name"

    def behind_lines(self, n: int) -> int:
        """The number of the first token from that one on that is not the end of a line."""
        while self.found[n].kind == "line":
            n += 1
        return n
