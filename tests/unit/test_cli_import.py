"""What an existing configuration of CTS is told to become."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli_fakes import cts, in_terminal, lines, plain

TASK = """task {
  name   = "web"
  module = "org/web/cts"
  condition "services" {
    names = ["web"]
  }
}
"""
SECRET = "4ecf0b1e-the-token"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory. There is no AWS."""
    monkeypatch.setattr("cts_cli.aws.session", None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def facts(text: str) -> dict[str, Any]:
    Path("c.hcl").write_text(f"{text}\n")
    found: dict[str, Any] = json.loads(cts("import", "c.hcl", "--json").stdout)
    return found


def report(text: str) -> list[str]:
    Path("c.hcl").write_text(f"{text}\n")
    result = cts("import", "c.hcl")
    assert result.exit_code == 0, result.stdout
    return lines(result.stdout)


# ---- tasks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ('condition "services" { names = ["b", "a"] }', "services b, a"),
        (
            'condition "services" { names = ["a", "b", "c", "d", "e"] }',
            "services a, b, c and 2 more",
        ),
        ('condition "services" { regexp = "^w" }', 'services that match "^w"'),
        ('condition "catalog-services" { regexp = "^w" }', 'the names that match "^w"'),
        ('condition "consul-kv" { path = "k" }', "KV k"),
        ('condition "consul-kv" { path = "k" recurse = true }', "KV k and all below"),
        ('condition "schedule" { cron = "0 6 * * *" }', "schedule 0 6 * * *"),
        ('services = ["a"]', "services a"),
        ('module_input "services" { names = ["a"] }', "services a"),
        ("", "nothing: it has no condition"),
    ],
)
def test_what_a_task_runs_for_is_told_in_words(here: Path, condition: str, words: str) -> None:
    (task,) = facts(f'task {{ name = "t" module = "m" {condition} }}')["tasks"]
    assert task["runs_when"] == words


@pytest.mark.usefixtures("without_providers")
def test_tasks_are_listed_with_what_they_wait_for(here: Path) -> None:
    nightly = """task {
  name    = "nightly"
  enabled = false
  module  = "org/web/cts"
  version = "1.2.0"
  providers = ["acmedns"]
  condition "schedule" { cron = "0 6 * * *" }
}
"""
    said = report(TASK + nightly)
    assert said[0] == "2 tasks, 1 would run"
    assert said[3:6] == [
        "web services web org/web/cts",
        "nightly (disabled) schedule 0 6 * * * org/web/cts 1.2.0",
        "! accepted, does not run yet: providers",
    ]
    start = said.index("Next in this order, CTS and the stack never both apply a task")
    steps = [line for line in said[start:] if line[0].isdigit() or "disable" in line]
    assert [line.split(",")[0][:48] for line in steps] == [
        "1. Deploy the stack",
        "2. Leave nightly with CTS",
        "3. Disable the others in CTS. A run that is in p",
        "consul-terraform-sync task disable web",
        "4. Write enabled = false for these in CTS's file",
        "5. Push",
        "6. Release each task once you have seen its plan",
    ]


def test_cts_is_stopped_before_tasks_are_released_or_local_states_are_moved(here: Path) -> None:
    assert numbered(report(TASK)) == ["Deploy", "Push,", "Stop", "Release"]
    local = 'driver "terraform" {\n  backend "local" {}\n}\n'
    assert numbered(report(TASK + local)) == ["Deploy", "Stop", "Move", "Push,", "Release"]


def numbered(said: list[str]) -> list[str]:
    """The first word of each step."""
    start = said.index("Next in this order, CTS and the stack never both apply a task")
    steps = [line for line in said[start:] if line[0].isdigit()]
    return [line.split()[1] for line in steps]


def test_paths_outside_of_the_folder_come_with_commands_to_copy_them(here: Path) -> None:
    text = """
task {
  name           = "a"
  module         = "../mods/fw"
  variable_files = ["/etc/cts/a.tfvars", "../a.tfvars"]
  condition "services" { names = ["web"] }
}
task {
  name   = "b"
  module = "../mods/fw"
  condition "services" { names = ["web"] }
}
task {
  name   = "c"
  module = "./modules/fw"
  condition "services" { names = ["web"] }
}
"""
    (here / "c.hcl").write_text(text)
    said = lines(cts("import", "c.hcl").stdout)
    start = said.index("Paths outside of the folder a push has the files below one folder")
    assert said[start + 2 : start + 9] == [
        "mkdir -p modules && cp -r -- ../mods/fw ./modules/fw-2",
        "mkdir -p variables && cp -- /etc/cts/a.tfvars variables/a.tfvars",
        "mkdir -p variables && cp -- ../a.tfvars variables/a-2.tfvars",
        'task.a.module = "./modules/fw-2"',
        'task.a.variable_files[0] = "variables/a.tfvars"',
        'task.a.variable_files[1] = "variables/a-2.tfvars"',
        'task.b.module = "./modules/fw-2"',
    ]
    assert facts(text)["outside"][0] == {
        "path": "../mods/fw",
        "option": "task.a.module",
        "copy_to": "./modules/fw-2",
    }


