"""What the demo tells of the events on the bus."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.console import Console

from local.demo.story import Story

if TYPE_CHECKING:
    from local.stack import Stack

README = Path(__file__).parents[2] / "README.md"
AT = "1970-01-01T00:00:{:05.2f}+00:00"
EVENTS: dict[str, tuple[float, dict[str, Any]]] = {
    "CatalogChanged": (
        0.13,
        {
            "views": ["service api", "service web", "the list of services"],
            "tasks": ["firewall"],
            "at": AT.format(0),
        },
    ),
    "TaskTriggered": (1.11, {"task": "firewall"}),
    "RunStarted": (1.28, {"task": "firewall", "why": ["change"], "lane": "build"}),
}


class Consul:
    def consul_client(self) -> None:
        return None


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_the_line_that_the_readme_shows(name: str) -> None:
    written = io.StringIO()
    story = Story(cast("Stack", Consul()), Console(file=written, width=80), Path())
    seconds, detail = EVENTS[name]
    story._tell_event({"detail_type": name, "at": AT.format(seconds), "detail": detail}, 0.0, {})
    line = written.getvalue().removesuffix("\n").rstrip()
    assert line in README.read_text().splitlines()
