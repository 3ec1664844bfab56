"""Where Terraform and Consul come from when the machine lacks them."""

import hashlib
import io
import zipfile
from pathlib import Path
from urllib.error import URLError

import pytest

from local import deploy, tools

DEB822 = """Types: deb
# https://mirror.example/archive
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
"""
ONE_LINE = "deb [arch=amd64] https://mirror.example/debian/ bookworm main\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [("sources.list.d/debian.sources", DEB822), ("sources.list", ONE_LINE)],
)
def test_consuls_package_comes_from_the_machines_own_archive(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    source = tools.debian_source(tmp_path)
    assert "https://mirror.example/debian" in source
    assert " bullseye main" in source


def test_a_machine_without_debians_archive_says_so(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb https://mirror.example/ubuntu noble main\n")
    with pytest.raises(OSError, match="no Debian package source"):
        tools.debian_source(tmp_path)


def release(checksum: str = "") -> dict[str, bytes]:
    """What is found at the publisher's: checksums and the archive, by the end of the address."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("consul", "binary")
    digest = checksum or hashlib.sha256(content.getvalue()).hexdigest()
    machines = [f"consul_{tools.CONSUL_RELEASE}_linux_{name}.zip" for name in ("amd64", "arm64")]
    sums = "".join(f"{digest}  {name}\n" for name in machines)
    return {"SHA256SUMS": sums.encode(), "zip": content.getvalue()}


def test_a_release_with_the_right_checksum_is_taken() -> None:
    files = release()
    assert tools.consul_release(lambda url: files[_kind(url)]) == b"binary"


def test_a_release_with_a_wrong_checksum_is_refused() -> None:
    files = release(checksum="0" * 64)
    with pytest.raises(tools.WrongChecksum):
        tools.consul_release(lambda url: files[_kind(url)])


def test_it_says_why_consul_comes_from_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(url: str) -> bytes:
        raise URLError("Name or service not known")

    told: list[str] = []
    monkeypatch.setattr(tools, "BIN", tmp_path)
    monkeypatch.setattr(tools, "_on_path", lambda _: None)
    monkeypatch.setattr(tools, "_get", no_network)
    monkeypatch.setattr(tools, "_fetch_debian_consul", Path.touch)
    assert tools.consul(told.append) == tmp_path / "consul"
    assert told[1] == (
        "It could not be fetched: Name or service not known. "
        "Fetching the Debian package from bullseye instead."
    )


def _kind(url: str) -> str:
    return "zip" if url.endswith(".zip") else "SHA256SUMS"


def test_tools_get_a_home_of_the_project_and_empty_settings(tmp_path: Path) -> None:
    env = tools.environment(tmp_path)
    for name in ("TF_CLI_CONFIG_FILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(env[name]).parent == tmp_path
        assert Path(env[name]).read_text() == ""
    assert Path(env["HOME"]).is_relative_to(tmp_path)


def test_a_build_is_made_again_only_for_what_it_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "layers" / "__pycache__").mkdir(parents=True)
    template = tmp_path / "template.yaml"
    template.write_text("a")
    before = deploy.digest(template)
    (tmp_path / "README.md").write_text("b")
    (tmp_path / "layers" / "__pycache__" / "c.pyc").write_text("c")
    assert deploy.digest(template) == before
    (tmp_path / "layers" / "code.py").write_text("d")
    assert deploy.digest(template) != before
