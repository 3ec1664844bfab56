"""The program that builds run, as archives carry it."""

from importlib import resources


def program() -> dict[str, str]:
    """File name in an archive -> text: `build/execute.py`, and beside it in a folder of its own the
    package that this starts, under the name that it has here."""
    package = resources.files("cts")
    texts = {
        each.name: each.read_text("utf-8")
        for each in (package / "build").iterdir()
        if each.name.endswith(".py")
    }
    start = texts.pop("execute.py")
    return {
        "execute.py": start,
        "execute/cts/__init__.py": (package / "__init__.py").read_text("utf-8"),
        **{f"execute/cts/build/{name}": text for name, text in texts.items()},
    }
