"""Consul's newest indices, of each table and datacenter that is watched."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from cts.errors import Refused, Unavailable
from cts.ports import Consul
from cts.watch.query import View, datacenters, probes
from cts.watch.view import Row

LOOK_EVERY = 20.0
"""Seconds from one look at a datacenter to the next."""
LOOK_AGAIN = 2.0
"""Seconds after a look that was not answered."""
LOOK_WITHIN = 5.0
"""Seconds in which a look must be answered."""


async def newest_of(consul: Consul, views: Collection[View]) -> dict[View, int]:
    """The index of each probe of these views, but those that the token may not ask for: they don't
    tell anything. Raises Unavailable."""
    found: dict[View, int] = {}
    for probe in sorted(probes(views)):
        with suppress(Refused):
            found[probe] = await consul.newest(probe)
    return found


class Newest:
    """Notices when the Consul of a datacenter has lost its data, was restored, or is back after a
    silence: then `read_afresh` is called with the datacenter."""

    def __init__(
        self,
        consul: Consul,
        views: Callable[[], Collection[View]],
        read_afresh: Callable[[str], None],
    ) -> None:
        self._consul, self._views, self._read_afresh = consul, views, read_afresh
        self._known: dict[View, int] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}

    async def trusted(self, rows: Mapping[View, Row | None]) -> frozenset[str]:
        """The datacenters with no stored index above the newest ones. Consul holds a query whose
        index is above its own for the whole wait, so an index must be known to be a living one."""
        each = sorted(datacenters(rows))
        found = await asyncio.gather(*(self._trusts(name, rows) for name in each))
        return frozenset(name for name, trusts in zip(each, found, strict=True) if trusts)

    async def _trusts(self, datacenter: str, rows: Mapping[View, Row | None]) -> bool:
        here = {view: row for view, row in rows.items() if view.datacenter == datacenter}
        try:
            newest = await newest_of(self._consul, here)
        except Unavailable:
            return False
        self._known |= newest
        return all(
            probes([view]) <= newest.keys()
            and row.index <= max(newest[probe] for probe in probes([view]))
            for view, row in here.items()
            if row
        )

    def watch(self, names: frozenset[str]) -> None:
        """Look at these datacenters from now on, and at no others."""
        for name in self._looking.keys() - names:
            self._looking.pop(name).cancel()
        for name in names - self._looking.keys():
            self._looking[name] = asyncio.create_task(self._look_for_ever(name))

    def tasks(self) -> list[asyncio.Task[None]]:
        return [*self._looking.values()]

    async def _look_for_ever(self, datacenter: str) -> None:
        was_silent = False
        while True:
            pause = LOOK_AGAIN
            views = [view for view in self._views() if view.datacenter == datacenter]
            try:
                async with asyncio.timeout(LOOK_WITHIN):
                    newest = await newest_of(self._consul, views)
            except TimeoutError:  # held queries may be on connections that are dead
                was_silent = True
            except Unavailable:
                pass
            else:
                gone_back = any(index < self._known.get(p, 0) for p, index in newest.items())
                self._known |= newest
                if gone_back or was_silent:
                    self._read_afresh(datacenter)
                was_silent, pause = False, LOOK_EVERY
            await asyncio.sleep(pause)
