"""One build's attempt at one run: init, plan, apply, and a result whatever happens.

It doesn't know where it runs: the folder with the unpacked archive, the build's identity and its
time limit are arguments.
"""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cts.build.backend import OwnBackend, StackBackend, StateBackend, without_state, workspace
from cts.build.begun import Begun
from cts.build.busy import LockWait
from cts.build.cache import Cache
from cts.build.engine import OnPath, find_engine
from cts.build.errors import Busy, RunError, described
from cts.build.evidence import modules, providers, size
from cts.build.facts import Facts
from cts.build.hooks import Hooks
from cts.build.init import Init
from cts.build.lock import StateLock
from cts.build.log import Log
from cts.build.log_sender import LogSender
from cts.build.lost_state import BY_HAND, LOOK_FIRST, LostState
from cts.build.orphans import Orphans
from cts.build.plan import NeedsPlan, changes, counted, counts, moves_or_forgets
from cts.build.records import Records
from cts.build.s3 import S3
from cts.build.session import opened
from cts.build.stop import Stop
from cts.build.surroundings import Surroundings
from cts.build.terraform import Ended, TerraformProcess
from cts.build.times import now
from cts.build.trace import Trace

BECAUSE = {
    True: "what failed may work the next time",
    False: "a person has to look at it first",
}
"""Of an error that doesn't say why a retry can or can't help."""


