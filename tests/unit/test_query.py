"""What is asked of Consul."""

from dataclasses import fields, replace

import httpx
import pytest

from cts.conditions import catalog_services, consul_kv, services
from cts.conditions.catalog_services import CatalogServicesCondition
from cts.conditions.condition import Condition
from cts.conditions.consul_kv import KvCondition
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import ServicesCondition
from cts.watch.needs import watched
from cts.watch.query import ConsulRequest, View, request
from cts.watch.snapshot import of

WEB = View(services.SERVICE, "web")
LISTING = View(services.LISTING)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            request(WEB), ConsulRequest("/v1/health/service/web", {"passing": "1"}), id="at-once"
        ),
        pytest.param(
            request(WEB, index=7, wait=300),
            ConsulRequest(
                "/v1/health/service/web",
                {"passing": "1", "index": "7", "wait": "300s", "near": "_agent"},
            ),
            id="held",
        ),
        pytest.param(
            request(WEB, wait=300),
            ConsulRequest("/v1/health/service/web", {"passing": "1"}),
            id="without-index-nothing-is-held",
        ),
        pytest.param(
            request(WEB, consistency="consistent"),
            ConsulRequest("/v1/health/service/web", {"passing": "1", "consistent": ""}),
            id="consistent",
        ),
        pytest.param(
            request(View(services.SERVICE, "a/b ü")),
            ConsulRequest("/v1/health/service/a%2Fb%20%C3%BC", {"passing": "1"}),
            id="a-name-with-odd-characters",
        ),
        pytest.param(
            request(LISTING, index=3, wait=60),
            ConsulRequest("/v1/catalog/services", {"index": "3", "wait": "60s"}),
            id="listing",
        ),
        pytest.param(
            request(View(services.SERVICE, "web", "dc2", "ns1", 'Service.Tags contains "x"')),
            ConsulRequest(
                "/v1/health/service/web",
                {
                    "passing": "1",
                    "dc": "dc2",
                    "ns": "ns1",
                    "filter": 'Service.Tags contains "x"',
                },
            ),
            id="options",
        ),
        pytest.param(
            request(View(services.SERVICE, "web", filter='Checks.Status != "passing"')),
            ConsulRequest("/v1/health/service/web", {"filter": 'Checks.Status != "passing"'}),
            id="a-filter-that-decides-on-health",
        ),
        pytest.param(
            request(View(services.SERVICE, "web", filter='Service.Meta.a == "Checks.Status"')),
            ConsulRequest(
                "/v1/health/service/web", {"filter": 'Service.Meta.a == "Checks.Status"'}
            ),
            id="the-words-in-a-value-decide-too",
        ),
        pytest.param(
            request(View(services.SERVICE, "web", filter='Checks.Name == "c"')),
            ConsulRequest(
                "/v1/health/service/web", {"passing": "1", "filter": 'Checks.Name == "c"'}
            ),
            id="a-filter-on-checks-that-does-not-decide",
        ),
        pytest.param(
            request(View(services.LISTING, "", "dc2", "ns1", "", (("rack", "r1"), ("row", "2")))),
            ConsulRequest(
                "/v1/catalog/services",
                {"dc": "dc2", "ns": "ns1", "node-meta": ["rack:r1", "row:2"]},
            ),
            id="listing-of-some-nodes",
        ),
        pytest.param(
            request(View(consul_kv.KEY, "a b/ü?", "dc2", "ns1"), index=5, wait=60),
            ConsulRequest(
                "/v1/kv/a%20b/%C3%BC%3F", {"dc": "dc2", "ns": "ns1", "index": "5", "wait": "60s"}
            ),
            id="key",
        ),
        pytest.param(
            request(View(consul_kv.KEYS, "app")),
            ConsulRequest("/v1/kv/app", {"recurse": ""}),
            id="keys",
        ),
    ],
)
def test_request(made: ConsulRequest, expected: ConsulRequest) -> None:
    assert made == expected


def test_a_repeated_parameter_reaches_the_query_string() -> None:
    asked = request(
        View(services.LISTING, node_meta=(("rack", "r 1"), ("row", "2"))), index=1, wait=2
    )
    url = httpx.URL("http://consul" + asked.path, params=asked.params)
    assert url.query == b"node-meta=rack%3Ar+1&node-meta=row%3A2&index=1&wait=2s"


