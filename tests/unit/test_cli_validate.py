"""A configuration checked here: what is printed of it, and what is never."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.unit.cli_fakes import cts, in_terminal, lines, plain

SECRET = "4ecf0b1e-the-token"
GOOD = """task {
  name   = "web"
  module = "org/web/cts"
  condition "services" {
    names = ["web"]
  }
}
"""
WAITS = (
    GOOD.replace('"web"', '"dns"').replace("module", 'providers = ["acmedns"]\n  module')
    + 'terraform_provider "acmedns" {}\n'
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory. There is no AWS."""
    monkeypatch.setattr("cts_cli.aws.session", None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def validated(*arguments: str) -> tuple[int, list[str]]:
    result = cts("validate", *arguments)
    return result.exit_code, result.stdout.splitlines()


def test_a_valid_configuration_says_what_is_in_it(here: Path) -> None:
    write("a.hcl", GOOD)
    assert validated() == (0, ["✓ valid: 1 task in 1 file"])


@pytest.mark.usefixtures("without_providers")
def test_it_says_how_many_tasks_would_run(here: Path) -> None:
    write("a.hcl", GOOD + WAITS)
    assert validated()[1][-1] == "✓ valid: 2 tasks in 1 file, 1 would run, 1 warning"
    write("a.hcl", WAITS)
    assert validated()[1][-1] == "✓ valid: 1 task in 1 file, none would run, 1 warning"
    write("a.hcl", "colour = 1\n" + GOOD + WAITS)
    assert validated()[1][-1] == "✗ 1 problem, 1 warning; of 2 tasks, 1 would run"


@pytest.mark.usefixtures("without_providers")
def test_strict_fails_if_a_task_would_not_run(here: Path) -> None:
    write("a.hcl", GOOD)
    assert validated("--strict")[0] == 0
    write("a.hcl", GOOD + WAITS)
    assert validated()[0] == 0
    assert validated("--strict")[0] == validated("--strict", "--json")[0] == 1


def test_options_that_are_not_needed_take_one_line(here: Path) -> None:
    write("a.hcl", GOOD + 'port = 1\nlog_level = "INFO"\nconsul {\n  address = "c:1"\n}\n')
    code, said = validated()
    assert code == 0
    assert said[-2:] == [
        "· 2 options are not needed here: port, log_level (`cts import` says why)",
        "✓ valid: 1 task in 1 file, 1 warning",
    ]
    assert [line for line in said if line.startswith("!")] == ["! a.hcl:11:13  consul.address"]


def test_without_a_path_it_is_the_working_directory(here: Path) -> None:
    result = cts("validate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("cts: no configuration files found")


def test_each_problem_is_shown_at_its_place_and_all_are_counted(here: Path) -> None:
    write("a.hcl", GOOD.replace('"web"\n', '"we b"\n'))
    write("b.hcl", "task {")
    code, said = validated()
    assert code == 1
    assert said == [
        "✗ a.hcl:2:12  task.we b.name",
        '      name   = "we b"',
        "               ^",
        '    "we b" is not a valid task name',
        "    → begin with a letter or underscore, and only use those, digits and dashes",
        "",
        "✗ b.hcl:1:6",
        "    task {",
        "         ^",
        '    this "{" is never closed',
        '    → add "}"',
        "",
        "✗ 2 problems",
    ]


def test_problems_stand_behind_the_warnings(here: Path) -> None:
    write("a.hcl", 'colour = 1\nconsul {\n  address = "c:1"\n}\n')
    code, said = validated()
    heads = [line for line in said if line[:1] in "!✗" and line]
    assert code == 1
    assert heads == [
        "! a.hcl:3:13  consul.address",
        "✗ a.hcl:1:1  colour",
        "✗ 1 problem, 1 warning",
    ]


def test_a_pointer_stands_below_its_character_behind_tabs(here: Path) -> None:
    write("a.hcl", "\t\tcolour = 1\n" + GOOD)
    _, said = validated()
    assert said[2].index("^") == said[1].index("colour")


def test_a_pointer_stands_below_its_column_behind_wide_and_unprintable_characters(
    here: Path,
) -> None:
    write("a.hcl", 'id = "日本\x1b[2J" colour = 1\n')
    _, said = validated()
    start = next(number for number, line in enumerate(said) if line.endswith("  colour"))
    assert said[start + 1 : start + 3] == [
        '    id = "日本\\x1b[2J" colour = …',
        f"    {' ' * 18} ^",
    ]


@pytest.mark.parametrize("before", [0, 30, 300])
def test_of_a_long_line_the_part_around_the_column_is_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    blanks, more = " " * before, f'condition "services" {{ names = ["{"w" * 100}"] }}'
    write("a.hcl", f'task {{ name = "web" module = "m" {blanks} colour = 1 {more} }}')
    in_terminal(monkeypatch, 80)
    _, line, pointer, *_ = plain(cts("validate").stdout).splitlines()
    assert max(len(line), len(pointer)) <= 80
    assert line[pointer.index("^") :].startswith("colour")


def test_a_long_line_of_wide_characters_fits(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.hcl", f'id = "{"日" * 300}" colour = "{"本" * 300}"')
    in_terminal(monkeypatch, 80)
    said = plain(cts("validate").stdout).splitlines()
    start = next(number for number, line in enumerate(said) if line.endswith("  colour"))
    line, pointer = said[start + 1], said[start + 2]
    assert cell_len(line) <= 80
    assert cell_len(line[: line.index("colour")]) == pointer.index("^")


def test_warnings_alone_leave_it_valid(here: Path) -> None:
    write("a.hcl", 'consul {\n  address = "c:1"\n}\n' + GOOD)
    code, said = validated()
    assert (code, said[-1]) == (0, "✓ valid: 1 task in 1 file, 1 warning")


# ---- secrets are never shown ------------------------------------------------------------------


def test_a_secret_is_told_by_the_name_it_will_have(here: Path) -> None:
    write("a.hcl", f'consul {{\n  token = "{SECRET}"\n}}\n' + GOOD)
    result = cts("validate")
    assert SECRET not in result.stdout
    told = "a secret: `cts push` moves it to the stack's connection secret as CONSUL_HTTP_TOKEN"
    assert told in lines(result.stdout)
    assert lines(result.stdout)[-1].endswith("1 secret to move")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'consul {{ token = "{SECRET}" addres = "x" }}', id="another-problem"),
        pytest.param(f'consul {{ token = "{SECRET} }}', id="unterminated"),
        pytest.param(f'consul {{ token = ["{SECRET}", "b"] }}', id="wrong-type"),
        pytest.param(f'consul {{ token = "{SECRET}" token }}', id="syntax-behind-it"),
        pytest.param(
            f'terraform_provider "x" {{\n  password = "{SECRET}"\n  nested {{ }} }} }}',
            id="syntax-below",
        ),
    ],
)
def test_no_line_with_a_secret_is_shown(here: Path, text: str) -> None:
    write("a.hcl", text)
    result = cts("validate")
    assert result.exit_code == 1
    assert SECRET not in result.stdout
    assert SECRET not in cts("validate", "--json").stdout


