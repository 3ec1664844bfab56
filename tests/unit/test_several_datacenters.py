"""One task that follows several datacenters."""

from collections.abc import Mapping

import pytest

from cts.conditions.condition import Condition
from cts.conditions.nodes import NodesCondition
from cts.conditions.services import LISTING, SERVICE, ServicesCondition
from cts.conditions.stored import read_condition, written
from cts.watch import needs
from cts.watch.query import View
from cts.watch.snapshot import Snapshot, of, snapshot
from cts.watch.view import Answer, Row
from tests.fake_consul import instance
from tests.unit.test_nodes_and_intentions import node

BOTH = ("dc1", "dc2")
NAMED = ServicesCondition(("web", "db"), datacenters=BOTH, filter="a == b")
MATCHED = ServicesCondition(regexp="^w", datacenters=BOTH, namespace="team")
NODES = NodesCondition(datacenters=BOTH, filter="a == b")
LISTINGS = [View(LISTING, "", each, "team") for each in BOTH]


def rows(*views: View) -> dict[str, Row]:
    return {view.id: Row(1, f"digest of {view}") for view in views}


def listings(*names: list[str]) -> Mapping[str, Snapshot]:
    return {view.id: of([*each]) for view, each in zip(LISTINGS, names, strict=False)}


def web(datacenter: str, port: int) -> dict[str, object]:
    made = instance("web", Port=port)
    made["Node"]["Datacenter"] = datacenter
    return made


def test_each_datacenter_has_its_views() -> None:
    assert set(needs.watched([NAMED], {})) == {
        View(SERVICE, name, each, "", "a == b") for name in ("web", "db") for each in BOTH
    }
    assert len(needs.watched([NODES], {})) == len(BOTH)
    assert {view.datacenter for view in needs.watched([NODES], {})} == {*BOTH}


def test_a_regular_expression_is_matched_in_each_datacenter() -> None:
    assert needs.first_views([MATCHED]) == {*LISTINGS}
    firsts = listings(["web", "db"], ["worker"])
    assert set(needs.rendered([MATCHED], firsts)) == {
        View(SERVICE, "web", "dc1", "team"),
        View(SERVICE, "worker", "dc2", "team"),
    }


def test_a_task_waits_until_each_datacenter_was_read() -> None:
    one = listings(["web"])
    web_there = View(SERVICE, "web", "dc1", "team")
    known = rows(*LISTINGS, web_there)
    assert needs.unread([MATCHED], known, one) == (LISTINGS[1],)
    assert needs.digests([MATCHED], known, one) is None
    both = listings(["web"], [])
    assert needs.digests([MATCHED], known, both) == {web_there.id: known[web_there.id].digest}


@pytest.mark.parametrize("changed", [0, 1])
def test_a_change_in_any_of_them_triggers(changed: int) -> None:
    views = NODES.views(None)
    before = {view.id: snapshot(view, [node(Datacenter=view.datacenter)]) for view in views}
    moved = snapshot(views[changed], [node(Address="10.9.9.9")])
    after = {**before, views[changed].id: moved}
    assert seen(NODES, before) != seen(NODES, after)


def seen(condition: Condition, read: Mapping[str, Snapshot]) -> Mapping[str, str]:
    return needs.looked_at(
        condition, {view: Answer(1, each).row for view, each in read.items()}, {}
    )


def test_the_module_gets_the_instances_of_all() -> None:
    condition = ServicesCondition(("web",), datacenters=BOTH)
    read = {
        view.id: snapshot(view, [web(view.datacenter, port)])
        for view, port in zip(condition.views(None), (80, 81), strict=True)
    }
    made = condition.value(read)
    assert '"web-1.node-1.dc1" = {' in made
    assert '"web-1.node-1.dc2" = {' in made


def test_the_module_gets_what_a_regular_expression_matches_in_each() -> None:
    condition = ServicesCondition(regexp="^w", datacenters=BOTH)
    read = {View(LISTING, "", each).id: of(["web"]) for each in BOTH}
    for each, port in zip(BOTH, (80, 81), strict=True):
        view = View(SERVICE, "web", each)
        read[view.id] = snapshot(view, [web(each, port)])
    made = condition.value(read)
    assert ("= 80\n" in made, "= 81\n" in made) == (True, True)


def test_the_module_gets_the_nodes_of_all() -> None:
    read = {
        view.id: snapshot(view, [node(Datacenter=view.datacenter)]) for view in NODES.views(None)
    }
    made = NODES.value(read)
    assert '"rack-1.dc1" = {' in made
    assert '"rack-1.dc2" = {' in made


@pytest.mark.parametrize("kind", [ServicesCondition, NodesCondition])
def test_one_of_several_is_one(kind: type[ServicesCondition | NodesCondition]) -> None:
    """The same meaning has the same digest, so it runs nothing."""
    assert kind(datacenters=("dc1",)) == kind(datacenter="dc1")
    assert kind(datacenters=("b", "a", "b")) == kind(datacenters=("a", "b"))


@pytest.mark.parametrize("condition", [NAMED, MATCHED, NODES])
def test_it_is_stored_and_read_as_it_was(condition: Condition) -> None:
    assert read_condition(written(condition)) == condition


@pytest.mark.parametrize("condition", [ServicesCondition(("web",)), NodesCondition()])
def test_what_does_not_use_it_is_stored_without_it(condition: Condition) -> None:
    """A digest of today stays as it is."""
    assert "datacenters" not in written(condition)
