"""Print rows as a table if the terminal is wide enough. Cells are never cut or wrapped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cts_cli.output import print_paragraph
from cts_cli.screen import Console, Text

GAP = "  "
SEPARATOR = "  ·  "


@dataclass(frozen=True, slots=True)
class Row:
    cells: Mapping[str, Text]
    """By column. The first column is the row's title."""
    below: Text | None = None
    """Text of any length, printed on its own line."""


def print_rows(console: Console, rows: Sequence[Row], spare: Sequence[str]) -> None:
    """`spare`: columns to drop, in this order, if the terminal is too narrow.

    If even the others don't fit, each row is printed as a block of lines, with every cell.
    """
    widths = {
        name: max(len(name), *(row.cells[name].cell_len for row in rows)) for name in rows[0].cells
    }
    for gone in range(len(spare) + 1):
        kept = {name: width for name, width in widths.items() if name not in spare[:gone]}
        if sum(kept.values()) + len(GAP) * (len(kept) - 1) <= console.width:
            _table(console, rows, kept)
            return
    for row in rows:
        _block(console, row)


def _table(console: Console, rows: Sequence[Row], widths: Mapping[str, int]) -> None:
    sizes = list(widths.values())
    console.print_aligned([[Text(name, "bold dim") for name in widths]], sizes, GAP)
    _line(console, Text("─" * (sum(sizes) + len(GAP) * (len(sizes) - 1)), "dim"))
    lines = []
    for row in rows:
        lines.append([row.cells[name] for name in widths])
        if row.below:
            console.print_aligned(lines, sizes, GAP)
            _below(console, row)
            lines.clear()
    console.print_aligned(lines, sizes, GAP)


def _block(console: Console, row: Row) -> None:
    title, *others = row.cells.items()
    _line(console, title[1])
    parts = [Text.assemble((f"{name} ", "dim"), cell) for name, cell in others if cell]
    for line in _filled(parts, console.width - len(GAP)):
        _line(console, Text.assemble(GAP, line))
    _below(console, row)


def _filled(parts: Iterable[Text], width: int) -> list[Text]:
    """Lines with as many parts as fit."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(SEPARATOR) + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], (SEPARATOR, "dim"), part)
        else:
            lines.append(part)
    return lines


def _below(console: Console, row: Row) -> None:
    if row.below:
        print_paragraph(console, row.below, (" ", ""))


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
