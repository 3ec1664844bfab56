"""Configuration files to models: text, then values, then options."""

from cts.config.blocks.decode import decode
from cts.config.blocks.model import Configuration
from cts.config.blocks.options import Findings
from cts.config.hcl1.parser import read_hcl1
from cts.config.rules.problem import Code, Place, Problem
from cts.config.text.json_text import read_json
from cts.config.text.tree import Body, Value

NOT_TEXT, SAVE = "the file is not UTF-8 text", "save it as UTF-8"


def read(content: bytes, file: str) -> tuple[Configuration, Findings]:
    """One file's configuration, and the findings made while reading it."""
    found = Findings()
    top = Value(Place(file, 1, 1), Body())
    text, problem = decoded(content, file)
    if b"\0" in content:
        what = f"{NOT_TEXT}: it contains zero bytes, as UTF-16 and binary files do"
        problem = Problem(top.place, "", Code.SYNTAX, what, SAVE)
    if problem:
        found.problems.append(problem)
        return decode(top, found, is_hcl=True), found
    is_hcl = not file.endswith(".json")
    if is_json(text, file):
        body, errors = read_json(text, file, keeps_all=is_hcl)
    else:
        body, errors = read_hcl1(text, file)
    found.problems.extend(Problem(e.place, "", Code.SYNTAX, e.what, e.fix) for e in errors)
    return decode(Value(top.place, body), found, is_hcl=is_hcl), found


def is_json(text: str, file: str) -> bool:
    """JSON is also accepted in an .hcl file."""
    return file.endswith(".json") or text.lstrip().startswith("{")


def decoded(content: bytes, file: str) -> tuple[str, Problem | None]:
    """The text of a file."""
    try:
        return content.decode(), None
    except UnicodeDecodeError as error:
        place = Place(file, content.count(b"\n", 0, error.start) + 1, 1)
        return "", Problem(place, "", Code.SYNTAX, NOT_TEXT, SAVE)