def test_ids_stay_as_they_are() -> None:
    """A changed id has every view of every deployment read anew and stored a second time."""
    assert WEB.id == "d7fd971afbbb1b239e25d67b56db61ee"
    assert LISTING.id == "1de5371a477cd70b80b0092ff52ae33f"
    whole = View(services.SERVICE, "web", "dc2", "ns1", "a == b")
    assert whole.id == "8c6b94d7e0cbe59545a5034952722ac8"
    some = View(services.LISTING, "", "dc2", "ns1", "", (("rack", "1"), ("row", "2")))
    assert some.id == "973ea4ec58d603a8e34ad1fb3167b975"
    assert View(consul_kv.KEY, "a/b").id == "0837db138fbc2cb68e297512bfb538d1"
    assert View(consul_kv.KEYS, "a/b", "dc2").id == "584f01827f3b225a0a400494133c8683"
    assert View(catalog_services.CATALOG).id == "24df2f26d4b16569a1ffbcb73ad87010"


VIEWS = {
    WEB: "service web",
    View(services.SERVICE, "api"): "service api",
    View(services.SERVICE, "web", "dc2"): "service web (datacenter dc2)",
    View(services.SERVICE, "web", namespace="dc2"): "service web (namespace dc2)",
    View(services.SERVICE, "web", "dc2", "ns1", "a == b"): (
        "service web (datacenter dc2, namespace ns1, filter a == b)"
    ),
    LISTING: "the list of services",
    View(services.LISTING, node_meta=(("rack", "1"), ("row", "2"))): (
        "the list of services (node-meta rack:1, node-meta row:2)"
    ),
    View(services.LISTING, node_meta=(("rack", "1"),)): "the list of services (node-meta rack:1)",
    View(consul_kv.KEY, "web"): "key web",
    View(consul_kv.KEYS, "web"): "the keys that begin with web",
    View(consul_kv.KEYS, "web", namespace="ns1"): "the keys that begin with web (namespace ns1)",
    View(catalog_services.CATALOG): "the list of services with their tags",
}


@pytest.mark.parametrize(("view", "text"), VIEWS.items())
def test_a_view_is_named_for_people(view: View, text: str) -> None:
    assert str(view) == text


def test_each_query_has_its_own_id() -> None:
    assert len({view.id for view in VIEWS}) == len(VIEWS)


def instances(names: tuple[str, ...]) -> tuple[View, ...]:
    return tuple(View(services.SERVICE, name) for name in names)


@pytest.mark.parametrize(
    ("condition", "fixed", "needed"),
    [
        pytest.param(ServicesCondition(("b", "a", "b")), ("a", "b"), ("a", "b"), id="names"),
        pytest.param(ServicesCondition(regexp="^we"), None, ("web", "web-2"), id="anchored"),
        pytest.param(
            ServicesCondition(regexp="eb"), None, ("my-eb", "web", "web-2"), id="anywhere"
        ),
        pytest.param(
            ServicesCondition(regexp=""), None, ("api", "my-eb", "web", "web-2"), id="all"
        ),
        pytest.param(ServicesCondition(regexp="^x$"), None, (), id="none"),
    ],
)
def test_views_of_a_condition(
    condition: ServicesCondition, fixed: tuple[str, ...] | None, needed: tuple[str, ...]
) -> None:
    assert watched([condition], {}) == ((LISTING,) if fixed is None else instances(fixed))
    assert condition.views(of(["web-2", "web", "api", "my-eb"])) == instances(needed)


NAMES = ["web-2", "web", "api"]
"""What the catalog lists."""


