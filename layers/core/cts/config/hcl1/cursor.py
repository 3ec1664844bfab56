"""Where a parser of HCL 1 stands among the tokens."""

from cts.config.hcl1.tokens import Hcl1Token, tokens
from cts.config.rules.problem import Place
from cts.config.text.tree import BOM, Lines

CLOSES = {"{": "}", "[": "]", "(": ")"}


class Hcl1Cursor:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.lines = text, Lines(text, file)
        start = len(BOM) if text.startswith(BOM) else 0
        self.tokens = list(tokens(text, self.lines, start))
        self.at = 0
        self.lists = 0
        """That are open here."""

    @property
    def token(self) -> Hcl1Token:
        return self.tokens[self.at]

    @property
    def following(self) -> Hcl1Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def begins_entry(self) -> bool:
        """Whether an entry of a body begins here, and no value."""
        kind, following = self.token.kind, self.following
        if kind == "name" and following.kind == "string":
            return not following.is_first
        return kind in ("name", "string") and following.kind in ("=", "{")

    def begins_line(self) -> bool:
        """Whether an entry begins here at the start of a line, which ends an unclosed list."""
        return self.token.is_first and self.begins_entry()

    def skip(self, *, in_list: bool = False) -> None:
        """Continue where the next item may begin: at a comma, at the next line, or where the
        enclosing bracket closes. Anything in brackets on the way is skipped."""
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

    def place(self, token: Hcl1Token) -> Place:
        return self.lines.place(token.start)

    def shown(self, token: Hcl1Token) -> str:
        """A token, for a message. Never the content of a string or name, which may be a secret."""
        text = self.text[token.start : token.end]
        if token.kind == "end":
            return "the end of the file"
        if text.startswith(('"', "<<")):
            return "a string"
        if token.kind == "number":
            return "a number"
        if token.kind in ("name", "bad"):
            return "unquoted text"
        return f"`{text}`" if text.isprintable() else f"the character U+{ord(text[0]):04X}"
