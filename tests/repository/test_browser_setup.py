"""The browser for tests: its download by `make setup`, failures and the time limit, and the search for a browser."""

import sys
from pathlib import Path

import pytest

from tests.support import browser


@pytest.fixture(autouse=True)
def forget_browser() -> None:
    browser.find_chromium.cache_clear()


def test_failed_download_is_reported_with_its_reason() -> None:
    failing_code = "import sys; sys.stderr.write('Downloading\\nError: getaddrinfo ENOTFOUND\\n'); sys.exit(1)"
    assert browser.run_installer([sys.executable, "-c", failing_code]) == "Error: getaddrinfo ENOTFOUND"
    assert browser.run_installer([sys.executable, "-c", "raise SystemExit(3)"]) == "exit code 3"
    assert browser.run_installer(["/nowhere/playwright"]).endswith("'/nowhere/playwright'")
    assert browser.run_installer([sys.executable, "-c", "pass"]) == ""


def test_endless_download_is_stopped() -> None:
    endless_code = "import threading; threading.Event().wait()"
    assert browser.run_installer([sys.executable, "-c", endless_code], 1) == "the download took longer than 1 seconds"


def test_browser_on_the_path_is_preferred_to_a_downloaded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloaded = tmp_path / "cache" / "chromium-1200" / "chrome-linux64" / "chrome"
    installed = tmp_path / "bin" / "chromium"
    for path in (downloaded, installed):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(installed.parent))
    assert browser.find_chromium() == str(installed)
    installed.unlink()
    browser.find_chromium.cache_clear()
    assert browser.find_chromium() == str(downloaded)
    downloaded.write_text("#!/bin/sh\nexit 127\n")
    browser.find_chromium.cache_clear()
    assert browser.find_chromium() == ""
