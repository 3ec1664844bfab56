"""Headless Chromium, for tests of what people see. Debian has it as `chromium-headless-shell`."""

import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium-headless-shell", "chromium", "google-chrome", "chrome")
SECONDS = 120


def browser() -> str:
    """Skips the test where there is no Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH")
    return found


def run(page: Path | str, profile: Path, *options: str, size: tuple[int, int] = (1280, 720)) -> str:
    """Open a file or an address; returns what the options print, such as `--dump-dom`."""
    done = subprocess.run(
        [
            browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-dev-shm-usage", "--no-first-run", "--virtual-time-budget=2000",
            f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", *options,
            page if isinstance(page, str) else page.as_uri(),
        ],
        capture_output=True, text=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    return done.stdout


def picture(page: Path, profile: Path, into: Path, size: tuple[int, int] = (1280, 720)) -> bytes:
    run(page, profile, f"--screenshot={into}", size=size)
    return into.read_bytes()
