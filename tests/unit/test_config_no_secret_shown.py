"""No message shows a text that could be a secret, wherever it was written by mistake."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cts.config.compile import compile_bundle
from cts.config.hcl1.parser import read_hcl1
from cts.config.modules.tfvars import read_variables
from tests.examples import examples

TASK = 'task { name = "t" module = "m" condition "services" { names = ["s"] } %s }'

NAMES_THE_FILE = b'task { name = "t" module = "m" variable_files = ["v.tfvars"] }'

UNQUOTED = [
    "token = @",
    "token = @\nid = 1",
    "token =\n@",
    "token = -@",
    "token = @.@",
    "token = @/@+@=",
    "token = [@]",
    'token = ["x", @ @]',
    "token @",
    "token @ }",
    "token\n@\n",
    "token: @",
    "token = 1 @",
    "token = true ? @ : @",
    'token = "x" + @',
    "token = '@'",
    "token = @ { }",
]
QUOTED = [
    'token = "@',
    'token = "@\nid = "x"',
    'token = @"\nid = "x"',
    'token = "x"@"\nid = "x"',
    'token = "x"@\nid = "x"',
    'token = "x\n@\n"',
    'token = "x\n@\n@/x\nid=="',
    'token = "@\\d"',
    'token = "\\d@"',
    'token = "${@"',
    'token = "${\n@',
    "token = <<E\n@\n",
    'token "@"',
    'token: "@"',
    'token = "x" "@"',
    'token = ["@" "@"]',
    'token = f("@")',
    'token = { x = "@" ]',
]
WRONG_TYPES = [
    'consul = "@"',
    'consul = ["@"]',
    'consul { auth = "@" }',
    'consul { auth = ["@", "@"] }',
    "consul { auth = @ }",
    'consul { token = ["@", "@"] }',
    'consul { transport { max_idle_conns = { x = "@" } } }',
    'vault = "@"',
    'vault { renew_token = "@" }',
    'vault { unwrap_token = "@" }',
    'vault { tokn = "@" }',
    'driver = "@"',
    'driver "terraform" { backend = "@" }',
    'driver "terraform" { backend "local" = "@" }',
    'driver "terraform-cloud" { required_providers = "@" }',
    'terraform_provider "p" { task_env = "@" }',
    'terraform_provider "p" { task_env { PASSWORD = ["@", "@"] } }',
    'terraform_provider "p" { task_env { PIN = @ } }',
    'terraform_provider "p" { task_env { X { y = "@" } } }',
    'terraform_provider = "@"',
    'license { auto_retrieval = "@" }',
    TASK % 'condition = "@"',
    TASK % 'variables = "@"',
    TASK % 'variables { password = "@" }',
    TASK % 'variables { password = ["@"] }',
    TASK % 'module_input = "@"',
    TASK % 'serverless = "@"',
]
JSON = [
    '{"consul": "@"}',
    '{"consul": ["@"]}',
    '{"consul": {"token": ["@", "@"]}}',
    '{"consul": {"auth": "@"}}',
    '{"consul": {"auth": @}}',
    '{"consul": {"tokn": "@"}}',
    '{"vault": "@"}',
    '{"vault": {"renew_token": "@"}}',
    '{"driver": "@"}',
    '{"terraform_provider": "@"}',
    '{"terraform_provider": [{"p": {"task_env": "@"}}]}',
    '{"terraform_provider": [{"p": {"task_env": {"X": ["@", "@"]}}}]}',
    '{"terraform_provider": [{"p": {"task_env": {"X": @}}}]}',
    '{"consul": {"token": @}}',
    '{"consul": {"token": "@}}',
    '{"consul": {"token": "@" "@"}}',
    '{"consul": {"token": "@\\d"}}',
    '"@"',
    "@",
]  # fmt: skip
SECRETS = ["k4nary", "b1946ac9-2edd-11e9", "5f4dcc3b5aa765d6", "4815162342"]
"""A parser takes each for something else: names, a number and what follows, a number."""

CASES = [
    *(("c.hcl", text) for text in UNQUOTED + QUOTED + WRONG_TYPES + JSON),
    *(("c.hcl", f"vault {{\n{text}\n}}") for text in UNQUOTED + QUOTED),
    *(("v.tfvars", text) for text in UNQUOTED + QUOTED),
    *(("c.json", text) for text in JSON),
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "text"), CASES)
def test_a_mistake_about_a_secret_does_not_show_it(file: str, text: str) -> None:
    for secret in SECRETS:
        files = {"c.hcl": NAMES_THE_FILE, file: text.replace("@", secret).encode()}
        result = compile_bundle(files)
        assert result.problems or secret.isdigit()  # a number needs no quotes
        assert secret[:4] not in "".join(map(str, result.problems + result.warnings))


PIECES = st.sampled_from(
    ["k4nary", "5f4dcc3b", *'{}[]="\\,.-# \n:;$%?+', "${", "%{", "token", "true", "for ", "5",
     "E\n", "<<E\n", "token = "]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_mistake_in_a_text_shows_what_stands_there(text: str) -> None:
    errors = read_hcl1(text, "c.hcl")[1]
    _, problems = read_variables(text.encode(), "v.tfvars")
    said = [error.what + error.fix for error in errors]
    said += [problem.what + problem.fix for problem in problems]
    assert not re.search("k4n|5f4", "".join(said))
