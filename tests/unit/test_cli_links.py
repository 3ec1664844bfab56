"""Links among the files of a configuration lead to anything in its folder, and nowhere else."""

import os
import socket
from pathlib import Path

import pytest

from cts_cli import sources
from cts_cli.errors import CommandError
from tests.unit.cli_fakes import Account, cts, deployed, folder, task

CERTIFICATES = 'vault { tls { ca_path = "ca" } }'
VARIABLES = 'task { name = "t" module = "acme/x/y" variable_files = ["web.tfvars"] }'
KEY = 'vault { tls { key = "client.key" } }'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a valid configuration in `conf`, and files beside it."""
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "conf", task("web"))
    for name in ("a.hcl", "deeper/b.txt", "main.tf"):
        (tmp_path / "elsewhere" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "elsewhere" / name).write_text("x = 1\n")
    return tmp_path


def found(*paths: str) -> set[str]:
    return {*sources.find([Path(path) for path in paths])}


def refusal(*paths: str) -> str:
    with pytest.raises(CommandError) as caught:
        found(*paths)
    return str(caught.value)


OUT = [
    pytest.param("conf/b.hcl", "elsewhere/a.hcl", "", id="configuration"),
    pytest.param("conf/modules/m/more", "elsewhere", "", id="folder-in-a-module"),
    pytest.param("conf/modules/m/x.txt", "elsewhere/deeper/b.txt", "", id="file-in-a-module"),
    pytest.param("conf/modules/m/conf2", "conf2", "", id="name-begins-alike"),
    pytest.param("conf/web.tfvars", "elsewhere/a.hcl", VARIABLES, id="variable-file"),
    pytest.param("conf/client.key", "elsewhere/a.hcl", KEY, id="private-key"),
    pytest.param("conf/ca", "elsewhere", CERTIFICATES, id="certificates"),
    pytest.param("conf/ca/x.pem", "elsewhere/a.hcl", CERTIFICATES, id="certificate"),
]


@pytest.mark.parametrize(("link", "target", "configuration"), OUT)
def test_a_link_out_of_the_folder_is_refused(
    here: Path, link: str, target: str, configuration: str
) -> None:
    (here / "conf/more.hcl").write_text(configuration)
    (here / "conf2").mkdir()
    at = here / link
    at.parent.mkdir(exist_ok=True)
    at.symlink_to(here / target)
    told = f"'{link}' is a link to '{here / target}', which is outside '{here / 'conf'}': "
    assert refusal("conf").startswith(told)


NAMED = """task { name = "v" module = "acme/x/y" variable_files = ["web.tfvars", "k/b.json"] }
terraform_provider "p" { credentials = "k/sa.json" }
vault { tls { ca_cert = "ca.pem" } }
"""
HIDDEN = "which is hidden, so it is not pushed by its own name"
OTHER = "which is not pushed as it is, because of its secrets"
NO_PART = "a state or variable file, which modules don't contain"


@pytest.mark.parametrize(
    ("link", "target", "why"),
    [
        ("modules/m/g", ".git", HIDDEN),
        ("modules/m/g", ".git/hooks", HIDDEN),
        ("modules/m/env.txt", ".env", HIDDEN),
        ("modules/m/x", "deep/.terraform/x.txt", HIDDEN),
        ("b.hcl", ".env", HIDDEN),
        ("web.tfvars", ".env", HIDDEN),
        ("modules/m/data.json", "terraform.tfstate", NO_PART),
        ("modules/m/data.json", "terraform.tfstate.backup", NO_PART),
        ("modules/m/x.txt", "deep/z.tfvars", NO_PART),
        ("web.tfvars", "terraform.tfstate", NO_PART),
        ("modules/m/notes.txt", "tasks.hcl", OTHER),
        ("modules/m/notes.txt", "k/sa.json", OTHER),
        ("modules/m/notes.txt", "given/variables", OTHER),
        ("modules/m/x.txt", "deep/store.p12", OTHER),
        ("modules/m/x.txt", "deep/client.key", OTHER),
        ("modules/m/x.txt", "deep/terraform.rc", OTHER),
        ("k/b.json", "k/sa.json", OTHER),
        ("web.tfvars", "tasks.hcl", OTHER),
        ("ca.pem", "tasks.hcl", OTHER),
    ],
)
def test_what_is_not_pushed_by_its_name_is_not_pushed_by_a_link(
    here: Path, link: str, target: str, why: str
) -> None:
    os.chdir("conf")
    Path("more.hcl").write_text(NAMED)
    for name in (
        ".git/hooks/x", ".env", "deep/.terraform/x.txt", "terraform.tfstate", "k/sa.json",
        "terraform.tfstate.backup", "deep/z.tfvars", "deep/store.p12", "deep/client.key",
        "deep/terraform.rc", "given/variables",
    ):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    if link != "web.tfvars":
        Path("web.tfvars").symlink_to("given/variables")
    Path(link).symlink_to(here / "conf" / target)
    assert refusal(".").startswith(f"'{link}' is a link to '{here / 'conf' / target}', {why}: ")


def test_what_is_named_by_a_link_is_judged_as_what_it_is_named_for(here: Path) -> None:
    os.chdir("conf")
    Path("more.hcl").write_text(f'{NAMED}\nconsul {{ tls {{ key = "client.key" }} }}')
    for folder_ in ("given", "k"):
        Path(folder_).mkdir()
    for link, target in (
        ("web.tfvars", "prod.tfvars"), ("k/sa.json", "account.json"), ("ca.pem", "other.pem"),
        ("client.key", "other.key"),
    ):  # fmt: skip
        (Path("given") / target).write_text("{}")
        Path(link).symlink_to(here / "conf/given" / target)
    assert {"web.tfvars", "k/sa.json", "ca.pem", "client.key"} <= found(".")


def test_a_file_below_a_linked_folder_is_judged_too(here: Path) -> None:
    os.chdir("conf")
    Path("given").mkdir()
    Path("given/x.hcl").write_text(task("dns"))
    Path("modules/m/shared").symlink_to("../../given")
    assert OTHER in refusal("tasks.hcl", "given/x.hcl")
    assert "modules/m/shared/x.hcl" in found("tasks.hcl")


@pytest.mark.parametrize(
    ("link", "name"), [("conf/modules", "modules/m"), ("conf/modules/m", "modules/m")]
)
def test_a_link_on_the_way_is_named(here: Path, link: str, name: str) -> None:
    (here / link).rename(here / "moved")
    (here / link).symlink_to(here / "moved")
    assert f"'{link}' is a link to '{here / 'moved'}', which is outside" in refusal("conf")


def test_a_link_to_a_link_that_leads_out_is_refused(here: Path) -> None:
    (here / "conf/first").symlink_to("second")
    (here / "conf/second").symlink_to("../elsewhere")
    (here / "conf/modules/m/x").symlink_to("../../first/a.hcl")
    assert f"is a link to '{here / 'elsewhere/a.hcl'}', which is outside" in refusal("conf")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("conf/b.hcl", "../absent"),
        ("conf/b.hcl", "tasks.hcl/x"),
        ("conf/modules/m/b.tf", "absent.tf"),
    ],
)
def test_a_link_to_nothing_is_refused(here: Path, link: str, target: str) -> None:
    """To skip it would leave out a file that was meant to be there, and remove its tasks."""
    (here / link).symlink_to(target)
    told = f"'{link}' is a link to '{target}', which does not exist: "
    assert refusal("conf").startswith(told)


@pytest.mark.parametrize("link", ["conf/b.hcl", "conf/modules/m/b.tf"])
def test_links_in_a_circle_are_refused(here: Path, link: str) -> None:
    (here / link).symlink_to("other")
    (here / link).with_name("other").symlink_to(Path(link).name)
    assert refusal("conf").startswith(f"'{link}' is a link to 'other', which leads back to it: ")


@pytest.mark.parametrize("link", ["conf/b.hcl", "conf/modules/m/b.tf"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_link_to_what_would_block_is_refused(here: Path, link: str, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo("conf/special")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("conf/special")
    (here / link).symlink_to(here / "conf/special")
    assert "which is neither a file nor a folder: " in refusal("conf")


def test_a_link_to_a_device_is_refused(here: Path) -> None:
    (here / "conf/b.hcl").symlink_to("/dev/zero")
    assert "'conf/b.hcl' is a link to '/dev/zero', which is outside" in refusal("conf")


def test_links_that_stay_inside_are_followed(here: Path) -> None:
    """As a ConfigMap is mounted."""
    (here / "conf/..1/shared").mkdir(parents=True)
    (here / "conf/..1/b.hcl").write_text(task("dns"))
    (here / "conf/..1/shared/x.txt").write_text("x")
    (here / "conf/..data").symlink_to("..1")
    (here / "conf/b.hcl").symlink_to("..data/b.hcl")
    (here / "conf/modules/m/shared").symlink_to(here / "conf/..data/shared")
    assert found("conf") == {
        "b.hcl", "tasks.hcl", "modules/m/main.tf", "modules/m/shared/x.txt",
    }  # fmt: skip


def test_what_is_given_may_be_a_link(here: Path) -> None:
    (here / "linked").symlink_to("conf")
    assert found("linked") == found("conf")
    (here / "one.hcl").symlink_to("elsewhere/a.hcl")
    (here / "work").mkdir()
    os.chdir(here / "work")
    Path("tasks.hcl").symlink_to("../conf/tasks.hcl")
    Path("more").symlink_to("../conf")
    Path("modules").mkdir()
    assert found("tasks.hcl", "more") == {".configuration", "tasks.hcl", "more/tasks.hcl"}


def test_a_link_out_of_the_working_directory_is_refused(here: Path) -> None:
    os.chdir(here / "conf")
    Path("modules/m/more").symlink_to(here / "elsewhere")
    told = f"'{here}/conf/modules/m/more' is a link to '{here}/elsewhere', which is outside "
    assert refusal("tasks.hcl").startswith(f"{told}'{here}/conf'")


def test_what_is_near_is_not_looked_for_elsewhere(here: Path) -> None:
    (here / "conf/tasks.hcl").write_text('task { name = "t" module = "acme" }')
    (here / "conf/acme").symlink_to(here / "elsewhere")
    assert found("conf") == {"tasks.hcl"}
    (here / "conf/tasks.hcl").write_text('task { name = "t" module = "./absent" }')
    (here / "conf/near.tf").symlink_to(here / "elsewhere/main.tf")
    assert found("conf") == {"tasks.hcl", "modules/m/main.tf"}


def test_folders_that_lead_to_each_other_in_many_ways_come_to_an_end(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty folders without files, each with two links to the next: a billion ways."""
    monkeypatch.setattr(sources, "MOST_FOLDERS", 100)
    for number in range(30):
        each = here / f"conf/modules/m/z{number}"
        each.mkdir()
        for name in ("a", "b"):
            (each / name).symlink_to(f"../z{number + 1}")
    (here / "conf/modules/m/z30").mkdir()
    assert "refers to more than 100 folders" in refusal("conf")


@pytest.mark.parametrize("name", ["a\\b.tf", "a\nb.tf", "a\x1b[2J.tf"])
def test_a_name_that_the_publisher_refuses_is_refused_before(here: Path, name: str) -> None:
    (here / "conf/modules/m" / name).touch()
    told = f"{f'modules/m/{name}'!r} can't be a name in a bundle, because it contains a "
    assert refusal("conf").startswith(told)


def test_a_configuration_file_with_such_a_name_is_refused(here: Path) -> None:
    (here / "conf/c:b.hcl").touch()
    assert refusal("conf").startswith("'c:b.hcl' can't be a name in a bundle, because it")


def test_nothing_is_pushed_of_a_folder_with_a_link_out_of_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account: Account = deployed(monkeypatch)
    (here / "conf/modules/m/more").symlink_to(here / "elsewhere")
    for command in ("push", "validate", "import"):
        result = cts(command, "conf")
        assert (result.exit_code, account.pushed, result.stdout) == (2, [], "")
        assert result.stderr.startswith("cts: 'conf/modules/m/more' is a link to")
