"""What may happen: changes, wishes, pollers, events, sweeps, builds."""

from collections.abc import Callable
from dataclasses import replace

from cts import keys
from cts.adapters.codebuild import LIMITS
from cts.errors import Refused, Unavailable
from cts.events import TaskTriggered
from cts.generation import Generation, TaskEntry
from cts.run.leaving import asked_to_leave, is_destroyed
from cts.run.model import Run
from cts.run.person import ask, hold
from cts.run.place import is_placed, released
from cts.run.state import APART, Reason, TaskState
from cts.workflow import live, once, start, track
from cts.workflow.tasks import wishes
from cts.workflow.watcher import LivePorts
from tests.fakes import FakeBuild, build_event
from tests.model.outside import FORMER_STATE, VALUES, AskedConsul, Build, Stage
from tests.model.process import Killed
from tests.model.state import CALM, TASKS, Broken, Door, State, Watcher
from tests.model.warm import SECONDS, WarmBuild

PLANS = (Reason.INSPECT, Reason.INSPECT_DESTROY)


class Generations:
    """The live generation, as a poller finds it."""

    def __init__(self, storm: "Storm") -> None:
        self._storm = storm

    def current(self) -> Generation:
        return self._storm.generation


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
                self.builds[build_id] = Build(fake, self.bucket, self.clock)

    def change(self) -> None:
        name, value = self.random.choice(("a", "b")), self.random.choice(VALUES)
        if self.random.random() < 0.4:  # there and back
            value, self.former[name] = self.former[name], self.catalog.values[name]
        self.log("CHANGE", name, value)
        self.catalog.set(name, value)

    def save_consul(self) -> None:
        self.log("CONSUL is saved")
        self.catalog.save()

    def restore_consul(self) -> None:
        if self.catalog.restore():
            self.log("CONSUL is restored:", self.catalog.values)

    def reset_consul(self) -> None:
        self.log("CONSUL LOST EVERYTHING")
        self.catalog.lose_everything()

    def wish(self) -> None:
        task = self.random.choice(list(TASKS))
        self.log("PERSON asks for", task)
        reason = self.random.choice((Reason.PERSON, Reason.PERSON, *PLANS))
        self.table.put_state(ask(self.table.state(task), self.clock(), "person", reason=reason))

    def move(self) -> None:
        """A state that is moved already is asked for the way back."""
        task = self.random.choice(list(TASKS))
        state = self.table.state(task)
        if not self.generation.former_state or not is_placed(state) or Reason.MOVE in wishes(state):
            return
        path = "" if state.path else FORMER_STATE
        self.log("PERSON moves the state of", task, "to", path or "the stack")
        moving = ask(state, self.clock(), "person", reason=Reason.MOVE, path=path)
        self.table.put_state(moving)

    def see_off(self) -> None:
        """The publisher does what is next for the tasks that are to be destroyed."""
        try:
            for task, entry in self.generation.tasks.items():
                if entry.leaving:
                    self._see_off(task, entry)
        except (Killed, Unavailable) as error:
            self.log("publisher died:", type(error).__name__)

    def _see_off(self, task: str, entry: TaskEntry) -> None:
        table, bus = Door(self, "publisher", self.table), Door(self, "publisher", self.bus)
        state = table.state(task)
        if not is_destroyed(state, entry.leaving):
            asked = asked_to_leave(state, entry.leaving, "person", self.clock())
            if asked != state and table.put_state(asked):
                bus.send([TaskTriggered(task)])
            return
        tasks = dict(self.generation.tasks)
        if tasks.get(task) != entry:  # it is another one meanwhile
            return
        if task in self.world:
            raise Broken(f"{task} is deleted, and what it has created is there")
        self.log("DELETED", task)
        self.removed[task] = replace(tasks.pop(task), leaving="", enabled=True)
        self.publish_tasks(tasks)

    def hold(self) -> None:
        task = self.random.choice(list(TASKS))
        self.log("PERSON holds", task)
        self._put_held(hold(self.table.state(task), "why", "person", self.clock()))

    def release(self) -> None:
        task = self.random.choice(list(TASKS))
        self.log("PERSON releases", task)
        after = released(self.table.state(task), "person", self.clock())
        if after.place != self.table.state(task).place:
            self.decided.add(task)
        self._put_held(after)

    def _put_held(self, state: TaskState) -> None:
        if state != self.table.state(state.task):
            assert self.table.put_state(state)
            self.held += [(self.clock(), state.task, state.hold is not None)]

    def advance(self) -> None:
        self.clock.now += self.random.choice(
            (1, 5, 11, 21, 51, 60, 130, 250) * 4 + (10_000, 29_000)
        )

        for build in self.builds.values():
            age = self.clock.now - build.fake.started_at
            longest = SECONDS if isinstance(build, WarmBuild) else LIMITS.longest - 60
            if build.stage is not Stage.ENDED and age > longest:
                self._end(build, "TIMED_OUT")

    def toggle_broken(self) -> None:
        self.broken ^= {self.random.choice(list(TASKS))}
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
        if len(self.watchers) >= 3:
            return
        skew = 0.0 if self.faults is CALM else self.random.choice(self.skews)
        watcher = Watcher(self.clock, lambda: self.clock() + skew)
        work = live.live if self.live else once.once
        watcher.begin(work(self._run_of(watcher)))
        self.watchers.append(watcher)
        self.log("POLLER starts, its clock is off by", skew)

    def _run_of(self, watcher: Watcher) -> LivePorts:
        async def connection() -> str:
            return ""

        return LivePorts(
            ports=self.poll_ports(watcher),
            generations=Door(self, "poller", Generations(self), watcher),
            consul=lambda: AskedConsul(self.asks, self.catalog, self.clock),
            has_state=lambda _task: False,
            connection=connection,
            thread=watcher.thread,
            chance=self.random.random,
            owner=self.ids.new_id(),
            until=watcher.now() + self.random.choice((130.0, 400.0, 880.0)),
            on_beat=lambda _: None,
            on_change=lambda changed: self.log("changed:", changed.views),
            on_trouble=lambda text: self.log("trouble:", text),
        )

    def poll(self) -> None:
        """Some poller goes on: with its loop, or with what waits for its threads."""
        if self.watchers:
            for _ in range(self.random.choice((1, 3, 10))):
                self._turn(self.random.choice(self.watchers))
                if not self.watchers:
                    return

    def _turn(self, watcher: Watcher) -> bool:
        """Whether there was anything for it to do."""
        turned = False
        try:
            turned |= not watcher.ended and watcher.loop.turn()
            for thread in watcher.threads:
                turned |= not watcher.ended and thread.turn()
        except Killed:
            self.log("poller killed")
            watcher.kill()
        if watcher.ended and watcher in self.watchers:
            self._bury(watcher)
            return True
        return turned

    def _bury(self, watcher: Watcher) -> None:
        self.watchers.remove(watcher)
        if watcher.dead:
            return
        try:
            self.log("poller left:", watcher.result())
        except Unavailable as error:
            self.log("poller died:", error)
        watcher.kill()

    def answer(self) -> None:
        """Consul answers what it can, or some of it."""
        self._answer()

    def _answer(self) -> bool:
        """Whether anything was answered."""
        waiting = [asked for asked in self.asks if not asked.answer.done()]
        ready = [asked for asked in waiting if asked.ready(self.catalog, self.clock())]
        self.asks[:] = waiting
        for asked in ready:
            chance = 0.0 if self.faults is CALM else self.random.random()
            if chance < 0.7:
                self.log("Consul answers", asked.view, asked.value(self.catalog))
                asked.answer.set_result(asked.value(self.catalog))
            elif chance < 0.8:
                asked.answer.set_exception(Unavailable("no route"))
        return bool(ready)

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
            else:
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
        for driver in (self.driver, self.executor):
            driver.error = self.random.choice((None, None, Refused("no"), Unavailable("busy")))

    # ---- builds ---------------------------------------------------------------------------

    def invoke(self) -> None:
        """Lambda delivers an invocation, or gives it up."""
        queue = self.executor.client.queue
        if not queue:
            return
        invocation = self.random.choice(queue)
        if invocation.copies == 0:
            self.log("LOST", invocation)
            queue.remove(invocation)
            return
        if invocation.is_too_old(self.clock()):
            queue.remove(invocation)
            self.flying.append(invocation.failed(condition="EventAgeExceeded"))
            return
        invocation.copies -= 1
        if invocation.copies == 0:
            queue.remove(invocation)
        folder = invocation.asked["folder"]
        if keys.build_object(folder, "archive.zip") not in self.bucket.objects:
            return  # the run has ended
        run, archive = self.executor.asked[folder]
        name = f"{keys.warm_build(invocation.request)}-{len(self.builds)}"
        self.log("Lambda delivers", invocation.request, run.id, "as", name)
        fake = FakeBuild(name, run, archive, self.clock())
        self.builds[name] = WarmBuild(fake, self.bucket, self.clock, invocation=invocation)

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
            self._end(build, self.random.choice(("STOPPED", "TIMED_OUT")))
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
                if build.result["status"] in ("applied", "unchanged"):
                    self.succeeded[build.task] = None if build.destroys else build.fake.run
            case Stage.RECORDED:
                self._end(build, "FAILED" if build.result["status"] == "errored" else "SUCCEEDED")

    def _end(self, build: Build, status: str) -> None:
        self.log("build", build.fake.id, build.fake.run.id, "ends:", status, build.result)
        executes = build.executes
        build.end(status)
        run = build.fake.run
        if isinstance(build, WarmBuild):
            self._end_warm(build, executes=executes, is_lost=status == "TIMED_OUT")
        else:
            self.flying.append(build_event(run.task, run.id, build.fake.id, status))

    def _end_warm(self, build: WarmBuild, *, executes: bool, is_lost: bool) -> None:
        """With a record of the function; or with Lambda's, if the sandbox is lost."""
        if not is_lost:
            self.flying.append(build.ended())
            if self.faults is not CALM and self.random.random() < 0.1:
                self.flying.append(build.invocation.failed(raised=True))
            return
        others = (each for each in self.builds.values() if isinstance(each, WarmBuild))
        doubles = [each for each in others if each.invocation is build.invocation]
        if executes or not any(each.executes for each in doubles):  # else see docs/adr/0010
            self.flying.append(build.invocation.failed())

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
        if not self._is_for_a_reason(run):
            raise Broken(f"run {run.id} ({run.why}) executes, and nothing is new since a success")
        self._fed_in_order(run)

    def _is_for_a_reason(self, run: Run) -> bool:
        done = self.succeeded.get(run.task)
        if run.why == (Reason.SCHEDULE,) and (run.since % 60 or run.claimed_at < run.since):
            return False
        if done is None or {Reason.PERSON, Reason.DESTROY, *APART} & {*run.why}:
            return True
        if done.trigger != run.trigger:
            return not self.is_ignored(done, run.definition, run.inputs)
        return Reason.SCHEDULE in run.why and done.inputs != run.inputs

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
        if self._is_locked():
            build.ends("busy")
        elif build.task in self.broken and self.random.random() < 0.5:
            build.ends("errored", retryable=self.random.random() < 0.8)
        elif {*PLANS} & {*build.fake.run.why}:
            build.ends("planned")
        elif Reason.MOVE in build.fake.run.why:
            self._move(build)
        elif self.world.get(build.task) == (None if build.destroys else build.data()):
            build.ends("unchanged")
        else:
            build.apply()
            if self._is_locked():
                build.ends("busy")
                return
            self.succeeded[build.task] = None
            self.world[build.task] = f"half of {build.data()}"

    def _move(self, build: Build) -> None:
        run = build.fake.run
        running = self.table.state(run.task).running
        if running is None or running.run != run.id:
            raise Broken(f"{run.id} moves a state, and its task does not know")
        self.moves[run.id] = running.serves[Reason.MOVE].path
        build.ends("moved")

    def _is_locked(self) -> bool:
        """Whether someone else works on the state."""
        return self.faults is not CALM and self.random.random() < 0.1

    def _apply(self, build: Build) -> None:
        if build.task in self.broken:
            build.ends("errored", retryable=self.random.random() < 0.8)
            return
        if build.destroys:
            del self.world[build.task]
        else:
            self.world[build.task] = build.data()
        build.ends("applied")


S = Storm
ACTIONS: list[Callable[[Storm], None]]
ACTIONS, WEIGHTS = map(
    list,
    zip(
        (S.change, 7),
        (S.poll, 24),
        (S.answer, 10),
        (S.tick, 6),
        (S.deliver, 25),
        (S.build, 20),
        (S.invoke, 15),
        (S.sweep, 8),
        (S.advance, 8),
        (S.wish, 2),
        (S.move, 1),
        (S.hold, 0.7),
        (S.release, 1),
        (S.configure, 1.5),
        (S.see_off, 2),
        (S.toggle_broken, 2),
        (S.refuse, 1),
        (S.expire, 1),
        (S.reset_consul, 0.3),
        (S.save_consul, 1),
        (S.restore_consul, 0.6),
        strict=True,
    ),
)
