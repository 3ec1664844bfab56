"""Variable files and inline variables: constants only, each mistake at its place."""

import json
import time
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cts.config.modules.tfvars import read_expression, read_variables
from cts.config.rules.problem import Code, Place
from tests.examples import examples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("\ufeff", {}, id="only-a-byte-order-mark"),
        pytest.param("\n# nothing\n// here\n/* at\nall */\n", {}, id="comments"),
        pytest.param("\ufeffa = 1", {"a": 1}, id="byte-order-mark"),
        pytest.param("a = 1\nb = 2", {"a": 1, "b": 2}, id="no-line-end-at-the-end"),
        pytest.param("\r\na = 1\r\nb = 2\r\n", {"a": 1, "b": 2}, id="crlf"),
        pytest.param("a=[\n1\n]\n\n  b  =  2 # c", {"a": [1], "b": 2}, id="lines"),
        pytest.param("a = <<E\nx\nE", {"a": "x\n"}, id="heredoc-at-the-end"),
        pytest.param("a = 1 /* \n */\nb = 2", {"a": 1, "b": 2}, id="comment-over-lines"),
        pytest.param("for = 1\ntrue = 2\n_ = 3", {"for": 1, "true": 2, "_": 3}, id="words"),
        pytest.param("a-b = 1\né = 2", {"a-b": 1, "é": 2}, id="names"),
        pytest.param('a = "\x00"', {"a": "\x00"}, id="control-character"),
        pytest.param(
            'a = "é<b>"\nd = null\nf = { x = 1, "y z" = [] }\ng = 1.50\n'
            "h = [for i in [1, 2] : i * 2]",
            {"a": "é<b>", "d": None, "f": {"x": 1, "y z": []}, "g": 1.5, "h": [2, 4]},
            id="all-sorts",
        ),
    ],
)
def test_a_file_is_read(text: str, expected: dict[str, Any]) -> None:
    assert read_variables(text.encode(), "v.tfvars") == (expected, [])


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        pytest.param("a { }", "1:1", "a block is not allowed here", id="block"),
        pytest.param('\nv "x" {\n a = 1\n}', "2:1", "a block is not allowed here", id="label"),
        pytest.param('"a" = 1', "1:1", "a variable's name must not be quoted", id="quotes"),
        pytest.param("a = 1\na = 2", "2:1", "this variable is set twice", id="twice"),
        pytest.param('{"a": 1}', "1:1", "this looks like JSON", id="json"),
        pytest.param('{\n  "a": [1]\n}\n', "1:1", "this looks like JSON", id="json-on-lines"),
        pytest.param("[1]", "1:1", "this looks like JSON", id="json-list"),
        pytest.param("a = 1, b = 2", "1:6", "`,` is not expected here", id="comma"),
        pytest.param(
            "a = 1 b = 2", "1:7", "unquoted text is not expected here", id="two-on-a-line"
        ),
        pytest.param("a = 1\n}", "2:1", "`}` is not expected here", id="brace"),
        pytest.param("a\n= 1", "1:2", "the end of the line is not expected here", id="no-value"),
        pytest.param("a =\n[1]", "1:4", "the end of the line is not expected here", id="below"),
        pytest.param("a : 1", "1:3", "`:` is not expected here", id="colon"),
        pytest.param("a.b = 1", "1:2", "`.` is not expected here", id="dot"),
        pytest.param("export a = 1", "1:8", "unquoted text is not expected here", id="shell"),
        pytest.param("\ufeff\ufeffa = 1", "1:1", "a name can only contain letters", id="two-marks"),
    ],
)
def test_what_is_no_variable_file(text: str, place: str, what: str) -> None:
    _, problems = read_variables(text.encode(), "v.tfvars")
    places = [problem.place for problem in problems]
    assert places[0] == Place("v.tfvars", *map(int, place.split(":")))
    assert problems[0].what.startswith(what)


def test_a_problem_is_a_sentence() -> None:
    _, problems = read_variables(b"zone = dmz", "v.tfvars")
    assert list(map(str, problems)) == [
        (
            "v.tfvars:1:8: zone: unquoted names are not allowed here, only constants;"
            " write the value itself, with strings in double quotes [variable-file]"
        )
    ]


def test_a_file_of_another_encoding() -> None:
    _, problems = read_variables(b'a = 1\nb = "\xff"', "v.tfvars")
    assert [(str(p.place), p.code) for p in problems] == [("v.tfvars:2:1", Code.VARIABLE_FILE)]
    assert problems[0].what == "the file is not UTF-8 text"


