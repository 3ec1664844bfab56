"""A Consul answer as sorted rows and a digest."""

from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.conditions import catalog_services, consul_kv, services
from cts.conditions.services import service_row, status
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, digest_of, snapshot
from tests.fake_consul import instance

WEB = View(services.SERVICE, "web")
LISTING = View(services.LISTING)
CATALOG = View(catalog_services.CATALOG)
KEYS = View(consul_kv.KEYS, "a")


def test_a_row_has_what_a_module_may_use() -> None:
    entry = instance(
        "web", 3, Address="10.1.0.3", Port=8080, Tags=["b", "a"], Meta={"v": "1"}, Kind="typical"
    )
    entry["Node"]["Meta"] = {"rack": "7"}
    assert service_row(entry) == {
        "id": "web-3",
        "name": "web",
        "kind": "typical",
        "address": "10.1.0.3",
        "port": 8080,
        "meta": {"v": "1"},
        "tags": ["a", "b"],
        "namespace": "",
        "status": "passing",
        "node": "node-3",
        "node_id": "11111111-2222-3333-4444-555555555555",
        "node_address": "10.0.0.3",
        "node_datacenter": "dc1",
        "node_tagged_addresses": {"lan": "10.0.0.3"},
        "node_meta": {"rack": "7"},
    }


def test_ports_without_a_port_are_no_port() -> None:
    entry = instance("web")
    del entry["Service"]["Port"]
    entry["Service"]["Ports"] = [{"Name": "http", "Port": 80}]
    assert service_row(entry)["port"] == 0


def test_what_consul_leaves_out_or_null_is_empty() -> None:
    entry = instance("web", Port=0, Tags=None, Meta=None, Address="")
    entry["Node"] |= {"Meta": None, "TaggedAddresses": None, "ID": "", "Datacenter": ""}
    entry["Checks"] = None
    row = service_row(entry)
    assert (row["tags"], row["meta"], row["node_meta"], row["node_tagged_addresses"]) == (
        [],
        {},
        {},
        {},
    )
    assert row["address"] == "10.0.0.1", "the node's, where the service has none"
    assert row["status"] == "passing"


def check(check_id: str, its_status: str) -> Mapping[str, Any]:
    return {"CheckID": check_id, "Status": its_status}


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        pytest.param([], "passing", id="no-checks"),
        pytest.param(["passing", "passing"], "passing", id="all-passing"),
        pytest.param(["passing", "warning"], "warning", id="one-warning"),
        pytest.param(["warning", "critical", "passing"], "critical", id="the-worst-counts"),
    ],
)
def test_status_is_the_worst_of_all_checks(checks: list[str], expected: str) -> None:
    assert status([check(f"check-{n}", each) for n, each in enumerate(checks)]) == expected


@pytest.mark.parametrize("check_id", ["_node_maintenance", "_service_maintenance:web-1"])
def test_maintenance_comes_before_all(check_id: str) -> None:
    checks = [check("a", "critical"), check(check_id, "critical")]
    assert status(checks) == "maintenance"


ODD_ANSWERS: list[tuple[View, Any]] = [
    (LISTING, []),
    (LISTING, ["web"]),
    (LISTING, False),
    (WEB, {}),
    (WEB, ""),
    (WEB, 0),
    (WEB, [None]),
    (WEB, [[]]),
    (WEB, [{"Service": {"ID": "a", "Service": "web"}}]),
    (WEB, [instance("web", ID=None, Tags="ab")]),
    (WEB, [instance("web", Tags=[1])]),
    (WEB, [instance("web", Tags=["\ud800"])]),
    (WEB, [instance("web", Port="80")]),
    (WEB, [instance("web", Port=True)]),
    (WEB, [instance("web", Meta=[])]),
    (WEB, [instance("web", Meta={"a": {}})]),
    (WEB, [{**instance("web"), "Checks": [7]}]),
    (WEB, [{**instance("web"), "Checks": [{"CheckID": 7}]}]),
    (WEB, [{**instance("web"), "Checks": [{"Status": []}]}]),
    (CATALOG, []),
    (CATALOG, {"web": "a"}),
    (CATALOG, {"web": [1]}),
    (CATALOG, {"web": ["\ud800"]}),
    (KEYS, {}),
    (KEYS, ["a"]),
    (KEYS, [{"Value": "YQ=="}]),
    (KEYS, [{"Key": 1}]),
    (KEYS, [{"Key": "a", "Value": 1}]),
    (KEYS, [{"Key": "a", "Value": "YQ"}]),
    (KEYS, [{"Key": "a", "Value": "Y!Q=="}]),
]


@pytest.mark.parametrize(("view", "answer"), ODD_ANSWERS)
def test_what_no_consul_answers_is_not_taken_for_an_answer(view: View, answer: Any) -> None:
    with pytest.raises(ValueError, match=r"is missing|is of type|surrogates|base64|padding"):
        snapshot(view, answer)


def test_a_check_that_is_null_says_nothing() -> None:
    nothing = {**instance("web"), "Checks": [None, {"CheckID": None, "Status": None}]}
    assert snapshot(WEB, [nothing]).value[0]["status"] == "passing"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("_node_maintenance"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["ID", "Service", "Node", "Address", "Port", "Tags", "Meta", "Checks", "Key", "Value"]
)


