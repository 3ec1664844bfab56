"""Random valid configurations, and each written as HCL or JSON, whole or split over files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import strategies as st

Attributes: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """`key "label" { attributes, blocks }`."""

    key: str
    label: str = ""
    attributes: Attributes = field(default_factory=dict)
    blocks: tuple["Block", ...] = ()


Item: TypeAlias = Block | tuple[str, Any]
REPEATED = {"task", "service", "terraform_provider", "module_input", "source_input"}
"""What JSON writes as a list of objects."""
MODULES = ("acme/web/aws", "git::https://example.org/m.git", "./modules/web")
SHIPPED = {
    "modules/web/main.tf": b'variable "services" {}\nvariable "catalog_services" { default = {} }\n'
    b'variable "consul_kv" { default = {} }\nvariable "zone" { default = "" }\n'
    b'variable "ports" { default = [] }\n',
    "web.tfvars": b'zone = "dmz"\nports = [80, 443]\n',
}
"""What the configurations name."""

# ---- writing ----------------------------------------------------------------------------------


def as_hcl(items: Iterable[Item]) -> str:
    return "".join(f"{_hcl_block(i) if isinstance(i, Block) else _hcl_pair(*i)}\n" for i in items)


def _hcl_block(block: Block) -> str:
    label = f" {json.dumps(block.label)}" if block.label else ""
    return f"{block.key}{label} {{\n{as_hcl([*block.attributes.items(), *block.blocks])}}}"


def _hcl_pair(key: str, value: Any) -> str:
    return f"{json.dumps(key)} = {_hcl(value)}"


def _hcl(value: Any) -> str:
    match value:
        case dict():
            return f"{{\n{as_hcl(value.items())}}}"
        case list():
            return f"[{', '.join(map(_hcl, value))}]"
    return json.dumps(value, ensure_ascii=False)


def as_json(items: Iterable[Item]) -> str:
    return json.dumps(_tree(items), indent=1)


def _tree(items: Iterable[Item]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, Block):
            tree[item[0]] = item[1]
            continue
        body = _tree([*item.attributes.items(), *item.blocks])
        body = {item.label: body} if item.label else body
        if item.key in REPEATED:
            tree.setdefault(item.key, []).append(body)
        else:
            tree[item.key] = body
    return tree


WRITERS = {"hcl": as_hcl, "json": as_json}


def whole(items: Iterable[Item], kind: str) -> dict[str, bytes]:
    return {f"c.{kind}": WRITERS[kind](items).encode(), **SHIPPED}


@st.composite
def split(draw: st.DrawFn, items: Sequence[Item]) -> dict[str, bytes]:
    """Some files in place of one. The options of one block may stand in different files; what is
    a list keeps its order."""
    kinds = draw(st.lists(st.sampled_from(sorted(WRITERS)), min_size=2, max_size=4))
    numbers = range(len(kinds))
    pieces: list[list[Item]] = [[] for _ in kinds]
    repeated = [item for item in items if isinstance(item, Block) and item.key in REPEATED]
    places = sorted(draw(st.sampled_from(numbers)) for _ in repeated)
    for place, block in zip(places, repeated, strict=True):
        pieces[place].append(block)
    for item in items:
        if not isinstance(item, Block):
            pieces[draw(st.sampled_from(numbers))].append(item)
        elif item.key not in REPEATED:
            for place, part in _parts(draw, item, numbers):
                pieces[place].append(part)
    written = {
        f"{n}.{kind}": WRITERS[kind](piece).encode()
        for n, (kind, piece) in enumerate(zip(kinds, pieces, strict=True))
    }
    return written | SHIPPED


def _parts(draw: st.DrawFn, block: Block, numbers: range) -> list[tuple[int, Block]]:
    options: list[Item] = [*block.attributes.items(), *block.blocks]
    places = [draw(st.sampled_from(numbers)) for _ in options]
    parts = []
    for number in sorted(set(places)) or [0]:
        inside = [o for o, place in zip(options, places, strict=True) if place == number]
        attributes = dict(each for each in inside if not isinstance(each, Block))
        blocks = tuple(each for each in inside if isinstance(each, Block))
        parts.append((number, Block(block.key, block.label, attributes, blocks)))
    return parts


# ---- drawing ----------------------------------------------------------------------------------

TEXTS = st.text(alphabet='ab1 "\\é$#/*[],=\n\t', max_size=8)
NAMES = st.text(alphabet="abz09-_", min_size=1, max_size=5)
FLAGS = st.sampled_from([True, False, "true", "F", 0, 1])
DURATIONS = st.sampled_from(["5s", "1m30s", "1500ms", "0", "2h", 3_000_000_000])
REGEXPS = st.sampled_from(["", "^web", "^(web|api)-\\d{1,3}$", "a\\.b", "[[:alpha:]]+"])
FILTERS = st.sampled_from(['Service.Tags contains "x"', 'Checks.Status == "critical"'])
CRONS = st.sampled_from(["0 6 * * *", "@daily", "*/15 9-17 * * Mon-Fri", "0 0 LW * *"])
SCALARS = TEXTS | st.integers(-5, 70_000) | st.booleans() | st.sampled_from([0.5, -1.25])
# HCL's lists of one element are that element.
PLAIN = SCALARS | st.lists(SCALARS, max_size=3).filter(lambda items: len(items) != 1)
VALUES = PLAIN | st.dictionaries(NAMES, SCALARS, max_size=2)
FREE = st.dictionaries(NAMES, VALUES, max_size=3)
ARGUMENTS = st.dictionaries(NAMES.map("a{}".format), VALUES, max_size=3)
PAIRS = st.dictionaries(NAMES, TEXTS, max_size=2)


def some(required: Attributes | None = None, /, **optional: Any) -> Any:
    return st.fixed_dictionaries(dict(required or {}), optional=optional)


QUERY = {"datacenter": NAMES, "namespace": NAMES}
SERVICES: Attributes = {**QUERY, "filter": FILTERS, "cts_user_defined_meta": PAIRS}
BY_NAME = some({"names": st.lists(NAMES, min_size=1, max_size=3)}, **SERVICES)
BY_REGEXP = some({"regexp": REGEXPS}, **SERVICES)
KV = some({"path": NAMES}, recurse=FLAGS, **QUERY)
CATALOG = some({"regexp": REGEXPS}, node_meta=PAIRS, use_as_module_input=FLAGS, **QUERY)
SCHEDULE = some({"cron": CRONS})
CONDITIONS = {
    "services": BY_NAME | BY_REGEXP,
    "consul-kv": KV,
    "catalog-services": CATALOG,
    "schedule": SCHEDULE,
}
INPUTS = {"services": BY_NAME | BY_REGEXP, "consul-kv": KV}
BUFFER = some(enabled=FLAGS, min=DURATIONS, max=DURATIONS)
CONSUL = some(address=TEXTS, token=TEXTS, kv_path=NAMES, kv_namespace=NAMES)
TLS = some(enabled=FLAGS, verify=FLAGS, ca_path=TEXTS, server_name=TEXTS)
TRANSPORT = some(
    dial_timeout=DURATIONS, max_idle_conns=st.integers(0, 9), disable_keep_alives=FLAGS
)
VAULT = some({"address": st.just("https://vault.example:8200")}, token=TEXTS, namespace=NAMES)
SYSLOG = some(enabled=FLAGS, facility=st.just("LOCAL3"), name=TEXTS)
TERRAFORM = some(version=st.just("1.9.8"), log=FLAGS, persist_log=FLAGS, path=TEXTS)
CLOUD = some({"organization": st.just("acme")}, token=TEXTS)
BACKENDS = st.sampled_from(["s3", "consul", "pg"])
SCALAR_OPTIONS = some(
    log_level=st.sampled_from(["INFO", "debug"]), port=st.integers(0, 65535), id=TEXTS,
    working_dir=TEXTS,
)  # fmt: skip


@st.composite
def configurations(draw: st.DrawFn) -> list[Item]:
    """A valid configuration, in the order of its blocks."""
    items: list[Item] = [*draw(SCALAR_OPTIONS).items()]
    for key, attributes, inner in (
        ("consul", CONSUL, {"tls": TLS, "transport": TRANSPORT}),
        ("vault", VAULT, {}),
        ("buffer_period", BUFFER, {}),
        ("syslog", SYSLOG, {}),
    ):
        if draw(st.booleans()):
            blocks = tuple(Block(k, "", draw(a)) for k, a in inner.items() if draw(st.booleans()))
            items.append(Block(key, "", draw(attributes), blocks))
    if draw(st.booleans()):
        items.append(_driver(draw))
    providers = draw(
        st.lists(
            st.tuples(st.sampled_from("pqr"), st.sampled_from(["", "x"])), unique=True, max_size=3
        )
    )
    items += [_provider(draw, name, alias) for name, alias in providers]
    services = draw(st.lists(NAMES, unique=True, max_size=2))
    items += [_service(draw, name) for name in services]
    names = draw(st.lists(NAMES.map("t{}".format), unique=True, min_size=1, max_size=4))
    items += [_task(draw, name, providers, services) for name in names]
    return items


def _driver(draw: st.DrawFn) -> Block:
    if draw(st.booleans()):
        return Block("driver", "terraform-cloud", draw(CLOUD))
    required = draw(some(p=st.just({"source": "acme/p", "version": "~> 1.0"}), q=FREE))
    blocks = [Block("required_providers", "", required)]
    if draw(st.booleans()):
        blocks.append(Block("backend", draw(BACKENDS), draw(FREE)))
    return Block("driver", "terraform", draw(TERRAFORM), tuple(blocks))


def _provider(draw: st.DrawFn, name: str, alias: str) -> Block:
    named = {"alias": alias} if alias else {}
    env = (Block("task_env", "", draw(PAIRS)),) if draw(st.booleans()) else ()
    return Block("terraform_provider", name, draw(ARGUMENTS) | named, env)


def _service(draw: st.DrawFn, name: str) -> Block:
    return Block("service", "", {"name": name, "id": name} | draw(some(**SERVICES)))


def _task(
    draw: st.DrawFn, name: str, providers: Sequence[tuple[str, str]], services: Sequence[str]
) -> Block:
    attributes: dict[str, Any] = {"name": name, "module": draw(st.sampled_from(MODULES))}
    attributes |= draw(
        some(
            description=TEXTS, enabled=FLAGS, working_dir=NAMES,
            variable_files=st.just(["web.tfvars"]),
            variables=some(zone=st.just('"dmz"'), ports=st.just("[1, 2]")),
        )
    )  # fmt: skip
    if (
        chosen := draw(st.sets(st.sampled_from([name for name, _ in providers])))
        if providers
        else ()
    ):
        attributes["providers"] = [_entry(draw, each, providers) for each in sorted(chosen)]
    blocks = []
    condition = draw(st.sampled_from(["", *CONDITIONS]))
    if condition:
        blocks.append(Block("condition", condition, draw(CONDITIONS[condition])))
    for kind, query in INPUTS.items():
        if kind == condition or draw(st.booleans()):
            continue
        if kind == "services" and draw(st.booleans()):
            attributes["services"] = draw(
                st.lists(NAMES | st.sampled_from([*services, "s"]), min_size=1, max_size=3)
            )
        else:
            blocks.append(
                Block(draw(st.sampled_from(["module_input", "source_input"])), kind, draw(query))
            )
    if draw(st.booleans()):
        blocks.append(Block("buffer_period", "", draw(BUFFER)))
    return Block("task", "", attributes, tuple(blocks))


def _entry(draw: st.DrawFn, name: str, providers: Sequence[tuple[str, str]]) -> str:
    aliases = [alias for each, alias in providers if each == name]
    alias = draw(st.sampled_from(aliases))
    return f"{name}.{alias}" if alias else name