def test_the_commands_to_copy_do_what_they_say(here: Path, tmp_path_factory: Any) -> None:
    away = tmp_path_factory.mktemp("away with spaces")
    (away / "fw").mkdir()
    (away / "fw/main.tf").write_text('variable "services" {}\n')
    write = 'task {{ name = "a" module = "{}" condition "services" {{ names = ["web"] }} }}'
    (here / "a.hcl").write_text(write.format(away / "fw"))
    found = json.loads(cts("import", here, "--json").stdout)
    assert found["valid"] is False
    said = lines(cts("import", here).stdout)
    [command] = [line for line in said if line.startswith("mkdir")]
    subprocess.run(command, shell=True, check=True, cwd=here)
    (here / "a.hcl").write_text(write.format(found["outside"][0]["copy_to"]))
    assert json.loads(cts("import", here, "--json").stdout)["valid"] is True


def test_without_tasks_it_says_so(here: Path) -> None:
    assert report("port = 8558")[0] == "no tasks"


# ---- what moves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "backend", "where"),
    [
        ("", "", "Consul's KV, consul-terraform-sync/terraform-env:TASK"),
        ('consul { kv_path = "a/" }', "", "Consul's KV, a/terraform-env:TASK"),
        (
            'driver "terraform" { backend "consul" { path = "x" } }',
            "consul",
            "Consul's KV, x-env:TASK",
        ),
        ('driver "terraform" { backend "local" {} }', "local", 'backend "local"'),
        ('driver "terraform" { backend "s3" { bucket = "b" } }', "s3", 'backend "s3"'),
        ('driver "terraform-cloud" { organization = "o" }', "cloud", "HCP Terraform"),
    ],
)
def test_where_the_state_is(here: Path, text: str, backend: str, where: str) -> None:
    assert facts(text + "\n" + TASK)["state"] == {"backend": backend, "where": where}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "It stays there: a new task for which a state is found"),
        ('driver "terraform" { backend "local" {} }', "move it before the first push"),
        ('driver "terraform" { backend "s3" { bucket = "b" } }', "It stays there, and tasks"),
        ('driver "terraform" { backend "consul" { path = "x" } }', "It stays there, and tasks"),
        ('driver "terraform-cloud" { organization = "o" }', "if their workspaces keep their names"),
    ],
)
def test_what_to_do_with_the_state(here: Path, text: str, told: str) -> None:
    said = report(text + "\n" + TASK)
    assert any(told in line for line in said)
    moves = any("terraform state pull" in line for line in said)
    assert moves == any(
        "STATE_BUCKET is the output StateBucket of the stack." in line for line in said
    )
    assert moves == ("move it before" in told)


@pytest.mark.parametrize(
    ("consul", "value"),
    [
        ("", ""),
        ('address = "127.0.0.1:8500"', ""),
        ('address = "http://localhost:8500"', ""),
        ('address = "c.example.com:8500"', "http://c.example.com:8500"),
        ('address = "c.example.com:8501" tls { enabled = true }', "https://c.example.com:8501"),
        ('address = "https://c.example.com/"', "https://c.example.com"),
    ],
)
def test_the_address_is_a_parameter_unless_it_is_a_local_agent(
    here: Path, consul: str, value: str
) -> None:
    found = {each["name"]: each["value"] for each in facts(f"consul {{ {consul} }}")["parameters"]}
    assert found["ConsulAddress"] == value


def test_a_token_that_is_not_in_the_file_is_asked_for(here: Path) -> None:
    names = [each["name"] for each in facts("")["parameters"]]
    assert "ConsulSecretArn" in names
    with_token = facts(f'consul {{ token = "{SECRET}" }}')
    assert "ConsulSecretArn" not in [each["name"] for each in with_token["parameters"]]


def test_a_private_authority_is_a_parameter(here: Path) -> None:
    found = facts('consul { tls { enabled = true ca_cert = "/etc/ca.pem" } }')["parameters"]
    (ca,) = (each for each in found if each["name"] == "ConsulCaArn")
    assert (ca["value"], ca["note"]) == ("", "a secret with the content of /etc/ca.pem")


def test_secrets_are_told_by_name_place_and_where_they_go(here: Path) -> None:
    text = f'consul {{ token = "{SECRET}" }}\n' + TASK
    assert facts(text)["secrets"] == [
        {
            "name": "CONSUL_HTTP_TOKEN",
            "group": "connection",
            "path": "consul.token",
            "place": "c.hcl:1:18",
        }
    ]
    said = report(text)
    assert "CONSUL_HTTP_TOKEN → connection c.hcl:1:18" in said
    assert SECRET not in "\n".join(said)


def test_variables_of_the_environment_belong_to_a_group(here: Path) -> None:
    provider = """terraform_provider "x" {
  key = "{{ env \\"X_KEY\\" }}"
  task_env { Y = "{{ env \\"Y_VALUE\\" }}" }
}
"""
    assert facts(provider)["environment"] == {"X_KEY": "task", "Y_VALUE": "task"}
    said = report(provider)
    assert "X_KEY → task" in said
    commands = [line for line in said if line.startswith("cts secret set")]
    names = ("X_KEY", "Y_VALUE")
    assert commands == [f"cts secret set {name} --group task" for name in names]


