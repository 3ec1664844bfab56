"""Definitions by the digest of their meaning; generations as JSON."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.generation import BufferPeriod, Generation, TaskEntry
from cts.terraform.definition import Definition, Module, Provider, VariableFile
from cts.watch import diff
from cts.watch.query import View

WEB = Definition("web", Module("./m", digest="abc"), ServicesCondition(("web",)))


def test_a_digest_stays_as_it_is() -> None:
    """A changed digest runs every task of every deployment."""
    assert WEB.digest == Definition.from_json(WEB.to_json()).digest
    assert WEB.to_json() == (
        '{"condition":{"names":["web"]},'
        '"module":{"digest":"abc","source":"./m","version":""},"task":"web"}'
    )


def test_a_definition_names_its_driver() -> None:
    assert WEB.driver == "terraform"
    assert replace(WEB, cloud={"organization": "example"}).driver == "terraform-cloud"


@pytest.mark.parametrize(
    "other",
    [
        replace(WEB, task="other"),
        replace(WEB, module=replace(WEB.module, digest="def")),
        replace(WEB, module=replace(WEB.module, version="1.0.0")),
        replace(WEB, condition=ServicesCondition(("web", "api"))),
        replace(WEB, condition=ServicesCondition(regexp="web")),
        replace(WEB, variables={"n": 1}),
        replace(WEB, variables={"n": "1"}),
        replace(WEB, variables={"n": None}),
        replace(WEB, constants=("n",)),
        replace(WEB, variable_files=(VariableFile(("n",), "n = 1"),)),
        replace(WEB, environment={"REGION": "eu"}),
        replace(WEB, git_ssh_key='{{ env "KEY" }}'),
        replace(WEB, default_tags=True),
        replace(WEB, role_arn="arn:aws:iam::123456789012:role/dns"),
        replace(WEB, after_apply=("./notify.sh",)),
        replace(WEB, persist_log=True),
    ],
)
def test_whatever_is_applied_counts(other: Definition) -> None:
    assert other.digest != WEB.digest


def test_the_order_of_variables_does_not_count() -> None:
    one = replace(WEB, variables={"a": 1, "b": 2})
    assert replace(WEB, variables={"b": 2, "a": 1}).digest == one.digest


def test_constants_are_kept() -> None:
    module = replace(WEB, constants=("a", "b"))
    assert Definition.from_json(module.to_json()) == module


def test_variable_files_are_kept() -> None:
    task = replace(WEB, variable_files=(VariableFile(("a", "b"), "a = 1\nb = 2\n"),))
    assert Definition.from_json(task.to_json()) == task
    assert task.variable_names == ["a", "b"]


def test_how_its_terraform_runs_is_kept() -> None:
    task = replace(
        WEB,
        environment={"REGION": "eu"},
        git_ssh_key='{{ env "KEY" }}',
        default_tags=True,
        role_arn="arn:aws:iam::123456789012:role/dns",
        after_apply=("./notify.sh", "dns"),
        persist_log=True,
    )
    assert Definition.from_json(task.to_json()) == task


def test_of_several_values_the_one_of_the_last_provider_counts() -> None:
    first, last = Provider("a", env={"B": "a", "C": "a"}), Provider("b", env={"C": "b"})
    task = replace(WEB, environment={"A": "", "B": "", "C": ""}, providers=(first, last))
    assert task.whole_environment == {"A": "", "B": "a", "C": "b"}


def test_the_empty_regexp_is_kept() -> None:
    everything = replace(WEB, condition=ServicesCondition(regexp=""))
    assert Definition.from_json(everything.to_json()) == everything


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1, max_size=8), JSON, max_size=4))
def test_a_definition_comes_back_from_its_json(variables: dict[str, object]) -> None:
    definition = replace(WEB, variables=variables)
    assert Definition.from_json(definition.to_json()) == definition


def test_a_generation_comes_back_from_its_json() -> None:
    tasks = {
        "web": TaskEntry(
            "d1", ServicesCondition(("web", "api")), "text", buffer=BufferPeriod(5, 20)
        ),
        "all": TaskEntry("d2", ServicesCondition(regexp=""), enabled=False),
    }
    made = Generation(7, 1, {"config/bundle.zip": "v1"}, tasks)
    assert Generation.from_json(made.to_json()) == made


def test_tasks_that_need_the_same_query_share_the_view() -> None:
    tasks = {
        "a": TaskEntry("d1", ServicesCondition(("web", "api"))),
        "b": TaskEntry("d2", ServicesCondition(("web",))),
        "c": TaskEntry("d3", ServicesCondition(regexp="x")),
    }
    assert diff.views(Generation(1, 1, {}, tasks), {}) == {
        View(services.SERVICE, "web"),
        View(services.SERVICE, "api"),
        View(services.LISTING),
    }
