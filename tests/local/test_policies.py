"""The variables of policies."""

from typing import Any

import pytest

from local.policies import filled

KEYS = {"aws:principaltag/task": "web", "aws:userid": "AROA:x"}


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("arn:aws:s3:::b/runs/${aws:PrincipalTag/task}/*", "arn:aws:s3:::b/runs/web/*"),
        ("${aws:userid}/${AWS:principaltag/TASK}", "AROA:x/web"),
        ("plain", "plain"),
        ({"StringLike": {"s3:prefix": ["a", "${aws:PrincipalTag/task}"]}},
         {"StringLike": {"s3:prefix": ["a", "web"]}}),
        (["${aws:PrincipalTag/run}"], ["\0"]),
        ({"Bool": True}, {"Bool": True}),
    ],
)  # fmt: skip
def test_a_variable_is_what_the_context_says_or_matches_nothing(value: Any, meant: Any) -> None:
    assert filled(value, KEYS) == meant
