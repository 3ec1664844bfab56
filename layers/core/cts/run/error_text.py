"""What people see of an error."""

import re

TITLE = re.compile(r"(?:^|: )Error: ")
"""In the first line of an error of Terraform's."""
LONGEST_ERROR = 300
"""In characters, of one line."""


def error_line(text: str | None) -> str:
    """An error in one line. Of Terraform's: its title, and what it says below the place of the
    error, such as the `error_message` of a precondition."""
    lines = [line.strip("│╷╵").removeprefix(" ").rstrip() for line in (text or "").splitlines()]
    told = next((at for at, line in enumerate(lines) if line.strip()), None)
    if told is None:
        return ""
    first = lines[told].strip()
    if not TITLE.search(first):
        return first
    paragraphs = "\n".join(lines[told + 1 :]).split("\n\n")
    said = (each.strip("\n") for each in paragraphs)
    detail = next((each for each in said if each and not each[0].isspace()), "")
    if not detail or TITLE.match(detail):
        return first
    line = f"{first}: {' '.join(detail.split())}"
    return line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}…"
