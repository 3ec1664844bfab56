"""Keeps what SAM makes of a template for all stacks of a build (`stack.py`), as `layers` keeps the
files of layers."""

from __future__ import annotations

import hashlib
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SAM = "AWS::Serverless-2016-10-31"
"""Alone, this transform depends on the template and on nothing else: the emulator gives it no
parameters, and there is one region."""


class Transformed:
    """Transforms a template as `transform` does."""

    def __init__(self, transform: Callable[..., Any]) -> None:
        self._transform = transform

    def __call__(self, template: dict[str, Any], *parameters: Any) -> Any:
        text = version("aws-sam-translator") + json.dumps(template, default=str)
        if template.get("Transform") != SAM or "Fn::Transform" in text:
            return self._transform(template, *parameters)
        folder = (Path(tempfile.gettempdir()) / "layers").resolve()
        kept = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        if kept.exists():
            return json.loads(kept.read_text())
        transformed = self._transform(template, *parameters)
        if type(transformed) is not dict:  # what has failed is of another type
            return transformed
        content = json.dumps(transformed)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as unfinished:
            unfinished.write(content)
        Path(unfinished.name).rename(kept)
        return transformed