@pytest.mark.parametrize(
    ("condition", "fixed", "needed"),
    [
        pytest.param(
            ServicesCondition(("web",), None, "dc2", "ns1", "a == b"),
            [View(services.SERVICE, "web", "dc2", "ns1", "a == b")],
            [View(services.SERVICE, "web", "dc2", "ns1", "a == b")],
            id="names-with-options",
        ),
        pytest.param(
            ServicesCondition((), "web", "dc2", "ns1", "a == b"),
            [View(services.LISTING, "", "dc2", "ns1")],
            [View(services.SERVICE, name, "dc2", "ns1", "a == b") for name in ("web", "web-2")],
            id="regexp-with-options",
        ),
        pytest.param(
            ServicesCondition(("web",), meta=(("team", "net"),), trigger_only=True),
            [WEB],
            [WEB],
            id="what-the-module-gets-changes-no-query",
        ),
        pytest.param(
            ServicesCondition(
                ("web",),
                others=(ServicesCondition(("db",), None, "dc2"), ServicesCondition(("api",))),
            ),
            [WEB, View(services.SERVICE, "api"), View(services.SERVICE, "db", "dc2")],
            [WEB, View(services.SERVICE, "api"), View(services.SERVICE, "db", "dc2")],
            id="services-asked-for-in-different-ways",
        ),
        pytest.param(ServicesCondition(), [], [], id="nothing"),
        pytest.param(
            CatalogServicesCondition("web", "dc2", "ns1", (("rack", "1"),)),
            [View(catalog_services.CATALOG, "", "dc2", "ns1", "", (("rack", "1"),))],
            [View(catalog_services.CATALOG, "", "dc2", "ns1", "", (("rack", "1"),))],
            id="catalog-services",
        ),
        pytest.param(
            KvCondition("/a/b", False, "dc2", "ns1"),
            [View(consul_kv.KEY, "a/b", "dc2", "ns1")],
            [View(consul_kv.KEY, "a/b", "dc2", "ns1")],
            id="key",
        ),
        pytest.param(
            KvCondition("a/", recurse=True),
            [View(consul_kv.KEYS, "a/")],
            [View(consul_kv.KEYS, "a/")],
            id="keys",
        ),
        pytest.param(ScheduleCondition("@daily"), [], [], id="schedule"),
    ],
)
def test_views_of_every_kind_of_condition(
    condition: Condition, fixed: list[View], needed: list[View]
) -> None:
    assert set(watched([condition], {})) == set(fixed)
    assert set(condition.views(of(NAMES))) == set(needed)


DB, API = ServicesCondition(("db",), None, "dc2"), ServicesCondition(("api",))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        pytest.param(
            ServicesCondition(("b", "a", "b"), None, "", "", "\n\na == b\n"),
            ServicesCondition(("a", "b"), None, "", "", "a == b"),
            id="names-and-filter",
        ),
        pytest.param(
            ServicesCondition(("a",), meta=(("x", "1"), ("b", "2"))),
            ServicesCondition(("a",), meta=(("b", "2"), ("x", "1"))),
            id="metadata",
        ),
        pytest.param(
            ServicesCondition(("a",), others=(DB, API)),
            ServicesCondition(("a",), others=(API, DB, API)),
            id="other-services",
        ),
        pytest.param(
            CatalogServicesCondition("", node_meta=(("x", "1"), ("b", "2"))),
            CatalogServicesCondition("", node_meta=(("b", "2"), ("x", "1"))),
            id="node-metadata",
        ),
        pytest.param(KvCondition("/a/b/"), KvCondition("a/b/"), id="a-path's-first-slash"),
        pytest.param(
            ScheduleCondition(" 0 6\t* *  *\n"), ScheduleCondition("0 6 * * *"), id="blanks"
        ),
    ],
)
def test_one_meaning_is_one_condition(written: Condition, canonical: Condition) -> None:
    assert written == canonical
    assert hash(written) == hash(canonical)
    again = type(written)(**{f.name: getattr(written, f.name) for f in fields(written)})
    assert again == written


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ServicesCondition(), ServicesCondition(regexp="")),
        (ServicesCondition(("a",)), ServicesCondition(("a",), trigger_only=True)),
        (ServicesCondition(("a",)), ServicesCondition(("a",), meta=(("a", ""),))),
        (ServicesCondition(("a",), others=(API,)), ServicesCondition(("a", "api"))),
        (KvCondition("a"), KvCondition("a/")),
        (KvCondition("a"), KvCondition("a", recurse=True)),
        (ScheduleCondition("@daily"), ScheduleCondition("@Daily")),
    ],
)
def test_other_meanings_are_other_conditions(one: Condition, other: Condition) -> None:
    assert one != other


def test_what_is_asked_for_in_the_same_way_is_one_view() -> None:
    catalog, web = CatalogServicesCondition("^w"), ServicesCondition(("web",))
    assert catalog.views(None) == CatalogServicesCondition("", trigger_only=True).views(None)
    assert KvCondition("/app").views(None) == KvCondition("app", trigger_only=True).views(None)
    assert web.views(None) == replace(web, meta=(("a", "b"),)).views(None)
