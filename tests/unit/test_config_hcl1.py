"""HCL 1 as CTS reads it: what is accepted, what each mistake says, and that none hides another."""

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cts.config.hcl1.errors import MOST_ERRORS
from cts.config.hcl1.parser import read_hcl1
from cts.config.text.tree import Body, ParseError, Value
from tests.examples import examples
from tests.unit.trees import every_value


def plain(value: Value | Body) -> Any:
    """Bodies as tuples of pairs, since keys may repeat."""
    match value:
        case Body(entries):
            return tuple((entry.key, plain(entry.value)) for entry in entries)
        case Value(data=Body() as body):
            return plain(body)
        case Value(data=tuple() as items):
            return [plain(item) for item in items]
    return value.data


def read(text: str) -> Any:
    body, errors = read_hcl1(text, "c.hcl")
    assert not errors, [said(error) for error in errors]
    return plain(body)


def said(error: ParseError) -> str:
    return f"{error.place.line}:{error.place.column} {error.what}"


def mistakes(text: str) -> list[str]:
    return [said(error) for error in read_hcl1(text, "c.hcl")[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (), id="nothing"),
        pytest.param(" # a", (), id="a-comment-alone"),
        pytest.param("a = 1", (("a", 1),), id="attribute"),
        pytest.param("a = 1\r\nb = 2\r\n", (("a", 1), ("b", 2)), id="crlf"),
        pytest.param("a { b = 1 }", (("a", (("b", 1),)),), id="block"),
        pytest.param("a = { b = 1 }", (("a", (("b", 1),)),), id="block-as-attribute"),
        pytest.param("a =\n{ b = 1 }", (("a", (("b", 1),)),), id="brace-on-the-next-line"),
        pytest.param("a =\n1", (("a", 1),), id="value-on-the-next-line"),
        pytest.param("a = [{ b = 1 }]", (("a", [(("b", 1),)]),), id="block-in-a-list"),
        pytest.param('a "b" { c = 1 }', (("a", (("b", (("c", 1),)),)),), id="label"),
        pytest.param("a b { c = 1 }", (("a", (("b", (("c", 1),)),)),), id="bare-label"),
        pytest.param('a\n"b"\n{ }', (("a", (("b", ()),)),), id="label-on-the-next-line"),
        pytest.param('a "b" "c" { }', (("a", (("b", (("c", ()),)),)),), id="labels"),
        pytest.param("a = 1\na = 2", (("a", 1), ("a", 2)), id="repeats-are-kept"),
        pytest.param(
            'a = 1, b = "c" d = "e",', (("a", 1), ("b", "c"), ("d", "e")), id="commas-and-blanks"
        ),
        pytest.param('a="b"c=1', (("a", "b"), ("c", 1)), id="nothing-between-two"),
        pytest.param('"a" = 1 "//" = 2', (("a", 1), ("//", 2)), id="quoted-keys"),
        pytest.param("for = 1\nin { if = 2 }", (("for", 1), ("in", (("if", 2),))), id="keywords"),
        pytest.param("é.b-c_1 = 1", (("é.b-c_1", 1),), id="letters-of-a-name"),
        pytest.param("a = true b = false", (("a", True), ("b", False)), id="bool"),
        pytest.param("a = 0x1F b = -0x10", (("a", 31), ("b", -16)), id="hex"),
        pytest.param("a = 010 b = -010 c = 0", (("a", 8), ("b", -8), ("c", 0)), id="octal"),
        pytest.param("a = 1e3 b = -1.5E-1 c = -5", (("a", 1000), ("b", -0.15), ("c", -5)), id="e"),
        pytest.param("a = .5 b = 1. c = 08.5", (("a", 0.5), ("b", 1), ("c", 8.5)), id="point"),
        pytest.param(f"a = {2**63 - 1}", (("a", 2**63 - 1),), id="largest"),
        pytest.param("a = [true, 1, [],]", (("a", [True, 1, []]),), id="list"),
        pytest.param("a = [\n1, # one\n2\n]", (("a", [1, 2]),), id="list-on-lines"),
        pytest.param("a = [,1,,2,]", (("a", [1, 2]),), id="commas-too-many"),
        pytest.param("a = [[1] [2] { }]", (("a", [[1], [2], ()]),), id="no-comma-behind-a-list"),
        pytest.param("# a\n// b\n/* c = 1\n*/ d = 2 # e", (("d", 2),), id="comments"),
        pytest.param("a = 1/*b*/c = 2//d", (("a", 1), ("c", 2)), id="comments-close-by"),
        pytest.param(r'a = "\"\\\n\té\x41\101\U0001f600"', (("a", '"\\\n\téAA😀'),), id="escapes"),
        pytest.param(r'a = "\a\b\f\r\v"', (("a", "\a\b\f\r\v"),), id="rare-escapes"),
        pytest.param(r'a = "\xc3\xa9\303\251"', (("a", "éé"),), id="escapes-are-bytes"),
        pytest.param('a = "# {"', (("a", "# {"),), id="marks-in-a-string"),
        pytest.param('a = "${f("x")}"', (("a", '${f("x")}'),), id="quotes-in-braces"),
        pytest.param(
            r'a = "\"${f(\"x\")} \""', (("a", r'"${f(\"x\")} "'),), id="backslash-in-braces"
        ),
        pytest.param('a = "${{\r\n}}" b = 1', (("a", "${{\n}}"), ("b", 1)), id="lines-in-braces"),
        pytest.param('a = "$ %{ if } $${b}"', (("a", "$ %{ if } $${b}"),), id="no-templates"),
        pytest.param(
            'a = <<E\n x\n"y\\d\n${\nE\nb = 1', (("a", ' x\n"y\\d\n${\n'), ("b", 1)), id="heredoc"
        ),
        pytest.param("a = <<E\r\nx\r\nE\r\n", (("a", "x\n"),), id="heredoc-crlf"),
        pytest.param("a = [<<E\nx\nE\n, 1]", (("a", ["x\n", 1]),), id="heredoc-in-a-list"),
        pytest.param("a = <<E\nE \nEE\nE\n", (("a", "E \nEE\n"),), id="marker-alone-on-its-line"),
        pytest.param("a = <<E\nx\n  E\n", (("a", "x\n  "),), id="indented-marker"),
        pytest.param("a = <<-E\n    x\n      y\n    E", (("a", "x\n  y\n"),), id="indented"),
        pytest.param("a = <<-E\n    x\n  E", (("a", "  x\n"),), id="marker-further-left"),
        pytest.param("a = <<-E\n  x\n\n  E", (("a", "  x\n\n"),), id="empty-line-keeps-it-all"),
        pytest.param("a = <<-E\n  E", (("a", ""),), id="empty-heredoc"),
    ],
)  # fmt: skip
def test_what_is_read(text: str, expected: Any) -> None:
    assert read(text) == expected


