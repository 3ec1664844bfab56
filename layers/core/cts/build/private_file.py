"""Files that only the build's user may read."""

from pathlib import Path


def written(file: Path, text: str) -> Path:
    """The file, with this text; only its owner may read it."""
    file.parent.mkdir(exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text)
    return file
