"""`python -m cost` computes docs/cost.md."""

from __future__ import annotations

from pathlib import Path

from cost.model import MODES, OBSERVABILITY, TASKS, builds, month, read, template, warm

DOCUMENT = Path(__file__).parents[1] / "docs/cost.md"
PAGE = Path(__file__).parent / "page.md"


def text() -> str:
    found, runs = template(), read("assumed.toml")["runs_per_task_and_day"]
    columns = [(mode, tasks) for mode in MODES for tasks in TASKS]
    months = [month(found, tasks, mode) for mode, tasks in columns]
    lines = [
        ["", *(f"{mode}, {tasks} tasks" for mode, tasks in columns)],
        ["---", *("---:" for _ in columns)],
        *([name, *(f"{each[name]:.2f}" for each in months)] for name in months[0]),
        ["**sum**", *(f"**{sum(each.values()):.2f}**" for each in months)],
        [
            "observability",
            *(f"{sum(each[name] for name in OBSERVABILITY):.2f}" for each in months),
        ],
        ["builds", *(f"{builds(tasks):.2f}" for _, tasks in columns)],
        ["or the warm lane", *(f"{warm(found, tasks):.2f}" for _, tasks in columns)],
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return PAGE.read_text().format(
        table=table,
        runs="once" if runs == 1 else f"{runs:g} times",
        executor=f"{read('assumed.toml')['seconds']['executor']:g}",
        gigabytes=f"{found.memory['Executor']:g}",
        memory=round(found.memory["Poller"] * 1024),
    )


if __name__ == "__main__":
    DOCUMENT.write_text(text())
