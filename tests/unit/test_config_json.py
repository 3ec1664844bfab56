"""Configuration files in JSON: what is read, and what each mistake says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cts.config.text.json_text import read_json
from cts.config.text.tree import Body, Value
from tests.examples import examples
from tests.unit.trees import every_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)  # fmt: skip


def plain(value: Value | Body) -> Any:
    match value:
        case Body(entries):
            return {entry.key: plain(entry.value) for entry in entries}
        case Value(data=Body() as body):
            return plain(body)
        case Value(data=tuple() as items):
            return [plain(item) for item in items]
    return value.data


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.sampled_from([None, 0, 2, "\t"])
)
def test_what_is_written_is_read_back_each_value_with_its_text(
    data: dict[str, Any], indent: int | str | None
) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=bool(indent))
    body, errors = read_json(text, "c.json")
    assert not errors
    assert plain(body) == data
    for entry in body.entries:
        for value in every_value(entry.value):
            assert json.loads(text[value.start : value.end]) == plain(value)


def test_of_a_repeated_key_the_last_counts() -> None:
    body, _ = read_json('{"a": 1, "b": 2, "a": {"c": 3}}', "c.json")
    assert plain(body) == {"a": {"c": 3}, "b": 2}
    assert [(entry.key, entry.value.data) for entry in body.dropped] == [("a", 1)]


def test_as_hcl_a_repeated_key_counts_each_time() -> None:
    text = '{"a": {"b": 1, "b": 2}, "c": 3, "a": 4}'
    body, _ = read_json(text, "c.hcl", keeps_all=True)
    assert [entry.key for entry in body.entries] == ["a", "c", "a"]
    assert [entry.value.data for entry in body.entries[0].value.entries] == [1, 2]
    assert not body.dropped


def test_null_is_an_empty_configuration() -> None:
    assert read_json(" null\n", "c.json") == (Body(), [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "c.json:1:1 the file is empty", id="empty"),
        pytest.param(" \n", "c.json:1:1 the file is empty", id="blank"),
        pytest.param("[]", "c.json:1:1 the file must contain one JSON object", id="array"),
        pytest.param("\ufeff{}", "c.json:1:1 the file begins with a byte order mark", id="bom"),
        pytest.param('{"a":\n"b" 1}', "c.json:2:5 this is not JSON: expecting", id="no-comma"),
        pytest.param('{"a": 1', "c.json:1:8 this is not JSON: expecting", id="open"),
        pytest.param('{"a": "\t"}', "c.json:1:8 this is not JSON: invalid control", id="tab"),
        pytest.param("{'a': 1}", "c.json:1:2 JSON has double quotes only", id="quotes"),
        pytest.param('{"a": 1,}', "c.json:1:8 JSON has no comma before the end", id="comma"),
        pytest.param('{"a": [1\n,\n\n]}', "c.json:2:1 JSON has no comma", id="comma-in-list"),
        pytest.param('{"a": [1,,2]}', "c.json:1:10 this is not JSON: expecting", id="two-commas"),
        pytest.param('{"a": [2, "x}", ]', "c.json:1:15 JSON has no comma before", id="comma-open"),
        pytest.param("{// x\n}", "c.json:1:2 JSON has no comments", id="comment"),
        pytest.param('{"a": 1 /* x */}', "c.json:1:9 JSON has no comments", id="comment-between"),
        pytest.param('{"a": [# x\n]}', "c.json:1:8 JSON has no comments", id="comment-in-list"),
        pytest.param("{} // x", "c.json:1:4 JSON has no comments", id="comment-behind"),
        pytest.param("a = 1", "c.json:1:1 this is not JSON: expecting value", id="hcl"),
        pytest.param('{"a": [NaN]}', "c.json:1:8 NaN is not a number", id="nan"),
        pytest.param('{"a": 1e999}', "c.json:1:7 this number is too large", id="float"),
        pytest.param('{"a": %s}' % ("9" * 5000), "c.json:1:7 this number is too large", id="int"),
        pytest.param('{"\\ud800": 1}', "c.json:1:2 half of a surrogate pair", id="half-in-a-key"),
        pytest.param('{"a": ' * 60 + "1" + "}" * 60, "c.json:1:307 more than 50 levels", id="deep"),
        pytest.param("[" * 200_000, "c.json more than 50 levels", id="very-deep"),
    ],
)  # fmt: skip
def test_a_mistake_in_json(text: str, expected: str) -> None:
    body, errors = read_json(text, "c.json")
    assert body == Body()
    (error,) = errors
    assert f"{error.place} {error.what}".startswith(expected)
