"""The variables that a local module declares."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cts.config.modules.declared import declared
from cts.config.modules.sources import broken_files
from cts.config.modules.terraform_file import Declared, terraform_files
from cts.config.rules.problem import Place
from cts.config.text.tree import ParseError
from tests.examples import examples

MAIN = r"""
terraform {
  required_version = ">= 1.0"
}

# variable "commented" {}
/* variable "commented" {
} */

variable "services" {
  description = "Consul's \"services\" { default = 1 }"
  type = map(object({
    id   = string # of the instance
    meta = optional(map(string), {})
  }))
}

variable "zone" {
  type    = string
  default = "dmz"

  validation {
    condition     = var.zone != "variable \"zone2\" {"
    error_message = "Not ${var.zone}: ${join(", ", ["}", "{"])}."
  }
}

variable bare { type = number }
variable "on" { default = null }
variable "script" {
  nullable = false
  default  = <<-EOT
    variable "inside" {
    default = ${"$"}{x}
  EOT
}
variable "nested" {
  validation {
    condition     = true
    error_message = "x"
    # default = 1
  }
  type = any
}

locals {
  variable = "a"
  default  = 1
  text = "${"variable \"text\" {"} %{if true}variable "if" {%{endif}"
}

resource "local_file" "variable" {
  content = <<EOT
variable "content" {
}
EOT
}
"""


def names(module: dict[str, str]) -> dict[str, bool]:
    """Whether each variable is required."""
    found = declared(terraform_files({name: text.encode() for name, text in module.items()}))
    return {name: each.required for name, each in found.items()}


def test_variables_are_found_with_their_places() -> None:
    assert declared(terraform_files({"main.tf": MAIN.encode()})) == {
        "services": Declared(True, Place("main.tf", 10, 1)),
        "zone": Declared(False, Place("main.tf", 18, 1)),
        "bare": Declared(True, Place("main.tf", 28, 1)),
        "on": Declared(False, Place("main.tf", 29, 1)),
        "script": Declared(False, Place("main.tf", 30, 1)),
        "nested": Declared(True, Place("main.tf", 37, 1)),
    }


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        pytest.param({}, {}, id="no-files"),
        pytest.param({"main.tf": ""}, {}, id="empty"),
        pytest.param(
            {"a.tf": 'variable "a" {}', "b.tf": 'variable "b" {}'},
            {"a": True, "b": True},
            id="files",
        ),
        pytest.param(
            {"main.tf": '\ufeffvariable "a" {\r\n  default = 1\r\n}\r\n'},
            {"a": False},
            id="windows",
        ),
        pytest.param(
            {"b.tf": "", "m/x/main.tf": 'variable "a" {}', "README.md": "variable", ".a.tf": "{"},
            {},
            id="other-files",
        ),
        pytest.param(
            {"override.tf": 'variable "a" {\n  default = 1\n}', "main.tf": 'variable "a" {}'},
            {"a": False},
            id="override",
        ),
        pytest.param(
            {"a_override.tf.json": '{"variable": {"a": {"default": 1}}}', "b.tf": "variable a {}"},
            {"a": False},
            id="override-in-json",
        ),
        pytest.param(
            {"override.tf": 'variable "a" {\n  type = string\n}', "main.tf": 'variable "a" {}'},
            {"a": True},
            id="override-without-default",
        ),
        pytest.param(
            {"v.tf.json": '{"//": 1, "variable": {"a": {}, "b": {"type": "", "default": null}}}'},
            {"a": True, "b": False},
            id="json",
        ),
        pytest.param(
            {"v.tf.json": '{"variable": [{"a": {}}, {"b": [{"default": 1}]}], "locals": {"c": 1}}'},
            {"a": True, "b": False},
            id="json-lists",
        ),
    ],
)
def test_which_variables_a_module_requires(
    module: dict[str, str], expected: dict[str, bool]
) -> None:
    assert names(module) == expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ({"main.tf": 'variable "a" {\n  type = string\n  const = true\n}'}, True),
        ({"main.tf": 'variable "a" {\n  const = false\n}'}, False),
        ({"main.tf": 'variable "a" {\n  validation {\n    const = true\n  }\n}'}, False),
        ({"main.tf": 'variable "a" {\n  description = "const = true"\n}'}, False),
        ({"v.tf.json": '{"variable": {"a": {"const": true}}}'}, True),
        ({"v.tf.json": '{"variable": {"a": {"const": false}}}'}, False),
        ({"main.tf": "variable a {}", "override.tf": "variable a {\n const = true\n}"}, True),
    ],
)
def test_which_variables_of_a_module_are_constants(module: dict[str, str], expected: bool) -> None:
    found = declared(terraform_files({name: text.encode() for name, text in module.items()})) or {}
    assert found["a"].const is expected


def test_an_override_keeps_the_place() -> None:
    module = {"main.tf": b"variable a {}", "override.tf": b"variable a {\n default = 1\n}"}
    assert declared(terraform_files(module)) == {"a": Declared(False, Place("main.tf", 1, 1))}


@pytest.mark.parametrize(
    "module",
    [
        pytest.param({"main.tf": 'variable "a" {'}, id="brace"),
        pytest.param({"main.tf": 'variable "a" {}\nx = "'}, id="string"),
        pytest.param({"main.tf": "x = <<E\nvariable"}, id="heredoc"),
        pytest.param({"main.tf": "/*"}, id="comment"),
        pytest.param({"main.tf": 'variable "a"\n{\n}'}, id="brace-on-the-next-line"),
        pytest.param({"main.tf": 'variable "a" "b" {}'}, id="two-labels"),
        pytest.param({"main.tf": "variable {}"}, id="no-label"),
        pytest.param({"main.tf": "variable = 1"}, id="attribute"),
        pytest.param({"v.tf.json": "{"}, id="json"),
        pytest.param({"v.tf.json": '{"variable": {"a": 1}}'}, id="json-number"),
        pytest.param({"v.tf.json": '{"variable": null}'}, id="json-null"),
    ],
)
def test_a_module_that_is_not_understood_is_not_judged(module: dict[str, str]) -> None:
    with pytest.raises(ParseError):
        names({"a.tf": 'variable "b" {}', **module})


@pytest.mark.slow
def test_too_many_brackets_are_a_mistake_with_its_place() -> None:
    text = 'variable "a" {\n  default = ' + "[" * 20_000 + "]" * 20_000 + "\n}\n"
    with pytest.raises(ParseError, match="more than 50 levels") as raised:
        declared(terraform_files({"main.tf": text.encode()}))
    assert raised.value.place == Place("main.tf", 2, 62)


def test_a_module_of_another_encoding_is_not_judged() -> None:
    with pytest.raises(ParseError, match="not UTF-8"):
        declared(terraform_files({"main.tf": b'variable "a" {}\n# \xff'}))


PIECES = st.sampled_from(
    [*'\n1"#()[]~\\é²\x00:,}', "variable", ' "a"', " a", " {", "default", " = ", "type", "${", "%{",
     "<<E\n", "E\n", "/*", "{\n", '{"variable": {']
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=examples(150), deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_gives_a_result(text: str) -> None:
    for module in ({"main.tf": text.encode(), "v.tf.json": b"{}"}, {"v.tf.json": text.encode()}):
        files = terraform_files(module)
        with suppress(ParseError):
            declared(files)
        assert all(str(error) for error in broken_files(files))
