"""What may happen: changes, wishes, pollers, events, sweeps, builds."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cts.errors import Refused, Unavailable
from cts.events import BuildEnded, TaskTriggered
from cts.run.model import Run
from cts.run.task import Reason, ask
from cts.watch.lease import FRESH_EVERY, Lease, TakeOver, take_over
from cts.watch.view import Answer, wait_index
from cts.workflow import start, track
from cts.workflow.poll import Deposed, Poller
from tests.model.outside import VALUES, Build, Stage
from tests.model.state import CALM, CONDITIONS, WAIT_ENDS, Broken, Killed, State, Watcher

if TYPE_CHECKING:
    from cts.watch.query import View


class Storm(State):
    # ---- the storm ------------------------------------------------------------------------

    def step(self) -> None:
        [action] = self.random.choices(ACTIONS, WEIGHTS)
        action(self)
        self.collect()

    def collect(self) -> None:
        """What was sent flies now, and what was started builds."""
        new = self.bus.events[self.sent :]
        self.flying += [event for event in new if isinstance(event, TaskTriggered)]
        self.sent = len(self.bus.events)
        for build_id, fake in self.driver.builds.items():
            if build_id not in self.builds:
                self.builds[build_id] = Build(fake, self.bucket)

    def change(self) -> None:
        name, value = self.random.choice(("a", "b")), self.random.choice(VALUES)
        if self.random.random() < 0.4:  # there and back
            value, self.former[name] = self.former[name], self.catalog.values[name]
        self.log("CHANGE", name, value)
        self.catalog.set(name, value)

    def reset_consul(self) -> None:
        self.log("CONSUL LOST EVERYTHING")
        self.catalog.lose_everything()

    def wish(self) -> None:
        task = self.random.choice(list(CONDITIONS))
        self.log("PERSON asks for", task)
        self.table.put_state(ask(self.table.state(task), self.clock(), "person"))

    def advance(self) -> None:
        self.clock.now += self.random.choice((1, 5, 11, 21, 51, 60, 130, 250))

    def toggle_broken(self) -> None:
        self.broken ^= {self.random.choice(list(CONDITIONS))}
        self.log("BROKEN now:", sorted(self.broken))

    def expire(self) -> None:
        """The lifecycle rule takes what was superseded."""
        for key in sorted(self.bucket.superseded):
            self.log("EXPIRED", key)
            self.bucket.expire(key)
            self.heals_at_take_over_only = True

    # ---- pollers --------------------------------------------------------------------------

    def tick(self) -> None:
        """The schedule starts a poller."""
        try:
            if not self.live:
                self._one_pass()
                return
            lease = self.table.lease()
            verdict = take_over(lease, self.generation.number, self.clock())
            if self.faults is not CALM and self.random.random() < 0.3:
                verdict = TakeOver.RELIEVE  # its clock is wrong
            if verdict is not TakeOver.NO and len(self.watchers) < 3:
                poller = Poller(self.poll_ports, self.generation)
                newest = self.catalog.newest
                self.watchers.append(Watcher(poller, lease, verdict, newest, self.clock()))
                self.log("POLLER born:", verdict.name)
        except (Killed, Deposed, Unavailable):
            self.log("poller died")

    def _one_pass(self) -> None:
        self.log("POLLER makes one pass")
        lease = self.table.lease()
        poller = Poller(self.poll_ports, self.generation)
        now = self.clock()
        poller.load()
        answers: dict[View, Answer] = {}
        names: list[str] | None = None
        for _ in range(2):
            for view in sorted(poller.views(names) - answers.keys()):
                if self.faults is CALM or self.random.random() < 0.9:
                    answers[view] = self.catalog.answer(view)
                    if view.name == "":
                        names = answers[view].snapshot.names
        if poller.differs(answers) and poller.raise_epoch(lease, self._raised(lease, now)):
            poller.take_over(answers)

    def _raised(self, read: Lease | None, now: float) -> Lease:
        epoch = read.epoch + 1 if read else 1
        return Lease(epoch, "poller", self.generation.number, now, now, now)

    def poll(self) -> None:
        free = [watcher for watcher in self.watchers if not watcher.busy]
        if not free:
            return
        watcher = self.random.choice(free)
        watcher.busy = True
        try:
            self._poll(watcher)
        except Unavailable:
            if not watcher.watching:
                self.watchers.remove(watcher)
        except (Killed, Deposed) as error:
            self.log("poller gone:", type(error).__name__)
            self.watchers.remove(watcher)
        finally:
            watcher.busy = False

    def _poll(self, watcher: Watcher) -> None:
        if not watcher.loaded:
            watcher.poller.load()
            highest = max((row.index for row in watcher.poller.rows.values()), default=0)
            watcher.newest = self.catalog.newest
            fresh = watcher.read is not None and self.clock() - watcher.read.fresh_at < FRESH_EVERY
            relieved = watcher.verdict is TakeOver.RELIEVE
            watcher.trusted = relieved and fresh and highest <= watcher.newest
            watcher.loaded = True
            self._hold_all(watcher, trusted=watcher.trusted)
        elif not watcher.watching and self.random.random() < 0.5:
            self._fetch(watcher)
        elif not watcher.watching:
            self._raise(watcher)
        else:
            chosen = self.random.random()
            if chosen < 0.7:
                self._fetch(watcher)
            if chosen > 0.3:
                self._look(watcher)
            if 0.3 < chosen < 0.5:
                self._beat(watcher)

    def _raise(self, watcher: Watcher) -> None:
        raised = self._raised(watcher.read, watcher.began)
        if not watcher.poller.raise_epoch(watcher.read, raised):
            raise Deposed
        watcher.lease = raised
        watcher.poller.take_over({})
        self._drop_older(watcher)
        self._hold_all(watcher, trusted=watcher.trusted)
        watcher.watching = True

    def _drop_older(self, watcher: Watcher) -> None:
        """What was answered before may be older than what the former poller stored."""
        rows = watcher.poller.rows
        for view, answer in list(watcher.inbox.items()):
            if view.id in rows and answer.index < rows[view.id].index:
                del watcher.inbox[view]
                watcher.asked[view] = 0, self.clock()

    def _hold_all(self, watcher: Watcher, *, trusted: bool) -> None:
        views, rows = watcher.poller.views(), watcher.poller.rows
        has_row = {view for view in views if view.id in rows}
        for view in list(watcher.asked):
            if view not in views or view in watcher.known - has_row:
                del watcher.asked[view]
        watcher.known = has_row
        for view in views - watcher.asked.keys():
            row = rows.get(view.id) if trusted else None
            watcher.asked[view] = (row.index if row else 0), self.clock()

    def _fetch(self, watcher: Watcher) -> None:
        """Take in every answer that Consul has, or some of them."""
        for view in sorted(watcher.asked):
            index, at = watcher.asked[view]
            moved = not index or self.catalog.index(view) > index
            if not moved and self.clock() - at < WAIT_ENDS:
                continue
            chance = 0.0 if self.faults is CALM else self.random.random()
            if chance < 0.7:
                answer = self.catalog.answer(view)
                watcher.inbox[view] = answer
                watcher.asked[view] = wait_index(index, answer.index), self.clock()
                self.log("fetched", view, answer.index, answer.snapshot.body.decode())
            elif chance < 0.8:
                watcher.asked[view] = 0, self.clock()

    def _look(self, watcher: Watcher) -> None:
        taken, watcher.inbox = watcher.inbox, {}
        try:
            watcher.poller.look({v: a for v, a in taken.items() if v in watcher.asked})
            watcher.poller.announce()
        except Unavailable:
            watcher.inbox = taken | watcher.inbox
            raise
        finally:
            self._hold_all(watcher, trusted=False)

    def _beat(self, watcher: Watcher) -> None:
        assert watcher.lease is not None
        watcher.lease = replace(watcher.lease, heartbeat_at=self.clock())
        if not self.poll_ports.leases.beat(watcher.lease):
            raise Deposed
        if self.catalog.newest < watcher.newest:
            watcher.asked.clear()
            self._hold_all(watcher, trusted=False)
        watcher.newest = self.catalog.newest
        if self.faults is not CALM and self.random.random() < 0.1:
            watcher.poller.leave()
            raise Deposed

    # ---- runner and tracker ---------------------------------------------------------------

    def deliver(self) -> None:
        if not self.flying:
            return
        event = self.flying.pop(self.random.randrange(len(self.flying)))
        fate = 0.5 if self.faults is CALM else self.random.random()
        if fate < 0.15:
            self.log("LOST", event)
            return
        if fate > 0.85:
            self.flying.append(event)
        self.log("deliver", event)
        try:
            if isinstance(event, TaskTriggered):
                self.log("runner:", start.start(self.start_ports, event.task))
            elif isinstance(event, BuildEnded):
                track.track(self.track_ports, event)
        except (Killed, Unavailable, Refused) as error:
            self.log("died:", type(error).__name__)
            if self.random.random() < 0.5:
                self.flying.append(event)

    def sweep(self) -> None:
        self.log("sweep")
        try:
            track.sweep(self.track_ports)
        except (Killed, Unavailable):
            self.log("sweep died")

    def refuse(self) -> None:
        """The driver refuses for a while, or is busy."""
        self.driver.error = self.random.choice((None, None, Refused("no"), Unavailable("busy")))

    # ---- builds ---------------------------------------------------------------------------

    def build(self) -> None:
        going = [each for each in self.builds.values() if each.stage is not Stage.ENDED]
        if not going:
            return
        build = self.random.choice(going)
        if build.stage is Stage.QUEUED and self.faults is not CALM and self.random.random() < 0.6:
            return  # the queue is long
        for _ in range(self.random.choice((1, 1, 2, 5))):
            if build.stage is not Stage.ENDED:
                self._one_step(build)

    def _one_step(self, build: Build) -> None:
        if self.faults is not CALM and self.random.random() < 0.05:
            self._end(build, "STOPPED")
            return
        match build.stage:
            case Stage.QUEUED:
                self._begin(build)
            case Stage.STARTED:
                self._plan(build)
            case Stage.APPLYING:
                self._apply(build)
            case Stage.APPLIED:
                build.record()
                if build.result["status"] != "errored":
                    self.succeeded[build.task] = build.fake.run.trigger
            case Stage.RECORDED:
                self._end(build, "FAILED" if build.result["status"] == "errored" else "SUCCEEDED")

    def _end(self, build: Build, status: str) -> None:
        self.log("build", build.fake.id, build.fake.run.id, "ends:", status, build.result)
        build.end(status)
        run = build.fake.run
        self.flying.append(BuildEnded(run.task, run.id, build.fake.id, status))

    def _begin(self, build: Build) -> None:
        run = build.fake.run
        if not build.begin():
            self._end(build, "SUCCEEDED")
            return
        self.log("build", build.fake.id, run.id, "begins", run.why, run.trigger[:6])
        others = [b for b in self.builds.values() if b is not build and b.task == run.task]
        if any(other.executes for other in others):
            raise Broken(f"two builds of {run.task} execute at once")
        if sum(each.executes for each in self.builds.values()) > self.cap:
            raise Broken(f"more than {self.cap} builds execute at once")
        if self.succeeded.get(run.task) == run.trigger and Reason.PERSON not in run.why:
            raise Broken(f"run {run.id} ({run.why}) executes, and nothing is new since a success")
        self._fed_in_order(run)

    def _fed_in_order(self, run: Run) -> None:
        """Runs follow each view's history: never something older after something newer."""
        for view, digest in run.inputs.items():
            fed = self.fed.setdefault((run.task, view), [])
            if digest not in fed[-1:]:
                fed.append(digest)
            history = iter(self.catalog.seen[view])
            if not all(each in history for each in fed):
                raise Broken(f"{run.id} is fed with an older value of {view} than the run before")

    def _plan(self, build: Build) -> None:
        if build.task in self.broken and self.random.random() < 0.5:
            build.ends("errored", retryable=self.random.random() < 0.8)
        elif self.world.get(build.task) == build.data():
            build.ends("unchanged")
        else:
            build.apply()
            self.succeeded[build.task] = None
            self.world[build.task] = f"half of {build.data()}"

    def _apply(self, build: Build) -> None:
        if build.task in self.broken:
            build.ends("errored", retryable=self.random.random() < 0.8)
        else:
            self.world[build.task] = build.data()
            build.ends("applied")


S = Storm
ACTIONS: list[Callable[[Storm], None]]
ACTIONS, WEIGHTS = map(
    list,
    zip(
        (S.change, 7),
        (S.poll, 20),
        (S.tick, 6),
        (S.deliver, 25),
        (S.build, 20),
        (S.sweep, 8),
        (S.advance, 8),
        (S.wish, 2),
        (S.configure, 1.5),
        (S.toggle_broken, 2),
        (S.refuse, 1),
        (S.expire, 1),
        (S.reset_consul, 0.3),
        strict=True,
    ),
)