@pytest.mark.parametrize(
    "text",
    [
        f'consul {{ acl_token = "{SECRET}" }}',
        f'vault {{ secret_id = "{SECRET}" }}',
        f'provider "aws" {{ secret_key = "{SECRET}" }}',
        f'task {{ variables {{ db_password = "\\"{SECRET}\\"" }} }}',
        f'conn_str = "postgres://u:{SECRET}@h',
        f'source = "git::https://{SECRET}@host/x',
        f'colour = "https://host/?sshkey={SECRET}"',
    ],
)
def test_a_line_that_may_hold_a_secret_is_not_shown_whatever_is_wrong(
    here: Path, text: str
) -> None:
    write("a.hcl", text)
    result = cts("validate")
    assert result.exit_code == 1
    assert SECRET not in result.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(f'tokn = "{SECRET}"', "tokn = …", id="top"),
        pytest.param(f'consul {{ tokn    = "{SECRET}" }}', "consul { tokn    = …", id="aligned"),
        pytest.param(f'tokn {{ x = "{SECRET}" }}', "tokn …", id="block"),
        pytest.param(f'consul "{SECRET}" {{ }}', "consul …", id="label"),
        pytest.param(f'colour = "{SECRET}" shape = 1', "colour = …", id="the-first-of-two"),
        pytest.param(f'colour = "{SECRET}" log_level = 1', "colour = …", id="another-mistake"),
        pytest.param(f'colour = "{SECRET}" port = 1', "colour = …", id="a-warning"),
    ],
)
def test_of_an_unknown_option_the_value_is_not_shown(here: Path, text: str, shown: str) -> None:
    write("a.hcl", text)
    result = cts("validate")
    assert result.exit_code == 1
    assert f"    {shown}\n" in result.stdout
    assert SECRET not in result.stdout


