"""What is pushed has nothing in its comments, and says the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cts.config.modules.tfvars import read_variables
from cts.config.text.comments import without_comments
from cts.config.text.read import read
from cts.config.written import configuration
from tests.examples import examples

TASK = 'task { name = "t" module = "./m" variable_files = ["v.tfvars"] }'

CONFIGURATION = [
    ("a = 1 # token = CANARY\n", f"a = 1 #{' ' * 15}\n"),
    ("// CANARY é日", f"//{' ' * 10}"),
    ('# consul {\n#   token = "CANARY"\n# }', "#         \n#                   \n#  "),
    ('/* token = "C"\n\tCANARY */ port = 1', "/*            \n\t       */ port = 1"),
    ('a = "# \\" // /* kept */" # CANARY', 'a = "# \\" // /* kept */" #       '),
    (
        "a = <<EOT\n# kept\n/* kept */\nEOT\n//CANARY",
        "a = <<EOT\n# kept\n/* kept */\nEOT\n//      ",
    ),
    ('a = "${b # kept\n}" # CANARY', 'a = "${b # kept\n}" #       '),
    ("a = [1, # CANARY\n2] /**/ b = 2", "a = [1, #       \n2] /**/ b = 2"),
    ("# CANARY /* \r\na = 1 // */ CANARY", "#           \r\na = 1 //          "),
]
VARIABLES = [
    ('a = "x" # CANARY\n', 'a = "x" #       \n'),
    ("a = /* CANARY\n */ 1\n", "a = /*       \n */ 1\n"),
    ('\ufeffa = "${ /* CANARY */ 1 } # kept"\n', '\ufeffa = "${ /*        */ 1 } # kept"\n'),
    ("a = <<E\n# kept ${ 1 // CANARY\n}\nE\n", "a = <<E\n# kept ${ 1 //       \n}\nE\n"),
]


def blanked(files: dict[str, str]) -> dict[str, str]:
    contents = {name: text.encode() for name, text in files.items()}
    done = without_comments(contents, configuration(contents))
    return {name: content.decode() for name, content in done.items()}


@pytest.mark.parametrize(("text", "expected"), CONFIGURATION)
def test_a_configuration_file(text: str, expected: str) -> None:
    assert blanked({"c.hcl": text})["c.hcl"] == expected


@pytest.mark.parametrize(("text", "expected"), VARIABLES)
def test_a_variable_file(text: str, expected: str) -> None:
    assert blanked({"c.hcl": TASK, "v.tfvars": text})["v.tfvars"] == expected
    before, after = read_variables(text.encode(), "v"), read_variables(expected.encode(), "v")
    assert before == after
    assert not before[1]


def test_json_and_modules_are_left_alone() -> None:
    files = {
        "a.json": '{"id": "# kept"}',
        "b.hcl": '{"id": "// kept"}',
        "c.hcl": TASK,
        "m/main.tf": "# kept\n",
    }
    assert blanked(files) == files


PIECES = st.sampled_from(
    ["# CANARY", "// CANARY", "/* CANARY */", "/* CANARY\n */", "\n", " ", "a = 1", 'b = "# x"',
     "c {", "}", "d = [1,", "]", "e = <<E\n# x\nE\n", ","]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_read_stays_the_same(text: str) -> None:
    done = blanked({"c.hcl": text})["c.hcl"]
    assert len(done) == len(text)
    was, found = read(text.encode(), "c.hcl")
    assert read(done.encode(), "c.hcl") == (was, found)
    if not any(each.code == "syntax" for each in found.problems):
        assert "CANARY" not in done
