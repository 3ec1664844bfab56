"""Why a task runs, in words."""

import pytest

from cts.run.reasons import told
from cts.run.state import Reason


@pytest.mark.parametrize("reason", [each for each in Reason if each not in ("change", "schedule")])
def test_what_a_person_asks_for_is_said_so(reason: Reason) -> None:
    assert told([reason]).endswith("asked for")


def test_other_reasons_are_words_themselves() -> None:
    assert told(["schedule", Reason.CHANGE, "later"]) == "schedule, change, later"
