"""One build's attempt at one run: init, plan, apply, and a result whatever happens.

It doesn't know where it runs: the folder with the unpacked archive, the build's identity and its
time limit are arguments.
"""

import json
import os
from pathlib import Path
from typing import Any

from cts.build.errors import described
from cts.build.facts import read_facts
from cts.build.lock import StateLock
from cts.build.log import Log
from cts.build.log_sender import LogSender
from cts.build.lost_state import LOOK_FIRST, LostState
from cts.build.plan import counted
from cts.build.records import Records
from cts.build.release import find_terraform
from cts.build.s3 import S3
from cts.build.session import opened
from cts.build.stop import Stop
from cts.build.surroundings import Surroundings
from cts.build.terraform import TerraformProcess, backend_options
from cts.build.times import now


class Execution:
    """How far this build has come with its run."""

    def __init__(self, folder: Path, build: str, stop: Stop) -> None:
        self.folder, self.build, self.stop = folder, build, stop
        self.facts = facts = read_facts(folder / "run.json")
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
        self.lost_state = LostState(self.s3, facts, self.records, self.log, folder)
        self.surroundings = Surroundings(
            folder, self.own, facts, self.session, self.log, stop.ends_at
        )
        self.step, self.at = "start", {"started": now()}
        self.terraform: TerraformProcess | None = None
        self.counts: dict[str, int] | None = None
        self.version = ""

    def execute(self) -> int:
        """The exit code: 0 if the run was applied, changed nothing, or is another build's."""
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
        self.lock.delete_former_versions(self.s3_once)
        return 1 if result["status"] == "errored" else 0

    def converge(self) -> str:
        """Init, plan, apply: the status."""
        terraform = self.terraform = self.found_terraform()
        terraform.environment |= self.surroundings.resolve()
        self.reach("init")
        self.lock.release_orphan()
        self.init(terraform)
        self.lost_state.push_former(terraform, self.own)
        self.reach("plan")
        plan = self.own / "plan"
        planned = terraform.converging(
            "plan", "-no-color", f"-out={plan}", "-detailed-exitcode", codes=(0, 2)
        )
        self.counts = counted(terraform, plan, planned.output, self.log)
        if planned.code == 0:
            return "unchanged"
        self.stop.check()
        self.reach("apply")
        self.records.put("applying", self.at["apply"].encode())
        terraform.run("apply", "-no-color", str(plan))
        return "applied"

    def found_terraform(self) -> TerraformProcess:
        self.own.mkdir(exist_ok=True)
        facts = self.facts
        wanted = facts.terraform_version
        binary = find_terraform(wanted, self.s3, facts.work_bucket, self.own, self.log)
        environment = self.surroundings.endpoint.environment(os.environ)
        terraform = TerraformProcess(binary, self.folder, self.log, self.stop, environment)
        self.version = terraform.version()
        self.log.note(
            f"run {facts.run}, correlation id {facts.correlation_id}, "
            f"Terraform {self.version} ({wanted} is configured)"
        )
        return terraform

    def init(self, terraform: TerraformProcess) -> None:
        """In the task's workspace, so that providers only its state still needs are installed too.
        Without state `init` would refuse that workspace, whereas `plan` creates it."""
        workspace = {"TF_WORKSPACE": self.facts.task}
        has_state = self.s3.exists(self.facts.state_bucket, self.facts.state_key)
        if has_state:
            terraform.environment |= workspace
        options = backend_options(self.version, other_endpoint=bool(self.s3.endpoint))
        options += self.surroundings.backend_options(self.version)
        terraform.converging("init", "-no-color", *options)
        terraform.environment |= workspace

    def reach(self, step: str) -> None:
        self.step, self.at[step] = step, now()

    def failure(self, failed: Exception) -> dict[str, Any]:
        """The result of a run that failed, with the state that Terraform could not store."""
        text, retryable = described(failed, self.log.shown), getattr(failed, "retryable", True)
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
        return {
            "status": "errored",
            "error": self.log.shown(text),
            "retryable": retryable,
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
            "terraform": self.version,
            "at": self.at,
        }
        try:
            self.records.put("result.json", json.dumps(record, indent=1).encode())
        finally:
            self.sender.put_last()
