"""What a hostile module runs: it tries what it may do to another task, with each of the credentials
that it can get. It leaves what became of it in its own run's folder.

    python3 probe.py VICTIM VICTIM_RUN

It is in the folder of a build, and uses the build's own client of S3.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"


def environments() -> Iterator[dict[str, str]]:
    """Those of this process and of all that it comes from."""
    pid = os.getpid()
    while pid > 1:
        text = Path(f"/proc/{pid}/environ").read_text()
        yield dict(each.split("=", 1) for each in text.split("\0") if "=" in each)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def endpoints() -> dict[str, dict[str, str]]:
    """The credentials endpoint of the run, and that of its container."""
    found = [each for each in environments() if FULL_URI in each and TOKEN in each]
    own = found[0]
    container = next(each for each in found if each[FULL_URI] != own[FULL_URI])
    return {"run": own, "container": container}


def attempts(s3: Any, facts: dict[str, Any], victim: str, run: str) -> dict[str, Callable[[], Any]]:
    work, state = facts["work_bucket"], facts["state_bucket"]
    own, own_run = facts["task"], facts["run"]

    def listed(bucket: str, prefix: str) -> Callable[[], Any]:
        query = f"list-type=2&prefix={prefix.replace('/', '%2F')}"
        return lambda: s3._send("GET", bucket, "", query=query)

    def got(bucket: str, key: str) -> Callable[[], Any]:
        return lambda: s3.get(bucket, key)

    def put(bucket: str, key: str) -> Callable[[], Any]:
        return lambda: s3.put(bucket, key, b"{}")

    return {
        "own: read archive": got(work, f"runs/{own}/{own_run}/archive.zip"),
        "own: write record": put(work, f"runs/{own}/{own_run}/record"),
        "own: read state": got(state, f"tasks/{own}/terraform.tfstate"),
        "own: read what is missing": got(work, f"runs/{own}/earlier/started"),
        "own: list runs": listed(work, f"runs/{own}/"),
        "own: write what init fetched": put(work, f"cache/{own}/x.zip"),
        "own: read what init fetched": got(work, f"cache/{own}/x.zip"),
        "own: write record of an earlier run": put(work, f"runs/{own}/earlier/started"),
        "read archive": got(work, f"runs/{victim}/{run}/archive.zip"),
        "read log": got(work, f"runs/{victim}/{run}/log"),
        "read started": got(work, f"runs/{victim}/{run}/started"),
        "read missing": got(work, f"runs/{victim}/missing/started"),
        "write result": put(work, f"runs/{victim}/{run}/result.json"),
        "give up next run": put(work, f"runs/{victim}/next/started"),
        "write what init fetched": put(work, f"cache/{victim}/x.zip"),
        "read what init fetched": got(work, f"cache/{victim}/x.zip"),
        "write unpushed": put(work, f"unpushed/{victim}"),
        "list runs": listed(work, f"runs/{victim}/"),
        "list all": listed(work, ""),
        "read state": got(state, f"tasks/{victim}/terraform.tfstate"),
        "write state": put(state, f"tasks/{victim}/terraform.tfstate"),
        "lock state": put(state, f"tasks/{victim}/terraform.tfstate.tflock"),
        "unlock state": lambda: s3.delete(state, f"tasks/{victim}/terraform.tfstate.tflock", "x"),
        "list versions of state": lambda: s3.former_versions(state, f"tasks/{victim}/"),
        "list state": listed(state, f"tasks/{victim}/"),
        "list credentials": listed(work, "builds/"),
        "write credentials": put(work, "builds/x/session.json"),
        "read bundle": got(work, "config/bundle.zip"),
        "write bundle": put(work, "config/bundle.zip"),
        "write definition": put(work, "definitions/x"),
        "replace tool": put(work, "tools/terraform/x"),
    }


def outcome(attempt: Callable[[], Any], refused: type[Exception]) -> str:
    try:
        attempt()
    except refused as error:
        return "refused" if "AccessDenied" in str(error) else str(error)
    return "done"


def main(victim: str, run: str) -> None:
    sys.path.insert(0, str(Path("execute").resolve()))
    from cts.build.credentials import find_credentials
    from cts.build.errors import RunError
    from cts.build.s3 import S3

    facts = json.loads(Path("run.json").read_text())
    found: dict[str, Any] = {}
    for name, environment in endpoints().items():
        os.environ.update({each: environment[each] for each in (FULL_URI, TOKEN)})
        s3 = S3(facts["region"], attempts=1)
        tried = attempts(s3, facts, victim, run)
        found[name] = {
            "credentials": find_credentials().as_answer(),
            "outcomes": {what: outcome(attempt, RunError) for what, attempt in tried.items()},
        }
    os.environ.update({each: endpoints()["run"][each] for each in (FULL_URI, TOKEN)})
    body = json.dumps(found).encode()
    key = f"runs/{facts['task']}/{facts['run']}/probe.json"
    S3(facts["region"]).put(facts["work_bucket"], key, body)


if __name__ == "__main__":
    main(*sys.argv[1:])
