"""The browser that pages are looked at with: a Chromium on PATH, else the one that Playwright brings.

`python -m tests.support.browser`, a part of `make setup`, brings it where it can, and says why where it can't.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: How long its download may take, in seconds.
PATIENCE = 180


@cache
def find_chromium() -> str:
    """The path of a Chromium that starts; empty when there is none."""
    installed = next((path for name in NAMES if (path := shutil.which(name))), "")
    return installed or next((str(path) for path in _downloads() if _starts(path)), "")


def _downloads() -> list[Path]:
    """What Playwright has downloaded, the newest first."""
    home = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    patterns = ("chromium-*/*/chrome", "chromium_headless_shell-*/*/*headless?shell")
    return [path for pattern in patterns for path in sorted(Path(home).glob(pattern), reverse=True)]


def _starts(path: Path) -> bool:
    """False where libraries that it needs are missing."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def bring(command: list[str], patience: float = PATIENCE) -> str:
    """Why that command brought no browser; empty when there is one."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the download took longer than {patience:.0f} seconds"
    except OSError as error:
        return str(error)
    said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    reasons = [line for line in said if "rror" in line] or said or [f"exit code {done.returncode}"]
    return reasons[0][:200] if done.returncode else ""


def main() -> None:
    """Bring a browser; never fails."""
    if find_chromium():
        return
    reason = bring([sys.executable, "-m", "playwright", "install", "chromium"])
    find_chromium.cache_clear()
    if not find_chromium():
        reason = reason or "it does not start here; `playwright install-deps chromium` brings what it needs"
        sys.stderr.write(f"No browser was installed: {reason}. Tests that look at pages are skipped.\n")


if __name__ == "__main__":
    main()
