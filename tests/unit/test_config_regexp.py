"""Regular expressions of CTS (RE2), matched by Python."""

import pytest

from cts.config.regexp import fault


@pytest.mark.parametrize(
    "expression",
    [
        "", "^web$", "web|api", r"^web-\d+$", r"a\.b", "[a-z0-9-]+", "(?P<n>web)", "(?:a|b)*?",
        "(?i)web", "a{2,3}", "[]a]", r"\(\?=", "[(?=]", r"a\{,3\}", "[++]", r"\\Z", r"\bweb\b",
    ],
)  # fmt: skip
def test_both_read_it_alike(expression: str) -> None:
    assert fault(expression) == ("", "")


@pytest.mark.parametrize(
    "expression",
    [
        "(?=a)b", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", r"(?P<n>a)(?P=n)", "(?>a)", "(?#c)a",
        "(?x)a", "(?L)a", r"\h", r"\u0041", "a++", "a{2}+", "a?+", "(a)?(?(1)b)", r"\C",
    ],
)  # fmt: skip
def test_re2_refuses_it(expression: str) -> None:
    what, _ = fault(expression)
    assert "not part of RE2 syntax" in what


@pytest.mark.parametrize(
    "expression",
    ["(?<n>a)", "(?U)a", r"web\z", r"\Qa.b\E", r"\pL", "[[:alpha:]]", "[^[:digit:]]", "a{,3}",
     r"\x{41}", r"web\Z"],
)  # fmt: skip
def test_python_would_read_it_otherwise(expression: str) -> None:
    what, fix = fault(expression)
    assert "not supported yet" in what
    assert fix


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("a{1001}", "repeats too often"),
        ("a{1,99999999999999999999}", "repeats too often"),
        ("(", "does not compile"),
        ("[", "does not compile"),
        ("*a", "does not compile"),
        ("a(?i)b", "does not compile"),
    ],
)
def test_nobody_compiles_it(expression: str, what: str) -> None:
    assert what in fault(expression)[0]
