"""The search for secrets finds what is wrapped."""

import base64
import gzip
from typing import Any

import pytest

from cts.terraform.archive import zipped
from tests.digging import holding

CANARY = "canary-4711-of-this-test"


@pytest.mark.parametrize(
    "wrapped",
    [
        CANARY,
        f"a {CANARY} b".encode(),
        {"a": [CANARY]},
        {CANARY: 1},
        zipped({"a/b.txt": f"x{CANARY}"}),
        zipped({CANARY: "x"}),
        zipped({"inner.zip": zipped({"a": CANARY})}),
        gzip.compress(CANARY.encode(), mtime=0),
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(f"??>>{CANARY}".encode()).decode().rstrip("="),
        f"body={base64.b64encode(gzip.compress(zipped({'a': CANARY}), mtime=0)).decode()};",
        zipped({"a.json": base64.b64encode(CANARY.encode())}),
    ],
)
def test_a_canary_is_found_however_it_is_wrapped(wrapped: Any) -> None:
    assert holding(CANARY, {"place": wrapped, "other": ["nothing", b"PK", b"\x1f\x8b", 5]}) == {
        "place"
    }
