"""Variable files: plain values only, each mistake at its place."""

from typing import Any

import pytest

from cts.config.variables import read_variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("a = 1.50\nb = 1e3\nc = -2", {"a": 1.5, "b": 1000, "c": -2}, id="numbers"),
        pytest.param('a = "x\\n\\"y\\""', {"a": 'x\n"y"'}, id="escapes"),
        pytest.param("a = null\nb = true", {"a": None, "b": True}, id="null-and-bool"),
        pytest.param(
            'a = [1, "x", [true], {}]', {"a": [1, "x", [True], {}]}, id="a-list-of-anything"
        ),
        pytest.param(
            'a = {\n  b = "c"\n  "d e" = { f = [] }\n}',
            {"a": {"b": "c", "d e": {"f": []}}},
            id="map",
        ),
        pytest.param("a = <<-EOT\n  x\n    y\n  EOT\n", {"a": "x\n  y\n"}, id="heredoc"),
        pytest.param('a = "$${x} %%{y}"', {"a": "${x} %{y}"}, id="escaped-templates"),
        pytest.param("\ufeffa = 1", {"a": 1}, id="byte-order-mark"),
    ],
)
def test_values_are_read(text: str, expected: dict[str, Any]) -> None:
    assert read_variables(text.encode(), "v.tfvars") == (expected, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a = b", "v.tfvars:1:5: `b` is not a plain value", id="reference"),
        pytest.param("a = var.b", "v.tfvars:1:5: `var.b` is not a plain value", id="attribute"),
        pytest.param('a = upper("x")', 'v.tfvars:1:5: `upper("x")` is not a plain', id="call"),
        pytest.param("\na = 1 + 2", "v.tfvars:2:5: `1 + 2` is not a plain value", id="sum"),
        pytest.param("a = [for x in [] : x]", "v.tfvars:1:5: `[for x in [] : x]` is not", id="for"),
        pytest.param('a = "${b}"', "v.tfvars:1:6: a template is not supported yet", id="template"),
        pytest.param("a = <<E\n${b}\nE\n", "v.tfvars:1:5: a template is not supported", id="doc"),
        pytest.param("a { }", "v.tfvars:1:1: a block is not allowed here", id="block"),
        pytest.param('"a" = 1', "v.tfvars:1:1: a string is not expected here", id="quoted-name"),
        pytest.param("a = 1\na = 2", "v.tfvars:2:1: a: this variable is set twice", id="twice"),
        pytest.param('{"a": 1}', "v.tfvars:1:1: `{` is not expected here", id="json"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, expected: str) -> None:
    _, problems = read_variables(text.encode(), "v.tfvars")
    assert len(problems) == 1
    assert str(problems[0]).startswith(expected)
