"""Which instances reach a module, as `serverless` says."""

import pytest

from cts.config.compile import compile_bundle
from cts.config.rules.problem import Code
from cts.terraform.definition import Definition
from cts.watch.query import View, request

NOT_CRITICAL = 'not (Checks.Status == "critical")'


def bundle(own: str = "", defaults: str = "", condition: str = "", more: str = "") -> bytes:
    condition = condition or 'condition "services" { names = ["web"] }'
    task = f'name = "t"\nmodule = "m"\n{condition}\nserverless {{ {own} }}'
    return f"serverless {{ {defaults} }}\n{more}\ntask {{\n{task}\n}}\n".encode()


def definition(text: bytes) -> Definition:
    compiled = compile_bundle({"c.hcl": text}).compiled
    assert compiled
    [made] = compiled.definitions.values()
    return made


def views(text: bytes) -> list[View]:
    made = definition(text)
    return [view for each in (made.condition, *made.inputs) for view in each.views(None)]


ANY, WARNING = 'health = "any"', 'health = "warning"'
FILTER = 'condition "services" { names = ["web"] filter = "%s" }'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(bundle(), {"passing": "1"}, id="as-in-cts"),
        pytest.param(bundle('health = "passing"'), {"passing": "1"}, id="passing"),
        pytest.param(bundle(WARNING), {"filter": NOT_CRITICAL}, id="warning"),
        pytest.param(bundle(ANY), {}, id="any"),
        pytest.param(bundle("", ANY), {}, id="default"),
        pytest.param(bundle('health = "passing"', ANY), {"passing": "1"}, id="own"),
        pytest.param(
            bundle(WARNING, condition=FILTER % "a == b or c == d"),
            {"filter": f"(a == b or c == d) and {NOT_CRITICAL}"},
            id="with-a-filter",
        ),
        pytest.param(
            bundle(ANY, condition=FILTER % "a == b"), {"filter": "a == b"}, id="any-with-a-filter"
        ),
        pytest.param(
            bundle(WARNING, condition=FILTER % "Checks.Status == passing"),
            {"filter": "Checks.Status == passing"},
            id="a-filter-that-decides-on-health",
        ),
        pytest.param(
            bundle(
                ANY,
                condition='condition "consul-kv" { path = "a" }\nmodule_input "services" '
                '{ names = ["web"] }',
            ),
            {},
            id="module-input",
        ),
    ],
)
def test_what_is_asked_of_consul(text: bytes, expected: dict[str, str]) -> None:
    assert request(views(text)[-1]).params == expected


def test_each_of_the_services_of_a_list_is_asked_for_like_this() -> None:
    text = bundle(
        ANY,
        condition='services = ["web", "db"]',
        more='service { name = "db" datacenter = "dc2" }',
    )
    assert {(view.name, view.health) for view in views(text)} == {("web", "any"), ("db", "any")}


def test_another_health_is_another_view_and_another_definition() -> None:
    made = [bundle(), bundle(WARNING), bundle(ANY)]
    assert len({view.id for text in made for view in views(text)}) == 3
    assert len({definition(text).digest for text in made}) == 3
    assert [str(view) for view in views(bundle(ANY))] == ["service web (health any)"]


def test_what_is_the_rule_anyway_changes_nothing() -> None:
    assert definition(bundle('health = "passing"')) == definition(bundle())
    decides = FILTER % "Checks.Status == passing"
    assert definition(bundle(ANY, condition=decides)) == definition(bundle(condition=decides))
    keys = 'module_input "consul-kv" { path = "a" }'
    assert definition(bundle(ANY, condition=keys)) == definition(bundle(condition=keys))


@pytest.mark.parametrize("word", ["critical", "Passing", ""])
def test_another_word_is_an_error_with_its_place(word: str) -> None:
    for text, place in (
        (bundle("", f'health = "{word}"'), "c.hcl:1:23"),
        (bundle(f'health = "{word}"'), "c.hcl:7:23"),
    ):
        [problem] = compile_bundle({"c.hcl": text}).problems
        assert (str(problem.place), problem.code) == (place, Code.INVALID_VALUE)
        assert problem.fix == "write one of passing, warning, any"
