"""Where a parser of HCL 1 stands among the tokens, and what it found wrong so far."""

from cts.config.hcl1_tokens import Token, tokens
from cts.config.problem import Place
from cts.config.tree import Lines, ParseError

CLOSES = {"{": "}", "[": "]", "(": ")"}
OPERATORS = set("+-*/%?<>!&|(")
MOST_ERRORS = 50
"""Reported of one file: what has more is hardly a configuration."""


class Cursor:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.lines = text, Lines(text, file)
        self.errors: list[ParseError] = []
        start = 1 if text.startswith("\ufeff") else 0
        if start:
            what = "the file begins with a byte order mark"
            self.report(ParseError(self.lines.place(0), what, "remove it"))
        self.tokens = list(tokens(text, self.lines, start))
        self.at = 0
        self.lists = 0
        """That are open here."""

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def begins_entry(self) -> bool:
        """Whether an entry of a body begins here, and no value."""
        kind, following = self.token.kind, self.following
        if kind == "name" and following.kind == "string":
            return not following.is_first
        return kind in ("name", "string") and following.kind in ("=", "{")

    def begins_line(self) -> bool:
        """Whether an entry begins here, first on its line: a list does not go on with it."""
        return self.token.is_first and self.begins_entry()

    def skip(self, *, in_list: bool = False) -> None:
        """Go on where the next item may begin: at a comma, at the next line, or where the
        brackets around this one close. What brackets enclose on the way is left out."""
        opened: list[str] = []
        start = self.at
        while (token := self.token).kind != "end":
            is_next = self.at > start and (self.begins_line() if in_list else token.is_first)
            closes = token.kind == "}" or (token.kind == "]" and self.lists)
            if not opened and (is_next or closes or token.kind == ","):
                return
            if closing := CLOSES.get(token.kind):
                opened.append(closing)
            elif opened and token.kind in CLOSES.values():
                while opened:
                    if opened.pop() == token.kind:
                        break
                else:
                    return
            self.at += 1

    def unexpected(self, fix: str) -> None:
        token = self.token
        if token.kind == "end" and token.error:
            return  # the reason for this end is reported when it is reached
        if self.text[token.start : token.start + 1] in OPERATORS and not token.is_first:
            fix = "expressions are not evaluated: write the value"
        self.add(self.place(token), f"{self.shown(token)} is not expected here", fix)

    def never_closed(self, opening: Token) -> ParseError:
        what = f'this "{opening.kind}" is never closed'
        return ParseError(self.place(opening), what, f'add "{CLOSES[opening.kind]}"')

    def add(self, place: Place, what: str, fix: str) -> None:
        """Note that something is out of place. A second one on the same line may well follow from
        the first, and is left out."""
        self.report(ParseError(place, what, fix), once_a_line=True)

    def report(self, error: ParseError, *, once_a_line: bool = False) -> None:
        """Note an error, or raise it if it is one too many."""
        if once_a_line and self.errors and self.errors[-1].place.line == error.place.line:
            return
        if len(self.errors) + 1 == MOST_ERRORS:
            raise error
        self.errors.append(error)

    def place(self, token: Token) -> Place:
        return self.lines.place(token.start)

    def shown(self, token: Token) -> str:
        """A token for a message; never a string, which may be a secret."""
        text = self.text[token.start : token.end]
        if token.kind == "end":
            return "the end of the file"
        if text.startswith(('"', "<<")):
            return "a string"
        return f"`{text[:40]}`" if text.isprintable() else f"the character U+{ord(text[0]):04X}"
