"""What an archive says of its run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cts.build.facts import Facts, read_facts
from cts.terraform.archive import run_archive, unzipped
from cts.terraform.definition import Definition, Module, Provider
from tests.unit.test_terraform_files import PLACE, WEB, read

TASK = Definition("web", Module("acme/web/aws"), WEB)
RUN = {"task": "web", "run": "run-1", "correlation_id": "c-1", "former_runs": []}


def facts(definition: Definition, folder: Path, **place: str) -> Facts:
    archive = run_archive(
        definition,
        read(),
        description="",
        module=None,
        place=replace(PLACE, **place),
        run=RUN,
        program=b"",
    )
    (folder / "run.json").write_bytes(unzipped(archive)["run.json"])
    return read_facts(folder / "run.json")


def test_the_build_reads_what_the_archive_says(tmp_path: Path) -> None:
    definition = replace(
        TASK,
        providers=(Provider("panos", auto_commit=True), Provider("dns", env={"A": "dns"})),
        environment={"A": "task", "B": '{{ env "B" }}'},
        vault={"address": "https://vault.example:8200", "namespace": ""},
        role_arn="arn:aws:iam::123456789012:role/web",
        after_apply=("./notify.sh", "web"),
        persist_log=True,
        git_ssh_key='{{ env "GIT_SSH_KEY" }}',
    )
    found = facts(definition, tmp_path, task_secret_arn="arn:task", consul_address="https://c")
    expected: dict[str, Any] = {
        **RUN,
        "environment": {"A": "dns", "B": '{{ env "B" }}'},
        "vault": {"address": "https://vault.example:8200", "namespace": ""},
        "role_arn": "arn:aws:iam::123456789012:role/web",
        "after_apply": ["./notify.sh", "web"],
        "persist_log": True,
        "git_ssh_key": '{{ env "GIT_SSH_KEY" }}',
        "commit": "panos",
        "state_bucket": "state-bucket",
        "state_key": "tasks/web/terraform.tfstate",
        "task_secret_arn": "arn:task",
        "consul_address": "https://c",
    }
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("backend", "in_bucket", "in_consul"),
    [
        ({}, True, False),
        ({"consul": {"path": "x"}}, False, True),
        ({"consul": {"path": "x", "address": "c:1"}}, False, False),
        ({"s3": {"bucket": "b", "key": "k"}}, False, False),
    ],
)
def test_where_the_state_is(
    backend: dict[str, Any], in_bucket: bool, in_consul: bool, tmp_path: Path
) -> None:
    found = facts(replace(TASK, backend=backend), tmp_path)
    assert (bool(found.state_bucket), bool(found.state_key)) == (in_bucket, in_bucket)
    assert found.consul_backend == in_consul
