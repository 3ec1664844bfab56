"""Objects that a build which was killed hard may have left outside of the state.

Terraform stores the state while it works, but not after each object. So what an apply is about to
create is recorded before it begins, in an object that is deleted once the run has a result. If it
is still there, the task's next run compares it with the state."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cts.build.facts import Facts
from cts.build.log import Log
from cts.build.records import Records, json_object
from cts.build.s3 import S3, StoredState

PLANNED = re.compile(
    r"^  # (\S.*?)(?: is tainted, so(?: it)?)? (?:will be created|(?:will|must) be replaced\b.*)$",
    re.MULTILINE,
)
"""What Terraform prints of an object that it will create."""
FOUND = re.compile(r"^(\S.*): Refreshing state\.\.\. \[\w+=(.*)\]$", re.MULTILINE)
BEGUN = re.compile(r"^(\S.*): Creating\.\.\.", re.MULTILINE)
CREATED = re.compile(r"^(\S.*): Creation complete after \S+(?: \[\w+=(.*)\])?$", re.MULTILINE)
WORDS = {"created": "created", "begun": "its creation was begun", "": "perhaps created"}
SHOWN = 50
"""Orphans that are listed one by one."""


class LeftOutside(NamedTuple):
    """It exists if its creation was seen to end. Otherwise it may exist."""

    run: str
    """The run that was killed."""
    address: str
    id: str
    """What the provider calls it; empty if that is not known."""
    seen: str
    """What its log tells: `created`, `begun`, or empty."""


class Orphans:
    """Those that former runs of the task left, and what the next run must know of this one."""

    def __init__(self, s3: S3, facts: Facts, records: Records, log: Log) -> None:
        self.s3, self.records, self.log, self.run = s3, records, log, facts.run
        self.bucket, self.marker = facts.work_bucket, f"unfinished/{facts.task}/apply"
        self.found: list[LeftOutside] = []
        self._seen: StoredState | None = None

    def look_back(self, stored: Callable[[], bytes | None]) -> None:
        """Compare what a former run was about to create, if it has left no result, with the state
        that is `stored`."""
        self._seen = self.s3.get(self.bucket, self.marker)
        if self._seen is None:
            return
        record = json_object(self._seen.body) or {}
        run, planned = str(record.get("run")), record.get("creates") or {}
        log = self.s3.get(self.bucket, self.records.key("log", run))
        text = log.body.decode(errors="replace") if log else ""
        self.found = [_read(each) for each in record.get("orphans", [])]
        # As it was printed: a secret may be a word of an address.
        shown = self.log.shown
        state = {
            shown(address): shown(id_)
            for address, id_ in ids_of(json_object(stored() or b"") or {}).items()
        }
        self.found += sorted(outside(run, planned, state, text), key=lambda each: not each.seen)
        if self.found:
            self.log.note(told(self.found))

    def begin(self, said: str) -> None:
        """Before an apply. `said`: what Terraform printed of its plan. Orphans of former runs go
        along until a result names them. An apply that creates nothing needs no record, but it
        changes what the record of a former run is compared with."""
        before = dict(FOUND.findall(said))
        creates = {address: before.get(address, "") for address in PLANNED.findall(said)}
        if not creates and self._seen is None:
            return
        record = {
            "run": self.run,
            "creates": creates,
            "orphans": [each._asdict() for each in self.found],
        }
        self.s3.put(self.bucket, self.marker, json.dumps(record).encode())

    def end(self) -> None:
        """Once the result is stored, which names what was found."""
        now = self.s3.get(self.bucket, self.marker)
        if now is None:
            return
        is_ours = (json_object(now.body) or {}).get("run") == self.run
        if is_ours or (self._seen and now.etag == self._seen.etag):
            self.s3.delete(self.bucket, self.marker, now.etag)


def outside(
    run: str, planned: Mapping[str, str], state: Mapping[str, str], log: str
) -> Iterator[LeftOutside]:
    """What the run may have created outside of the state. `planned`: address -> the id of what
    was to be replaced, empty for what is new; `state`: address -> id. Whose id is another than
    before is in the state."""
    created, begun = dict(CREATED.findall(log)), set(BEGUN.findall(log))
    for address, before in planned.items():
        if address not in state or (before and state[address] == before):
            seen = "created" if address in created else "begun" if address in begun else ""
            yield LeftOutside(run, address, created.get(address, ""), seen)


def _read(orphan: Mapping[str, Any]) -> LeftOutside:
    return LeftOutside(*(str(orphan.get(name, "")) for name in LeftOutside._fields))


def ids_of(state: Mapping[str, Any]) -> dict[str, str]:
    """Address -> id, of what a state holds."""
    found = {}
    for resource in state.get("resources", []):
        module = f"{resource['module']}." if "module" in resource else ""
        name = f"{module}{resource['type']}.{resource['name']}"
        for each in resource["instances"]:
            if "deposed" not in each:
                attributes = each.get("attributes") or {}
                named = attributes.get("id") or attributes.get("name") or ""
                found[name + _index(each.get("index_key"))] = str(named)
    return found


def _index(key: object) -> str:
    if key is None:
        return ""
    if isinstance(key, int):
        return f"[{key}]"
    text = json.dumps(key, ensure_ascii=False)
    return f"[{text.replace('${', '$${').replace('%{', '%%{')}]"


def told(found: list[LeftOutside]) -> str:
    """For people."""
    lines = [
        f"  {each.address}{f' (id {each.id})' if each.id else ''}: "
        f"{WORDS[each.seen]} by run {each.run}"
        for each in found[:SHOWN]
    ]
    more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    text = "a build was killed during its apply, and these objects may exist outside of the state:"
    see = 'See "Objects outside of the state" in docs/operations.md.'
    return "\n".join([text, *lines, *more, see])
