"""The waits, tick by tick."""

from collections.abc import Iterator
from typing import Any

import pytest

from cts_cli.aws import Newest
from cts_cli.errors import CommandError
from cts_cli.waits import LONG, Outcome, along, for_answer, until_answered

Facts = dict[str, Any]


class Script:
    """A reader whose answers are listed; the last of each kind stays."""

    def __init__(self, answers: list[Facts], texts: list[str | None] | None = None) -> None:
        self.answers, self.texts = answers, texts or [None]

    def get(self, *path: str, **query: str | int) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def text(self, *path: str) -> str | None:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


def configuration(live: str | None = None, rejected: str | None = None) -> Facts:
    return {
        "live": {"source_version": live} if live else None,
        "rejected": {"source_version": rejected} if rejected else None,
    }


def pushed(
    answers: list[Facts], newest: str | None = "mine", ticks: Iterator[float] | None = None
) -> tuple[Outcome, list[str]]:
    told: list[str] = []
    waiting = ticks or iter([0.0, 1.0, 2.0])
    given = for_answer(
        Script(answers), lambda: Newest(newest) if newest else None, "mine", waiting, told.append
    )
    return given.outcome, told


def test_only_the_answer_to_this_very_push_counts() -> None:
    before = configuration(live="former", rejected="another")
    assert pushed([before, configuration(live="mine")])[0] is Outcome.PUBLISHED
    assert pushed([before, configuration("former", "mine")])[0] is Outcome.REJECTED


def test_a_newer_push_ends_the_wait() -> None:
    assert pushed([configuration(live="former")], newest="newer")[0] is Outcome.REPLACED


def test_a_push_that_was_answered_counts_though_a_newer_one_came() -> None:
    assert pushed([configuration(rejected="mine")], newest="newer")[0] is Outcome.REJECTED


def test_a_long_wait_says_what_it_waits_for() -> None:
    answers = [configuration(), configuration(), configuration(live="mine")]
    _, told = pushed(answers, ticks=iter([0.0, LONG + 1, LONG + 2]))
    assert told == ["still waiting: the publisher checks for new pushes at least every 5 minutes"]


def test_a_push_without_answer_is_told_in_the_end() -> None:
    with pytest.raises(CommandError, match="was not processed within 6 minutes"):
        pushed([configuration()])


@pytest.mark.parametrize(
    ("pushes", "answers", "told"),
    [
        pytest.param([None], [configuration()], 0, id="who-may-not-look-waits-for-nothing"),
        pytest.param([Newest()], [configuration()], 0, id="nothing-was-pushed"),
        pytest.param([Newest("a")], [configuration(live="a")], 0, id="live"),
        pytest.param([Newest("a")], [configuration("b", "a")], 0, id="rejected"),
        pytest.param(
            [Newest("a")], [configuration(), configuration(), configuration("a")], 1, id="late"
        ),
        pytest.param(
            [Newest("a"), Newest("b")], [configuration(), configuration("b")], 1, id="another"
        ),
        pytest.param([Newest("a")], [configuration()], 2, id="never"),
    ],
)
def test_a_push_waits_until_the_one_before_it_was_answered(
    pushes: list[Newest | None], answers: list[Facts], told: int
) -> None:
    last, said, made = pushes[-1], list[str](), iter(pushes)
    found = until_answered(Script(answers), lambda: next(made, last), range(3), said.append)
    assert (found, len(said)) == (last, told)


def test_a_log_is_shown_as_it_grows_until_the_run_ends() -> None:
    runs = [
        {"status": "pending"},
        {"status": "pending"},
        {"status": "pending"},
        {"status": "applied"},
    ]
    shown: list[str] = []
    told: list[str] = []
    script = Script(runs, [None, "init\n", "init\n", "init\napply\n"])
    run = along(script, "web-1", iter(range(9)), shown.append, told.append)
    assert run == {"status": "applied"}
    assert shown == ["init\n", "apply\n"]
    assert told == [
        "waiting for output from web-1",
        "web-1 is still running",
        "web-1 is still running",
    ]


def test_who_follows_a_run_that_waits_for_people_is_told_for_what() -> None:
    runs = [{"status": "pending", "waits": "waits for ann"}, {"status": "applied"}]
    told: list[str] = []
    along(Script(runs, [""]), "web-1", iter(range(9)), lambda _: None, told.append)
    assert told == ["web-1 waits for ann"]


def test_a_log_that_was_cut_at_its_start_is_shown_again() -> None:
    runs = [{"status": "pending"}, {"status": "applied"}]
    shown: list[str] = []
    script = Script(runs, ["abc", "[cut]c"])
    along(script, "web-1", iter(range(9)), shown.append, lambda _: None)
    assert shown == ["abc", "[cut]c"]
