"""Answers from Consul that have not been processed yet, and views that could not be read."""

import asyncio
from collections.abc import Callable, Mapping, Set
from contextlib import suppress

from cts.errors import Upstream
from cts.watch.query import View
from cts.watch.stale import Stale
from cts.watch.view import Answer, Row


class Inbox:
    """`row` gives what is stored of a view; `now` is in seconds since the epoch."""

    def __init__(self, row: Callable[[View], Row | None], now: Callable[[], float]) -> None:
        self._row, self._now = row, now
        self.watched: frozenset[View] = frozenset()
        self.unread: set[View] = set()
        """Views that must be read without index: until what came is stored, no stored index of
        them is to be trusted."""
        self._answers: dict[View, Answer] = {}
        """The newest answer of each view that was not taken yet."""
        self._failing: dict[View, Stale] = {}
        self._arrived = asyncio.Event()
        self._fenced_at = float("-inf")
        self._errors = 0

    @property
    def waiting(self) -> Set[View]:
        """Views with an answer that was not taken yet."""
        return self._answers.keys()

    def watch(self, views: frozenset[View]) -> None:
        """Forget all others."""
        self.watched = views
        self.unread &= views
        self._answers = {view: each for view, each in self._answers.items() if view in views}
        self._failing = {view: each for view, each in self._failing.items() if view in views}

    # ---- what comes in --------------------------------------------------------------------

    def is_superseded(self, view: View, answer: Answer, asked_at: float) -> bool:
        """Whether it was asked before the epoch was raised, and is older than what is stored. Such
        a view must be asked again. `asked_at` is by the event loop's clock."""
        return asked_at < self._fenced_at and self._is_older(view, answer)

    def put(self, view: View, answer: Answer) -> None:
        self._answers[view] = answer
        self._arrived.set()

    def read(self, view: View) -> None:
        """The view could be read."""
        self._failing.pop(view, None)

    def failed(self, view: View, error: Upstream) -> None:
        """The view could not be read."""
        former = self._failing.get(view)
        since = former.since if former else self._now()
        self._failing[view] = Stale(str(view), since, str(error))
        self.unread.add(view)
        self._errors += 1

    def was_failing(self, view: View, stale: Stale) -> None:
        self._failing[view] = stale

    # ---- what goes out --------------------------------------------------------------------

    async def take(self, until: float) -> dict[View, Answer]:
        """All answers there are; while there are none, wait for the first one until then."""
        timeout = until - self._now()
        if not self._answers and timeout > 0:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
        answers, self._answers = self._answers, {}
        return answers

    def fence(self) -> dict[View, Answer]:
        """The epoch was raised: what was asked before may be older than what the former poller has
        stored meanwhile. Returns all answers there are."""
        self._fenced_at = asyncio.get_running_loop().time()
        answers, self._answers = self._answers, {}
        return answers

    def newer(self, answers: Mapping[View, Answer]) -> dict[View, Answer]:
        """Those at least as new as what is stored."""
        return {view: each for view, each in answers.items() if not self._is_older(view, each)}

    def _is_older(self, view: View, answer: Answer) -> bool:
        row = self._row(view)
        return row is not None and answer.index < row.index

    def stored(self, views: Set[View]) -> None:
        """What was answered of these is stored."""
        self.unread -= views - self._failing.keys()

    def stale(self, after: float) -> dict[str, Stale]:
        """By view id: what could not be read for that many seconds."""
        now = self._now()
        return {
            view.id: each
            for view, each in self._failing.items()
            if view in self.watched and now - each.since >= after
        }

    def counted_errors(self) -> int:
        """Failed queries since this was asked last."""
        errors, self._errors = self._errors, 0
        return errors
