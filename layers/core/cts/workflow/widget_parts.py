"""The parts that the views of the dashboard's widget share. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cts.workflow.html import Html, action, joined, tag, text

STYLE = Html(
    "<style>"
    ".cts{font:13px/1.45 -apple-system,'Segoe UI',Roboto,Arial,sans-serif;"
    "color:#16191f;padding:2px}"
    ".cts.dark{color:#d1d5db}"
    ".cts cwdb-action{display:none}"
    ".cts table{border-collapse:collapse;width:100%}"
    ".cts th{text-align:left;font-weight:600;color:#545b64;padding:4px 10px 4px 0;"
    "border-bottom:1px solid #d5dbdb;white-space:nowrap}"
    ".cts td{padding:4px 10px 4px 0;border-bottom:1px solid #eaeded;vertical-align:top;"
    "overflow-wrap:anywhere;unicode-bidi:isolate}"
    ".cts td:first-child{min-width:8em}.cts td.name{width:1%}"
    ".cts .result{display:inline-block;min-width:16em}"
    ".cts.dark th{color:#95a5a6;border-color:#414d5c}.cts.dark td{border-color:#2a3442}"
    ".cts a.btn{cursor:pointer;color:#0972d3;text-decoration:none;font-weight:600}"
    ".cts.dark a.btn{color:#89bdee}"
    ".cts a.btn-primary{display:inline-block;border:1px solid currentColor;border-radius:12px;"
    "padding:2px 12px;margin:0 6px 6px 0}"
    ".cts .w{display:inline-block;border-radius:10px;padding:0 9px;white-space:nowrap;"
    "font-size:12px;background:#eaeded;color:#414d5c}"
    ".cts .w.bad{background:#fde7e7;color:#a61d1d}.cts .w.good{background:#e3f4e1;color:#1d6b17}"
    ".cts .w.note{background:#fff3d6;color:#7a4b00}.cts .w.busy{background:#e1eefb;color:#0b4f94}"
    ".cts.dark .w{background:#2f3b4a;color:#c5ced8}"
    ".cts.dark .w.bad{background:#58191c;color:#ffb4b4}"
    ".cts.dark .w.good{background:#153f17;color:#a5e39f}"
    ".cts.dark .w.note{background:#4d3600;color:#ffd98a}"
    ".cts.dark .w.busy{background:#0f3359;color:#a8d1fa}"
    ".cts .dim{color:#687078}.cts.dark .dim{color:#95a5a6}"
    ".cts .nowrap{white-space:nowrap}"
    ".cts .bar{display:flex;flex-wrap:wrap;gap:18px;padding:2px 0 8px}"
    ".cts .dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:3px;"
    "background:#1d8102}.cts .dot.bad{background:#d13212;border-radius:2px}"
    ".cts.dark .dot{background:#3fb950}.cts.dark .dot.bad{background:#ff6b5e}"
    ".cts .dots{display:inline-block;min-width:64px}"
    ".cts table.list{width:auto}.cts .list td{padding-right:28px}"
    ".cts .list td:first-child{min-width:5em}"
    ".cts p{margin:4px 0 8px}"
    ".cts h3{font-size:15px;margin:8px 0 4px}.cts h4{font-size:13px;margin:12px 0 2px}"
    ".cts pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;max-height:16em;overflow:auto}"
    "</style>"
)
TONES = {
    "applied": "good", "planned_and_finished": "good", "planned": "good", "errored": "bad",
    "busy": "note", "canceled": "note", "pending": "busy",
    "gave_up": "bad", "retrying": "bad", "blocked": "note", "held": "note", "not_read": "note",
    "stale": "note", "being_deleted": "note", "running": "busy", "queued": "busy",
    "due": "busy", "waiting": "busy",
}  # fmt: skip
"""How a task's or a run's word is coloured."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a view is drawn with."""

    widget: str
    """The ARN of the function that draws."""
    button: str
    """The ARN of the function that the buttons call."""
    region: str
    theme: str
    now: float

    def whole(self, *parts: object) -> str:
        theme = "dark" if self.theme == "dark" else "light"
        empty = tag("div", class_="cwdb-no-default-styles")
        return str(joined([empty, STYLE, tag("div", *parts, class_=f"cts {theme}")]))

    def link(self, shown: str, **values: str) -> Html:
        """Opens another view."""
        return action(tag("a", shown, class_="btn"), self.widget, values)

    def press(self, shown: str, task: str, does: str, asks: str) -> Html:
        """A button that changes something, once it was confirmed."""
        target = tag("a", shown, class_="btn btn-primary")
        values = {"task": task, "action": does}
        return action(target, self.button, values, calls=asks, kind="call")

    def ago(self, at: str | None) -> Html:
        """How long ago, or in how long; the time itself as a tooltip."""
        if at is None:
            return Html("")
        seconds = self.now - datetime.fromisoformat(at).timestamp()
        said = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
        return tag("span", said, title=at, class_="nowrap")

    def due(self, at: str) -> Html:
        """In how long."""
        is_past = datetime.fromisoformat(at).timestamp() < self.now
        return tag("span", "now", title=at) if is_past else self.ago(at)


def span(seconds: float) -> str:
    """A time span in its largest unit."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def number_of(what: str, number: int) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def word(name: str) -> Html:
    return tag("span", name.replace("_", " "), class_=f"w {TONES.get(name, '')}".strip())


def counts(found: Mapping[str, int] | None) -> str:
    """As `+1 ~2 -3`, and what else there is."""
    if found is None:
        return ""
    signs = {"add": "+", "change": "~", "destroy": "-"}
    usual = [f"{sign}{found.get(name, 0)}" for name, sign in signs.items()]
    return " ".join(
        usual + [f"{number} {name}" for name, number in found.items() if name not in signs]
    )


def facts(named: Mapping[str, Any]) -> Html:
    """A table of names and values, without those that have none."""
    return tag(
        "table",
        *(
            tag("tr", tag("td", name, class_="dim nowrap name"), tag("td", text(value)))
            for name, value in named.items()
            if value not in (None, "", [])
        ),
    )
