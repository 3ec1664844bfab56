"""When the alarms are raised and when not, on what the functions count."""

from collections.abc import Callable, Iterator

import pytest

from cts.run.retry import after_busy
from cts.workflow.poll import Tally
from cts.workflow.watcher import Beat
from local.alarms import MINUTE, Changes, Series, watch
from tests.template.written import alarms

ALARMS = alarms()
BEAT = 20
HAND_OVER = 12 * MINUTE
DAY = 24 * 60
NOTHING = Changes([], [])


def beats(
    minutes: int,
    stale: Callable[[int], int],
    *,
    every: int = BEAT,
    forgets: bool = False,
) -> Iterator[tuple[float, float]]:
    """What a poller counts as stale at its heartbeats: `stale` of the minute. At each hand-over two
    pollers overlap; one that `forgets` knows at its first heartbeat of nothing that is stale. In
    mode `poll` each heartbeat is that of another poller."""
    was = 0
    for at in range(0, minutes * MINUTE, every):
        now = stale(at // MINUTE)
        yield from counted_stale(at, now, was)
        if at % HAND_OVER == 0:
            yield from counted_stale(at + 3, 0 if forgets else now, 0)
        was = now if every < MINUTE else 0


def counted_stale(at: float, stale: int, was: int) -> Series:
    counted = Beat(views=12, stale=stale, tally=Tally(), was_stale=was).counted
    return [(at, value) for name, _, value in counted if name == "StaleViews"]


def between(first: int, last: int) -> Callable[[int], int]:
    return lambda minute: 12 if first <= minute < last else 0


def sent(*minutes: float) -> Series:
    return [(minute * MINUTE, 1.0) for minute in minutes]


# ---- Consul is not seen -------------------------------------------------------------------


@pytest.mark.parametrize("every", [BEAT, MINUTE], ids=["live", "poll"])
@pytest.mark.parametrize("forgets", [False, True])
def test_consul_away_is_one_alarm_over_all_hand_overs(every: int, forgets: bool) -> None:
    series = beats(90, between(5, 70), every=every, forgets=forgets)
    found = watch(ALARMS["ViewsStale"], series, 90)
    assert (len(found.raised), len(found.ended)) == (1, 1)
    assert 10 <= found.raised[0] <= 12
    assert 71 <= found.ended[0] <= 76


def test_a_poller_that_is_replaced_meanwhile_does_not_end_the_alarm() -> None:
    dies = range(20 * MINUTE, 22 * MINUTE)
    series = [each for each in beats(60, between(5, 60)) if each[0] not in dies]
    assert watch(ALARMS["ViewsStale"], series, 60).ended == []


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param(lambda _: 0, id="never"),
        pytest.param(between(10, 14), id="four-minutes"),
        pytest.param(lambda minute: minute % 2, id="every-other-minute"),
    ],
)
def test_a_view_that_comes_back_is_no_alarm(stale: Callable[[int], int]) -> None:
    assert watch(ALARMS["ViewsStale"], beats(60, stale), 60) == NOTHING


