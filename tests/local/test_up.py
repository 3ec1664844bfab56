"""What `make local` leaves for other shells, and how it finds what it has started."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from local import __main__ as up
from local.consul import Consul
from local.programs import endpoint_in
from local.serve import tell_ready
from local.tools import PROJECT

if TYPE_CHECKING:
    from local.stack import Stack

NAMES = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "CTS_STACK", "CONSUL_HTTP_ADDR")
FOUND = cast(
    "Stack",
    SimpleNamespace(
        env={name: f"a {name}" for name in up.SHOWN} | {"HOME": "/elsewhere"},
        consul="http://127.0.0.1:1",
    ),
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(up, "ENV", tmp_path / "env")
    monkeypatch.setattr(up, "PID", tmp_path / "pid")
    return tmp_path / "env"


def test_a_shell_that_reads_the_file_works_with_the_stack(file: Path) -> None:
    with up.env_file(FOUND):
        shell = subprocess.run(
            ["sh", "-c", f". {file}; command -v cts; env"],
            env={"AWS_PROFILE": "mine", "PATH": "/usr/bin:/bin", "HOME": "/home/u"},
            capture_output=True,
            text=True,
            check=True,
        )
    cts, *lines = shell.stdout.splitlines()
    env = dict(line.split("=", 1) for line in lines)
    assert {name: env.get(name) for name in NAMES} == {
        "AWS_ENDPOINT_URL": "a AWS_ENDPOINT_URL",
        "AWS_PROFILE": None,
        "CTS_STACK": "a CTS_STACK",
        "CONSUL_HTTP_ADDR": "http://127.0.0.1:1",
    }
    assert env["HOME"] == "/home/u"
    assert cts.startswith(str(PROJECT))


def test_the_file_goes_with_the_stack(file: Path) -> None:
    with up.env_file(FOUND):
        assert file.exists()
    assert not file.exists()


def test_a_file_that_a_killed_stack_left_is_removed(file: Path) -> None:
    file.write_text("")
    assert up.down() == 0
    assert not file.exists()


def test_a_half_written_file_of_the_front_is_waited_for(tmp_path: Path) -> None:
    ready = tmp_path / "front.json"
    assert not endpoint_in(ready)
    for half in ("", '{"endpoint": "http'):
        ready.write_text(half)
        assert not endpoint_in(ready)
    tell_ready(tmp_path, "http://127.0.0.1:1")
    assert endpoint_in(ready) == "http://127.0.0.1:1"


def test_the_front_never_shows_half_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(path: Path, text: str) -> None:
        with path.open("w") as file:
            file.write(text[:5])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", stops)
    with pytest.raises(OSError, match="no space left"):
        tell_ready(tmp_path, "http://127.0.0.1:1")
    assert not (tmp_path / "front.json").exists()


@pytest.mark.parametrize(
    ("version", "is_told"),
    [("1.8.7", False), ("1.13.9", False), ("1.14.0", True), ("1.21.4", True), ("2.1.0", True)],
)
def test_a_consul_that_serves_grpc_over_tls_is_told_not_to(
    tmp_path: Path, version: str, is_told: bool
) -> None:
    """Two of them would want one port. An older one refuses an option that it doesn't know."""
    binary = tmp_path / "consul"
    binary.write_text(f"#!/bin/sh\necho Consul v{version}\n")
    binary.chmod(0o755)
    consul = Consul(tmp_path / "data", {"log_level": "INFO"})
    consul.launch(binary)
    consul.stop()
    settings: dict[str, Any] = json.loads((tmp_path / "data/consul.json").read_text())
    assert settings["ports"].get("grpc_tls") == (-1 if is_told else None)
    assert settings["ports"]["grpc"] == -1
    assert settings["log_level"] == "INFO"
