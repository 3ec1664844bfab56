"""Parses HCL 1 text into plain values with positions, as CTS reads it.

After a mistake, parsing continues at the next line or comma, so that all mistakes in a file are
reported, but not their consequences. If the structure is in doubt, the body is empty.
"""

from cts.config.hcl1.cursor import CLOSES, Hcl1Cursor
from cts.config.hcl1.errors import Hcl1Errors
from cts.config.hcl1.tokens import Hcl1Token
from cts.config.rules.problem import Place
from cts.config.text.tree import (
    BOM,
    MAX_DEPTH,
    Body,
    Entry,
    ParseError,
    Value,
    byte_order_mark,
    named,
    too_deep,
)

A_VALUE = "write a string in double quotes, a number, true, false or a list"
EXPECTED_A_VALUE = f"expected a value: {A_VALUE}"
NAMES = ("name", "string", "bad", "unclosed")
AFTER_A_VALUE = (*NAMES, ",", "]", "}", "end")
OPERATORS = set("+-*/%?<>!&|(")
AFTER_A_NAME = 'the name before it needs "=" and a value, or "{" and a block'


def read_hcl1(text: str, file: str) -> tuple[Body, list[ParseError]]:
    """The file's entries, and what is wrong with its text. Raises nothing for bad input."""
    parser = _Parser(text, file)
    try:
        body = parser.body(None)
    except ParseError as error:
        return Body(), [*parser.errors.found, error]
    return Body() if parser.closes_nothing else body, parser.errors.found


