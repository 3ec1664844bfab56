"""Configuration files to models: text, then values, then options."""

from cts.config.decode import decode
from cts.config.hcl import CONFIG, read_hcl
from cts.config.json_text import read_json
from cts.config.model import Configuration
from cts.config.problem import Code, Place, Problem
from cts.config.tree import Value


def read(content: bytes, file: str) -> tuple[Configuration, list[Problem]]:
    """One file's configuration, and what is wrong with it."""
    text, problem = decoded(content, file)
    if problem:
        return Configuration(), [problem]
    is_json = file.endswith(".json")
    if is_json or text.lstrip().startswith("{"):  # JSON is also accepted in an .hcl file
        body, errors = read_json(text, file)
    else:
        body, errors = read_hcl(text, file, CONFIG)
    problems = [Problem(e.place, "", Code.SYNTAX, e.what, e.fix) for e in errors]
    top = Value(Place(file, 1, 1), body)
    return decode(top, problems, is_hcl=not is_json), problems


def decoded(content: bytes, file: str) -> tuple[str, Problem | None]:
    """The text of a file."""
    try:
        return content.decode(), None
    except UnicodeDecodeError as error:
        place = Place(file, content.count(b"\n", 0, error.start) + 1, 1)
        return "", Problem(place, "", Code.SYNTAX, "the file is not UTF-8 text", "save it as UTF-8")
