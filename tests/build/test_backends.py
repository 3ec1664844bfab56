"""What real Terraform says of each backend that CTS accepts. Nobody listens where they connect."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from cts.config.rules.validate import BACKENDS
from tests.build.conftest import Place
from tests.build.s3 import S3
from tests.build.test_rendering import terraform
from tests.unit.test_terraform_files import KEY_REFERENCE, built, with_backend

NOBODY = "127.0.0.1:1"
REFUSED = "connection refused"
OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "azurerm": (
        {"storage_account_name": "a", "container_name": "b", "key": "web", "access_key": "a2V5"},
        REFUSED,
    ),
    "consul": ({"address": NOBODY, "scheme": "http", "path": "x", "gzip": True}, REFUSED),
    "cos": (
        {
            "bucket": "b-125",
            "region": "ap-guangzhou",
            "secret_id": "i",
            "secret_key": "k",
            "prefix": "p",
            "encrypt": True,
        },
        "bucket b-125 not exists",
    ),
    "gcs": ({"bucket": "b", "prefix": "web"}, "storage.NewClient() failed"),
    "kubernetes": (
        {"secret_suffix": "web", "config_path": "kubeconfig", "labels": {"k8s.io/team": "net"}},
        REFUSED,
    ),
    "pg": (
        {"conn_str": f"postgres://u:p@{NOBODY}/db?sslmode=disable", "schema_name": "web"},
        REFUSED,
    ),
    "s3": (
        {
            "bucket": "b",
            "key": "web",
            "region": "eu-west-1",
            "access_key": "a",
            "secret_key": "s",
            "endpoints": {"s3": f"http://{NOBODY}"},
            "max_retries": 1,
            "skip_credentials_validation": True,
            "skip_requesting_account_id": True,
        },
        REFUSED,
    ),
}
"""Options, and how Terraform ends once it has taken them."""
BLOCKS: dict[str, dict[str, Any]] = {
    "cos": {"assume_role": {"role_arn": "r", "session_name": "s", "session_duration": 3600}},
    "kubernetes": {"exec": [{"api_version": "v1", "command": "login", "env": {"A": "b"}}]},
    "s3": {"assume_role": {"role_arn": "arn:aws:iam::123456789012:role/state"}},
}
KUBECONFIG = {
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "a"}}],
    "clusters": [{"name": "a", "cluster": {"server": f"http://{NOBODY}"}}],
}


@pytest.fixture
def alone(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment in which addresses elsewhere lead to nobody either."""
    own = {name: text for name, text in environment.items() if "proxy" not in name.lower()}
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), f"http://{NOBODY}")
    of_gcs = {"GOOGLE_APPLICATION_CREDENTIALS": "/absent"}
    return {**own, **proxies, **of_gcs, "NO_PROXY": "127.0.0.1", "HOME": str(tmp_path)}


def init(kind: str, options: dict[str, Any], folder: Path, env: dict[str, str]) -> str:
    """How `init` of such a backend fails."""
    root = built(with_backend(kind, **options))["main.tf"].partition("\nmodule ")[0]
    (folder / "main.tf").write_text(root)
    (folder / "kubeconfig").write_text(json.dumps(KUBECONFIG))
    with pytest.raises(AssertionError) as told:
        terraform("init", "-no-color", "-input=false", folder=folder, env=env)
    return str(told.value)


@pytest.mark.parametrize("kind", OPTIONS)
def test_terraform_takes_the_options_and_only_those_it_knows(
    kind: str, tmp_path: Path, alone: dict[str, str]
) -> None:
    options, end = OPTIONS[kind]
    assert end in init(kind, options, tmp_path, alone)
    said = init(kind, {**options, "not_there": "x"}, tmp_path, alone)
    assert 'An argument named "not_there" is not expected here' in said


@pytest.mark.parametrize("kind", BLOCKS)
def test_terraform_takes_objects_in_the_form_that_it_wants(
    kind: str, tmp_path: Path, alone: dict[str, str]
) -> None:
    said = init(kind, {**OPTIONS[kind][0], **BLOCKS[kind]}, tmp_path, alone)
    assert not any(word in said for word in ("Unsupported", "Invalid", "Missing")), said


def test_terraform_no_longer_has_manta(tmp_path: Path, alone: dict[str, str]) -> None:
    said = init("manta", {"path": "web"}, tmp_path, alone)
    assert "not supported in Terraform v1.3 or later" in said


def test_all_backends_are_tried() -> None:
    """`local` becomes the state bucket."""
    assert {*BACKENDS} == {*OPTIONS, "local", "manta"}


def test_a_state_in_a_bucket_of_ones_own(place: Place, s3: S3) -> None:
    """The run's records stay in the stack's bucket."""
    archive = place.archive("run-1", "")
    own = {
        "bucket": "mine",
        "key": "a/web.tfstate",
        "region": "eu-west-1",
        "access_key": "MINE",
        "secret_key": KEY_REFERENCE,
        "use_path_style": True,
        "skip_credentials_validation": True,
        "skip_requesting_account_id": True,
        "use_lockfile": True,
    }
    made = built(with_backend("s3", **own))
    assert json.loads(made["secret.backend.json"]) == {"secret_key": KEY_REFERENCE}
    root = made["main.tf"].partition("\nmodule ")[0]
    (archive / "main.tf").write_text(f'{root}\nresource "terraform_data" "one" {{}}\n')
    (archive / "secret.backend.json").write_text(json.dumps({"secret_key": "s"}))
    facts = json.loads((archive / "run.json").read_text())
    (archive / "run.json").write_text(json.dumps({**facts, "state_bucket": "", "state_key": ""}))
    assert place.build(archive) == 0, place.log("run-1")
    [state] = [key for key in s3.objects if key.startswith("mine/")]
    assert state == "mine/env:/web/a/web.tfstate"
    assert {who for who, asked in s3.signers if " mine" in asked} == {"MINE"}
    assert place.result("run-1")["status"] == "applied"
    mode = (archive / "secret.backend.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
