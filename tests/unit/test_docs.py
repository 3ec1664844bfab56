"""The documents say what the code says: no event, field, alarm or file is left to memory.

Options and error codes: `test_docs_options.py`.
"""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from cts import events
from tests.unit.documents import ROOT, rows, section, text

PACKAGE = ROOT / "layers/core/cts"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
EVENTS: tuple[Any, ...] = get_args(events.Event)
ALARM = re.compile(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+(?:/|\.(?:py|yaml|json|toml|md)))`")
TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)
BORDER = re.compile(r"(?<!\\)\|")
MADE = {"build/bench.json"}


def anchors(document: Path) -> set[str]:
    """The headings, as links name them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.detail_type)
class TestEvent:
    def test_has_a_row_for_each_field(self, event: Any) -> None:
        described = rows(section("docs/events.md", event.detail_type))
        assert described == [field.name for field in fields(event)]

    def test_has_an_example_with_exactly_its_fields(self, event: Any) -> None:
        found = re.search(
            r"```json\n(.*?)```", section("docs/events.md", event.detail_type), re.DOTALL
        )
        assert found
        assert list(json.loads(found[1])) == [field.name for field in fields(event)]


def test_each_alarm_has_a_paragraph() -> None:
    alarms = ALARM.findall(text("template.yaml"))
    described = re.findall(
        r"^### (\w+)\n\n`cts-[\w-]+`: \w+", section("docs/operations.md", "Alarms"), re.MULTILINE
    )
    assert alarms
    assert described == alarms


def test_each_finding_has_a_row() -> None:
    described = re.findall(r"^\| \[(.+)\]\(\1\) \|", text("findings/README.md"), re.MULTILINE)
    assert sorted(described) == sorted(path.name for path in (ROOT / "findings").glob("*.sh"))


def test_the_readmes_example_is_in_the_demos_configuration() -> None:
    (example,) = re.findall(r"```hcl\n(.*?)```", text("README.md"), re.DOTALL)
    assert example in text("local/demo/config/tasks.hcl")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
class TestDocument:
    def test_links_to_what_exists(self, document: Path) -> None:
        for path, anchor in LINK.findall(document.read_text()):
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), path
            assert not anchor or anchor[1:] in anchors(target), f"{path}{anchor}"

    def test_has_tables_whose_rows_have_all_cells(self, document: Path) -> None:
        for table in TABLE.findall(FENCED.sub("", document.read_text())):
            assert len({len(BORDER.findall(line)) for line in table.splitlines()}) == 1, table

    def test_names_files_that_exist(self, document: Path) -> None:
        prose = FENCED.sub("", document.read_text())
        ours = [path for path in FILE.findall(prose) if _is_of_the_tree(path)]
        missing = [
            path for path in ours if not (ROOT / path).exists() and not (PACKAGE / path).exists()
        ]
        assert not missing


def _is_of_the_tree(path: str) -> bool:
    """Not what a bucket, a run or a user's folder holds, nor what is made."""
    first, slash, _ = path.partition("/")
    ours = (ROOT / first).exists() or (PACKAGE / first).exists()
    return bool(slash) and ours and path not in MADE


def _places() -> list[tuple[str, str]]:
    """(file, word) of every table row that names a file and what to look for in it."""
    table = section("README.md", "Where to find things")
    found = [
        (row[1], word)
        for row in re.findall(r"^\| ([^|]*) \| `([^`]*)`[^|]* \| ([^|]*) \|$", table, re.MULTILINE)
        for word in re.findall(r"`([\w:]+)`", row[2])
    ]
    walk = section("docs/architecture.md", "Walk 1: one change in Consul")
    walk += section("docs/architecture.md", "Walk 2: one push")
    for path, words in re.findall(r"`([\w/]+\.py)`((?: `\w+`,?)+)", walk):
        found += [(path, word) for word in re.findall(r"`(\w+)`", words)]
    return found


@pytest.mark.parametrize(("path", "word"), _places())
def test_a_word_to_look_for_is_in_its_file(path: str, word: str) -> None:
    file = ROOT / path if (ROOT / path).exists() else PACKAGE / path
    assert re.search(rf"\b{re.escape(word)}", file.read_text())
