"""HTML for the dashboard. What is not `Html` is escaped, so no text from outside becomes markup."""

import json
import unicodedata
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escaped. Characters that change how others are shown, such as the direction, are marked."""
    if isinstance(value, Html):
        return value
    return Html(escape("".join(map(_visible, str(value)))))


def _visible(character: str) -> str:
    hides = unicodedata.category(character) in ("Cc", "Cf") and character not in "\n\t"
    return "\ufffd" if hides else character


def joined(parts: Iterable[object]) -> Html:
    return Html("".join(map(text, parts)))


def tag(name: str, *inside: object, **attributes: str) -> Html:
    """An element. A trailing `_` of an attribute's name is left out, as in `class_`."""
    given = "".join(
        f' {key.rstrip("_")}="{text(value)}"' for key, value in attributes.items() if value
    )
    return Html(f"<{name}{given}>{joined(inside)}</{name}>")


def rows(lines: Iterable[Iterable[object]], cell: str = "td") -> Html:
    return joined(tag("tr", *(tag(cell, each) for each in line)) for line in lines)


def action(
    target: Html, endpoint: str, values: Mapping[str, Any], *, calls: str = "", kind: str = "html"
) -> Html:
    """What a click on the element does: CloudWatch invokes the endpoint with these values, and
    shows what it returns. `calls`: what is asked first; `kind`: `call` for what changes things."""
    asked = {"confirmation": calls} if calls else {}
    given = {"action": kind, "display": "popup", "endpoint": endpoint, **asked}
    return joined([target, tag("cwdb-action", json.dumps(values), **given)])
