"""`consul-kv`: a key of Consul's KV store, or all keys that begin with a path."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import quote

from cts.conditions.block import ConditionBlock, PassingBlock, Room, Told
from cts.conditions.condition import Condition, Read, declared, set_fields
from cts.conditions.paths import FAULT, can_be_asked_for
from cts.config.blocks.schema import option
from cts.config.rules.problem import Code, Problem
from cts.terraform.hclwrite import value
from cts.watch.answer import as_type, needed_text, text_of
from cts.watch.query import Kind, View, probe
from cts.watch.snapshot import Snapshot

VARIABLE = "consul_kv"


def _entries(answer: Any) -> list[dict[str, str]]:
    found = [as_type(dict, each, "an entry") for each in as_type(list, answer, "it")]
    entries = [
        {"key": needed_text(each, "Key"), "value": _text(text_of(each, "Value"))} for each in found
    ]
    return sorted(entries, key=lambda entry: entry["key"])


def _text(encoded: str) -> str:
    """Terraform's strings are Unicode: other bytes become U+FFFD."""
    return b64decode(encoded, validate=True).decode(errors="replace")


def _keys(entries: list[dict[str, str]]) -> frozenset[str]:
    return frozenset(entry["key"] for entry in entries)


def _path(name: str) -> str:
    return f"/v1/kv/{quote(name)}"


KV_INDEX = probe("kv-index", "the newest index of KV", "/v1/kv/cts-none/", {"recurse": ""})
"""A prefix that no key has. Asking for a key that is not there needs the right to read it."""

KEY = Kind(
    "key",
    words=lambda name: f"key {name}",
    path=_path,
    decode=_entries,
    members=_keys,
    newest=(KV_INDEX,),
    may_be_absent=True,
)
"""One key of the KV store."""

KEYS = Kind(
    "keys",
    words=lambda name: f"the keys that begin with {name}",
    path=_path,
    decode=_entries,
    members=_keys,
    newest=(KV_INDEX,),
    params=lambda _: {"recurse": ""},
    may_be_absent=True,
)
"""All keys that begin with a prefix."""


@dataclass(frozen=True, slots=True)
class KvCondition(Condition):
    """CTS's `consul-kv`, as condition or as module input: a key, or all that begin with `path`.
    It need not end at a slash: `app` takes `app2/x` too."""

    kind: ClassVar[str] = "consul-kv"

    path: str
    recurse: bool = False
    datacenter: str = ""
    namespace: str = ""
    trigger_only: bool = False

    def __post_init__(self) -> None:
        set_fields(self, path=self.path.lstrip("/"))

    def views(self, first: Snapshot | None) -> tuple[View, ...]:  # noqa: ARG002
        kind = KEYS if self.recurse else KEY
        return (View(kind, self.path, self.datacenter, self.namespace),)

    @property
    def variable(self) -> str:
        return "" if self.trigger_only else VARIABLE

    def declaration(self, *, const: bool) -> str:
        description = "Keys of Consul's KV store and their values"
        return declared(VARIABLE, description, "map(string)", const=const, protocol="Consul KV")

    def value(self, read: Read) -> str:
        """Keys are whole paths, also with `recurse`. A key that is not there is left out."""
        [view] = self.views(None)
        return value({each["key"]: each["value"] for each in read[view.id].value})


def _fault(path: str) -> str:
    """Why Consul can't be asked for this path; empty: it can."""
    key = path.lstrip("/")
    if path and not key:
        return "the path does not name a key"
    if not path.isprintable():
        return "Consul's HTTP API rejects characters that are not printable"
    if key and not can_be_asked_for(key):
        return FAULT.format("key", "path")
    return ""


@dataclass(frozen=True)
class KvInput(ConditionBlock):
    """`module_input "consul-kv"`."""

    variable: ClassVar[str] = VARIABLE

    path: str = option("", required='write path = "..."')
    recurse: bool = option(False)
    datacenter: str = option("")
    namespace: str = option("")

    def problems(self) -> Iterator[Problem]:
        if what := _fault(self.path):
            fix = 'write path = "..."'
            yield self.where.problem(Code.INVALID_VALUE, what, fix, option="path")

    def compiled(self) -> KvCondition:
        return KvCondition(
            self.path,
            recurse=self.recurse,
            datacenter=self.datacenter,
            namespace=self.namespace,
        )

    def told(self) -> Told:
        return Told(f"KV {self.path}" + (" and all below" if self.recurse else ""))


@dataclass(frozen=True)
class KvBlock(PassingBlock, KvInput):
    """`condition "consul-kv"`."""

    def compiled(self) -> KvCondition:
        return replace(KvInput.compiled(self), trigger_only=not self.use_as_module_input)


ROOM = Room(KvBlock, KvInput, KvCondition)
