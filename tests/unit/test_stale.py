"""The record of stale views: what follows what, and which events tell of it."""

from cts.events import ViewStale
from cts.watch.query import Kind, View
from cts.watch.stale import LONGEST_WHY, MOST_KEPT, Stale, StaleViews, recorded

WEB, API = View(Kind.SERVICE, "web"), View(Kind.SERVICE, "api")
TASKS = {WEB: {"dns", "lb"}, API: {"lb"}}


def test_nothing_new_leaves_the_record_as_it_is() -> None:
    former = StaleViews(4, {WEB.id: Stale(100.0, "no route")}, 1)
    assert recorded(former, {WEB: Stale(100.0, "no route")}, [], TASKS, 130.0) is former


def test_what_became_stale_is_told_with_the_tasks_it_concerns() -> None:
    stale = {API: Stale(110.0, "refused"), WEB: Stale(100.0, "no route")}
    record = recorded(StaleViews(4), stale, [], TASKS, 130.0)
    assert record.views == {view.id: each for view, each in stale.items()}
    assert record.count == 2
    [event] = record.unannounced
    assert isinstance(event, ViewStale)
    assert event.id == "5/ViewStale"
    assert event.views == ["service api", "service web"]
    assert event.tasks == ["dns", "lb"]
    assert event.why == ["refused", "no route"]
    assert event.since == "1970-01-01T00:01:40.000Z"


def test_what_was_read_again_leaves_and_is_told() -> None:
    former = StaleViews(4, {WEB.id: Stale(100.0, "x"), API.id: Stale(100.0, "x")}, 2)
    record = recorded(former, {API: Stale(100.0, "x")}, [WEB], TASKS, 130.0)
    assert list(record.views) == [API.id]
    [event] = record.unannounced
    assert (event.detail_type, event.views, event.tasks) == (
        "ViewFresh",
        ["service web"],
        ["dns", "lb"],
    )


def test_what_was_not_sent_yet_stays_in_the_record() -> None:
    first = recorded(StaleViews(), {WEB: Stale(1.0, "x")}, [], TASKS, 2.0)
    second = recorded(first, {}, [WEB], TASKS, 3.0)
    assert [event.detail_type for event in second.unannounced] == ["ViewStale", "ViewFresh"]


def test_ten_thousand_stale_views_fit_into_an_item() -> None:
    views = {View(Kind.SERVICE, f"service-{n}"): Stale(n, "x" * 9_999) for n in range(10_000)}
    record = recorded(StaleViews(), views, [], {}, 1.0)
    assert record.count == 10_000
    assert len(record.views) == MOST_KEPT
    assert {len(each.why) for each in record.views.values()} == {LONGEST_WHY}
    [event] = record.unannounced
    assert isinstance(event, ViewStale)
    assert (event.view_count, len(event.views), len(event.why)) == (10_000, 50, 1)
