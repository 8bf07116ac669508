"""If no browser can be downloaded, `make setup` says why, after a limited time, and goes on."""

import sys
from pathlib import Path

import pytest

from tests.support import browser


@pytest.fixture(autouse=True)
def forget_browser() -> None:
    browser.find_chromium.cache_clear()


def test_a_download_that_fails_is_told_by_its_reason() -> None:
    fails = "import sys; sys.stderr.write('Downloading\\nError: getaddrinfo ENOTFOUND\\n'); sys.exit(1)"
    assert browser.run_installer([sys.executable, "-c", fails]) == "Error: getaddrinfo ENOTFOUND"
    assert browser.run_installer([sys.executable, "-c", "raise SystemExit(3)"]) == "exit code 3"
    assert browser.run_installer(["/nowhere/playwright"]).endswith("'/nowhere/playwright'")
    assert browser.run_installer([sys.executable, "-c", "pass"]) == ""


def test_a_download_that_never_ends_is_ended() -> None:
    reads = "import threading; threading.Event().wait()"
    assert browser.run_installer([sys.executable, "-c", reads], 1) == "the download took longer than 1 seconds"


def test_a_browser_on_the_path_goes_before_a_downloaded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