@pytest.mark.slow
@given(
    st.sampled_from([WEB, LISTING, CATALOG, KEYS]),
    JSON,
    st.dictionaries(FIELDS, JSON, max_size=4),
    JSON,
)
def test_whatever_is_answered_raises_nothing_else(
    view: View, answer: Any, fields: dict[str, Any], checks: Any
) -> None:
    entry = instance("web", **fields)
    for odd in (answer, [answer], [{**entry, "Node": fields}], [{**entry, "Checks": checks}]):
        with suppress(ValueError):
            snapshot(view, odd)


def test_no_instances_is_the_empty_snapshot() -> None:
    assert snapshot(WEB, []) == snapshot(WEB, None) == EMPTY
    assert snapshot(LISTING, {}) == EMPTY


def test_a_listing_is_the_sorted_names_whatever_their_tags() -> None:
    made = snapshot(LISTING, {"web": ["x"], "api": [], "consul": ["y", "z"]})
    assert made.value == ["api", "consul", "web"]
    assert made == snapshot(LISTING, {"api": ["new"], "consul": [], "web": []})


NOISE: list[tuple[str, Any]] = [
    ("Service.Weights", {"Passing": 9, "Warning": 1}),
    ("Service.TaggedAddresses", {"lan": {"Address": "10.9.9.9", "Port": 1}}),
    ("Service.EnableTagOverride", True),
    ("Service.ModifyIndex", 99),
    ("Node.ModifyIndex", 99),
    ("Checks", [{"CheckID": "serfHealth", "Status": "passing", "Output": "fine again"}]),
]


@pytest.mark.parametrize(("path", "value"), NOISE, ids=[path for path, _ in NOISE])
def test_what_never_reaches_a_module_changes_nothing(path: str, value: object) -> None:
    noisy = instance("web")
    part, _, field = path.partition(".")
    if field:
        noisy[part][field] = value
    else:
        noisy[part] = value
    assert snapshot(WEB, [noisy]) == snapshot(WEB, [instance("web")])


SIGNAL: list[tuple[str, str, Any]] = [
    ("Service", "Port", 81),
    ("Service", "Tags", ["new"]),
    ("Service", "Meta", {"new": "1"}),
    ("Service", "Address", "10.1.1.1"),
    ("Node", "Address", "10.1.1.1"),
    ("Node", "Meta", {"new": "1"}),
]


@pytest.mark.parametrize(("part", "field", "value"), SIGNAL)
def test_what_reaches_a_module_changes_the_digest(part: str, field: str, value: object) -> None:
    changed = instance("web")
    changed[part][field] = value
    assert snapshot(WEB, [changed]).digest != snapshot(WEB, [instance("web")]).digest


TAGS = st.lists(st.sampled_from(["a", "b", "B", "é", "a"]), max_size=5)


@pytest.mark.slow
@given(st.lists(TAGS, max_size=6), st.randoms(use_true_random=False))
def test_the_order_consul_answers_in_changes_nothing(tags: list[list[str]], chance: Random) -> None:
    entries = [instance("web", n, Tags=each) for n, each in enumerate(tags)]
    shuffled = [
        instance("web", n, Tags=chance.sample(each, len(each))) for n, each in enumerate(tags)
    ]
    chance.shuffle(shuffled)
    assert snapshot(WEB, shuffled) == snapshot(WEB, entries)


def test_instances_of_one_id_on_two_nodes_have_one_order() -> None:
    entries = [instance("web", n, ID="web") for n in (1, 2)]
    assert snapshot(WEB, entries) == snapshot(WEB, entries[::-1])


def test_duplicate_tags_are_kept_and_sorted_by_bytes() -> None:
    row = service_row(instance("web", Tags=["é", "a", "Z", "a"]))
    assert row["tags"] == ["Z", "a", "a", "é"]


def test_keys_are_sorted_and_only_have_what_a_module_may_use() -> None:
    answer = [
        {"Key": "a2/x", "Value": "YQ==", "Flags": 3, "LockIndex": 1, "Session": "s"},
        {"Key": "a/", "Value": None},
        {"Key": "a", "Value": "/8OkAA=="},
    ]
    assert snapshot(KEYS, answer).value == [
        {"key": "a", "value": "\ufffdä\0"},
        {"key": "a/", "value": ""},
        {"key": "a2/x", "value": "a"},
    ]


def test_the_catalog_is_sorted_by_name_and_its_tags_by_bytes() -> None:
    made = snapshot(CATALOG, {"web": ["é", "a", "B", "a"], "api": None})
    tags = {each["name"]: each["tags"] for each in made.value}
    assert (list(tags), tags) == (["api", "web"], {"api": [], "web": ["B", "a", "a", "é"]})


def test_what_is_not_there_is_the_empty_snapshot() -> None:
    assert snapshot(KEYS, None) == snapshot(KEYS, []) == snapshot(CATALOG, {}) == EMPTY


def test_the_digest_is_that_of_the_bytes() -> None:
    made = snapshot(WEB, [instance("web", Meta={"name": "zażółć"})])
    assert digest_of(made.body) == made.digest
    assert "zażółć".encode() in made.body
    assert made.value[0]["meta"] == {"name": "zażółć"}
