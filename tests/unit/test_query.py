"""What is asked of Consul."""

import pytest

from cts.watch.query import Kind, Request, ServicesCondition, View, request, services

WEB = View(Kind.SERVICE, "web")
LISTING = View(Kind.LISTING)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            request(WEB), Request("/v1/health/service/web", {"passing": "1"}), id="at-once"
        ),
        pytest.param(
            request(WEB, index=7, wait=300),
            Request("/v1/health/service/web", {"passing": "1", "index": "7", "wait": "300s"}),
            id="held",
        ),
        pytest.param(
            request(WEB, wait=300),
            Request("/v1/health/service/web", {"passing": "1"}),
            id="without-index-nothing-is-held",
        ),
        pytest.param(
            request(WEB, consistent=True),
            Request("/v1/health/service/web", {"passing": "1", "consistent": ""}),
            id="consistent",
        ),
        pytest.param(
            request(View(Kind.SERVICE, "a/b ü")),
            Request("/v1/health/service/a%2Fb%20%C3%BC", {"passing": "1"}),
            id="a-name-with-odd-characters",
        ),
        pytest.param(
            request(LISTING, index=3, wait=60),
            Request("/v1/catalog/services", {"index": "3", "wait": "60s"}),
            id="listing",
        ),
    ],
)
def test_request(made: Request, expected: Request) -> None:
    assert made == expected


def test_ids_stay_as_they_are() -> None:
    """A changed id has every view of every deployment read anew and stored a second time."""
    assert WEB.id == "d7fd971afbbb1b239e25d67b56db61ee"
    assert LISTING.id == "1de5371a477cd70b80b0092ff52ae33f"
    assert View(Kind.SERVICE, "api").id not in (WEB.id, LISTING.id)


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
    assert condition.fixed_views == ((LISTING,) if fixed is None else services(fixed))
    assert condition.needed_views(["web-2", "web", "api", "my-eb"]) == services(needed)
