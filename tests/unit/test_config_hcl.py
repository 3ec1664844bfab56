"""HCL 1 as CTS reads it, through a parser for HCL 2."""

from typing import Any

import pytest

from cts.config.hcl import CONFIG, VARIABLES, read_hcl
from cts.config.tree import Body, Value


def plain(value: Value | Body) -> Any:
    """Bodies as lists of pairs, since keys may repeat."""
    match value:
        case Body(entries):
            return [(entry.key, plain(entry.value)) for entry in entries]
        case Value(data=Body() as body):
            return plain(body)
        case Value(data=tuple() as items):
            return [plain(item) for item in items]
    return value.data


def read(text: str) -> Any:
    body, errors = read_hcl(text, "c.hcl", CONFIG)
    assert not errors, errors
    return plain(body)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a = 1", [("a", 1)], id="attribute"),
        pytest.param("a { b = 1 }", [("a", [("b", 1)])], id="block"),
        pytest.param("a = { b = 1 }", [("a", [("b", 1)])], id="block-as-attribute"),
        pytest.param("a =\n{ b = 1 }", [("a", [("b", 1)])], id="brace-on-the-next-line"),
        pytest.param('a "b" { c = 1 }', [("a", [("b", [("c", 1)])])], id="label"),
        pytest.param("a b { c = 1 }", [("a", [("b", [("c", 1)])])], id="label-without-quotes"),
        pytest.param("a = 1\na = 2", [("a", 1), ("a", 2)], id="repeats-are-kept"),
        pytest.param("a = 1, b = 2", [("a", 1), ("b", 2)], id="commas"),
        pytest.param("a { b = 1 c = 2 }", [("a", [("b", 1), ("c", 2)])], id="blanks"),
        pytest.param('"a" = 1', [("a", 1)], id="quoted-key"),
        pytest.param('"//" = 1', [("//", 1)], id="quoted-key-that-is-no-name"),
        pytest.param("for = 1\nin { if = 2 }", [("for", 1), ("in", [("if", 2)])], id="keywords"),
        pytest.param("é.b = 1", [("é.b", 1)], id="letters-and-dots"),
        pytest.param("a = 0x10", [("a", 16)], id="hex"),
        pytest.param("a = 010", [("a", 8)], id="octal"),
        pytest.param("a = 1e3\nb = -1.5\nc = -5", [("a", 1000), ("b", -1.5), ("c", -5)], id="num"),
        pytest.param("a = [true, 1, [],]", [("a", [True, 1, []])], id="list"),
        pytest.param("a = [\n1, # one\n2\n]", [("a", [1, 2])], id="list-on-lines"),
        pytest.param("a = [{ b = 1 }]", [("a", [[("b", 1)]])], id="list-of-objects"),
        pytest.param("# a\n// b\n/* c = 1\n*/ d = 2 # e", [("d", 2)], id="comments"),
        pytest.param("a = 1\r\nb = 2\r\n", [("a", 1), ("b", 2)], id="crlf"),
        pytest.param(r'a = "\"\\\n\té\x41"', [("a", '"\\\n\téA')], id="escapes"),
        pytest.param('a = "# {"', [("a", "# {")], id="marks-in-a-string"),
        pytest.param('a = "${f("x")} \\"', None, id="unclosed"),
        pytest.param('a = "${f("x")}"', [("a", '${f("x")}')], id="quotes-in-braces"),
        pytest.param(r'a = "${f(\"x\")}"', [("a", r"${f(\"x\")}")], id="backslashes-in-braces"),
        pytest.param('a = "%{ if } $${b}"', [("a", "%{ if } $${b}")], id="no-templates"),
        pytest.param('a = <<E\n x\n"y\n${\nE\nb = 1', [("a", ' x\n"y\n${\n'), ("b", 1)], id="doc"),
        pytest.param("a = <<-EOF\n    x\n\n      y\n  EOF", [("a", "x\n\n  y\n")], id="indented"),
    ],
)
def test_hcl_is_read_as_cts_does(text: str, expected: Any) -> None:
    if expected is None:
        assert read_hcl(text, "c.hcl", CONFIG)[1]
    else:
        assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        pytest.param("a = ", "1:5", "the end of the file", id="no-value"),
        pytest.param("a =\nb = 1", "1:4", "the end of the line", id="no-value-on-the-line"),
        pytest.param("a\n", "2:1", "the end of the file", id="key-alone"),
        pytest.param("a { b 1 }", "1:7", "`1` is not expected here", id="no-equals-sign"),
        pytest.param("a = ;", "1:5", "`;` is not expected here", id="semicolon"),
        pytest.param("a = [1 2]", "1:8", "`2` is not expected here", id="no-comma"),
        pytest.param("a {\nb = [\n1\n}", "2:5", 'this "[" is never closed', id="bracket"),
        pytest.param("a {\nb {\n}", "1:3", 'this "{" is never closed', id="brace"),
        pytest.param("a = 1\n}", "2:1", 'this "}" closes nothing', id="brace-too-much"),
        pytest.param('a = "x\n"', "1:5", "this string is never closed", id="string"),
        pytest.param("a = <<E\nx", "1:5", "this heredoc is never closed", id="heredoc"),
        pytest.param("/* a", "1:1", "this comment is never closed", id="comment"),
        pytest.param(r'a = "x\d"', "1:7", r"unknown escape '\\d' in a string", id="escape"),
        pytest.param(r'a = "\ud800"', "1:6", r"unknown escape '\\ud800' in a string", id="half"),
        pytest.param("a = null", "1:5", "null is not a value here", id="null"),
        pytest.param("a = yes", "1:5", "`yes` is not a plain value", id="word"),
        pytest.param('a = f("x")', "1:5", '`f("x")` is not a plain value', id="call"),
        pytest.param("a = 1 + 2", "1:5", "`1 + 2` is not a plain value", id="sum"),
        pytest.param("a = (1)", "1:5", "`(1)` is not a plain value", id="parentheses"),
        pytest.param("a = 08", "1:5", "`08` is not a number", id="octal"),
        pytest.param("a = " + "9" * 5000, "1:5", "`9999", id="too-long"),
        pytest.param("\ufeffa = 1", "1:1", "the file begins with a byte order mark", id="bom"),
        pytest.param("a = " + "[" * 60, "1:55", "more than 50 levels of nesting", id="deep"),
    ],
)
def test_what_is_not_hcl_is_shown_at_its_place(text: str, place: str, what: str) -> None:
    _, errors = read_hcl(text, "c.hcl", CONFIG)
    assert [str(error.place) for error in errors] == [f"c.hcl:{place}"]
    assert errors[0].what.startswith(what)


def test_mistakes_in_values_are_all_reported() -> None:
    _, errors = read_hcl("a = null\nb = yes\nc = 1\nd = x()", "c.hcl", CONFIG)
    assert [error.place.line for error in errors] == [1, 2, 4]


def test_a_variable_file_is_hcl_2() -> None:
    text = 'a = null\nb = 010\nc = { x : 1, "y z" = "$${v}" }\nd = (1)\n'
    body, errors = read_hcl("\ufeff" + text, "v.tfvars", VARIABLES)
    assert not errors
    assert plain(body) == [
        ("a", None),
        ("b", 10),
        ("c", [("x", 1), ("y z", "${v}")]),
        ("d", 1),
    ]
