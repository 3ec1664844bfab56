"""A push is published whole or not at all, and what is wrong with it is said."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cts import keys
from tests.e2e.world import folder_of, task

if TYPE_CHECKING:
    from pathlib import Path

    from cts.generation import Current
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

SYNTAX = """task {
  name = "bad"
  module = "./modules/record"
  condition "services" names = ["bad"]
}
"""
OPTION = """task {
  name = "bad"
  module = "./modules/record"
  descripton = "a typing error"
  condition "services" {
    names = ["bad"]
  }
}
"""
MODULE = task("bad", "bad", module="./modules/recrod")
TOKEN = "4ecf0b1e-a-token"


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("syntax", SYNTAX, 4, ["is not expected here", "after the label"]),
        ("option", OPTION, 4, ["unknown option", "description"]),
        ("module", MODULE, 4, ["./modules/recrod", "./modules/record"]),
    ],
    ids=["syntax", "option", "module"],
)
def test_a_bad_push_says_why_and_changes_nothing(
    world: World, tmp_path: Path, name: str, text: str, line: int, says: list[str]
) -> None:
    """The command says it before it pushes; whatever is uploaded all the same is rejected."""
    good = f"good-{name}"
    world.catalog.register(f"{good}-1", good, "10.0.0.1", 80)
    live = world.publish({f"{good}.hcl": task(good, good)}).number
    world.applied_right(good, good)
    before = world.mark()
    files = {**world.files, "bad.hcl": text}

    command = world.cts("push", str(folder_of(tmp_path, files)))
    assert command.returncode == 1, command.stderr
    assert "Nothing was pushed." in command.stderr
    shown = " ".join(command.stdout.split())
    assert f"bad.hcl:{line}" in shown
    assert world.events("ConfigRejected", before) == []

    world.upload(files)
    event, *again = world.until(lambda: world.events("ConfigRejected", before), "ConfigRejected")
    assert {each["detail"]["id"] for each in again} <= {event["detail"]["id"]}  # sent at least once
    [problem] = event["detail"]["problems"]
    assert (problem["file"], problem["line"]) == ("bad.hcl", line)
    assert all(word in f"{problem['what']}; {problem['fix']}" for word in says)
    assert problem["what"] in shown
    assert problem["fix"] in shown
    assert _current(world).number == live
    world.catalog.register(f"{good}-1", good, "10.0.0.1", 81)
    assert len(world.applied_right(good, good)) == 2


def test_the_command_waits_until_a_good_push_is_published(world: World, tmp_path: Path) -> None:
    files = {**world.files, "fine.hcl": task("fine", "fine")}
    command = world.cts("push", str(folder_of(tmp_path, files)), "--yes")
    assert command.returncode == 0, command.stderr
    assert "fine" in _current(world).added
    assert "+ fine" in command.stdout


def test_a_push_that_removes_a_task_needs_yes_and_a_rollback_brings_it_back(
    world: World, tmp_path: Path
) -> None:
    world.catalog.register("kept-1", "kept", "10.0.0.1", 80)
    world.publish({"kept.hcl": task("kept", "kept")})
    world.applied_right("kept", "kept")
    files = {name: text for name, text in world.files.items() if name != "kept.hcl"}
    folder = str(folder_of(tmp_path, {**files, "other.hcl": task("other", "other")}))

    refused = world.cts("push", folder)
    assert refused.returncode == 2
    assert "kept" in refused.stderr
    assert "--yes" in refused.stderr

    assert world.cts("push", folder, "--yes").returncode == 0
    assert "kept" in _current(world).removed

    back = world.cts("rollback", "--yes")
    assert back.returncode == 0, back.stderr
    assert "kept" in _current(world).added
    world.catalog.register("kept-1", "kept", "10.0.0.1", 81)
    world.applied_right("kept", "kept")


def test_a_secret_of_a_file_moves_to_the_stacks_secret(world: World, tmp_path: Path) -> None:
    """And it is the token that Consul is asked with. Consul ignores it here: it has no ACLs."""
    arn = world.stack.outputs["ConnectionSecret"]
    secrets = world.client("secretsmanager")
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"OLD": "kept"}))
    text = f'consul {{\n  token = "{TOKEN}"\n}}\n'
    files = {**world.files, "consul.hcl": text, "secret.hcl": task("secret", "secret")}

    command = world.cts("push", str(folder_of(tmp_path, files)), "--yes")

    assert command.returncode == 0, command.stderr
    assert TOKEN not in command.stdout + command.stderr
    assert "CONSUL_HTTP_TOKEN" in command.stdout
    held = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert held == {"OLD": "kept", "CONSUL_HTTP_TOKEN": TOKEN}
    body = world.object(keys.BUNDLE)
    assert body is not None
    bundle = zipfile.ZipFile(io.BytesIO(body))
    assert not any(TOKEN.encode() in bundle.read(name) for name in bundle.namelist())
    world.catalog.register("secret-1", "secret", "10.0.0.1", 80)
    world.applied_right("secret", "secret")


def test_two_pushes_at_once_lose_no_secret(world: World, tmp_path: Path) -> None:
    arn = world.stack.outputs["TaskSecret"]
    files = {**world.files, "two.hcl": task("two", "two")}
    folders = []
    for name in ("one", "other"):
        provider = f'terraform_provider "{name}" {{\n  password = "pw-of-{name}"\n}}\n'
        folders.append(folder_of(tmp_path / name, {**files, "provider.hcl": provider}))

    with ThreadPoolExecutor() as pool:
        commands = [*pool.map(lambda each: world.cts("push", str(each), "--yes"), folders)]

    assert all("published" in each.stdout or "a newer push" in each.stdout for each in commands)
    held = world.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    assert json.loads(held) == {
        "TERRAFORM_PROVIDER_ONE_PASSWORD": "pw-of-one",
        "TERRAFORM_PROVIDER_OTHER_PASSWORD": "pw-of-other",
    }


def _current(world: World) -> Current:
    current = world.table.current()
    assert current is not None
    return current
