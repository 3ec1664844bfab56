"""The workspace of a task in HCP Terraform: found or created, and what its runs need."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cts.adapters.hcp_api import CONFLICT, NOT_FOUND, UNPROCESSABLE
from cts.errors import Refused, Unavailable
from cts.terraform.hclwrite import value
from cts.terraform.versions import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cts.adapters.hcp_api import HcpApi
    from cts.terraform.cloud import Job

OURS = "Set by Consul-Terraform-Sync for each run"
"""The description of variables that are ours."""
CREATED_BY = "source:cts"
"""The tag that CTS gives to workspaces."""
FIRST_WITH_RUN_VARIABLES = Version.read("1.1.0")
MODES = ("remote", "agent")
LOOKS, PAUSE = 20, 0.5
"""How often, and after how many seconds, an upload is looked at until it is unpacked."""


@dataclass(frozen=True, slots=True)
class Workspace:
    id: str
    name: str
    organization: str
    has_run_variables: bool


def found_or_created(api: HcpApi, job: Job) -> Workspace:
    """Raises Unavailable, and Refused if it may not be automated."""
    organization, name = job.cloud["organization"], job.cloud["workspace"]
    path = f"/organizations/{organization}/workspaces/{name}"
    doing = f"looking for the workspace {name} of organization {organization}"
    reply = api.get(doing, path)
    if reply.status == NOT_FOUND:
        created = _create(api, job)
        if created is not None:
            return _described(created, organization)
        reply = api.get(doing, path)  # another one was first
    resource = reply.resource
    _check(resource, job)
    _add_tags(api, resource, job.cloud.get("tags", []))
    return _described(resource, organization)


def _described(resource: dict[str, Any], organization: str) -> Workspace:
    attributes = resource["attributes"]
    try:
        version = Version.read(str(attributes.get("terraform-version")))
    except ValueError:  # a constraint, or `latest`
        version = FIRST_WITH_RUN_VARIABLES
    has = version >= FIRST_WITH_RUN_VARIABLES
    return Workspace(resource["id"], attributes["name"], organization, has)


def _create(api: HcpApi, job: Job) -> dict[str, Any] | None:
    """None if there is one by now."""
    organization, name = job.cloud["organization"], job.cloud["workspace"]
    mode = job.cloud.get("execution_mode", "remote")
    attributes = {
        "name": name,
        "description": job.description,
        "auto-apply": True,
        "execution-mode": mode,
        "terraform-version": job.terraform_version,
        "source-name": "Consul-Terraform-Sync",
    }
    if mode == "agent":
        attributes["agent-pool-id"] = _agent_pool(api, job)
    doing = f"creating the workspace {name} of organization {organization}"
    data = {"type": "workspaces", "attributes": attributes}
    reply = api.post(doing, f"/organizations/{organization}/workspaces", {"data": data})
    if reply.status in (CONFLICT, UNPROCESSABLE) and "taken" in str(reply.refused()):
        return None
    created: dict[str, Any] = reply.resource
    _add_tags(api, created, [CREATED_BY, *job.cloud.get("tags", [])])
    return created


def _agent_pool(api: HcpApi, job: Job) -> str:
    if pool := job.cloud.get("agent_pool_id"):
        return str(pool)
    organization, name = job.cloud["organization"], job.cloud.get("agent_pool_name")
    doing = f"looking for the agent pool {name} of organization {organization}"
    for each in api.pages(doing, f"/organizations/{organization}/agent-pools", q=str(name)):
        if each["attributes"]["name"] == name:
            return str(each["id"])
    raise Refused(f"{doing}: there is no such pool, or the token is not allowed to see it")


def _check(resource: dict[str, Any], job: Job) -> None:
    """Whether a workspace that someone else may have made can be automated. Raises Refused."""
    attributes, cloud = resource["attributes"], job.cloud
    doing = f"using the workspace {attributes['name']} of organization {cloud['organization']}"
    tags = {str(tag) for tag in attributes.get("tag-names") or []}
    if attributes.get("execution-mode") not in MODES:
        raise Refused(f"{doing}: its execution mode must be remote or agent")
    if attributes.get("vcs-repo"):
        raise Refused(f"{doing}: it is connected to a VCS repository: disconnect it")
    if denied := tags & {*cloud.get("tags_denylist", [])}:
        raise Refused(f"{doing}: it has the tag {min(denied)}, which tags_denylist forbids")
    allowed = {*cloud.get("tags_allowlist", [])}
    if allowed and not allowed & (tags | {*cloud.get("tags", [])}):
        raise Refused(
            f"{doing}: it has none of the tags of tags_allowlist ({', '.join(sorted(allowed))})"
        )


def _add_tags(api: HcpApi, resource: dict[str, Any], wanted: list[str]) -> None:
    """Those that are missing: some servers refuse a tag that is there."""
    present = {str(tag) for tag in resource["attributes"].get("tag-names") or []}
    missing = [tag for tag in dict.fromkeys(wanted) if tag not in present]
    if missing:
        data = [{"type": "tags", "attributes": {"name": name}} for name in missing]
        doing = f"adding tags to the workspace {resource['attributes']['name']}"
        path = f"/workspaces/{resource['id']}/relationships/tags"
        reply = api.post(doing, path, {"data": data})
        if reply.is_error:
            raise reply.refused()


# ---- variables ----------------------------------------------------------------------------------


def set_variables(
    api: HcpApi, workspace: Workspace, sensitive: Mapping[str, Any], environment: Mapping[str, str]
) -> None:
    """What must not be seen: the providers' arguments, and the environment. What the task no longer
    has is deleted. Raises Unavailable or Refused."""
    doing = f"setting the variables of the workspace {workspace.name}"
    path = f"/workspaces/{workspace.id}/vars"
    wanted = {
        **{("terraform", name): value(each) for name, each in sensitive.items()},
        **{("env", name): text for name, text in environment.items()},
    }
    present = {
        (each["attributes"]["category"], each["attributes"]["key"]): each
        for each in api.get(doing, path).resource
    }
    for which, text in wanted.items():
        data = {"type": "vars", "attributes": _variable(*which, text)}
        if which in present:
            id_ = present[which]["id"]
            reply = api.patch(doing, f"{path}/{id_}", {**data, "id": id_})
        else:
            reply = api.post(doing, path, {"data": data})
        if reply.is_error:
            raise reply.refused()
    for which, each in present.items():
        if which not in wanted and each["attributes"].get("description") == OURS:
            api.delete(doing, f"{path}/{each['id']}")


def _variable(category: str, name: str, text: str) -> dict[str, Any]:
    return {
        "key": name,
        "value": text,
        "description": OURS,
        "category": category,
        "hcl": category == "terraform",
        "sensitive": True,
    }


# ---- configuration versions ---------------------------------------------------------------------


def is_usable(api: HcpApi, version: str) -> bool:
    """Whether a configuration version that was uploaded before can still be used."""
    reply = api.get(f"looking at configuration version {version}", _path(version))
    return not reply.is_error and reply.resource["attributes"]["status"] == "uploaded"


def upload(
    api: HcpApi, workspace: Workspace, files: Mapping[str, bytes], sleep: Callable[[float], None]
) -> str:
    """A new configuration version. Raises Unavailable or Refused."""
    doing = f"uploading a configuration to the workspace {workspace.name}"
    attributes = {"auto-queue-runs": False}
    data = {"type": "configuration-versions", "attributes": attributes}
    path = f"/workspaces/{workspace.id}/configuration-versions"
    created = api.post(doing, path, {"data": data}).resource
    version, why = str(created["id"]), ""
    try:
        api.upload(doing, created["attributes"]["upload-url"], packed(files))
    except Refused as error:  # the URL works once: a try whose answer was lost may have used it
        why = f"; {error}"
    for _ in range(LOOKS):
        status = api.get(doing, _path(version)).resource["attributes"]["status"]
        if status == "uploaded":
            return version
        if status == "errored":
            raise Refused(f"{doing}: HCP Terraform could not unpack it")
        sleep(PAUSE)
    raise Unavailable(f"{doing}: it was not unpacked within {LOOKS * PAUSE:.0f} s{why}")


def _path(version: str) -> str:
    return f"/configuration-versions/{version}"


def packed(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz whose bytes depend on the files alone."""
    whole = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=whole, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o755
            tar.addfile(entry, io.BytesIO(files[name]))
    return whole.getvalue()