def test_vault_is_named(here: Path) -> None:
    text = """vault { address = "https://vault:8200" }
terraform_provider "x" {
  pass = "{{ with secret \\"kv/x\\" }}{{ .Data.p }}{{ end }}"
}
"""
    assert facts(text)["vault"] == {"address": "https://vault:8200", "is_read": True}
    assert "Vault https://vault:8200" in report(text)
    assert facts("")["vault"] is None


# ---- what is different -------------------------------------------------------------------------


def test_options_without_effect_are_listed_with_the_reason(here: Path) -> None:
    said = report('syslog { enabled = true }\nconsul { address = "c:8500" }\n' + TASK)
    start = said.index("Without effect accepted, but not needed here")
    assert said[start + 1].startswith("syslog ")
    assert "not needed here, because" not in said[start + 1]
    assert said[start + 2].startswith("What is different")


def test_a_secret_in_a_comment_is_a_warning(here: Path) -> None:
    text = f'consul {{\n  address = "localhost:8500"\n  # token = "{SECRET}"\n}}\n'
    said = "\n".join(report(text + TASK))
    assert said.count("! c.hcl:3:3: this comment contains what looks like a secret") == 1
    assert SECRET not in said


def test_what_becomes_a_parameter_is_told_once(here: Path) -> None:
    text = """consul { address = "c.example.com:8500" }
driver "terraform" { version = "1.11.4" }
"""
    said = "\n".join(report(text + TASK))
    assert said.count("consul.address") == 1
    assert "driver.terraform.version" not in said  # it is used as it stands


@pytest.mark.parametrize("control", ["\x1b[2J", "\u202e"])
def test_nothing_that_a_terminal_acts_on_is_printed(here: Path, control: str) -> None:
    Path("c.hcl").write_text(f'task {{ name = "t" module = "m{control}" colour{control} = 1 }}')
    for command in ("import", "validate"):
        assert control not in cts(command, "c.hcl").stdout


def test_credentials_in_a_modules_address_are_not_printed(here: Path) -> None:
    address = "git::https://oauth2:glpat-x@git.example.com/m.git?ref=v1"
    text = TASK.replace("org/web/cts", address)
    (task,) = facts(text)["tasks"]
    assert task["module"] == "git::https://oauth2:***@git.example.com/m.git?ref=v1"
    for command in ("import", "validate"):
        for form in ([], ["--json"]):
            assert "glpat-x" not in cts(command, "c.hcl", *form).stdout


def test_what_does_not_work_yet_beside_tasks_is_a_warning(here: Path) -> None:
    said = report('consul { auth { username = "u" } }\n' + TASK)
    start = said.index("Warnings `cts validate` shows the lines")
    assert said[start + 1].startswith("! c.hcl:1:10 consul.auth: the poller does not send")


@pytest.mark.parametrize(
    ("text", "told", "is_told"),
    [
        ("", "Nothing is registered in Consul", True),
        (
            "consul { service_registration { enabled = false } }",
            "Nothing is registered in Consul",
            False,
        ),
        (TASK, "A regexp also follows health", False),
        (TASK.replace('names = ["web"]', 'regexp = "w"'), "A regexp also follows health", True),
    ],
)
def test_what_behaves_differently_is_what_this_configuration_meets(
    here: Path, text: str, told: str, is_told: bool
) -> None:
    assert any(told in line for line in report(text)) == is_told


def test_the_flags_of_cts_are_told(here: Path) -> None:
    said = report(TASK)
    assert "-once `cts push` runs each new task once, and others only if they changed" in said
    assert any(line.startswith("-inspect `cts push --inspect`") for line in said)


def test_it_ends_with_what_to_type(here: Path) -> None:
    said = report(TASK)
    assert said[-6:] == [
        "2. Push, which plans and holds each task.",
        "cts push --adopt c.hcl",
        "3. Stop CTS, and don't let it start again. Then plan again: something may have changed.",
        "cts inspect TASK --wait",
        (
            "4. Release each task once you have seen its plan. docs/moving-from-cts.md has the way"
            " back."
        ),
        "cts release TASK",
    ]


def test_problems_are_shown_like_those_of_validate(here: Path) -> None:
    Path("c.hcl").write_text("colour = 1\n" + TASK)
    result = cts("import", "c.hcl")
    said = lines(result.stdout)
    assert result.exit_code == 1
    assert said[0] == "✗ c.hcl:1:1 colour"
    assert said[-1] == "fix the problems above, then run this command again"
    assert "as below" not in result.stdout
    assert json.loads(cts("import", "c.hcl", "--json").stdout)["valid"] is False


@pytest.mark.parametrize("width", [80, 110])
def test_the_report_fits_into_a_terminal(
    here: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    in_terminal(monkeypatch, width)
    Path("c.hcl").write_text(f'consul {{ address = "consul.example.com:8500" }}\n{TASK}')
    said = plain(cts("import", "c.hcl").stdout).splitlines()
    assert max(map(len, said)) <= width
