"""Whether an answer that has lost something is believed."""

from collections.abc import Callable, Collection, Set

from cts.errors import Refused
from cts.ports import Consul
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, members
from cts.watch.view import Answer, Row, doubt, loses


class Losses:
    """`row` gives what is stored of a view."""

    def __init__(self, consul: Consul, row: Callable[[View], Row | None]) -> None:
        self._consul, self._row = consul, row
        self._members: dict[View, tuple[str, frozenset[str]]] = {}
        """What the last answer that was believed had, in addition to its digest."""

    @property
    def views(self) -> Set[View]:
        """Views of which an answer was believed."""
        return self._members.keys()

    def keep(self, views: Collection[View]) -> None:
        """Forget all others."""
        self._members = {view: each for view, each in self._members.items() if view in views}

    async def confirmed(self, view: View, answer: Answer, watched: Collection[View]) -> Answer:
        """An answer that loses something is read again with `consistent` before it is believed.
        Raises Unavailable, and Refused if it can't be believed."""
        row = self._row(view)
        digest, known = self._members.get(view, ("", None))
        if row is not None and loses(row, known, view, answer):
            answer = await self._consul.ask(view, consistent=True)
            if why := doubt(row, known, view, answer):
                raise Refused(f"asking Consul for {view}: {why}")
            await self._look_for_hidden(view, known, answer, watched)
        elif row is not None and (why := doubt(row, known, view, answer)):
            raise Refused(f"asking Consul for {view}: {why}")
        if answer.snapshot.digest != digest:
            self._members[view] = answer.snapshot.digest, members(view, answer.snapshot)
        return answer

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
