"""What is no module at all is an error at push; what only our reader refuses is a warning.

That Terraform 1.11.4 refuses the first table and takes the second was tried, file by file.
"""

import pytest

from cts.config.compile import Result, compile_bundle
from cts.config.modules.sources import broken_files
from cts.config.modules.terraform_file import terraform_files
from cts.config.rules.problem import Code

TASK = b'task { name = "t" module = "./m" condition "services" { names = ["a"] } }'

NO_MODULE = {
    "prose": (b"This module opens the firewall.\n", "1:1"),
    "yaml": (b"variable:\n  services: {}\n", "1:1"),
    "json in a .tf file": (b'{"variable": {"services": {}}}', "1:1"),
    "markup": (b"<html></html>", "1:1"),
    "a program": (b"import os\n", "1:1"),
    "no text": (b"\x7fELF\x00\x01\n", "1:1"),
    "another encoding": (b'variable "a" {\n  description = "\xe9"\n}\n', "2:18"),
    "a variable file": (b"# of the module\nzone = 1\n", "2:1"),
    "a brace too few": (b'variable "services" {\n  type = any\n', "1:21"),
    "a brace too many": (b"locals {\n}\n}\n", "3:1"),
    "a bracket too few": (b"locals {\n  a = [1\n}\n", "3:1"),
    "a parenthesis too many": (b"locals {\n  a = 1)\n}\n", "2:8"),
    "a brace on the next line": (b"locals\n{\n}\n", "1:1"),
    "two blocks on a line": (b'variable "a" {} variable "b" {}\n', "1:15"),
    "an expression in a label": (b'variable "a${1}" {\n}\n', "1:1"),
    "an argument without sign": (b'locals {\n  a "b"\n}\n', "2:3"),
    "an argument without value": (b"locals {\n  a =\n}\n", "2:3"),
    "an argument in quotes": (b'locals {\n  "a" = 1\n}\n', "2:3"),
    "words for a value": (b"locals {\n  a = open to all\n}\n", "2:12"),
    "single quotes": (b"locals {\n  a = 'b'\n}\n", "2:7"),
    "a string without end": (b'locals {\n  a = "b\n}\n', "2:7"),
    "a heredoc without end": (b"locals {\n  a = <<E\n}\n", "2:7"),
    "a comment without end": (b"locals {}\n/*\n", "2:1"),
}

READ_BY_TERRAFORM = [
    b"",
    b"\xef\xbb\xbflocals {}\r\n",
    b"# caf\xe9\nlocals {}\n",
    b"locals { a = 1 }",
    b"locals {} # {",
    b"/* { */ locals {}",
    b"locals {\n  a = [\n    1,\n  ]\n  b = { x = 1\n y : 2 }\n}\n",
    b'locals {\n  a = <<-E\n    } ${"}"} {\n  E\n}\n',
    b'locals {\n  a = "${1 # }"\n}"\n}\n',
    b"locals {\n  a = [<<E\nx\nE\n  , 1]\n}\n",
    b'variable services {\n  type = map(object({ id = optional(string, "") }))\n}\n',
    b"locals {\n  a = true ? 1 : 2\n  b = [for x in [1] : x if x > 0]\n  c = !true && -1 < 2\n}\n",
    b"locals {\n  a = (1\n + 2)\n  b = [{ a = [1] }][*].a[0]\n}\n",
    "locals {\n  größe = 1\n  a·b = 2\n  ℘ = 3\n}\n".encode(),
]

NO_JSON = {
    "nothing": (b"", "1:1"),
    "hcl": (b'variable "a" {}', "1:1"),
    "a colon too few": (b'{"locals" {}}', "1:11"),
    "a comment": (b"// c\n{}", "1:1"),
    "a text": (b'"a"', "1:1"),
}


def broken(name: str, content: bytes) -> list[str]:
    return [str(error.place) for error in broken_files(terraform_files({name: content}))]


@pytest.mark.parametrize("kind", NO_MODULE)
def test_what_is_no_hcl_is_found_with_its_place(kind: str) -> None:
    content, place = NO_MODULE[kind]
    assert broken("main.tf", content) == [f"main.tf:{place}"]


@pytest.mark.parametrize("content", READ_BY_TERRAFORM)
def test_what_terraform_reads_is_left_alone(content: bytes) -> None:
    assert broken("main.tf", content) == []


@pytest.mark.parametrize("kind", NO_JSON)
def test_what_is_no_json_is_found_with_its_place(kind: str) -> None:
    content, place = NO_JSON[kind]
    assert broken("main.tf.json", content) == [f"main.tf.json:{place}"]


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"locals": {"a": 1e999, "b": "\\ud800"}}'])
def test_json_that_terraform_reads_is_left_alone(content: bytes) -> None:
    assert broken("main.tf.json", content) == []


def test_the_modules_that_a_module_uses_are_looked_at_and_no_others() -> None:
    module = {
        "main.tf": b'module "a" {\n  source = "./a"\n}\n',
        "a/main.tf": b'module "b" {\n  source = "../b"\n}\nmodule "top" {\n  source = "../"\n}\n',
        "b/main.tf": b"no module\n",
        "examples/main.tf": b"no module\n",
        ".main.tf": b"no module\n",
        "notes.txt": b"no module\n",
    }
    assert [str(error.place) for error in broken_files(terraform_files(module))] == [
        "b/main.tf:1:1"
    ]


# ---- at push --------------------------------------------------------------------------------


def pushed(configuration: bytes, module: bytes, folder: str = "m") -> Result:
    return compile_bundle({"c.hcl": configuration, f"{folder}/main.tf": module})


def test_a_module_that_is_no_hcl_is_an_error_said_once() -> None:
    also = TASK.replace(b'"t"', b'"t2"')
    (problem,) = pushed(TASK + b"\n" + also, b"services:\n").problems
    assert (problem.code, str(problem.place)) == (Code.SYNTAX, "m/main.tf:1:1")
    assert problem.path == "task.t.module"


def test_problems_of_the_configuration_are_told_beside_it() -> None:
    problems = pushed(TASK + b'\ntask { name = "u" }', b"services:\n").problems
    assert {each.code for each in problems} == {Code.MISSING_OPTION, Code.SYNTAX}


@pytest.mark.parametrize(
    "module",
    [b'variable "a" "b" {\n}\n', b"variable {\n}\n", b"# caf\xe9\nvariable services {}\n"],
)
def test_what_only_this_reader_refuses_is_a_warning(module: bytes) -> None:
    result = pushed(TASK, module)
    assert result.compiled
    (warning,) = result.warnings
    assert (warning.code, warning.place.file) == (Code.SYNTAX, "m/main.tf")
    assert "were not checked: Terraform decides" in warning.what
