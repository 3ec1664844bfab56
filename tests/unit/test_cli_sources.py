"""Which files a command reads, in which order, and by which names."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cts.config.bundle import SOURCES
from cts.config.limits import LARGEST_BUNDLE
from cts_cli import sources
from cts_cli.errors import CommandError
from tests.unit.cli_fakes import cts


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str | Path, text: str = "x") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def task(module: str, *variable_files: str) -> str:
    return (
        f'task {{ name = "t" module = "{module}" variable_files = {json.dumps(variable_files)} }}'
    )


def find(*paths: str) -> sources.Sources:
    return sources.find([Path(path) for path in paths])


def listed(*paths: str) -> list[str]:
    return find(*paths)[SOURCES].decode().splitlines()


# ---- one folder -----------------------------------------------------------------------------


def test_a_folder_is_its_configuration_and_all_that_it_names(here: Path) -> None:
    named = {
        "modules/web/main.tf": "resource", "modules/web/deeper/x.txt": "x",
        "web.tfvars": "a = 1", ".hidden.tfvars": "b = 1",
        "ca/deeper/a.pem": "a", "client.pem": "c", "client.key": "k",
    }  # fmt: skip
    write(
        "conf/tasks.hcl",
        """
        vault {
          address = "https://vault"
          tls { ca_path = "ca" cert = "./client.pem" key = "client.key" }
        }
        task {
          name = "t"
          module = "./modules/web"
          variable_files = ["web.tfvars", ".hidden.tfvars"]
        }""",
    )
    for name, text in named.items():
        write(here / "conf" / name, text)
    for left_out in (".terraform/x", ".git/HEAD", "__pycache__/x.pyc"):
        write(here / "conf/modules/web" / left_out)
    for unrelated in ("README.md", "other.tfvars", "modules/db/main.tf", "node_modules/a/a.json"):
        write(here / "conf" / unrelated)
    found = find("conf")
    assert {*found} == {"tasks.hcl", *named}
    assert all(found[name] == text.encode() for name, text in named.items())
    assert found.is_folder


def test_the_working_directory_may_be_the_folder(here: Path) -> None:
    write("tasks.hcl")
    assert [*find(".")] == ["tasks.hcl"]


def test_configuration_below_the_top_of_a_folder_does_not_count(here: Path) -> None:
    write("conf/deeper/tasks.hcl")
    write("conf/x.HCL")
    with pytest.raises(
        CommandError, match=r"no configuration files found: 'conf' has no \.hcl or \.json"
    ):
        find("conf")


def test_a_linked_folder_counts_as_if_it_stood_there(here: Path) -> None:
    write("conf/tasks.hcl", task("./web"))
    write("conf/shared/main.tf", "x")
    (here / "conf/web").symlink_to(here / "conf/shared")
    assert find("conf")["web/main.tf"] == b"x"


@pytest.mark.parametrize("leads_to", ["conf/web", "conf", "", "/"])
def test_a_link_in_a_module_that_leads_back_is_refused(here: Path, leads_to: str) -> None:
    write("conf/tasks.hcl", task("./web"))
    write("conf/web/main.tf")
    (here / "conf/web/loop").symlink_to(here / leads_to)
    with pytest.raises(CommandError, match="loop' is a link to a folder above it"):
        list(find("conf"))


def test_among_certificates_such_a_link_ends_a_branch(here: Path) -> None:
    write("conf/tasks.hcl", 'vault { tls { ca_path = "ca" } }')
    write("conf/ca/a.pem")
    (here / "conf/ca/loop").symlink_to(here / "conf")
    assert [*find("conf")] == ["tasks.hcl", "ca/a.pem"]


def test_what_the_configuration_does_not_name_is_never_looked_at(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not if it leads back, is not readable, or has too much."""
    write("conf/tasks.hcl", task("./web"))
    write("conf/web/main.tf")
    for number in range(10):
        write(f"conf/node_modules/{number}")
    (here / "conf/node_modules/self").symlink_to(here / "conf")
    monkeypatch.setattr(sources, "MOST_FILES", 2)
    looked_at: list[str] = []
    really = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        looked_at.append(path.name)
        return really(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert [*find("conf")] == ["tasks.hcl", "web/main.tf"]
    assert {*looked_at} == {"conf", "web"}


def test_beside_a_file_nothing_is_looked_at(here: Path) -> None:
    write("conf/tasks.hcl", task("acme/x/y"))
    for name in ("a", "b/c"):
        write(here / name)
    (here / "b/self").symlink_to(here)
    assert {*find("conf/tasks.hcl")} == {".configuration", "conf/tasks.hcl"}


@pytest.mark.parametrize(
    ("named", "there"),
    [
        pytest.param(task("./modules/webb"), "modules/web/main.tf", id="module"),
        pytest.param(task("./web"), "modules/web/main.tf", id="module-deeper"),
        pytest.param(task("modules/web"), "modules/web/main.tf", id="module-without-a-dot"),
        pytest.param(task("acme/x/y", "vars/a.tfvar"), "vars/a.tfvars", id="variable-file"),
    ],
)
def test_where_something_is_missing_what_is_near_is_known(
    here: Path, named: str, there: str
) -> None:
    write("conf/tasks.hcl", named)
    write(here / "conf" / there)
    write("conf/a/b/c/main.tf")
    (here / "conf/self").symlink_to(here / "conf")
    found = {*find("conf")}
    assert there in found
    assert "a/b/c/main.tf" not in found


def test_a_name_that_no_bundle_can_hold_is_left_out(here: Path) -> None:
    write("conf/tasks.hcl", task("./web"))
    write(here / "conf/web" / os.fsdecode(b"caf\xe9"))
    assert [*find("conf")] == ["tasks.hcl"]


# ---- several, or files --------------------------------------------------------------------


def test_files_are_read_in_the_order_given(here: Path) -> None:
    write("z.hcl")
    write("conf.d/a.hcl")
    assert listed("z.hcl", "conf.d/a.hcl") == ["z.hcl", "conf.d/a.hcl"]
    assert not find("z.hcl").is_folder


def test_of_a_folder_among_them_the_top_is_read_in_byte_order(here: Path) -> None:
    for name in ("a9.hcl", "Z.hcl", "a10.json", "notes.txt", "sub/b.hcl", ".hidden.hcl", "x.HCL"):
        write(here / "d" / name)
    write("last.hcl")
    assert listed("d", "last.hcl") == ["d/Z.hcl", "d/a10.json", "d/a9.hcl", "last.hcl"]


def test_a_named_file_of_another_name_or_without_content_is_skipped(here: Path) -> None:
    write("notes.txt")
    write("empty.hcl", "")
    write("b.hcl")
    assert listed("notes.txt", "empty.hcl", "b.hcl") == ["b.hcl"]


def test_an_empty_file_in_a_folder_counts(here: Path) -> None:
    write("d/a.hcl", "")
    write("b.hcl")
    assert listed("d", "b.hcl") == ["d/a.hcl", "b.hcl"]


def test_nothing_usable_is_told(here: Path) -> None:
    write("a.hcl", "")
    write("notes.txt")
    with pytest.raises(CommandError, match=r"no configuration files found in 'a\.hcl', 'notes"):
        find("a.hcl", "notes.txt")


def test_a_file_that_is_named_twice_is_read_twice(here: Path) -> None:
    write("a.hcl")
    assert listed("a.hcl", "./a.hcl") == ["a.hcl", "a.hcl"]


def test_a_hidden_file_counts_if_it_is_named_itself(here: Path) -> None:
    write(".conf/.hcl", "port = 1")
    assert find(".conf/.hcl")[".conf/.hcl"] == b"port = 1"


def test_names_begin_at_the_working_directory(here: Path) -> None:
    write("conf/a.hcl", task("./modules/web"))
    write("modules/web/main.tf", "resource")
    found = find(str(here / "conf/a.hcl"))
    assert {*found} == {".configuration", "conf/a.hcl", "modules/web/main.tf"}
    assert found["modules/web/main.tf"] == b"resource"


def test_a_path_by_a_link_to_the_working_directory_is_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "real/a.hcl")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "link")
    assert listed(str(tmp_path / "link/a.hcl")) == ["a.hcl"]