def test_all_mistakes_are_reported_and_the_rest_is_read() -> None:
    text = 'a = b\nc = [\n  1 2,\n]\nd = 1\n"e" = 1\nf {\n  g = 1\n}\nh = "x${[]}"\nd = 2\ni = 3'
    values, problems = read_variables(text.encode(), "v.tfvars")
    assert values == {"d": 1, "i": 3}
    assert [(p.place.line, p.path) for p in problems] == [
        (1, "a"),
        (3, "c"),
        (6, ""),
        (7, "f"),
        (10, "h"),
        (11, "d"),
    ]


def test_a_message_never_shows_a_string() -> None:
    texts = [
        'a = "pw" "pw"',
        '"pw" = 1',
        'a = 1 + "pw"',
        'a = "pw',
        'a = {"pw" = b}',
        "a = -<<E\npw\nE",
    ]
    for text in texts:
        _, problems = read_variables(text.encode(), "v.tfvars")
        assert len(problems) == 1
        assert "pw" not in str(problems[0])


def test_not_more_than_fifty_mistakes_of_a_file_are_reported() -> None:
    assert len(read_variables(b"a\n" * 1000, "v.tfvars")[1]) == 50


@pytest.mark.slow
def test_a_large_file_is_read() -> None:
    text = "".join(f'v{n} = {{ name = "n${{{n}}}", on = [true, {n} + 1] }}\n' for n in range(1000))
    values, problems = read_variables(text.encode(), "v.tfvars")
    assert not problems
    assert values["v999"] == {"name": "n999", "on": [True, 1000]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1", 1, id="number"),
        pytest.param('"x"', "x", id="text"),
        pytest.param("null", None, id="null"),
        pytest.param(' {a = [1, "b"]} ', {"a": [1, "b"]}, id="map"),
        pytest.param("1 +\n2", 3, id="lines-mean-nothing"),
        pytest.param("<<E\nx\nE\n", "x\n", id="heredoc"),
    ],
)
def test_an_inline_variable_is_an_expression(text: str, expected: Any) -> None:
    assert read_expression(text, Place("c.hcl", 3, 4), "task.web.variables.a") == (expected, [])


@pytest.mark.parametrize("text", ["", "b c", "pw", "pw()", '"pw', "1 2", "1 / 0", "a = 1", "(1"])
def test_an_inline_variable_without_a_value(text: str) -> None:
    value, problems = read_expression(text, Place("c.hcl", 3, 4), "task.web.variables.a")
    assert value is None
    assert list(map(str, problems)) == [
        (
            "c.hcl:3:4: task.web.variables.a: this is not a constant expression; write strings"
            ' with quotes inside, such as "\\"text\\"", and numbers and lists without'
            " [variable-file]"
        )
    ]


SLOWEST = 2.0
"""Seconds of work for any one text."""
PIECES = st.sampled_from(
    [*'ax"10\n \t\r{}[](),:?.*+-/%!<~$#\\é²\x00\ufeff\U0001f600', "b = ", '"y"', "1e9", "=", "=>",
     "...", "[*]", ".*", "==", "&&", "||", "${", "%{", "$${", "~}", "for ", " in ", "if ", "else",
     "endif", "endfor", "true", "null", "<<E\n", "<<-E\n", "\nE\n", "//", "/*", "*/", "\\n",
     "\\u00e9", "\\ud800", "[for x in [1, 2] : ", "{for x in b : x => ", "%{ for x in [1] }",
     "%{ if true }", "%{ endif }", "%{ endfor }", "true ? "]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=examples(300))
@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_gives_a_result(text: str) -> None:
    began = time.thread_time()
    values, problems = read_variables(text.encode(errors="replace"), "v.tfvars")
    inline, found = read_expression(text, Place("c.hcl"), "a")
    assert time.thread_time() - began < SLOWEST
    assert json.loads(json.dumps([values, inline])) == [values, inline]
    assert all(str(problem).encode() for problem in [*problems, *found])


@pytest.mark.slow
@settings(max_examples=examples(80))
@given(PIECES, st.integers(1, 5000), st.sampled_from(["a = ", "a = [", 'a = "', "a = <<-E\n", ""]))
def test_a_repeated_piece_gives_a_result(piece: str, times: int, before: str) -> None:
    began = time.thread_time()
    read_variables((before + piece * times).encode(), "v.tfvars")
    assert time.thread_time() - began < SLOWEST


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_with_its_templates_escaped_is_read_as_it_is(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    assume("\\b" not in text and "\\f" not in text)  # HCL has not all of JSON's escapes
    assert read_variables(f"a = {text}".encode(), "v.tfvars") == ({"a": value}, [])
