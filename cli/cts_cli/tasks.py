"""The tasks as they are configured, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from cts_cli import grid, words
from cts_cli.output import out
from cts_cli.screen import Text

MOST_NAMED = 3
"""Services named in a row. The others are counted."""


def print_tasks(tasks: Sequence[Mapping[str, Any]]) -> None:
    """`tasks`: Task objects of CTS's API."""
    console = out()
    if not tasks:
        console.print("no tasks yet: push a configuration with `cts push`")
        return
    grid.print_rows(console, [_row(task) for task in tasks], ("description", "module"))


def _row(task: Mapping[str, Any]) -> grid.Row:
    module = " ".join(filter(None, (task["module"], task["version"])))
    cells = {
        "task": Text(task["name"], "bold"),
        "enabled": Text("yes") if task["enabled"] else Text("no", "yellow"),
        "runs for": Text(runs_for(task["condition"])),
        "module": Text(module),
        "description": Text(task["description"], "dim"),
    }
    return grid.Row(cells)


def runs_for(condition: Mapping[str, Any]) -> str:
    """A condition in words."""
    match condition:
        case {"services": {"names": [*names]}} if names:
            return f"services {words.some(names, MOST_NAMED)}"
        case {"services": {"regexp": str(regexp)}}:
            return f'services that match "{regexp}"'
        case {"catalog_services": {"regexp": str(regexp)}}:
            return f'the names that match "{regexp}"'
        case {"consul_kv": {"path": str(path), **options}}:
            return f"KV {path}" + (" and all below" if options.get("recurse") else "")
        case {"schedule": {"cron": str(cron)}}:
            return f"schedule {cron}"
        case {}:
            return ", ".join(condition) or "nothing: it has no condition"
