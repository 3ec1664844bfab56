"""A task's Terraform files: readable golden files, and the rules CTS sets for them."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cts.conditions.catalog_services import CATALOG, CatalogServicesCondition
from cts.conditions.condition import Condition, Read
from cts.conditions.consul_kv import KEY, KEYS, KvCondition
from cts.conditions.intentions import INTENTIONS, IntentionsCondition
from cts.conditions.nodes import NodesCondition
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import SERVICE, ServiceRow, ServicesCondition
from cts.terraform.backend import state_key
from cts.terraform.definition import Definition, Module, Provider
from cts.terraform.files import files
from cts.terraform.place import RunPlace
from cts.watch.query import View
from cts.watch.snapshot import of, snapshot
from tests.fake_consul import instance
from tests.unit.test_nodes_and_intentions import intention, node

GOLDEN = Path(__file__).parent / "golden" / "terraform"
WEB = ServicesCondition(names=("web",))
PLACE = RunPlace("work-bucket", "state-bucket", "eu-west-1", "1.11.4")
RUN = "web-20261129-100000-abcdef"


def read(*rows: ServiceRow) -> Read:
    """What was read of the service `web`."""
    return {View(SERVICE, "web").id: of([*rows])}


def watching(
    condition: Condition, *inputs: Condition, answers: Mapping[View, Any], constant: str = ""
) -> dict[str, str]:
    """The files of a task if Consul answers these views like that, and all others with nothing."""
    fed = (condition, *inputs)
    views = {view for each in fed for view in (*each.views(None), each.first_view) if view}
    nothing: dict[View, Any] = {view: {} if view.kind == CATALOG else [] for view in views}
    definition = Definition("web", Module("acme/web/aws"), condition, inputs=inputs)
    return files(
        replace(definition, constants=(constant,)),
        {view.id: snapshot(view, answer) for view, answer in {**nothing, **answers}.items()},
        description="",
        place=PLACE,
        run=RUN,
    )


def entry(key: str, value: bytes) -> dict[str, Any]:
    """A key as Consul answers it."""
    return {"Key": key, "Value": b64encode(value).decode() if value else None, "Flags": 0}


def row(**changes: Any) -> ServiceRow:
    """An instance of `web` as its snapshot holds it."""
    return {
        "id": "web-1",
        "name": "web",
        "kind": "",
        "address": "10.0.0.4",
        "port": 8080,
        "meta": {},
        "tags": [],
        "namespace": "",
        "status": "passing",
        "node": "node-a",
        "node_id": "11111111-2222-3333-4444-555555555555",
        "node_address": "10.0.0.4",
        "node_datacenter": "dc1",
        "node_tagged_addresses": {"lan": "10.0.0.4", "wan": "10.0.0.4"},
        "node_meta": {"consul-version": "1.22.3"},
        **changes,
    }


ODD = row(
    id='odd"${id}',
    namespace="team",
    meta={"for": "a", "1st": "b", "note": 'say "hi" ${x}\nline2 %{y} back\\slash\ttab', "é": "é\0"},
    tags=["edge", "", "v2"],
    node_tagged_addresses={},
)


MESH = Definition(
    "mesh",
    Module("acme/mesh/aws"),
    NodesCondition(datacenters=("dc1", "dc2")),
    inputs=(IntentionsCondition(),),
    constants=("nodes",),
)


def hosts_and_rules() -> Read:
    """Nodes of two datacenters, and intentions."""
    rules = [
        intention(Description='say "hi" ${x}\n%{y}', Meta={"for": "a"}),
        intention(SourceNS="team", Action="", Permissions=[{"Action": "deny"}]),
    ]
    return {
        View(INTENTIONS).id: snapshot(View(INTENTIONS), rules),
        **{
            view.id: snapshot(view, [node(Datacenter=view.datacenter), node(Node='odd"${node}')])
            for view in MESH.condition.views(None)
        },
    }


VARIABLES: dict[str, Any] = {
    "zone": "dmz",
    "ports": [80, 443],
    "limits": {"burst": 10, "log": True, "ratio": 0.5, "none": None, "k8s.io/x": "y"},
    "rules": [{"from": "a", "to": ["b", "c"]}, {}, []],
    "empty": {},
}

CASES: dict[str, dict[str, str]] = {
    "nothing": files(
        Definition("web", Module("acme/web/aws"), WEB),
        read(),
        description="",
        place=PLACE,
        run=RUN,
    ),
    "whole": files(
        Definition("edge-fw", Module("acme/edge-fw/acmefw", "1.4.0"), WEB, VARIABLES),
        read(ODD, row()),
        description="edge rules\n} of two lines",
        place=PLACE,
        run=RUN,
    ),
    "local_module": files(
        Definition("web", Module("../modules/web", digest="0123abcd"), WEB, {"zone": "dmz"}),
        read(row()),
        description="a module from the bundle",
        place=PLACE,
        run=RUN,
    ),
    "constants": files(
        Definition(
            "web",
            Module("./modules/web", digest="0123abcd"),
            WEB,
            {"zone": "dmz", "rack": "a"},
            constants=("absent", "services", "zone"),
        ),
        read(row()),
        description="Terraform 1.15",
        place=PLACE,
        run=RUN,
    ),
    "kv_and_services": watching(
        KvCondition("rules/", recurse=True),
        ServicesCondition(("web",), meta=(("for", "a"), ("k8s.io/zone", '"${b}"'))),
        answers={
            View(KEYS, "rules/"): [
                entry("rules/", b""),
                entry("rules/json", b'{"a": "${b}", "c": "%{d}"}\n'),
                entry('rules/odd"${key}', b"back\\slash a\\tb\r\n\0"),
                entry("rules/binary", b"\xff\xfeab"),
                entry("rules/\u00fc", "\U0001f600 e\u0301".encode()),
                entry("for", b""),
            ],
            View(SERVICE, "web"): [instance("web", Tags=["b", "a", "B", "", "a"])],
        },
    ),
    "kv_missing": watching(KvCondition("/a/key"), answers={}),
    "catalog_and_kv": watching(
        CatalogServicesCondition("web"),
        KvCondition("a/key"),
        answers={
            View(CATALOG): {"web": ["b", "a", "B"], 'my-web-"${x}"': [], "api": ["c"]},
            View(KEY, "a/key"): [entry("a/key", b"1")],
        },
        constant="catalog_services",
    ),
    "triggers_only": watching(
        CatalogServicesCondition("", trigger_only=True),
        answers={View(CATALOG): {"web": ["a"]}},
    ),
    "schedule": watching(
        ScheduleCondition("@daily"),
        KvCondition("a/key"),
        answers={View(KEY, "a/key"): [entry("a/key", b"1")]},
        constant="consul_kv",
    ),
    "services_of_two_datacenters": watching(
        ServicesCondition(
            ("web",),
            meta=(("tier", "edge"),),
            others=(ServicesCondition(("db",), datacenter="dc2", filter="x == y"),),
        ),
        answers={
            View(SERVICE, "web"): [instance("web")],
            View(SERVICE, "db", "dc2", "", "x == y"): [instance("db", Namespace="team")],
        },
    ),
    "nodes_and_intentions": files(
        MESH,
        hosts_and_rules(),
        description="hosts and rules",
        place=PLACE,
        run=RUN,
    ),
}


KEY_REFERENCE = '{{ env "EDGE_KEY" }}'
PARAMETER = "{{resolve:ssm:/edge/zone}}"
EDGE = Provider(
    "acmefw",
    "edge",
    {
        "host": "fw.example.net",
        "insecure": False,
        "port": 8443,
        "zones": ["a", "b"],
        "headers": {"k8s.io/x": 'say "hi" ${x}'},
        "timeouts": {"read": "5s", "retry": {"count": 3}},
        "route": [{"to": "10.0.0.0/8"}, {"to": "10.1.0.0/16", "via": None}],
        "features": {},
        "matrix": [[1, 2], []],
    },
)
FROM_THE_MIRROR = {"files": {"source": "example.com/test/files", "version": "1.1.0"}}
FILES: dict[str, Any] = {
    "device": 'a "${b}%{c}',
    "token": KEY_REFERENCE,
    "delay": 0.5,
    "tags": ["x", '"${y}"', "{{ z }}"],
    "label": [{"name": "one", "value": f"a-{KEY_REFERENCE}"}, {"name": "${two}"}],
}
"""Of the test provider."""
AWS = Provider("aws", arguments={"region": "eu-west-1"})
TAGGED = Provider("aws", arguments={"default_tags": {"tags": {"team": "net"}}, "region": "r"})


def built(definition: Definition, place: RunPlace = PLACE) -> dict[str, str]:
    return files(definition, read(), description="", place=place, run=RUN)


def with_backend(kind: str, **options: Any) -> Definition:
    return Definition("web", Module("acme/web/aws"), WEB, backend={kind: options})


CASES |= {
    "providers": built(
        Definition(
            "edge-fw",
            Module("git::ssh://git@example.com/edge.git?ref=v1.4.0"),
            WEB,
            {"zone": "dmz"},
            providers=(
                EDGE,
                Provider("local", env={"LOCAL_HOME": "/tmp"}),
                Provider("panos", arguments={"hostname": "h"}, auto_commit=True),
            ),
            required_providers={
                "acmefw": {"source": "acme/acmefw", "version": "2.1.0"},
                "local": "2.5.1",
            },
        )
    ),
    "references": built(
        Definition(
            "edge-fw",
            Module("https://example.com/edge.zip"),
            WEB,
            {"zone": PARAMETER, "ports": [80], "rules": {"a": [f"x-{PARAMETER}"]}, "text": "{{}}"},
            constants=("zone",),
            providers=(
                Provider("acmefw", arguments={"host": "h", "auth": {"key": KEY_REFERENCE, "n": 5}}),
                AWS,
            ),
            backend={
                "s3": {
                    "bucket": "their-bucket",
                    "key": "edge",
                    "assume_role": {"role_arn": "arn:aws:iam::123456789012:role/state"},
                    "secret_key": KEY_REFERENCE,
                }
            },
        )
    ),
    "test_provider": built(
        Definition(
            "files",
            Module("acme/files/local", "1.0.0"),
            WEB,
            {"content": PARAMETER},
            providers=(Provider("files", "edge", FILES, env={"FILES_ROOT": "."}),),
            required_providers={"files": {"source": "example.com/test/files", "version": "~> 1.0"}},
        )
    ),
    "test_provider_without_secrets": built(
        Definition(
            "files",
            Module("acme/files/local", "1.0.0"),
            WEB,
            {"content": 'say "hi" ${x}'},
            providers=(Provider("files", arguments={"device": "d", "label": {"name": "only"}}),),
            required_providers=FROM_THE_MIRROR,
        ),
        replace(PLACE, terraform_version="1.9.8"),
    ),
    "default_tags": built(
        Definition("web", Module("acme/web/aws"), WEB, providers=(AWS,), default_tags=True)
    ),
    "default_tags_with_own": built(
        Definition("web", Module("acme/web/aws"), WEB, providers=(TAGGED,), default_tags=True)
    ),
    "before_ephemeral_variables": built(
        Definition("web", Module("acme/web/aws"), WEB, providers=(AWS,)),
        replace(PLACE, terraform_version="1.9.8"),
    ),
    "before_sensitive_variables": built(
        Definition("web", Module("acme/web/aws"), WEB, providers=(AWS,)),
        replace(PLACE, terraform_version="0.13.7"),
    ),
    "backend_azurerm": built(
        with_backend(
            "azurerm", storage_account_name="a", container_name="b", key="web", use_oidc=True
        )
    ),
    "backend_consul": built(
        with_backend("consul", path="consul-terraform-sync/terraform", gzip=True),
        replace(PLACE, consul_address="https://consul.example.com:8501/"),
    ),
    "backend_consul_elsewhere": built(
        with_backend("consul", path="x", gzip=False, address="c:1", access_token=KEY_REFERENCE),
        replace(PLACE, consul_address="https://consul.example.com:8501"),
    ),
    "backend_cos": built(
        with_backend(
            "cos",
            bucket="b",
            region="ap-guangzhou",
            assume_role={"role_arn": "r", "session_name": "s", "session_duration": 3600},
        )
    ),
    "backend_gcs": built(with_backend("gcs", bucket="b", prefix="web")),
    "backend_kubernetes": built(
        with_backend(
            "kubernetes",
            secret_suffix="web",
            labels={"k8s.io/team": "net", "for": "x"},
            exec=[{"api_version": "v1", "command": "login", "args": ["a"], "env": {"A": "b"}}],
        )
    ),
    "backend_manta": built(with_backend("manta", path="web", insecure_skip_tls_verify=False)),
    "backend_pg": built(with_backend("pg", conn_str=KEY_REFERENCE, schema_name="web")),
    "backend_s3": built(
        with_backend(
            "s3",
            bucket="b",
            key="web",
            region="eu-west-1",
            use_lockfile=True,
            allowed_account_ids=["1", "2"],
            assume_role={"role_arn": "r", "tags": {"a": "b"}, "policy_arns": ["x"]},
        )
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, pytestconfig: pytest.Config) -> None:
    folder = GOLDEN / case
    if pytestconfig.getoption("--update-golden"):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in CASES[case].items():
            (folder / name).write_text(text)
    assert CASES[case] == {path.name: path.read_text() for path in sorted(folder.iterdir())}


def rendered(rows: list[ServiceRow]) -> dict[str, str]:
    definition = Definition("web", Module("acme/web/aws"), WEB)
    return files(definition, read(*rows), description="", place=PLACE, run=RUN)


def test_the_order_of_rows_and_of_their_maps_changes_nothing() -> None:
    one, two = row(meta={"a": "1", "b": "2"}), row(id="web-2")
    turned = row(meta={"b": "2", "a": "1"})
    assert rendered([one, two]) == rendered([two, turned])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "web-1.node-a.dc1"),
        ({"namespace": "team"}, "web-1.node-a.team.dc1"),
        ({"node_datacenter": ""}, "web-1.node-a"),
    ],
)
def test_a_service_is_named_by_its_parts_that_are_not_empty(
    changes: dict[str, str], key: str
) -> None:
    assert f'  "{key}" = {{\n' in rendered([row(**changes)])["terraform.tfvars"]


def test_of_two_rows_with_one_key_the_later_wins() -> None:
    text = rendered([row(port=1), row(port=2)])["terraform.tfvars"]
    assert text.count('"web-1.node-a.dc1"') == 1
    assert "port            = 2\n" in text


@pytest.mark.parametrize(
    "description", ["two\nlines", "a\r}", "nul\0", "line\u2028separator", "form\x0cfeed"]
)
def test_a_description_stays_in_its_comment(description: str) -> None:
    definition = Definition("web", Module("acme/web/aws"), WEB)
    made = files(definition, read(), description=description, place=PLACE, run=RUN)
    for text in made.values():
        header = text.split("\n\n")[0]
        assert all(line.startswith("#") for line in header.splitlines())
        assert f"# Description: {' '.join(description.replace(chr(0), ' ').split())}" in header


def test_the_state_of_a_task_named_default_has_the_same_place_as_any_other() -> None:
    definition = Definition("default", Module("acme/web/aws"), WEB)
    made = files(definition, read(), description="", place=PLACE, run=RUN)
    assert f'key                  = "{state_key(definition)}"' in made["main.tf"]
