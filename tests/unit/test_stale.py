"""The record of stale views: what follows what, and which events tell of it."""

import json
from dataclasses import asdict, replace

import pytest

from cts.events import ViewFresh, ViewStale
from cts.watch.stale import LONGEST_WHY, MOST_KEPT, MOST_UNANNOUNCED, Stale, StaleViews, recorded

WEB, API = Stale("service web", 100.0, "no route"), Stale("service api", 110.0, "refused")
TASKS = {"web": {"dns", "lb"}, "api": {"lb"}}


def test_nothing_new_leaves_the_record_as_it_is() -> None:
    former = StaleViews(4, {"web": WEB}, 1)
    assert recorded(former, {"web": WEB}, TASKS, 130.0) is former


def test_what_became_stale_is_told_with_the_tasks_it_concerns() -> None:
    record = recorded(StaleViews(4), {"web": WEB, "api": API}, TASKS, 130.0)
    assert record.views == {"web": WEB, "api": API}
    assert record.count == 2
    [event] = record.unannounced
    assert isinstance(event, ViewStale)
    assert event.id == "5/ViewStale"
    assert event.views == ["service api", "service web"]
    assert event.tasks == ["dns", "lb"]
    assert event.why == ["no route", "refused"]
    assert event.since == "1970-01-01T00:01:40.000Z"


def test_what_was_read_again_leaves_and_is_told() -> None:
    former = StaleViews(4, {"web": WEB, "api": API}, 2)
    record = recorded(former, {"api": API}, TASKS, 130.0)
    assert list(record.views) == ["api"]
    [event] = record.unannounced
    assert isinstance(event, ViewFresh)
    assert (event.id, event.views, event.tasks) == ("5/ViewFresh", ["service web"], ["dns", "lb"])


def test_what_was_not_sent_yet_stays_in_the_record() -> None:
    first = recorded(StaleViews(), {"web": WEB}, TASKS, 120.0)
    second = recorded(first, {}, TASKS, 130.0)
    assert [event.detail_type for event in second.unannounced] == ["ViewStale", "ViewFresh"]


def test_what_was_told_is_not_told_again_because_the_record_does_not_name_all() -> None:
    views = {f"{n}": Stale(f"service s{n}", n, "x") for n in range(MOST_KEPT + 200)}
    loaded = replace(recorded(StaleViews(), views, {}, 1.0), unannounced=()).to_store()
    assert recorded(loaded, views, {}, 2.0) is loaded
    more = {**views, "more": Stale("service more", 1.0, "x")}
    assert recorded(loaded, more, {}, 2.0).unannounced


@pytest.mark.slow
def test_ten_thousand_stale_views_fit_into_an_item() -> None:
    views = {
        f"{n:032x}": Stale(f"service s{n}" + "f" * 9_999, n, "x" * 9_999) for n in range(10_000)
    }
    record = recorded(StaleViews(), views, {}, 1.0)
    many = replace(record, unannounced=record.unannounced * MOST_UNANNOUNCED).to_store()
    assert len(json.dumps(asdict(many))) < 350_000
    assert len(record.views) == record.count == record.to_store().count == 10_000
    assert len(record.to_store().views) == MOST_KEPT
    assert {len(each.why) for each in record.views.values()} == {LONGEST_WHY}
    [event] = record.unannounced
    assert isinstance(event, ViewStale)
    assert (event.view_count, len(event.views), len(event.why)) == (10_000, 50, 1)
    assert recorded(record, views, {}, 2.0) is record
