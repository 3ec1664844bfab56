"""Mode `poll`: look at Consul once."""

from cts.errors import Unavailable, Upstream
from cts.watch.lease import Deposed
from cts.watch.query import View
from cts.watch.view import Answer
from cts.workflow.watcher import LivePorts, PollOutcome, Thread, Watcher, opened


async def once(run: LivePorts) -> PollOutcome:
    """Query every view once (mode `poll`). Writes nothing if nothing has changed."""
    with run.thread() as thread:
        aws = Thread(thread)
        found = await opened(run, aws)
        if found is None:
            return PollOutcome.NO_CONFIGURATION
        watch = _Once(run, found, aws)
        try:
            return await watch.look_once()
        except Deposed:
            return PollOutcome.OVERTAKEN
        finally:
            await watch.queries.close()


class _Once(Watcher):
    async def look_once(self) -> PollOutcome:
        poller, queries = self.poller, self.queries
        await self.aws(poller.load)
        await self.find_places()
        queries.inherit(poller.views(), poller.stale.loaded)
        answers = await self._ask_all()
        try:
            return await self._store(answers)
        except Upstream as error:  # the next pass stores it
            self.note(error)
            raise
        finally:
            self.beat(queries.inbox.stale(0))

    async def _store(self, answers: dict[View, Answer]) -> PollOutcome:
        poller, queries = self.poller, self.queries
        if not await self.aws(poller.differs, answers, queries.inbox.stale(0)):
            return PollOutcome.NOTHING_NEW
        if not await self.aws(poller.raise_epoch, self.opened.read, self.opened.new):
            return PollOutcome.OVERTAKEN
        await self.aws(poller.load)
        kept = queries.drop_older(answers)
        kept |= await queries.ask_each(answers.keys() - kept.keys())
        self.tell(await self.aws(poller.look, kept, derive_all=True))
        try:
            await self.record_stale(0)
            await self.aws(poller.announce)
        except Unavailable as error:  # the sweep announces what is due
            self.note(error)
        return PollOutcome.WRITTEN

    async def _ask_all(self) -> dict[View, Answer]:
        """Query every view once, then the views that the answers add."""
        answers = await self.queries.ask_each(self.poller.views())
        return answers | await self.queries.ask_each(self.poller.added_by(answers))