def test_of_an_unknown_variable_the_value_is_not_shown(here: Path) -> None:
    variables = (
        f'serverless {{\n    variables = {{\n      tokn = "{SECRET}"\n    }}\n  }}\n  module'
    )
    write("a.hcl", GOOD.replace("org/web/cts", "./m").replace("module", variables))
    write("m/main.tf", 'variable "services" {}\n')
    result = cts("validate")
    assert "tokn = …\n" in result.stdout
    assert SECRET not in result.stdout


def test_a_secret_in_a_variable_file_is_not_shown(here: Path) -> None:
    write("a.hcl", GOOD.replace("  module", '  variable_files = ["a.tfvars"]\n  module'))
    write("a.tfvars", f'admin_password = "{SECRET}')
    result = cts("validate")
    assert "a.tfvars:1" in result.stdout
    assert SECRET not in result.stdout


# ---- forms -----------------------------------------------------------------------------------


def test_as_json(here: Path) -> None:
    write("a.hcl", f'colour = 1\nconsul {{\n  token = "{SECRET}"\n}}\n' + GOOD)
    result = cts("validate", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["valid"] is False
    assert found["secrets"] == ["CONSUL_HTTP_TOKEN"]
    (problem,) = found["problems"]
    assert {key: problem[key] for key in ("file", "line", "column", "path", "code")} == {
        "file": "a.hcl",
        "line": 1,
        "column": 1,
        "path": "colour",
        "code": "unknown-option",
    }


def test_a_missing_path_is_wrong_usage(here: Path) -> None:
    result = cts("validate", "absent.hcl")
    assert (result.exit_code, result.stderr) == (
        2,
        "cts: 'absent.hcl': no such file or directory\n",
    )


def test_paths_that_begin_elsewhere_in_cts_are_hinted_at(here: Path) -> None:
    write("conf.d/a.hcl", GOOD.replace("org/web/cts", "./modules/web"))
    write("modules/web/main.tf", 'variable "services" {}\n')
    code, said = validated("conf.d")
    assert code == 1
    hint = "! paths in these files are relative to 'conf.d'; CTS reads them relative to the folder"
    assert any(line.startswith(hint) for line in said)
    assert validated("conf.d/a.hcl") == (0, ["✓ valid: 1 task in 1 file"])


def test_in_a_terminal_long_texts_are_broken_between_words(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.hcl", "id = 1\n" + GOOD)
    in_terminal(monkeypatch, 50)
    said = plain(cts("validate").stdout).splitlines()
    assert max(map(len, said)) <= 50
    assert all(line.startswith("  ") for line in said[1:-1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'consul { tls { cert = "c.pem" } }',
            "a certificate: MOVES connection secret as CONSUL_CLIENT_CERT_PEM",
        ),
        (
            'vault { address = "v" tls { key = "c.pem" } }',
            "a private key: MOVES task secret as VAULT_CLIENT_KEY_PEM",
        ),
        (
            'terraform_provider "google" { credentials = "c.json" }',
            "credentials: MOVES task secret as TERRAFORM_PROVIDER_GOOGLE_CREDENTIALS",
        ),
        (
            f'consul {{ token = "{SECRET}" token = "{{{{ env \\"X\\" }}}}" }}',
            "a secret that has no effect: `cts push` leaves it out",
        ),
    ],
)
def test_it_says_what_becomes_of_a_secret(here: Path, text: str, told: str) -> None:
    write("c.pem", "x")
    write("c.json", "{}")
    write("a.hcl", text)
    exit_code, out = validated()
    assert exit_code == 0
    told = told.replace("MOVES", "`cts push` moves it to the stack's")
    assert told in " ".join(" ".join(out).split())
    assert "CONSUL_HTTP_TOKEN" not in json.loads(cts("validate", "--json").stdout)["secrets"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["a.hcl", "a.json"])
def test_a_file_that_is_not_text_is_told_without_its_bytes(
    here: Path, name: str, encoding: str
) -> None:
    (here / name).write_bytes(GOOD.encode(encoding))
    code, told = validated(name)
    what = "the file is not UTF-8 text: it contains zero bytes, as UTF-16 and binary files do"
    assert (code, told[:3]) == (
        1,
        [f"✗ {name}:1:1", f"    {what}", "    → save it as UTF-8"],
    )
