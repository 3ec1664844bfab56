"""Driver `terraform-cloud`: a run is a run of HCP Terraform, or of a server that speaks its API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from cts.adapters.build_records import Started, given_up_record, started_from
from cts.adapters.hcp_api import NOT_FOUND
from cts.adapters.hcp_runs import HcpRun, end_of, error_in, is_ours, lost, message_of, plain
from cts.adapters.hcp_turns import Turns
from cts.adapters.hcp_workspaces import found_or_created, is_usable, set_variables, upload
from cts.build.masking import masked
from cts.errors import Refused, Unavailable, Upstream
from cts.keys import task_of
from cts.run.news import GivenUp, GoesOn, HasEnded, Heard, NeverBegan, News, NotStarted
from cts.terraform.archive import content_digest
from cts.terraform.cloud import Job, read_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cts.adapters.hcp_api import HcpApi
    from cts.adapters.hcp_notifications import HcpNotifications
    from cts.adapters.hcp_secrets import HcpSecrets
    from cts.adapters.hcp_workspaces import Workspace
    from cts.run.model import End, Run

LOG, DISCARDING = "log", "discarding"
"""Records of a run. The second one says why it is given up that is about to be discarded."""
LOST_AFTER = 3_600.0
"""Seconds after the claim from which a run that can't be found is given up."""
OPERATIONS = "plan_and_apply,plan_only,destroy"
"""Without this filter, runs that only plan are not listed."""


class RunFiles(Protocol):
    """The records of runs."""

    def archive(self, task: str, run: str) -> bytes | None: ...
    def run_object(self, task: str, run: str, name: str) -> bytes | None: ...
    def put_run_object(self, task: str, run: str, name: str, body: bytes) -> None: ...
    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool: ...


class Uploads(Protocol):
    """Which configuration was uploaded last for a task. It may be forgotten."""

    def uploaded(self, task: str) -> bytes | None: ...
    def put_uploaded(self, task: str, body: bytes) -> None: ...


