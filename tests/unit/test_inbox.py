"""Answers that wait to be stored, and views that could not be read."""

from cts.conditions.services import CATALOG_INDEX, SERVICE
from cts.errors import Unavailable
from cts.watch.query import View
from cts.workflow.inbox import Inbox
from tests.fake_consul import FakeConsul
from tests.unit.virtual_time import VirtualTime, run

WEB = View(SERVICE, "web")
NO_ROUTE = Unavailable("no route")


def test_a_view_that_fails_while_its_answer_is_being_stored_stays_unread() -> None:
    async def fails_meanwhile() -> None:
        inbox = Inbox(lambda _: None, lambda: 0.0)
        inbox.watch(frozenset({WEB}))
        inbox.unread.add(WEB)
        inbox.put(WEB, FakeConsul().answer(WEB))
        taken = await inbox.take(0.0)
        inbox.failed(WEB, NO_ROUTE)
        inbox.stored(taken.keys())
        assert inbox.unread == {WEB}
        inbox.read(WEB)
        inbox.stored(taken.keys())
        assert not inbox.unread

    run(VirtualTime(), fails_meanwhile())


def test_only_watched_views_are_stale() -> None:
    inbox = Inbox(lambda _: None, lambda: 0.0)
    inbox.watch(frozenset({WEB}))
    inbox.failed(WEB, NO_ROUTE)
    inbox.failed(View(CATALOG_INDEX), NO_ROUTE)
    assert list(inbox.stale(after=0)) == [WEB.id]
    assert inbox.counted_errors() == 2
