"""Whether an answer that has lost something is believed."""

from collections.abc import Callable, Collection, Set

from cts.errors import Refused
from cts.ports import Consul
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, members
from cts.watch.view import Answer, Row, doubt, is_behind, loses


class Losses:
    """`row` gives what is stored of a view."""

    def __init__(self, consul: Consul, row: Callable[[View], Row | None]) -> None:
        self._consul, self._row = consul, row
        self._believed: dict[View, tuple[Row, frozenset[str]]] = {}
        """The last answer that was believed, and what it had."""

    @property
    def views(self) -> Set[View]:
        """Views of which an answer was believed."""
        return self._believed.keys()

    def keep(self, views: Collection[View]) -> None:
        """Forget all others."""
        self._believed = {view: each for view, each in self._believed.items() if view in views}

    async def confirmed(self, view: View, answer: Answer, watched: Collection[View]) -> Answer:
        """An answer that loses something, or is older than the last one, is read again with
        `consistent` before it is believed. Raises Unavailable, and Refused if it can't be
        believed."""
        row, known = self._last(view)
        if row is not None and (loses(row, known, view, answer) or is_behind(row, answer)):
            answer = await self._consul.ask(view, consistent=True)
            if why := doubt(row, known, view, answer):
                raise Refused(f"asking Consul for {view}: {why}")
            await self._look_for_hidden(view, known, answer, watched)
        elif row is not None and (why := doubt(row, known, view, answer)):
            raise Refused(f"asking Consul for {view}: {why}")
        if row is None or known is None or answer.snapshot.digest != row.digest:
            known = members(view, answer.snapshot)
        self._believed[view] = answer.row, known
        return answer

    def _last(self, view: View) -> tuple[Row | None, frozenset[str] | None]:
        """The last answer, believed or stored by another poller, and what it had, if known. What
        was believed may not be stored yet."""
        stored, (believed, known) = self._row(view), self._believed.get(view, (None, None))
        if believed is None or (stored and stored.index > believed.index):
            same = stored and believed and stored.digest == believed.digest
            return stored, known if same else None
        return believed, known

    async def _look_for_hidden(
        self,
        listing: View,
        known: frozenset[str] | None,
        answer: Answer,
        watched: Collection[View],
    ) -> None:
        """A listing of which ACLs hide a part may lose names because rights shrank: a name that is
        watched is gone only if all its instances are. Raises Refused if some are not."""
        if not listing.kind.lists or not answer.filtered:
            return
        listed = members(listing, answer.snapshot)
        place = listing.datacenter, listing.namespace
        for view in sorted(watched):
            lost = view.name not in listed and (known is None or view.name in known)
            here = (view.datacenter, view.namespace) == place
            if view.kind == listing.kind.lists and here and lost:
                found = await self._consul.ask(view, consistent=True)
                if found.snapshot != EMPTY:
                    raise Refused(
                        f"asking Consul for {listing}: it leaves out {view}, which exists"
                    )