class HcpTerraform:
    """`address`: the server's. `connect` begins a use of the API."""

    def __init__(
        self,
        address: str,
        connect: Callable[[], HcpApi],
        secrets: HcpSecrets,
        files: RunFiles,
        uploads: Uploads,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        notifications: HcpNotifications,
    ) -> None:
        self._address = address
        self._notifications = notifications
        self._connect = connect
        self._secrets = secrets
        self._files = files
        self._turns = Turns(files, now)
        self._uploads = uploads
        self._now = now
        self._sleep = sleep

    # ---- start ----------------------------------------------------------------------------------

    def start(self, run: Run, archive: bytes) -> str:
        """Returns the run's address in a browser. What was created without an answer is looked for,
        and not created twice."""
        job, api = read_job(archive), self._connect()
        if (named := job.cloud["hostname"].rstrip("/")) != self._address:
            raise Refused(
                f"starting run {run.id}: it is for {named}, but the stack is deployed with "
                f"HcpAddress={self._address}: push a configuration with this hostname"
            )
        turn = self._turns.of(run)
        if isinstance(turn.last, GivenUp):
            raise Refused(f"starting run {run.id}: it was given up")
        if turn.last is not None:
            if found := self._find(api, run, job):
                return self._url(job, found.id)
            if turn.is_taken:
                raise Unavailable(f"starting run {run.id}: it may be created this moment")
        workspace = found_or_created(api, job)
        if not workspace.has_run_variables:
            job = replace(job, in_file=True)
        self._notify(api, run.task, workspace)
        values = self._secrets.of(run, job)
        set_variables(api, workspace, values.sensitive, values.environment)
        version = self._configuration(api, workspace, run.task, job)
        if not self._turns.begin(run, turn, self._url(job, "")):
            raise Unavailable(f"starting run {run.id}: it was begun or given up meanwhile")
        try:
            return self._url(job, self._create(api, run, job, workspace, version))
        except Refused:
            self._turns.end(run, turn, self._url(job, ""))
            raise

    def _notify(self, api: HcpApi, task: str, workspace: Workspace) -> None:
        """Asked for once for each key."""
        sent = self._notifications
        if not sent.url:
            return
        wanted = f"{workspace.id} {sent.url} {sent.name()}"
        known = self._known_of(task).get("notifies")
        if known != wanted and sent.register(api, workspace.id):
            self._remember(task, notifies=wanted)

    def _known_of(self, task: str) -> dict[str, Any]:
        """What is known of the task's workspace."""
        found: dict[str, Any] = json.loads(self._uploads.uploaded(task) or b"{}")
        return found

    def _remember(self, task: str, **facts: str) -> None:
        known = {**self._known_of(task), **facts}
        self._uploads.put_uploaded(task, json.dumps(known).encode())

    def _configuration(self, api: HcpApi, workspace: Workspace, task: str, job: Job) -> str:
        """The ID of the configuration version; a new one only if the files are new."""
        files = job.configuration
        digest = content_digest(files)
        known = self._known_of(task)
        is_known = (known.get("workspace"), known.get("digest")) == (workspace.id, digest)
        if is_known and is_usable(api, known["version"]):
            return str(known["version"])
        version = upload(api, workspace, files, self._sleep)
        self._remember(task, workspace=workspace.id, digest=digest, version=version)
        return version

    def _create(self, api: HcpApi, run: Run, job: Job, workspace: Workspace, version: str) -> str:
        variables = [{"key": name, "value": text} for name, text in job.run_variables.items()]
        attributes: dict[str, Any] = {"message": message_of(run, job), "variables": variables}
        if job.plan_only:
            attributes["plan-only"] = True
        if job.destroys:
            attributes["is-destroy"] = True
        related = {
            "workspace": ("workspaces", workspace.id),
            "configuration-version": ("configuration-versions", version),
        }
        data = {
            "type": "runs",
            "attributes": attributes,
            "relationships": {
                name: {"data": {"type": kind, "id": id_}} for name, (kind, id_) in related.items()
            },
        }
        doing = f"creating run {run.id} in the workspace {workspace.name}"
        try:
            return str(api.post(doing, "/runs", {"data": data}).resource["id"])
        except Unavailable:
            found = self._find(api, run, job)
            if found is None:
                raise
            return found.id

    def _find(self, api: HcpApi, run: Run, job: Job) -> HcpRun | None:
        """The run in HCP Terraform, by what its message says. Listing is limited to 30 requests
        a minute, so it is done only if it is not known whether there is one."""
        organization, name = job.cloud["organization"], job.cloud["workspace"]
        doing = f"looking for run {run.id} in the workspace {name}"
        workspace = api.get(doing, f"/organizations/{organization}/workspaces/{name}").resource
        query = {"search[basic]": run.id, "filter[operation]": OPERATIONS, "page[size]": "100"}
        listed = api.get(doing, f"/workspaces/{workspace['id']}/runs", **query).resource
        version = self._known_of(run.task).get("version")
        return next((each for each in map(HcpRun, listed) if is_ours(each, run, version)), None)

    # ---- news -----------------------------------------------------------------------------------

    def heard(self, event: Mapping[str, Any]) -> Heard | None:
        """A notification. Raises Forged if it is not signed."""
        if "requestContext" not in event:
            return None
        found = self._notifications.told(event)
        return Heard(task=task_of(found[0]), run=found[0], told=found[1]) if found else None

    def news(self, run: Run, heard: Heard | None = None) -> News:
        """A notification only says which run to ask for."""
        if run.build:
            return self._asked(run, run.build)
        record = self._turns.of(run).last
        if isinstance(record, GivenUp):
            return record
        if heard and isinstance(record, Started):  # before the runner has recorded it
            return self._asked(run, f"{record.build}{heard.told}")
        if self._is_overdue(run):
            return NeverBegan() if record is None else lost(run)
        archive = self._files.archive(run.task, run.id)
        return NeverBegan() if archive is None else NotStarted(archive=archive)

    def _asked(self, run: Run, url: str) -> News:
        api = self._connect()
        reply = api.get(f"asking for run {run.id}", _run_path(url), include="plan,apply")
        if reply.status == NOT_FOUND and self._is_overdue(run):
            return lost(run)
        found = HcpRun(reply.resource, tuple(reply.body.get("included") or ()))
        if not found.is_final:
            return GoesOn(waits=self._waits(api, found, url), approval=found.waits)
        why = self._files.run_object(run.task, run.id, DISCARDING)
        given_up = started_from(why) if found.status == "discarded" else None
        if isinstance(given_up, GivenUp):
            return given_up
        found = _with_phases(api, found)
        return HasEnded(end=end_of(found, url, self._logged(api, run, found)), build=url)

    def _waits(self, api: HcpApi, found: HcpRun, url: str) -> str:
        """What a run that neither plans nor applies waits for; empty if it does not wait."""
        if found.waits:
            return f"waits for a decision in HCP Terraform: {url}"
        if found.status != "pending":
            return ""
        doing = f"asking what run {found.id} waits for"
        resource = api.get(doing, f"/workspaces/{found.related('workspace')}").resource
        by = HcpRun(resource).related("locked-by")
        name = resource["attributes"]["name"]
        if not resource["attributes"].get("locked") or by == found.id:
            return ""
        if by.startswith("run-"):
            return f"waits for run {by}, which comes before it in the workspace {name}"
        return f"waits for the workspace {name}, which {by or 'a person'} has locked: {url}"

    def _logged(self, api: HcpApi, run: Run, found: HcpRun) -> str:
        """Store what Terraform said, without secrets; what it said is wrong."""
        archive = self._files.archive(run.task, run.id)
        if archive is None:
            return ""
        doing = f"reading the log of run {run.id}"
        urls = [found.phase(kind).get("log-read-url") for kind in ("plans", "applies")]
        try:
            hide = self._secrets.of(run, read_job(archive)).hide
        except Upstream:
            return ""  # what must not be shown in it is not known
        logs = [masked(hide(plain(api.text(doing, url)))) for url in urls if url]
        self._files.put_run_object(run.task, run.id, LOG, "\n".join(filter(None, logs)).encode())
        return next(filter(None, map(error_in, reversed(logs))), "")

    # ---- stop -----------------------------------------------------------------------------------

    def stop(self, run: Run, end: End | None) -> bool:
        """A run that only waits is discarded."""
        record, turn = given_up_record(end), self._turns.of(run)
        if isinstance(turn.last, GivenUp):
            return False
        if turn.last is None:
            return self._turns.take(run, turn, record)
        api = self._connect()
        found = self._known(api, run)
        if found is None:
            return not turn.is_taken and self._turns.take(run, turn, record)
        if not found.waits and found.status != "pending":
            return False
        self._files.put_if_absent(run.task, run.id, DISCARDING, record)
        path = f"/runs/{found.id}/actions/discard"
        return not api.post(
            f"discarding run {run.id}", path, {"comment": "No longer wanted"}
        ).is_error

    def _known(self, api: HcpApi, run: Run) -> HcpRun | None:
        if run.build:
            return HcpRun(api.get(f"asking for run {run.id}", _run_path(run.build)).resource)
        archive = self._files.archive(run.task, run.id)
        return self._find(api, run, read_job(archive)) if archive else None

    # ---- records --------------------------------------------------------------------------------

    def _is_overdue(self, run: Run) -> bool:
        return self._now() - run.claimed_at >= LOST_AFTER

    def _url(self, job: Job, run: str) -> str:
        organization, name = job.cloud["organization"], job.cloud["workspace"]
        return f"{self._address}/app/{organization}/workspaces/{name}/runs/{run}"


def _run_path(url: str) -> str:
    return f"/runs/{url.rpartition('/')[2]}"


def _with_phases(api: HcpApi, found: HcpRun) -> HcpRun:
    """Some servers ignore `include`."""
    if found.included:
        return found
    doing, phases = f"asking for the plan and the apply of {found.id}", []
    for name, kind in (("plan", "plans"), ("apply", "applies")):
        if id_ := found.related(name):
            phases.append(api.get(doing, f"/{kind}/{id_}").resource)
    return HcpRun(found.resource, tuple(phases))
