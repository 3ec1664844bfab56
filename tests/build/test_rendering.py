"""What Terraform makes of the files of a task: it leaves their format alone, and every value
arrives as Consul holds it."""

import base64
import json
import subprocess
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cts.conditions import intentions, nodes
from cts.conditions.catalog_services import CatalogServicesCondition
from cts.conditions.condition import Read
from cts.conditions.consul_kv import KvCondition
from cts.conditions.intentions import IntentionsCondition
from cts.conditions.nodes import NodesCondition
from cts.conditions.services import ServiceRow, ServicesCondition, service_key
from cts.terraform.definition import Definition, Module
from cts.terraform.files import files
from cts.terraform.place import RunPlace
from cts.watch.snapshot import Snapshot, of

GOLDEN = Path(__file__).parents[1] / "unit" / "golden" / "terraform"
RENDERED_ONLY = ("terraform.tfvars", "variables.tf", "variables.auto.tfvars", "variables.module.tf")
PLACE = RunPlace("work", "state", "eu-west-1", "1.11.4")
NASTY = [
    "",
    '"',
    "\\",
    'a\\"b',
    "two\nlines\r\n",
    "\ttab",
    "${x}",
    "$${x}",
    "$$${x}",
    "%{if true}x%{endif}",
    "%%{x}",
    "$",
    "$$",
    "${",
    "%{",
    "$%{",
    "a$",
    "{",
    "\0",
    "\x7f",
    "\u200b\u2028\ufeff",
    "é",
    "e\u0301",
    "\U0001f600",
    "\U000e0001",
    "for",
    "null",
    "~}",
    "EOT",
    "/*",
    "#",
]

# Plain text seldom holds what is special to HCL, so its pieces are drawn often.
PIECES = st.sampled_from(["$", "%", "{", "}", "$${", "\\", '"', "\n", "u0041", "é", "e\u0301"])
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=8).map("".join)
NUMBERS = st.one_of(st.integers(-(10**30), 10**30), st.floats(allow_nan=False, width=32))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS.filter(lambda n: abs(n) < 1e31), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
# Terraform is started for each example, so an example holds many values.
FEW = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def terraform(*arguments: str, folder: Path, env: dict[str, str], said: str | None = None) -> str:
    done = subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env=env,
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(name: str, folder: Path, env: dict[str, str], *, nonsensitive: bool = False) -> Any:
    """The variable as Terraform understood it."""
    written = f"jsonencode(var.{name})"
    said = f"base64encode({f'nonsensitive({written})' if nonsensitive else written})\n"
    answer = terraform("console", folder=folder, env=env, said=said)
    text = base64.b64decode(answer.strip().strip('"'))
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def write(folder: Path, rows: list[ServiceRow], variables: dict[str, Any]) -> None:
    definition = Definition("web", Module("./m"), ServicesCondition(("web",)), variables)
    stored = Snapshot(json.dumps(rows).encode(), "digest")
    write_files(folder, definition, {v.id: stored for v in definition.condition.views(None)})


def write_files(folder: Path, definition: Definition, read: Read) -> None:
    made = files(definition, read, description="\n}", place=PLACE, run="run-1")
    for name in RENDERED_ONLY:
        (folder / name).unlink(missing_ok=True)
        if name in made:
            (folder / name).write_text(made[name])


def normal(value: Any) -> Any:
    """Terraform's strings are in Unicode's normal form C; its numbers are decimal."""
    match value:
        case str():
            return unicodedata.normalize("NFC", value)
        case dict():
            return {normal(key): normal(value[key]) for key in sorted(value)}
        case list():
            return [normal(item) for item in value]
        case int() | float() if not isinstance(value, bool):
            return Decimal(repr(value))
        case _:
            return value


def expected(rows: list[ServiceRow]) -> dict[str, ServiceRow]:
    by_key = {service_key(row): {**row, "cts_user_defined_meta": {}} for row in rows}
    services: dict[str, ServiceRow] = normal(by_key)
    return services


