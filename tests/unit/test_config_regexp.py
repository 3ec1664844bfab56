"""Regular expressions of CTS are RE2's, and what passes is what is matched."""

import pytest

from cts.config.rules.regexp import compiled, fault


@pytest.mark.parametrize(
    ("expression", "matches", "not_this"),
    [
        pytest.param("", "", None, id="empty"),
        pytest.param("eb", "web-1", "w-1", id="anywhere"),
        pytest.param("^web$", "web", "web-1", id="anchored"),
        pytest.param(r"^web-\d+$", "web-12", "web-१२", id="digits-are-ascii"),
        pytest.param("(?i)web", "WEB", "w", id="flag"),
        pytest.param("(?U)^w+$", "www", "", id="ungreedy"),
        pytest.param("(?P<n>web)", "web", "w", id="named-group"),
        pytest.param(r"^(?<n>web)\pL*\z", "webé", "web1", id="C-224"),
        pytest.param(r"\Qa.b\E", "a.b", "axb", id="quoted"),
        pytest.param(r"^\x{41}$", "A", "x", id="code"),
        pytest.param("^[[:alpha:]]$", "a", "1", id="posix-set"),
        pytest.param("^[^[:digit:]]$", "a", "1", id="posix-set-negated"),
        pytest.param("a{,3}", "a{,3}", "aaa", id="no-count-is-text"),
        pytest.param("^a{1000}$", "a" * 1000, "a", id="the-highest-count"),
        pytest.param("^[]a]$", "]", "b", id="set-of-a-bracket"),
        pytest.param("^..$", "é→", "é", id="characters-not-bytes"),
        pytest.param("a" * 10_000, "a" * 10_000, "a", id="the-longest", marks=pytest.mark.slow),
        pytest.param("x*" * 30 + "$", "x" * 5000, None, id="linear-time"),
    ],
)
def test_it_is_taken_and_matched(expression: str, matches: str, not_this: str | None) -> None:
    assert fault(expression) == ("", "")
    search = compiled(expression)
    assert search(matches.encode())
    assert not_this is None or not search(not_this.encode())


@pytest.mark.parametrize(
    "expression",
    [
        # C-116e, C-118b, C-224b
        "(?=a)b", "[", r"web\Z", "a{1001}", "a++", "(?x)a", "(?#c)a", r"\h", r"\u0041",
        # what Perl, Python and others know
        "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?P<n>a)(?P=n)", "(?>a)", "(a)?(?(1)b)", "(?L)a",
        "a{2}+", "a?+", "a**", r"\x{110000}", "(?P<1 a)", "[[:name:]]", r"\p{Nothing}",
        # what nobody knows
        "(", ")", "*a", "\\", "[z-a]", "a{2,1}", "(?:a{1000}){1000}", r"\pL{1000}", "\ud800",
    ],
)  # fmt: skip
def test_it_is_refused(expression: str) -> None:
    what, _ = fault(expression)
    assert what.startswith("RE2 rejects this: ")


@pytest.mark.parametrize(
    ("expression", "what", "fix"),
    [
        ("(?=a)b", "(?=", "look-around"),
        ("*", "a * repeats what comes before it", 'for all services write regexp = ""'),
        ("**", "a * repeats what comes before it", 'for all services write regexp = ""'),
        ("*-web", "operator: *", 'such as ".*" for any text'),
        (r"(a)\1", r"\1", "back-reference"),
        (r"web\Z", r"\Z", r"\z"),
        ("a++", "++", "possessive"),
        ("a{1001}", "{1001}", "at most 1000"),
        ("web(", "(", r"\("),
        (r"\pL{1000}", "compile failed", "less often"),
        ("é)", "é)", r"\)"),
        ("a" * 10_001, "more than 10000 characters", "shorter"),
    ],
)
def test_it_is_said_what_is_wrong_and_what_would_be_right(
    expression: str, what: str, fix: str
) -> None:
    said = fault(expression)
    assert said[0].endswith(what)
    assert fix in said[1]


def test_nothing_is_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert fault("never seen before (") != ("", "")
    assert capfd.readouterr() == ("", "")
