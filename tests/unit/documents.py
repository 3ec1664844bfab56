"""Reading the documents: sections by their headings, tables by their rows."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def section(document: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    found = re.search(
        rf"^(#+) {re.escape(title)}$(.*?)(?=^#{{1,2}} |^\1 |\Z)",
        text(document),
        re.MULTILINE | re.DOTALL,
    )
    assert found, f"{document} has no section '{title}'"
    return found[2]


def rows(table: str) -> list[str]:
    """The names in the first column."""
    return re.findall(r"^\| `([\w.-]+)` \|", table, re.MULTILINE)


def row(table: str, first: str) -> list[str]:
    """The cells of the row that begins with this name."""
    found = re.search(rf"^\| `{re.escape(first)}` \|.*$", table, re.MULTILINE)
    assert found, f"there is no row `{first}`"
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def plain(text: str) -> str:
    """As it is read: without the marks of code, on one line."""
    return " ".join(text.replace("`", "").split())
