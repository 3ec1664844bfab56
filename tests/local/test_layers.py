"""Layers are unpacked once for all sandboxes."""

from __future__ import annotations

import tempfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from local import layers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def packed(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("python/module.py", text)
    return file


def unpacked(file: Path) -> Path:
    folder = file.with_suffix("")
    folder.mkdir()
    with layers.ZipFile(str(file)) as archive:
        archive.extractall(str(folder))
    return folder


def test_two_sandboxes_share_the_files_of_a_layer(tmp_path: Path) -> None:
    one = unpacked(packed(tmp_path / "one" / "layer_0.zip", "x = 1"))
    two = unpacked(packed(tmp_path / "two" / "layer_0.zip", "x = 1"))
    assert (one / "python" / "module.py").read_text() == "x = 1"
    assert one.resolve() == two.resolve()


def test_another_content_is_another_layer(tmp_path: Path) -> None:
    one = unpacked(packed(tmp_path / "one" / "layer_0.zip", "x = 1"))
    two = unpacked(packed(tmp_path / "two" / "layer_0.zip", "x = 2"))
    assert (one / "python" / "module.py").read_text() == "x = 1"
    assert (two / "python" / "module.py").read_text() == "x = 2"


def test_the_code_of_a_function_is_each_sandboxes_own(tmp_path: Path) -> None:
    folder = unpacked(packed(tmp_path / "one" / "code.zip", "x = 1"))
    assert folder.resolve() == folder
    assert (folder / "python" / "module.py").read_text() == "x = 1"