def test_a_path_outside_of_the_working_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out.hcl")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(CommandError, match=r"'\.\./out\.hcl' is outside the working directory"):
        find("../out.hcl")


# ---- what cannot be read --------------------------------------------------------------------


@pytest.mark.parametrize("others", [[], ["a.hcl"]], ids=["alone", "among others"])
def test_a_missing_path_is_told(here: Path, others: list[str]) -> None:
    write("a.hcl")
    with pytest.raises(CommandError, match=r"'absent\.hcl': no such file or directory"):
        find(*others, "absent.hcl")


def test_what_is_no_file_and_no_folder_is_told(here: Path) -> None:
    os.mkfifo(here / "pipe.hcl")
    with pytest.raises(CommandError, match=r"'pipe\.hcl' is neither a file nor a folder"):
        find("pipe.hcl")


def test_content_is_read_when_it_is_asked_for_and_stays_the_same(here: Path) -> None:
    write("conf/tasks.hcl", task("./web"))
    write("conf/web/main.tf", "first")
    with (here / "conf/web/large.bin").open("wb") as large:
        large.truncate(LARGEST_BUNDLE + 1)
    found = find("conf")
    assert found["web/main.tf"] == b"first"
    write("conf/web/main.tf", "edited meanwhile")
    assert found["web/main.tf"] == b"first"
    with pytest.raises(
        CommandError, match=r"more than 64 MiB; the last file read is '.*large\.bin'"
    ):
        found["web/large.bin"]


