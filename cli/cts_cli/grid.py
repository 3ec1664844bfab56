"""Print rows as a table if the terminal is wide enough. Cells are never cut or wrapped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment, Segments

from cts_cli.output import print_paragraph
from cts_cli.screen import Console, Text

GAP = "  "
SEPARATOR = "  ·  "
END = Segment.line()


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
    sizes = widths.values()
    parts = _line_of(console, (Text(name, "bold dim") for name in widths), sizes)
    parts += [*_styled(console, Text("─" * (sum(sizes) + len(GAP) * (len(sizes) - 1)), "dim")), END]
    for row in rows:
        parts += _line_of(console, (row.cells[name] for name in widths), sizes)
        if row.below:
            console.print(Segments(parts), end="", soft_wrap=True)
            _below(console, row)
            parts.clear()
    console.print(Segments(parts), end="", soft_wrap=True)


def _line_of(console: Console, cells: Iterable[Text], widths: Iterable[int]) -> list[Segment]:
    """A line that is aligned, without spaces at its end. Segments take half the time of texts."""
    line: list[Segment] = []
    gap = 0
    for cell, width in zip(cells, widths, strict=True):
        if cell:
            line += [Segment(" " * gap), *_styled(console, cell)]
            gap = 0
        gap += width - cell.cell_len + len(GAP)
    return [*line, END]


def _styled(console: Console, text: Text) -> Iterable[Segment]:
    return Segment.apply_style(text.render(console), console.get_style(text.style))


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
