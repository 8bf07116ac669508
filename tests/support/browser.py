"""The browser in which tests look at pages: a Chromium on PATH, or else the one that Playwright installs.

`python -m tests.support.browser`, a part of `make setup`, installs it where there is none, or says why it can't.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: How long the download may take.
DOWNLOAD_SECONDS = 180


@cache
def find_chromium() -> str:
    """Return the path of a Chromium; empty when there is none that starts."""
    installed = next((path for name in BROWSER_NAMES if (path := shutil.which(name))), "")
    return installed or next((str(path) for path in _downloads() if _starts(path)), "")


def _downloads() -> list[Path]:
    """Return the browsers that Playwright has downloaded, the newest first."""
    home = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    patterns = ("chromium-*/*/chrome", "chromium_headless_shell-*/*/*headless?shell")
    return [path for pattern in patterns for path in sorted(Path(home).glob(pattern), reverse=True)]


def _starts(path: Path) -> bool:
    """Whether a browser starts, which fails where libraries are missing."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def open_all_details(page: "Page") -> None:
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")


def run_installer(command: list[str], patience: float = DOWNLOAD_SECONDS) -> str:
    """Run a command that installs a browser; return why it failed, empty when it did not. `patience` is in seconds."""
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the download took longer than {patience:.0f} seconds"
    except OSError as error:
        return str(error)
    output = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    reasons = [line for line in output if "rror" in line] or output or [f"exit code {result.returncode}"]
    return reasons[0][:200] if result.returncode else ""


def main() -> None:
    """Install a browser if there is none; a failure is only reported."""
    if find_chromium():
        return
    reason = run_installer([sys.executable, "-m", "playwright", "install", "chromium"])
    find_chromium.cache_clear()
    if not find_chromium():
        reason = reason or "it does not start here; `playwright install-deps chromium` brings what it needs"
        sys.stderr.write(f"No browser was installed: {reason}. Tests that look at pages are skipped.\n")


if __name__ == "__main__":
    main()