def test_a_label_is_told_from_a_key() -> None:
    body, _ = read_hcl1('a "b" { c { } }', "c.hcl")
    (a,) = body.entries
    assert isinstance(a.value.data, Body)
    (b,) = a.value.data.entries
    assert isinstance(b.value.data, Body)
    assert [a.is_label, b.is_label, b.value.data.entries[0].is_label] == [False, True, False]


def test_keys_labels_and_values_have_places() -> None:
    body, _ = read_hcl1('é = [1,\n "ü"]\na "b" {\n  c = {}\n}', "c.hcl")
    found = [
        (key, str(place).removeprefix("c.hcl:"), str(value.place).removeprefix("c.hcl:"))
        for key, place, value in every_entry(body)
    ]
    assert found == [
        ("é", "1:1", "1:5"),
        ("a", "3:1", "3:3"),
        ("b", "3:3", "3:3"),
        ("c", "4:3", "4:3"),  # a block is where its name is, however it was written
    ]


def every_entry(body: Body) -> Iterator[tuple[str, Any, Value]]:
    for entry in body.entries:
        yield entry.key, entry.place, entry.value
        if isinstance(entry.value.data, Body):
            yield from every_entry(entry.value.data)


MISTAKES = [
    pytest.param("a = ", "1:5 the end of the file is not expected here", id="no-value"),
    pytest.param("a =\n", "1:4 the end of the line is not expected here", id="last-line"),
    pytest.param("a =\nb = 1", "1:4 the end of the line is not expected here", id="no-value-here"),
    pytest.param("a {\nb =\n}", "2:4 the end of the line is not expected here", id="in-a-block"),
    pytest.param("a { b = }", "1:9 `}` is not expected here", id="brace-for-a-value"),
    pytest.param("a\n", "1:1 this has no value", id="key-alone"),
    pytest.param("a\nb = 1", "1:1 this has no value", id="key-alone-before-another"),
    pytest.param("a { b 1 }", "1:7 a number is not expected here", id="no-equals-sign"),
    pytest.param("a: 1", "1:2 `:` is not expected here", id="colon"),
    pytest.param("true = 1", "1:1 `true` is not expected here", id="bool-as-a-key"),
    pytest.param('a "b" = 1', "1:7 `=` is not expected here", id="label-of-an-attribute"),
    pytest.param("a = = 1", "1:5 `=` is not expected here", id="equals-sign-twice"),
    pytest.param("a = 1; b = 2", "1:6 `;` is not expected here", id="semicolon"),
    pytest.param("a = 1,, b = 2", "1:7 `,` is not expected here", id="comma-twice"),
    pytest.param(", a = 1", "1:1 `,` is not expected here", id="comma-first"),
    pytest.param("a = 'x y'", "1:5 `'` is not expected here", id="single-quotes"),
    pytest.param("a\u00a0= 1", "1:2 the character U+00A0 is not expected here", id="odd-blank"),
    pytest.param("a = [1 2 3]", "1:8 a number is not expected here", id="no-comma"),
    pytest.param('a = [\n"b"\n"c"\n"d"\n]', "3:1 a string is not expected here", id="no-commas"),
    pytest.param("a {\nb = [\n1\n}", '2:5 this "[" is never closed', id="list-open-in-a-block"),
    pytest.param("a = [1\nb = 2", '1:5 this "[" is never closed', id="list-open-before-a-key"),
    pytest.param("a = [1\nb { }", '1:5 this "[" is never closed', id="list-open-before-a-block"),
    pytest.param('a = [1\nb "c" { }', '1:5 this "[" is never closed', id="list-open-before-labels"),
    pytest.param("a = [1}\nb = 2", '1:5 this "[" is never closed', id="list-closed-by-a-brace"),
    pytest.param("a = [\nb = 1\n]", '1:5 this "[" is never closed', id="attribute-in-a-list"),
    pytest.param("a = [1", '1:5 this "[" is never closed', id="list-open-at-the-end"),
    pytest.param("a = [{ b = 1 ]", '1:6 this "{" is never closed', id="block-open-in-a-list"),
    pytest.param("a {\nb {\n}", '1:3 this "{" is never closed', id="block-open-at-the-end"),
    pytest.param("a = 1\n}", '2:1 this "}" does not match an open bracket', id="brace-too-much"),
    pytest.param("a { ] }", '1:5 this "]" does not match an open bracket', id="bracket-too-much"),
    pytest.param('a = "x\nb = 1', "1:5 this string is never closed", id="string"),
    pytest.param(
        'a = "x\n more"\nb = 1', "1:5 this string has a line end in it", id="two-line-string"
    ),
    pytest.param('a = "x"y"\nb = 1', "1:9 this string is never closed", id="quote-in-a-string"),
    pytest.param('a = x"\nb = 1', "1:5 unquoted text is not a plain value", id="no-first-quote"),
    pytest.param(
        'a = ["x, "y"]\nb = 1', "1:11 unquoted text is not expected here", id="quote-in-a-list"
    ),
    pytest.param('a "b {\nc = 1\n}', "1:3 this string is never closed", id="label"),
    pytest.param('a = "${x"\nb = 1\n', '1:6 this "${" is never closed', id="braces"),
    pytest.param('a = "${x"', "1:5 this string is never closed", id="braces-at-the-end"),
    pytest.param("a = <<E\nx\nE 1", "1:5 this heredoc is never closed", id="heredoc"),
    pytest.param('a = <<"E"\nx\nE', "1:5 this heredoc has no marker", id="heredoc-marker"),
    pytest.param("a = 1 /* b", "1:7 this comment is never closed", id="comment"),
    pytest.param("a /* b", "1:3 this comment is never closed", id="comment-behind-a-key"),
    pytest.param(r'a = "x\d\w"', r"1:7 unknown escape `\d` in a string", id="escape"),
    pytest.param(r'a = "${\d}"', r"1:8 unknown escape `\d` in a string", id="escape-in-braces"),
    pytest.param(r'a = "\ud800"', r"1:6 unknown escape `\u` in a string", id="half"),
    pytest.param(r'a = "\400"', r"1:6 unknown escape `\4` in a string", id="no-byte"),
    pytest.param(r'"\d" = 1', r"1:2 unknown escape `\d` in a string", id="escape-in-a-key"),
    pytest.param("a = null", "1:5 null is not allowed here", id="null"),
    pytest.param("a = yes", "1:5 unquoted text is not a plain value", id="word"),
    pytest.param(
        "a = web {\nb = null\n}", "1:5 unquoted text is not a plain value", id="word-and-block"
    ),
    pytest.param("a = [b, 1]", "1:6 unquoted text is not a plain value", id="word-in-a-list"),
    pytest.param('a = f("s3cret")', "1:5 the function `f` is not evaluated here", id="call"),
    pytest.param("a = f(\n1,\n[2]\n)\n", "1:5 the function `f` is not evaluated here", id="lines"),
    pytest.param("a { b = f(1\n}", "1:9 the function `f` is not evaluated here", id="open-call"),
    pytest.param("a = 1 + 2", "1:7 `+` is not expected here", id="sum"),
    pytest.param("a = true ? 1 : 2", "1:10 `?` is not expected here", id="choice"),
    pytest.param("a = (1)", "1:5 `(` is not expected here", id="parentheses"),
    pytest.param("a = 08", "1:5 this is not a number", id="octal"),
    pytest.param("a = 10s", "1:5 this is not a number", id="duration"),
    pytest.param("a = 1b = 2", "1:5 this is not a number", id="number-and-key"),
    pytest.param("a = 1e", "1:5 this is not a number", id="no-exponent"),
    pytest.param(f"a = {2**63}", "1:5 this number is too large", id="too-large"),
    pytest.param("a = 1e999", "1:5 this number is too large", id="endless"),
    pytest.param("a = " + "9" * 5000, "1:5 this number is too large", id="too-long"),
    pytest.param("\ufeffa = 1", "1:1 the file begins with a byte order mark", id="bom"),
    pytest.param("a = " + "[" * 60, "1:55 more than 50 levels of nesting", id="deep"),
    pytest.param("a " * 60 + "{ }", "1:121 more than 50 levels of nesting", id="labels"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_a_mistake_is_said_once(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


@pytest.mark.parametrize("end", ["", '" # the "key'])
def test_an_open_string_before_many_lines_is_found(end: str) -> None:
    text = 'a = "x' + "\r\nmore" * 40 + end + "\r\nb = 1"
    assert mistakes(text)[0] == "1:5 this string is never closed"


IN_A_BLOCK = {
    "no-value-here", "key-alone-before-another", "no-equals-sign", "colon", "label-of-an-attribute",
    "semicolon", "single-quotes", "no-comma", "list-open-before-a-key", "block-open-in-a-list",
    "attribute-in-a-list", "string", "two-line-string", "quote-in-a-string", "no-first-quote",
    "quote-in-a-list", "label", "escape", "word", "word-and-block", "lines", "open-call", "sum",
    "choice", "duration",
}  # fmt: skip
ANYWHERE = IN_A_BLOCK | {"brace-too-much", "list-closed-by-a-brace", "bom"}


@pytest.mark.parametrize(("text", "expected"), [case for case in MISTAKES if case.id in ANYWHERE])
def test_a_mistake_does_not_hide_the_next(text: str, expected: str) -> None:
    line = text.count("\n") + 2
    assert mistakes(f"{text}\nlast = null") == [expected, f"{line}:8 null is not allowed here"]


@pytest.mark.parametrize(("text", "expected"), [case for case in MISTAKES if case.id in IN_A_BLOCK])
def test_a_mistake_in_a_block_does_not_hide_the_next(text: str, expected: str) -> None:
    lines = text.count("\n") + 1
    row, rest = expected.split(":", 1)
    assert mistakes(f"task {{\n{text}\nlast = null\n}}\nbehind = null") == [
        f"{int(row) + 1}:{rest}",
        f"{lines + 2}:8 null is not allowed here",
        f"{lines + 4}:10 null is not allowed here",
    ]


def test_what_is_right_beside_a_mistake_is_kept() -> None:
    body, errors = read_hcl1("a = null, b = 1\nc { d = x() e = 2 }\nf = [1, no]", "c.hcl")
    assert len(errors) == 3
    assert plain(body) == (("b", 1), ("c", ()))
    body, _ = read_hcl1("c {\nd = x()\ne = 2\n}", "c.hcl")
    assert plain(body) == (("c", (("e", 2),)),)


@pytest.mark.parametrize("text", ["a = 1\n}\nb = 1", "a = 1\nb {", "a = 1\n/* b", "a = 1 b = <<E"])
def test_where_the_structure_is_in_doubt_nothing_is_kept(text: str) -> None:
    body, errors = read_hcl1(text, "c.hcl")
    assert errors
    assert body == Body()


@pytest.mark.parametrize(
    "text",
    [
        'a = f("s3cret")',
        'a = ["s3cret" "s3cret"]',
        'a "s3cret"',
        '"s3cret"',
        'a = "s3cret',
        r'a = "s3cret\d"',
        "a = [1 <<E\ns3cret\nE\n]",
    ],
)
def test_a_string_is_never_shown(text: str) -> None:
    _, errors = read_hcl1(text, "c.hcl")
    assert errors
    assert "s3cret" not in "".join(error.what + error.fix for error in errors)


def test_what_is_no_configuration_at_all_is_given_up_soon() -> None:
    assert len(mistakes(";\n" * 1000)) == MOST_ERRORS


PIECES = st.sampled_from(
    [*'{}[]()"\\=,.-#\n \t:;$%<>/*0e', "${", "<<", "<<-A\n", "A\n", "/*", "*/", "null", "-", "0x",
     "\ufeff", "\x00", "\\u", "é", "\U0001f600", "\r\n", "1e999", "true", "a", "b = ", '"x"', "[1]"]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(st.text() | st.lists(PIECES, max_size=40).map("".join))
def test_any_text_gives_a_result(text: str) -> None:
    body, errors = read_hcl1(text, "c.hcl")
    assert isinstance(body, Body)
    lines = text.split("\n")
    for error in errors:
        assert error.what
        assert 1 <= error.place.line <= len(lines)
        assert 1 <= error.place.column <= len(lines[error.place.line - 1]) + 1


KEYS = st.from_regex(r"[a-zé_][a-z0-9._-]{0,5}", fullmatch=True) | st.text(max_size=5)
SCALARS = (
    st.text(max_size=12)
    | st.text("ab ${}\"\\\n\t'#", max_size=12)
    | st.text("a \n$", max_size=12).map(lambda text: f"{text}\n")
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)


def bodies(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(KEYS, values), max_size=4).map(tuple)


VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | bodies(inner))


class Printer:
    """Writes a tree as HCL 1, in one of the many ways that mean the same."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def body(self, body: Any) -> str:
        return self.blank() + "".join(self.entry(*entry) for entry in body)

    def entry(self, key: str, value: Any) -> str:
        if isinstance(value, tuple) and self.random.random() < 0.5:
            labels = ""
            while len(value) == 1 and isinstance(value[0][1], tuple) and self.random.random() < 0.5:
                ((label, value),) = value
                labels += self.blank(" ") + self.key(label)
            text = f"{self.key(key)}{labels}{self.blank()}{{{self.body(value)}}}"
        else:
            text = f"{self.key(key)}{self.blank()}={self.blank()}{self.value(value)}"
        return text + self.blank() + self.random.choice([",", " ", "\n"]) + self.blank()

    def key(self, key: str) -> str:
        is_name = re.fullmatch(r"[a-zé_][a-z0-9._-]*", key) and key not in ("true", "false")
        return key if is_name and self.random.random() < 0.7 else self.quoted(key)

    def value(self, value: Any) -> str:
        match value:
            case tuple():
                return f"{{{self.body(value)}}}"
            case list():
                commas = "".join(
                    f"{self.blank()}{self.value(item)}{self.comma()}" for item in value
                )
                return f"[{self.random.choice(['', ','])}{commas}{self.blank()}]"
            case bool():
                return str(value).lower()
            case int():
                return self.integer(value)
            case str():
                has_lines = value.endswith("\n") and "\r" not in value
                write = self.heredoc if has_lines and self.random.random() < 0.5 else self.quoted
                return write(value)
        return repr(value)

    def integer(self, number: int) -> str:
        sign, digits = "-" * (number < 0), abs(number)
        return sign + self.random.choice([str(digits), f"0x{digits:X}", f"0{digits:o}"])

    def comma(self) -> str:
        return self.blank() + self.random.choice([",", ",,", " , ", ",\n"])

    def quoted(self, text: str) -> str:
        return '"' + "".join(map(self.char, text)) + '"'

    def char(self, char: str) -> str:
        named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        if char == "$" or self.random.random() < 0.1:  # "${" would keep what follows as it is
            return f"\\U{ord(char):08x}"
        return named.get(char, char)

    def heredoc(self, text: str) -> str:
        indentation = self.random.choice(["", " ", "\t "])
        lines = "".join(f"{indentation}{line}\n" for line in text.split("\n")[:-1])
        return f"<<{'-' if indentation else ''}EOT\n{lines}{indentation}EOT\n"

    def blank(self, least: str = "") -> str:
        return self.random.choice([least, " ", "\n", "\r\n\t", " # } a\n", "/* ] */", "// \"'\n"])


TREES = bodies(VALUES)
RANDOM = st.randoms(use_true_random=False)


@pytest.mark.slow
@settings(max_examples=examples(60), deadline=None)
@given(TREES, RANDOM)
def test_what_is_written_is_read_back(tree: Any, random: Random) -> None:
    assert read(Printer(random).body(tree)) == tree


@pytest.mark.slow
@settings(max_examples=examples(30), deadline=None)
@given(TREES, RANDOM)
def test_a_value_has_its_text(tree: Any, random: Random) -> None:
    text = Printer(random).body(tree)
    body, _ = read_hcl1(text, "c.hcl")
    for entry in body.entries:
        for value in every_value(entry.value):
            if value.end:  # not a label: it has no text of its own
                assert read(f"a = {text[value.start : value.end]}") == (("a", plain(value)),)


def test_a_literal_can_be_replaced_where_it_stands() -> None:
    text = 'a = "é"\nb {\n  token = <<-E\n    s3cret\n    E\n  c = [1, "d"]\n}\n'
    body, _ = read_hcl1(text, "c.hcl")
    values = [value for entry in body.entries for value in every_value(entry.value)]
    texts = [text[value.start : value.end] for value in values]
    assert texts == [
        '"é"',
        text[text.index("{") : text.index("}") + 1],
        "<<-E\n    s3cret\n    E",
        '[1, "d"]',
        "1",
        '"d"',
    ]
