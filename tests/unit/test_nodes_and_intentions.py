"""The conditions on nodes and intentions: what Consul's answers become, and what triggers."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cts.conditions import intentions, nodes
from cts.conditions.condition import Condition
from cts.conditions.intentions import INTENTIONS, IntentionsCondition
from cts.conditions.nodes import NODES, NodesCondition
from cts.config.compile import compile_bundle
from cts.config.rules.problem import Code
from cts.watch import needs
from cts.watch.query import ConsulRequest, View, request
from cts.watch.snapshot import Snapshot, members, snapshot
from cts.watch.view import Answer

NODE = View(NODES)
INTENTION = View(INTENTIONS)


def node(**changes: Any) -> dict[str, Any]:
    """An entry as Consul answers it."""
    return {
        "ID": "11111111-2222-3333-4444-555555555555",
        "Node": "rack-1",
        "Address": "10.0.0.4",
        "Datacenter": "dc1",
        "TaggedAddresses": {"lan": "10.0.0.4"},
        "Meta": {"rack": "a", "consul-version": "1.21.4"},
        "CreateIndex": 13,
        "ModifyIndex": 13,
        **changes,
    }


def intention(**changes: Any) -> dict[str, Any]:
    return {
        "ID": "3b950bd0-7ef4-54d3-8b85-3ac34dc3a386",
        "Description": "orders",
        "SourceNS": "default",
        "SourceName": "web",
        "DestinationNS": "default",
        "DestinationName": "db",
        "SourceType": "consul",
        "Action": "allow",
        "DefaultAddr": "",
        "DefaultPort": 0,
        "Meta": {"team": "shop"},
        "Precedence": 9,
        "CreatedAt": "2026-11-29T07:21:16.292973095Z",
        "UpdatedAt": "2026-11-29T07:21:16.292973095Z",
        "Hash": "LWVm0MKDJLMEtHN5hXosVz0zn0IPgtt1ft//fXyka9U=",
        "CreateIndex": 15,
        "ModifyIndex": 15,
        **changes,
    }


MAKERS: dict[View, Callable[..., dict[str, Any]]] = {NODE: node, INTENTION: intention}
CONDITIONS: dict[View, Condition] = {NODE: NodesCondition(), INTENTION: IntentionsCondition()}


def looked_at(view: View, *entries: Mapping[str, Any]) -> Mapping[str, str]:
    made = snapshot(view, list(entries))
    return needs.looked_at(CONDITIONS[view], {view.id: Answer(1, made).row}, {})


def test_a_node_has_what_a_module_may_use() -> None:
    assert snapshot(NODE, [node()]).value == [
        {
            "id": "11111111-2222-3333-4444-555555555555",
            "name": "rack-1",
            "address": "10.0.0.4",
            "datacenter": "dc1",
            "tagged_addresses": {"lan": "10.0.0.4"},
            "meta": {"rack": "a", "consul-version": "1.21.4"},
        }
    ]
    assert set(nodes.ATTRIBUTES) == snapshot(NODE, [node()]).value[0].keys()


def test_an_intention_has_what_a_module_may_use() -> None:
    [row] = snapshot(INTENTION, [intention()]).value
    assert set(intentions.ATTRIBUTES) == row.keys()
    filled = {name: value for name, value in row.items() if value}
    assert filled == {
        "source": "web",
        "source_namespace": "default",
        "destination": "db",
        "destination_namespace": "default",
        "action": "allow",
        "precedence": 9,
        "description": "orders",
        "meta": {"team": "shop"},
    }


def test_what_consul_leaves_out_or_null_is_empty() -> None:
    """As it answers for a node that was registered with name and address only."""
    [row] = snapshot(NODE, [node(ID="", TaggedAddresses=None, Meta=None)]).value
    assert (row["id"], row["tagged_addresses"], row["meta"]) == ("", {}, {})


def test_permissions_are_json_and_their_order_counts() -> None:
    rules = [{"Action": "deny", "HTTP": {"PathPrefix": "/é"}}, {"Action": "allow", "HTTP": {}}]
    [row] = snapshot(INTENTION, [intention(Action=None, Permissions=rules)]).value
    assert row["action"] == ""
    assert row["permissions"] == (
        '[{"Action": "deny", "HTTP": {"PathPrefix": "/é"}}, {"Action": "allow", "HTTP": {}}]'
    )
    turned = intention(Action=None, Permissions=rules[::-1])
    assert snapshot(INTENTION, [turned]).value != [row]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "web => db"),
        ({"SourceName": "*"}, "* => db"),
        ({"SourceNS": "team"}, "team/web => db"),
        ({"SourceNS": "*", "SourceName": "*", "DestinationNS": "ops"}, "*/* => ops/db"),
        ({"SourcePartition": "default", "DestinationPartition": "default"}, "web => db"),
        ({"SourcePartition": "edge"}, "edge/default/web => db"),
        ({"DestinationPartition": "edge", "DestinationNS": ""}, "web => edge/default/db"),
        ({"SourcePeer": "east"}, "peer:east/default/web => db"),
        ({"SourceSamenessGroup": "all"}, "group:all/default/web => db"),
    ],
)
def test_an_intention_is_named_by_its_ends(changes: dict[str, str], key: str) -> None:
    made = snapshot(INTENTION, [intention(**changes)])
    assert members(INTENTION, made) == {key}
    assert f'  "{key}" = {{\n' in IntentionsCondition().value({INTENTION.id: made})


@pytest.mark.parametrize(("changes", "key"), [({}, "rack-1.dc1"), ({"Datacenter": ""}, "rack-1")])
def test_a_node_is_named_by_its_name_and_datacenter(changes: dict[str, str], key: str) -> None:
    made = snapshot(NODE, [node(**changes)])
    assert f'  "{key}" = {{\n' in NodesCondition().value({NODE.id: made})


@pytest.mark.parametrize("view", MAKERS)
def test_the_order_of_an_answer_changes_nothing(view: View) -> None:
    name = "Node" if view == NODE else "SourceName"
    one, two = MAKERS[view](**{name: "a"}), MAKERS[view](**{name: "b"})
    assert snapshot(view, [one, two]) == snapshot(view, [two, one])


@pytest.mark.parametrize(
    ("view", "changes", "triggers"),
    [
        (NODE, {"Address": "10.0.0.5"}, True),
        (NODE, {"Meta": {"rack": "b", "consul-version": "1.21.4"}}, True),
        (NODE, {"TaggedAddresses": {"lan": "10.0.0.5"}}, True),
        (NODE, {"ID": "11111111-2222-3333-4444-555555555556"}, True),
        (NODE, {"Node": "rack-2"}, True),
        (NODE, {"Meta": {"rack": "a", "consul-version": "1.22.0"}}, False),
        (NODE, {"Meta": {"rack": "a"}}, False),
        (NODE, {"ModifyIndex": 14}, False),
        (INTENTION, {"Action": "deny"}, True),
        (INTENTION, {"Description": "x"}, True),
        (INTENTION, {"Meta": {}}, True),
        (INTENTION, {"Precedence": 8}, True),
        (INTENTION, {"Permissions": [{"Action": "deny"}]}, True),
        (INTENTION, {"JWT": {"Providers": [{"Name": "okta"}]}}, True),
        (INTENTION, {"SourceName": "api"}, True),
        (INTENTION, {"UpdatedAt": "2026-11-30T07:21:16Z", "Hash": "x", "ModifyIndex": 16}, False),
        (INTENTION, {"ID": "", "CreatedAt": None}, False),
    ],
)
def test_what_triggers(view: View, changes: dict[str, Any], triggers: bool) -> None:
    before, after = (looked_at(view, MAKERS[view](**each)) for each in ({}, changes))
    assert (before != after) == triggers


def test_a_new_version_of_an_agent_reaches_the_module_with_the_next_run() -> None:
    versions = [{"rack": "a", "consul-version": each} for each in ("1.21.4", "1.22.0")]
    old, new = (snapshot(NODE, [node(Meta=meta)]) for meta in versions)
    assert old.digest != new.digest
    assert "1.22.0" in NodesCondition().value({NODE.id: new})


@pytest.mark.parametrize(
    ("view", "answer"),
    [
        (NODE, {}),
        (NODE, [None]),
        (NODE, [{"Node": "a"}]),
        (NODE, [node(Meta={"a": 1})]),
        (INTENTION, {}),
        (INTENTION, [{"SourceName": "a"}]),
        (INTENTION, [intention(Precedence="9")]),
        (INTENTION, [intention(Permissions={})]),
    ],
)
def test_what_no_consul_answers_is_not_taken_for_an_answer(view: View, answer: Any) -> None:
    with pytest.raises(ValueError, match=r"is missing|is of type"):
        snapshot(view, answer)


HOSTILE = ['"', "${x}", "%{ if true }", "a\nb", "\\", "é", "for", "{{ env }}", "\x1b[31m"]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_data(text: str) -> None:
    """What begins a template or ends a string is escaped wherever it stands."""
    read: dict[str, Snapshot] = {
        NODE.id: snapshot(NODE, [node(Node=text, Meta={text: text})]),
        INTENTION.id: snapshot(
            INTENTION,
            [intention(SourceName=text, Description=text, Permissions=[{"Action": text}])],
        ),
    }
    for condition in CONDITIONS.values():
        made = condition.value(read)
        assert made.replace("\n", "").isprintable()
        assert "${x}" not in made.replace("$${x}", "")
        assert "%{ if" not in made.replace("%%{ if", "")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            NodesCondition(datacenter="dc2", filter="a == b", node_meta=(("rack", "1"),)),
            [("/v1/catalog/nodes", {"dc": "dc2", "filter": "a == b", "node-meta": ["rack:1"]})],
        ),
        (
            NodesCondition(datacenters=("dc2", "dc1", "dc2")),
            [("/v1/catalog/nodes", {"dc": "dc1"}), ("/v1/catalog/nodes", {"dc": "dc2"})],
        ),
        (
            IntentionsCondition("team", "a == b"),
            [("/v1/connect/intentions", {"ns": "team", "filter": "a == b"})],
        ),
    ],
)
def test_what_is_asked(condition: Condition, expected: list[tuple[str, dict[str, Any]]]) -> None:
    asked = [request(view) for view in condition.views(None)]
    assert asked == [ConsulRequest(*each) for each in expected]


MODULE = b'variable "services" {}\nvariable "nodes" {}\nvariable "intentions" {}\n'


def compiled(text: str, module: bytes = MODULE) -> Any:
    hcl = f'task {{\n name = "t"\n module = "./m"\n{text}\n}}'
    return compile_bundle({"c.hcl": hcl.encode(), "m/main.tf": module})


def test_blocks_compile_with_all_their_options() -> None:
    made = compiled(
        """condition "nodes" {
             datacenters = ["dc2", "dc1"]
             filter = "Meta.rack == \\"a\\""
             node_meta { rack = "a" }
           }
           module_input "intentions" {
             namespace = "team"
             filter = "DestinationName == db"
           }"""
    ).compiled
    entry = made.tasks["t"]
    assert entry.condition == NodesCondition(
        datacenters=("dc1", "dc2"), filter='Meta.rack == "a"', node_meta=(("rack", "a"),)
    )
    assert entry.inputs == (IntentionsCondition("team", "DestinationName == db"),)


@pytest.mark.parametrize("label", ["nodes", "intentions"])
def test_a_condition_that_is_no_module_input_fills_no_variable(label: str) -> None:
    module = b'variable "services" {}\n'
    made = compiled(f'condition "{label}" {{ use_as_module_input = false }}', module)
    assert not made.problems
    assert made.compiled.tasks["t"].condition.variable == ""


@pytest.mark.parametrize("label", ["nodes", "intentions"])
def test_a_module_without_the_variable_is_found_at_the_push(label: str) -> None:
    [problem] = compiled(f'condition "{label}" {{ }}', b'variable "services" {}\n').problems
    assert (problem.code, problem.place.line) == (Code.MODULE_WITHOUT_INPUT, 3)
    assert f'variable "{label}"' in problem.what


@pytest.mark.parametrize(
    ("text", "code", "path", "line"),
    [
        (
            'condition "nodes" {\n datacenter = "a"\n datacenters = ["b"]\n}',
            Code.INVALID_VALUE, "task.t.condition.nodes.datacenters", 6,
        ),
        (
            'condition "nodes" {\n datacenters = ["a", ""]\n}',
            Code.EMPTY_NAME, "task.t.condition.nodes.datacenters[1]", 5,
        ),
        (
            'condition "services" {\n names = ["a"]\n datacenter = "a"\n datacenters = ["b"]\n}',
            Code.INVALID_VALUE, "task.t.condition.services.datacenters", 7,
        ),
        (
            'condition "intentions" {\n datacenter = "a"\n}',
            Code.UNKNOWN_OPTION, "task.t.condition.intentions.datacenter", 5,
        ),
        (
            'condition "consul-kv" {\n path = "a"\n datacenters = ["a", "b"]\n}',
            Code.UNKNOWN_OPTION, "task.t.condition.consul-kv.datacenters", 6,
        ),
        (
            'condition "nodes" {}\nmodule_input "nodes" {}',
            Code.DUPLICATE_INPUT, "task.t.module_input[0].nodes", 5,
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, code: Code, path: str, line: int) -> None:
    found = compiled(text).problems
    assert (code, path, line) in [(each.code, each.path, each.place.line) for each in found], found
