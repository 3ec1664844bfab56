"""What happened to what a run was fed with: a pure predicate, and what is stored for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.conditions.catalog_services import CATALOG, CatalogServicesCondition
from cts.conditions.condition import Condition
from cts.conditions.consul_kv import KEYS, KvCondition
from cts.conditions.intentions import INTENTIONS, IntentionsCondition
from cts.conditions.nodes import NODES, NodesCondition
from cts.conditions.registry import NOTHING
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import SERVICE, ServicesCondition
from cts.watch.happened import (
    Fed,
    Happened,
    Seen,
    Thing,
    Things,
    counts,
    differing,
    happened,
    read,
    things_of,
    written,
)
from cts.watch.needs import things
from cts.watch.query import Kind, View
from cts.watch.snapshot import EMPTY, of, snapshot
from tests.fake_consul import instance
from tests.unit.test_nodes_and_intentions import intention, node
from tests.unit.test_triggers import key, web

ADDED, REMOVED, CHANGED, HEALTH = Happened
ONE: Things = {"a": Thing("1", "passing")}

TABLE: dict[str, tuple[Things, Things, set[Happened]]] = {
    "nothing": (ONE, ONE, set()),
    "never-anything": ({}, {}, set()),
    "came": ({}, ONE, {ADDED}),
    "left": (ONE, {}, {REMOVED}),
    "changed": (ONE, {"a": Thing("2", "passing")}, {CHANGED}),
    "health": (ONE, {"a": Thing("1", "warning")}, {HEALTH}),
    "changed-and-health": (ONE, {"a": Thing("2", "warning")}, {CHANGED, HEALTH}),
    "replaced": (ONE, {"b": Thing("1", "passing")}, {ADDED, REMOVED}),
    "one-of-two": ({**ONE, "b": Thing()}, ONE, {REMOVED}),
}


@pytest.mark.parametrize(("before", "now", "expected"), TABLE.values(), ids=TABLE)
def test_what_happened(before: Things, now: Things, expected: set[Happened]) -> None:
    assert happened(before, now) == expected


THINGS = st.dictionaries(
    st.sampled_from("abc"), st.builds(Thing, st.sampled_from("12"), st.sampled_from(("p", "w")))
)


@pytest.mark.slow
@given(THINGS, THINGS)
def test_nothing_happened_exactly_if_all_is_as_it_was(before: Things, now: Things) -> None:
    assert (happened(before, now) == set()) == (before == now)
    mirrored = {ADDED: REMOVED, REMOVED: ADDED}
    assert {mirrored.get(each, each) for each in happened(now, before)} == happened(before, now)


def checked(status: str) -> dict[Any, Any]:
    return {**web(), "Checks": [{"CheckID": "c", "Status": status}]}


def upgraded() -> dict[Any, Any]:
    return web("Node", Meta={"consul-version": "1.21.4"})


KINDS: dict[str, tuple[Kind, Any, Any, set[Happened]]] = {
    "instance-came": (SERVICE, [web()], [web(), instance("web", 2)], {ADDED}),
    "instance-left": (SERVICE, [web()], [], {REMOVED}),
    "instance-on-another-node": (
        SERVICE,
        [web()],
        [web("Node", Node="node-9")],
        {ADDED, REMOVED},
    ),
    "port": (SERVICE, [web()], [web("Service", Port=81)], {CHANGED}),
    "tags": (SERVICE, [web()], [web("Service", Tags=["z"])], {CHANGED}),
    "status": (SERVICE, [checked("passing")], [checked("warning")], {HEALTH}),
    "output-of-a-check": (SERVICE, [web()], [checked("passing")], set()),
    "an-upgrade-of-the-agent": (SERVICE, [web()], [upgraded()], set()),
    "key-came": (KEYS, [key("a")], [key("a"), key("b")], {ADDED}),
    "key-left": (KEYS, [key("a")], None, {REMOVED}),
    "value": (KEYS, [key("a", "1")], [key("a", "2")], {CHANGED}),
    "node": (NODES, [node()], [node(Node="rack-2")], {ADDED, REMOVED}),
    "address-of-a-node": (NODES, [node()], [node(Address="10.9.9.9")], {CHANGED}),
    "an-upgrade-of-a-node": (NODES, [node(Meta={})], [node(Meta={"consul-version": "2"})], set()),
    "intention-left": (INTENTIONS, [intention()], [], {REMOVED}),
    "action": (INTENTIONS, [intention()], [intention(Action="deny")], {CHANGED}),
}


@pytest.mark.parametrize(("kind", "before", "now", "expected"), KINDS.values(), ids=KINDS)
def test_what_happened_to_each_kind(
    kind: Kind, before: Any, now: Any, expected: set[Happened]
) -> None:
    view = View(kind)
    first, second = (things_of(kind, snapshot(view, each).value) for each in (before, now or []))
    assert happened(first, second) == expected


def test_rows_of_one_name_count_together() -> None:
    """Consul gives no two such rows; if it did, neither would hide the other."""
    both = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
    assert happened(things_of(KEYS, both), things_of(KEYS, both[:1])) == {CHANGED}
    assert happened(things_of(KEYS, both), things_of(KEYS, both[1:])) == {CHANGED}


def test_of_the_catalog_only_matching_names_count() -> None:
    condition = CatalogServicesCondition("^w")
    [view] = condition.views(None)

    def names(**answer: list[str]) -> Things:
        made = snapshot(view, answer)
        found = things(condition, {view.id: made}, {view.id: made})
        assert found
        return found[view.id]

    assert view.kind == CATALOG
    assert happened(names(web=["a"], db=[]), names(web=["b"], api=[])) == set()
    assert happened(names(web=[]), names(web=[], www=[])) == {ADDED}


def test_rows_of_another_version_are_not_known() -> None:
    condition = ServicesCondition(("web",))
    [view] = condition.views(None)
    for rows in ([{"name": "web"}], ["web"]):
        assert things(condition, {}, {view.id: of(rows)}) is None


# ---- which views to compare -------------------------------------------------------------------

FED = Fed("d", {"v": Seen("1", ONE), "w": Seen(EMPTY.digest, {})})


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"v": "1"}, set()),
        ({"v": "1", "w": EMPTY.digest, "x": EMPTY.digest}, set()),
        ({"v": "2"}, {"v"}),
        ({}, {"v"}),
        ({"v": "1", "w": "2", "x": "3"}, {"w", "x"}),
    ],
)
def test_views_differ_by_what_triggers_and_without_rows_they_are_not_there(
    now: dict[str, str], expected: set[str]
) -> None:
    assert differing(FED, now) == expected


def test_an_event_counts_in_any_of_the_views() -> None:
    two = {"b": Thing("2")}
    assert counts(("added",), FED, {"v", "w"}, {"v": ONE, "w": two})
    assert not counts(("removed", "changed"), FED, {"v", "w"}, {"v": ONE, "w": two})
    assert counts(("removed",), FED, {"v"}, {})  # the service is no longer matched
    assert counts(("added",), FED, {"x"}, {"x": ONE})  # and this one is
    assert not counts(("added",), FED, {"v"}, {"v": ONE, "x": two})


# ---- what may happen --------------------------------------------------------------------------

ROWS = (ADDED, REMOVED, CHANGED)
WEB = ServicesCondition(("web",))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (WEB, ROWS),
        (ServicesCondition(regexp="w"), ROWS),
        (WEB.with_health("passing"), ROWS),
        (WEB.with_health("warning"), (*ROWS, HEALTH)),
        (WEB.with_health("any"), (*ROWS, HEALTH)),
        (ServicesCondition(("web",), filter='Checks.Status != ""'), (*ROWS, HEALTH)),
        (ServicesCondition(others=(WEB,)), ROWS),
        (ServicesCondition(others=(WEB, WEB.with_health("any"))), (*ROWS, HEALTH)),
        (NOTHING, ()),
        (ScheduleCondition("@daily"), ()),
        (CatalogServicesCondition(""), (ADDED, REMOVED)),
        (KvCondition("a"), ROWS),
        (NodesCondition(), ROWS),
        (IntentionsCondition(), ROWS),
    ],
)
def test_what_may_happen_to_what_a_condition_looks_at(
    condition: Condition, expected: tuple[Happened, ...]
) -> None:
    assert condition.events == expected


# ---- stored -----------------------------------------------------------------------------------


def test_it_is_read_as_it_was_written_and_tells_no_value() -> None:
    value = [{"key": "password", "value": "s3cr3t"}]
    fed = {"r": Fed("d", {"v": Seen(of(value).digest, things_of(KEYS, value))})}
    assert read(written(fed)) == fed
    assert b"s3cr3t" not in written(fed)


@pytest.mark.parametrize("stored", [b"", b"[]", b"{", b'{"r": 1}', b'{"r": {"definition": "d"}}'])
def test_what_cannot_be_read_is_not_known(stored: bytes) -> None:
    assert read(stored) == {}


def test_what_a_newer_version_adds_is_left_out() -> None:
    newer = b'{"r": {"definition": "d", "views": {"v": {"digest": "1", "things": {}, "new": 1}}}}'
    assert read(newer) == {"r": Fed("d", {"v": Seen("1", {})})}
