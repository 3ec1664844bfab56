"""Which of the stack's secrets a task's build may read."""

from typing import Any

import pytest

from cts.conditions.services import ServicesCondition
from cts.terraform.definition import Definition, Module, Provider
from cts.terraform.permissions import CONNECTION_SECRET, TASK_SECRET, secrets

ENV, KEY = '{{ env "PW" }}', '{{ key "pw" }}'
VAULT = '{{ with secret "kv/fw" }}{{ .Data.data.pw }}{{ end }}'
ROLE = "arn:aws:iam::123456789012:role/dns"


def task(**more: Any) -> Definition:
    return Definition("web", Module("./m"), ServicesCondition(("web",)), **more)


def provider(**more: Any) -> dict[str, Any]:
    return {"providers": (Provider("fw", **more),)}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ()),
        (provider(arguments={"pw": "x", "n": 5}), ()),
        ({"variables": {"pw": ENV}}, ()),
        (provider(arguments={"pw": "{{resolve:ssm:/fw/pw}}"}), ()),
        (provider(arguments={"hosts": [{"pw": f"a{ENV}"}]}), (TASK_SECRET,)),
        (provider(arguments={"pw": VAULT}), (TASK_SECRET,)),
        (provider(env={"PW": ENV}), (TASK_SECRET,)),
        (provider(arguments={"pw": KEY}), (CONNECTION_SECRET,)),
        ({"environment": {"PW": ENV}, "git_ssh_key": KEY}, (CONNECTION_SECRET, TASK_SECRET)),
        ({"git_ssh_key": ENV}, (TASK_SECRET,)),
        ({"backend": {"pg": {"conn_str": ENV}}}, (TASK_SECRET,)),
        ({"backend": {"consul": {"path": "x"}}}, (CONNECTION_SECRET,)),
        ({"backend": {"consul": {"address": "other:8500"}}}, ()),
        ({"environment": {"PW": ENV}, "role_arn": ROLE}, ()),
        ({"environment": {"PW": KEY}, "role_arn": ROLE}, (CONNECTION_SECRET,)),
    ],
)
def test_a_build_reads_what_its_task_refers_to(
    more: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert secrets(task(**more)) == expected


def test_a_reference_that_cannot_be_evaluated_is_named() -> None:
    with pytest.raises(ValueError, match=r'\{\{ env "A" \| or "B" \}\}'):
        secrets(task(environment={"A": '{{ env "A" | or "B" }}'}))
