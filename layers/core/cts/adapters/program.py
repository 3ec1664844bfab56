"""The program that builds run, as archives carry it."""

from importlib import resources


def program() -> dict[str, str]:
    """The files of an archive, as texts by name: `build/execute.py`, and a folder with the package
    that it starts, under the package's usual name."""
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
