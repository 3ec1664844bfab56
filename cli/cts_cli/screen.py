"""What is printed on a terminal. Texts from a catalog, a log or a file can't act on it: whatever it
would obey or hide is shown as an escape."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import rich.console
import rich.text
from rich.segment import Segment, Segments

from cts_cli.shown import LINES, printable


class Text(rich.text.Text):
    """A line with styles. Rich itself drops some control characters without a trace, and would
    let a name with a line end begin a line."""

    def __init__(self, text: str = "", style: str = "", **options: Any) -> None:
        super().__init__(printable(text), style, **options)

    def append(self, text: rich.text.Text | str, style: Any = None) -> Self:
        super().append(printable(text) if isinstance(text, str) else text, style)
        return self

    @classmethod
    def assemble(cls, *parts: Any, **options: Any) -> Self:
        """`parts`: texts, strings, and strings with a style."""
        made = cls(**options)
        for part in parts:
            made.append(*part) if isinstance(part, tuple) else made.append(part)
        return made


class Console(rich.console.Console):
    """Prints strings as they are, without markup."""

    def print(self, *objects: Any, **options: Any) -> None:
        plain = (
            rich.text.Text(printable(each, LINES)) if isinstance(each, str) else each
            for each in objects
        )
        super().print(*plain, **options)

    def print_aligned(
        self, lines: Iterable[Sequence[Text]], widths: Sequence[int], gap: str
    ) -> None:
        """Print cells in columns. As segments, which takes half the time of texts."""
        parts = [part for line in lines for part in self._aligned(line, widths, gap)]
        self.print(Segments(parts), end="", soft_wrap=True)

    def _aligned(self, cells: Sequence[Text], widths: Sequence[int], gap: str) -> Iterable[Segment]:
        """Without spaces at the line's end."""
        space = ""
        for cell, width in zip(cells, widths, strict=True):
            if cell:
                yield Segment(space)
                yield from Segment.apply_style(cell.render(self), self.get_style(cell.style))
                space = ""
            space += " " * (width - cell.cell_len) + gap
        yield Segment.line()

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """All that is printed comes by here. Only Rich's own segments may control the terminal."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text, LINES), style)
