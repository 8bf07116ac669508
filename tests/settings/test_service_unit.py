"""The systemd service unit in `config`."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT
from worker.settings.load import load_settings

UNIT = (ROOT / "config" / "longarc.service").read_text(encoding="utf-8")


def test_unit_stops_with_sigint_and_loads_the_key_as_a_credential() -> None:
    options = dict(line.split("=", 1) for line in UNIT.splitlines() if re.match(r"\w+=", line))
    assert options["KillSignal"] == "SIGINT"
    assert int(options["TimeoutStopSec"]) > 2 * load_settings(None, {}).get_mailer_section("smtp")["timeout"]
    assert options["ExecStart"].split()[-1] == "run"
    assert options["LoadCredential"].startswith("key:")
    assert options["Environment"] == "LONGARC_KEY_FILE=%d/key"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT, flags=re.MULTILINE)
    (tmp_path / "longarc.service").write_text(text, encoding="utf-8")
    try:
        result = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / "longarc.service")],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except FileNotFoundError:
        pytest.skip("systemd is not installed")
    assert result.returncode == 0, result.stderr
    assert "longarc.service" not in result.stderr
