"""Whether a text has the structure of HCL 2: blocks and attributes, with any expressions.

Only what Terraform is certain to reject is an error; Terraform decides about the rest.
"""

from cts.config.hcl2.tokens import DEPTH, ENDS, KINDS, Token, statements
from cts.config.text.tree import MAX_DEPTH, Lines, ParseError

CLOSES = {"{": "}", "[": "]", "(": ")"}
BEGINS = {"name", "number", "quote", "{"}
"""What can begin an operand. Other brackets can also begin a call or an index."""
EXPECTED = "expected a block, name { ... }, or an argument, name = value"


def fault(found: list[Token], lines: Lines) -> ParseError | None:
    """The first problem, if a text with these tokens is not HCL; None if it is."""
    try:
        _characters(found, lines)
        _brackets(found, lines)
        _bodies(found, lines)
    except ParseError as error:
        return error
    return None


def _characters(found: list[Token], lines: Lines) -> None:
    for token in found:
        if token.kind not in KINDS:
            raise ParseError(lines.place(token.at), "this character is not valid in HCL")
        if token.kind == "text" and any("\udc80" <= char <= "\udcff" for char in token.text):
            raise ParseError(lines.place(token.at), "this text is not UTF-8", "save it as UTF-8")


def _brackets(found: list[Token], lines: Lines) -> None:
    """Brackets of templates are checked in `tokens`."""
    opened: list[Token] = []
    for token in found:
        if token.kind in CLOSES:
            opened.append(token)
            continue
        is_closing = token.kind in CLOSES.values()
        if is_closing and not (opened and CLOSES[opened.pop().kind] == token.kind):
            what = f'this "{token.kind}" does not match an open bracket'
            raise ParseError(lines.place(token.at), what, "remove it, or close the others first")
    if opened:
        last = opened[-1]
        what, fix = f'this "{last.kind}" is never closed', f'add "{CLOSES[last.kind]}"'
        raise ParseError(lines.place(last.at), what, fix)


def _bodies(found: list[Token], lines: Lines) -> None:
    """Raises ParseError for the first statement that is neither a block nor an argument."""
    bodies = [(found, 0)]  # no recursion: each level would keep a list of all that is in it
    errors: list[ParseError] = []
    while bodies:
        body, depth = bodies.pop()
        try:
            for statement in statements(body):
                inner = _statement(statement, lines, depth)
                if inner and depth < MAX_DEPTH:
                    bodies.append((inner, depth + 1))
        except ParseError as error:
            errors.append(error)
    if errors:
        raise min(errors, key=lambda error: (error.place.line, error.place.column))


def _statement(statement: list[Token], lines: Lines, depth: int) -> list[Token] | None:
    """The body of a block; None for an argument. Raises ParseError."""
    head = 1
    while statement[head].kind in ("name", "quote", "text", "unquote"):
        head += 1
    last = statement[-2]
    is_named = statement[0].kind == "name"
    if is_named and statement[head].kind == "{" and last.kind == "}":
        return [*statement[head + 1 : -2], Token("end", "", last.at)]
    if not is_named or statement[1].kind != "=" or statement[2].kind == "end":
        raise ParseError(lines.place(statement[0].at), "this is not HCL", EXPECTED)
    if not depth:
        _outside(statement[0], lines)
    _value(statement[2:], lines)
    return None


def _outside(name: Token, lines: Lines) -> None:
    what = "this argument is not in a block"
    fix = "put it into a block; values of variables belong in one of the variable_files"
    raise ParseError(lines.place(name.at), what, fix)


def _value(found: list[Token], lines: Lines) -> None:
    """Outside brackets and strings, an operand can't follow another."""
    depth, before = 0, ""
    for token in found:
        if not depth and before in ENDS and token.kind in BEGINS:
            what = "this is not part of the value before it"
            fix = "put strings in double quotes, and each argument on a separate line"
            raise ParseError(lines.place(token.at), what, fix)
        depth += DEPTH.get(token.kind, 0)
        before = token.kind
