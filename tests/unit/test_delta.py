"""What came, left and changed between two snapshots of a view."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.conditions import consul_kv, services
from cts.conditions.catalog_services import CATALOG
from cts.conditions.intentions import INTENTIONS
from cts.conditions.nodes import NODES
from cts.conditions.paths import can_be_asked_for
from cts.watch.delta import (
    LONGEST_TEXT,
    MOST_BYTES,
    Difference,
    What,
    counts,
    differences,
    first,
    first_texts,
    in_a_line,
    told,
)
from cts.watch.query import Kind, View
from cts.watch.snapshot import EMPTY, of, snapshot
from tests.fake_consul import instance
from tests.unit.test_nodes_and_intentions import intention, node


def entry(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": b64encode(value.encode()).decode()}


CASES: list[tuple[Kind, Any, Any, list[tuple[str, str, tuple[str, ...]]]]] = [
    (
        services.SERVICE,
        [instance("web", 1, Port=80), instance("web", 2)],
        [instance("web", 1, Port=81, Tags=["a"]), instance("web", 3)],
        [
            ("came", "node-3/web-3", ()),
            ("changed", "node-1/web-1", ("port", "tags")),
            ("left", "node-2/web-2", ()),
        ],
    ),
    (
        services.LISTING, {"web": [], "db": []}, {"db": ["a"], "api": []},
        [("came", "api", ()), ("left", "web", ())],
    ),
    (CATALOG, {"web": [], "db": []}, {"web": ["a"], "db": []}, [("changed", "web", ("tags",))]),
    (
        consul_kv.KEYS,
        [entry("a", "1"), entry("b", "2")],
        [entry("a", "9"), entry("c", "3")],
        [("came", "c", ()), ("changed", "a", ("value",)), ("left", "b", ())],
    ),
    (
        NODES,
        [node(), node(Node="b")],
        [node(Address="10.9.9.9")],
        [("changed", "rack-1", ("address",)), ("left", "b", ())],
    ),
    (
        INTENTIONS,
        [intention()],
        [intention(Action="deny"), intention(SourceName="*")],
        [("came", "* => db", ()), ("changed", "web => db", ("action",))],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "after", "expected"), CASES, ids=lambda _: "")
def test_each_kind_names_what_differs(
    kind: Kind, before: Any, after: Any, expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    made = [snapshot(View(kind), each) for each in (before, after)]
    found = sorted(differences("it", kind, *made))
    assert [(each.what.value, each.name, each.attributes) for each in found] == expected


@pytest.mark.parametrize("kind", [each[0] for each in CASES], ids=lambda kind: kind.name)
def test_equal_snapshots_do_not_differ(kind: Kind) -> None:
    [answer] = [after for each, _, after, _ in CASES if each == kind]
    made = snapshot(View(kind), answer)
    assert [*differences("it", kind, made, made)] == []
    came = counts(differences("it", kind, EMPTY, made)).came
    assert (came, came) == (len(made.value), counts(differences("it", kind, made, EMPTY)).left)


def test_no_value_is_told() -> None:
    """Of KV, of metadata, of tags: only whose it is and which attribute."""
    secret = "hunter2"
    pairs = [
        (consul_kv.KEY, [entry("a", "1")], [entry("a", secret)]),
        (
            services.SERVICE,
            [instance("web")],
            [instance("web", Meta={"key": secret}, Tags=[secret])],
        ),
        (NODES, [node()], [node(Meta={"key": secret})]),
        (INTENTIONS, [intention()], [intention(Description=secret)]),
    ]
    for kind, before, after in pairs:
        made = [snapshot(View(kind), each) for each in (before, after)]
        found = told(differences("it", kind, *made))
        assert found["changed"] == 1
        assert secret not in json.dumps(found)


def test_a_former_snapshot_that_is_gone_says_nothing() -> None:
    now = snapshot(View(NODES), [node()])
    assert [*differences("it", NODES, None, now)] == [Difference("it", What.UNKNOWN)]


@pytest.mark.parametrize("stored", [["a"], [{"Name": "a"}], [None]])
def test_rows_of_another_version_say_nothing(stored: list[Any]) -> None:
    now = snapshot(View(NODES), [node()])
    assert [*differences("it", NODES, of(stored), now)] == [Difference("it", What.UNKNOWN)]


NAMES = st.frozensets(st.text(max_size=3).filter(can_be_asked_for), max_size=8)


@pytest.mark.slow
@given(NAMES, NAMES)
def test_what_came_and_left_is_all_that_differs(
    before: frozenset[str], after: frozenset[str]
) -> None:
    made = [snapshot(View(services.LISTING), dict.fromkeys(each)) for each in (before, after)]
    found = [*differences("it", services.LISTING, *made)]
    assert {each.name for each in found if each.what is What.CAME} == after - before
    assert {each.name for each in found if each.what is What.LEFT} == before - after
    assert len(found) == len(before ^ after)


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600", "\0", '"'])
@pytest.mark.parametrize("length", [1, 150, pytest.param(100_000, marks=pytest.mark.slow)])
def test_what_is_listed_is_limited_and_all_is_counted(letter: str, length: int) -> None:
    """Of an event's 32 KB three lists take at most 27."""
    found = [Difference(letter * length, What.CAME, f"{n}{letter * length}") for n in range(200)]
    listed = first(found)
    assert 1 <= len(listed) <= 50
    assert len(json.dumps(listed)) <= MOST_BYTES
    assert max(len(each["name"]) for each in listed) <= LONGEST_TEXT
    assert told(found)["came"] == 200
    texts = first_texts(each.name for each in found)
    assert 1 <= len(texts) <= 50
    assert len(json.dumps(texts)) <= MOST_BYTES


def test_one_line_names_the_first_of_each_view_and_counts_the_others() -> None:
    found = [
        Difference("service web", What.CAME, "n/web-2"),
        Difference("service web", What.LEFT, "n/web-1"),
        Difference("key a", What.CHANGED, "a", ("value",)),
        Difference("service db", What.UNKNOWN),
    ]
    assert in_a_line(first(found), len(found)) == (
        "key a: a changed; service db: unknown; service web: n/web-2 came, n/web-1 left"
    )
    many = [Difference("the list", What.CAME, f"s{number:02}") for number in range(60)]
    line = in_a_line(first(many), len(many))
    assert line.startswith("the list: s00 came, s01 came, ")
    assert line.endswith("s09 came; and 50 more")
    assert in_a_line([], 0) == ""