def test_too_many_files_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_FILES", 2)
    write("a.hcl", task("./web"))
    for name in ("b", "c"):
        write(f"web/{name}")
    with pytest.raises(CommandError, match="refers to more than 2 files"):
        list(find("a.hcl"))


def test_a_file_that_cannot_be_read_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:  # root may read every file, so none can be made unreadable
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    write("conf/tasks.hcl")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CommandError, match=r"reading 'conf/tasks\.hcl': Permission denied"):
        find("conf")["tasks.hcl"]


def test_a_path_that_is_too_long_is_told(here: Path) -> None:
    with pytest.raises(CommandError, match="File name too long"):
        find("x" * 300)


@pytest.mark.parametrize(
    "command",
    [
        ["validate", ""],
        ["validate", "conf", ""],
        ["import", ""],
        ["push", ""],
        ["push", "--dry-run", ""],
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_working_directory(here: Path, command: list[str]) -> None:
    result = cts(*command)
    assert result.exit_code == 2
    assert "the path is empty" in result.stderr


def test_an_empty_path_of_a_task_file_is_told() -> None:
    result = cts("task", "create", "-task-file", "")
    assert (result.exit_code, "the path is empty" in result.output) == (14, True)


def test_a_working_directory_that_was_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in (["validate"], ["import", "x.hcl"], ["push", str(tmp_path)]):
        result = cts(*command)
        assert result.exit_code == 2
        assert "the working directory was deleted" in result.stderr


@pytest.mark.parametrize("target", ["loop.hcl", "gone.hcl"])
def test_a_link_that_leads_to_no_file_is_told(here: Path, target: str) -> None:
    (here / "loop.hcl").symlink_to(target)
    with pytest.raises(CommandError, match=r"^'loop\.hcl' is a link that leads to no file: "):
        sources.find([Path("loop.hcl")])