class _Parser(Hcl1Cursor):
    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self.errors = Hcl1Errors()
        if text.startswith(BOM):
            self.errors.add(byte_order_mark(self.lines.place(0)))
        self.depth = 0
        self.unclosed_lists = 0
        self.has_open_value = False
        """A string among the values is not closed on the same line."""
        self.closes_nothing = False
        """A closing brace was too much: what stands after it may belong elsewhere."""

    def body(self, opening: Hcl1Token | None) -> Body:
        """The entries up to the brace that closes the body, or to the end of the file."""
        entries: list[Entry] = []
        while not self.ends(opening):
            if entry := self.entry():
                entries.append(entry)
            if self.token.kind == ",":
                self.at += 1
        return Body(tuple(entries))

    def ends(self, opening: Hcl1Token | None) -> bool:
        match self.token.kind:
            case "end":
                self.end(opening)
                return True
            case "}" if opening:
                self.at += 1
                return True
            case "]" if opening and self.lists:
                self.errors.add(self.never_closed(opening))
                return True
        return False

    def end(self, opening: Hcl1Token | None) -> None:
        """The end of the file: raises a ParseError if it comes too early."""
        if self.token.error:
            raise self.token.error
        if opening:
            raise self.never_closed(opening)

    def entry(self) -> Entry | None:
        names = self.names()
        if not names:
            self.no_name()
            return None
        if self.token.kind == "=":
            return self.attribute(names)
        is_whole = not any(name.error for name in names)
        if self.token.kind == "{":
            block = self.block(names)
            return self.named(names[0], block) if is_whole else None
        is_here = not (self.token.is_first or self.token.kind in ("end", "}"))
        if is_whole and is_here:
            self.unexpected(AFTER_A_NAME)
        elif is_whole and not self.token.error:
            self.no_value(names[0])
        if is_here:
            self.skip()
        return None

    def names(self) -> list[Hcl1Token]:
        """A key and its labels."""
        start = self.at
        while self.token.kind in NAMES:
            if self.token.kind == "unclosed" and self.has_open_value:
                self.has_open_value = False  # this quote ends that value, on a later line
            elif self.token.error:
                self.errors.add(self.token.error, once_a_line=self.token.kind == "unclosed")
            self.at += 1
        return self.tokens[start : self.at]

    def no_name(self) -> None:
        """The token here can't begin an entry."""
        token = self.token
        if token.kind not in ("]", "}"):
            self.unexpected("expected an option or a block")
            self.skip()
            return
        self.at += 1
        if token.kind == "]" and self.unclosed_lists:
            self.unclosed_lists -= 1
            return
        self.closes_nothing = self.closes_nothing or token.kind == "}"
        what = f'this "{token.kind}" does not match an open bracket'
        self.misplaced(self.place(token), what, "remove it")

    def no_value(self, name: Hcl1Token) -> None:
        fix = 'write "=" and a value after it, or "{" and a block'
        self.misplaced(self.place(name), "this has no value", fix)

    def attribute(self, names: list[Hcl1Token]) -> Entry | None:
        is_whole = not any(name.error for name in names)
        if len(names) > 1 and names[-1].is_first:
            if is_whole:
                self.no_value(names[0])
            names = names[-1:]
            is_whole = not names[0].error
        elif len(names) > 1:
            self.unexpected('expected "{" after the label')
            is_whole = False
        self.at += 1
        value = self.assigned(names[-1])
        return self.named(names[0], value) if value and is_whole else None

    def assigned(self, name: Hcl1Token) -> Value | None:
        """The value after an equals sign. A block has the place of its name, as without one."""
        token = self.token
        is_last = token.kind in ("end", "}") and not token.error
        if token.is_first and (is_last or self.begins_entry()):
            what = "the end of the line is not expected here"
            self.misplaced(self.lines.place(self.tokens[self.at - 1].end), what, EXPECTED_A_VALUE)
            return None
        return self.value(self.place(name))

    def value(self, block_place: Place | None = None, *, in_list: bool = False) -> Value | None:
        token = self.token
        match token.kind:
            case "string" | "number" | "bool":
                self.at += 1
                return Value(self.place(token), token.data, token.start, token.end)
            case "{":
                return self.braced(block_place or self.place(token))
            case "[":
                return self.bracketed()
            case "bad" | "unclosed" if token.error:
                is_open = token.kind == "unclosed"
                self.has_open_value = self.has_open_value or is_open
                self.errors.add(token.error, once_a_line=is_open)
                self.at += 1
                if self.token.is_first or self.token.kind in AFTER_A_VALUE:
                    return None
            case "name":
                self.word(token)
            case _:
                self.unexpected(EXPECTED_A_VALUE)
        self.skip(in_list=in_list)
        return None

    def word(self, token: Hcl1Token) -> None:
        """A name where a value should be."""
        what, fix = f"{self.shown(token)} is not a plain value", A_VALUE
        if token.data == "null":
            what, fix = "null is not allowed here", "remove the option"
        elif self.following.kind == "(":
            what = f"the function `{str(token.data)[:40]}` is not evaluated here"
            fix = "write its result"
            if token.data == "env":
                fix = 'write "{{ env \\"NAME\\" }}" where templates are supported'
        self.errors.add(ParseError(self.place(token), what, fix))

    def block(self, names: list[Hcl1Token]) -> Value:
        """A block, inside its labels."""
        value = self.braced(self.place(names[-1]), levels=len(names))
        for label in reversed(names[1:]):
            entry = self.named(label, value, is_label=True)
            value = Value(entry.place, Body((entry,)))
        return value

    def named(self, name: Hcl1Token, value: Value, *, is_label: bool = False) -> Entry:
        place = self.place(name)
        return Entry(named(str(name.data), place), place, value, is_label)

    def braced(self, place: Place, *, levels: int = 1) -> Value:
        opening = self.enter(levels)
        body = self.body(opening)
        self.depth -= levels
        return Value(place, body, opening.start, self.tokens[self.at - 1].end)

    def bracketed(self) -> Value | None:
        """A list may have extra commas, but needs one after every value that is not a list."""
        opening = self.enter(1)
        self.lists += 1
        items: list[Value] = []
        is_whole = True
        while self.token.kind != "]":
            if self.token.kind == "end":
                self.end(opening)
            if self.token.kind == "}" or self.begins_line():
                self.leave_open(opening, is_reported=not is_whole)
                return None
            if self.token.kind == ",":
                self.at += 1
            else:
                is_whole = self.item(items) and is_whole
        self.at += 1
        self.leave()
        place, end = self.place(opening), self.tokens[self.at - 1].end
        return Value(place, tuple(items), opening.start, end) if is_whole else None

    def item(self, items: list[Value]) -> bool:
        """Read one value of a list. Returns whether that went well."""
        if not (value := self.value(in_list=True)):
            return False
        items.append(value)
        if isinstance(value.data, tuple) or self.token.kind in (",", "]", "}", "end"):
            return True
        if self.begins_line():
            return True
        self.unexpected('expected "," or "]"')
        self.skip(in_list=True)
        return False

    def leave_open(self, opening: Hcl1Token, *, is_reported: bool) -> None:
        """End a list that has no closing bracket before an entry or the end of its body."""
        if not is_reported:
            self.errors.add(self.never_closed(opening))
        if self.token.kind == "}" and self.depth == self.lists:
            self.at += 1  # no brace is open: it is where the bracket should be
        else:
            self.unclosed_lists += 1
        self.leave()

    def leave(self) -> None:
        self.lists -= 1
        self.depth -= 1

    def enter(self, levels: int) -> Hcl1Token:
        opening = self.token
        self.at += 1
        self.depth += levels
        if self.depth > MAX_DEPTH:
            raise too_deep(self.place(opening))
        return opening

    def unexpected(self, fix: str) -> None:
        token = self.token
        if token.kind == "end" and token.error:
            return  # the reason for this end is reported when it is reached
        if self.text[token.start : token.start + 1] in OPERATORS and not token.is_first:
            fix = "expressions are not evaluated: write the value"
        self.misplaced(self.place(token), f"{self.shown(token)} is not expected here", fix)

    def misplaced(self, place: Place, what: str, fix: str) -> None:
        self.errors.add(ParseError(place, what, fix), once_a_line=True)

    def never_closed(self, opening: Hcl1Token) -> ParseError:
        what = f'this "{opening.kind}" is never closed'
        return ParseError(self.place(opening), what, f'add "{CLOSES[opening.kind]}"')