def test_one_view_that_flaps_is_no_alarm() -> None:
    series = [(at, at // BEAT % 3 == 0) for at in range(0, 60 * MINUTE, BEAT)]
    assert watch(ALARMS["ViewsStale"], series, 60) == NOTHING


# ---- nobody asks --------------------------------------------------------------------------


def alive(*minutes: range) -> Series:
    return [(at, 1) for part in minutes for at in range(part.start * 60, part.stop * 60, BEAT)]


def test_a_poller_that_is_gone_is_an_alarm_until_the_next_one() -> None:
    found = watch(ALARMS["PollerSilent"], alive(range(30), range(60, 90)), 90)
    assert (len(found.raised), len(found.ended)) == (1, 1)
    assert 35 <= found.raised[0] <= 38
    assert 61 <= found.ended[0] <= 62


def test_a_poller_that_another_replaces_within_two_minutes_is_no_alarm() -> None:
    parts = [range(first, first + 10) for first in range(0, 60, 12)]
    assert watch(ALARMS["PollerSilent"], alive(*parts), 58) == NOTHING


def test_in_mode_poll_a_tick_may_be_late_or_missed() -> None:
    late = [(minute * MINUTE + 45 * (minute % 2), 1) for minute in range(60) if minute % 5 < 4]
    assert watch(ALARMS["PollerSilent"], late, 60) == NOTHING


# ---- AWS is out of reach ------------------------------------------------------------------


def test_errors_of_aws_for_five_minutes_are_an_alarm() -> None:
    """Each call gives up after 43 seconds, so that not every heartbeat counts one."""
    errors = [(at, 1) for at in range(10 * MINUTE, 40 * MINUTE, 43)]
    found = watch(ALARMS["AwsErrors"], errors, 60)
    assert (len(found.raised), len(found.ended)) == (1, 1)
    assert 15 <= found.raised[0] <= 17
    assert 41 <= found.ended[0] <= 46


def test_an_error_of_aws_now_and_then_is_no_alarm() -> None:
    errors = sent(*range(0, 60, 3))
    assert watch(ALARMS["AwsErrors"], errors, 60) == NOTHING


# ---- what went wrong once -----------------------------------------------------------------


def depth(arrived: list[int], minutes: int) -> Series:
    """Messages that wait: each stays for two weeks."""
    return [(at * MINUTE, sum(each <= at for each in arrived)) for at in range(minutes)]


def test_a_dead_letter_is_an_alarm_though_one_of_last_week_still_waits() -> None:
    alarm = ALARMS["DeadLettersWaiting"]
    last_week, today = 10, 7 * DAY
    letters = {"NumberOfMessagesSent": sent(last_week, today)}
    letters["ApproximateNumberOfMessagesVisible"] = depth([last_week, today], 7 * DAY + 60)
    found = watch(alarm, letters[alarm["MetricName"]], 7 * DAY + 60)
    assert found.raised == [last_week + 1, today + 1]


def test_the_dead_letters_of_one_outage_are_one_alarm() -> None:
    assert watch(ALARMS["DeadLettersWaiting"], sent(*range(10, 70)), 120).raised == [11]


def test_a_dead_letter_that_is_counted_a_quarter_of_an_hour_late_is_an_alarm() -> None:
    """SQS takes so long for a queue that nobody used for six hours."""
    alarm = ALARMS["DeadLettersWaiting"]
    assert alarm["Period"] > 15 * MINUTE


@pytest.mark.parametrize("name", ["ReaderFailing", "ApiFailing"])
def test_an_error_of_what_people_call_is_an_alarm(name: str) -> None:
    """No retry and no dead letter tells of it."""
    found = watch(ALARMS[name], [(at, at == 600) for at in range(0, 3600, 60)], 60)
    assert found.raised == [11]


def busy(minutes: int, jitter: float) -> Series:
    """Runs that find a state locked, for so long: each waits for a minute, then the task."""
    at = 0.0
    while at < minutes * MINUTE:
        at += 90
        yield at, 1
        at = after_busy(since=0, now=at, jitter=jitter).at


@pytest.mark.parametrize("jitter", [0.0, 0.99])
def test_a_state_that_stays_locked_is_one_alarm_until_it_is_released(jitter: float) -> None:
    found = watch(ALARMS["TasksBusy"], busy(DAY, jitter), DAY + 120)
    assert (len(found.raised), len(found.ended)) == (1, 1)
    assert 20 <= found.raised[0] <= 62
    assert DAY < found.ended[0] <= DAY + 62


def test_a_state_that_someone_works_on_for_a_quarter_of_an_hour_is_no_alarm() -> None:
    assert watch(ALARMS["TasksBusy"], busy(15, 0.0), 120) == NOTHING


# ---- what waits ---------------------------------------------------------------------------


def waits(first: int, minutes: int) -> Series:
    """What the sweep counts each minute of a change that was seen at a minute."""
    return [((first + n) * MINUTE + 5, n * MINUTE) for n in range(1, minutes)]


def test_a_change_that_is_not_applied_is_an_alarm_until_it_is() -> None:
    found = watch(ALARMS["ChangesWaiting"], waits(5, 50), 90)
    assert (len(found.raised), len(found.ended)) == (1, 1)
    assert 36 <= found.raised[0] <= 39
    assert 55 <= found.ended[0] <= 60


def test_changes_that_are_applied_in_time_are_no_alarm() -> None:
    series = [each for first in range(0, 90, 28) for each in waits(first, 28)]
    assert watch(ALARMS["ChangesWaiting"], series, 120) == NOTHING


def test_a_runner_that_is_throttled_now_and_then_is_no_alarm() -> None:
    alarm = ALARMS["RunnerThrottled"]
    assert watch(alarm, sent(10, 11, 30), 60) == NOTHING
    assert len(watch(alarm, sent(*range(10, 20)), 60).raised) == 1


def test_what_happened_once_has_no_news_of_its_end() -> None:
    """All that ends is the time for which it is remembered."""
    once = {name for name, alarm in ALARMS.items() if alarm["EvaluationPeriods"] == 1}
    assert once
    assert not any("OKActions" in ALARMS[name] for name in once)


LASTING = [
    "PollerSilent", "ViewsStale", "AwsErrors", "TasksBusy", "ChangesWaiting", "RunnerThrottled",
]  # fmt: skip


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_has_news_of_its_end(name: str) -> None:
    assert ALARMS[name]["OKActions"] == ALARMS[name]["AlarmActions"]
