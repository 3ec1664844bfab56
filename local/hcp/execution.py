"""Runs: their order in a workspace, and Terraform."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
from typing import TYPE_CHECKING

from local.hcp.notifications import notify
from local.hcp.resources import is_final
from local.hcp.store import now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.hcp.store import Phase, Run, Store, Workspace

BACKEND = 'terraform {{\n  backend "local" {{\n    path = {path}\n  }}\n}}\n'
COUNTS = {"create": "additions", "update": "changes", "delete": "destructions"}
BEGIN, END = b"\x02", b"\x03"
"""Around a whole log."""


class Engine:
    """`env`: the environment of Terraform, besides a workspace's own. `address`: the server's.
    `instant`: runs don't start Terraform and apply one object, so that tests can have hundreds."""

    def __init__(self, store: Store, env: Mapping[str, str], address: str) -> None:
        self.instant = False
        self._store = store
        self._env = dict(env)
        self._address = address
        self._threads: list[threading.Thread] = []

    def queue(self, run: Run) -> None:
        self._tell(run, "run:created")
        self._threads = [each for each in self._threads if each.is_alive()]
        thread = threading.Thread(target=self._execute, args=(run,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Ends all runs, and their Terraform at once."""
        with self._store.changed:
            for run in self._store.runs.values():
                if not is_final(run):
                    run.cancelled = True
                    self._becomes(run, "canceled")
                if run.process is not None and run.process.poll() is None:
                    run.process.kill()
            self._store.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def interrupt(self, run: Run) -> None:
        """As Ctrl-C does: Terraform ends what it is doing and stores its state."""
        run.cancelled = True
        if run.process is not None:
            run.process.send_signal(signal.SIGINT)

    def _execute(self, run: Run) -> None:
        workspace = self._store.workspace(run.workspace)
        if not self._wait_for_turn(run, workspace):
            return
        try:
            self._plan_and_apply(run, workspace)
        finally:
            with self._store.changed:
                if not is_final(run):
                    self._becomes(run, "canceled" if run.cancelled else "errored")
                if workspace.locked_by == ("runs", run.id):
                    workspace.locked_by = None
                self._store.changed.notify_all()
            worked = run.status in ("applied", "planned_and_finished")
            self._tell(run, "run:completed" if worked else "run:errored")

    def _wait_for_turn(self, run: Run, workspace: Workspace) -> bool:
        """False if it was discarded meanwhile. Runs that only plan do not wait."""
        with self._store.changed:
            if run.attributes["plan-only"]:
                return True
            self._store.changed.wait_for(
                lambda: is_final(run) or (workspace.locked_by is None and self._is_next(run))
            )
            if is_final(run):
                return False
            workspace.locked_by = ("runs", run.id)
            return True

    def _is_next(self, run: Run) -> bool:
        before = (r for r in self._store.runs_of(run.workspace) if not r.attributes["plan-only"])
        return next(each for each in before if not is_final(each)) is run

    def _plan_and_apply(self, run: Run, workspace: Workspace) -> None:
        self._moves(run, "plan_queued")
        self._unpack(run, workspace)
        self._moves(run, "planning")
        self._tell(run, "run:planning")
        options = ["-input=false", "-no-color"]
        values = f"-var-file={self._values(run, workspace)}"
        plan = ["plan", *options, "-out=plan.bin", values]
        if run.attributes["plan-only"]:
            plan.append("-lock=false")
        if run.attributes["is-destroy"]:
            plan.append("-destroy")
        self._begin(run.plan)
        ok = self._terraform(run, run.plan, ["init", *options]) and self._terraform(
            run, run.plan, plan
        )
        if ok:
            self._count(run)
        self._end(run.plan, ok=ok)
        if not ok:
            run.apply.status = "unreachable"
            return
        if run.attributes["plan-only"] or not run.has_changes:
            run.apply.status = "unreachable"
            self._moves(run, "planned_and_finished")
            return
        if self._confirmed(run):
            self._apply(run)

    def _confirmed(self, run: Run) -> bool:
        run.confirmed = bool(run.attributes["auto-apply"])
        self._moves(run, "planned")
        if not run.confirmed:
            self._tell(run, "run:needs_attention")
        with self._store.changed:
            self._store.changed.wait_for(lambda: is_final(run) or run.confirmed)
            return run.confirmed

    def _apply(self, run: Run) -> None:
        self._moves(run, "apply_queued")
        self._moves(run, "applying")
        self._tell(run, "run:applying")
        self._begin(run.apply)
        ok = self._terraform(run, run.apply, ["apply", "-input=false", "-no-color", "plan.bin"])
        run.apply.counts = run.plan.counts if ok else {}
        self._end(run.apply, ok=ok)
        if ok:
            self._moves(run, "applied")

    # ---- Terraform ----------------------------------------------------------------------------

    def _unpack(self, run: Run, workspace: Workspace) -> None:
        work = run.folder / "work"
        work.mkdir(parents=True)
        archive = self._store.configurations[run.configuration].archive
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")
        (work / "terraform.tfvars").unlink(missing_ok=True)  # ignored, as in HCP Terraform
        path = json.dumps(str(workspace.state))
        (work / "hcp_override.tf").write_text(BACKEND.format(path=path))

    def _values(self, run: Run, workspace: Workspace) -> Path:
        """Those of a run count more than those of its workspace, and both more than files."""
        values = {
            each["key"]: each["value"] if each["hcl"] else json.dumps(each["value"])
            for each in workspace.variables.values()
            if each["category"] == "terraform"
        }
        file = run.folder / "values.tfvars"
        lines = (f"{name} = {value}\n" for name, value in {**values, **run.variables}.items())
        file.write_text("".join(lines))
        return file

    def _terraform(self, run: Run, phase: Phase, arguments: list[str]) -> bool:
        if self.instant:
            return not run.cancelled
        workspace = self._store.workspace(run.workspace)
        own = {v["key"]: v["value"] for v in workspace.variables.values() if v["category"] == "env"}
        program = shutil.which("terraform", path=self._env.get("PATH")) or "terraform"
        with self._store.lock, phase.log.open("ab") as log:
            if run.cancelled:
                return False
            run.process = subprocess.Popen(
                [program, *arguments],
                cwd=run.folder / "work",
                env={**self._env, "TF_IN_AUTOMATION": "1", **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return run.process.wait() == 0 and not run.cancelled

    def _count(self, run: Run) -> None:
        if self.instant:
            run.plan.counts, run.has_changes = {"additions": 1}, True
            return
        program = shutil.which("terraform", path=self._env.get("PATH")) or "terraform"
        shown = subprocess.run(
            [program, "show", "-json", "plan.bin"],
            cwd=run.folder / "work",
            env=self._env,
            capture_output=True,
            check=True,
        )
        plan = json.loads(shown.stdout)
        counts = dict.fromkeys((*COUNTS.values(), "imports"), 0)
        for change in plan.get("resource_changes", []):
            for action in change["change"]["actions"]:
                if action in COUNTS:
                    counts[COUNTS[action]] += 1
            counts["imports"] += "importing" in change["change"]
        outputs = (each["actions"] != ["no-op"] for each in plan.get("output_changes", {}).values())
        run.plan.counts = counts
        run.has_changes = any(counts.values()) or any(outputs)

    # ---- what is told -------------------------------------------------------------------------

    def _begin(self, phase: Phase) -> None:
        phase.status = "running"
        phase.log.write_bytes(BEGIN)

    def _end(self, phase: Phase, *, ok: bool) -> None:
        with phase.log.open("ab") as log:
            log.write(END)
        phase.status = "finished" if ok else "errored"

    def _moves(self, run: Run, status: str) -> None:
        with self._store.changed:
            if not is_final(run):
                self._becomes(run, status)

    def _becomes(self, run: Run, status: str) -> None:
        run.status = status
        run.times[f"{status.replace('_', '-')}-at"] = now()

    def _tell(self, run: Run, trigger: str) -> None:
        notify(self._store.workspace(run.workspace), run, trigger, self._address)


def terraform_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The given variables, or those of this process that Terraform needs."""
    return dict(given) or {
        name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ
    }