def a_row(text: str) -> ServiceRow:
    return {
        **dict.fromkeys(["name", "kind", "address", "namespace", "status", "node_id"], text),
        **dict.fromkeys(["id", "node", "node_address", "node_datacenter"], text),
        "meta": {text: text, "other": text},
        "node_tagged_addresses": {text: ""},
        "node_meta": {f"a{text}": f"{text}{text}"},
        "port": 1,
        "tags": [text, text],
    }


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_terraform_fmt_leaves_the_files_as_they_are(case: str, environment: dict[str, str]) -> None:
    terraform("fmt", "-check", "-diff", folder=GOLDEN / case, env=environment)


@example(texts=NASTY)
@given(texts=st.lists(TEXTS, min_size=5, max_size=40))
@FEW
def test_services_arrive_unchanged(
    texts: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = [a_row(text) for text in texts]
    write(tmp_path, rows, {})
    assert read("services", tmp_path, environment) == expected(rows)
    terraform("fmt", "-check", "-diff", folder=tmp_path, env=environment)


@example(texts=NASTY)
@given(texts=st.lists(TEXTS, min_size=5, max_size=40))
@FEW
def test_keys_and_names_arrive_unchanged(
    texts: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    condition, keys = CatalogServicesCondition(""), KvCondition("", recurse=True)
    entries = [{"key": text, "value": f"{text}\n"} for text in texts]
    named = [{"name": text, "tags": [text, ""]} for text in texts]
    answers = {condition: of(named), keys: of(entries)}
    write_files(
        tmp_path,
        Definition("web", Module("./m"), condition, inputs=(keys,)),
        {view.id: found for each, found in answers.items() for view in each.views(None)},
    )
    pairs = {each["key"]: each["value"] for each in entries}
    assert read("consul_kv", tmp_path, environment) == normal(pairs)
    tags = {text: [text, ""] for text in texts}
    assert read("catalog_services", tmp_path, environment) == normal(tags)
    terraform("fmt", "-check", "-diff", folder=tmp_path, env=environment)


@example(texts=NASTY)
@given(texts=st.lists(TEXTS, min_size=5, max_size=40))
@FEW
def test_nodes_and_intentions_arrive_unchanged(
    texts: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    condition, mesh = NodesCondition(), IntentionsCondition()
    hosts = [
        {
            **dict.fromkeys(nodes.ATTRIBUTES, text),
            "name": f"{number}",
            "datacenter": "dc1",
            "tagged_addresses": {text: text},
            "meta": {f"a{text}": text, "b": ""},
        }
        for number, text in enumerate(texts)
    ]
    rules = [
        {
            **dict.fromkeys(intentions.ATTRIBUTES, text),
            **dict.fromkeys(["source_peer", "source_sameness_group", "source_partition"], ""),
            **dict.fromkeys(["source_namespace", "destination_namespace"], ""),
            "destination_partition": "",
            "destination": f"{number}",
            "precedence": number,
            "meta": {text: text},
        }
        for number, text in enumerate(texts)
    ]
    answers = {condition: of(hosts), mesh: of(rules)}
    write_files(
        tmp_path,
        Definition("web", Module("./m"), condition, inputs=(mesh,)),
        {view.id: found for each, found in answers.items() for view in each.views(None)},
    )
    assert read("nodes", tmp_path, environment) == normal({f"{h['name']}.dc1": h for h in hosts})
    by_ends = {f"{rule['source']} => {rule['destination']}": rule for rule in rules}
    assert read("intentions", tmp_path, environment) == normal(by_ends)
    terraform("fmt", "-check", "-diff", folder=tmp_path, env=environment)


@example(value={text: [text] for text in NASTY})
@given(value=st.lists(VALUES, min_size=10, max_size=30))
@FEW
def test_variables_of_a_module_arrive_unchanged(
    value: Any, tmp_path: Path, environment: dict[str, str]
) -> None:
    write(tmp_path, [], {"x": value})
    assert read("x", tmp_path, environment) == normal(value)
    terraform("fmt", "-check", "-diff", folder=tmp_path, env=environment)


def test_half_a_surrogate_pair_becomes_the_replacement_character(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write(tmp_path, [], {"x": "a\ud800b"})
    assert read("x", tmp_path, environment) == "a\ufffdb"
