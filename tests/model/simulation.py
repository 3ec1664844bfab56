"""One random history of the whole system on in-memory ports, and what must hold of it.

Everything is drawn from one seeded `random.Random`, so a seed is a history. Actors run one another
nested: at any port call of one, whole steps of others may happen, or the actor dies, before the
call or after it.
"""

import json
from dataclasses import replace
from itertools import groupby
from typing import Any
from unittest.mock import patch

from cts.conditions.condition import Read
from cts.events import RunFinished, TaskHeld, TaskReleased, iso
from cts.run.due import due
from cts.run.model import EXECUTOR, Run, RunStatus
from cts.run.place import PROGRAM, StatePlace
from cts.run.retry import MAX_RETRIES
from cts.run.state import APART, Done, Reason, TaskState
from cts.terraform.definition import Definition
from cts.watch import lease
from cts.watch.fingerprint import fingerprint_of
from cts.watch.lease import DEAD_AFTER
from cts.watch.needs import watched
from cts.watch.view import rows_of
from cts.workflow import queries
from tests.model.outside import FORMER_STATE, LEFT, Stage, data_of
from tests.model.state import CALM, TASKS, Broken
from tests.model.storm import Storm


class Simulation(Storm):
    def run(self) -> None:
        with patch.object(queries, "MOST_HELD", self.most_held):
            try:
                self._run()
            finally:
                for watcher in self.watchers:
                    watcher.kill()

    def _run(self) -> None:
        self._begin_calm()
        self.faults = self.storm
        with patch.object(lease, "RELIEVED_BEFORE", self.relieved_before):
            for _ in range(self.steps):
                self.step()
        self.settle()
        self.check()

    def _begin_calm(self) -> None:
        """Some histories begin with all tasks wanted, some with all in line, some from nothing."""
        rounds = self.random.choice((0, 1, 3))
        for n in range(rounds):
            self._poller_lives()
            self.collect()
            if n:
                self._all_builds_and_events()
                self.clock.now += 5

    # ---- after the storm ------------------------------------------------------------------

    def settle(self) -> None:
        """No more changes and no more faults: whatever is on its way arrives."""
        self.log("---- the storm is over")
        self.faults, self.driver.error, self.executor.error = CALM, None, None
        before = len(self.table.stored_runs)
        if self.random.random() < 0.7:
            self.broken.clear()
        poller_comes = self.random.choice((0, 0, 4))
        self.calm_at = self.clock.now + 150
        for n in range(100):
            self.clock.now += 30
            if n >= poller_comes:
                self._poller_lives()
            self._all_builds_and_events()
            self.see_off()
            self.sweep()
            self.collect()
            self._all_builds_and_events()
            self._ticks_are_taken()
            if self._is_quiet():
                break
        self._rests_in_time(list(self.table.stored_runs.values())[before:])

    def _rests_in_time(self, runs: list[Run]) -> None:
        """Nothing is tried again without end. Other data in between begins the count anew, and a
        person's wish may be tried beside a change."""
        for task in TASKS:
            of_task = [run for run in runs if run.task == task and not self._fails_for_ever(task)]
            for trigger, same in groupby(of_task, key=lambda run: run.trigger):
                failed = [run for run in same if run.status is RunStatus.ERRORED]
                if len(failed) > 2 * (MAX_RETRIES + 1):
                    raise Broken(f"{task} was tried again and again with {trigger}")

    def _poller_lives(self) -> None:
        """A tick comes, and all pollers go on until none has anything to do just now."""
        if self.heals_at_take_over_only:
            for watcher in self.watchers:
                watcher.kill()
            self.watchers.clear()
            self.clock.now += DEAD_AFTER + 100
            self.heals_at_take_over_only = False
        self.tick()
        for _ in range(10_000):
            turned = [self._turn(watcher) for watcher in list(self.watchers)]
            if not (self._answer() or any(turned)):
                return
        raise Broken("a poller never rests")

    def _all_builds_and_events(self) -> None:
        for _ in range(200):
            self.collect()
            waiting = self.flying or self.executor.client.queue
            if not waiting and all(b.stage is Stage.ENDED for b in self.builds.values()):
                return
            self.deliver()
            self.invoke()
            self.build()
        raise Broken("events and builds beget each other without end")

    def _is_quiet(self) -> bool:
        return (
            not self.flying
            and not self.table.stored_stale.views
            and not self.table.stored_stale.unannounced
            and all(self._rests(state) for state in self.table.stored_states.values())
            and all(self._in_line(task) for task in TASKS)
        )

    def _rests(self, state: TaskState) -> bool:
        """Nothing is wanted but the next tick, which a scheduled task always has."""
        if state.running:
            return False
        is_live = state.task in self.generation.tasks
        if is_live and (APART & state.wanted.keys() or self._awaits_its_place(state)):
            return False
        if is_live and self.generation.tasks[state.task].leaving:
            return state.hold is not None or bool(state.gave_up)
        if not self._may_apply(state.task) or self._fails_for_ever(state.task):
            return True
        wanted = {reason: wish.fingerprint for reason, wish in state.wanted.items()}
        timetable = self._timetable(state.task)
        tick = {Reason.SCHEDULE: timetable} if timetable else {}
        return wanted == tick and not due(state, True, self.clock())

    def _awaits_its_place(self, state: TaskState) -> bool:
        """The next poller can tell it."""
        return state.held is not None and state.held.by == PROGRAM

    def _ticks_are_taken(self) -> None:
        """Once its data is stored, the next tick puts a task in line: the next one by the clock of
        a poller that is ahead."""
        if self._waits_for_lambda():
            self.stored_at.clear()
            return
        for task in TASKS:
            if not self._timetable(task) or not self._is_stored(task) or self._held(task):
                continue
            stored_at = self.stored_at.setdefault(task, self.clock())
            condition = self.generation.tasks[task].condition
            tick = condition.next_tick(stored_at + max(self.skews))
            if tick is not None and tick + 60 < self.clock() and not self._in_line(task):
                raise Broken(f"a tick was lost: {self.table.state(task)}")

    def _waits_for_lambda(self) -> bool:
        """For a run that was lost with all that would have told of its end. It has a slot, too."""
        running = [state.running for state in self.table.stored_states.values() if state.running]
        longest = self.executor.limits.longest + 60
        warm = [each.claimed_at for each in running if each.driver == EXECUTOR]
        return any(self.clock() < claimed_at + longest for claimed_at in warm)

    def _is_stored(self, task: str) -> bool:
        rows, conditions = rows_of(self.table.stored_chunks), self.generation.tasks[task].conditions
        answers = {view.id: self.catalog.answer(view).snapshot for view in self.catalog.views}
        needed = [view.id for view in watched(conditions, answers)]
        return all(v in rows and rows[v].digest == answers[v].digest for v in needed)

    # ---- what must hold -------------------------------------------------------------------

    def trigger(self, task: str) -> str:
        entry = self.generation.tasks[task]
        return fingerprint_of(entry.definition, self.catalog.digests(entry.condition))

    def _may_apply(self, task: str) -> bool:
        entry = self.generation.tasks.get(task)
        return entry is not None and entry.enabled and not self._held(task)

    def _held(self, task: str) -> bool:
        return self.table.state(task).hold is not None

    def _timetable(self, task: str) -> str:
        entry = self.generation.tasks.get(task)
        return entry.condition.timetable if entry else ""

    def _fails_for_ever(self, task: str) -> bool:
        """Each tick tries it again."""
        return bool(self._timetable(task)) and task in self.broken

    def _in_line(self, task: str) -> bool:
        if not self._may_apply(task) or self._fails_for_ever(task):
            return True
        state, trigger = self.table.state(task), self.trigger(task)
        if state.gave_up:
            return state.failed == trigger
        if state.done is None:
            return False
        if state.done.trigger != trigger:
            return self._is_ignored(state.done)
        applied, data = map(
            json.loads, (self.world[task], self.catalog.data(self.definition(task)))
        )
        # Without a timetable, changed inputs wait for a change of what the condition looks at.
        looked_at = None if self._timetable(task) else 2
        return bool(applied[:looked_at] == data[:looked_at])

    def _is_ignored(self, done: Done) -> bool:
        """And what was applied is what the last success was fed with."""
        run = self.table.stored_runs[done.run]
        entry = self.generation.tasks[run.task]
        now = self.catalog.digests(entry.condition)
        applied = self.world[run.task].encode() == self.bucket.archive(run.task, run.id)
        return applied and self.is_ignored(run, entry.definition, now)

    def check(self) -> None:
        for task in TASKS:
            self._has_settled(task)
        stale = self.table.stored_stale
        if stale.views or stale.unannounced:
            raise Broken(f"views are still stale: {stale}")
        if self.table.held_slots:
            raise Broken(f"slots still held: {self.table.held_slots}")
        told = {event.run_id for event in self.bus.of(RunFinished)}
        self._holds_were_told()
        for run in self.table.stored_runs.values():
            self._was_to_run(run)
            if not run.status.ended:
                raise Broken(f"{run} never ended")
            if run.status is not RunStatus.CANCELED and run.id not in told:
                raise Broken(f"RunFinished of {run.id} was never sent")

    def _has_settled(self, task: str) -> None:
        state = self.table.state(task)
        if not self._in_line(task):
            raise Broken(f"{task} is not in line: {state}\nworld: {self.world.get(task)}")
        success = self.succeeded.get(task)
        if state.done and state.done.trigger != (success and success.trigger):
            raise Broken(f"{task}: done is not its last success: {state}")
        if not self._rests(state):
            raise Broken(f"{task}: still wanted: {state.wanted}")
        if state.unannounced:
            raise Broken(f"{task}: still unannounced: {state.unannounced}")
        if state.running:
            raise Broken(f"{task} still runs: {state.running}")

    def _holds_were_told(self) -> None:
        held = {(event.at, event.task) for event in self.bus.of(TaskHeld)}
        released = {(event.at, event.task) for event in self.bus.of(TaskReleased)}
        for at, task, is_held in self.held:
            if (iso(at), task) not in (held if is_held else released):
                raise Broken(f"{task} was {'held' if is_held else 'released'}, and nobody was told")

    def _was_held(self, run: Run) -> bool:
        """At its claim. Both may be at the same moment, one before the other."""
        before = [each for each in self.held if each[1] == run.task and each[0] <= run.claimed_at]
        return bool(before) and before[-1][2] and before[-1][0] < run.claimed_at

    def _was_to_run(self, run: Run) -> None:
        generation = self.generations[run.generation]
        entry = generation.tasks[run.task]
        if entry.definition != run.definition:
            raise Broken(f"{run.id} is not what its generation says")
        if generation.former_state:
            self._has_its_place(run.task)
        if APART & {*run.why}:
            return
        may_apply = entry.leaving if Reason.DESTROY in run.why else entry.enabled
        if not may_apply or self._was_held(run):
            raise Broken(f"{run.id} applied a task that is disabled or held, or destroyed one")
        runs = (each for each in self.table.stored_runs.values() if each.task == run.task)
        later = next((each for each in runs if each.claimed_at > run.claimed_at), None)
        if run.retry_at is None or later is None or run.claimed_at < self.calm_at:
            return
        same_tick = later.why == ("schedule",) and later.since == run.since
        again = (later.why == ("change",) or same_tick) and later.trigger == run.trigger
        if again and later.claimed_at < run.retry_at:
            raise Broken(f"{later.id} did not wait until {run.retry_at}")

    def _has_its_place(self, task: str) -> None:
        """Where its last move has brought its state, or where it was found."""
        runs = self.table.stored_runs.values()
        moved = [run for run in runs if run.task == task and run.status is RunStatus.MOVED]
        if not moved and task in self.decided:
            return
        path = FORMER_STATE if task in LEFT else ""
        if moved:
            path = self.moves[max(moved, key=lambda run: run.claimed_at).id]
        place = StatePlace.CONSUL if path else StatePlace.STACK
        state = self.table.state(task)
        if (state.place, state.path) != (place, path):
            raise Broken(f"{task}: its state is in {path or place}, not in {state.path or state}")


def fake_archive(definition: Definition, read: Read, **_: Any) -> bytes:
    """The archive of the model: what is to be applied, wherever its state is."""
    return data_of(replace(definition, backend={}), read).encode()
