"""What the poller may see of the state bucket: which tasks have a state."""

from collections.abc import Callable
from typing import Any

import pytest

from cts.adapters.states import States
from cts.errors import Refused


def test_a_state_is_told_by_its_name(aws: Callable[[str], Any]) -> None:
    s3 = aws("s3")
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="states-of-tasks", CreateBucketConfiguration=where)
    for key in ("tasks/web/terraform.tfstate", "tasks/api/terraform.tfstate.tflock"):
        s3.put_object(Bucket="states-of-tasks", Key=key, Body=b"{}")
    states = States(s3, "states-of-tasks")
    assert [states.has_state(task) for task in ("web", "api", "we", "web-2")] == [
        True,
        False,
        False,
        False,
    ]


def test_a_bucket_that_may_not_be_seen_is_no_answer(aws: Callable[[str], Any]) -> None:
    with pytest.raises(Refused, match=r"looking for tasks/web/terraform.tfstate"):
        States(aws("s3"), "states-of-nobody").has_state("web")
