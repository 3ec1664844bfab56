"""Which version of Terraform a run works with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.terraform.releases import OLDEST, RELEASES
from cts.terraform.versions import (
    OPENTOFU,
    TERRAFORM,
    EngineVersion,
    Version,
    allows,
    requirements,
    resolve,
)


@pytest.mark.parametrize(
    ("constraint", "allowed", "forbidden"),
    [
        ("", ["0.13.0", "9.9.9", "1.0.0-rc1"], []),
        ("1.9.8", ["1.9.8", "v1.9.8"], ["1.9.7", "1.9.8-rc1"]),
        ("= 1.9", ["1.9.0"], ["1.9.1"]),
        ("!= 1.9.8", ["1.9.7"], ["1.9.8"]),
        ("> 1.9.8", ["1.9.9", "1.10.0"], ["1.9.8", "1.9.9-rc1"]),
        (">= 1.5, < 2.0", ["1.5.0", "1.15.8"], ["1.4.7", "2.0.0", "1.6.0-beta1"]),
        ("<= 1.5", ["1.5.0"], ["1.5.1"]),
        ("~> 1.5.0", ["1.5.0", "1.5.7"], ["1.6.0", "1.4.7"]),
        ("~> 1.5", ["1.5.0", "1.15.8"], ["2.0.0", "1.4.7"]),
        ("~> 1", ["1.0.0", "2.0.0"], ["0.15.5"]),
        (">=1.5.0,!=1.5.3", ["1.5.4"], ["1.5.3"]),
        ("~> 1.6.0-beta1", ["1.6.0-beta2"], ["1.6.0", "1.6.1"]),
        (">= 1.6.0-beta1", ["1.6.0-beta1", "1.6.0"], ["1.6.0-alpha1", "1.7.0-beta1"]),
    ],
)
def test_a_constraint_allows_what_terraform_would(
    constraint: str, allowed: list[str], forbidden: list[str]
) -> None:
    assert [each for each in allowed + forbidden if allows(constraint, each)] == allowed


@pytest.mark.parametrize("constraint", ["1.x", ">= ", "=> 1.5", "1.5 1.6", ">= 1.5,", "latest"])
def test_what_is_no_constraint_says_so(constraint: str) -> None:
    with pytest.raises(ValueError, match="is not a version constraint"):
        list(requirements(constraint))


def test_pre_releases_come_before_their_release_and_count_by_their_parts() -> None:
    order = ["1.9.8", "1.10.0-alpha", "1.10.0-beta.2", "1.10.0-beta.11", "1.10.0-rc1", "1.10.0"]
    assert sorted(map(Version.read, reversed(order))) == [*map(Version.read, order)]


NUMBERS = st.lists(st.integers(0, 20), min_size=3, max_size=3).map(
    lambda numbers: ".".join(map(str, numbers))
)


@given(NUMBERS, NUMBERS)
def test_the_operators_agree_with_each_other(left: str, right: str) -> None:
    found = [
        operator
        for operator in ("=", "!=", ">", ">=", "<", "<=")
        if allows(f"{operator} {right}", left)
    ]
    assert found in (["=", ">=", "<="], ["!=", ">", ">="], ["!=", "<", "<="])
    if allows(f"~> {right}", left):
        assert ">=" in found
        assert left.rpartition(".")[0] == right.rpartition(".")[0]


@pytest.mark.parametrize(
    ("engine", "configured", "kept", "constraint", "version"),
    [
        (TERRAFORM, "", "", "", "1.11.4"),
        (TERRAFORM, "1.9.8", "terraform 1.8.5", ">= 1.9", "1.9.8"),
        (TERRAFORM, "v1.9.8", "", "", "1.9.8"),
        (TERRAFORM, "", "terraform 1.8.5", "~> 1.8", "1.8.5"),
        (TERRAFORM, "", "opentofu 1.8.5", "", "1.11.4"),
        (TERRAFORM, "", "terraform 1.8.5", ">= 1.9", "1.11.4"),
        (TERRAFORM, "", "", "~> 1.5.0", "1.5.7"),
        (TERRAFORM, "", "", ">= 1.12", RELEASES[TERRAFORM][0]),
        (TERRAFORM, "", "", "= 1.11.4", "1.11.4"),
        (OPENTOFU, "", "", "", RELEASES[OPENTOFU][0]),
        (OPENTOFU, "", "opentofu 1.8.11", "", "1.8.11"),
        (OPENTOFU, "", "terraform 1.8.5", "< 1.9", "1.8.11"),
    ],
)
def test_what_counts_more_is_taken(
    engine: str, configured: str, kept: str, constraint: str, version: str
) -> None:
    assert resolve(engine, configured, kept, "1.11.4", constraint) == EngineVersion(engine, version)


def test_a_configured_version_that_the_module_forbids_is_not_replaced() -> None:
    with pytest.raises(ValueError, match=r"1\.9\.8 is configured, but the module requires < 1\.9"):
        resolve(TERRAFORM, "1.9.8", "terraform 1.8.5", "1.11.4", "< 1.9")


def test_without_any_version_it_says_what_to_set() -> None:
    with pytest.raises(
        ValueError, match=r"requires Terraform > 1\.5, < 1\.5\.5, and .*: set terraform_version"
    ):
        resolve(TERRAFORM, "", "", "1.11.4", "> 1.5, < 1.5.5")


@pytest.mark.parametrize("engine", [TERRAFORM, OPENTOFU])
def test_the_known_releases_are_one_of_each_line_newest_first(engine: str) -> None:
    versions = [Version.read(each) for each in RELEASES[engine]]
    assert versions == sorted(versions, reverse=True)
    assert len({each.numbers[:2] for each in versions}) == len(versions)
    assert versions[-1].numbers >= OLDEST[engine]
