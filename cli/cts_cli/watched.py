"""Whether Consul is being watched. If not, the table of tasks may be out of date."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cts_cli import words
from cts_cli.output import print_line, print_paragraph
from cts_cli.screen import Console, Text
from cts_cli.shown import shown


@dataclass(frozen=True, slots=True)
class Watched:
    """What the reader reports about the poller and about views that could not be read."""

    poller: Mapping[str, Any] | None
    stale: Mapping[str, Any]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Watched":
        """Older stacks report no stale views."""
        return cls(found["poller"], found.get("stale_views", {"count": 0, "of": 0, "unlisted": 0}))

    @property
    def silent_for(self) -> str:
        """Empty while a poller is alive, or if that is unknown."""
        poller = self.poller or {}
        return words.about(poller["heartbeat_age"]) if poller.get("alive") is False else ""

    @property
    def sees_nothing(self) -> bool:
        return bool(self.stale["count"] >= self.stale["of"] > 0)


def print_blindness(console: Console, watched: Watched, at: datetime) -> None:
    """Print warnings, if any, above everything else."""
    stale = watched.stale
    if watched.silent_for:
        told = f"no heartbeat from a poller for {watched.silent_for}"
        print_line(console, "✗", "red", f"{told}: changes in Consul go unnoticed")
    if stale["count"]:
        told = f"{_how_many(stale)} been stale for {words.since(stale['since'], at)}"
        if watched.sees_nothing:
            print_line(console, "✗", "red", f"Consul can't be read: {told}")
        else:
            print_line(console, "!", "yellow", f"{told}: changes there go unnoticed")
        for why in stale["why"][: 1 if watched.sees_nothing else None]:
            print_paragraph(console, Text(shown(" ".join(why.split()))))
    if stale["unlisted"]:
        told = f"{stale['unlisted']} of them are not listed: more tasks may be affected"
        print_paragraph(console, Text(told, "yellow"))
    if watched.silent_for or stale["count"]:
        console.print()


def _how_many(stale: Mapping[str, Any]) -> str:
    number, of = stale["count"], stale["of"]
    verb = "has" if number == 1 else "have"
    if number > of:  # views that are no longer needed are counted until the next heartbeat
        return f"{words.count(number, 'view')} {verb}"
    return f"{number} of {words.count(of, 'view')} {verb}"


def up_to_date(watched: Watched) -> Text:
    """The state of a task that has nothing to do, as far as we know."""
    if watched.silent_for:
        return Text(f"not watched for {watched.silent_for}", "yellow")
    if watched.sees_nothing:
        return Text("stale", "yellow")
    if watched.stale["unlisted"]:
        return Text("possibly stale", "yellow")
    return Text("up to date", "dim")


def sign_of_life(watched: Watched) -> Text:
    poller = watched.poller
    if poller is None:
        return Text("no poller has run yet", "yellow")
    past = words.past(poller["heartbeat_age"])
    if poller.get("mode") == "poll":
        return Text(f"poller: runs every minute, last wrote {past}", "dim")
    beat = f"poller: last heartbeat {past}"
    if passed := poller.get("passed"):
        beat += f"  ·  polls {passed} of {words.count(poller['views'], 'view')} only once a second"
    return Text(beat, "yellow" if watched.silent_for else "dim")
