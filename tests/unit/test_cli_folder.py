"""What of a folder is pushed."""

import errno
import os
from pathlib import Path

import pytest

from cts.config.bundle import LARGEST_BUNDLE, archive
from cts_cli import folder
from cts_cli.errors import CommandError


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    write(tmp_path / "tasks.hcl", "task {}")
    return tmp_path


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_everything_is_pushed_but_hidden_files_and_caches(conf: Path) -> None:
    write(conf / "modules/web/main.tf", "resource")
    for left_out in (".terraform/x", ".git/HEAD", ".env", "modules/web/__pycache__/x.pyc"):
        write(conf / left_out)
    assert folder.read(conf) == {"tasks.hcl": b"task {}", "modules/web/main.tf": b"resource"}


def test_the_same_folder_makes_the_same_bytes(conf: Path) -> None:
    write(conf / "b.json", "{}")
    first = archive(folder.read(conf))
    os.utime(conf / "b.json", (1, 1))
    (conf / "b.json").chmod(0o600)
    assert archive(folder.read(conf)) == first


def test_a_linked_folder_is_pushed_as_if_it_stood_there(conf: Path, tmp_path: Path) -> None:
    write(conf / "shared/main.tf", "x")
    (conf / "modules").mkdir()
    (conf / "modules/web").symlink_to(conf / "shared")
    assert folder.read(conf)["modules/web/main.tf"] == b"x"


def test_a_link_that_leads_back_is_refused(conf: Path) -> None:
    (conf / "loop").symlink_to(conf)
    with pytest.raises(CommandError, match="leads back to a folder above it"):
        folder.read(conf)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no folder '.*nothing'"):
        folder.read(tmp_path / "nothing")


def test_a_file_is_no_folder(conf: Path) -> None:
    with pytest.raises(CommandError, match="is a file: push the folder that holds it"):
        folder.read(conf / "tasks.hcl")


def test_configuration_below_the_top_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "conf/tasks.hcl")
    with pytest.raises(CommandError, match=r"no \.hcl or \.json file at the top of"):
        folder.read(tmp_path)


def test_a_folder_that_is_too_large_is_refused_before_it_is_read(conf: Path) -> None:
    with (conf / "large.bin").open("wb") as large:
        large.truncate(LARGEST_BUNDLE + 1)
    with pytest.raises(CommandError, match="more than 64 MiB"):
        folder.read(conf)


def test_a_file_that_cannot_be_read_is_named(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:  # root may read every file, so none can be made unreadable
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CommandError, match=r"reading '.*tasks\.hcl': Permission denied"):
        folder.read(conf)
