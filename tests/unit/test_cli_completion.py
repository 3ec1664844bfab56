"""A shell completes commands and options."""

import pytest
from typer.testing import CliRunner

from cts_cli.main import app


def completed(words: str, shell: str = "bash") -> list[str]:
    env = {"_CTS_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "_TYPER_COMPLETE_ARGS": words}
    env["COMP_CWORD"] = str(words.count(" "))
    return CliRunner().invoke(app, [], prog_name="cts", env=env).output.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cts va", {"validate"}),
        ("cts r", {"runs", "rollback", "run", "release", "retry"}),
        ("cts push --y", {"--yes"}),
    ],
)
def test_words_are_completed(words: str, expected: set[str]) -> None:
    assert {*completed(words)} == expected


def test_it_can_be_installed() -> None:
    told = CliRunner().invoke(app, ["--help"], prog_name="cts").output
    assert "--install-completion" in told
    assert "--show-completion" in told
