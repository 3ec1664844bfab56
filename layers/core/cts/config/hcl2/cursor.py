"""Where a parser of HCL 2 stands among the tokens."""

from collections.abc import Iterator
from contextlib import contextmanager

from cts.config.hcl2.tokens import Token
from cts.config.problem import Place
from cts.config.tree import Lines, ParseError

KEYWORDS = ("true", "false", "null", "for", "in", "if", "else", "endif", "endfor")


class Cursor:
    def __init__(self, tokens: list[Token], lines: Lines, *, skips_lines: bool = False) -> None:
        self.tokens, self.lines, self.at = tokens, lines, 0
        self.skips_lines = skips_lines
        """Inside parentheses and brackets the end of a line means nothing."""

    @property
    def token(self) -> Token:
        while self.skips_lines and self.tokens[self.at].kind == "line":
            self.at += 1
        return self.tokens[self.at]

    def accept(self, kind: str) -> Token | None:
        if (token := self.token).kind != kind:
            return None
        self.at += kind != "end"
        return token

    def accept_word(self, word: str) -> Token | None:
        return self.accept("name") if self.token.text == word else None

    def expect(self, kind: str, what: str) -> Token:
        """Raises ParseError if something else comes next."""
        if token := self.accept(kind):
            return token
        raise self.unexpected(what)

    def close(self, kind: str, opening: Token) -> None:
        """The mark that ends what another opened."""
        if self.token.kind == "end":
            raise self.error(opening, f'this "{opening.text}" is never closed', f'add "{kind}"')
        self.expect(kind, f'"," or "{kind}"' if opening.kind in "[{" else f'"{kind}"')

    @contextmanager
    def inside(self, *, skips_lines: bool) -> Iterator[None]:
        before, self.skips_lines = self.skips_lines, skips_lines
        yield
        self.skips_lines = before

    def unexpected(self, expected: str) -> ParseError:
        what = f"{_shown(self.token)} is not expected here"
        return self.error(self.token, what, f"expected {expected}")

    def error(self, token: Token, what: str, fix: str = "") -> ParseError:
        return ParseError(self.place(token), what, fix)

    def place(self, token: Token) -> Place:
        return self.lines.place(token.at)


def _shown(token: Token) -> str:
    """A token, for a message; never a text, quoted or not: it may be a secret."""
    match token.kind:
        case "line" | "end":
            return "the end of the line"
        case "quote" | "text" | "unquote":
            return "a string"
        case "number":
            return "a number"
        case "name" if token.text not in KEYWORDS:
            return "an unquoted text"
    return f"`{token.text}`"
