"""The wheel works away from the checkout: templates and examples travel inside it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked somewhere else."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place / "dist"), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = (place / "dist").glob("*.whl")
    unpacked = place / "site"
    install = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(unpacked)]
    subprocess.run(install, check=True)
    return unpacked


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, started in another folder, that sees the unpacked wheel and not the checkout."""
    starts = (
        f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}];"
        f"sys.path.insert(0, {str(installed)!r}); from worker.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", starts, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_command_says_what_it_can_do(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, tmp_path, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "contract" in answer.stdout


def test_the_templates_travel_along(installed: Path, tmp_path: Path) -> None:
    """Every mail is found and rendered from inside the wheel."""
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r});"
        "import worker; assert worker.__file__.startswith(sys.path[0]), worker.__file__;"
        "from worker.emails import Emails;"
        "emails = Emails(sender='longarc@corp.example', domain='corp.example'); assert emails.speaks('de');"
        "print(emails.check())"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"


def test_the_migrations_travel_along(installed: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r});"
        "from worker.store.base import Database; Database('sqlite:///made.db').migrate()"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "made.db").stat().st_size > 0