class Execution:
    """How far this build has come with its run."""

    def __init__(self, folder: Path, facts: Facts, on_path: OnPath, build: str, stop: Stop) -> None:
        self.folder, self.build, self.stop = folder, build, stop
        self.facts, self.on_path = facts, on_path
        self.own = folder / ".build"
        container = S3(facts.region, attempts=1, ends_at=stop.ends_at)
        self.session = opened(folder, facts.work_bucket, container)
        find = self.session.credentials
        self.s3 = S3(facts.region, ends_at=stop.ends_at, find=find)
        self.s3_once = S3(facts.region, attempts=1, ends_at=stop.ends_at, find=find)
        self.log = Log()
        self.records = Records(self.s3, facts)
        log_key = self.records.key("log")
        self.sender = LogSender(self.log, facts.work_bucket, log_key, self.s3, self.s3_once)
        self.lock = StateLock(self.s3, facts, self.records, self.log)
        self.surroundings = Surroundings(
            folder, self.own, facts, self.session, self.log, stop.ends_at
        )
        self.orphans = Orphans(self.s3, facts, self.records, self.log)
        self.cache = Cache(self.s3, facts, folder, self.own, self.log)
        self.hooks = Hooks(self.s3, facts, self.log, stop, folder)
        self.trace = Trace(self.own, self.log.shown)
        self.wait = LockWait(stop)
        self.init = Init(folder, facts)
        self.backend: StateBackend = StackBackend(self.s3, facts, self.lock, self.init)
        self.lost_state = LostState(self.s3, facts, self.records, self.log, folder, self.stored)
        self.step, self.at = "start", {"started": now()}
        self.terraform: TerraformProcess | None = None
        self.counts: dict[str, int] | None = None
        self.changes: list[dict[str, str]] = []
        self.planned = ""

    def execute(self) -> int:
        """The exit code: 0 if the run was applied, changed nothing, or is another build's."""
        self.begin_to_read()
        began = self.records.begin(self.build, self.at["started"], self.log)
        if began is None:
            return 0
        self.at["started"] = began
        try:
            self.session.watch(self.stop)
            self.sender.start()
            result = {"status": self.converge(), "error": None, "retryable": False}
            self.step = "done"
        except Exception as failed:  # noqa: BLE001  whatever happens, its reason is stored
            result = self.failure(failed)
        self.put_result(result)
        self.clean_up()
        return 1 if result["status"] == "errored" else 0

    def begin_to_read(self) -> None:
        """What former runs have left, while it turns out whose run this is. The build that has it
        is the only one that writes there."""
        facts = self.facts
        if facts.moves_to or facts.inspect:
            return
        markers = (self.lost_state.marker, self.orphans.marker)
        reads = [("GET", facts.work_bucket, marker) for marker in markers]
        if facts.state_key:
            reads.append(("GET", facts.state_bucket, self.lock.key))
            reads.append(("HEAD", facts.state_bucket, facts.state_key))
        self.s3.begin(*reads)

    def converge(self) -> str:
        """Init, plan, apply, and what follows an apply: the status."""
        terraform = self.terraform = self.found_terraform()
        terraform.environment |= self.surroundings.resolve()
        options = self.surroundings.backend_options(terraform.version)
        if not self.facts.state_key:
            self.backend = OwnBackend(self.facts, terraform)
        self.reach("init")
        if self.facts.moves_to:
            return self.move(terraform)
        if self.facts.inspect:
            return self.inspect(terraform, options)
        self.backend.prepare()
        self.cache.restore()
        self.backend.init(terraform, self.wait, options)
        self.cache.is_complete = True
        terraform.environment |= workspace(self.facts)
        self.lost_state.push_former(terraform, self.own)
        self.orphans.look_back(self.stored)
        apply = self.apply_plan if self.facts.destroy else self.plan_and_apply
        is_changed = apply(terraform)
        self.hooks.pay(terraform.environment, self.reach)
        return "applied" if is_changed else "unchanged"

    def stored(self) -> bytes | None:
        """The state that is stored."""
        return self.backend.state()

    def plan_and_apply(self, terraform: TerraformProcess) -> bool:
        """In one process, as a rule, which asks in between. Whether there was anything to apply."""
        self.reach("plan")
        try:
            how = partial(terraform.applying, self.approve)
            ended = self.wait.run(how, "apply", "-no-color")
        except NeedsPlan:
            return self.apply_plan(terraform)
        if self.step == "plan":
            self.planned_is(ended.output, counts(ended.output))
        return self.step == "apply"

    def approve(self, said: str) -> None:
        """What is planned: `said` when it was. Raises NeedsPlan if that doesn't tell enough."""
        if moves_or_forgets(said):
            raise NeedsPlan
        self.planned_is(said, counts(said))
        self.begin_apply()

    def apply_plan(self, terraform: TerraformProcess) -> bool:
        planned = self.plan(terraform)
        if planned.code == 2:
            self.begin_apply()
            self.wait.run(terraform.run, "apply", "-no-color", str(self.own / "plan"))
        return planned.code == 2

    def plan(self, terraform: TerraformProcess, *options: str) -> Ended:
        self.reach("plan")
        plan = self.own / "plan"
        if self.facts.destroy:
            options = ("-destroy", *options)
        arguments = ("-no-color", f"-out={plan}", "-detailed-exitcode", *options)
        planned = self.wait.run(terraform.converging, "plan", *arguments, codes=(0, 2))
        self.planned_is(planned.output, counted(terraform, plan, planned.output, self.log))
        return planned

    def planned_is(self, said: str, counts: dict[str, int]) -> None:
        self.planned, self.counts, self.changes = said, counts, changes(said)

    def begin_apply(self) -> None:
        """Before anything of what is planned is done."""
        self.stop.check()
        self.reach("apply")
        self.hooks.owe(self.counts or {})
        creates = Begun(partial(self.orphans.begin, self.planned))
        try:
            self.records.put("applying", self.at["apply"].encode())
        finally:
            creates.answer()

    def inspect(self, terraform: TerraformProcess, options: list[str]) -> str:
        """Plan, and leave nothing behind: no lock, no workspace, no record."""
        if not self.backend.init(terraform, self.wait, options):
            without_state(terraform, self.folder, self.init)
        terraform.environment |= workspace(self.facts)
        self.plan(terraform, "-lock=false")
        return "planned"

    def move(self, terraform: TerraformProcess) -> str:
        from cts.build.move import StateMove

        StateMove(self.s3, self.facts, self.lock, terraform, self.own, self.log).move()
        return "moved"

    def found_terraform(self) -> TerraformProcess:
        self.own.mkdir(exist_ok=True)
        facts = self.facts
        binary = find_engine(self.on_path, self.s3, facts.work_bucket, self.own, self.log)
        environment = self.surroundings.endpoint.environment(os.environ)
        if facts.persist_log:
            environment |= self.trace.environment()
        terraform = TerraformProcess(binary, self.folder, self.log, self.stop, environment)
        terraform.version = facts.terraform_version
        program = f"{self.on_path.engine.title} {facts.terraform_version}"
        self.log.note(f"run {facts.run}, correlation id {facts.correlation_id}, {program}")
        return terraform

    def reach(self, step: str) -> None:
        self.step, self.at[step] = step, now()

    def failure(self, failed: Exception) -> dict[str, Any]:
        """The result of a run that failed, with the state that Terraform could not store."""
        text, retryable = described(failed, self.log.shown), getattr(failed, "retryable", True)
        because = getattr(failed, "because", "")
        if not getattr(failed, "logged", False):
            self.log.note(text)
        try:
            kept = self.kept_state(text)
        except Exception as unexpected:  # noqa: BLE001  the result must tell of both
            why = described(unexpected, self.log.shown)
            said = f"Whether its state is stored could not be told: {why}."
            kept = f"{said} {LOOK_FIRST}", False
        if kept is not None:
            self.log.note(kept[0])
            text, retryable = f"{text}\n\n{kept[0]}", kept[1]
            because = "" if retryable else BY_HAND
        return {
            "status": "busy" if isinstance(failed, Busy) else "errored",
            "error": self.log.shown(text),
            "retryable": retryable,
            "because": self.log.shown(because or BECAUSE[retryable]),
            "errored_state": bool(kept and kept[1]),
        }

    def kept_state(self, error: str) -> tuple[str, bool] | None:
        """What `LostState.keep` says; only an apply makes a state that can be lost."""
        if self.step != "apply":
            return None
        return self.lost_state.keep(error, self.terraform.printed_state if self.terraform else "")

    def put_result(self, result: dict[str, Any]) -> None:
        """Before the last of the log, which may be long."""
        self.at["ended"] = now()
        self.session.end()
        self.sender.end()
        record = result | {
            "build": self.build,
            "step": self.step,
            "counts": self.counts,
            "changes": self.changes,
            "terraform": self.terraform.version if self.terraform else "",
            "modules": modules(self.folder, self.log.shown),
            "providers": providers(self.folder),
            "disk": size(self.folder),
            "orphans": [each._asdict() for each in self.orphans.found],
            "at": self.at,
        }
        try:
            self.records.put("result.json", json.dumps(record, indent=1).encode())
        finally:
            self.sender.put_last()

    def clean_up(self) -> None:
        """Once the result is stored. Nothing depends on it."""
        for each in [Begun(request) for request in self.left_to_do()]:
            try:
                each.answer()
            except RunError as failed:
                self.log.note(f"what is left of the run was not put away: {failed}")

    def left_to_do(self) -> Iterator[Callable[[], None]]:
        if self.terraform and not self.terraform.was_killed:
            yield self.orphans.end
        yield self.cache.store
        if self.planned:
            yield partial(self.records.put, "plan", self.log.shown(self.planned).encode())
        if body := self.trace.body():
            yield partial(self.records.put, "terraform.log", body)
        if self.facts.state_key:
            yield partial(self.lock.delete_former_versions, self.s3_once)
